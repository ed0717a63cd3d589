"""Near circles, small and far from the poles: the fixes inside them.

The polynomial of `geodesy` measures a fix without trigonometry, and the geodesic decides where that
lies within the polynomial's error of the edge.
"""

from __future__ import annotations

from math import sqrt
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from geoengine.core.columns import Bools, Floats, Ints, Longs
from geoengine.core.space.geodesy import (
    POLYNOMIAL_ERROR_M,
    POLYNOMIAL_LAT_MAX_DEG,
    POLYNOMIAL_MAX_M,
    coefficients,
    geodesic_m,
    geodesic_one_m,
)
from geoengine.core.space.parts import COARSER, grid_of_circles
from geoengine.core.space.tables import PRINT_SHIFT, ROW_FACTOR, SEVERAL

# Squared relative distance within which a fix is looked at closely: the polynomial's error at the
# smallest radius a near circle may have, 10 m, twice over.
_NEAR_MIN_M: Final = 10.0
_NEAR_Q: Final = 1 + 4 * POLYNOMIAL_ERROR_M / _NEAR_MIN_M
# The polynomial means nothing far away, where cells collide. To the north its own term says so; to
# the east nothing counts for more than ten degrees, which is far from every near circle.
FAR_DEG2: Final = 100.0

LON, LAT, A0, A1, B0, B1, B2, E0 = range(8)  # what is where in a row

# Constants as arrays: numpy takes half as long over them.
_NEAR, _FAR, _UNSURE = np.array(_NEAR_Q), np.array(FAR_DEG2), np.array(-POLYNOMIAL_ERROR_M)
_ONE, _ZERO = np.array(1.0), np.array(0.0)
_Views: TypeAlias = tuple[
    float,  # finest cells per degree
    list[tuple[int, int, int, int]],  # shift, row factor, mask and offset of each level
    memoryview,  # marks
    int,  # their mask
    memoryview,  # start
    memoryview,  # items
    memoryview,  # rows, flat
    memoryview,  # radius_m
]


class NearCircles:
    """The near ones among C circles; whoever asks names circles by their number among all.

    ``rows`` has one 64-byte line for each of all circles, so that measuring a candidate touches one
    line of cache: centre, and the coefficients divided by the squared radius, NaN where the circle
    is not near. Circles that reach over the antimeridian have a twin row, 360 degrees away, past
    the end. The grid's items are rows.
    """

    def __init__(
        self, rows: NDArray[np.float64], radius_m: Floats, bounds: NDArray[np.float64]
    ) -> None:
        close = np.flatnonzero(~np.isnan(rows[:, A0]))
        self._count = len(rows)
        self.twin_of = close[(bounds[close, 0] < -180) | (bounds[close, 2] > 180)].astype(np.int32)
        self.rows = np.concatenate([rows, _shifted(rows[self.twin_of])])
        self.radius_m = radius_m
        members = np.concatenate([close, self.twin_of])
        center, scale2 = rows[members][:, [LON, LAT]], rows[members][:, [B0, A0]]
        twins = np.arange(len(rows), len(self.rows))
        self.grid = grid_of_circles(bounds[members], center, scale2)
        self.grid.renumber(np.concatenate([close, twins]))
        self.flat = self.rows.reshape(-1).data
        self._scalar = self._views()

    @property
    def nbytes(self) -> int:
        """Bytes held."""
        arrays = (self.rows, self.twin_of, self.radius_m)
        return self.grid.nbytes + sum(array.nbytes for array in arrays)

    def circles_of(self, row_ix: Ints) -> Ints:
        """The circles that rows are of, shape (N,)."""
        if not len(self.twin_of):
            return row_ix
        is_twin = row_ix >= self._count
        circle_ix = row_ix.copy()
        circle_ix[is_twin] = self.twin_of[row_ix[is_twin] - self._count]
        return circle_ix

    def match(self, lon_deg: Floats, lat_deg: Floats) -> tuple[Longs, Ints, Floats]:
        """All pairs of a position inside a circle: position, circle, ``edge_m``; unordered."""
        fix_ix, entry = self.grid.candidates(lon_deg, lat_deg)
        row_ix = self.grid.items.take(entry)
        rows = self.rows.take(row_ix, axis=0)
        north = lat_deg.take(fix_ix)
        north -= rows[:, LAT]
        east2 = lon_deg.take(fix_ix)
        east2 -= rows[:, LON]
        east2 *= east2
        q = squared_ratio(rows, north, east2)
        close = (q <= _NEAR).nonzero()[0]
        fix_ix = fix_ix.take(close)
        circle_ix = self.circles_of(row_ix.take(close))
        edge_m = np.sqrt(q.take(close))
        edge_m -= _ONE
        edge_m *= self.radius_m.take(circle_ix)
        unsure = (edge_m >= _UNSURE).nonzero()[0]
        if not len(unsure):
            return fix_ix, circle_ix, edge_m
        fixes = fix_ix.take(unsure)
        ends = lon_deg.take(fixes), lat_deg.take(fixes)
        edge_m[unsure] = geodesic_edge_m(self.rows, self.radius_m, circle_ix.take(unsure), *ends)
        inside = (edge_m <= _ZERO).nonzero()[0]
        return fix_ix.take(inside), circle_ix.take(inside), edge_m.take(inside)

    def match_one(self, lon_deg: float, lat_deg: float) -> list[tuple[int, float]]:
        """The circles a position lies in, with ``edge_m``; unordered. Answers as `match` does."""
        per_deg, levels, marks, mark_mask, start, items, flat, radius = self._scalar
        count = self._count
        finest_column = int((lon_deg + 180.0) * per_deg)
        finest_row = int((lat_deg + 90.0) * per_deg)
        found: list[tuple[int, float]] = []
        for shift, row_factor, mask, offset in levels:
            column, row = finest_column >> shift, finest_row >> shift
            print_ = row * row_factor + column
            mark = marks[print_ & mark_mask]
            if not mark or (mark != SEVERAL and mark != print_ >> PRINT_SHIFT & 0xFF):
                continue
            place = ((row >> COARSER) * ROW_FACTOR + (column >> COARSER) & mask) + offset
            for row_ix in items[start[place] : start[place + 1]]:
                at = 8 * row_ix
                north = lat_deg - flat[at + 1]
                q = north * north * (flat[at + 2] + flat[at + 3] * north)
                if q > _NEAR_Q:
                    continue
                east2 = lon_deg - flat[at]
                east2 *= east2
                if east2 > FAR_DEG2:
                    continue
                slope = flat[at + 5] + flat[at + 6] * north
                q += abs(east2 * (flat[at + 4] + north * slope + flat[at + 7] * east2))
                if q <= _NEAR_Q:
                    circle_ix = self.circle_of(row_ix) if row_ix >= count else row_ix
                    edge_m = (sqrt(q) - 1.0) * radius[circle_ix]
                    if edge_m >= -POLYNOMIAL_ERROR_M:
                        center = flat[8 * circle_ix], flat[8 * circle_ix + 1]
                        edge_m = geodesic_one_m(*center, lon_deg, lat_deg) - radius[circle_ix]
                    if edge_m <= 0.0:
                        found.append((circle_ix, edge_m))
        return found

    def circle_of(self, row_ix: int) -> int:
        """The circle that a row is of."""
        return row_ix if row_ix < self._count else int(self.twin_of[row_ix - self._count])

    def _views(self) -> _Views:
        """What the scalar path reads; an element of a memoryview costs half of an array's."""
        grid = self.grid
        levels = [
            (level.shift, level.row_factor, level.mask, level.offset) for level in grid.levels
        ]
        return (
            grid.per_deg,
            levels,
            grid.marks.data,
            len(grid.marks) - 1,
            grid.start.data,
            grid.items.data,
            self.flat,
            self.radius_m.data,
        )


