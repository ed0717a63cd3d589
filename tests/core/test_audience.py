"""Audiences: what is remembered of an expression is what it would answer."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geoengine.core.judging.audience import Audience, AudienceError

EXPRESSIONS = [
    'status == "premium" and points >= 300',
    'not vip or city in ["Paris", "Lyon"]',
    "points == 1",
    "vip == true and points != null",
    'status =~ "pre.*" or points > 1.5',
    "points + 1 > 2",
    'home["city"] == "Paris" or "a" in likes',
    "likes.length > 1 or status.length == 3",
    'status == "a $5 coupon" or $abs(points) > 1',
    "true",
]
AUDIENCES = [Audience(text) for text in EXPRESSIONS]
SCALARS = st.one_of(
    st.sampled_from(["premium", "Paris", "", "abc", 0, 1, 2, 300, 1.0, 1.5, True, False, None]),
)
ATTRIBUTES = st.dictionaries(
    st.sampled_from(["status", "points", "vip", "city", "home", "likes", "other"]),
    st.one_of(
        SCALARS,
        st.lists(SCALARS, max_size=2),
        st.dictionaries(st.sampled_from(["city", "x"]), SCALARS, max_size=2),
    ),
)


@given(st.lists(ATTRIBUTES, min_size=1, max_size=4), st.sampled_from(AUDIENCES))
def test_what_is_remembered_is_what_the_expression_answers(
    people: list[dict[str, Any]], audience: Audience
):
    for attributes in people:
        assert audience.includes(attributes) is audience._ask(attributes)


def test_one_is_not_true_though_they_are_one_key():
    audience = Audience("vip == true")
    assert [audience.includes({"vip": vip}) for vip in (True, 1, 1.0, True)] == [
        True, False, False, True,
    ]  # fmt: skip


def test_an_expression_with_a_clock_is_refused():
    with pytest.raises(AudienceError):
        Audience("$now > since")
