"""Circles: fixes inside them, and distances to their edges.

A *near* circle is small and far from the poles: the polynomial of `geodesy` measures it, and the
geodesic decides where a fix lies within the polynomial's error of the edge. Any other circle is
measured by the geodesic alone. Either way membership is exactly ``geodesic distance <= radius``.
"""

from __future__ import annotations

from math import sqrt
from typing import Final

import numpy as np
from numpy.typing import NDArray

from geoengine.core.columns import Bools, Floats, Ints, Longs
from geoengine.core.space.geodesy import (
    POLYNOMIAL_ERROR_M,
    POLYNOMIAL_LAT_MAX_DEG,
    POLYNOMIAL_MAX_M,
    circle_bounds,
    coefficients,
    geodesic_m,
    geodesic_one_m,
)
from geoengine.core.space.grid import ROW_FACTOR, SEVERAL, Grid
from geoengine.core.space.parts import COARSER, grid_of_boxes, grid_of_circles

# Squared relative distance within which a fix is looked at closely: the polynomial's error at the
# smallest radius a zone may have, 10 m, twice over. Smaller circles are left to the geodesic.
_NEAR_MIN_M: Final = 10.0
_NEAR_Q: Final = 1 + 4 * POLYNOMIAL_ERROR_M / _NEAR_MIN_M
# The polynomial means nothing far away, where cells collide. To the north its own term says so; to
# the east nothing counts for more than ten degrees, which is far from every near circle.
_FAR_DEG2: Final = 100.0
# A sphere of the mean radius is within 0.56 % of the geodesic: what is farther than this needs no
# geodesic to be told outside.
_SPHERE_M: Final = 6_371_008.8
_SPHERE_SLACK: Final = 1.01

_LON, _LAT, _A0, _A1, _B0, _B1, _B2, _E0 = range(8)

# Constants as arrays: numpy takes half as long over them.
_NEAR, _FAR, _UNSURE = np.array(_NEAR_Q), np.array(_FAR_DEG2), np.array(-POLYNOMIAL_ERROR_M)
_ONE, _ZERO = np.array(1.0), np.array(0.0)


