"""The SMS lever: a text with the way out in it, counted before it is sent.

A phone shows every copy of an SMS, no provider knows ours by an id, and each is paid for. So an
attempt that may have arrived is never repeated: it ends as ``ambiguous``, with what it may have
cost. Tried again is only what a provider says it has not taken, or what never reached it.
"""

from __future__ import annotations

import re
from typing import NamedTuple, Protocol

import msgspec

from geoengine.core.model import SmsSpec
from geoengine.core.record import Send
from geoengine.core.saying.segments import Segments, segments_sent, with_stop
from geoengine.levers.base import Limits, Receipt
from geoengine.levers.said import life_s, said

TIMEOUT_S = 15.0  # cut off early, a message may have gone and is not counted as sent
_E164 = re.compile(r"^\+[1-9][0-9]{6,14}$")

# The key of an event's data under which stands where the provider tells what became of it; put
# there before a message leaves.
STATUS_URL = "status_url"


class Sms(NamedTuple):
    """One message as a provider is given it."""

    number: str  # E.164
    text: str
    is_gsm: bool
    is_marketing: bool
    life_s: int  # after which it is too late
    status_url: str  # where the provider tells what became of it; "" for nowhere


class Provider(Protocol):
    """Whoever hands an SMS to the networks."""

    async def submit(self, sms: Sms, now_ms: int) -> Receipt:
        """Make one attempt."""
        ...

    async def close(self) -> None:
        """Let go of connections."""
        ...


def text_of(send: Send, stop: str | None) -> str:
    """What is sent: the message's body, and of an advertisement how to opt out of more."""
    what = said(send)
    return what.body if what.is_transactional else with_stop(what.body, stop)


def cost_of(size: Segments, spec: SmsSpec) -> float:
    """What a message of this size costs, in units of the currency; to a hundredth of a cent, below
    which floats tell nothing.
    """
    return round(size.segment_count * spec.segment_cost, 4)


class SmsLever:
    """Sends by one provider; with none, ``cannot`` says why."""

    name = "sms"
    timeout_s = TIMEOUT_S

    def __init__(
        self,
        spec: SmsSpec,
        provider: Provider | None,
        *,
        cannot: str = "",
    ) -> None:
        self.cannot = cannot
        self.limits = Limits(per_s=spec.per_s or 0.0)
        self._spec = spec
        self._provider = provider

    async def send(self, send: Send, now_ms: int) -> Receipt:
        """Send once."""
        text = text_of(send, self._spec.stop)
        size = segments_sent(text)
        if (why := self._fault(send, text, size)) or self._provider is None:
            return Receipt("refused", why or "no_provider", has_left=False)
        sms = Sms(
            number=send.address,
            text=text,
            is_gsm=size.is_gsm,
            is_marketing=not said(send).is_transactional,
            life_s=life_s(send, now_ms),
            status_url=str((send.event.get("data") or {}).get(STATUS_URL) or ""),
        )
        return self._priced(await self._provider.submit(sms, now_ms), size)

    async def close(self) -> None:
        """Close the provider's connections."""
        if self._provider is not None:
            await self._provider.close()

    def _fault(self, send: Send, text: str, size: Segments) -> str:
        if not _E164.match(send.address):
            return "bad_address"
        if not text.strip():
            return "empty"
        return "too_long" if size.segment_count > self._spec.max_segments else ""

    def _priced(self, receipt: Receipt, size: Segments) -> Receipt:
        """With what it costs, where it was or may have been taken."""
        if receipt.status not in ("delivered", "ambiguous"):
            return receipt
        parts = receipt.parts or size.segment_count
        return msgspec.structs.replace(
            receipt,
            parts=parts,
            cost=round(parts * self._spec.segment_cost, 4),
            currency=self._spec.currency if self._spec.segment_cost else "",
        )
