"""A hash grid over longitude and latitude: which items might hold a position.

Items of very different sizes live on levels of different cells; see `levels`. Two tables are asked
in turn, and in both of them a cell's place is a hash of its column and row:

- ``marks``, a byte a place, says whether anything touches a cell. Its byte is a fingerprint of the
  cell, so that another cell at the same place is taken for it once in 256 times only. Most
  positions end here.
- ``start`` says where a bucket of items begins. Buckets are of cells up to twice as large, since
  whoever gets here is likely near an item anyway: a quarter of the memory.

Cells that share a place make candidates too many, never too few: whoever asks tests each exactly.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

from geoengine.core.columns import Bools, Floats, Longs
from geoengine.core.space.levels import BITS_MIN, cells_between
from geoengine.core.space.tables import (
    PRINT_SHIFT,
    ROW_FACTOR,
    SEVERAL,
    Level,
    Tables,
    cell_key,
    hash_of,
)

Indices = NDArray[np.int64]
Box = tuple[float, float, float, float]  # west, south, east, north in degrees
_CELLS_MAX: Final = 24  # a box in more cells than this is better cut in pieces
_NONE: Final = np.empty(0, np.int64)
_NOT_LEFT: Final = np.empty((0, 0), bool)
# Constants as arrays: numpy takes half as long over them.
_PRINT_SHIFT: Final = np.array(PRINT_SHIFT)
_SEVERAL: Final = np.array(SEVERAL, np.uint8)
_HALF_TURN_DEG: Final = np.array(180.0)
_QUARTER_TURN_DEG: Final = np.array(90.0)
_ONE: Final = np.array(1)


class Grid:
    """Items by cell, on as many levels as their sizes ask for.

    The entries of place p are ``items[start[p] : start[p + 1]]``, ascending. All levels share the
    tables, so that one call looks through all of them. Cells of buckets have ``coarser`` bits less
    than those of levels, and those of marks ``marks_coarser``: items in many cells each have few
    marks so, which then lie in a cache.
    """

    def __init__(self, tables: Tables, coarser: int, marks_coarser: int = 0) -> None:
        levels = tables.levels
        self.tables = tables
        self.bits = levels[0].bits if levels else BITS_MIN
        self.per_deg = 2**self.bits / 360  # finest cells per degree
        self.coarser, self.marks_coarser = coarser, marks_coarser
        self.marks, self.levels = tables.marks, levels
        self.start, self.items, self.keys = tables.start, tables.items, tables.keys
        self.is_inner, self.cell_ix = tables.is_inner, tables.cell_ix
        self._start, self._items = self.start.data, self.items.data
        # One row a level, to be broadcast against positions; a lone level stays flat.
        shape = (-1, 1) if len(levels) > 1 else (-1,)
        self._per_deg = np.array([2**level.bits / 360 for level in levels]).reshape(shape)
        self._buckets_per_deg = self._per_deg / 2**coarser
        self._factor = np.array([level.row_factor for level in levels]).reshape(shape)
        self._mark_mask = np.array(len(self.marks) - 1)
        self._coarser = np.array(coarser)
        self._nths = np.arange(1, len(levels) + 1)
        self._bits = np.array([level.bits for level in levels])
        self._has_keys = bool(len(self.keys))

    @property
    def nbytes(self) -> int:
        """Bytes held."""
        tables = self.marks.nbytes + self.start.nbytes
        entries = self.items.nbytes + self.keys.nbytes + self.is_inner.nbytes + self.cell_ix.nbytes
        return tables + entries + sum(level.items.nbytes for level in self.levels)

    def renumber(self, item_of: Longs) -> None:
        """Give the items other numbers: ``item_of`` holds the new one of each."""
        self.items[:] = item_of[self.items]
        for level in self.levels:
            level.items[:] = item_of[level.items]

    def candidates(self, lon_deg: Floats, lat_deg: Floats) -> tuple[Indices, Indices]:
        """Every position and entry whose cells agree, and some more where hashes collide.

        Positions are float64 of shape (P,), in [-180, 180] and [-90, 90]. Returns int64 of shape
        (N,): the position, and the number of the entry in ``items``; by level, then position.
        """
        if not self.levels:
            return _NONE, _NONE
        column, row, hit = self._marked(lon_deg, lat_deg)
        if not len(hit):
            return hit, hit
        column, row = column.take(hit), row.take(hit)
        column >>= self._coarser
        row >>= self._coarser
        fix_ix, keys, place = hit, self._keys(column, row, hit, len(lon_deg)), hash_of(column, row)
        self._put(place, fix_ix, len(lon_deg))
        asked, entry = self._entries(place)
        if keys is not None:
            same = np.flatnonzero(self.keys.take(entry) == keys.take(asked))
            asked, entry = asked.take(same), entry.take(same)
        return fix_ix.take(asked), entry

    def _keys(self, column: Longs, row: Longs, hit: Indices, count: int) -> Longs | None:
        """The keys of cells that were hit among ``count`` positions; None without keys."""
        return cell_key(column, row, self._bits.take(hit // count)) if self._has_keys else None

    def _marked(self, lon_deg: Floats, lat_deg: Floats) -> tuple[Longs, Longs, Indices]:
        """Columns and rows of positions on every level, level by level, and which are marked."""
        x, y = lon_deg + _HALF_TURN_DEG, lat_deg + _QUARTER_TURN_DEG
        column, row = (x * self._per_deg).astype(np.int64), (y * self._per_deg).astype(np.int64)
        print_ = (row >> self.marks_coarser if self.marks_coarser else row) * self._factor
        print_ += column >> self.marks_coarser if self.marks_coarser else column
        mark = self.marks.take(print_ & self._mark_mask)
        print_ >>= _PRINT_SHIFT
        is_marked = mark == print_.astype(np.uint8)
        is_marked |= mark == _SEVERAL
        return column.reshape(-1), row.reshape(-1), is_marked.reshape(-1).nonzero()[0]

    def _entries(self, place: Longs) -> tuple[Indices, Indices]:
        """What is in places of the buckets: number of the place asked for, and of the entry."""
        first = self.start.take(place)
        place += _ONE
        count = self.start.take(place)
        count -= first
        asked = np.arange(len(count)).repeat(count)
        # Each bucket's run of entries, laid end to end.
        first -= np.add.accumulate(count, dtype=np.int32)
        first += count
        entry = np.arange(len(asked))
        entry += first.take(asked)
        return asked, entry

    def entries_at(self, lon_deg: float, lat_deg: float) -> list[int]:
        """The entries of one position: what `candidates` finds, marks not asked."""
        found: list[int] = []
        finest_column = int((lon_deg + 180.0) * self.per_deg)
        finest_row = int((lat_deg + 90.0) * self.per_deg)
        for level in self.levels:
            by = level.shift + self.coarser
            column, row = finest_column >> by, finest_row >> by
            place = level.place(column, row)
            run = range(self.start[place], self.start[place + 1])
            if self._has_keys:
                key = cell_key(column, row, level.bits)
                found += [entry for entry in run if self.keys[entry] == key]
            else:
                found += run
        return found

    def near_boxes(
        self, west: Floats, south: Floats, east: Floats, north: Floats
    ) -> tuple[Indices, Indices, Bools]:
        """Items that might touch boxes, all levels at once; a box in many cells of a level is left.

        Boxes are columns in degrees, shape (B,), within -180 and 180, away from the poles. Returns
        the number of the box and the item, repeated, and which boxes of which level are left,
        shape (L, B); that is empty if none are.
        """
        column, row = self._cell(west, _HALF_TURN_DEG), self._cell(south, _QUARTER_TURN_DEG)
        width, count = self._cell(east, _HALF_TURN_DEG), self._cell(north, _QUARTER_TURN_DEG)
        width -= column
        width += _ONE
        count -= row
        count += _ONE
        count *= width
        is_left = _NOT_LEFT
        if count.max(initial=0) > _CELLS_MAX:
            is_left = (count > _CELLS_MAX).reshape(len(self.levels), len(west))
            count[is_left.reshape(count.shape)] = 0
        count = count.reshape(-1)
        box_ix = np.arange(len(count)).repeat(count)
        right = np.arange(len(box_ix))
        count -= np.add.accumulate(count)
        right += count.take(box_ix)
        across = width.reshape(-1).take(box_ix)
        up = right // across
        across *= up
        right -= across
        right += column.reshape(-1).take(box_ix)
        up += row.reshape(-1).take(box_ix)
        place = hash_of(right, up)
        self._put(place, box_ix, len(west))
        asked, entry = self._entries(place)
        return box_ix.take(asked), self.items.take(entry).astype(np.int64), is_left

    def near_boxes_on(
        self, level: Level, west: Floats, south: Floats, east: Floats, north: Floats
    ) -> tuple[Indices, Indices]:
        """`near_boxes` for one level and boxes anywhere, less than the globe around."""
        bits = level.bits - self.coarser
        box_ix, column, row = cells_between(west, south, east, north, bits)
        column &= 2**bits - 1
        place = hash_of(column, row)
        level.put(place)
        asked, entry = self._entries(place)
        return box_ix.take(asked), self.items.take(entry).astype(np.int64)

    def items_in(self, box: Box) -> list[int] | None:
        """The items that might touch one box, repeated; None if it has too many cells."""
        found: list[int] = []
        if not self.levels:
            return found
        west, south, east, north = box
        column0, column1 = int((west + 180.0) * self.per_deg), int((east + 180.0) * self.per_deg)
        row0, row1 = int((south + 90.0) * self.per_deg), int((north + 90.0) * self.per_deg)
        start, items = self._start, self._items
        for level in self.levels:
            by, mask, offset = level.shift + self.coarser, level.mask, level.offset
            columns = range(column0 >> by, (column1 >> by) + 1)
            rows = range(row0 >> by, (row1 >> by) + 1)
            if len(columns) * len(rows) > _CELLS_MAX:
                return None
            for row in rows:
                row *= ROW_FACTOR
                for column in columns:
                    place = (row + column & mask) + offset
                    begin, end = start[place], start[place + 1]
                    if begin < end:
                        found += items[begin:end]
        return found

    def _cell(self, deg: Floats, origin_deg: Floats) -> Longs:
        """Columns, or rows, of buckets on each level."""
        cell: Longs = ((deg + origin_deg) * self._buckets_per_deg).astype(np.int64)
        return cell

    def _put(self, hashes: Longs, position_ix: Indices, count: int) -> None:
        """Hashes into places, and positions on each level, level by level, into positions."""
        ends = position_ix.searchsorted(self._nths * count).tolist()
        for nth, (begin, end) in enumerate(pairwise((0, *ends))):
            position_ix[begin:end] -= nth * count
            self.levels[nth].put(hashes[begin:end])
