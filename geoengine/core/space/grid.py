"""A hash grid over longitude and latitude: which zones might hold a position.

The globe is cut into square cells of 360 / 2**bits degrees, about as large as the zones in them, so
that a zone lies in a handful of cells; zones of very different sizes live on different levels.
A cell's place in the table is a hash of its column and row. Two cells may share a place: what
comes out are candidates, and whoever asks tests each of them exactly.

Columns wrap at the antimeridian because a circle is cut into a whole number of cells; longitude
+180 falls into a column of its own, which repeats the first.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import DTypeLike, NDArray

from geoengine.core.columns import Bools, Floats, Ints, Longs

ROW_FACTOR: Final = 0x9E3779B1  # odd, 32 bits of the golden ratio: neighbouring rows land far apart
_BITS_MIN, _BITS_MAX = 2, 24  # cells of 90 degrees to 2.4 metres
_CELLS_MAX: Final = 64  # a zone in more cells than this moves to a coarser level
_LONELY: Final = 8  # a level costs each fix about one candidate; so few zones join the next level
_PAD_DEG: Final = 1e-9  # a tenth of a millimetre, against rounding where coordinates wrap
Cells = tuple[Longs, Longs, Longs]  # item, column, row of each entry


@dataclass(frozen=True, slots=True)
class Entries:
    """Which item lies in which cell, E rows, of cells of one size.

    ``is_inner`` says whether the cell lies wholly inside the item. Without it, a grid forgets the
    cells and keeps their hashes only.
    """

    bits: int
    item_ix: Longs
    column: Longs
    row: Longs
    is_inner: Bools | None = None


@dataclass(frozen=True, slots=True)
class Level:
    """Where the cells of one size are in the table: ``mask + 1`` slots from ``offset``."""

    bits: int
    shift: int  # from the finest level's columns and rows to this one's
    mask: int
    offset: int


@dataclass(frozen=True, slots=True)
class Candidates:
    """Pairs of a position and an item that might hold it, N rows, by level, then position.

    ``is_inner`` is empty unless the grid knows which cells are inside.
    """

    fix_ix: NDArray[np.intp]
    item_ix: Ints
    is_inner: Bools


class Grid:
    """Items by cell, on as many levels as their sizes ask for.

    ``table[slot]`` is 0 for nothing or the number b of a bucket, whose entries are
    ``items[start[b] : start[b + 1]]``, ascending. ``keys`` and ``is_inner`` go with ``items``, or
    are empty. All levels share these arrays, so that one call looks through all of them.
    """

    def __init__(self, parts: list[Entries]) -> None:
        parts = sorted(parts, key=lambda part: -part.bits)
        self.bits = parts[0].bits if parts else _BITS_MIN
        self.per_deg = 2**self.bits / 360  # finest cells per degree
        self.levels: list[Level] = []
        sorted_parts = [self._sorted(part) for part in parts]
        self.items = _joined([part[1] for part in sorted_parts], np.int32)
        self.keys = _joined([part[2] for part in sorted_parts], np.int64)
        self.is_inner = _joined([part[3] for part in sorted_parts], np.bool_)
        self.table, self.start = _buckets(
            _joined([p[0] for p in sorted_parts], np.int64), self._size
        )
        # One row a level, to be broadcast against positions; a lone level stays flat.
        shape = (-1, 1) if len(self.levels) > 1 else (-1,)
        self._shift = np.array([level.shift for level in self.levels]).reshape(shape)
        self._mask = np.array([level.mask for level in self.levels]).reshape(shape)
        self._offset = np.array([level.offset for level in self.levels]).reshape(shape)

    @property
    def _size(self) -> int:
        return self.levels[-1].offset + self.levels[-1].mask + 1 if self.levels else 0

    def _sorted(self, part: Entries) -> tuple[Longs, Longs, Longs, Bools]:
        """Slot, item, key and flag of each entry, by slot, then item; adds the level.

        Notes
        -----
        Slot and item are sorted as one number: a second for ten million entries. Without cells, an
        item whose cells share a slot is held there once.
        """
        slot_count = 1 << max(4, (2 * len(part.item_ix) - 1).bit_length())
        level = Level(part.bits, self.bits - part.bits, slot_count - 1, self._size)
        self.levels.append(level)
        packed = (((part.row * ROW_FACTOR + part.column) & level.mask) << 32) | part.item_ix
        if part.is_inner is None:
            packed.sort()
            packed = packed[_is_first(packed)]
            keys, is_inner = np.empty(0, np.int64), np.empty(0, bool)
        else:
            order = np.argsort(packed, kind="stable")
            packed, is_inner = packed[order], part.is_inner[order]
            keys = cell_key(part.column, part.row)[order]
        return (packed >> 32) + level.offset, packed & 0xFFFFFFFF, keys, is_inner

    @property
    def nbytes(self) -> int:
        """Bytes held."""
        arrays = (self.table, self.start, self.items, self.keys, self.is_inner)
        return sum(array.nbytes for array in arrays)

    def candidates(self, lon_deg: Floats, lat_deg: Floats) -> Candidates:
        """Every (position, item) pair whose cells agree, and some more where hashes collide.

        Positions are float64 of shape (P,), in [-180, 180] and [-90, 90].
        """
        if not self.levels:
            return Candidates(np.empty(0, np.intp), self.items, self.is_inner)
        column = ((lon_deg + 180.0) * self.per_deg).astype(np.int64)
        row = ((lat_deg + 90.0) * self.per_deg).astype(np.int64)
        if len(self.levels) > 1:
            column, row = (column >> self._shift), (row >> self._shift)
        slot = row * ROW_FACTOR
        slot += column
        slot &= self._mask
        slot += self._offset
        asked, entry = self._entries(slot.reshape(-1))
        fix_ix = asked % len(lon_deg) if len(self.levels) > 1 else asked
        item_ix = self.items.take(entry)
        if not len(self.keys):
            return Candidates(fix_ix, item_ix, self.is_inner)
        key = cell_key(column.reshape(-1).take(asked), row.reshape(-1).take(asked))
        same = np.flatnonzero(self.keys.take(entry) == key)
        return Candidates(fix_ix[same], item_ix[same], self.is_inner.take(entry[same]))

    def _entries(self, slot: Longs) -> tuple[NDArray[np.intp], Longs]:
        """What is in slots: position of the slot among those asked, and number of the entry."""
        bucket = self.table.take(slot)
        hit = bucket.nonzero()[0]
        bucket = bucket.take(hit)
        first = self.start.take(bucket)
        bucket += 1
        count = self.start.take(bucket)
        count -= first
        asked = hit.repeat(count)
        # Each bucket's run of entries, laid end to end.
        first -= count.cumsum(dtype=np.int32)
        first += count
        entry = np.arange(len(asked))
        entry += first.repeat(count)
        return asked, entry

    def items_at(self, lon_deg: float, lat_deg: float) -> list[int]:
        """The candidates of one position, from a grid without cell keys."""
        column = int((lon_deg + 180.0) * self.per_deg)
        row = int((lat_deg + 90.0) * self.per_deg)
        found: list[int] = []
        for level in self.levels:
            slot = ((row >> level.shift) * ROW_FACTOR + (column >> level.shift)) & level.mask
            bucket = self.table[level.offset + slot]
            if bucket:
                found += self.items[self.start[bucket] : self.start[bucket + 1]].tolist()
        return found

    def near_boxes(
        self, level: Level, west: Floats, south: Floats, east: Floats, north: Floats
    ) -> tuple[NDArray[np.intp], Ints]:
        """Items of a level that might touch boxes: number of the box, and the item; repeated.

        Boxes are columns in degrees, shape (B,), less than the globe around.
        """
        box_ix, column, row = _cells_between(west, south, east, north, level.bits)
        slot = row * ROW_FACTOR
        slot += column & (2**level.bits - 1)
        slot &= level.mask
        slot += level.offset
        asked, entry = self._entries(slot)
        return box_ix.take(asked), self.items.take(entry)

    def items_of(self, level: Level) -> Longs:
        """The items of a level, ascending."""
        buckets = self.table[level.offset : level.offset + level.mask + 1]
        first, last = self.start[buckets[buckets > 0].min()], self.start[buckets.max() + 1]
        return np.unique(self.items[first:last]).astype(np.int64)


def _joined(parts: list[NDArray[Any]], dtype: DTypeLike) -> NDArray[Any]:
    return np.concatenate([np.empty(0, dtype), *parts]).astype(dtype)


def _is_first(ordered: Longs) -> Bools:
    """Whether each element differs from the one before it."""
    is_first = np.ones(len(ordered), bool)
    np.not_equal(ordered[1:], ordered[:-1], out=is_first[1:])
    return is_first


def _buckets(slot: Longs, slot_count: int) -> tuple[Ints, Ints]:
    """The table over entries ordered by slot, and where each bucket starts."""
    first = np.flatnonzero(_is_first(slot))
    table = np.zeros(slot_count, np.int32)
    table[slot[first]] = np.arange(1, len(first) + 1)
    return table, np.concatenate([[0], first, [len(slot)]]).astype(np.int32)


def cell_key(column: Longs, row: Longs) -> Longs:
    """One number for a cell of a level, int64 of the same shape."""
    return (row << 32) | column


def grid_of_boxes(bounds: NDArray[np.float64]) -> Grid:
    """A grid over items that fill most of their boxes.

    Parameters
    ----------
    bounds : float64, shape (N, 4)
        West, south, east, north in degrees. West below -180 or east above 180 is over the
        antimeridian. Row i is item i.
    """
    bits = _levels(bounds)
    parts = []
    for level_bits in np.unique(bits).tolist():
        item_ix = np.flatnonzero(bits == level_bits)
        nth, column, row = cells_of_boxes(bounds[item_ix], level_bits)
        parts.append(Entries(level_bits, item_ix[nth], column, row))
    return Grid(parts)


def natural_bits(height_deg: NDArray[np.float64]) -> Longs:
    """The level whose cells are half to twice as high as this; every second level is in use."""
    bits = 2 * np.round(np.log2(360.0 / np.maximum(height_deg, 1e-6)) / 2)
    return np.clip(bits, _BITS_MIN, _BITS_MAX).astype(np.int64)


def _levels(bounds: NDArray[np.float64]) -> Longs:
    width, height = bounds[:, 2] - bounds[:, 0], bounds[:, 3] - bounds[:, 1]
    bits = natural_bits(height / 2)
    for _ in range(_BITS_MIN, _BITS_MAX, 2):
        per_deg = 2.0**bits / 360
        too_many = (width * per_deg + 1) * (height * per_deg + 1) > _CELLS_MAX
        bits[too_many & (bits > _BITS_MIN)] -= 2
    return _without_lonely_levels(bits)


def _without_lonely_levels(bits: Longs) -> Longs:
    present, counts = np.unique(bits, return_counts=True)
    names, sizes = present.tolist(), counts.tolist()
    for fine in range(len(names) - 1, 0, -1):
        if sizes[fine] < _LONELY and names[fine] - names[fine - 1] <= 4:
            bits[bits == names[fine]] = names[fine - 1]
            sizes[fine - 1] += sizes[fine]
    return bits


def cells_of_boxes(bounds: NDArray[np.float64], bits: int) -> Cells:
    """The cells of a level that boxes touch: item, column and row of each, int64 of shape (E,)."""
    west, south, east, north = bounds.T
    item, column, row = _cells_between(
        west - _PAD_DEG,
        np.maximum(south - _PAD_DEG, -90.0),
        east + _PAD_DEG,
        np.minimum(north + _PAD_DEG, 90.0),
        bits,
    )
    return with_seam(item, column & (2**bits - 1), row, bits)


def _cells_between(west: Floats, south: Floats, east: Floats, north: Floats, bits: int) -> Cells:
    """Every cell of boxes, columns not yet wrapped; a box around the globe gets each once."""
    per_deg = 2**bits / 360
    column0 = np.floor((west + 180.0) * per_deg).astype(np.int64)
    column1 = np.floor((east + 180.0) * per_deg).astype(np.int64)
    row0 = np.floor((south + 90.0) * per_deg).astype(np.int64)
    row1 = np.floor((north + 90.0) * per_deg).astype(np.int64)
    width = np.minimum(column1 - column0 + 1, 2**bits)
    item, nth = runs(width * (row1 - row0 + 1))
    width = width.take(item)
    down = nth // width
    nth -= down * width
    nth += column0.take(item)
    down += row0.take(item)
    return item, nth, down


def runs(counts: Longs) -> tuple[Longs, Longs]:
    """Number the members of groups laid end to end: group and position in it, shape (sum,)."""
    group = np.arange(len(counts)).repeat(counts)
    return group, np.arange(len(group)) - (counts.cumsum() - counts).repeat(counts)


def with_seam(item: Longs, column: Longs, row: Longs, bits: int) -> Cells:
    """The cells, and those of the first column once more in the column of longitude +180."""
    seam = np.flatnonzero(column == 0)
    return (
        np.concatenate([item, item.take(seam)]),
        np.concatenate([column, np.full(len(seam), 2**bits)]),
        np.concatenate([row, row.take(seam)]),
    )
