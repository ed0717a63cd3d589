"""The tables of a grid, built: marks of the cells that items touch, and buckets of the items.

A cell's place in either table is a hash of its column and row.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from geoengine.core.columns import Bools, Ints, Longs

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


def levels_of(parts: list[Part], finest_bits: int) -> list[Level]:
    levels: list[Level] = []
    offset = 0
    for part in parts:
        places, shift = _places(len(part.item_ix)), finest_bits - part.bits
        factor, items = _row_factor(part.bits), part.items.astype(np.int32)
        levels.append(Level(part.bits, shift, factor, places - 1, offset, items))
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
