"""Twilio's Messages API.

================================  =========  ======================================================
answer                            receipt    why
================================  =========  ======================================================
201                               delivered  Twilio has it; what the network says comes later
21610                             gone       this number said STOP to this sender
21211, 21614                      gone       no number, or none that takes SMS
401, 403                          retry      our credentials: somebody may mend them in time
429, 503                          retry      "aren't processed and are safe to retry" (20429)
500, 502, 504, a lost answer      ambiguous  it may have been taken
any other 4xx                     refused    by Twilio's code, ``twilio_21606``
================================  =========  ======================================================
"""

from __future__ import annotations

import ssl
from base64 import b64encode
from typing import Final
from urllib.parse import urlencode

from msgspec import Struct

from geoengine.core.model import SmsSpec
from geoengine.levers.answers import retry_after_ms
from geoengine.levers.base import Receipt
from geoengine.levers.sms.lever import TIMEOUT_S, Sms
from geoengine.levers.web import Answered, Lost, Web

URL: Final = "https://api.twilio.com"
_STOPPED: Final = {21610}
_NO_NUMBER: Final = {21211, 21614}
# How long Twilio may keep a message in its queue: what it allows, in seconds.
_VALIDITY_MIN_S, _VALIDITY_MAX_S = 1, 36_000


class _Refusal(Struct):
    code: int | None = None
    message: str = ""


class Twilio:
    """One account."""

    def __init__(
        self,
        spec: SmsSpec,
        token: str,
        *,
        url: str = URL,
        tls: ssl.SSLContext | None = None,
        timeout_s: float = TIMEOUT_S,
    ) -> None:
        self._url = f"{url.rstrip('/')}/2010-04-01/Accounts/{spec.account}/Messages.json"
        self._from = (
            {"MessagingServiceSid": spec.messaging_service}
            if spec.messaging_service
            else {"From": spec.sender or ""}
        )
        credentials = b64encode(f"{spec.account}:{token}".encode()).decode()
        self._headers = {
            "authorization": f"Basic {credentials}",
            "content-type": "application/x-www-form-urlencoded",
        }
        self._web = Web(timeout_s, tls=tls)

    async def submit(self, sms: Sms, now_ms: int) -> Receipt:
        """Hand one message over."""
        validity_s = min(max(sms.life_s, _VALIDITY_MIN_S), _VALIDITY_MAX_S)
        form = self._from | {"To": sms.number, "Body": sms.text, "ValidityPeriod": str(validity_s)}
        if sms.status_url:
            form["StatusCallback"] = sms.status_url
        try:
            answer = await self._web.post(self._url, urlencode(form).encode(), self._headers)
        except Lost as lost:
            return lost.receipt(is_repeatable=False)
        return receipt_of(answer, now_ms)

    async def close(self) -> None:
        """Close the connections."""
        await self._web.close()


def receipt_of(answer: Answered, now_ms: int) -> Receipt:
    """What Twilio's answer makes of a message."""
    if 200 <= answer.status < 300:
        return Receipt("delivered")
    refusal = answer.read(_Refusal) or _Refusal()
    # Twilio repeats the number in some of its texts: the code tells as much.
    detail = f"code {refusal.code}" if refusal.code else ""
    if refusal.code in _STOPPED:
        return Receipt("gone", "opted_out", detail=detail)
    if refusal.code in _NO_NUMBER:
        return Receipt("gone", "address_dead", detail=detail)
    if answer.status in (401, 403):
        return Receipt("retry", "bad_credentials", detail=detail)
    if answer.status in (429, 503):
        wait_ms = retry_after_ms(answer.headers.get("retry-after", ""), now_ms)
        return Receipt("retry", f"http_{answer.status}", wait_ms, detail)
    if answer.status >= 500:
        return Receipt("ambiguous", f"http_{answer.status}", detail=detail)
    return Receipt("refused", f"twilio_{refusal.code or answer.status}")
