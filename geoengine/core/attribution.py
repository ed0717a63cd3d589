"""Visits and redemptions x triggers -> credit; people x moments -> arms, and what each did.

Pure functions over columns. Whose and where is one number, a *group*: rows with the same one may
have to do with each other. `Timeline` finds, for each of many moments, the rows of its group in a
span of time, by two binary searches.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np

from geoengine.core.columns import Bools, Floats, Longs

Rule = Literal["last", "first", "even"]
RULES: tuple[Rule, ...] = ("last", "first", "even")


@dataclass(frozen=True, slots=True)
class Timeline:
    """N rows in order of their group, then of time.

    Invariant: ``keys`` is ascending, and key // span is the position of the group in ``groups``.
    """

    groups: Longs  # shape (G,), ascending, each once
    order: Longs  # shape (N,): the rows, by group, then by time, then as they came
    keys: Longs  # shape (N,)
    origin_ms: int
    span_ms: int

    @classmethod
    def of(cls, group: Longs, at_ms: Longs) -> Timeline:
        """Rows by what they belong to and when they happened."""
        groups, group_ix = np.unique(group, return_inverse=True)
        origin_ms = int(at_ms.min()) if len(at_ms) else 0
        span_ms = (int(at_ms.max()) - origin_ms if len(at_ms) else 0) + 3
        keys = group_ix * span_ms + (at_ms - origin_ms + 1)
        order = np.argsort(keys, kind="stable")
        return cls(groups, order, keys[order], origin_ms, span_ms)

    def between(self, group: Longs, after_ms: Longs, until_ms: Longs) -> tuple[Longs, Longs]:
        """The rows of a group after one moment up to another, that one included.

        Parameters
        ----------
        group, after_ms, until_ms : int64, shape (Q,)
            ``after_ms <= until_ms``.

        Returns
        -------
        start, end : int64, shape (Q,)
            Question i is answered by ``order[start[i]:end[i]]``.

        Notes
        -----
        Two binary searches a question: (Q log N). Held against a plain double loop in the tests.
        """
        group_ix = np.searchsorted(self.groups, group)
        known = group_ix < len(self.groups)
        known[known] = self.groups[group_ix[known]] == group[known]
        start, end = (self._place(group_ix, at_ms) for at_ms in (after_ms, until_ms))
        start[~known] = end[~known] = 0
        return start, end

    def _place(self, group_ix: Longs, at_ms: Longs) -> Longs:
        inside = np.clip(at_ms - self.origin_ms + 1, 0, self.span_ms - 1)
        return np.searchsorted(self.keys, group_ix * self.span_ms + inside, "right")


def each_once(numbers: Longs) -> Longs:
    """The different ones, ascending. Several times as fast as numpy's own, which hashes them."""
    ordered = np.sort(numbers)
    is_first = np.ones(len(ordered), bool)
    is_first[1:] = ordered[1:] != ordered[:-1]
    found: Longs = ordered[is_first]
    return found


class Credit(NamedTuple):
    """Who gets what for it: K rows; the weights of one visit add up to 1."""

    touch_ix: Longs
    visit_ix: Longs
    weight: Floats


def pair(person: Longs, store: Longs) -> Longs:
    """One number for two, the same for the same two: who and where; shape (N,).

    Persons are hashes, 64 bits of them; a store's position is mixed in by a multiplication with
    an odd constant (2**64 over the golden ratio, Knuth 6.4), which gives every pair of a person and
    two stores, or of a store and two persons, another number. Two of 10**7 pairs share one by
    chance once in 300,000 reports, and then two people's visits are taken for one's.
    """
    mixed = (store.astype(np.uint64) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    return (person.astype(np.uint64) ^ mixed).astype(np.int64)


def credit(
    touch_group: Longs,
    touch_ms: Longs,
    visit_group: Longs,
    visit_ms: Longs,
    window_ms: int,
    rule: Rule,
) -> Credit:
    """Which triggers earned which visits.

    Parameters
    ----------
    touch_group, touch_ms : int64, shape (T,)
        Whose trigger and about which store; when it fired.
    visit_group, visit_ms : int64, shape (V,)
        Whose visit and to which store; when it began.

    Returns
    -------
    Credit
        Visits with no trigger before them within the window are left out. A trigger of the very
        moment at which the visit began, or of later, has not brought anybody.
    """
    line = Timeline.of(touch_group, touch_ms)
    start, end = line.between(visit_group, visit_ms - window_ms - 1, visit_ms - 1)
    earned = np.flatnonzero(end > start)
    start, end = start[earned], end[earned]
    if rule == "last":
        return Credit(line.order[end - 1], earned, np.ones(len(earned)))
    if rule == "first":
        return Credit(line.order[start], earned, np.ones(len(earned)))
    count = end - start
    visit_ix = np.repeat(earned, count)
    within = np.arange(len(visit_ix)) - np.repeat(np.cumsum(count) - count, count)
    touch_ix = line.order[np.repeat(start, count) + within]
    return Credit(touch_ix, visit_ix, np.repeat(1 / count, count))


class Arms(NamedTuple):
    """People as they are compared: row i is the first moment of a person in a cell."""

    moment_ix: Longs  # shape (A,), ascending; rows of the moments they were made of
    is_held: Bools  # shape (A,)


def arms(cell: Longs, person: Longs, at_ms: Longs, is_held: Bools) -> Arms:
    """Everybody once a cell, from the first moment at which they were spoken to or would have been.

    Parameters
    ----------
    cell, person, at_ms : int64, shape (M,)
        What is compared within, such as a campaign; who; when.
    is_held : bool, shape (M,)
        Whether the hold-out kept it from being said.
    """
    by_time = np.argsort(at_ms, kind="stable")
    _pairs, first = np.unique(pair(person, cell)[by_time], return_index=True)
    moment_ix = np.sort(by_time[first])
    return Arms(moment_ix, is_held[moment_ix])


def sums_after(
    group: Longs,
    at_ms: Longs,
    window_ms: int,
    done_group: Longs,
    done_ms: Longs,
    amount: Floats,
) -> Floats:
    """What each did within the window after a moment, added up.

    Parameters
    ----------
    group, at_ms : int64, shape (A,)
        Who and where, and from when on.
    done_group, done_ms, amount : shape (D,)
        What was done: whose and where, when, how much; 1 each to count.

    Returns
    -------
    float64, shape (A,)
    """
    line = Timeline.of(done_group, done_ms)
    start, end = line.between(group, at_ms, at_ms + window_ms)
    so_far = np.concatenate([[0.0], np.cumsum(amount[line.order])])
    found: Floats = so_far[end] - so_far[start]
    return found
