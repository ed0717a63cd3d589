"""Small cells: figures about few people are kept back, and what would give them away too.

A figure of three people is a figure of each of them to whoever knows the other two. So what is
about fewer than `engine.measure.people_min` people is not shown. Where the whole is shown as well,
a hidden part is the whole less the others: then further parts are hidden, the smallest first, until
those hidden together are about enough people (complementary suppression; A. Hundepool et al.,
Statistical Disclosure Control, Wiley 2012, chapter 4). Different people: the same one who comes
alone on twenty Sundays is one.

It does not protect against somebody who asks for many periods that overlap and subtracts one from
the other: reports are for who answers for the data, with a server's key.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from geoengine.core.attribution import each_once, pair
from geoengine.core.columns import Bools, Longs


class Crowds(NamedTuple):
    """Who is in each of C cells: cell i is ``who[ends[i]:ends[i + 1]]``, everybody once."""

    who: Longs  # shape (N,): hashes of people
    ends: Longs  # shape (C + 1,)

    @classmethod
    def of(cls, cell_ix: Longs, who: Longs, cell_count: int) -> Crowds:
        """From rows, each of which says in which cell somebody is."""
        _pairs, first = np.unique(pair(who, cell_ix), return_index=True)
        order = first[np.argsort(cell_ix[first], kind="stable")]
        counts = np.bincount(cell_ix[order], minlength=cell_count)
        return cls(who[order], np.concatenate([[0], np.cumsum(counts)]))

    @property
    def people(self) -> Longs:
        """How many are in each cell."""
        return np.diff(self.ends)

    def together(self, cells: Longs) -> int:
        """How many different ones are in these cells."""
        parts = [self.who[self.ends[ix] : self.ends[ix + 1]] for ix in cells.tolist()]
        return len(each_once(np.concatenate(parts))) if parts else 0


def hidden(
    crowds: Crowds, people_min: int, whole: Longs | None = None, already: Bools | None = None
) -> Bools:
    """Which parts are kept back.

    Parameters
    ----------
    whole : int64, shape (C,), ascending
        Which whole each part belongs to; of one and the same unless said.
    already : bool, shape (C,)
        Parts that are kept back for another reason.

    Returns
    -------
    bool, shape (C,)
        Parts about nobody are shown: that nobody came says nothing of anybody.

    >>> cell_ix = np.repeat([0, 1, 2, 3], [5, 100, 30, 40])
    >>> hidden(Crowds.of(cell_ix, np.arange(len(cell_ix)), 5), 20).tolist()
    [True, False, True, False, False]
    """
    people = crowds.people
    is_hidden: Bools = (people > 0) & (people < people_min)
    if already is not None:
        is_hidden |= already
    for cells in _wholes(np.zeros_like(people) if whole is None else whole):
        cells = cells[people[cells] > 0]
        kept, others = cells[is_hidden[cells]], cells[~is_hidden[cells]]
        others = others[np.argsort(people[others], kind="stable")]
        is_hidden[_with_them(crowds, people_min, kept, others)] = True
    return is_hidden


def _wholes(whole: Longs) -> Iterator[Longs]:
    """The parts of each whole."""
    borders = np.flatnonzero(whole[1:] != whole[:-1]) + 1
    yield from np.split(np.arange(len(whole)), borders)


def _with_them(crowds: Crowds, people_min: int, kept: Longs, others: Longs) -> Longs:
    """Of the others, smallest first, those to keep back so that they cover those kept."""
    for count in range(len(others) if len(kept) else 0):
        covered = np.concatenate([kept, others[:count]])
        if len(covered) > 1 and crowds.together(covered) >= people_min:
            return others[:count]
    return others if len(kept) else others[:0]
