"""The till: redeem a code, look at one, take a redemption back.

Whoever writes the redemption on the code's card first has it; everybody after is told of that one.
Then `noting` sees to it that others hear of it. A crash in between leaves it on the card, not
noted: whoever brings the code next has it noted then.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import msgspec
from msgspec.structs import replace

from geoengine.core.book import Book, CampaignPlan
from geoengine.core.calendar import duration_ms, rfc3339
from geoengine.core.engine import Outcome
from geoengine.core.ids import digest
from geoengine.core.offers import coupons, redeeming
from geoengine.core.offers.redeeming import Issued, Redemption, Taken
from geoengine.service.coupons import shared
from geoengine.service.coupons.noting import Notes, is_same
from geoengine.service.coupons.shared import Use
from geoengine.state.agreeing import amend_card
from geoengine.state.base import Card, State


@dataclass(frozen=True, slots=True)
class Refusal(Exception):
    """Why a code is not good here; the reason is stable, and a problem's kind."""

    reason: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Asked:
    """What a till says."""

    code: str
    store_id: str
    at_ms: int
    amount: str = ""
    currency: str = ""
    redemption_id: str = ""
    person_id: str = ""


@dataclass(frozen=True, slots=True)
class Told:
    """The redemption that counts, of which code; whether it is the asker's."""

    issued: Issued
    redemption: Redemption
    is_first: bool
    person_id: str


