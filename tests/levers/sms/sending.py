"""What the tests of SMS share."""

from __future__ import annotations

from typing import Any

from geoengine.core.model import SmsSpec
from geoengine.core.record import Send
from geoengine.levers.sms.brevo import Brevo
from geoengine.levers.sms.lever import SmsLever
from geoengine.levers.sms.twilio import Twilio
from tests.levers.sending import a_send
from tests.levers.sms.doubles import KEY, SID, TOKEN, Double

ADA = "+33612345678"
STOP = "STOP au 36180"


def an_sms(body: str = "Un thé chez Rivoli ?", **changes: Any) -> Send:
    """A message to Ada's phone."""
    event = {"data": {"zone_id": "rivoli", "message": {"locale": "fr", "body": body}}}
    return a_send(**{"lever": "sms", "address": ADA, "event": event} | changes)


class Opened:
    """An SMS lever to a double of a provider."""

    def __init__(
        self, server: Double, provider: str = "twilio", timeout_s: float = 5.0, **changes: Any
    ) -> None:
        usual: dict[str, Any] = {"provider": provider, "sender": "Rivoli", "stop": STOP}
        secrets = changes.pop("secret", TOKEN if provider == "twilio" else KEY)
        if provider == "twilio":
            usual["account"] = SID
        spec = SmsSpec(**usual | changes)
        kind = Twilio if provider == "twilio" else Brevo
        made = kind(spec, secrets, url=server.url, tls=server.tls, timeout_s=timeout_s)
        self.lever = SmsLever(spec, made)

    async def __aenter__(self) -> SmsLever:
        return self.lever

    async def __aexit__(self, *_: object) -> None:
        await self.lever.close()
