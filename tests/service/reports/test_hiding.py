"""Small cells: hidden, and not to be worked out from the whole."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geoengine.service.reports.hiding import hidden


@given(st.lists(st.integers(0, 200), max_size=30), st.integers(2, 50))
def test_what_the_whole_and_the_shown_parts_leave_is_about_enough_people(
    people: list[int], people_min: int
):
    counts = np.array(people, np.int64)
    is_hidden = hidden(counts, people_min)
    assert not ((counts > 0) & (counts < people_min) & ~is_hidden).any()
    left = counts[is_hidden].sum()
    is_everything = is_hidden[counts > 0].all()
    assert left == 0 or is_everything or (left >= people_min and is_hidden.sum() > 1)


@given(st.lists(st.integers(20, 200), max_size=30))
def test_nothing_is_hidden_without_need(people: list[int]):
    assert not hidden(np.array(people, np.int64), 20).any()


def test_what_is_kept_back_anyway_is_not_worked_out_either():
    already = np.array([True, False, False])
    assert hidden(np.array([3, 25, 40]), 20, already).tolist() == [True, True, False]
    assert hidden(np.array([0, 25, 40]), 20, already).tolist() == [True, False, False]


@pytest.mark.parametrize(
    ("people", "expected"),
    [([5, 0, 100], [True, False, True]), ([19], [True]), ([10, 10, 50], [True, True, False])],
)
def test_the_smallest_of_the_others_hides_with_it(people: list[int], expected: list[bool]):
    assert hidden(np.array(people, np.int64), 20).tolist() == expected
