"""The desk that gives a message its coupon before it leaves, and takes it back if it never did.

A `Preparer`: the same answer for the same row each time. Every code that leaves has a card before
it does, so that no till meets a code that nobody knows.
"""

from __future__ import annotations

from collections.abc import Callable

from msgspec.structs import replace

from geoengine.core.book import Book, CampaignPlan
from geoengine.core.calendar import duration_ms
from geoengine.core.offers import coupons, redeeming
from geoengine.core.offers.redeeming import Issued
from geoengine.core.record import Event, HeldCoupon, Record, Send
from geoengine.service.coupons.pools import Pools
from geoengine.service.coupons.shared import is_used_up
from geoengine.service.sending.preparing import Prepared
from geoengine.state.agreeing import amend_card
from geoengine.state.base import Card, State

EMPTY, USED_UP = "coupon_pool_empty", "coupon_used_up"


class Desk:
    """One process's."""

    def __init__(
        self, state: State, pools: Pools, book_of: Callable[[], Book], clock: Callable[[], int]
    ) -> None:
        self._state = state
        self._pools = pools
        self._book_of = book_of
        self._clock = clock

    async def prepare(self, send: Send, record: Record, now_ms: int) -> Prepared:
        """The message with its code, reserved; or why there is none."""
        plan = self._plan(send.campaign_id)
        if send.kind != "trigger" or plan is None:
            return Prepared(send)
        if plan.spec.on == "coupon_expiring":
            return await self._reminding(send, record)
        if plan.spec.coupon is None:
            return Prepared(send)
        if plan.spec.coupon.kind == "shared":
            is_gone = await is_used_up(self._state, plan.spec.coupon)
            return Prepared(send, USED_UP if is_gone else "")
        return await self._given(send, record, plan)

    async def _given(self, send: Send, record: Record, plan: CampaignPlan) -> Prepared:
        """The message with a code of its own."""
        issued = _issued(send, record, plan)
        if issued.kind == "pool" and plan.spec.coupon is not None:
            issued.code = await self._pools.claim(
                plan.spec.coupon.pool or "",
                send.trigger_id,
                send.person_id,
                self._kept_until_ms(issued),
            )
            if not issued.code:
                return Prepared(send, EMPTY)
        await self._put(issued, send.person_id)
        return Prepared(_with_code(send, issued.code))

    async def _put(self, issued: Issued, person_id: str, *, is_new: bool = False) -> None:
        """Write the code's card, unless it is there already; one that was released is written anew
        unless only a new one is wanted.
        """
        until_ms = self._kept_until_ms(issued)

        def change(card: Card) -> Card | None:
            if card.body:
                there = redeeming.unpacked(card.body)
                is_theirs = there.trigger_id == issued.trigger_id and there.state != "released"
                if is_new or is_theirs:
                    return None
            return replace(card, body=redeeming.packed(issued), owner=person_id, until_ms=until_ms)

        await amend_card(self._state, coupons.card_name(issued.code), change, self._clock())

    async def _reminding(self, send: Send, record: Record) -> Prepared:
        """A reminder with the code that it is about, unless that is used or gone by now."""
        about = str((send.event["data"].get("coupon") or {}).get("trigger_id", ""))
        held = coupons.held_by(record, about)
        if held is None or held.is_redeemed:
            return Prepared(send, "coupon_redeemed" if held else "coupon_released")
        return Prepared(_with_code(send, await self.code_of(held)))

    async def code_of(self, held: HeldCoupon) -> str:
        """The code of a coupon in somebody's hands; "" where a pool has yet to give it."""
        return held.code or await self._pools.claimed(held.trigger_id)

    async def shown(self, held: HeldCoupon, person_id: str) -> str:
        """The code of a coupon for who holds it: what they can see, tills know, though its message
        may still wait for a provider that is down.
        """
        plan = self._plan(held.campaign_id)
        coupon = None if plan is None else plan.spec.coupon
        is_over = held.is_redeemed or self._clock() >= held.until_ms  # its card may be gone by age
        if coupon is None or coupon.kind != "unique" or not held.code or is_over:
            return await self.code_of(held)
        issued = Issued(
            held.code, "unique", held.campaign_id, held.trigger_id, held.store_id,
            coupon.redeem_at, held.from_ms, held.until_ms,
        )  # fmt: skip
        await self._put(issued, person_id, is_new=True)
        return held.code

    # -- what became of the message ---------------------------------------------------------------

    async def on_event(self, event: Event) -> None:
        """A message that was delivered has given its code away for good."""
        if event.type != "trigger.delivered":
            return
        trigger_id = str(event.data.get("trigger_id", ""))
        await self._mark(str(event.data.get("campaign_id", "")), trigger_id, "given")

    async def release(self, send: Send) -> None:
        """The message certainly reached nobody: its code is good for nothing, or free again."""
        plan = self._plan(send.campaign_id)
        await self._mark(send.campaign_id, send.trigger_id, "released")
        if plan is not None and plan.spec.coupon is not None and plan.spec.coupon.kind == "pool":
            await self._pools.release(send.trigger_id)

    async def _mark(self, campaign_id: str, trigger_id: str, state: redeeming.State) -> None:
        """Note on a code's card what became of it; one that is redeemed by now stays as it is."""
        plan = self._plan(campaign_id)
        if plan is None or plan.spec.coupon is None or plan.spec.coupon.kind == "shared":
            return
        if plan.spec.coupon.kind == "pool":
            code = await self._pools.claimed(trigger_id)
        else:
            code = coupons.unique_code(trigger_id, self._book_of().coupon_key)

        def change(card: Card) -> Card | None:
            issued = redeeming.unpacked(card.body) if card.body else None
            if issued is None or issued.trigger_id != trigger_id or issued.state != "reserved":
                return None
            if issued.is_used:
                return None
            issued.state = state
            return replace(card, body=redeeming.packed(issued))

        if code:
            await amend_card(self._state, coupons.card_name(code), change, self._clock())

    def _kept_until_ms(self, issued: Issued) -> int:
        """Until when a code is remembered after its end."""
        return issued.until_ms + duration_ms(self._book_of().engine.spec.retention.codes)

    def _plan(self, campaign_id: str) -> CampaignPlan | None:
        return self._book_of().plan_of.get(campaign_id)


def _issued(send: Send, record: Record, plan: CampaignPlan) -> Issued:
    """What is to stand on the card of a message's code; a pool's code is yet to come."""
    coupon = plan.spec.coupon
    assert coupon is not None
    held = coupons.held_by(record, send.trigger_id)
    until_ms = send.created_ms + plan.coupon_valid_ms if held is None else held.until_ms
    said = send.event["data"].get("coupon") or {}
    return Issued(
        code=str(said.get("code", "")),
        kind=coupon.kind,
        campaign_id=plan.id,
        trigger_id=send.trigger_id,
        store_id=send.store_id,
        scope=coupon.redeem_at,
        from_ms=send.created_ms,
        until_ms=until_ms,
    )


def _with_code(send: Send, code: str) -> Send:
    """The message with this code wherever it waits for one."""
    event = {**send.event, "data": coupons.filled(send.event["data"], code)}
    return replace(send, event=event)
