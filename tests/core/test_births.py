"""Births as columns say what a dictionary of them would."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from geoengine.core.places.births import Births, marks

NOW_MS = 1_000_000
SHAPES = st.dictionaries(st.text("ab/é", min_size=1, max_size=3), st.integers(-3, 3), max_size=12)
BORN = st.lists(st.integers(0, 5), min_size=12, max_size=12)


def births_of(shapes: dict[str, int], born: list[int]) -> Births:
    prints = np.array(list(shapes.values()), np.int64)
    return Births.of(marks(list(shapes), prints), np.array(born[: len(shapes)], np.int64))


@given(SHAPES, BORN, SHAPES)
def test_a_zone_keeps_its_birth_while_name_and_shape_stay(
    before: dict[str, int], born: list[int], after: dict[str, int]
):
    known = dict(zip(before, born, strict=False))
    prints = np.array(list(after.values()), np.int64)
    found = births_of(before, born).born_ms_of(marks(list(after), prints), NOW_MS)
    assert found.tolist() == [
        known[name] if before.get(name) == shape else NOW_MS for name, shape in after.items()
    ]


@given(SHAPES, BORN, SHAPES)
def test_a_zone_is_lost_when_its_name_or_its_shape_is(
    before: dict[str, int], born: list[int], after: dict[str, int]
):
    has_all = births_of(after, born).has_all(births_of(before, born).marks)
    assert has_all == all(after.get(name) == shape for name, shape in before.items())


def test_the_mark_of_a_zone_is_the_same_in_every_process():
    found = marks(["rivoli", "é"], np.array([7, -1])).tolist()
    assert found == [-693651638678007876, 5679449973986072864]
