"""Providers for the length of a test."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.levers.sms.doubles import SID, Double, brevo_send, provider, twilio_messages
from tests.servers.certificates import Certificates, certificates


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """Certificates of the doubles."""
    return certificates(Path(tmp_path_factory.mktemp("tls")))


@pytest.fixture
async def twilio(files: Certificates) -> AsyncIterator[Double]:
    """Twilio."""
    path = f"/2010-04-01/Accounts/{SID}/Messages.json"
    async with provider(files, path, twilio_messages) as double:
        yield double


@pytest.fixture
async def brevo(files: Certificates) -> AsyncIterator[Double]:
    """Brevo."""
    async with provider(files, "/v3/transactionalSMS/send", brevo_send) as double:
        yield double


@pytest.fixture
def providers(twilio: Double, brevo: Double) -> dict[str, Double]:
    """Both, by name."""
    return {"twilio": twilio, "brevo": brevo}
