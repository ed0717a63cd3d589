"""Where the zones are: one question, several structures, the same answer from each.

The exact grid answers the hot path; it is measured cheapest, 8 to 25 times ahead of H3 in bulk and
more of an R-tree. The R-tree answers for boxes and neighbours and is built when first asked; H3
answers by name of cell.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from geoengine.core.columns import Crossings, Evidence, Floats, Ints, Longs
from geoengine.core.places.zones import CIRCLE, POLYGON, Zones
from geoengine.core.space.boxes import Boxes
from geoengine.core.space.cells import Cells
from geoengine.core.space.circles import Circles
from geoengine.core.space.crossings import NO_CHORDS, Chords, cross, cross_one
from geoengine.core.space.kept import NOTHING, Arrays, named, named_of
from geoengine.core.space.polygons import Polygons
from geoengine.core.space.shapes import Shapes
from geoengine.core.space.ways import Segments, Way

# Below this many segments one at a time is cheaper than numpy's fixed cost.
_ONE_BY_ONE_BELOW: Final = 12
_NO_CROSSINGS: Final = Crossings(
    np.empty(0, np.int32), np.empty(0, np.int32), np.empty(0), np.empty(0), np.empty(0)
)


class ZoneIndex:
    """Circles and polygons by place; places of beacons have none and never match.

    ``kept`` are the `arrays` of an index over the same zones.
    """

    def __init__(self, zones: Zones, kept: Arrays = NOTHING) -> None:
        kind = zones.kind
        self._zone_count = len(zones)
        self._zones = np.array(len(zones))
        self.circle_zones = np.flatnonzero(kind == CIRCLE).astype(np.int32)
        self._polygon_zones = np.flatnonzero(kind == POLYGON).astype(np.int32)
        self._is_all_circles = len(self.circle_zones) == len(zones)
        self._has_circles = len(self.circle_zones) > 0
        # For the scalar path: an element of a memoryview costs half of an array's.
        self._zone_of_circle = self.circle_zones.data
        self._zone_of_polygon = self._polygon_zones.data
        self.circles = Circles(
            zones.lon_deg[self.circle_zones],
            zones.lat_deg[self.circle_zones],
            zones.radius_m[self.circle_zones],
        )
        self._match_circles_one = self.circles.match_one_by
        shapes = [zones.polygons[ix] for ix in self._polygon_zones.tolist()]
        self.polygons = Polygons(shapes, named_of("polygons", kept))

    def __len__(self) -> int:
        return self._zone_count

    @property
    def arrays(self) -> dict[str, NDArray[Any]]:
        """What took long to make, by name, each one-dimensional; nothing without polygons.

        Circles are not among it: an index over them is made as quickly as it is read.
        """
        return named("polygons", self.polygons.arrays) if len(self.polygons) else {}

    @property
    def nbytes(self) -> int:
        """Bytes held by circles, edges and grids; shapely's own polygons are not counted."""
        polygons = self.polygons
        return self.circles.nbytes + polygons.grid.nbytes + polygons.edges.nbytes

    def match(self, lon_deg: Floats, lat_deg: Floats) -> Evidence:
        """All pairs of a fix and a zone it lies in, the edge included.

        Parameters
        ----------
        lon_deg, lat_deg : float64, shape (P,)
            WGS 84. Already checked finite and in range.

        Returns
        -------
        Evidence, M rows
            Sorted by fix, then zone; every ``edge_m`` is at most 0.

        Notes
        -----
        Tested against the geodesic from every fix to every zone. Cost: benchmarks/bench_match.py.
        """
        fix_ix, zone_ix, edge_m = self._pairs(lon_deg, lat_deg)
        if len(fix_ix) < 2:
            return Evidence(fix_ix.astype(np.int32), zone_ix, edge_m)
        pair = fix_ix * self._zones
        pair += zone_ix
        order = pair.argsort()
        return Evidence(
            fix_ix.take(order).astype(np.int32), zone_ix.take(order), edge_m.take(order)
        )

    def _pairs(self, lon_deg: Floats, lat_deg: Floats) -> tuple[Longs, Ints, Floats]:
        """Fix, zone and ``edge_m`` of `match`, unordered; a kind that is not there is free."""
        if self._is_all_circles:
            return self.circles.match(lon_deg, lat_deg)
        fix_ix, polygon_ix, edge_m = self.polygons.match(lon_deg, lat_deg)
        zone_ix = self._polygon_zones.take(polygon_ix)
        if not len(self.circle_zones):
            return fix_ix, zone_ix, edge_m
        also_fix_ix, circle_ix, also_edge_m = self.circles.match(lon_deg, lat_deg)
        return (
            np.concatenate([fix_ix, also_fix_ix]),
            np.concatenate([zone_ix, self.circle_zones.take(circle_ix)]),
            np.concatenate([edge_m, also_edge_m]),
        )

    def match_one(self, lon_deg: float, lat_deg: float) -> list[tuple[int, float]]:
        """The zones one fix lies in, with ``edge_m``, by zone: what `match` says, without numpy.

        Cheaper than `match` for up to some two dozen fixes.
        """
        found = self._match_circles_one(lon_deg, lat_deg) if self._has_circles else []
        if not self._is_all_circles:
            of_circle, of_polygon = self._zone_of_circle, self._zone_of_polygon
            found = [(of_circle[ix], edge_m) for ix, edge_m in found]
            also = self.polygons.match_one(lon_deg, lat_deg)
            found += [(of_polygon[ix], edge_m) for ix, edge_m in also]
        if len(found) > 1:
            found.sort()
        return found

    def edge_m(self, zone_ix: Ints, lon_deg: Floats, lat_deg: Floats) -> Floats:
        """Signed distance to the edge of paired zones and positions, metres, negative inside.

        Any distance away; infinite for a place of beacons. All arrays have shape (N,).
        """
        return self._shapes.edge_m(zone_ix, lon_deg, lat_deg)

    def edge_m_one(self, zone_ix: int, lon_deg: float, lat_deg: float) -> float:
        """`edge_m` of one zone and one position."""
        return self._shapes.edge_one_m(zone_ix, lon_deg, lat_deg)

    def crossings(
        self,
        lon0_deg: Floats,
        lat0_deg: Floats,
        lon1_deg: Floats,
        lat1_deg: Floats,
        min_chord_m: float,
    ) -> Crossings:
        """Zones that segments cut through, at least ``min_chord_m`` deep, with both ends outside.

        Segments are S pairs of positions, float64 of shape (S,) each, taken the short way round
        the globe. Meant for the way between two fixes of a device, tens of kilometres at most.
        """
        if len(lon0_deg) < _ONE_BY_ONE_BELOW:
            return self._crossings_one_by_one(lon0_deg, lat0_deg, lon1_deg, lat1_deg, min_chord_m)
        segments = Segments.of(lon0_deg, lat0_deg, lon1_deg, lat1_deg)
        return self._named(cross(segments, self.circles, self.polygons, min_chord_m))

    def crossings_one(
        self, lon0_deg: float, lat0_deg: float, lon1_deg: float, lat1_deg: float, min_chord_m: float
    ) -> list[tuple[int, float, float, float]]:
        """The zones that one segment cuts through: zone, ``chord_m``, ``into``, ``out_of``.

        What `crossings` says, by zone, and cheaper for up to a dozen segments.
        """
        way = Way.of(lon0_deg, lat0_deg, lon1_deg, lat1_deg)
        chords = cross_one(way, self.circles, self.polygons, min_chord_m)
        if chords is NO_CHORDS:
            return []
        if chords is None:
            ends = (np.array([deg]) for deg in (lon0_deg, lat0_deg, lon1_deg, lat1_deg))
            chords = cross(Segments.of(*ends), self.circles, self.polygons, min_chord_m)
        found = self._named(chords)
        columns = (found.zone_ix, found.chord_m, found.into, found.out_of)
        return list(zip(*(column.tolist() for column in columns), strict=True))

    def _crossings_one_by_one(
        self,
        lon0_deg: Floats,
        lat0_deg: Floats,
        lon1_deg: Floats,
        lat1_deg: Floats,
        min_chord_m: float,
    ) -> Crossings:
        ends = (column.tolist() for column in (lon0_deg, lat0_deg, lon1_deg, lat1_deg))
        rows = [
            (segment_ix, *found)
            for segment_ix, (x0, y0, x1, y1) in enumerate(zip(*ends, strict=True))
            for found in self.crossings_one(x0, y0, x1, y1, min_chord_m)
        ]
        if not rows:
            return _NO_CROSSINGS
        segment_ix, zone_ix, *measures = zip(*rows, strict=True)
        return Crossings(
            np.array(segment_ix, np.int32), np.array(zone_ix, np.int32), *map(np.array, measures)
        )

    def _named(self, found: Chords) -> Crossings:
        """Chords by the number of their zone, in order."""
        if not len(found.segment_ix):
            return _NO_CROSSINGS
        is_circle = found.is_circle
        zone_ix = np.empty(len(is_circle), np.int32)
        zone_ix[is_circle] = self.circle_zones[found.item_ix[is_circle]]
        zone_ix[~is_circle] = self._polygon_zones[found.item_ix[~is_circle]]
        order = np.lexsort((zone_ix, found.segment_ix))
        return Crossings(
            found.segment_ix[order].astype(np.int32),
            zone_ix[order],
            found.chord_m[order],
            found.into[order],
            found.out_of[order],
        )

    def nearest(self, lon_deg: float, lat_deg: float, limit: int) -> list[tuple[int, float]]:
        """The ``limit`` nearest zones by signed distance to their edge, nearest first.

        Zones that hold the position come before all others, the one it is deepest in first.
        """
        return self._boxes.nearest(lon_deg, lat_deg, limit, self.edge_m)

    def in_box(self, west: float, south: float, east: float, north: float) -> Ints:
        """Zones whose own box touches this one, ascending, int32 of shape (N,).

        ``west`` above ``east`` means over the antimeridian.
        """
        return self._boxes.touching(west, south, east, north)

    def cells(self, zone_ix: int, resolution: int) -> list[str]:
        """The H3 cells, up to this resolution, that cover a zone; whole families as their parent.

        Every cell that the zone touches is in it, and some more along the edge.
        """
        return self._cells.of_zone(zone_ix, resolution)

    def zones_of_cell(self, cell: str) -> Ints:
        """Zones that an H3 cell touches, ascending; never one too few, along an edge some more."""
        return self._cells.zones_of(cell)

    @cached_property
    def bounds(self) -> Floats:
        """The box of each zone: west, south, east, north in degrees, float64 of shape (Z, 4).

        Longitudes pass 180 where the box is over the antimeridian; NaN for a place of beacons.
        """
        return self._shapes.bounds()

    @cached_property
    def _shapes(self) -> Shapes:
        return Shapes(
            self.circles,
            self.circle_zones,
            self.polygons,
            self._polygon_zones,
            self._zone_count,
        )

    @cached_property
    def _boxes(self) -> Boxes:
        return Boxes(self.bounds)

    @cached_property
    def _cells(self) -> Cells:
        return Cells(self._shapes, self._boxes)
