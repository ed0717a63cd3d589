"""Ways between places of which few people are told nothing, and what would tell them.

Whoever goes to a place leaves it: as many ways lead to each place, and to the street, as from it.
So a hidden way follows from those shown wherever it is the only hidden one that joins two parts of
the shop: a *bridge* between them. Then further ways are hidden, so that every hidden one is on a
round of hidden ones, along which any number may have gone.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from heapq import heappop, heappush

import numpy as np

from geoengine.core.columns import Bools, Longs

Joints = dict[int, list[tuple[int, int]]]  # place -> way, place at its other end


def hidden_ways(from_: Longs, to: Longs, count: Longs, is_few: Bools) -> Bools:
    """Which ways are kept back.

    Parameters
    ----------
    from_, to, count : int64, shape (W,)
        Positions of places, and how often people went so. ``from_ != to``.
    is_few : bool, shape (W,)
        Those that are kept back for what they are.

    Returns
    -------
    bool, shape (W,)

    Notes
    -----
    The cheapest round for one bridge after another: (W^2 log W) at worst, where a shop has some
    hundred ways.
    """
    ends = list(zip(from_.tolist(), to.tolist(), strict=True))
    found = is_few.copy()
    for way in np.flatnonzero(is_few).tolist():
        if not _round(ends, np.where(found, 0, np.inf), way):  # of hidden ones alone
            found[_round(ends, np.where(found, 0, count), way)] = True
    return found


def _round(ends: list[tuple[int, int]], cost: Iterable[float], way: int) -> list[int]:
    """The other ways of the cheapest round that a way is on, whichever direction they go (E. W.
    Dijkstra, Numer. Math. 1 (1959) 269); none where there is no round.
    """
    costs, joints = list(cost), _joints(ends, way)
    start, goal = ends[way]
    paths: list[tuple[float, int, list[int]]] = [(0.0, start, [])]
    seen: set[int] = set()
    while paths:
        spent, place, taken = heappop(paths)
        if place == goal:
            return taken
        if place in seen:
            continue
        seen.add(place)
        for nth, other in joints[place]:
            if other not in seen and costs[nth] < np.inf:
                heappush(paths, (spent + costs[nth], other, [*taken, nth]))
    return []


def _joints(ends: list[tuple[int, int]], but: int) -> Joints:
    found: Joints = defaultdict(list)
    for nth, (first, second) in enumerate(ends):
        if nth != but:
            found[first].append((nth, second))
            found[second].append((nth, first))
    return found
