"""Brevo's SMS. An advertisement goes as ``marketing``: only so does Brevo keep to the hours and
fill in ``[STOP_CODE]``; news of somebody's order goes as ``transactional``, at any hour.

================================  =========  ======================================================
answer                            receipt    why
================================  =========  ======================================================
201                               delivered  Brevo has it; what the network says comes later
401, 403                          retry      our key: somebody may mend it in time
402                               retry      no credit left: somebody may buy some in time
429, 503                          retry      after ``x-sib-ratelimit-reset`` seconds
500, 502, 504, a lost answer      ambiguous  it may have been taken
any other 4xx                     refused    by Brevo's code, ``brevo_invalid_parameter``
================================  =========  ======================================================

Brevo has no code for a number that cannot be, and its texts are no contract: no number is thrown
away for them. Whoever says STOP to Brevo's number is told of by its webhook.
"""

from __future__ import annotations

import re
import ssl
from typing import Final

import msgspec
from msgspec import Struct

from geoengine.core.model import SmsSpec
from geoengine.core.units import SECOND_MS
from geoengine.levers.answers import retry_after_ms
from geoengine.levers.base import Receipt
from geoengine.levers.sms.account import Account, Request, usual
from geoengine.levers.sms.lever import TIMEOUT_S, Sms
from geoengine.levers.web import Answered

URL: Final = "https://api.brevo.com"
PATH: Final = "/v3/transactionalSMS/send"
NO_CREDIT_WAIT_MS: Final = 60 * SECOND_MS  # credit is bought by people: no use to ask sooner
# How its words for somebody who said STOP begin, wherever it tells of them.
STOPPED: Final = ("unsub", "blacklist", "blocklist")
_CODE = re.compile(r"^[a-z_]{1,40}$")


class _Refusal(Struct):
    code: str = ""


class Brevo(Account):
    """One account."""

    def __init__(
        self,
        spec: SmsSpec,
        key: str,
        *,
        url: str = URL,
        tls: ssl.SSLContext | None = None,
        timeout_s: float = TIMEOUT_S,
    ) -> None:
        super().__init__(tls, timeout_s)
        self._url = url.rstrip("/") + PATH
        self._sender = (spec.sender or "").removeprefix("+")
        self._headers = {"api-key": key, "content-type": "application/json"}

    def request_of(self, sms: Sms) -> Request:
        """The JSON that Brevo takes."""
        body: dict[str, object] = {
            "sender": self._sender,
            "recipient": sms.number.removeprefix("+"),
            "content": sms.text,
            "type": "marketing" if sms.is_marketing else "transactional",
            "unicodeEnabled": not sms.is_gsm,
        }
        if sms.status_url:
            body["webUrl"] = sms.status_url
        return Request(self._url, msgspec.json.encode(body), self._headers)

    def receipt_of(self, answer: Answered, now_ms: int) -> Receipt:
        """What Brevo's answer makes of a message; of its texts nothing is kept, they repeat
        numbers.
        """
        code = _code(answer)
        if answer.status == 402:
            return Receipt("retry", "no_credit", NO_CREDIT_WAIT_MS, code)
        known = usual(answer, _wait_ms(answer, now_ms), code)
        return known or Receipt("refused", f"brevo_{code or answer.status}")


def _wait_ms(answer: Answered, now_ms: int) -> int:
    asked = answer.headers.get("x-sib-ratelimit-reset") or answer.headers.get("retry-after", "")
    return retry_after_ms(asked, now_ms)


def _code(answer: Answered) -> str:
    code = (answer.read(_Refusal) or _Refusal()).code
    return code if _CODE.match(code) else ""
