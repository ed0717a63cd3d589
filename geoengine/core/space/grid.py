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
from typing import Final

import numpy as np
from numpy.typing import NDArray

from geoengine.core.columns import Bools, Ints, Longs

_ROW_FACTOR: Final = (
    0x9E3779B1  # odd, 32 bits of the golden ratio: neighbouring rows land far apart
)
_BITS_MIN, _BITS_MAX = 2, 24  # cells of 90 degrees to 2.4 metres
_CELLS_MAX: Final = 64  # a zone in more cells than this moves to a coarser level
_LONELY: Final = 8  # a level costs each fix about one candidate; so few zones join the next level
_PAD_DEG: Final = 1e-9  # a tenth of a millimetre, against rounding where coordinates wrap
Cells = tuple[Longs, Longs, Longs]  # item, column, row of each entry


@dataclass(frozen=True, slots=True)
class Level:
    """The cells of one size, as a table of buckets.

    ``table[slot]`` is 0 for nothing or the number b of a bucket, whose entries are
    ``items[start[b] : start[b + 1]]``, ascending. Where the entries know their cell and whether it
    lies wholly inside the item, ``keys`` and ``is_inner`` go with ``items``; else both are empty.
    """

    bits: int
    table: Ints  # a power of two of slots
    start: Ints
    items: Ints
    keys: Longs
    is_inner: Bools

    @property
    def mask(self) -> int:
        """What cuts a hash down to a slot."""
        return len(self.table) - 1

    def entries(self, column: Longs, row: Longs) -> tuple[NDArray[np.intp], Longs]:
        """What the table holds for Q cells: number of the cell asked, and of the entry."""
        bucket = self.table.take((row * _ROW_FACTOR + column) & self.mask)
        hit = np.flatnonzero(bucket)
        bucket = bucket.take(hit)
        first = self.start.take(bucket)
        count = self.start.take(bucket + 1) - first
        asked = hit.repeat(count)
        # Each bucket's run of entries, laid end to end.
        skipped = first - (count.cumsum() - count)
        return asked, np.arange(len(asked)) + skipped.repeat(count)

    def near_boxes(self, bounds: NDArray[np.float64]) -> tuple[NDArray[np.intp], Ints]:
        """Items that might touch boxes: number of the box, and the item; with repetitions.

        Boxes are rows of west, south, east, north, less than the globe around.
        """
        box_ix, column, row = cells_of_boxes(bounds, self.bits)
        asked, entry = self.entries(column, row)
        return box_ix.take(asked), self.items.take(entry)

    @property
    def nbytes(self) -> int:
        """Bytes held."""
        arrays = (self.table, self.start, self.items, self.keys, self.is_inner)
        return sum(array.nbytes for array in arrays)


@dataclass(frozen=True, slots=True)
class Candidates:
    """Pairs of a position and an item that might hold it, N rows, unordered across levels.

    ``is_inner`` is empty unless the grid was built with cells that know they are inside.
    """

    fix_ix: NDArray[np.intp]
    item_ix: Ints
    is_inner: Bools


class View:
    """A level's own buffers, for one position at a time.

    Reading an element of a memoryview costs a fifth of reading one of an array.
    """

    __slots__ = ("is_inner", "items", "keys", "mask", "shift", "start", "table")

    def __init__(self, level: Level, shift: int) -> None:
        self.shift = shift
        self.mask = level.mask
        self.table, self.start = level.table.data, level.start.data
        self.items, self.keys = level.items.data, level.keys.data
        self.is_inner = level.is_inner.data

    def look(self, column: int, row: int) -> memoryview | tuple[()]:
        """Items that might be in a cell."""
        bucket = self.table[(row * _ROW_FACTOR + column) & self.mask]
        return self.items[self.start[bucket] : self.start[bucket + 1]] if bucket else ()

    def look_exactly(self, column: int, row: int) -> list[tuple[int, bool]]:
        """Items that are in a cell, and whether the cell lies wholly inside them."""
        bucket = self.table[(row * _ROW_FACTOR + column) & self.mask]
        if not bucket:
            return []
        key = row << 32 | column
        return [
            (self.items[at], bool(self.is_inner[at]))
            for at in range(self.start[bucket], self.start[bucket + 1])
            if self.keys[at] == key
        ]


