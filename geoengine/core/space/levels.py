"""Cells over longitude and latitude: how large for which items, and which ones items touch.

The globe is cut into square cells of 360 / 2**bits degrees. Columns wrap at the antimeridian
because a circle is cut into a whole number of cells; longitude +180 falls into a column of its own,
which repeats the first.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from geoengine.core.columns import Floats, Longs

BITS_MIN: Final = 2  # cells of 90 degrees ...
BITS_MAX: Final = 24  # ... to 2.4 metres
_CELLS_ALONG: Final = 2.5  # a box is about as many cells high: measured, finer costs only memory
_CELLS_MAX: Final = 64  # an item in more cells than this moves to a coarser level
_LONELY: Final = 8  # a level costs each fix about one candidate; so few items join the next level
_PAD_DEG: Final = 1e-9  # a tenth of a millimetre, against rounding where coordinates wrap
# A circle is judged in a plane with the scale of its centre. Over the 15 km of the largest the
# squared scale changes by 1.5 % at 80 degrees of latitude, and a cell is dropped past 6 %.
_PLANE_OUT: Final = 1.06
_ITEMS_AT_ONCE: Final = 1 << 12  # while their cells are listed, so that the lists stay in the cache
Cells = tuple[Longs, Longs, Longs]  # item, column, row of each entry


def natural_bits(cell_deg: NDArray[np.float64]) -> Longs:
    """The level whose cells are nearest to this size."""
    bits = np.round(np.log2(360.0 / np.maximum(cell_deg, 1e-6)))
    return np.clip(bits, BITS_MIN, BITS_MAX).astype(np.int64)


def levels_of_boxes(bounds: NDArray[np.float64]) -> Longs:
    """The level for each box, int64 of shape (N,): few levels, and no box in too many cells."""
    width, height = bounds[:, 2] - bounds[:, 0], bounds[:, 3] - bounds[:, 1]
    bits = natural_bits(height / _CELLS_ALONG)
    for _ in range(BITS_MIN, BITS_MAX):
        per_deg = 2.0**bits / 360
        too_many = (width * per_deg + 1) * (height * per_deg + 1) > _CELLS_MAX
        if not too_many.any():
            break
        bits[too_many & (bits > BITS_MIN)] -= 1
    return fewer_levels(bits)


def fewer_levels(bits: Longs) -> Longs:
    """The same levels less those next to another: each costs every fix a look.

    A level joins the next coarser one if that has cells of twice the size and has not joined
    another itself, or if it has hardly any items and the cells are of at most 16 times the size.
    """
    present, which, counts = np.unique(bits, return_inverse=True, return_counts=True)
    for at in range(1, len(present)):
        wider = present[at] - present[at - 1]
        if wider == 1 or (counts[at] < _LONELY and wider <= 4):
            present[at] = present[at - 1]
    return present[which]


def cells_of_boxes(bounds: NDArray[np.float64], bits: int) -> Cells:
    """The cells of a level that boxes touch: item, column and row of each, int64 of shape (E,).

    ``bounds`` are west, south, east, north in degrees, shape (N, 4); west below -180 or east above
    180 is over the antimeridian.
    """
    item, column, row = cells_between(*_padded(bounds), bits)
    return with_seam(item, column & (2**bits - 1), row, bits)


def cells_of_circles(
    bounds: NDArray[np.float64],
    center: NDArray[np.float64],
    scale2: NDArray[np.float64],
    bits: int,
) -> Cells:
    """The cells of a level that near circles touch, those of their boxes' corners left out.

    Parameters
    ----------
    bounds : float64, shape (N, 4)
        The circles' boxes; see `cells_of_boxes`.
    center : float64, shape (N, 2)
        Longitude and latitude.
    scale2 : float64, shape (N, 2)
        What squared degrees of longitude and latitude are in squared radii.
    """
    item, column, row = cells_between(*_padded(bounds), bits)
    size_deg = 360 / 2**bits
    apart2 = np.zeros(len(item))
    for axis, (number, origin) in enumerate(((column, -180.0), (row, -90.0))):
        near_edge = number * size_deg + origin - center[:, axis].take(item)
        apart = np.maximum(np.maximum(near_edge, -near_edge - size_deg), 0.0)
        apart2 += apart * apart * scale2[:, axis].take(item)
    touched = np.flatnonzero(apart2 <= _PLANE_OUT)
    return with_seam(
        item.take(touched), column.take(touched) & (2**bits - 1), row.take(touched), bits
    )


def chunks_of(count: int) -> list[slice]:
    """Slices of so many items that listing their cells takes little memory."""
    return [slice(at, at + _ITEMS_AT_ONCE) for at in range(0, count, _ITEMS_AT_ONCE)]


def _padded(bounds: NDArray[np.float64]) -> tuple[Floats, Floats, Floats, Floats]:
    west, south, east, north = bounds.T
    return (
        west - _PAD_DEG,
        np.maximum(south - _PAD_DEG, -90.0),
        east + _PAD_DEG,
        np.minimum(north + _PAD_DEG, 90.0),
    )


def cells_between(west: Floats, south: Floats, east: Floats, north: Floats, bits: int) -> Cells:
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
