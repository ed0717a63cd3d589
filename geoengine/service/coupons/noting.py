"""Where others look: a redemption noted in its holder's record, as a fact and as an event.

All three in one commit, under names that come out the same; then the code's card says that it is
noted. So whatever is cut short is done by the next try, and nothing is counted or told twice.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from uuid import uuid4

import msgspec
from msgspec.structs import replace

from geoengine.core.book import Book, CampaignPlan
from geoengine.core.engine import Outcome
from geoengine.core.ids import digest
from geoengine.core.offers import coupons, redeeming
from geoengine.core.offers.redeeming import Issued, Redemption
from geoengine.core.record import Event, Fact, Json, Record
from geoengine.core.telling.news import news
from geoengine.core.units import SECOND_MS
from geoengine.core.visiting.attendance import PURPOSE
from geoengine.service.coupons import shared
from geoengine.state.agreeing import amend_card
from geoengine.state.amending import Amended, amend
from geoengine.state.base import Card, Commit, State


class Notes:
    """One process's."""

    def __init__(
        self,
        state: State,
        book_of: Callable[[], Book],
        clock: Callable[[], int],
        on_outcome: Callable[[Outcome], None],
    ) -> None:
        self._state = state
        self._book_of = book_of
        self._clock = clock
        self._on_outcome = on_outcome

    async def redeemed(self, issued: Issued, redemption: Redemption, card: Card) -> None:
        """Tell of a redemption, then note on its card that it is told."""
        fact = _fact(issued, redemption, "redeemed")
        await self._tell(card.owner, issued, redemption, "coupon.redeemed", fact, is_used=True)
        await self._mark(card.name, redemption, "is_noted")

    async def taken_back(
        self, issued: Issued, redemption: Redemption, card: Card, plan: CampaignPlan | None
    ) -> None:
        """Tell of a redemption that does not count after all, and let what it held go."""
        is_mistake = redemption.taken_back == "mistake"
        fact = _fact(issued, redemption, "taken_back")
        type_ = "coupon.taken_back"
        await self._tell(card.owner, issued, redemption, type_, fact, is_used=not is_mistake)
        coupon = plan.spec.coupon if plan is not None else None
        if coupon is not None and coupon.limit is not None:
            await shared.give_place_back(self._state, issued.code, self._clock())
        await self._mark(card.name, redemption, "is_back_noted")

    async def _mark(self, name: str, redemption: Redemption, field: str) -> None:
        def change(card: Card) -> Card | None:
            if not card.body:
                return None
            is_use = name.startswith("used/")
            if is_use:
                use = shared.use_of(card)
                setattr(use.redemption, field, True)
                return replace(card, body=msgspec.msgpack.encode(use))
            issued = redeeming.unpacked(card.body)
            if issued.redemption is None or not is_same(issued.redemption, redemption):
                return None
            setattr(issued.redemption, field, True)
            if field == "is_back_noted":
                redeeming.reopen(issued)
            return replace(card, body=redeeming.packed(issued))

        await amend_card(self._state, name, change, self._clock())

    async def _tell(
        self, owner: str, issued: Issued, redemption: Redemption, type_: str, fact: Fact,
        *, is_used: bool,
    ) -> None:  # fmt: skip
        """The record, the fact and the event in one commit."""
        book, now_ms = self._book_of(), self._clock()
        (person_id,) = await self._state.owners([owner]) if owner else ("",)
        event = _event(issued, redemption, type_, person_id, fact.id)
        if not person_id or person_id not in await self._state.load([person_id]):
            # Nobody, or somebody erased: systems hear of it, no person is counted.
            sends = tuple(news(event, Record(person_id), book))
            await self._state.commit(Commit(uuid4().hex, sends=sends, now_ms=now_ms))
            self._on_outcome(Outcome(events=[event], sends=list(sends)))
            return

        def change(record: Record) -> Amended:
            held = coupons.held_by(record, issued.trigger_id)
            if held is not None:
                held.is_redeemed = is_used
            facts = [replace(fact, person_id=person_id)] if _is_measured(record, book) else []
            return Amended(events=[event], facts=facts)

        self._on_outcome(await amend(self._state, book, person_id, change, now_ms))


def is_same(one: Redemption, other: Redemption) -> bool:
    """Whether two are one: tried again, or told again."""
    return _name(one) == _name(other)


def _is_measured(record: Record, book: Book) -> bool:
    """Whether what this person does may be counted as theirs."""
    is_assumed = book.engine.spec.measure.consent == "location"
    return record.agrees(PURPOSE, frozenset({PURPOSE} if is_assumed else ()))


def _fact(issued: Issued, redemption: Redemption, kind: str) -> Fact:
    """What reports count of a redemption, or of one that does not count after all."""
    data: Json = {"coupon": issued.kind}
    if redemption.amount:
        data |= {"amount": float(Decimal(redemption.amount)), "currency": redemption.currency}
    # A receipt may bring the code again after a mistake: that is news of its own.
    again = (len(issued.before),) if issued.before else ()
    name = digest("redeemed", coupons.card_name(issued.code), *_name(redemption), *again)
    if kind == "taken_back":
        after_s = (redemption.taken_back_ms - redemption.at_ms) / SECOND_MS
        data |= {"why": redemption.taken_back, "redeemed": name, "after_s": after_s}
        name = digest("taken_back", name)
    return Fact(
        id=name,
        kind=kind,
        person_id="",
        at_ms=redemption.at_ms,
        store_id=redemption.store_id,
        campaign_id=issued.campaign_id,
        trigger_id=issued.trigger_id,
        data=data,
    )


def _name(redemption: Redemption) -> tuple[str, str]:
    return redemption.redemption_id, redemption.store_id


def _event(issued: Issued, redemption: Redemption, type_: str, person_id: str, name: str) -> Event:
    is_back = type_ == "coupon.taken_back"
    data: Json = {
        "person_id": person_id or None,
        "store_id": redemption.store_id,
        "campaign_id": issued.campaign_id,
        "trigger_id": issued.trigger_id or None,
        "code": issued.code,
        "redemption_id": redemption.redemption_id,
        "amount": redemption.amount or None,
        "currency": redemption.currency or None,
    }
    if is_back:
        data["why"] = redemption.taken_back
    at_ms = redemption.taken_back_ms if is_back else redemption.at_ms
    return Event(digest(type_, name), type_, at_ms, person_id, data)
