"""Ways between two fixes that cut through a zone in which neither of them lies.

The zones near a way are found by the same grids that match fixes; what is found is cut exactly.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import shapely
from numpy.typing import NDArray

from geoengine.core.columns import Bools, Floats, Ints
from geoengine.core.space.circles import Circles
from geoengine.core.space.geodesy import GEOD, geodesic_m
from geoengine.core.space.plane import circles_near_one, may_cut
from geoengine.core.space.polygons import Polygons
from geoengine.core.space.ways import Indices, Pairs, Segments, Way, near_pairs

# In the plane that keeps distances from a centre, a step around the antipodes is a way through it.
_THIS_SIDE_M: Final = 10_000_000.0
_LINE: Final = 1  # GEOS's number for a line string
# Nowhere is a degree longer than this, so a way that is short by it is short.
_DEGREE_MAX_M: Final = 111_700.0


@dataclass(frozen=True, slots=True)
class Chords:
    """Pieces of ways inside circles or polygons, K rows."""

    segment_ix: NDArray[np.intp]
    item_ix: NDArray[np.intp]
    is_circle: Bools
    chord_m: Floats
    into: Floats
    out_of: Floats

    def take(self, row_ix: NDArray[np.intp]) -> Chords:
        """The rows at these positions."""
        return Chords(*(column[row_ix] for column in self.columns()))

    def columns(self) -> tuple[NDArray[Any], ...]:
        """All columns, in the order of the fields."""
        ends = self.chord_m, self.into, self.out_of
        return self.segment_ix, self.item_ix, self.is_circle, *ends

    @classmethod
    def concat(cls, parts: Iterable[Chords]) -> Chords:
        """All rows of the parts."""
        columns = zip(*(part.columns() for part in parts), strict=True)
        return cls(*(np.concatenate(column) for column in columns))


NO_CHORDS: Final = Chords(
    np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, bool), *(np.empty(0),) * 3
)


def cross(segments: Segments, circles: Circles, polygons: Polygons, min_chord_m: float) -> Chords:
    """The chords of at least this length, of ways with both ends outside; unordered."""
    long = (segments.extent2_deg >= (min_chord_m / _DEGREE_MAX_M) ** 2).nonzero()[0]
    if not len(long):
        return NO_CHORDS
    if len(long) < len(segments):
        segments = segments.take(long)
    by_circle = _near_circles(segments, circles)
    by_polygon = _near_polygons(segments, polygons)
    chords = _cut(segments, by_circle, by_polygon, circles, polygons, min_chord_m)
    if not len(chords.segment_ix):
        return NO_CHORDS
    return replace(chords, segment_ix=long[chords.segment_ix])


def cross_one(way: Way, circles: Circles, polygons: Polygons, min_chord_m: float) -> Chords | None:
    """`cross` of one way; None where that is not cheaper: of what is long, polar or wraps around.

    Only the question what is near is asked in another manner, so the answers are the same.
    """
    if way.extent2_deg < (min_chord_m / _DEGREE_MAX_M) ** 2:
        return NO_CHORDS
    near = circles_near_one(way, circles.near) if way.is_plain else None
    far = circles.far_grid.items_in(way.box)
    also = polygons.grid.items_in(way.box)
    if near is None or far is None or also is None:
        return None
    polys = polygons.near_box(also, way.box)
    if not (near or far or polys):
        return NO_CHORDS
    by_circle, by_polygon = _paired(near + far), _paired(polys)
    return _cut(way.segments(), by_circle, by_polygon, circles, polygons, min_chord_m)


def _paired(item_ix: list[int]) -> Pairs:
    items = np.array(sorted(set(item_ix)), np.int64)
    return np.zeros(len(items), np.int64), items


def _cut(
    segments: Segments,
    by_circle: Pairs,
    by_polygon: Pairs,
    circles: Circles,
    polygons: Polygons,
    min_chord_m: float,
) -> Chords:
    found = [
        circle_chords(segments, *by_circle, circles),
        polygon_chords(segments, *by_polygon, polygons),
    ]
    found = [chords for chords in found if len(chords.segment_ix)]
    if not found:
        return NO_CHORDS
    chords = Chords.concat(found)
    return chords.take(np.flatnonzero(chords.chord_m >= min_chord_m))


def circle_chords(
    segments: Segments, segment_ix: Indices, circle_ix: Indices, circles: Circles
) -> Chords:
    """Cut paired ways and circles, in the plane that keeps distances from the circle's centre.

    Both ends are at their geodesic distance in it, so who is outside is exact.
    """
    if len(segment_ix) == 0:
        return NO_CHORDS
    lon, lat = (center[circle_ix] for center in circles.centers)
    begin, end = segments.lon0_deg[segment_ix], segments.lon1_deg[segment_ix]
    x0, y0, distance0 = _around(lon, lat, begin, segments.lat0_deg[segment_ix])
    x1, y1, distance1 = _around(lon, lat, end, segments.lat1_deg[segment_ix])
    radius_m = circles.radius_m[circle_ix]
    dx, dy = x1 - x0, y1 - y0
    length2, toward = dx * dx + dy * dy, -(x0 * dx + y0 * dy)
    power = toward * toward - length2 * (distance0 * distance0 - radius_m * radius_m)
    is_cut = distance0 < _THIS_SIDE_M
    is_cut &= (distance0 > radius_m) & (distance1 > radius_m) & (power > 0)
    is_cut &= (toward > 0) & (toward < length2)  # the nearest point lies between the ends
    cut = np.flatnonzero(is_cut)
    half, length2 = np.sqrt(power[cut]), length2[cut]
    return Chords(
        segment_ix[cut],
        circle_ix[cut],
        np.ones(len(cut), bool),
        2 * half / np.sqrt(length2),
        (toward[cut] - half) / length2,
        (toward[cut] + half) / length2,
    )


def polygon_chords(
    segments: Segments, segment_ix: Indices, polygon_ix: Indices, polygons: Polygons
) -> Chords:
    """Cut paired ways and polygons, straight in longitude and latitude: the longest piece of each.

    Fractions are of the difference of coordinates; the chord is that share of the way's length.
    """
    if len(segment_ix) == 0:
        return NO_CHORDS
    lon0, lat0 = segments.lon0_deg[segment_ix], segments.lat0_deg[segment_ix]
    lon1, lat1 = segments.lon1_deg[segment_ix], segments.lat1_deg[segment_ix]
    turn = polygons.beside(polygon_ix, lon0) - lon0
    is_out = ~polygons.holds(polygon_ix, lon0, lat0) & ~polygons.holds(polygon_ix, lon1, lat1)
    ends = np.stack([lon0 + turn, lat0, lon1 + turn, lat1], axis=1).reshape(-1, 2, 2)[is_out]
    ways = shapely.linestrings(ends)
    inside = shapely.intersection(polygons.shapes[polygon_ix[is_out]], ways)
    pieces, way_ix = shapely.get_parts(inside, return_index=True)
    is_line = (shapely.get_type_id(pieces) == _LINE) & ~shapely.is_empty(pieces)
    pieces, way_ix = pieces[is_line], way_ix[is_line]
    fractions = _fractions(ends[way_ix], pieces)
    longest = np.lexsort((fractions[:, 0] - fractions[:, 1], way_ix))
    longest = longest[np.unique(way_ix[longest], return_index=True)[1]]
    chosen = np.flatnonzero(is_out)[way_ix[longest]]
    into, out_of = fractions[longest].T
    length_m = geodesic_m(lon0[chosen], lat0[chosen], lon1[chosen], lat1[chosen])
    return Chords(
        segment_ix[chosen],
        polygon_ix[chosen],
        np.zeros(len(chosen), bool),
        (out_of - into) * length_m,
        into,
        out_of,
    )


def _around(lon0: Floats, lat0: Floats, lon1: Floats, lat1: Floats) -> tuple[Floats, ...]:
    """East, north and distance in metres of positions as seen from centres."""
    azimuth_deg, _, distance_m = GEOD.inv(lon0, lat0, lon1, lat1)
    azimuth = np.radians(azimuth_deg)
    return distance_m * np.sin(azimuth), distance_m * np.cos(azimuth), distance_m


def _fractions(ends: NDArray[np.float64], pieces: NDArray[Any]) -> NDArray[np.float64]:
    """Where each piece begins and ends on its way, 0 to 1, ascending, shape (N, 2)."""
    step = ends[:, 1] - ends[:, 0]
    axis = np.abs(step).argmax(axis=1)
    row = np.arange(len(step))
    marks = [shapely.get_coordinates(shapely.get_point(pieces, nth)) for nth in (0, -1)]
    shares = [(mark[row, axis] - ends[row, 0, axis]) / step[row, axis] for mark in marks]
    return np.sort(np.stack(shares, axis=1), axis=1)


def _near_circles(segments: Segments, circles: Circles) -> Pairs:
    segment_ix, row_ix = near_pairs(circles.near.grid, segments, circles.bounds_of_rows)
    is_worth = may_cut(segments, segment_ix, circles.rows.take(row_ix, axis=0))
    worth = is_worth.nonzero()[0]
    segment_ix, row_ix = segment_ix.take(worth), row_ix.take(worth)
    if circles.far_grid.levels:
        also_ix, also_row_ix = near_pairs(circles.far_grid, segments, circles.bounds_of_rows)
        segment_ix = np.concatenate([segment_ix, also_ix])
        row_ix = np.concatenate([row_ix, also_row_ix])
    # Only now, so that a circle and its twin over the antimeridian are one.
    return _distinct(segment_ix, circles.near.circles_of(row_ix.astype(np.int32)))


def _near_polygons(segments: Segments, polygons: Polygons) -> Pairs:
    return _distinct(*near_pairs(polygons.grid, segments, lambda ix: polygons.bounds[ix]))


def _distinct(segment_ix: Indices, item_ix: Indices | Ints) -> Pairs:
    if not len(segment_ix):
        return segment_ix, segment_ix
    pairs = np.unique((segment_ix << 32) | item_ix)
    return pairs >> 32, pairs & 0xFFFFFFFF
