"""Ways between two fixes that cut through a zone in which neither of them lies.

The zones near a way are found by the same grids that match fixes: a way is cut into pieces no
longer than a cell, and the cells of each piece's box are looked up.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final, Self

import numpy as np
import shapely
from numpy.typing import NDArray

from geoengine.core.columns import Bools, Floats, Ints, Longs
from geoengine.core.space.circles import Circles
from geoengine.core.space.geodesy import GEOD, geodesic_m
from geoengine.core.space.grid import Grid, Level, runs
from geoengine.core.space.polygons import Polygons

Indices = NDArray[np.int64]
BoundsOf = Callable[[Indices], NDArray[np.float64]]  # boxes of items, shape (N, 4)

_LINE: Final = 1  # GEOS's number for a line string
_PAD_DEG: Final = 1e-9  # rounding
_FAR_DEG: Final = 90.0  # a way this far round the globe may go over a pole
# Nowhere is a degree longer than this, so a way that is short by it is short.
_DEGREE_MAX_M: Final = 111_700.0
# A way leaves the straight line in longitude and latitude by at most v2 / 16 radians of latitude,
# v being its difference of longitude: the sagitta of a great circle at 45 degrees.
_SAGITTA_PER_DEG2: Final = np.pi / 180 / 16 * 1.05
_POLAR_DEG: Final = 85.0  # beyond this latitude a way may bend around the pole
_CELLS_MAX: Final = 4_096  # a way through more cells than this, and than there are items, scans
_PIECES_AT_ONCE: Final = 1 << 19  # bounds the memory of a call: about 200 bytes a piece


@dataclass(frozen=True, slots=True)
class Segments:
    """Ways, S of them, from one position to another; the second longitude may pass 180."""

    lon0_deg: Floats
    lat0_deg: Floats
    lon1_deg: Floats
    lat1_deg: Floats

    @classmethod
    def of(cls, lon0_deg: Floats, lat0_deg: Floats, lon1_deg: Floats, lat1_deg: Floats) -> Self:
        """The short way round the globe."""
        east = lon1_deg - lon0_deg
        east = east - 360.0 * np.rint(east / 360.0)
        return cls(lon0_deg, lat0_deg, lon0_deg + east, lat1_deg)

    def __len__(self) -> int:
        return len(self.lon0_deg)

    def take(self, ix: Indices) -> Segments:
        """The segments at these positions."""
        ends = (self.lon0_deg, self.lat0_deg, self.lon1_deg, self.lat1_deg)
        return Segments(*(end.take(ix) for end in ends))

    @property
    def extent_deg(self) -> Floats:
        """The larger difference of coordinates."""
        return np.maximum(
            np.abs(self.lon1_deg - self.lon0_deg), np.abs(self.lat1_deg - self.lat0_deg)
        )

    @property
    def sagitta_deg(self) -> Floats:
        """How far at most a way strays from the straight line in longitude and latitude."""
        return _PAD_DEG + _SAGITTA_PER_DEG2 * (self.lon1_deg - self.lon0_deg) ** 2

    @property
    def is_polar(self) -> Bools:
        """Whether an end is so near a pole that the way may bend around it."""
        return np.maximum(np.abs(self.lat0_deg), np.abs(self.lat1_deg)) > _POLAR_DEG

    def latitudes(self, segment_ix: int) -> tuple[float, float]:
        """The latitudes, south and north, that a way surely keeps between."""
        ends = float(self.lat0_deg[segment_ix]), float(self.lat1_deg[segment_ix])
        if abs(self.lon1_deg[segment_ix] - self.lon0_deg[segment_ix]) > _FAR_DEG:
            return -90.0, 90.0
        pad = float(self.sagitta_deg[segment_ix])
        south, north = min(ends) - pad, max(ends) + pad
        return (-90.0 if south < -_POLAR_DEG else south), (90.0 if north > _POLAR_DEG else north)

    def piece_boxes(self, way: Longs, nth: Longs, pieces: Longs) -> NDArray[np.float64]:
        """The box of the nth of the pieces of each way, shape (N, 4)."""
        count = pieces.take(way)
        pad = self.sagitta_deg.take(way)
        sides = []
        for begin, end in ((self.lon0_deg, self.lon1_deg), (self.lat0_deg, self.lat1_deg)):
            step = ((end - begin) / pieces).take(way)
            here = begin.take(way) + step * nth
            there = np.where(nth + 1 == count, end.take(way), here + step)
            sides.append((np.minimum(here, there) - pad, np.maximum(here, there) + pad))
        (west, east), (south, north) = sides
        return np.stack([west, south, east, north], axis=1)


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


def cross(segments: Segments, circles: Circles, polygons: Polygons, min_chord_m: float) -> Chords:
    """The chords of at least this length, of ways with both ends outside; unordered."""
    north = (segments.lat1_deg - segments.lat0_deg) * _DEGREE_MAX_M
    east = (segments.lon1_deg - segments.lon0_deg) * _DEGREE_MAX_M
    long = np.flatnonzero(north * north + east * east >= min_chord_m * min_chord_m)
    segments = segments.take(long)
    found = [
        circle_chords(segments, *_near_circles(segments, circles), circles),
        polygon_chords(segments, *_near_polygons(segments, polygons), polygons),
    ]
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
    if len(lon0) == 0:
        return (np.empty(0),) * 3
    azimuth_deg, _, distance_m = GEOD.inv(lon0, lat0, lon1, lat1)
    azimuth = np.radians(azimuth_deg)
    return distance_m * np.sin(azimuth), distance_m * np.cos(azimuth), distance_m


def _fractions(ends: NDArray[np.float64], pieces: NDArray[Any]) -> NDArray[np.float64]:
    """Where each piece begins and ends on its way, 0 to 1, ascending, shape (N, 2)."""
    step = ends[:, 1] - ends[:, 0]
    axis = np.abs(step).argmax(axis=1) if len(step) else np.empty(0, np.intp)
    row = np.arange(len(step))
    marks = [shapely.get_coordinates(shapely.get_point(pieces, nth)) for nth in (0, -1)]
    shares = [(mark[row, axis] - ends[row, 0, axis]) / step[row, axis] for mark in marks]
    return np.sort(np.stack(shares, axis=1), axis=1)


def _near_circles(segments: Segments, circles: Circles) -> tuple[Indices, Indices]:
    pairs = [_near(grid, segments, circles.bounds_of_rows) for grid in circles.grids]
    segment_ix = np.concatenate([pair[0] for pair in pairs])
    # Only now, so that a circle and its twin over the antimeridian are one.
    circle_ix = circles.circle_of[np.concatenate([pair[1] for pair in pairs])]
    return _distinct(segment_ix, circle_ix)


def _near_polygons(segments: Segments, polygons: Polygons) -> tuple[Indices, Indices]:
    return _distinct(*_near(polygons.grid, segments, lambda ix: polygons.bounds[ix]))


def _distinct(segment_ix: Indices, item_ix: Indices) -> tuple[Indices, Indices]:
    pairs = np.unique((segment_ix << 32) | item_ix)
    return pairs >> 32, pairs & 0xFFFFFFFF


def _near(grid: Grid, segments: Segments, bounds_of: BoundsOf) -> tuple[Indices, Indices]:
    """Ways and the items of a grid they might cut, with repetitions."""
    found: list[tuple[Indices, Indices | Ints]] = [(np.empty(0, np.int64), np.empty(0, np.int64))]
    for level in grid.levels if len(segments) else ():
        per_deg = 2**level.bits / 360
        pieces = np.ceil(segments.extent_deg * per_deg).clip(1)
        rows = 2 + 2 * segments.sagitta_deg * per_deg
        is_wild = pieces * rows * 2 > max(_CELLS_MAX, level.mask // 4)
        is_wild |= segments.is_polar
        found += _by_pieces(
            grid, level, segments, np.flatnonzero(~is_wild), pieces.astype(np.int64)
        )
        found += _by_scan(grid, level, segments, np.flatnonzero(is_wild), bounds_of)
    return np.concatenate([pair[0] for pair in found]), np.concatenate([pair[1] for pair in found])


def _by_pieces(
    grid: Grid, level: Level, segments: Segments, members: Indices, pieces: Longs
) -> Iterator[tuple[Indices, Indices | Ints]]:
    pieces = pieces.take(members)
    chunk = pieces.cumsum() // _PIECES_AT_ONCE
    for begin, end in pairwise([*np.unique(chunk, return_index=True)[1].tolist(), len(members)]):
        some = members[begin:end]
        way, nth = runs(pieces[begin:end])
        piece_ix, item_ix = grid.near_boxes(
            level, segments.take(some).piece_boxes(way, nth, pieces[begin:end])
        )
        yield some[way[piece_ix]], item_ix


def _by_scan(
    grid: Grid, level: Level, segments: Segments, members: Indices, bounds_of: BoundsOf
) -> Iterator[tuple[Indices, Indices | Ints]]:
    """For ways too long, or too near a pole, for cells: every item at their latitudes."""
    if len(members) == 0:
        return
    items = grid.items_of(level)
    bounds = bounds_of(items)
    for way in members.tolist():
        south, north = segments.latitudes(way)
        near = items[(bounds[:, 1] <= north) & (bounds[:, 3] >= south)]
        yield np.full(len(near), way), near
