"""From device ids to rows of a table, a whole batch at a time.

A dictionary of a million strings costs 700 to 950 ns a look-up on the machine of
``benchmarks/results/state.md``: four places in memory, one after the other. Here the ids are hashed
and everything else is numpy, whose reads overlap: a third of the time, and fewer bytes a device.

Rows are told apart by the devices' keys (`columns.keys_of`).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from geoengine.core.columns import Bools, Ints, rows_where

Rows = NDArray[np.intp]
Keys = NDArray[np.int64]

UNKNOWN = 0  # no row: an empty slot
_LEFT = 1  # no row either: a slot whose device left, to be probed beyond
FIRST_ROW = 2
_LOAD_MAX = 0.5  # beyond it, probing by steps of one starts to crawl
_NOBODYS = 0  # the key of a row that is free; what hashes to it is empty, or one in 2**64
_FEW = 48  # so many keys are probed for one by one: numpy's fixed cost is a dozen microseconds


class DeviceIndex:
    """An open-addressed hash table, probed for all keys of a batch at once."""

    def __init__(self) -> None:
        self._slots = np.zeros(2_048, np.int32)
        self._keys = np.zeros(FIRST_ROW, np.int64)  # by row
        self._used = 0  # slots that are not empty

    @property
    def columns(self) -> tuple[Ints, Keys]:
        """The slots, and the keys by row."""
        return self._slots, self._keys

    def find(self, keys: Keys) -> Rows:
        """The row of each key, shape as ``keys``; `UNKNOWN` where there is none."""
        return self._locate(keys)[1]

    def insert(self, keys: Keys, rows: Rows) -> None:
        """Add keys, distinct and not yet there, with their rows."""
        if len(rows) and rows.max() >= len(self._keys):
            self._keys = np.resize(self._keys, max(int(rows.max()) + 1, 2 * len(self._keys)))
        self._keys[rows] = keys
        if self._used + len(keys) > _LOAD_MAX * len(self._slots):
            self._rebuild(len(keys))
        self._place(keys, rows)

    def remove(self, rows: Rows) -> None:
        """Take out these rows, which are there."""
        at, _ = self._locate(self._keys[rows])
        self._slots[at] = _LEFT
        self._keys[rows] = _NOBODYS

    def holds(self, rows: Rows, keys: Keys) -> Bools:
        """Whether each of these rows, which may be out of date, is still that key's."""
        same: Bools = (rows >= FIRST_ROW) & (self._keys.take(rows, mode="clip") == keys)
        return same

    def _locate(self, keys: Keys) -> tuple[Rows, Rows]:
        """The slot where each search ends, and the row found there."""
        mask = len(self._slots) - 1
        at: Rows = keys & mask
        rows = self._slots.take(at).astype(np.intp)
        is_other = (self._keys.take(rows) != keys) | (rows == _LEFT)
        going = rows_where(is_other & (rows != UNKNOWN))
        while len(going) > _FEW:
            at[going] = (at[going] + 1) & mask
            found = self._slots.take(at[going])
            rows[going] = found
            is_other = (self._keys.take(found) != keys[going]) | (found == _LEFT)
            going = going[is_other & (found != UNKNOWN)]
        for ix in going.tolist():
            at[ix], rows[ix] = self._locate_one(int(keys[ix]), int(at[ix]))
        return at, rows

    def _locate_one(self, key: int, at: int) -> tuple[int, int]:
        """Where the search for one key ends that did not end at this slot, and the row there."""
        slots, keys, mask = self._slots, self._keys, len(self._slots) - 1
        while True:
            at = (at + 1) & mask
            row = int(slots[at])
            if row == UNKNOWN or (row != _LEFT and int(keys[row]) == key):
                return at, row

    def _place(self, keys: Keys, rows: Rows) -> None:
        mask = len(self._slots) - 1
        at, left = (keys & mask).astype(np.intp), np.arange(len(keys))
        while len(left):
            wanted = self._slots[at[left]]
            self._used += len(np.unique(at[left[wanted == UNKNOWN]]))
            takers = left[wanted < FIRST_ROW]
            self._slots[at[takers]] = rows[takers]  # of several who want one slot, the last gets it
            left = left[self._slots[at[left]] != rows[left]]
            at[left] = (at[left] + 1) & mask

    def _rebuild(self, more: int) -> None:
        """Slots without those who left, and room for ``more``."""
        rows = self._slots[self._slots >= FIRST_ROW].astype(np.intp)
        size = len(self._slots)
        while len(rows) + more > _LOAD_MAX * size * 0.75:
            size *= 2
        # In the order of their home slots each key lands right behind the one before, or at home:
        # no probing. Slot order is nearly that order already, so sorting is cheap.
        home = self._keys[rows] & (size - 1)
        order = np.argsort(home, kind="stable")
        rows, home = rows[order], home[order]
        step = np.arange(len(rows))
        at = np.maximum.accumulate(home - step) + step
        fits = at < size
        self._slots, self._used = np.zeros(size, np.int32), int(fits.sum())
        self._slots[at[fits]] = rows[fits]
        self._place(self._keys[rows[~fits]], rows[~fits])  # those pushed over the end
