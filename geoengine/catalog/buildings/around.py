"""The building that a place lies in, or beside."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.geometry import Point

from geoengine.catalog.buildings.outlines import Outlines
from geoengine.catalog.polygons import Area
from geoengine.core.columns import Floats, Longs
from geoengine.core.space.geodesy import circle_bounds, degree_m

# The grid by which buildings far from every place are put aside. A building no larger than half a
# cell reaches no farther than the cells beside that of its middle; larger ones are all looked at.
_CELL_DEG: Final = 0.01
_COLUMNS: Final = 100_000  # more than there are cells around the globe, so that no two share a name
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
    candidates = _candidates(lon_deg, lat_deg, outlines.boxes_deg)
    tree = shapely.STRtree(shapely.box(*outlines.boxes_deg[candidates].T))
    place_ix, row = tree.query(shapely.box(*bounds.T))
    return place_ix, candidates[row]


def _candidates(lon_deg: Floats, lat_deg: Floats, boxes_deg: Floats) -> Longs:
    """The buildings that may be near some place, ascending."""
    low, high = boxes_deg[:, :2], boxes_deg[:, 2:]
    middles = (low + high) / 2
    cells = _cells(middles[:, 0], middles[:, 1])
    own = _cells(lon_deg, lat_deg)
    steps = np.array([row * _COLUMNS + column for row in (-1, 0, 1) for column in (-1, 0, 1)])
    is_beside = np.isin(cells, (own[:, None] + steps).ravel())
    is_large = ((high - low) > _CELL_DEG / 2).any(axis=1)
    return np.flatnonzero(is_beside | is_large)


def _cells(lon_deg: Floats, lat_deg: Floats) -> NDArray[np.int64]:
    columns, rows = np.floor(lon_deg / _CELL_DEG), np.floor(lat_deg / _CELL_DEG)
    return (rows * _COLUMNS + columns).astype(np.int64)
