"""Small cells: hidden, and not to be worked out from the whole."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geoengine.service.reports.hiding import Crowds, hidden


def apart(people: list[int]) -> Crowds:
    """Cells of so many people, nobody in two."""
    cell_ix = np.repeat(np.arange(len(people)), people)
    return Crowds.of(cell_ix, np.arange(len(cell_ix)), len(people))


@given(st.lists(st.integers(0, 200), max_size=30), st.integers(2, 50))
def test_what_the_whole_and_the_shown_parts_leave_is_about_enough_people(
    people: list[int], people_min: int
):
    counts = np.array(people, np.int64)
    is_hidden = hidden(apart(people), people_min)
    assert not ((counts > 0) & (counts < people_min) & ~is_hidden).any()
    left = counts[is_hidden].sum()
    is_everything = is_hidden[counts > 0].all()
    assert left == 0 or is_everything or (left >= people_min and is_hidden.sum() > 1)


@given(st.lists(st.integers(20, 200), max_size=30))
def test_nothing_is_hidden_without_need(people: list[int]):
    assert not hidden(apart(people), 20).any()


def test_what_is_kept_back_anyway_is_not_worked_out_either():
    already = np.array([True, False, False])
    assert hidden(apart([3, 25, 40]), 20, already=already).tolist() == [True, True, False]
    assert hidden(apart([0, 25, 40]), 20, already=already).tolist() == [True, False, False]


@pytest.mark.parametrize(
    ("people", "expected"),
    [([5, 0, 100], [True, False, True]), ([19], [True]), ([10, 10, 50], [True, True, False])],
)
def test_the_smallest_of_the_others_hides_with_it(people: list[int], expected: list[bool]):
    assert hidden(apart(people), 20).tolist() == expected


def test_one_who_is_alone_in_many_parts_is_one():
    alone = [(day, 7) for day in range(25)]
    others = [(25, person) for person in range(100, 140)]
    cell_ix, who = np.array(alone + others).T
    assert hidden(Crowds.of(cell_ix, who, 26), 20).all()


def test_each_whole_covers_its_own_parts():
    crowds = apart([5, 30, 40, 25, 60])
    is_hidden = hidden(crowds, 20, np.array([0, 0, 0, 1, 1]))
    assert is_hidden.tolist() == [True, True, False, False, False]
