"""Twilio's Messages API.

================================  =========  ======================================================
answer                            receipt    why
================================  =========  ======================================================
201                               delivered  Twilio has it; what the network says comes later
21610                             gone       this number said STOP to this sender
21211, 21614, 21635               gone       no number, none that takes SMS, a landline
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
from geoengine.levers.sms.account import Account, Request, usual
from geoengine.levers.sms.lever import TIMEOUT_S, Sms
from geoengine.levers.web import Answered

URL: Final = "https://api.twilio.com"
# https://www.twilio.com/docs/api/errors: codes that stay true of a number, whoever writes to it.
STOPPED: Final = frozenset({21610})
NO_NUMBER: Final = frozenset({21211, 21614, 21635})
# How long Twilio may keep a message in its queue: what it allows, in seconds.
_VALIDITY_MIN_S, _VALIDITY_MAX_S = 1, 36_000


class _Refusal(Struct):
    code: int | None = None


class Twilio(Account):
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
        super().__init__(tls, timeout_s)
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

    def request_of(self, sms: Sms) -> Request:
        """The form that Twilio takes."""
        validity_s = min(max(sms.life_s, _VALIDITY_MIN_S), _VALIDITY_MAX_S)
        form = self._from | {"To": sms.number, "Body": sms.text, "ValidityPeriod": str(validity_s)}
        if sms.status_url:
            form["StatusCallback"] = sms.status_url
        return Request(self._url, urlencode(form).encode(), self._headers)

    def receipt_of(self, answer: Answered, now_ms: int) -> Receipt:
        """What Twilio's answer makes of a message."""
        code = (answer.read(_Refusal) or _Refusal()).code
        # Twilio repeats the number in some of its texts: the code tells as much.
        detail = f"code {code}" if code else ""
        if code in STOPPED:
            return Receipt("gone", "opted_out", detail=detail)
        if code in NO_NUMBER:
            return Receipt("gone", "address_dead", detail=detail)
        wait_ms = retry_after_ms(answer.headers.get("retry-after", ""), now_ms)
        known = usual(answer, wait_ms, detail)
        return known or Receipt("refused", f"twilio_{code or answer.status}")
