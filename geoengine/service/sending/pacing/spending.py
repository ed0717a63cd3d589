"""What a day's SMS may cost (`engine.sms.daily_spend`), taken before each message leaves.

News of somebody's own order goes out all the same, and counts: what it costs is then missing for
advertisements. Money once taken for a message is not given back, also where its provider refuses
it: the day ends early rather than late. A message counts once, however often it is tried and by
whichever process: that it is paid for stands on a card of its own. Whoever falls over between
taking the money and writing that card takes it twice.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import msgspec

from geoengine.core.book import Book
from geoengine.core.calendar import rfc3339
from geoengine.core.errors import StateConflict, StateUnavailable
from geoengine.core.ids import digest
from geoengine.core.model import SmsSpec
from geoengine.core.record import Record, Send
from geoengine.core.saying.segments import segments_sent
from geoengine.core.units import DAY_MS
from geoengine.levers.said import said
from geoengine.levers.sms.lever import cost_of, text_of
from geoengine.service.sending.preparing import Prepared
from geoengine.state.agreeing import amend_card
from geoengine.state.base import Card, Cards

SPEND_CAP: Final = "spend_cap"
_KEPT_MS: Final = 2 * DAY_MS  # cards outlive their day by this: clocks of machines differ
_UNITS: Final = 10_000  # a hundredth of a cent is one: sums of whole numbers stay exact


class Spending:
    """The day's purse, one for all processes."""

    def __init__(self, state: Cards, book_of: Callable[[], Book]) -> None:
        self._state = state
        self._book_of = book_of

    async def prepare(self, send: Send, record: Record, now_ms: int) -> Prepared:
        """Let a message go if the day can pay for it, or has."""
        spec = self._book_of().engine.spec.sms
        if send.lever != "sms" or spec is None or spec.daily_spend is None:
            return Prepared(send)
        receipt = f"paid/{digest('sms', send.send_id)}"
        if await self._state.cards([receipt]):
            return Prepared(send)
        try:
            if not await self._is_paid(send, spec, spec.daily_spend, now_ms):
                return Prepared(send, SPEND_CAP)
            until_ms = send.expires_ms + _KEPT_MS
            await self._state.put_card(Card(receipt, b"1", until_ms=until_ms), now_ms)
        except StateConflict as conflict:
            raise StateUnavailable("the day's purse is in too many hands") from conflict
        return Prepared(send)

    async def _is_paid(self, send: Send, spec: SmsSpec, daily_spend: float, now_ms: int) -> bool:
        units, cap_units = _units(send, spec), round(daily_spend * _UNITS)
        is_bound, is_paid = not said(send).is_transactional, False

        def change(card: Card) -> Card | None:
            nonlocal is_paid
            spent = int(card.body or b"0") + units
            is_paid = spent <= cap_units or not is_bound
            if not is_paid:
                return None
            until_ms = now_ms + DAY_MS + _KEPT_MS
            return msgspec.structs.replace(card, body=str(spent).encode(), until_ms=until_ms)

        await amend_card(self._state, f"spent/sms/{rfc3339(now_ms)[:10]}", change, now_ms)
        return is_paid


def _units(send: Send, spec: SmsSpec) -> int:
    return round(cost_of(segments_sent(text_of(send, spec.stop)), spec) * _UNITS)
