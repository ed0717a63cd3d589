"""Ways between two fixes that cut through a zone in which neither of them lies.

The zones near a way are found by the same grids that match fixes; what is found is cut exactly.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import shapely
from numpy.typing import NDArray

from geoengine.core.columns import Bools, Floats
from geoengine.core.space.circles import Circles
from geoengine.core.space.geodesy import GEOD, geodesic_m
from geoengine.core.space.polygons import Polygons
from geoengine.core.space.ways import Indices, Pairs, Segments, near_pairs

_LINE: Final = 1  # GEOS's number for a line string
_ZERO, _ONE = np.array(0.0), np.array(1.0)  # as arrays: numpy takes half as long over them
# Nowhere is a degree longer than this, so a way that is short by it is short.
_DEGREE_MAX_M: Final = 111_700.0
_PLANE_DEG: Final = 0.5  # ways longer than this are not judged in a plane
_SLACK, _SLACK_PER_DEG = np.array(0.004), np.array(1.0)  # see `_may_cut`
_FAR_AWAY = np.array(3.0)  # (1 + length)2 is at most 2 (1 + length2)


@dataclass(frozen=True, slots=True)
class Chords:
    """Pieces of ways inside circles or polygons, K rows."""

    segment_ix: NDArray[np.intp]
    item_ix: NDArray[np.intp]
    is_circle: Bools
    chord_m: Floats
    into: Floats
    out_of: Floats

    @classmethod
    def concat(cls, parts: Iterable[Chords]) -> Chords:
        """All rows of the parts."""
        columns = zip(
            *((p.segment_ix, p.item_ix, p.is_circle, p.chord_m, p.into, p.out_of) for p in parts),
            strict=True,
        )
        return cls(*(np.concatenate(column) for column in columns))


_NO_CHORDS: Final = Chords(
    np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, bool), *(np.empty(0),) * 3
)


def cross(segments: Segments, circles: Circles, polygons: Polygons, min_chord_m: float) -> Chords:
    """The chords of at least this length, of ways with both ends outside; unordered."""
    long = (segments.extent2_deg >= (min_chord_m / _DEGREE_MAX_M) ** 2).nonzero()[0]
    if not len(long):
        return _NO_CHORDS
    if len(long) < len(segments):
        segments = segments.take(long)
    found = [
        circle_chords(segments, *_near_circles(segments, circles), circles),
        polygon_chords(segments, *_near_polygons(segments, polygons), polygons),
    ]
    found = [chords for chords in found if len(chords.segment_ix)]
    if not found:
        return _NO_CHORDS
    chords = Chords.concat(found)
    deep = np.flatnonzero(chords.chord_m >= min_chord_m)
    return Chords(
        long[chords.segment_ix[deep]],
        chords.item_ix[deep],
        chords.is_circle[deep],
        chords.chord_m[deep],
        chords.into[deep],
        chords.out_of[deep],
    )


def circle_chords(
    segments: Segments, segment_ix: Indices, circle_ix: Indices, circles: Circles
) -> Chords:
    """Cut paired ways and circles, in the plane that keeps distances from the circle's centre.

    Both ends are at their geodesic distance in it, so who is outside is exact.
    """
    if len(segment_ix) == 0:
        return _NO_CHORDS
    lon, lat = (center[circle_ix] for center in circles.centers)
    begin, end = segments.lon0_deg[segment_ix], segments.lon1_deg[segment_ix]
    x0, y0, distance0 = _around(lon, lat, begin, segments.lat0_deg[segment_ix])
    x1, y1, distance1 = _around(lon, lat, end, segments.lat1_deg[segment_ix])
    radius_m = circles.radius_m[circle_ix]
    dx, dy = x1 - x0, y1 - y0
    length2, toward = dx * dx + dy * dy, -(x0 * dx + y0 * dy)
    power = toward * toward - length2 * (distance0 * distance0 - radius_m * radius_m)
    is_cut = (distance0 > radius_m) & (distance1 > radius_m) & (power > 0)
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
        return _NO_CHORDS
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
    near, far = circles.grids
    segment_ix, row_ix = near_pairs(near, segments, circles.bounds_of_rows)
    is_worth = _may_cut(segments, segment_ix, circles.rows.take(row_ix, axis=0))
    worth = is_worth.nonzero()[0]
    segment_ix, row_ix = segment_ix.take(worth), row_ix.take(worth)
    if far.levels:
        also_ix, also_row_ix = near_pairs(far, segments, circles.bounds_of_rows)
        segment_ix = np.concatenate([segment_ix, also_ix])
        row_ix = np.concatenate([row_ix, also_row_ix])
    # Only now, so that a circle and its twin over the antimeridian are one.
    return _distinct(segment_ix, circles.circles_of(row_ix))


def _may_cut(segments: Segments, segment_ix: Indices, rows: NDArray[np.float64]) -> Bools:
    """Which of paired ways and near circles are worth the geodesic; no only where it is sure.

    In the plane with the scale of the circle's centre and its radius for unit. It moves a position
    at distance p by no more than e p, where e grows with p in degrees: by the change of the scale
    up to 80.5 degrees of latitude, 0.11 a degree north, and the meridians' convergence, 0.02 a
    degree east. ``slack`` is 4 e p2, above what that does to any of the comparisons.
    """
    by_east, by_north = rows[:, 4], rows[:, 2]
    dx, dy = segments.east_deg.take(segment_ix), segments.north_deg.take(segment_ix)
    x, y = segments.lon0_deg.take(segment_ix), segments.lat0_deg.take(segment_ix)
    x -= rows[:, 0]
    y -= rows[:, 1]
    if np.abs(x).max(initial=0.0) > 180.0:
        x -= 360.0 * np.rint(x / 360.0)
    scaled_x, scaled_y = by_east * x, by_north * y
    first2 = scaled_x * x + scaled_y * y
    away = scaled_x * dx + scaled_y * dy
    length2 = by_east * dx * dx + by_north * dy * dy
    last2 = first2 + away + away + length2
    far2 = np.maximum(first2, last2)
    slack = far2 * (_SLACK + np.sqrt(far2 / by_north) * _SLACK_PER_DEG)
    # Hashes collide: most pairs are from elsewhere altogether.
    is_worth: Bools = first2 <= (length2 + _ONE) * _FAR_AWAY
    is_worth &= np.minimum(first2, last2) + slack >= _ONE  # both ends outside
    is_worth &= away <= slack  # and the nearest point between them ...
    is_worth &= away + length2 + slack >= _ZERO
    is_worth &= first2 * length2 - away * away <= (slack + _ONE) * length2  # ... inside
    is_long = segments.extent2_deg > _PLANE_DEG**2
    if is_long.any():
        is_worth |= is_long.take(segment_ix)
    return is_worth


def _near_polygons(segments: Segments, polygons: Polygons) -> Pairs:
    return _distinct(*near_pairs(polygons.grid, segments, lambda ix: polygons.bounds[ix]))


def _distinct(segment_ix: Indices, item_ix: Indices) -> Pairs:
    if not len(segment_ix):
        return segment_ix, item_ix
    pairs = np.unique((segment_ix << 32) | item_ix)
    return pairs >> 32, pairs & 0xFFFFFFFF