class Circles:
    """Circles by number, C of them; a circle's number is its position in the arrays given.

    ``rows`` has one 64-byte line a circle, so that measuring a candidate touches one line of
    cache: centre, and the coefficients divided by the squared radius, NaN where the circle is not
    near. Circles that reach over the antimeridian have a twin row, 360 degrees away, past the end.
    """

    def __init__(self, lon_deg: Floats, lat_deg: Floats, radius_m: Floats) -> None:
        bounds = circle_bounds(lon_deg, lat_deg, radius_m)
        is_near = _is_near(lat_deg, radius_m)
        close, far = np.flatnonzero(is_near), np.flatnonzero(~is_near)
        self.radius_m = np.ascontiguousarray(radius_m)
        self.rows = _rows(lon_deg, lat_deg, radius_m)
        self.rows[far, _A0:] = np.nan
        self._count = len(lon_deg)
        self._twin_of = close[(bounds[close, 0] < -180) | (bounds[close, 2] > 180)].astype(np.int32)
        self._near = self._near_grid(bounds, close)
        self._far = _numbered(grid_of_boxes(bounds[far]), far)
        self.rows = np.concatenate([self.rows, _shifted(self.rows[self._twin_of])])
        self._flat = self.rows.reshape(-1).data
        # Reading an element of a memoryview costs a fifth of reading one of an array.
        near = self._near
        self._scalar = (
            self._flat,
            near.marks.data,
            near.start.data,
            near.items.data,
            [(level.shift, level.row_factor, level.mask, level.offset) for level in near.levels],
            len(near.marks) - 1,
        )
        self._radius = self.radius_m.data

    def _near_grid(self, bounds: NDArray[np.float64], close: Longs) -> Grid:
        """The grid over near circles; its items are rows, twins past the end."""
        members = np.concatenate([close, self._twin_of])
        rows = self.rows[members]
        grid = grid_of_circles(bounds[members], rows[:, [_LON, _LAT]], rows[:, [_B0, _A0]])
        twins = np.arange(self._count, self._count + len(self._twin_of))
        return _numbered(grid, np.concatenate([close, twins]))

    def __len__(self) -> int:
        return self._count

    @property
    def grids(self) -> tuple[Grid, Grid]:
        """The grids over near and other circles; their items are rows, see `circles_of`."""
        return self._near, self._far

    @property
    def centers(self) -> tuple[Floats, Floats]:
        """Longitudes and latitudes of the centres, degrees, shape (C,) each."""
        return self.rows[: self._count, _LON], self.rows[: self._count, _LAT]

    @property
    def bounds(self) -> NDArray[np.float64]:
        """Boxes: west, south, east, north in degrees, shape (C, 4); see `circle_bounds`."""
        return circle_bounds(*self.centers, self.radius_m)

    @property
    def nbytes(self) -> int:
        """Bytes held."""
        own = self.rows.nbytes + self._twin_of.nbytes + self.radius_m.nbytes
        return own + self._near.nbytes + self._far.nbytes

    def circles_of(self, row_ix: Ints | Longs) -> Ints | Longs:
        """The circles that rows are of, shape (N,)."""
        if not len(self._twin_of):
            return row_ix
        is_twin = row_ix >= self._count
        circle_ix = row_ix.copy()
        circle_ix[is_twin] = self._twin_of[row_ix[is_twin] - self._count]
        return circle_ix

    def bounds_of_rows(self, row_ix: Ints | Longs) -> NDArray[np.float64]:
        """Boxes of rows, west, south, east, north in degrees, shape (N, 4)."""
        rows = self.rows.take(row_ix, axis=0)
        radius_m = self.radius_m.take(self.circles_of(row_ix))
        return circle_bounds(rows[:, _LON], rows[:, _LAT], radius_m)

    def match(self, lon_deg: Floats, lat_deg: Floats) -> tuple[Longs, Ints, Floats]:
        """All pairs of a position inside a circle: position, circle, ``edge_m``; unordered."""
        near = self._match_near(lon_deg, lat_deg)
        if not self._far.levels:
            return near
        far = self._match_far(lon_deg, lat_deg)
        return (
            np.concatenate([near[0], far[0]]),
            np.concatenate([near[1], far[1]]),
            np.concatenate([near[2], far[2]]),
        )

    def _match_near(self, lon_deg: Floats, lat_deg: Floats) -> tuple[Longs, Ints, Floats]:
        fix_ix, entry = self._near.candidates(lon_deg, lat_deg)
        row_ix = self._near.items.take(entry)
        rows = self.rows.take(row_ix, axis=0)
        north = lat_deg.take(fix_ix)
        north -= rows[:, _LAT]
        east2 = lon_deg.take(fix_ix)
        east2 -= rows[:, _LON]
        east2 *= east2
        q = _polynomial(rows, north, east2)
        close = (q <= _NEAR).nonzero()[0]
        fix_ix = fix_ix.take(close)
        circle_ix = self.circles_of(row_ix.take(close))
        edge_m = np.sqrt(q.take(close))
        edge_m -= _ONE
        edge_m *= self.radius_m.take(circle_ix)
        unsure = (edge_m >= _UNSURE).nonzero()[0]
        if not len(unsure):
            return fix_ix, circle_ix, edge_m
        return self._settled(fix_ix, circle_ix, edge_m, unsure, lon_deg, lat_deg)

    def _settled(
        self,
        fix_ix: Longs,
        circle_ix: Ints,
        edge_m: Floats,
        unsure: Longs,
        lon_deg: Floats,
        lat_deg: Floats,
    ) -> tuple[Longs, Ints, Floats]:
        """The pairs that are inside once the geodesic has decided the unsure ones."""
        fixes = fix_ix[unsure]
        edge_m[unsure] = self._geodesic(circle_ix[unsure], lon_deg[fixes], lat_deg[fixes])
        is_in = edge_m <= 0.0
        return fix_ix[is_in], circle_ix[is_in], edge_m[is_in]

    def _match_far(self, lon_deg: Floats, lat_deg: Floats) -> tuple[Longs, Ints, Floats]:
        fix_ix, entry = self._far.candidates(lon_deg, lat_deg)
        circle_ix = self._far.items.take(entry)
        lon, lat = lon_deg[fix_ix], lat_deg[fix_ix]
        center = self.rows[circle_ix]
        roughly_m = _sphere_m(center[:, _LON], center[:, _LAT], lon, lat)
        close = np.flatnonzero(roughly_m <= self.radius_m[circle_ix] * _SPHERE_SLACK + 1.0)
        fix_ix, circle_ix = fix_ix[close], circle_ix[close]
        edge_m = self._geodesic(circle_ix, lon[close], lat[close])
        is_in = edge_m <= 0.0
        return fix_ix[is_in], circle_ix[is_in], edge_m[is_in]

    def match_one(self, lon_deg: float, lat_deg: float) -> list[tuple[int, float]]:
        """The circles a position lies in, with ``edge_m``; unordered. Answers as `match` does."""
        flat, marks, start, items, levels, mark_mask = self._scalar
        finest_column = int((lon_deg + 180.0) * self._near.per_deg)
        finest_row = int((lat_deg + 90.0) * self._near.per_deg)
        found: list[tuple[int, float]] = []
        for shift, row_factor, mask, offset in levels:
            column, row = finest_column >> shift, finest_row >> shift
            print_ = row * row_factor + column
            mark = marks[print_ & mark_mask]
            if mark != print_ >> 24 & 0xFF and mark != SEVERAL:
                continue
            place = ((row >> COARSER) * ROW_FACTOR + (column >> COARSER) & mask) + offset
            for entry in range(start[place], start[place + 1]):
                row_ix = items[entry]
                at = 8 * row_ix
                north = lat_deg - flat[at + 1]
                q = north * north * (flat[at + 2] + flat[at + 3] * north)
                if q > _NEAR_Q:
                    continue
                east2 = lon_deg - flat[at]
                east2 = min(east2 * east2, _FAR_DEG2)
                slope = flat[at + 5] + flat[at + 6] * north
                q += abs(east2 * (flat[at + 4] + north * slope + flat[at + 7] * east2))
                if q <= _NEAR_Q:
                    circle_ix = row_ix if row_ix < self._count else self._circle_of(row_ix)
                    edge_m = (sqrt(q) - 1.0) * self._radius[circle_ix]
                    if edge_m >= -POLYNOMIAL_ERROR_M:
                        edge_m = self._geodesic_one(circle_ix, lon_deg, lat_deg)
                    if edge_m <= 0.0:
                        found.append((circle_ix, edge_m))
        if self._far.levels:
            found += self._match_far_one(lon_deg, lat_deg)
        return found

    def _circle_of(self, row_ix: int) -> int:
        return int(self._twin_of[row_ix - self._count])

    def _match_far_one(self, lon_deg: float, lat_deg: float) -> list[tuple[int, float]]:
        near = {int(self._far.items[entry]) for entry in self._far.entries_at(lon_deg, lat_deg)}
        edges = ((ix, self._geodesic_one(ix, lon_deg, lat_deg)) for ix in near)
        return [(ix, edge_m) for ix, edge_m in edges if edge_m <= 0.0]

    def edge_m(self, circle_ix: Ints | Longs, lon_deg: Floats, lat_deg: Floats) -> Floats:
        """Signed distance to the edge of paired circles and positions, any distance away."""
        rows = self.rows.take(circle_ix, axis=0)
        radius_m = self.radius_m.take(circle_ix)
        north = lat_deg - rows[:, _LAT]
        east = lon_deg - rows[:, _LON]
        east -= 360.0 * np.rint(east / 360.0)
        edge_m = np.sqrt(_polynomial(rows, north, east * east))
        edge_m -= _ONE
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
        by_north, east2 = north * north * (a0 + a1 * north), min(east * east, _FAR_DEG2)
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
        center = self.rows[circle_ix]
        distance_m = geodesic_m(center[:, _LON], center[:, _LAT], lon_deg, lat_deg)
        return distance_m - self.radius_m[circle_ix]

    def _geodesic_one(self, circle_ix: int, lon_deg: float, lat_deg: float) -> float:
        at = 8 * circle_ix
        distance_m = geodesic_one_m(self._flat[at], self._flat[at + 1], lon_deg, lat_deg)
        return distance_m - self._radius[circle_ix]