class Till:
    """Answers for all tills."""

    def __init__(
        self,
        state: State,
        book_of: Callable[[], Book],
        clock: Callable[[], int],
        on_outcome: Callable[[Outcome], None] = lambda outcome: None,
    ) -> None:
        self._state = state
        self._book_of = book_of
        self._clock = clock
        self._notes = Notes(state, book_of, clock, on_outcome)

    # -- redeem -----------------------------------------------------------------------------------

    async def redeem(self, asked: Asked) -> Told:
        """The redemption that counts. Raises `Refusal` where the code is not good here."""
        redemption = _redemption_of(asked)
        if (plan := self._shared(asked.code)) is not None:
            return await self._redeem_shared(plan, asked, redemption)
        why = [""]

        def change(card: Card) -> Card | None:
            why[0] = "coupon_unknown"
            if not card.body:
                return None
            issued = redeeming.unpacked(card.body)
            was_used = issued.is_used
            why[0] = redeeming.redeem(issued, redemption, self._fits(asked.store_id))
            if why[0] or was_used:
                return None
            return replace(card, body=redeeming.packed(issued))

        card = await amend_card(self._state, coupons.card_name(asked.code), change, self._clock())
        if why[0]:
            raise Refusal(why[0], self._detail(why[0], card))
        issued = redeeming.unpacked(card.body)
        counting = issued.redemption
        assert counting is not None
        if not counting.is_noted:
            await self._notes.redeemed(issued, counting, card)
        if counting.taken_back and not counting.is_back_noted:
            await self._notes.taken_back(issued, counting, card, None)
            return await self.redeem(asked)  # it may be good again
        return Told(issued, counting, is_same(counting, redemption), card.owner)

    async def _redeem_shared(self, plan: CampaignPlan, asked: Asked, own: Redemption) -> Told:
        coupon, now_ms = plan.spec.coupon, self._clock()
        assert coupon is not None
        if not asked.redemption_id:
            raise Refusal("malformed", "redemption_id: a code that all share is told apart by it.")
        person_id, trigger_id = await self._holder(asked.person_id, plan)
        issued = _issued(plan, trigger_id)
        use = Use(plan.id, own, trigger_id)
        known = (await self._state.cards([name := self._use_name(asked)])).get(name)
        if known is None and (
            why := redeeming.why_not(issued, asked.at_ms, self._fits(asked.store_id))
        ):
            raise Refusal(why)
        kept_ms = duration_ms(self._book_of().engine.spec.retention.codes)
        card = known or await shared.use(self._state, coupon, use, person_id, now_ms, kept_ms)
        if card is None:
            raise Refusal("coupon_used_up", f"It counts {coupon.limit} times.")
        use = shared.use_of(card)
        issued = _issued(plan, use.trigger_id)
        if not use.redemption.is_noted:
            await self._notes.redeemed(issued, use.redemption, card)
        return Told(issued, use.redemption, is_same(use.redemption, own), card.owner)

    def _use_name(self, asked: Asked) -> str:
        return shared.use_name(asked.code, asked.redemption_id)

    async def _holder(self, person_id: str, plan: CampaignPlan) -> tuple[str, str]:
        """Who brings a shared code, where the till knows, and the trigger they have it from."""
        if not person_id:
            return "", ""
        (owner,) = await self._state.owners([person_id])
        record = (await self._state.load([owner])).get(owner)
        held = [] if record is None else [c for c in record.coupons if c.campaign_id == plan.id]
        return owner, held[-1].trigger_id if held else ""

    # -- look -------------------------------------------------------------------------------------

    async def look(self, code: str, store_id: str = "", redemption_id: str = "") -> Told | Issued:
        """What is known of a code, and its redemption if it has one. Raises `Refusal` for a code
        nobody knows, or that is not good at the store that is named.
        """
        if (plan := self._shared(code)) is not None:
            name = shared.use_name(code, redemption_id)
            card = (await self._state.cards([name])).get(name) if redemption_id else None
            if card is None:
                return self._fitting(_issued(plan, ""), store_id)
            use = shared.use_of(card)
            return Told(_issued(plan, use.trigger_id), use.redemption, True, card.owner)
        name = coupons.card_name(code)
        card = (await self._state.cards([name])).get(name)
        if card is None:
            raise Refusal("coupon_unknown")
        issued = redeeming.unpacked(card.body)
        if issued.redemption is None:
            return self._fitting(issued, store_id)
        return Told(issued, issued.redemption, True, card.owner)

    def _fitting(self, issued: Issued, store_id: str) -> Issued:
        if store_id and not self._fits(store_id)(issued):
            raise Refusal("coupon_wrong_store")
        return issued

    # -- take back --------------------------------------------------------------------------------

    async def take_back(
        self, code: str, why: Taken, store_id: str | None, redemption_id: str = ""
    ) -> Told:
        """Take a redemption back; with a store, only that store's own. Raises `Refusal`."""
        plan = self._shared(code)
        name = coupons.card_name(code) if plan is None else shared.use_name(code, redemption_id)
        now_ms = self._clock()
        reason = [""]

        def change(card: Card) -> Card | None:
            reason[0] = "redemption_unknown"
            if not card.body:
                return None
            issued = self._on_card(card, plan)
            redemption = issued.last
            if redemption is None or redemption_id not in ("", redemption.redemption_id):
                return None
            if store_id is not None and redemption.store_id != store_id:
                reason[0] = "coupon_wrong_store"
                return None
            was_back = bool(redemption.taken_back)
            reason[0] = redeeming.take_back(issued, why, now_ms)
            return None if was_back else _rewritten(card, issued, plan)

        card = await amend_card(self._state, name, change, now_ms)
        if reason[0]:
            raise Refusal(reason[0])
        issued = self._on_card(card, plan)
        redemption = issued.last
        assert redemption is not None
        if not redemption.is_back_noted:
            await self._notes.taken_back(issued, redemption, card, plan)
        return Told(issued, redemption, True, card.owner)

    # -- what codes and stores are ----------------------------------------------------------------

    def _shared(self, code: str) -> CampaignPlan | None:
        """The campaign whose shared code this is."""
        key = coupons.normalised(code)
        for plan in self._book_of().campaigns:
            coupon = plan.spec.coupon
            if (
                coupon is not None
                and coupon.kind == "shared"
                and (coupons.normalised(coupon.code or "") == key)
            ):
                return plan
        return None

    def _on_card(self, card: Card, plan: CampaignPlan | None) -> Issued:
        if plan is None:
            return redeeming.unpacked(card.body)
        use = shared.use_of(card)
        issued = _issued(plan, use.trigger_id)
        issued.redemption = use.redemption
        return issued

    def _fits(self, store_id: str) -> Callable[[Issued], bool]:
        """Whether codes count at a store."""
        book = self._book_of()

        def fits(issued: Issued) -> bool:
            if issued.scope == "anywhere" or store_id == issued.store_id != "":
                return True
            if issued.scope == "store" and issued.store_id:
                return False
            return book.has_campaign_at(issued.campaign_id, store_id)

        return fits

    def _detail(self, why: str, card: Card) -> str:
        """What a cashier can tell the customer."""
        if not card.body:
            return ""
        issued = redeeming.unpacked(card.body)
        told = {
            "coupon_expired": f"It ended {rfc3339(issued.until_ms)}.",
            "coupon_not_yet": f"It begins {rfc3339(issued.from_ms)}.",
            "coupon_wrong_store": f"It counts at {issued.store_id}." if issued.store_id else "",
        }
        return told.get(why, "")


def _rewritten(card: Card, issued: Issued, plan: CampaignPlan | None) -> Card:
    if plan is None:
        return replace(card, body=redeeming.packed(issued))
    use = shared.use_of(card)
    assert issued.redemption is not None
    use.redemption = issued.redemption
    return replace(card, body=msgspec.msgpack.encode(use))


def _redemption_of(asked: Asked) -> Redemption:
    name = asked.redemption_id or digest(
        "redemption", coupons.normalised(asked.code), asked.store_id, asked.at_ms
    )
    return Redemption(name, asked.store_id, asked.at_ms, asked.amount, asked.currency)


def _issued(plan: CampaignPlan, trigger_id: str) -> Issued:
    """A shared code as if it had a card: good while its campaign lives, and as long after as a
    coupon given at the last moment.
    """
    coupon = plan.spec.coupon
    assert coupon is not None
    scope = "campaign" if coupon.redeem_at == "store" else coupon.redeem_at  # it names no trigger
    return Issued(
        coupon.code or "", "shared", plan.id, trigger_id, "", scope,
        plan.live_from_ms, plan.live_until_ms + plan.coupon_valid_ms, "given",
    )  # fmt: skip
