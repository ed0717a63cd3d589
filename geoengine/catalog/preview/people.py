"""How many people live in a reach, from the density grids that were added."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import shapely
from numpy.typing import NDArray

from geoengine.core.columns import Floats

AROUND_KM2 = np.pi  # a grid counts the people within 1 km of a point
APART_M = 1_000.0  # between two points asked: nearer ones have mostly the same people around
ASKED_MAX = 61  # points an area; a reach of 4 km has 50
DEGREE_M = 111_200.0  # of latitude; a per cent off is lost in the rest


class Counted(Protocol):
    """What a grid says of P places."""

    @property
    def people(self) -> Floats:
        """People within 1 km of each, shape (P,); NaN where the grid has none."""
        ...


class Density(Protocol):
    """A density grid that was added; see `geoengine.catalog.density`."""

    def look_up(self, lon_deg: Floats, lat_deg: Floats) -> Counted: ...


def people_in(
    shapes: NDArray[np.object_], lat_deg: Floats, radius_m: Floats, grids: Sequence[Density]
) -> Floats:
    """About how many people live in each area.

    Parameters
    ----------
    shapes : polygons, shape (A,)
        In degrees.
    lat_deg, radius_m : float64, shape (A,)
        Where each is, and the radius of the circle of its area.
    grids : the best first
        A place that one does not know is asked of the next.

    Returns
    -------
    people : float64, shape (A,)
        NaN where no grid knows any place of the area.

    Notes
    -----
    Size times the mean density around points `APART_M` apart. The density is that of a disc of
    1 km, so a town's edge is blurred by as much: right for what lies in one kind of ground, and
    within a few tens of per cent where it is half a town and half fields.
    """
    if not grids or not len(shapes):
        return np.full(len(shapes), np.nan)
    asked = [_points(*one) for one in zip(shapes, lat_deg.tolist(), radius_m.tolist(), strict=True)]
    row = np.repeat(np.arange(len(shapes)), [len(points) for points in asked])
    around = _around(np.concatenate(asked), grids)
    is_known = ~np.isnan(around)
    known = np.bincount(row[is_known], minlength=len(shapes))
    total = np.bincount(row[is_known], around[is_known], len(shapes))
    mean = np.divide(total, known, out=np.full(len(shapes), np.nan), where=known > 0)
    people: Floats = mean / AROUND_KM2 * np.pi * (radius_m / 1_000) ** 2
    return people


def _around(points: Floats, grids: Sequence[Density]) -> Floats:
    """People within 1 km of each point, shape (P,), by the first grid that knows."""
    people = np.full(len(points), np.nan)
    for grid in grids:
        rows = np.flatnonzero(np.isnan(people))
        people[rows] = grid.look_up(points[rows, 0], points[rows, 1]).people
    return people


def _points(shape: shapely.Geometry, lat_deg: float, radius_m: float) -> Floats:
    """Points of a lattice that lie in the shape, (P, 2); at least one."""
    west, south, east, north = shape.bounds
    apart_m = max(APART_M, radius_m * np.sqrt(np.pi / ASKED_MAX))
    step_lat = apart_m / DEGREE_M
    step_lon = step_lat / max(np.cos(np.radians(lat_deg)), 0.01)
    lons = np.arange(_first(west, east, step_lon), east, step_lon)
    lats = np.arange(_first(south, north, step_lat), north, step_lat)
    lon_deg, lat_deg_all = (grid.ravel() for grid in np.meshgrid(lons, lats))
    is_in = shapely.contains_xy(shape, lon_deg, lat_deg_all)
    if not is_in.any():
        return np.array(shape.representative_point().coords, float)
    return np.stack([lon_deg[is_in], lat_deg_all[is_in]], axis=1)


def _first(low: float, high: float, step: float) -> float:
    """Where a lattice begins that lies evenly between two ends."""
    return low + ((high - low) % step) / 2
