"""Hidden ways: not to be worked out from those shown, however they lie."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from geoengine.service.reports.ways import hidden_ways

STREET = 0
WALKS = st.lists(
    st.lists(st.integers(1, 5), min_size=1, max_size=5), min_size=1, max_size=12
)  # places, one after another


def ways_of(walks: list[list[int]]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    counts: dict[tuple[int, int], int] = {}
    for walk in walks:
        stops = [STREET, *walk, STREET]
        for way in pairwise(stops):
            if way[0] != way[1]:
                counts[way] = counts.get(way, 0) + 1
    from_, to = np.array(list(counts)).T
    return from_, to, np.array(list(counts.values()))


def is_worked_out(from_: np.ndarray, to: np.ndarray, is_hidden: np.ndarray) -> list[bool]:
    """Of each hidden way, whether "as many come as go" leaves one number for it: whether no round
    of hidden ways, which are what these equations leave open, goes over it.
    """
    hidden = np.flatnonzero(is_hidden)
    sums = np.zeros((6, len(hidden)))
    sums[from_[hidden], np.arange(len(hidden))] -= 1
    sums[to[hidden], np.arange(len(hidden))] += 1
    _u, sizes, rows = np.linalg.svd(sums)
    left_open = rows[int((sizes > 1e-9).sum()) :]
    return (np.abs(left_open).max(axis=0, initial=0) < 1e-9).tolist()


@given(WALKS, st.integers(1, 4))
def test_no_hidden_way_follows_from_those_shown(walks: list[list[int]], few: int):
    from_, to, count = ways_of(walks)
    is_few = count < few
    found = hidden_ways(from_, to, count, is_few)
    assert found[is_few].all()
    assert not any(is_worked_out(from_, to, found))
    assert is_few.any() or not found.any()


def test_the_least_used_round_is_hidden_with_it():
    walks = [[1]] * 50 + [[2]] * 30 + [[1, 2]] * 3
    from_, to, count = ways_of(walks)
    found = hidden_ways(from_, to, count, count < 20)
    hidden = {(int(a), int(b)) for a, b in zip(from_[found], to[found], strict=True)}
    assert hidden == {(1, 2), (STREET, 2), (1, STREET)}
