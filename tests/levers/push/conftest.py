"""Google and Apple for the length of a test."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.levers.push.apple_double import AppleDouble, apple
from tests.levers.push.google_double import Google, google
from tests.servers.certificates import Certificates, certificates


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """Certificates of the doubles."""
    return certificates(Path(tmp_path_factory.mktemp("tls")))


@pytest.fixture
async def fcm_server(files: Certificates) -> AsyncIterator[Google]:
    """Google."""
    async with google(files) as double:
        yield double


@pytest.fixture
async def apns_server(files: Certificates) -> AsyncIterator[AppleDouble]:
    """Apple."""
    async with apple(files) as double:
        yield double
