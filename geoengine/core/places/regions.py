"""The nearest zones, for a phone's own geofencing.

A phone watches few circles: 20 on iOS, 100 on Android. It is told which, and the circle within
which nothing changes about that: no zone beside those advised begins or ends nearer to the phone
than the edge of that circle, with room for a fix that is off and for systems that notice late. So
a phone that watches what it is told, and asks again outside the circle, misses no zone.

Zones are chosen by the distance to their edge, inside or out: the edge is where something happens.
Somebody deep inside a large zone leaves the circle long before they leave the zone.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from itertools import zip_longest
from math import ceil, floor
from typing import Final

import numpy as np
import shapely
from shapely.geometry import MultiPolygon, Polygon

from geoengine.core.book import Book
from geoengine.core.columns import Floats, Longs, Spot
from geoengine.core.look.track import distance_m
from geoengine.core.places.zones import PLACE
from geoengine.core.space.geodesy import circle_bounds, degree_m, geodesic_m, geodesic_one_m
from geoengine.core.space.polygons import joined
from geoengine.core.units import ACCURACY_MISSING_M, SECOND_MS, SPEED_MAX_MPS

# Below this radius neither Apple nor Google promises anything: a phone fixed by Wi-Fi and masts
# alone is that far off. A smaller zone gets a circle of this size: it wakes early, never late.
REGION_MIN_M: Final = 100.0
REFRESH_MIN_M: Final = REGION_MIN_M  # the refresh circle is a region, too
REFRESH_MAX_M: Final = 50_000.0  # farther on, the catalogue may have changed as well
# Systems notice that a circle was left some 200 m outside it; who drives is a quarter of the way
# on. The share also covers what the index takes polygons far away to be nearer or farther by.
LATE_M: Final = 200.0
SURE_SHARE: Final = 0.75
VAGUE_RADII: Final = 2.0  # of 68 %: together some 99 % of fixes are no farther off than this
COARSE_M: Final = 200.0  # a fix this vague may be of another quarter: what was known before counts

# How far to look, again and again until enough is found. Nobody reaches what lies beyond the last
# before they ask again.
_LOOKS_M: Final = (1_000.0, 2_000.0, 5_000.0, 12_000.0, 30_000.0, REFRESH_MAX_M / SURE_SHARE * 1.1)
_SEVERAL: Final = 4  # of the far ones so many are measured for each that is wanted
_PIECES: Final = 100  # a polygon's longer side in so many pieces: its edges bend less than the pad
_PAD_M: Final = 1.0
_ROUND_SHAPES: Final = 65_536  # circles around polygons that are remembered, a hundred bytes each


@dataclass(frozen=True, slots=True)
class Region:
    """A circle that a phone watches by itself: it holds the whole zone."""

    zone_id: str
    name: str  # of the store
    lat: float
    lon: float
    radius_m: float
    distance_m: float  # from where the phone is to the circle's edge; 0 inside


@dataclass(frozen=True, slots=True)
class Advice:
    """Regions to watch, nearest first, and the circle outside which to ask again.

    Where that circle has no radius, the next fix is asked about: the last one cannot be believed,
    or more zones begin here than may be watched.
    """

    regions: list[Region]
    lat: float
    lon: float
    refresh_radius_m: float


def advise(
    book: Book,
    lat: float,
    lon: float,
    *,
    accuracy_m: float | None = None,
    limit: int = 20,
    instead: tuple[float, float] | None = None,
) -> Advice:
    """What a phone at this place should watch; a place in a store is no region.

    A circle large enough to be watched around a shop's outline is the street before it.

    ``instead`` is another place, latitude and longitude, where the phone may be as well (see
    `is_doubtful`): half the regions are of there.

    Notes
    -----
    The first call on a Book makes its R-tree, for a million zones two seconds and 265 MB: see
    `prepare`. What an answer costs: benchmarks/results/regions.md.
    """
    looks = [_Look.of(book, lon, lat, limit)]
    if instead is not None:
        looks.append(_Look.of(book, instead[1], instead[0], limit))
    chosen = _in_turn([look.ranked(limit) for look in looks])[:limit]
    vague_m = VAGUE_RADII * (ACCURACY_MISSING_M if accuracy_m is None else accuracy_m)
    refresh_m = _refresh_m(looks[0].gap_m(chosen) - vague_m)
    if instead is not None and geodesic_one_m(lon, lat, instead[1], instead[0]) > vague_m:
        refresh_m = 0.0
    return Advice(_regions(book, chosen, lon, lat), lat, lon, refresh_m)


def prepare(book: Book) -> None:
    """Make now what the first `advise` would otherwise wait for."""
    book.index.in_box(0.0, 0.0, 0.0, 0.0)


def is_doubtful(here: Spot, last: Spot) -> bool:
    """Whether where the device was ``last`` may tell more of where it is than a new fix does.

    So it is after a jump that nobody can make, and where the fix is coarser than a few streets.
    """
    if last.at_ms < 0 or np.isnan(last.lon_deg):
        return False
    reach_m = max((here.at_ms - last.at_ms) / SECOND_MS, 1.0) * SPEED_MAX_MPS
    far_m = distance_m(*(np.array([deg]) for deg in (*last[:2], *here[:2])))
    is_jump = float(far_m[0]) - last.accuracy_m - here.accuracy_m > reach_m
    return is_jump or here.accuracy_m > max(COARSE_M, last.accuracy_m)


@dataclass(frozen=True, slots=True)
class _Look:
    """The zones around a place, N rows, by how near their edge is.

    Every zone is among them whose edge is nearer than ``sure_m``, and every one that holds the
    place; of those farther away only some.
    """

    zone_ix: list[int]
    edge_m: list[float]  # signed, negative inside
    sure_m: float

    @classmethod
    def of(cls, book: Book, lon: float, lat: float, limit: int) -> _Look:
        """Look around until more than ``limit`` edges are found, or far enough."""
        for reach_m in _LOOKS_M:
            found = _in_reach(book, lon, lat, reach_m)
            if len(found) <= limit:
                continue
            zone_ix, edge_m = _measured(book, found, lon, lat)
            if np.count_nonzero(np.abs(edge_m) <= reach_m) > limit:
                break
        else:
            found = np.union1d(found, _farther(book, lon, lat, limit))
            zone_ix, edge_m = _measured(book, found, lon, lat)
        order = np.lexsort((zone_ix, np.abs(edge_m)))
        return cls(zone_ix[order].tolist(), edge_m[order].tolist(), reach_m)

    def ranked(self, limit: int) -> list[int]:
        """The zones in the order in which they should have one of so many places.

        Those that hold the phone come first, for half of the places: it must not lose them, and
        where more of them overlap, what begins around the corner counts as much.
        """
        pairs = zip(self.zone_ix, self.edge_m, strict=True)
        inside = [zone_ix for zone_ix, edge_m in pairs if edge_m <= 0.0][: (limit + 1) // 2]
        return list(dict.fromkeys((*inside, *self.zone_ix)))

    def gap_m(self, chosen: Iterable[int]) -> float:
        """How far the nearest edge is that is not of one of these zones."""
        known = set(chosen)
        pairs = zip(self.zone_ix, self.edge_m, strict=True)
        nearest_m = next((abs(edge_m) for ix, edge_m in pairs if ix not in known), self.sure_m)
        return min(nearest_m, self.sure_m)


def _in_reach(book: Book, lon: float, lat: float, reach_m: float) -> Longs:
    """Every zone with an edge so near, every zone that holds the place, and some more; sorted."""
    box = circle_bounds(np.array([lon]), np.array([lat]), np.array([reach_m]))[0]
    return np.setdiff1d(book.index.in_box(*box.tolist()).astype(np.int64), book.outlines)


def _measured(book: Book, zone_ix: Longs, lon: float, lat: float) -> tuple[Longs, Floats]:
    here = np.full(len(zone_ix), lon), np.full(len(zone_ix), lat)
    return zone_ix, book.index.edge_m(zone_ix.astype(np.int32), *here)


def _farther(book: Book, lon: float, lat: float, limit: int) -> Longs:
    """About the nearest zones of all, by their centres on a flat map: a phone far from everything.

    None of them can be reached before it asks again; they stand in for a refresh that a system
    forgets. A look at each zone costs some ten milliseconds for a million of them.
    """
    zones = book.zones
    east = zones.lon_deg - lon
    east -= 360.0 * np.rint(east / 360.0)
    east *= np.cos(np.radians(lat))
    away = np.hypot(east, zones.lat_deg - lat)
    away[zones.kind == PLACE] = np.inf
    away[book.outlines] = np.inf
    count = min(limit * _SEVERAL, len(away))
    nearest = np.argpartition(away, count - 1)[:count] if count else np.empty(0, np.int64)
    return nearest[np.isfinite(away[nearest])]


def _in_turn(rankings: list[list[int]]) -> list[int]:
    """The first of each, the second of each and so on, each zone once."""
    rows = zip_longest(*rankings)
    return list(dict.fromkeys(ix for row in rows for ix in row if ix is not None))


def _refresh_m(gap_m: float) -> float:
    """The radius within which a gap of this width stays wide enough to be noticed."""
    timely_m = max(gap_m - LATE_M, REFRESH_MIN_M)
    return float(max(floor(min(timely_m, gap_m * SURE_SHARE, REFRESH_MAX_M)), 0))


def _regions(book: Book, chosen: list[int], lon: float, lat: float) -> list[Region]:
    """The zones as circles, nearest first."""
    n = len(chosen)
    circles = [_circle(book, zone_ix) for zone_ix in chosen]
    columns = np.array(circles, float).reshape(n, 3)
    away_m = geodesic_m(np.full(n, lon), np.full(n, lat), columns[:, 0], columns[:, 1])
    away_m -= columns[:, 2]
    order = np.argsort(away_m, kind="stable").tolist()
    return [
        Region(
            zone_id=book.zones.ids[chosen[i]],
            name=_name(book, chosen[i]),
            lat=circles[i][1],
            lon=circles[i][0],
            radius_m=circles[i][2],
            distance_m=round(max(float(away_m[i]), 0.0), 1),
        )
        for i in order
    ]


def _name(book: Book, zone_ix: int) -> str:
    store = book.store_of(zone_ix)
    name = book.zones.names.get(zone_ix) or (store.name if store is not None else "")
    return name or book.zones.ids[zone_ix]


def _circle(book: Book, zone_ix: int) -> tuple[float, float, float]:
    """Longitude, latitude and radius of a circle around the zone, large enough to be watched."""
    zones = book.zones
    if book.is_circle(zone_ix):
        lon, lat = float(zones.lon_deg[zone_ix]), float(zones.lat_deg[zone_ix])
        radius_m = book.radius_m(zone_ix)
    else:
        lon, lat, radius_m = _around(zones.polygons[zone_ix])
    return lon, lat, max(radius_m, REGION_MIN_M)


@lru_cache(maxsize=_ROUND_SHAPES)
def _around(shape: Polygon | MultiPolygon) -> tuple[float, float, float]:
    """Longitude, latitude and radius of about the smallest circle that holds a polygon, whole.

    Its centre is found on a flat map with the polygon's own scale, its radius is measured on the
    ellipsoid, along all edges.
    """
    shape = joined(shape)
    west, south, east, north = shape.bounds
    across, along = degree_m(np.array([(south + north) / 2]))
    squeeze = max(float(across[0] / along[0]), 1e-3)
    flat = shapely.transform(shape, lambda points: points * (squeeze, 1.0))
    center = shapely.minimum_bounding_circle(flat).centroid
    lon, lat = center.x / squeeze, center.y
    piece = max(east - west, north - south) / _PIECES
    points = shapely.get_coordinates(shapely.segmentize(shape, piece))
    n = len(points)
    reach_m = geodesic_m(np.full(n, lon), np.full(n, lat), points[:, 0], points[:, 1])
    return (lon + 180.0) % 360.0 - 180.0, lat, float(ceil(reach_m.max() + _PAD_M))
