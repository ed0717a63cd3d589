"""What is cut short between two writes is done by the next try, once; and codes as bars."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

import pytest
from msgspec.structs import replace

from geoengine.core.book import Book
from geoengine.core.errors import StateUnavailable
from geoengine.core.model import Coupon, EngineSpec, MeasureSpec, WebhookSpec
from geoengine.core.offers import coupons, redeeming
from geoengine.core.offers.redeeming import Issued
from geoengine.core.record import Consent, HeldCoupon, Record, Send
from geoengine.service.coupons.bars import code128, ean13
from geoengine.service.coupons.desk import EMPTY, Desk
from geoengine.service.coupons.pools import Pools
from geoengine.service.coupons.till import Asked, Refusal, Till
from geoengine.state.base import Card, Change, Commit
from geoengine.state.local import LocalState
from tests.core.world import NOON_MS, World, a_campaign, a_store
from tests.service.dispatching import a_row

UNTIL_MS = NOON_MS + 3_600_000


class Failing(LocalState):
    """A state that can be written so many times more, and then cannot."""

    def __init__(self) -> None:
        super().__init__(None)
        self.left = 1 << 30

    def _spend(self) -> None:
        if self.left <= 0:
            raise StateUnavailable("the disk is gone")
        self.left -= 1

    async def commit(self, commit: Commit) -> None:
        """Write it, if that is still possible."""
        self._spend()
        await super().commit(commit)

    async def put_card(self, card: Card, now_ms: int) -> Card:
        """Put it, if that is still possible."""
        self._spend()
        return await super().put_card(card, now_ms)


def a_book(coupon: Coupon | None = None) -> Book:
    """A shop whose campaign gives coupons, told to a webhook."""
    engine = EngineSpec(
        measure=MeasureSpec(consent="location"),
        webhook=WebhookSpec(url="http://127.0.0.1:9/", events=["*"]),
    )
    campaigns = [a_campaign(coupon=coupon or Coupon(kind="unique", valid="1h"))]
    return World([a_store()], campaigns=campaigns, engine=engine).book().keyed(b"key")


@dataclass
class Shop:
    """A state, a desk and a till over it."""

    state: Failing
    pools: Pools
    desk: Desk
    till: Till

    @classmethod
    async def open(cls, book: Book) -> Shop:
        """With the state open."""
        state = Failing()
        await state.open()
        pools = Pools(state, lambda: NOON_MS)
        desk = Desk(state, pools, lambda: book, lambda: NOON_MS)
        return cls(state, pools, desk, Till(state, lambda: book, lambda: NOON_MS))


async def with_coupon(shop: Shop) -> str:
    code = coupons.unique_code("t1", b"key")
    issued = Issued(code, "unique", "hello", "t1", "shop", "store", NOON_MS, UNTIL_MS, "given")
    card = Card(coupons.card_name(code), redeeming.packed(issued), 0, "ann")
    await shop.state.put_card(card, NOON_MS)
    record = Record("ann", consents={"location": Consent(True, 1, 0)})
    record.coupons = [HeldCoupon("t1", "hello", "shop", code, NOON_MS, UNTIL_MS)]
    await shop.state.commit(Commit("give", (Change(record, None),)))
    return code


@pytest.mark.parametrize("writes", [0, 1, 2])
async def test_a_redemption_cut_short_is_told_once_by_the_next_try(writes: int) -> None:
    shop = await Shop.open(a_book())
    asked = Asked(await with_coupon(shop), "shop", NOON_MS, "5.00", "EUR", "r1")
    shop.state.left = writes
    with pytest.raises(StateUnavailable):
        await shop.till.redeem(asked)
    shop.state.left = 1 << 30
    for _ in range(3):
        told = await shop.till.redeem(asked)
        assert told.is_first
    assert [fact.kind for fact in await shop.state.facts("ann")] == ["redeemed"]
    assert (await shop.state.load(["ann"]))["ann"].coupons[0].is_redeemed
    rows = [row.send.event["type"] for row in await shop.state.sends()]
    assert rows == ["geoengine.coupon.redeemed"]


@pytest.mark.parametrize("writes", [0, 1, 2])
@pytest.mark.parametrize("why", ["mistake", "refund"])
async def test_a_redemption_taken_back_and_cut_short_is_told_once(writes: int, why: Any) -> None:
    shop = await Shop.open(a_book())
    asked = Asked(await with_coupon(shop), "shop", NOON_MS, "5.00", "EUR", "r1")
    await shop.till.redeem(asked)
    shop.state.left = writes
    with pytest.raises(StateUnavailable):
        await shop.till.take_back(asked.code, why, None)
    shop.state.left = 1 << 30
    again = replace_id(asked, "r2")
    told = await shop.till.redeem(again) if writes else await shop.till.redeem(asked)
    assert told.is_first == (not writes or why == "mistake")
    kinds = sorted(fact.kind for fact in await shop.state.facts("ann"))
    expected = {0: ["redeemed"], 1: ["redeemed", "taken_back"]}[min(writes, 1)]
    assert kinds == sorted([*expected, *(["redeemed"] if writes and why == "mistake" else [])])


def replace_id(asked: Asked, name: str) -> Asked:
    return Asked(asked.code, asked.store_id, asked.at_ms, asked.amount, asked.currency, name)


@pytest.mark.parametrize("writes", [0, 1, 2])
async def test_a_claim_cut_short_takes_no_second_code(writes: int) -> None:
    shop = await Shop.open(a_book())
    await shop.pools.upload("summer", [f"SUN-{ix}" for ix in range(300)])
    shop.state.left = writes
    with pytest.raises(StateUnavailable):
        await shop.pools.claim("summer", "t1")
    shop.state.left = 1 << 30
    fresh = Pools(shop.state, lambda: NOON_MS)  # another process, or this one after a restart
    codes = {await fresh.claim("summer", "t1") for _ in range(3)}
    assert len(codes) == 1
    assert (await Pools(shop.state, lambda: NOON_MS).shelf("summer")).free_count == 299


async def test_a_message_that_never_left_gives_its_code_back() -> None:
    book = a_book(Coupon(kind="pool", pool="summer", valid="1h"))
    shop = await Shop.open(book)
    await shop.pools.upload("summer", ["SUN-1"])
    first, second = (_a_message(name) for name in ("t1", "t2"))
    given = await shop.desk.prepare(first, Record("ann"), NOON_MS)
    assert given == await shop.desk.prepare(first, Record("ann"), NOON_MS)
    assert given.send.event["data"]["message"]["body"] == "Use SUN-1"
    assert (await shop.desk.prepare(second, Record("bob"), NOON_MS)).why_not == EMPTY
    await shop.desk.release(first)
    with pytest.raises(Refusal, match="coupon_released"):
        await shop.till.redeem(Asked("SUN-1", "shop", NOON_MS))
    later = await shop.desk.prepare(second, Record("bob"), NOON_MS)
    assert later.send.event["data"]["coupon"]["code"] == "SUN-1" and not later.why_not
    told = await shop.till.redeem(Asked("SUN-1", "shop", NOON_MS))
    assert (told.issued.trigger_id, told.person_id) == ("t2", "ada")


def _a_message(trigger_id: str) -> Send:
    said = {
        "zone_id": "shop",
        "message": {"body": "Use {code}"},
        "coupon": {"code": "{code}", "valid_until": "x"},
    }
    row = a_row(trigger_id, event={"type": "geoengine.trigger.fired", "data": said})
    return replace(row, trigger_id=trigger_id)


async def test_uploads_at_once_bring_each_code_once() -> None:
    shop = await Shop.open(a_book())
    codes = [f"SUN-{ix}" for ix in range(1_000)]
    both = [Pools(shop.state, lambda: NOON_MS) for _ in range(4)]
    told = await asyncio.gather(*(pools.upload("summer", codes) for pools in both))
    assert sum(one.added for one in told) == 1_000
    assert (await Pools(shop.state, lambda: NOON_MS).shelf("summer")).code_count == 1_000


# As an independent reader (ZXing) reads them.
def test_bars_are_as_readers_expect() -> None:
    # Start B, A, 1, check, stop.
    assert code128("A1") == (
        "11010010000" "10100011000" "10011100110" "10000100110" "1100011101011"
    )  # fmt: skip
    # Pairs of digits: start C, 12, 34, check, stop.
    assert len(code128("1234")) == 11 * 4 + 13
    assert len(code128("AB1234")) == 11 * 7 + 13
    assert ean13("4006381333931") == (
        "101" "0001101" "0100111" "0101111" "0111101" "0001001" "0110011" "01010"
        "1000010" "1000010" "1000010" "1110100" "1000010" "1100110" "101"
    )  # fmt: skip


@pytest.mark.parametrize("text", ["", "é", "\n"])
def test_what_a_barcode_cannot_hold_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        code128(text)
    with pytest.raises(ValueError):
        ean13("4006381333932")