class Grid:
    """Items by cell, on as many levels as their sizes ask for."""

    def __init__(self, levels: list[Level]) -> None:
        self.levels = sorted(levels, key=lambda level: -level.bits)
        self.bits = self.levels[0].bits if levels else _BITS_MIN
        self.per_deg = 2**self.bits / 360  # finest cells per degree
        self.views = [View(level, self.bits - level.bits) for level in self.levels]

    @property
    def nbytes(self) -> int:
        """Bytes held."""
        return sum(level.nbytes for level in self.levels)

    def candidates(self, lon_deg: NDArray[np.float64], lat_deg: NDArray[np.float64]) -> Candidates:
        """Every (position, item) pair whose cells agree, and some more where hashes collide.

        Positions are float64 of shape (P,), in [-180, 180] and [-90, 90].
        """
        column = ((lon_deg + 180.0) * self.per_deg).astype(np.int64)
        row = ((lat_deg + 90.0) * self.per_deg).astype(np.int64)
        found = [self._look(level, column, row) for level in self.levels]
        if len(found) == 1:
            return found[0]
        if not found:
            return Candidates(np.empty(0, np.intp), np.empty(0, np.int32), np.empty(0, bool))
        return Candidates(
            np.concatenate([part.fix_ix for part in found]),
            np.concatenate([part.item_ix for part in found]),
            np.concatenate([part.is_inner for part in found]),
        )

    def _look(self, level: Level, column: Longs, row: Longs) -> Candidates:
        shift = self.bits - level.bits
        if shift:
            column, row = column >> shift, row >> shift
        fix_ix, entry = level.entries(column, row)
        item_ix = level.items.take(entry)
        if not len(level.keys):
            return Candidates(fix_ix, item_ix, level.is_inner)
        is_same = level.keys.take(entry) == cell_key(column.take(fix_ix), row.take(fix_ix))
        return Candidates(fix_ix[is_same], item_ix[is_same], level.is_inner.take(entry[is_same]))


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
    levels = []
    for level_bits in np.unique(bits).tolist():
        item_ix = np.flatnonzero(bits == level_bits)
        entry, column, row = cells_of_boxes(bounds[item_ix], level_bits)
        levels.append(level_of(level_bits, item_ix[entry], column, row))
    return Grid(levels)


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
    per_deg = 2**bits / 360
    west, south, east, north = bounds.T
    column0 = np.floor((west - _PAD_DEG + 180.0) * per_deg).astype(np.int64)
    column1 = np.floor((east + _PAD_DEG + 180.0) * per_deg).astype(np.int64)
    column1 = np.minimum(column1, column0 + 2**bits - 1)
    row0 = np.floor((np.maximum(south - _PAD_DEG, -90.0) + 90.0) * per_deg).astype(np.int64)
    row1 = np.floor((np.minimum(north + _PAD_DEG, 90.0) + 90.0) * per_deg).astype(np.int64)
    width = column1 - column0 + 1
    item, nth = runs(width * (row1 - row0 + 1))
    down = nth // width.take(item)
    column = column0.take(item) + nth - down * width.take(item)
    return with_seam(item, column & (2**bits - 1), row0.take(item) + down, bits)


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


def level_of(
    bits: int, item: Longs, column: Longs, row: Longs, is_inner: Bools | None = None
) -> Level:
    """A level from its entries; with ``is_inner`` they keep their cell, without it only the hash.

    Notes
    -----
    Slot and item are sorted as one number: a second for seven million entries. Without cells, an
    item whose cells share a slot is held there once.
    """
    slot_count = 1 << max(4, (2 * len(item) - 1).bit_length())
    packed = (((row * _ROW_FACTOR + column) & (slot_count - 1)) << 32) | item
    keys, inner = np.empty(0, np.int64), np.empty(0, bool)
    if is_inner is None:
        packed.sort()
        is_first = np.ones(len(packed), bool)
        np.not_equal(packed[1:], packed[:-1], out=is_first[1:])
        packed = packed[is_first]
    else:
        order = np.argsort(packed, kind="stable")
        packed, keys, inner = packed[order], cell_key(column, row)[order], is_inner[order]
    slot = packed >> 32
    first = np.flatnonzero(np.concatenate([[True], slot[1:] != slot[:-1]]))
    table = np.zeros(slot_count, np.int32)
    table[slot[first]] = np.arange(1, len(first) + 1)
    start = np.concatenate([[0], first, [len(slot)]]).astype(np.int32)
    return Level(bits, table, start, (packed & 0xFFFFFFFF).astype(np.int32), keys, inner)
