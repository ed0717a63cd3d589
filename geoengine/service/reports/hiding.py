"""Small cells: figures about few people are kept back, and what would give them away too.

A figure of three people is a figure of each of them to whoever knows the other two. So what is
about fewer than `engine.measure.people_min` people is not shown. Where the whole is shown as well,
a hidden part is the whole less the others: then further parts are hidden, the smallest first, until
those hidden together are about enough people (complementary suppression; A. Hundepool et al.,
Statistical Disclosure Control, Wiley 2012, chapter 4).

It does not protect against somebody who asks for many periods that overlap and subtracts one from
the other: reports are for who answers for the data, with a server's key.
"""

from __future__ import annotations

import numpy as np

from geoengine.core.columns import Bools, Longs


def hidden(people: Longs, people_min: int, already: Bools | None = None) -> Bools:
    """Which parts of a whole are kept back.

    Parameters
    ----------
    people : int64, shape (C,)
        How many people each part is about.
    already : bool, shape (C,)
        Parts that are kept back for another reason.

    Returns
    -------
    bool, shape (C,)
        Parts about nobody are shown: that nobody came says nothing of anybody.

    >>> hidden(np.array([5, 100, 30, 40, 0]), 20).tolist()
    [True, False, True, False, False]
    """
    is_hidden: Bools = (people > 0) & (people < people_min)
    if already is not None:
        is_hidden |= already
    if not people[is_hidden].any():
        return is_hidden
    others = np.flatnonzero((people > 0) & ~is_hidden)
    for smallest in others[np.argsort(people[others], kind="stable")].tolist():
        about = people[is_hidden]
        if about.sum() >= people_min and np.count_nonzero(about) > 1:
            break
        is_hidden[smallest] = True
    return is_hidden
