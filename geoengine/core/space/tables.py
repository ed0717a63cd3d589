"""The tables of a grid, built: marks of the cells that items touch, and buckets of the items.

A cell's place in either table is a hash of its column and row.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from itertools import pairwise
from typing import Any, Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from geoengine.core.columns import Bools, Ints, Longs
from geoengine.core.space.kept import Arrays
from geoengine.core.space.levels import BITS_MAX, BITS_MIN

ROW_FACTOR: Final = 0x9E3779B1  # odd, 32 bits of the golden ratio: neighbouring rows land far apart
SEVERAL: Final = 0xFF  # the mark of cells with different fingerprints in one place
PRINT_SHIFT: Final = 24  # a cell's fingerprint is one byte of its hash, from this bit on
_ROW_FACTOR: Final = np.array(ROW_FACTOR)
_NONE: Final = np.empty(0, np.int64)
Number = TypeVar("Number", Longs, int)


@dataclass(frozen=True, slots=True)
class Part:
    """The items of one level: the cells they touch, to be marked, and the entries of the buckets.

    Marked cells are int32 columns and rows of cells of ``bits``, or of the marks' size. Entries
    are items with int64 columns and rows of cells of the buckets' size; ``is_inner`` says whether
    such a cell lies wholly inside the item, ``cell_ix`` is what the item's owner calls it. Without
    these, a grid forgets the entries' cells.
    """

    bits: int
    items: Longs  # ascending
    marked_column: Ints
    marked_row: Ints
    item_ix: Longs
    column: Longs
    row: Longs
    is_inner: Bools | None = None
    cell_ix: Ints | None = None


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


@dataclass(frozen=True, slots=True)
class Tables:
    """All that a `Grid` asks: marks of cells, the runs of the buckets' places, and their entries.

    ``keys``, ``is_inner`` and ``cell_ix`` go with the entries, or are empty.
    """

    levels: list[Level]  # the finest first
    marks: NDArray[np.uint8]
    start: Ints
    items: Ints
    keys: Longs
    is_inner: Bools
    cell_ix: Ints

    @classmethod
    def of(cls, parts: list[Part]) -> Tables:
        """Those of the parts of a grid."""
        parts = sorted(parts, key=lambda part: -part.bits)
        levels = levels_of(
            [(part.bits, _places(len(part.item_ix)), part.items.astype(np.int32)) for part in parts]
        )
        return cls(levels, marks_of(parts), *buckets_of(parts, levels))

    @classmethod
    def of_arrays(cls, arrays: Arrays) -> Tables:
        """Those that had these `arrays`."""
        bits, places, ends = arrays["levels"].reshape(3, -1).tolist()
        if not all(BITS_MIN <= one <= BITS_MAX for one in bits):
            raise ValueError("levels of cells that no grid has")
        if ends and ends[-1] != len(arrays["members"]):
            raise ValueError("levels of other items")
        members = [arrays["members"][begin:end] for begin, end in pairwise([0, *ends])]
        levels = levels_of(list(zip(bits, places, members, strict=True)))
        return cls(levels, *(arrays[name] for name in _FLAT))

    @property
    def item_count(self) -> int:
        """How many items there are on all levels."""
        return sum(len(level.items) for level in self.levels)

    @property
    def arrays(self) -> dict[str, NDArray[Any]]:
        """What `of_arrays` makes them again of."""
        bits = [level.bits for level in self.levels]
        places = [level.mask + 1 for level in self.levels]
        ends = np.cumsum([len(level.items) for level in self.levels])
        members = [np.empty(0, np.int32), *(level.items for level in self.levels)]
        return {
            "levels": np.concatenate([bits, places, ends]).astype(np.int64),
            "members": np.concatenate(members),
            **{name: getattr(self, name) for name in _FLAT},
        }


_FLAT: Final = [field.name for field in fields(Tables) if field.name != "levels"]


def cell_key(column: Number, row: Number, bits: Number | int) -> Number:
    """One number for a cell among those of all levels, of the same shape."""
    key: Number = (bits << 56) | (row << 28) | column
    return key


def _row_factor(bits: int) -> int:
    return ROW_FACTOR * (2 * bits + 1) & 0xFFFFFFFF


def _places(count: int) -> int:
    """How many places a table for so many cells has: two to four a cell, a power of two."""
    return 1 << max(4, (2 * count - 1).bit_length())


def marks_of(parts: list[Part]) -> NDArray[np.uint8]:
    prints = [p.marked_row * np.int64(_row_factor(p.bits)) + p.marked_column for p in parts]
    print_ = np.concatenate([np.empty(0, np.int64), *prints])
    marks = np.zeros(_places(len(print_)), np.uint8)
    place, mark = print_ & (len(marks) - 1), (print_ >> PRINT_SHIFT).astype(np.uint8)
    mark[mark == 0] = SEVERAL  # so that 0 is nothing
    marks[place] = mark
    marks[place[marks[place] != mark]] = SEVERAL
    return marks


def levels_of(rows: list[tuple[int, int, Ints]]) -> list[Level]:
    """Levels of cells of so many bits, with so many places, and their items; the finest first."""
    levels: list[Level] = []
    offset = 0
    for bits, places, items in rows:
        shift = rows[0][0] - bits
        levels.append(Level(bits, shift, _row_factor(bits), places - 1, offset, items))
        offset += places
    return levels


def hash_of(column: Longs, row: Longs) -> Longs:
    hashes: Longs = row * _ROW_FACTOR
    hashes += column
    return hashes


def buckets_of(parts: list[Part], levels: list[Level]) -> tuple[Ints, Ints, Longs, Bools, Ints]:
    """Where the run of each place starts, and its entries: item, key, whether inside, and cell_ix.

    Notes
    -----
    Place and item are sorted as one number: a second for ten million entries. Without keys, an
    item whose cells share a place is held there once.
    """
    packed = np.concatenate([_NONE, *(hash_of(part.column, part.row) for part in parts)])
    begin = 0
    for part, level in zip(parts, levels, strict=True):
        end = begin + len(part.item_ix)
        level.put(packed[begin:end])
        packed[begin:end] <<= 32
        packed[begin:end] |= part.item_ix
        begin = end
    keys, is_inner, cell_ix = _NONE, np.empty(0, bool), np.empty(0, np.int32)
    if parts and parts[0].is_inner is not None:
        order = np.argsort(packed, kind="stable")
        packed = packed[order]
        keys = np.concatenate([cell_key(p.column, p.row, p.bits) for p in parts])[order]
        is_inner = np.concatenate([p.is_inner for p in parts if p.is_inner is not None])[order]
        cell_ix = np.concatenate([p.cell_ix for p in parts if p.cell_ix is not None])[order]
    else:
        packed.sort()
        packed = packed[_is_first(packed)]
    place_count = levels[-1].offset + levels[-1].mask + 1 if levels else 0
    start = np.zeros(place_count + 1, np.int32)
    np.cumsum(np.bincount(packed >> 32, minlength=place_count), out=start[1:])
    return start, (packed & 0xFFFFFFFF).astype(np.int32), keys, is_inner, cell_ix


def _is_first(ordered: Longs) -> Bools:
    """Whether each element differs from the one before it."""
    is_first = np.ones(len(ordered), bool)
    np.not_equal(ordered[1:], ordered[:-1], out=is_first[1:])
    return is_first
