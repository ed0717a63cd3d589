"""What the tests of e-mail share."""

from __future__ import annotations

from typing import Any

from geoengine.core.model import EmailSpec
from geoengine.core.record import Send
from geoengine.levers.email.lever import EmailLever
from geoengine.levers.email.server import Server
from tests.levers.email.mail_server import PASSWORD, MailServer
from tests.levers.sending import a_send

ADA = "ada@example.org"
WAY_OUT = "https://geo.example/u/" + "opaque-token" * 12  # as long as those of ours


def a_mail(data: dict[str, Any] | None = None, **changes: Any) -> Send:
    """A message to Ada's mailbox."""
    usual = {
        "zone_id": "rivoli",
        "unsubscribe_url": WAY_OUT,
        "message": {"locale": "fr", "title": "Un thé ?", "body": "Bonsoir Ada,\nà 5 min."},
        "call_to_action": {"kind": "directions", "url": "https://maps.example/?q=1&m=w"},
        "coupon": {"code": "ABC2345DEF", "valid_until": "2026-11-21T21:00:00.000Z"},
    }
    event = {"data": usual | (data or {})}
    return a_send(**{"lever": "email", "address": ADA, "event": event} | changes)


class Opened:
    """An e-mail lever to a server of a test."""

    def __init__(self, server: MailServer, timeout_s: float = 5.0, **changes: Any) -> None:
        password = changes.pop("with_password", PASSWORD)
        tls = changes.pop("tls", server.tls)
        usual: dict[str, Any] = {
            "server": "127.0.0.1",
            "port": server.port,
            "sender": "Maison Rivoli <bonjour@rivoli.example>",
            "encryption": "tls" if server.is_wrapped else "starttls",
        }
        spec = EmailSpec(**usual | changes)
        self.lever = EmailLever(spec, Server(spec, password, timeout_s=timeout_s, tls=tls))

    async def __aenter__(self) -> EmailLever:
        return self.lever

    async def __aexit__(self, *_: object) -> None:
        await self.lever.close()
