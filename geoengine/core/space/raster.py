"""A polygon in cells: which the edge runs through, which lie wholly inside."""

from __future__ import annotations

from typing import Final

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.geometry import MultiPolygon, Polygon

from geoengine.core.columns import Bools, Longs
from geoengine.core.space.levels import with_seam

_PAD_DEG: Final = 1e-9  # a tenth of a millimetre: an edge that just misses a cell marks it too
_PADS_DEG: Final = np.array([-_PAD_DEG, -_PAD_DEG, _PAD_DEG, _PAD_DEG])
_ORIGINS_DEG: Final = np.array([180.0, 90.0, 180.0, 90.0])


def cells_of_shape(shape: Polygon | MultiPolygon, bits: int) -> tuple[Longs, Longs, Bools]:
    """The cells of a level that a shape touches: column, row, and whether wholly inside; (E,) each.

    Notes
    -----
    Edges are cut into pieces shorter than a cell, and every cell of a piece's box is marked:
    too many rather than too few. A cell that no edge touches is inside if its centre is.
    """
    per_deg = 2**bits / 360
    column0, row0, column1, row1 = boxes_of(np.array([shape.bounds]), per_deg)[0].tolist()
    has_edge = np.zeros((row1 - row0 + 1, column1 - column0 + 1), bool)
    low, high = _piece_boxes(shape, per_deg)
    left, down = low[:, 0] - column0, low[:, 1] - row0
    right, up = high[:, 0] - column0, high[:, 1] - row0
    for x, y in ((left, down), (left, up), (right, down), (right, up)):
        has_edge[y, x] = True
    is_inner = np.zeros_like(has_edge)
    y, x = np.nonzero(~has_edge)
    middle_lon = (x + column0 + 0.5) / per_deg - 180.0
    middle_lat = (y + row0 + 0.5) / per_deg - 90.0
    is_inner[y, x] = shapely.contains_xy(shape, middle_lon, middle_lat)
    y, x = np.nonzero(has_edge | is_inner)
    nth, column, row = on_the_globe(x + column0, y + row0, is_inner[y, x], bits)
    return column, row, is_inner[y, x][nth]


def on_the_globe(
    column: Longs, row: Longs, is_inner: Bools, bits: int
) -> tuple[Longs, Longs, Longs]:
    """Cells of any turn as those that positions have: which ones, at times twice; column, row."""
    column, row = column & (2**bits - 1), np.maximum(row, 0)
    # A shape around the globe meets itself in the first column: where both, the edge counts.
    once = np.lexsort((is_inner, column, row))
    once = once[np.unique((row << 32 | column)[once], return_index=True)[1]]
    return with_seam(once, column[once], row[once], bits)


def boxes_of(bounds: NDArray[np.float64], per_deg: float) -> NDArray[np.int64]:
    """First column and row, last column and row of the cells of boxes; both of shape (N, 4)."""
    shifted_deg = bounds + _PADS_DEG + _ORIGINS_DEG
    cells: NDArray[np.int64] = np.floor(shifted_deg * per_deg).astype(np.int64)
    return cells


def _piece_boxes(
    shape: Polygon | MultiPolygon, per_deg: float
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Lowest and highest cell (column, row) of every piece of the shape's edges, shape (N, 2)."""
    points, ring = shapely.get_coordinates(
        shapely.get_rings(shapely.get_parts(shape)), return_index=True
    )
    is_edge = ring[1:] == ring[:-1]
    begin, end = points[:-1][is_edge], points[1:][is_edge]
    step = end - begin
    pieces = np.ceil(np.abs(step).max(axis=1) * per_deg * 2).astype(np.int64).clip(1)
    edge = np.arange(len(pieces)).repeat(pieces)
    nth = np.arange(len(edge)) - (pieces.cumsum() - pieces).repeat(pieces)
    piece = step[edge] / pieces[edge, None]
    here = begin[edge] + piece * nth[:, None]
    there = here + piece
    origin = np.array([180.0, 90.0])
    low = np.floor((np.minimum(here, there) - _PAD_DEG + origin) * per_deg).astype(np.int64)
    high = np.floor((np.maximum(here, there) + _PAD_DEG + origin) * per_deg).astype(np.int64)
    return low, high
