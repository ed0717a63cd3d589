"""The e-mail lever: one message to one person, with the way out in it or not at all."""

from __future__ import annotations

import re
from email.utils import parseaddr
from typing import Protocol

from geoengine.core.model import EmailSpec
from geoengine.core.record import Send
from geoengine.levers.base import Limits, Receipt
from geoengine.levers.email.message import written

TIMEOUT_S = 15.0  # RFC 5321 grants servers minutes; the withdrawal that waits for us does not
# The key of an event's data under which the way out stands; put there before a message leaves.
UNSUBSCRIBE_URL = "unsubscribe_url"
_URL = re.compile(r"https?://[!-;=?-~]{1,900}")  # RFC 5322: a line has 998 characters at most
# RFC 5322's dot-atoms: what SMTP carries without quotes, and without extensions that few have.
_ADDRESS = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9.-]{1,253}")


class MailServer(Protocol):
    """Whoever takes a message from us."""

    async def deliver(self, sender: str, recipient: str, message: bytes) -> Receipt:
        """Make one attempt."""
        ...

    async def close(self) -> None:
        """Let go of connections."""
        ...


class EmailLever:
    """Sends by one server; with none, ``cannot`` says why."""

    name = "email"
    timeout_s = TIMEOUT_S

    def __init__(self, spec: EmailSpec, server: MailServer | None, *, cannot: str = "") -> None:
        self.cannot = cannot
        self.limits = Limits(width=spec.connections, per_s=spec.per_s or 0.0)
        self._spec = spec
        self._server = server
        self._envelope_sender = spec.envelope_sender or parseaddr(spec.sender)[1]

    async def send(self, send: Send, now_ms: int) -> Receipt:
        """Send once."""
        address = spelt(send.address)
        way_out = str((send.event.get("data") or {}).get(UNSUBSCRIBE_URL) or "")
        if self._server is None:
            return Receipt("refused", "no_server", has_left=False)
        if not address:
            return Receipt("refused", "bad_address", has_left=False)
        if not _URL.fullmatch(way_out):
            return Receipt("refused", "no_unsubscribe", has_left=False)
        message = written(send, self._spec, (address, way_out), now_ms)
        return await self._server.deliver(self._envelope_sender, address, message.as_bytes())

    async def close(self) -> None:
        """Say goodbye to the server."""
        if self._server is not None:
            await self._server.close()


def spelt(address: str) -> str:
    """An address as SMTP takes it, its domain in ASCII; "" for one that it does not take.

    >>> spelt("ada@bücher.example"), spelt("ada@example.org\\r\\nRCPT TO:<eve@example.org>")
    ('ada@xn--bcher-kva.example', '')
    """
    local, at, domain = address.rpartition("@")
    try:
        ascii_domain = domain.encode("idna").decode()
    except UnicodeError:
        return ""
    whole = f"{local}{at}{ascii_domain}"
    return whole if _ADDRESS.fullmatch(whole) else ""
