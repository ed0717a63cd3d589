"""Credit: who brought them, by each rule; and people as they are compared."""

from collections import defaultdict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from geoengine.core.attribution import RULES, Rule, arms, credit, pair, sums_after

DAY = 86_400_000
WEEK = 7 * DAY
Row = tuple[int, int]  # whose and where, when
rows = st.lists(st.tuples(st.integers(-2, 2), st.integers(0, 12)), max_size=30)


def columns(rows: list[Row]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    table = np.array(rows, np.int64).reshape(-1, 2)
    return table[:, 0], table[:, 1]


def credited(touches: list[Row], visits: list[Row], rule: Rule, window: int = WEEK):
    """Visit -> trigger -> weight."""
    found: dict[int, dict[int, float]] = defaultdict(dict)
    for touch, visit, weight in zip(
        *credit(*columns(touches), *columns(visits), window, rule), strict=True
    ):
        found[int(visit)][int(touch)] = round(float(weight), 9)
    return dict(found)


def by_hand(touches: list[Row], visits: list[Row], rule: Rule, window: int):
    found = {}
    for visit_ix, (whose, began) in enumerate(visits):
        before = [
            (at, ix) for ix, (group, at) in enumerate(touches)
            if group == whose and began - window <= at < began
        ]  # fmt: skip
        if before:
            last = [max(before)[1]] if rule == "last" else [min(before)[1]]
            earned = [ix for _at, ix in before] if rule == "even" else last
            found[visit_ix] = {ix: round(1 / len(earned), 9) for ix in earned}
    return found


@pytest.mark.parametrize(
    ("rule", "expected"),
    [("last", {0: {1: 1.0}}), ("first", {0: {0: 1.0}}), ("even", {0: {0: 0.5, 1: 0.5}})],
)
def test_a_visit_is_credited_by_the_rule_that_was_chosen(rule: Rule, expected: dict):
    touches = [(1, 0), (1, 2 * DAY), (1, 5 * DAY), (2, 2 * DAY)]
    assert credited(touches, [(1, 4 * DAY)], rule) == expected


def test_a_trigger_before_the_window_or_after_the_visit_brought_nobody():
    touches = [(1, 0), (1, 9 * DAY)]
    assert credited(touches, [(1, WEEK + 1)], "even") == {}
    assert credited(touches, [(1, WEEK)], "even") == {0: {0: 1.0}}


def test_a_trigger_of_the_moment_of_the_visit_brought_nobody():
    assert credited([(1, DAY)], [(1, DAY)], "last") == {}


def test_nothing_is_credited_where_there_is_nothing():
    assert credited([], [(1, DAY)], "last") == credited([(1, DAY)], [], "last") == {}


@pytest.mark.parametrize("rule", RULES)
@given(touches=rows, visits=rows, window=st.integers(0, 12))
def test_credit_agrees_with_the_plain_double_loop(
    rule: Rule, touches: list[Row], visits: list[Row], window: int
):
    assert credited(touches, visits, rule, window) == by_hand(touches, visits, rule, window)


@given(touches=rows, visits=rows)
def test_no_visit_is_credited_more_than_once(touches: list[Row], visits: list[Row]):
    for rule in RULES:
        for weights in credited(touches, visits, rule).values():
            assert sum(weights.values()) == pytest.approx(1)


def test_whose_and_where_is_another_number_for_another_person_or_store():
    persons = np.repeat(np.random.default_rng(1).integers(-(1 << 63), 1 << 62, 300), 300)
    stores = np.tile(np.arange(-1, 299), 300)
    assert len(np.unique(pair(persons, stores))) == 300 * 300


def test_everybody_is_in_one_arm_once_from_their_first_moment():
    cell = np.array([0, 0, 0, 1, 1])
    person = np.array([7, 7, 8, 7, 7])
    at_ms = np.array([20, 10, 30, 50, 40])
    is_held = np.array([True, False, True, False, True])
    found = arms(cell, person, at_ms, is_held)
    assert found.moment_ix.tolist() == [1, 2, 4]
    assert found.is_held.tolist() == [False, True, True]


@given(asked=rows, done=rows, window=st.integers(0, 12))
def test_what_is_done_after_a_moment_adds_up(asked: list[Row], done: list[Row], window: int):
    amounts = np.arange(len(done)) + 1.0
    found = sums_after(*columns(asked), window, *columns(done), amounts)
    expected = [
        sum(
            amount
            for (group, done_at), amount in zip(done, amounts, strict=True)
            if group == whose and at < done_at <= at + window
        )
        for whose, at in asked
    ]
    assert found.tolist() == pytest.approx(expected)
