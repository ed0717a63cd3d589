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

from dataclasses import dataclass
from itertools import pairwise
from typing import Final, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from geoengine.core.columns import Bools, Floats, Ints, Longs
from geoengine.core.space.levels import BITS_MIN, cells_between

ROW_FACTOR: Final = 0x9E3779B1  # odd, 32 bits of the golden ratio: neighbouring rows land far apart
SEVERAL: Final = 0xFF  # the mark of cells with different fingerprints in one place
_ROW_FACTOR: Final = np.array(ROW_FACTOR)  # constants as arrays: numpy takes half as long over them
_PRINT_SHIFT: Final = np.array(24)
_SEVERAL: Final = np.array(SEVERAL, np.uint8)
_HALF_TURN_DEG: Final = np.array(180.0)
_QUARTER_TURN_DEG: Final = np.array(90.0)
_ONE: Final = np.array(1)
Indices: TypeAlias = NDArray[np.int64]
Number = TypeVar("Number", Longs, int)
_NONE: Final = np.empty(0, np.int64)
_NOT_LEFT: Final = np.empty((0, 0), bool)
_CELLS_MAX: Final = 24  # a box in more cells than this is better cut in pieces


@dataclass(frozen=True, slots=True)
class Part:
    """The items of one level: the cells they touch, to be marked, and the entries of the buckets.

    Marked cells are int32 columns and rows of cells of ``bits``, entries int64 of cells of the
    buckets' size. ``is_inner`` says whether an entry's cell lies wholly inside its item. Without
    it, a grid forgets the entries' cells.
    """

    bits: int
    marked_column: Ints
    marked_row: Ints
    item_ix: Longs
    column: Longs
    row: Longs
    is_inner: Bools | None = None


@dataclass(frozen=True, slots=True)
class Level:
    """Cells of one size: ``mask + 1`` places of buckets from ``offset``.

    Places are a level's own: an item, which is in one level, is found in one only.
    """

    bits: int
    shift: int  # from the finest level's columns and rows to this one's
    row_factor: int  # of the hash of marks: another for each level
    mask: int
    offset: int
    items: Ints  # ascending

    def place(self, column: int, row: int) -> int:
        """Where the bucket of a cell is."""
        return ((row * ROW_FACTOR + column) & self.mask) + self.offset

    def put(self, hashes: Longs) -> None:
        """Turn hashes of cells into places."""
        hashes &= self.mask
        hashes += self.offset


class Grid:
    """Items by cell, on as many levels as their sizes ask for.

    The entries of place p are ``items[start[p] : start[p + 1]]``, ascending; ``keys`` and
    ``is_inner`` go with them, or are empty. All levels share the tables, so that one call looks
    through all of them. Cells of buckets have ``coarser`` bits less than those of marks.
    """

    def __init__(self, parts: list[Part], coarser: int) -> None:
        parts = sorted(parts, key=lambda part: -part.bits)
        self.bits = parts[0].bits if parts else BITS_MIN
        self.per_deg = 2**self.bits / 360  # finest cells per degree
        self.coarser = coarser
        self.marks = _marks(parts)
        self.levels = _levels(parts, self.bits)
        self.start, self.items, self.keys, self.is_inner = _buckets(parts, self.levels)
        # One row a level, to be broadcast against positions; a lone level stays flat.
        shape = (-1, 1) if len(parts) > 1 else (-1,)
        self._per_deg = np.array([2**part.bits / 360 for part in parts]).reshape(shape)
        self._buckets_per_deg = self._per_deg / 2**coarser
        self._factor = np.array([level.row_factor for level in self.levels]).reshape(shape)
        self._mark_mask = np.array(len(self.marks) - 1)
        self._coarser = np.array(coarser)
        self._nths = np.arange(1, len(parts) + 1)
        self._bits = np.array([level.bits for level in self.levels])
        self._has_keys = bool(len(self.keys))

    @property
    def nbytes(self) -> int:
        """Bytes held."""
        tables = self.marks.nbytes + self.start.nbytes
        entries = self.items.nbytes + self.keys.nbytes + self.is_inner.nbytes
        return tables + entries + sum(level.items.nbytes for level in self.levels)

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
        fix_ix, keys, place = hit, self._keys(column, row, hit, len(lon_deg)), _hash(column, row)
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
        print_ = row * self._factor
        print_ += column
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
        place = _hash(right, up)
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
        place = _hash(column, row)
        level.put(place)
        asked, entry = self._entries(place)
        return box_ix.take(asked), self.items.take(entry).astype(np.int64)

    def entries_in(
        self, west: float, south: float, east: float, north: float
    ) -> list[range] | None:
        """Runs of the entries of items that might touch a box; None if it has too many cells."""
        found = []
        for level in self.levels:
            per_deg, by = self.per_deg, level.shift + self.coarser
            column0, column1 = int((west + 180.0) * per_deg) >> by, int((east + 180.0) * per_deg) >> by
            row0, row1 = int((south + 90.0) * per_deg) >> by, int((north + 90.0) * per_deg) >> by
            if (column1 - column0 + 1) * (row1 - row0 + 1) > _CELLS_MAX:
                return None
            for row in range(row0, row1 + 1):
                for column in range(column0, column1 + 1):
                    place = level.place(column, row)
                    found.append(range(self.start[place], self.start[place + 1]))
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


