"""Ways from one position to another, and which items of a grid they pass.

A way is cut into pieces no longer than a cell, and the cells of each piece's box are looked up.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from geoengine.core.columns import Bools, Floats, Longs
from geoengine.core.space.grid import Box, Grid
from geoengine.core.space.levels import runs
from geoengine.core.space.tables import Level

Indices = NDArray[np.int64]
Pairs = tuple[Indices, Indices]  # way, item
BoundsOf = Callable[[Indices], NDArray[np.float64]]  # boxes of items, shape (N, 4)

_PAD_DEG: Final = 1e-9  # rounding
_SHORT_DEG: Final = 0.1  # 11 km to the north: a way up to this long is asked about by itself
_FAR_DEG: Final = 90.0  # a way this far round the globe may go over a pole
_POLAR_DEG: Final = 85.0  # beyond this latitude a way may bend around the pole
# A way leaves the straight line in longitude and latitude by at most v2 / 16 radians of latitude,
# v being its difference of longitude: the sagitta of a great circle at 45 degrees.
_SAGITTA_PER_DEG2: Final = np.pi / 180 / 16 * 1.05
_CELLS_MAX: Final = 4_096  # a way through more cells than this, and than there are items, scans
_PIECES_AT_ONCE: Final = 1 << 19  # bounds the memory of a call: about 200 bytes a piece
_NO_PAIRS: Final = (np.empty(0, np.int64), np.empty(0, np.int64))


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
        if np.abs(east).max(initial=0.0) > 180.0:
            lon1_deg = lon1_deg - 360.0 * np.rint(east / 360.0)
        return cls(lon0_deg, lat0_deg, lon1_deg, lat1_deg)

    def __len__(self) -> int:
        return len(self.lon0_deg)

    def take(self, ix: Indices) -> Segments:
        """The segments at these positions."""
        ends = (self.lon0_deg, self.lat0_deg, self.lon1_deg, self.lat1_deg)
        return Segments(*(end.take(ix) for end in ends))

    def boxes(self) -> tuple[Floats, Floats, Floats, Floats]:
        """West, south, east and north that the ways surely keep between; not so near a pole."""
        pad = self.sagitta_deg
        west = np.minimum(self.lon0_deg, self.lon1_deg)
        south = np.minimum(self.lat0_deg, self.lat1_deg)
        east = np.maximum(self.lon0_deg, self.lon1_deg)
        north = np.maximum(self.lat0_deg, self.lat1_deg)
        return west - pad, south - pad, east + pad, north + pad

    @property
    def east_deg(self) -> Floats:
        """How far the ways lead east."""
        return self.lon1_deg - self.lon0_deg

    @property
    def north_deg(self) -> Floats:
        """How far the ways lead north."""
        return self.lat1_deg - self.lat0_deg

    @property
    def extent_deg(self) -> Floats:
        """The larger difference of coordinates."""
        return np.maximum(np.abs(self.east_deg), np.abs(self.north_deg))

    @property
    def extent2_deg(self) -> Floats:
        """The sum of the squared differences of coordinates."""
        east, north = self.east_deg, self.north_deg
        return east * east + north * north

    @property
    def sagitta_deg(self) -> Floats:
        """How far at most a way strays from the straight line in longitude and latitude."""
        east = self.east_deg
        return east * east * _SAGITTA_PER_DEG2 + _PAD_DEG

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


class Way(NamedTuple):
    """One way by itself, and the box that it surely keeps in."""

    lon0_deg: float
    lat0_deg: float
    lon1_deg: float
    lat1_deg: float
    east_deg: float
    north_deg: float
    box: Box

    @classmethod
    def of(cls, lon0_deg: float, lat0_deg: float, lon1_deg: float, lat1_deg: float) -> Self:
        """The way as it is drawn, not the short way round the globe; see `is_plain`."""
        east, north = lon1_deg - lon0_deg, lat1_deg - lat0_deg
        pad = east * east * _SAGITTA_PER_DEG2 + _PAD_DEG
        west_most, east_most = (lon0_deg, lon1_deg) if east > 0 else (lon1_deg, lon0_deg)
        south_most, north_most = (lat0_deg, lat1_deg) if north > 0 else (lat1_deg, lat0_deg)
        box = west_most - pad, south_most - pad, east_most + pad, north_most + pad
        return cls(lon0_deg, lat0_deg, lon1_deg, lat1_deg, east, north, box)

    @property
    def extent2_deg(self) -> float:
        """The sum of the squared differences of coordinates."""
        return self.east_deg * self.east_deg + self.north_deg * self.north_deg

    @property
    def is_plain(self) -> bool:
        """Whether the way is short and keeps away from the poles and the antimeridian."""
        west, south, east, north = self.box
        is_between = west >= -180.0 and east < 180.0
        is_between = is_between and south >= -_POLAR_DEG and north <= _POLAR_DEG
        return is_between and self.extent2_deg <= _SHORT_DEG**2

    def segments(self) -> Segments:
        """The way in columns, of one row."""
        ends = (self.lon0_deg, self.lat0_deg, self.lon1_deg, self.lat1_deg)
        return Segments(*(np.array([deg]) for deg in ends))


def near_pairs(grid: Grid, segments: Segments, bounds_of: BoundsOf) -> Pairs:
    """Ways and the items of a grid they might cut, with repetitions."""
    if not grid.levels or len(segments) == 0:
        return _NO_PAIRS
    boxes = segments.boxes()
    if _is_plain(*boxes):
        way, item, is_left = grid.near_boxes(*boxes)
        if not len(is_left):
            return way, item
        found = [(way, item)]
    else:
        found, is_left = [], np.ones((len(grid.levels), len(segments)), bool)
    for level, left in zip(grid.levels, is_left, strict=True):
        found += _on_level(grid, level, segments, left.nonzero()[0], bounds_of)
    return np.concatenate([pair[0] for pair in found]), np.concatenate([pair[1] for pair in found])


def _is_plain(west: Floats, south: Floats, east: Floats, north: Floats) -> bool:
    """Whether all boxes keep away from the poles and the antimeridian."""
    is_between = west.min() >= -180.0 and east.max() < 180.0
    return bool(is_between and south.min() >= -_POLAR_DEG and north.max() <= _POLAR_DEG)


def _on_level(
    grid: Grid, level: Level, segments: Segments, members: Indices, bounds_of: BoundsOf
) -> Iterator[Pairs]:
    ways = segments.take(members)
    per_deg = 2 ** (level.bits - grid.coarser) / 360
    pieces = np.maximum(np.ceil(ways.extent_deg * per_deg), 1.0)
    is_wild = pieces * (4 + 4 * per_deg * ways.sagitta_deg) > max(_CELLS_MAX, len(level.items))
    is_wild |= ways.is_polar
    tame, wild = (~is_wild).nonzero()[0], is_wild.nonzero()[0]
    tame_pieces = pieces.take(tame).astype(np.int64)
    yield from _by_pieces(grid, level, segments, members.take(tame), tame_pieces)
    if len(wild):
        yield from _by_scan(level, segments, members.take(wild), bounds_of)


def _by_pieces(
    grid: Grid, level: Level, segments: Segments, members: Indices, pieces: Longs
) -> Iterator[Pairs]:
    for begin, end in _chunks(pieces):
        some = members[begin:end]
        way, nth = runs(pieces[begin:end])
        boxes = _piece_boxes(segments.take(some), way, nth, pieces[begin:end])
        piece_ix, item_ix = grid.near_boxes_on(level, *boxes)
        yield some.take(way.take(piece_ix)), item_ix


def _chunks(pieces: Longs) -> Iterator[tuple[int, int]]:
    """Runs of ways that have not too many pieces together."""
    total = pieces.cumsum()
    if len(total) == 0 or total[-1] <= _PIECES_AT_ONCE:
        yield 0, len(total)
        return
    begins = np.unique(total // _PIECES_AT_ONCE, return_index=True)[1].tolist()
    yield from pairwise([*begins, len(total)])


def _piece_boxes(
    segments: Segments, way: Longs, nth: Longs, pieces: Longs
) -> tuple[Floats, Floats, Floats, Floats]:
    """West, south, east and north of the nth of the pieces of each way, shape (N,) each."""
    pad = segments.sagitta_deg.take(way)
    west, east = _spans(segments.lon0_deg, segments.lon1_deg, way, nth, pieces, pad)
    south, north = _spans(segments.lat0_deg, segments.lat1_deg, way, nth, pieces, pad)
    return west, south, east, north


def _spans(
    begin: Floats, end: Floats, way: Longs, nth: Longs, pieces: Longs, pad: Floats
) -> tuple[Floats, Floats]:
    if len(way) == len(pieces):  # every way is one piece: it begins and ends where the way does
        return np.minimum(begin, end) - pad, np.maximum(begin, end) + pad
    step = ((end - begin) / pieces).take(way)
    here = begin.take(way) + step * nth
    there = here + step
    return np.minimum(here, there) - pad, np.maximum(here, there) + pad


def _by_scan(
    level: Level, segments: Segments, members: Indices, bounds_of: BoundsOf
) -> Iterator[Pairs]:
    """For ways too long, or too near a pole, for cells: every item at their latitudes."""
    items = level.items.astype(np.int64)
    bounds = bounds_of(items)
    for way in members.tolist():
        south, north = segments.latitudes(way)
        near = items[(bounds[:, 1] <= north) & (bounds[:, 3] >= south)]
        yield np.full(len(near), way), near
