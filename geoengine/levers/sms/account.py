"""An account with a provider of SMS: one HTTPS request a message, whosever API it is."""

from __future__ import annotations

import ssl
from abc import abstractmethod
from typing import NamedTuple

from geoengine.levers.base import Receipt
from geoengine.levers.sms.lever import Sms
from geoengine.levers.web import Answered, Lost, Web


class Request(NamedTuple):
    """One message as a provider's API takes it."""

    url: str
    body: bytes
    headers: dict[str, str]


class Account:
    """What is the same by every provider. Each tells how it is asked, and what its answers mean."""

    def __init__(self, tls: ssl.SSLContext | None, timeout_s: float) -> None:
        self._web = Web(timeout_s, tls=tls)

    @abstractmethod
    def request_of(self, sms: Sms) -> Request:
        """How the provider is asked to send a message."""

    @abstractmethod
    def receipt_of(self, answer: Answered, now_ms: int) -> Receipt:
        """What its answer makes of the message."""

    async def submit(self, sms: Sms, now_ms: int) -> Receipt:
        """Hand one message over; where no answer comes it is not handed over again."""
        try:
            answer = await self._web.post(*self.request_of(sms))
        except Lost as lost:
            return lost.receipt(is_repeatable=False)
        return self.receipt_of(answer, now_ms)

    async def close(self) -> None:
        """Close the connections."""
        await self._web.close()


def usual(answer: Answered, wait_ms: int, detail: str) -> Receipt | None:
    """What an answer's status means by any provider; None for a refusal, which each words its own
    way. ``wait_ms`` is how long it asks to be left alone.
    """
    if 200 <= answer.status < 300:
        return Receipt("delivered")
    if answer.status in (401, 403):
        return Receipt("retry", "bad_credentials", detail=detail)
    if answer.status in (429, 503):
        return Receipt("retry", f"http_{answer.status}", wait_ms, detail)
    if answer.status >= 500:
        return Receipt("ambiguous", f"http_{answer.status}", detail=detail)
    return None