def cell_key(column: Number, row: Number, bits: Number | int) -> Number:
    """One number for a cell among those of all levels, of the same shape."""
    key: Number = (bits << 56) | (row << 28) | column
    return key


def _row_factor(bits: int) -> int:
    return ROW_FACTOR * (2 * bits + 1) & 0xFFFFFFFF


def _places(count: int) -> int:
    """How many places a table for so many cells has: two to four a cell, a power of two."""
    return 1 << max(4, (2 * count - 1).bit_length())


def _marks(parts: list[Part]) -> NDArray[np.uint8]:
    prints = [p.marked_row * np.int64(_row_factor(p.bits)) + p.marked_column for p in parts]
    print_ = np.concatenate([np.empty(0, np.int64), *prints])
    marks = np.zeros(_places(len(print_)), np.uint8)
    place, mark = print_ & (len(marks) - 1), (print_ >> 24).astype(np.uint8)
    marks[place] = mark
    marks[place[marks[place] != mark]] = SEVERAL
    return marks


def _levels(parts: list[Part], finest_bits: int) -> list[Level]:
    levels: list[Level] = []
    offset = 0
    for part in parts:
        places, items = _places(len(part.item_ix)), np.unique(part.item_ix).astype(np.int32)
        shift, factor = finest_bits - part.bits, _row_factor(part.bits)
        levels.append(Level(part.bits, shift, factor, places - 1, offset, items))
        offset += places
    return levels


def _hash(column: Longs, row: Longs) -> Longs:
    hashes: Longs = row * _ROW_FACTOR
    hashes += column
    return hashes


def _buckets(parts: list[Part], levels: list[Level]) -> tuple[Ints, Ints, Longs, Bools]:
    """Where the run of each place starts, and its entries: item, key, and whether inside.

    Notes
    -----
    Place and item are sorted as one number: a second for ten million entries. Without keys, an
    item whose cells share a place is held there once.
    """
    packed = np.concatenate([_NONE, *(_hash(part.column, part.row) for part in parts)])
    begin = 0
    for part, level in zip(parts, levels, strict=True):
        end = begin + len(part.item_ix)
        level.put(packed[begin:end])
        packed[begin:end] <<= 32
        packed[begin:end] |= part.item_ix
        begin = end
    keys, is_inner = _NONE, np.empty(0, bool)
    if parts and parts[0].is_inner is not None:
        order = np.argsort(packed, kind="stable")
        packed = packed[order]
        keys = np.concatenate([cell_key(p.column, p.row, p.bits) for p in parts])[order]
        is_inner = np.concatenate([p.is_inner for p in parts if p.is_inner is not None])[order]
    else:
        packed.sort()
        packed = packed[_is_first(packed)]
    place_count = levels[-1].offset + levels[-1].mask + 1 if levels else 0
    start = np.searchsorted(packed, np.arange(place_count + 1) << 32)
    return start.astype(np.int32), (packed & 0xFFFFFFFF).astype(np.int32), keys, is_inner


def _is_first(ordered: Longs) -> Bools:
    """Whether each element differs from the one before it."""
    is_first = np.ones(len(ordered), bool)
    np.not_equal(ordered[1:], ordered[:-1], out=is_first[1:])
    return is_first