def rows_of(lon_deg: Floats, lat_deg: Floats, radius_m: Floats) -> NDArray[np.float64]:
    """Rows of circles, near or not, shape (C, 8); see `NearCircles`."""
    rows = np.empty((len(lon_deg), 8))
    rows[:, LON], rows[:, LAT] = lon_deg, lat_deg
    rows[:, A0:] = coefficients(lat_deg) / (radius_m**2)[:, None]
    rows[~_is_near(lat_deg, radius_m), A0:] = np.nan
    return rows


def _is_near(lat_deg: Floats, radius_m: Floats) -> Bools:
    is_small = (radius_m >= _NEAR_MIN_M) & (radius_m <= POLYNOMIAL_MAX_M)
    return is_small & (np.abs(lat_deg) <= POLYNOMIAL_LAT_MAX_DEG)


def _shifted(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    twins = rows.copy()
    twins[:, LON] -= np.copysign(360.0, rows[:, LON])
    return twins


def squared_ratio(rows: NDArray[np.float64], north: Floats, east2: Floats) -> Floats:
    """The squared relative distance; degrees, and degrees squared, shape (N,); changes ``east2``.

    More than `_NEAR_Q` for whatever is far away, NaN where the circle is not near. The scalar path
    computes the same products and sums in the same order: their bits agree.
    """
    np.minimum(east2, _FAR, out=east2)
    by_north = north * rows[:, A1]
    by_north += rows[:, A0]
    by_north *= north * north
    by_east = north * rows[:, B2]
    by_east += rows[:, B1]
    by_east *= north
    by_east += rows[:, B0]
    by_east += east2 * rows[:, E0]
    by_east *= east2
    # Negative only where it means nothing: then the sum must not come out small.
    np.abs(by_east, out=by_east)
    by_east += by_north
    return by_east


def geodesic_edge_m(
    rows: NDArray[np.float64],
    radius_m: Floats,
    circle_ix: Ints | Longs,
    lon_deg: Floats,
    lat_deg: Floats,
) -> Floats:
    """Signed distances to the edges of paired circles and positions by the geodesic, metres."""
    center = rows.take(circle_ix, axis=0)
    distance_m = geodesic_m(center[:, LON], center[:, LAT], lon_deg, lat_deg)
    return distance_m - radius_m.take(circle_ix)
