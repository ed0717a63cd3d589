"""Lift: the limits against published ones, and how often they hold what is true."""

from math import inf, isnan

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geoengine.core.lift import Estimate, compare, mean, share

people = st.integers(1, 5_000)


@pytest.mark.parametrize(
    ("treated", "held_out", "low", "high"),
    [  # Newcombe 1998 (Stat. Med. 17:873), table II, method 10
        ((56, 70), (48, 80), 0.0524, 0.3339),
        ((9, 10), (3, 10), 0.1705, 0.8090),
        ((6, 7), (2, 7), 0.0582, 0.8062),
        ((5, 56), (0, 29), -0.0381, 0.1926),
        ((0, 10), (0, 20), -0.1611, 0.2775),
        ((10, 10), (0, 20), 0.6791, 1.0000),
    ],
)
def test_the_difference_of_two_shares_has_newcombes_limits(
    treated: tuple[int, int], held_out: tuple[int, int], low: float, high: float
):
    found = compare(share(*treated), share(*held_out))
    assert (found.low, found.high) == pytest.approx((low, high), abs=5e-5)


def test_a_claim_is_made_only_where_the_interval_leaves_zero_out():
    assert compare(share(300, 1000), share(200, 1000)).verdict == "more"
    assert compare(share(200, 1000), share(300, 1000)).verdict == "fewer"
    assert compare(share(21, 100), share(20, 100)).verdict == "not_shown"
    assert compare(share(5, 0 + 5), share(0, 0)).verdict == "not_shown"


@given(people, people, st.data())
def test_difference_and_ratio_never_contradict_each_other(t: int, h: int, data: st.DataObject):
    treated = share(data.draw(st.integers(0, t)), t)
    held_out = share(data.draw(st.integers(0, h)), h)
    lift = compare(treated, held_out)
    assert lift.low <= lift.difference <= lift.high
    assert 0 <= lift.ratio_low <= lift.ratio_high
    if lift.ratio == lift.ratio:
        assert lift.ratio_low <= lift.ratio * (1 + 1e-9)
        assert lift.ratio <= lift.ratio_high * (1 + 1e-9)
    slack = 1e-9
    if lift.low > slack:
        assert lift.ratio_low > 1
    if lift.high < -slack:
        assert lift.ratio_high < 1
    if lift.ratio_low > 1 + slack:
        assert lift.low > 0


@given(people, people, st.data())
def test_arms_the_other_way_round_are_the_other_way_round(t: int, h: int, data: st.DataObject):
    one, other = share(data.draw(st.integers(0, t)), t), share(data.draw(st.integers(0, h)), h)
    there, back = compare(one, other), compare(other, one)
    assert (there.low, there.high) == pytest.approx((-back.high, -back.low))


def test_nobody_held_out_shows_nothing():
    lift = compare(share(10, 100), share(0, 0))
    assert (lift.low, lift.high, lift.ratio_high) == (-inf, inf, inf)
    assert isnan(lift.difference) and lift.verdict == "not_shown"


def test_where_the_held_out_did_nothing_a_ratio_has_no_upper_limit():
    lift = compare(share(50, 100), share(0, 100))
    assert isnan(lift.ratio) and lift.ratio_high == inf and lift.ratio_low > 1


@pytest.mark.parametrize(
    ("people", "quantile"), [(21, 2.0860), (31, 2.0423), (101, 1.9840), (100_001, 1.9600)]
)
def test_an_amount_per_person_has_students_limits(people: int, quantile: float):
    values = np.arange(people, dtype=float)
    found = mean(values.sum(), (values**2).sum(), people)
    half = quantile * values.std(ddof=1) / people**0.5
    assert (found.low, found.high) == pytest.approx(
        (values.mean() - half, values.mean() + half), rel=1e-4
    )


def test_one_person_says_nothing_of_an_amount():
    assert mean(30.0, 900.0, 1) == Estimate(1, 30.0, -inf, inf)


@pytest.mark.parametrize("is_revenue", [False, True])
def test_the_interval_holds_what_is_true_95_times_in_100(is_revenue: bool):
    rng = np.random.default_rng(7)
    rounds, held, hits = 2_000, 400, 0
    for _ in range(rounds):
        if is_revenue:
            spent = [rng.gamma(2, 15, n) for n in (2_000, held)]
            a, b = (mean(v.sum(), (v * v).sum(), len(v)) for v in spent)
            truth = 0.0
        else:
            a = share(int(rng.binomial(2_000, 0.13)), 2_000)
            b = share(int(rng.binomial(held, 0.10)), held)
            truth = 0.03
        hits += compare(a, b).low <= truth <= compare(a, b).high
    assert 0.93 <= hits / rounds <= 0.97
