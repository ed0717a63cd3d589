"""Codes, what messages say of them, and what records remember."""

from __future__ import annotations

from base64 import b32encode

from hypothesis import given
from hypothesis import strategies as st

from geoengine.core.model import Coupon
from geoengine.core.offers import coupons
from geoengine.core.offers.coupons import (
    CODE_CHARS,
    HELD_MAX,
    KEPT_MS,
    PENDING,
    _base32,
    check_key,
    filled,
    is_sound,
    normalised,
    unique_code,
)
from geoengine.core.record import HeldCoupon, Record, Transition
from tests.core.world import NOON_MS, Walk, World, a_campaign

KEY = b"a key"


def walk(**more: object) -> Walk:
    """A shop whose campaign gives coupons."""
    facts = {"message": {"en": "Use {code}"}, "coupon": Coupon(kind="unique", valid="2h")} | more
    return Walk(World(campaigns=[a_campaign(**facts)]).book().keyed(KEY))


async def held_by_ann(ann: Walk) -> list[HeldCoupon]:
    records = await ann.state.load(["ann"])
    return records["ann"].coupons if "ann" in records else []


@given(st.binary(min_size=8, max_size=8))
def test_a_code_is_written_in_base_32(hashed: bytes):
    number = int.from_bytes(hashed) >> 14
    assert _base32(number, 10) == b32encode(hashed).decode()[:10]


@given(st.text(max_size=40), st.binary(max_size=64), st.binary(max_size=64))
def test_a_code_is_sound_for_whoever_holds_its_check_key(trigger: str, key: bytes, other: bytes):
    code = unique_code(trigger, key) if trigger.isascii() else unique_code("t", key)
    assert len(code) == CODE_CHARS
    assert is_sound(f" {code[:6].lower()}-{code[6:]} ", check_key(key))
    assert not is_sound(code[:-1], check_key(key))


def test_of_slips_and_inventions_one_in_a_thousand_passes():
    code, key = unique_code("t1", KEY), check_key(KEY)
    slips = [code[:ix] + sign + code[ix + 1 :] for ix in range(CODE_CHARS) for sign in "ABCDEF"]
    passed = [slip for slip in slips if slip != code and is_sound(slip, key)]
    assert len(passed) <= 1
    others = [unique_code(f"t{ix}", b"another key") for ix in range(20_000)]
    assert 5 <= sum(is_sound(other, key) for other in others) <= 45  # 20,000 / 1,024 is 20


def test_a_code_tells_nothing_of_the_next():
    codes = {unique_code(f"t{ix}", KEY) for ix in range(50_000)}
    assert len(codes) == 50_000
    assert len({code[:3] for code in codes}) > 20_000  # of 32,768


@given(st.text(max_size=20), st.text("AB", min_size=1, max_size=5))
def test_what_is_filled_in_waits_for_nothing_more(text: str, code: str):
    said = {"body": text + PENDING, "parts": [PENDING, 5], "none": None}
    done = filled(said, code)
    assert done["parts"] == [code, 5] and done["none"] is None
    assert PENDING not in done["body"].removesuffix(code) or PENDING in text


async def test_a_coupon_is_in_its_persons_hands_with_the_trigger():
    ann = walk()
    await ann.post((0, 2000), (60, 0))
    (fired,) = [e for e in ann.events if e.type == "trigger.fired"]
    (held,) = await held_by_ann(ann)
    assert held.code == fired.data["coupon"]["code"]
    assert (held.trigger_id, held.store_id) == (fired.data["trigger_id"], "shop")
    assert (held.from_ms, held.until_ms) == (NOON_MS + 60_000, NOON_MS + 7_260_000)


async def test_a_pools_code_is_waited_for_in_the_message():
    ann = walk(coupon=Coupon(kind="pool", pool="summer"))
    await ann.post((0, 2000), (60, 0))
    (fired,) = [e for e in ann.events if e.type == "trigger.fired"]
    assert fired.data["message"]["body"] == "Use {code}"
    assert (await held_by_ann(ann))[0].code == ""


async def test_who_is_held_out_or_finds_nothing_left_holds_nothing():
    for more, why in (({"hold_out": "100%"}, "holdout"), ({}, "coupon_pool_empty")):
        ann = walk(**more)
        if not more:
            ann.book = ann.book.short_of({"hello": why})
        await ann.post((0, 2000), (60, 0))
        assert ann.reasons() == [why]
        assert await held_by_ann(ann) == []


async def test_an_ended_coupon_is_shown_for_a_week_and_then_forgotten():
    ann = walk()
    await ann.post((0, 2000), (60, 0), (120, 2000))
    (held,) = await held_by_ann(ann)
    gone_s = (held.until_ms + KEPT_MS - NOON_MS) / 1000
    await ann.tick(gone_s - 1)
    assert len(await held_by_ann(ann)) == 1
    await ann.tick(gone_s)
    assert await held_by_ann(ann) == []


def test_of_too_many_coupons_the_one_that_ends_first_goes():
    record = Record("ann")
    record.coupons = [HeldCoupon(f"t{ix}", "c", "", "", 0, 100 + ix) for ix in range(HELD_MAX)]
    ann = walk()
    plan = ann.book.campaigns[0]
    moment = Transition("enter", "ann", "ann", "shop", 0, "v", "g", 1_000, 1_000)
    coupons.hold(record, plan, moment, "shop", "new", "CODE")
    assert len(record.coupons) == HELD_MAX
    assert coupons.held_by(record, "t0") is None
    assert coupons.held_by(record, "new") is not None
    assert coupons.drop(record, "new") and not coupons.drop(record, "new")


def test_a_code_counts_however_it_is_typed():
    assert normalised(" ab-cd\t2 ") == "ABCD2"
    assert coupons.card_name("ab-cd") == coupons.card_name("ABCD ")
    assert "ABCD" not in coupons.card_name("ABCD")
