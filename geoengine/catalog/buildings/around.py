"""The building that a place lies in, or beside."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.geometry import Point

from geoengine.catalog.buildings.outlines import Outlines, ranges
from geoengine.catalog.polygons import Area
from geoengine.core.columns import Floats, Longs
from geoengine.core.space.geodesy import circle_bounds, degree_m

# The grid in which buildings are found. One no larger than half a cell and nearer to a place than
# three quarters of a cell, 33 m at 82 degrees of latitude, has its middle in the place's cell or in
# one beside it; larger ones are looked at one by one.
_CELL_DEG: Final = 0.003
_COLUMNS: Final = 200_000  # more than there are cells around the globe, so that no two share a name
_BESIDE: Final = np.array([row * _COLUMNS + at for row in (-1, 0, 1) for at in (-1, 0, 1)])
_AT_ONCE: Final = 1_000  # places; in a dense town a million pairs with buildings, 50 MB
_HERE: Final = Point(0.0, 0.0)


class Nearest(NamedTuple):
    """A building and how far a place lies outside of it; 0 inside."""

    key: int
    area: Area
    away_m: float


def nearest(
    lon_deg: Floats, lat_deg: Floats, outlines: Outlines, within_m: float
) -> list[Nearest | None]:
    """The building that holds each place, the smallest of several; else the nearest.

    Parameters
    ----------
    lon_deg, lat_deg : float64, shape (P,)
        WGS 84. Not looked across the antimeridian.
    within_m : float
        None farther away than this. Thirty metres, not kilometres: distances are on a flat map.

    Returns
    -------
    P of them; None where none is so near.

    Notes
    -----
    In a courtyard one is outside. Of two that are as near, the one of the smaller key.
    """
    found: list[Nearest | None] = [None] * len(lon_deg)
    place_ix, building_ix = _pairs(lon_deg, lat_deg, outlines, within_m)
    areas = outlines.areas(building_ix)
    flat = in_metres(areas, lon_deg[place_ix], lat_deg[place_ix])
    away_m = shapely.distance(flat, _HERE)
    best_first = np.lexsort((building_ix, shapely.area(flat), away_m, place_ix))
    for row in best_first[away_m[best_first] <= within_m].tolist():
        if found[place_ix[row]] is None:
            key = int(outlines.keys[building_ix[row]])
            found[place_ix[row]] = Nearest(key, areas[row], float(away_m[row]))
    return found


def in_metres(areas: NDArray[Any], lon_deg: Floats, lat_deg: Floats) -> NDArray[Any]:
    """Areas in degrees, each on a flat map around its own place, in metres; all of shape (N,).

    Right to a tenth of a per cent within a kilometre, below 80 degrees of latitude.
    """
    corners, ix = shapely.get_coordinates(areas, return_index=True)
    corners -= np.stack([lon_deg, lat_deg], axis=1)[ix]
    corners[:, 0] -= 360.0 * np.rint(corners[:, 0] / 360.0)
    corners *= np.stack(degree_m(lat_deg), axis=1)[ix]
    flat: NDArray[Any] = shapely.set_coordinates(areas.copy(), corners)
    return flat


def _pairs(
    lon_deg: Floats, lat_deg: Floats, outlines: Outlines, within_m: float
) -> tuple[Longs, Longs]:
    """Every place with every building whose box is so near."""
    bounds = circle_bounds(lon_deg, lat_deg, np.full(len(lon_deg), within_m))
    low, high = np.hsplit(outlines.boxes_deg, 2)
    is_large = (high - low > _CELL_DEG / 2).any(axis=1)
    small, large = np.flatnonzero(~is_large), np.flatnonzero(is_large)
    middles = (low[small] + high[small]) / 2
    cells = _cells(middles[:, 0], middles[:, 1])
    order = np.argsort(cells)
    small, cells = small[order], cells[order]
    own = _cells(lon_deg, lat_deg)
    tree = shapely.STRtree(shapely.box(*outlines.boxes_deg[large].T))
    place_ix, row = tree.query(shapely.box(*bounds.T))
    pairs = [np.stack([place_ix, large[row]])]
    for start in range(0, len(own), _AT_ONCE):
        around = (own[start : start + _AT_ONCE, None] + _BESIDE).ravel()
        starts, ends = np.searchsorted(cells, around), np.searchsorted(cells, around, "right")
        place_ix = start + np.repeat(np.arange(len(around)) // len(_BESIDE), ends - starts)
        pairs.append(_touching(bounds, outlines, place_ix, small[ranges(starts, ends)]))
    place_ix, building_ix = np.hstack(pairs)
    return place_ix, building_ix


def _touching(bounds: Floats, outlines: Outlines, place_ix: Longs, building_ix: Longs) -> Longs:
    """The pairs whose boxes touch, shape (2, N)."""
    west, south, east, north = bounds[place_ix].T
    boxes = outlines.boxes_deg[building_ix].T
    is_near = (boxes[0] <= east) & (boxes[2] >= west) & (boxes[1] <= north) & (boxes[3] >= south)
    return np.stack([place_ix[is_near], building_ix[is_near]])


def _cells(lon_deg: Floats, lat_deg: Floats) -> Longs:
    columns, rows = np.floor(lon_deg / _CELL_DEG), np.floor(lat_deg / _CELL_DEG)
    cells: Longs = (rows * _COLUMNS + columns).astype(np.int64)
    return cells
