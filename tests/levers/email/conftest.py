"""Mail servers for the length of a test."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.levers.email.mail_server import MailServer, mail_server
from tests.servers.certificates import Certificates, certificates


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """Certificates of the server."""
    return certificates(Path(tmp_path_factory.mktemp("tls")))


@pytest.fixture
async def server(files: Certificates) -> AsyncIterator[MailServer]:
    """A mail server that offers STARTTLS."""
    async with mail_server(files) as double:
        yield double


@pytest.fixture
async def wrapped(files: Certificates) -> AsyncIterator[MailServer]:
    """A mail server that speaks TLS from the first byte."""
    async with mail_server(files, is_wrapped=True) as double:
        yield double