def _is_near(lat_deg: Floats, radius_m: Floats) -> Bools:
    is_small = (radius_m >= _NEAR_MIN_M) & (radius_m <= POLYNOMIAL_MAX_M)
    return is_small & (np.abs(lat_deg) <= POLYNOMIAL_LAT_MAX_DEG)


def _rows(lon_deg: Floats, lat_deg: Floats, radius_m: Floats) -> NDArray[np.float64]:
    rows = np.empty((len(lon_deg), 8))
    rows[:, _LON], rows[:, _LAT] = lon_deg, lat_deg
    rows[:, _A0:] = coefficients(lat_deg) / (radius_m**2)[:, None]
    return rows


def _shifted(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    twins = rows.copy()
    twins[:, _LON] -= np.copysign(360.0, rows[:, _LON])
    return twins


def _numbered(grid: Grid, row_of: Longs) -> Grid:
    """The grid with rows for items: ``row_of`` holds the row of each."""
    grid.items[:] = row_of.astype(np.int32)[grid.items]
    for level in grid.levels:
        level.items[:] = row_of[level.items]
    return grid


def _polynomial(rows: NDArray[np.float64], north: Floats, east2: Floats) -> Floats:
    """The squared relative distance; degrees, and degrees squared, shape (N,); changes ``east2``.

    More than `_NEAR_Q` for whatever is far away, NaN where the circle is not near. The scalar path
    computes the same products and sums in the same order: their bits agree.
    """
    np.minimum(east2, _FAR, out=east2)
    by_north = north * rows[:, _A1]
    by_north += rows[:, _A0]
    by_north *= north * north
    by_east = north * rows[:, _B2]
    by_east += rows[:, _B1]
    by_east *= north
    by_east += rows[:, _B0]
    by_east += east2 * rows[:, _E0]
    by_east *= east2
    # Negative only where it means nothing: then the sum must not come out small.
    np.abs(by_east, out=by_east)
    by_east += by_north
    return by_east


def _sphere_m(lon0_deg: Floats, lat0_deg: Floats, lon1_deg: Floats, lat1_deg: Floats) -> Floats:
    lat0, lat1 = np.radians(lat0_deg), np.radians(lat1_deg)
    half_north, half_east = (lat1 - lat0) / 2, np.radians(lon1_deg - lon0_deg) / 2
    across = np.cos(lat0) * np.cos(lat1) * np.sin(half_east) ** 2
    chord2 = np.sin(half_north) ** 2 + across
    distance_m: Floats = 2 * _SPHERE_M * np.arcsin(np.sqrt(np.minimum(chord2, 1.0)))
    return distance_m
