"""What becomes of a code: told as tables."""

from __future__ import annotations

import pytest

from geoengine.core.offers.redeeming import (
    AHEAD_MS,
    Issued,
    Redemption,
    packed,
    redeem,
    reopen,
    standing,
    take_back,
    unpacked,
    why_not,
)

FROM_MS, UNTIL_MS = 10_000_000, 20_000_000


def a_code(**more: object) -> Issued:
    """A code of an hour or two, given."""
    usual: dict[str, object] = {"state": "given"} | more
    return Issued("C", "unique", "hello", "t1", "shop", "store", FROM_MS, UNTIL_MS, **usual)  # type: ignore[arg-type]


def at_till(name: str = "r1", at_ms: int = FROM_MS) -> Redemption:
    return Redemption(name, "shop", at_ms)


@pytest.mark.parametrize(
    ("state", "fits", "at_ms", "why"),
    [
        ("given", True, FROM_MS, ""),
        ("reserved", True, FROM_MS, ""),  # an app may show it before the push has arrived
        ("given", True, UNTIL_MS - 1, ""),
        ("given", True, UNTIL_MS, "coupon_expired"),
        ("given", True, FROM_MS - AHEAD_MS, ""),  # the till's clock is late
        ("given", True, FROM_MS - AHEAD_MS - 1, "coupon_not_yet"),
        ("given", False, FROM_MS, "coupon_wrong_store"),
        ("released", True, FROM_MS, "coupon_released"),
        ("released", False, UNTIL_MS, "coupon_released"),
    ],
)
def test_a_code_is_good_or_says_why_not(state: str, fits: bool, at_ms: int, why: str):
    assert why_not(a_code(state=state), at_ms, lambda issued: fits) == why


def test_the_first_redemption_stays_whatever_comes_after():
    issued = a_code()
    assert redeem(issued, at_till("r1"), lambda one: True) == ""
    assert redeem(issued, at_till("r2", UNTIL_MS), lambda one: False) == ""
    assert issued.redemption == at_till("r1")
    assert unpacked(packed(issued)) == issued


def test_how_a_code_stands():
    assert standing(a_code(), FROM_MS) == "valid"
    assert standing(a_code(), UNTIL_MS) == "expired"
    assert standing(a_code(state="released"), FROM_MS) == "released"
    assert standing(a_code(redemption=at_till()), UNTIL_MS) == "redeemed"
    refunded = a_code(redemption=at_till())
    take_back(refunded, "refund", UNTIL_MS)
    assert standing(refunded, UNTIL_MS) == "refunded"


def test_a_mistake_opens_a_code_again_and_a_refund_does_not():
    assert take_back(a_code(), "mistake", 0) == "redemption_unknown"
    for why in ("mistake", "refund"):
        issued = a_code(redemption=at_till())
        assert take_back(issued, why, 5) == "" == take_back(issued, "refund", 9)  # type: ignore[arg-type]
        assert issued.redemption is not None
        assert (issued.redemption.taken_back, issued.redemption.taken_back_ms) == (why, 5)
        reopen(issued)
        assert (issued.redemption is None) == (why == "mistake")
        assert len(issued.before) == (why == "mistake")
