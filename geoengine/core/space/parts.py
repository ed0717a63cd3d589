"""Circles and boxes as the parts of a grid: a part for each level that their sizes ask for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from geoengine.core.space.grid import Grid
from geoengine.core.space.levels import (
    Cells,
    cells_of_boxes,
    cells_of_circles,
    chunks_of,
    levels_of_boxes,
)
from geoengine.core.space.tables import Part, Tables

COARSER: Final = 1  # buckets hold 2 x 2 of the marked cells: measured, 4 x 4 cost more tests
CellsOf = Callable[[NDArray[np.intp], int], Cells]  # items, bits -> the cells they touch


def grid_of_boxes(bounds: NDArray[np.float64]) -> Grid:
    """A grid over boxes: west, south, east, north in degrees, shape (N, 4); row i is item i.

    West below -180 or east above 180 is over the antimeridian.
    """
    return _grid(bounds, lambda items, bits: cells_of_boxes(bounds[items], bits))


def grid_of_circles(
    bounds: NDArray[np.float64], center: NDArray[np.float64], scale2: NDArray[np.float64]
) -> Grid:
    """A grid over near circles; the arguments are those of `levels.cells_of_circles`."""
    return _grid(
        bounds,
        lambda items, bits: cells_of_circles(bounds[items], center[items], scale2[items], bits),
    )


def _grid(bounds: NDArray[np.float64], cells_of: CellsOf) -> Grid:
    bits = levels_of_boxes(bounds)
    parts = [_part(np.flatnonzero(bits == b), b, cells_of) for b in np.unique(bits).tolist()]
    return Grid(Tables.of(parts), COARSER)


def _part(members: NDArray[np.intp], bits: int, cells_of: CellsOf) -> Part:
    columns, rows, entries = [], [], []
    for some in (members[chunk] for chunk in chunks_of(len(members))):
        _, column, row = cells_of(some, bits)
        columns.append(column.astype(np.int32))
        rows.append(row.astype(np.int32))
        nth, column, row = cells_of(some, bits - COARSER)
        entries.append((some.take(nth), column, row))
    item_ix, column, row = (np.concatenate(part) for part in zip(*entries, strict=True))
    marked = np.concatenate(columns), np.concatenate(rows)
    return Part(bits, members, *marked, item_ix, column, row)
