"""Circles of any size anywhere: fixes inside them, and distances to their edges.

Near circles are measured by a polynomial, see `near`; any other by the geodesic alone. Either way
membership is exactly ``geodesic distance <= radius``.
"""

from __future__ import annotations

from collections.abc import Callable
from math import sqrt
from typing import Final

import numpy as np
from numpy.typing import NDArray

from geoengine.core.columns import Bools, Floats, Ints, Longs
from geoengine.core.space.geodesy import (
    POLYNOMIAL_ERROR_M,
    POLYNOMIAL_MAX_M,
    circle_bounds,
    geodesic_one_m,
)
from geoengine.core.space.grid import Grid
from geoengine.core.space.near import (
    A0,
    FAR_DEG2,
    LAT,
    LON,
    NearCircles,
    geodesic_edge_m,
    rows_of,
    squared_ratio,
)
from geoengine.core.space.parts import grid_of_boxes

# A sphere of the mean radius is within 0.56 % of the geodesic: what is farther than this needs no
# geodesic to be told outside.
_SPHERE_M: Final = 6_371_008.8
_SPHERE_SLACK: Final = 1.01


class Circles:
    """Circles by number, C of them; a circle's number is its position in the arrays given."""

    def __init__(self, lon_deg: Floats, lat_deg: Floats, radius_m: Floats) -> None:
        self._count = len(lon_deg)
        self.radius_m = np.ascontiguousarray(radius_m)
        bounds = circle_bounds(lon_deg, lat_deg, radius_m)
        rows = rows_of(lon_deg, lat_deg, radius_m)
        self.near = NearCircles(rows, self.radius_m, bounds)
        self.rows = self.near.rows
        others = np.flatnonzero(np.isnan(rows[:, A0]))
        self.far_grid: Grid = grid_of_boxes(bounds[others])
        self.far_grid.renumber(others)
        self._has_far = len(others) > 0
        self._flat, self._radius = self.rows.reshape(-1).data, self.radius_m.data

    def __len__(self) -> int:
        return self._count

    @property
    def centers(self) -> tuple[Floats, Floats]:
        """Longitudes and latitudes of the centres, degrees, shape (C,) each."""
        return self.rows[: self._count, LON], self.rows[: self._count, LAT]

    @property
    def bounds(self) -> NDArray[np.float64]:
        """Boxes: west, south, east, north in degrees, shape (C, 4); see `circle_bounds`."""
        return circle_bounds(*self.centers, self.radius_m)

    @property
    def nbytes(self) -> int:
        """Bytes held."""
        return self.near.nbytes + self.far_grid.nbytes

    def bounds_of_rows(self, row_ix: Longs) -> NDArray[np.float64]:
        """Boxes of rows, west, south, east, north in degrees, shape (N, 4)."""
        rows = self.rows.take(row_ix, axis=0)
        radius_m = self.radius_m.take(self.near.circles_of(row_ix.astype(np.int32)))
        return circle_bounds(rows[:, LON], rows[:, LAT], radius_m)

    def match(self, lon_deg: Floats, lat_deg: Floats) -> tuple[Longs, Ints, Floats]:
        """All pairs of a position inside a circle: position, circle, ``edge_m``; unordered."""
        near = self.near.match(lon_deg, lat_deg)
        if not self._has_far:
            return near
        far = self._match_far(lon_deg, lat_deg)
        return (
            np.concatenate([near[0], far[0]]),
            np.concatenate([near[1], far[1]]),
            np.concatenate([near[2], far[2]]),
        )

    def _match_far(self, lon_deg: Floats, lat_deg: Floats) -> tuple[Longs, Ints, Floats]:
        fix_ix, entry = self.far_grid.candidates(lon_deg, lat_deg)
        circle_ix = self.far_grid.items.take(entry)
        lon, lat = lon_deg[fix_ix], lat_deg[fix_ix]
        center = self.rows[circle_ix]
        roughly_m = _sphere_m(center[:, LON], center[:, LAT], lon, lat)
        close = np.flatnonzero(roughly_m <= self.radius_m[circle_ix] * _SPHERE_SLACK + 1.0)
        fix_ix, circle_ix = fix_ix[close], circle_ix[close]
        edge_m = self._geodesic(circle_ix, lon[close], lat[close])
        is_in = edge_m <= 0.0
        return fix_ix[is_in], circle_ix[is_in], edge_m[is_in]

    @property
    def match_one_by(self) -> Callable[[float, float], list[tuple[int, float]]]:
        """`match_one`, without the detour where all circles are near."""
        return self.match_one if self._has_far else self.near.match_one

    def match_one(self, lon_deg: float, lat_deg: float) -> list[tuple[int, float]]:
        """The circles a position lies in, with ``edge_m``; unordered. Answers as `match` does."""
        found = self.near.match_one(lon_deg, lat_deg)
        if self._has_far:
            far = self.far_grid
            circles = {int(far.items[entry]) for entry in far.entries_at(lon_deg, lat_deg)}
            edges = ((ix, self._geodesic_one(ix, lon_deg, lat_deg)) for ix in circles)
            found += [(ix, edge_m) for ix, edge_m in edges if edge_m <= 0.0]
        return found

    def edge_m(self, circle_ix: Ints | Longs, lon_deg: Floats, lat_deg: Floats) -> Floats:
        """Signed distance to the edge of paired circles and positions, any distance away."""
        rows = self.rows.take(circle_ix, axis=0)
        radius_m = self.radius_m.take(circle_ix)
        north = lat_deg - rows[:, LAT]
        east = lon_deg - rows[:, LON]
        if np.abs(east).max(initial=0.0) > 180.0:
            east -= 360.0 * np.rint(east / 360.0)
        edge_m = np.sqrt(squared_ratio(rows, north, east * east))
        edge_m -= 1.0
        edge_m *= radius_m
        radius_m -= POLYNOMIAL_MAX_M
        is_sure = edge_m <= -radius_m
        is_sure &= np.abs(edge_m) > POLYNOMIAL_ERROR_M
        if not is_sure.all():
            unsure = np.flatnonzero(~is_sure)
            edge_m[unsure] = self._geodesic(circle_ix[unsure], lon_deg[unsure], lat_deg[unsure])
        return edge_m

    def edge_one_m(self, circle_ix: int, lon_deg: float, lat_deg: float) -> float:
        """`edge_m` of one circle and one position."""
        lon0, lat0, a0, a1, b0, b1, b2, e0 = self._flat[8 * circle_ix : 8 * circle_ix + 8]
        north, east = lat_deg - lat0, lon_deg - lon0
        east -= 360.0 * round(east / 360.0)
        by_north, east2 = north * north * (a0 + a1 * north), min(east * east, FAR_DEG2)
        q = by_north + abs(east2 * (b0 + north * (b1 + b2 * north) + e0 * east2))
        radius_m = self._radius[circle_ix]
        edge_m = (sqrt(q) - 1.0) * radius_m
        if edge_m <= POLYNOMIAL_MAX_M - radius_m and abs(edge_m) > POLYNOMIAL_ERROR_M:
            return edge_m
        return self._geodesic_one(circle_ix, lon_deg, lat_deg)

    def touches(
        self, circle_ix: Ints | Longs, lon_deg: Floats, lat_deg: Floats, radius_m: Floats
    ) -> Bools:
        """Whether each circle touches the disc beside it."""
        return self.edge_m(circle_ix, lon_deg, lat_deg) <= radius_m

    def is_deep(
        self, circle_ix: Ints | Longs, lon_deg: Floats, lat_deg: Floats, radius_m: Floats
    ) -> Bools:
        """Whether each circle holds the disc beside it, whole."""
        return self.edge_m(circle_ix, lon_deg, lat_deg) <= -radius_m

    def _geodesic(self, circle_ix: Ints | Longs, lon_deg: Floats, lat_deg: Floats) -> Floats:
        return geodesic_edge_m(self.rows, self.radius_m, circle_ix, lon_deg, lat_deg)

    def _geodesic_one(self, circle_ix: int, lon_deg: float, lat_deg: float) -> float:
        at = 8 * circle_ix
        distance_m = geodesic_one_m(self._flat[at], self._flat[at + 1], lon_deg, lat_deg)
        return distance_m - self._radius[circle_ix]


def _sphere_m(lon0_deg: Floats, lat0_deg: Floats, lon1_deg: Floats, lat1_deg: Floats) -> Floats:
    lat0, lat1 = np.radians(lat0_deg), np.radians(lat1_deg)
    half_north, half_east = (lat1 - lat0) / 2, np.radians(lon1_deg - lon0_deg) / 2
    across = np.cos(lat0) * np.cos(lat1) * np.sin(half_east) ** 2
    chord2 = np.sin(half_north) ** 2 + across
    distance_m: Floats = 2 * _SPHERE_M * np.arcsin(np.sqrt(np.minimum(chord2, 1.0)))
    return distance_m
