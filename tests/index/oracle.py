"""Zones made by hand or at random, and the slow truth about them."""

from __future__ import annotations

import numpy as np
import shapely
from shapely.geometry import MultiPolygon, Polygon

from geoengine.core.columns import Floats
from geoengine.core.places.zones import CIRCLE, PLACE, POLYGON, Zones
from geoengine.core.space.circles import Circles
from geoengine.core.space.crossings import circle_chords, polygon_chords
from geoengine.core.space.geodesy import GEOD
from geoengine.core.space.polygons import Polygons
from geoengine.core.space.ways import Segments

Shape = Polygon | MultiPolygon
Circle = tuple[float, float, float]  # longitude, latitude, radius in metres


def zones_of(shapes: list[Circle | Shape | None]) -> Zones:
    """Zones from circles, polygons, and None for a beacon's place, in that order."""
    n = len(shapes)
    kind = [
        PLACE if shape is None else CIRCLE if isinstance(shape, tuple) else POLYGON
        for shape in shapes
    ]
    rows = [_row(shape) for shape in shapes]
    columns = np.array(rows, float).reshape(n, 3)
    return Zones(
        ids=[f"z{ix}" for ix in range(n)],
        kind=np.array(kind, np.int8),
        lon_deg=columns[:, 0].copy(),
        lat_deg=columns[:, 1].copy(),
        radius_m=columns[:, 2].copy(),
        store_ix=np.full(n, -1, np.int32),
        policy_ix=np.zeros(n, np.int32),
        mode=np.zeros(n, np.int8),
        minutes=np.full(n, np.nan),
        prints=np.arange(n),
        born_ms=np.zeros(n, np.int64),
        why=[""] * n,
        polygons={ix: shape for ix, shape in enumerate(shapes) if isinstance(shape, Shape)},
    )


def circles_of(lon_deg: Floats, lat_deg: Floats, radius_m: Floats) -> Zones:
    """Circular zones from columns."""
    rows = zip(lon_deg.tolist(), lat_deg.tolist(), radius_m.tolist(), strict=True)
    return zones_of(list(rows))


def _row(shape: Circle | Shape | None) -> Circle:
    if shape is None:
        return (0.0, 0.0, 0.0)
    if isinstance(shape, tuple):
        return shape
    inside = shape.representative_point()
    return (inside.x, inside.y, 1.0)


def geodesic_edge_m(zones: Zones, lon_deg: Floats, lat_deg: Floats) -> Floats:
    """Signed distance from every fix to the edge of every circle, float64 of shape (P, Z)."""
    shape = len(lon_deg), len(zones)
    ends = np.broadcast_arrays(
        zones.lon_deg[None, :], zones.lat_deg[None, :], lon_deg[:, None], lat_deg[:, None]
    )
    distance_m = GEOD.inv(*(end.ravel() for end in ends))[2]
    return np.asarray(distance_m).reshape(shape) - zones.radius_m


def around(
    circles: list[Circle], circle_ix: np.ndarray, bearing_deg: Floats, ratio: Floats
) -> tuple[Floats, Floats]:
    """Fixes at a bearing from circles' centres, at this multiple of their radius."""
    lon, lat, radius_m = np.array(circles)[circle_ix].T
    to_lon, to_lat, _ = GEOD.fwd(lon, lat, bearing_deg, radius_m * ratio)
    return np.asarray(to_lon), np.asarray(to_lat)


def star(
    rng: np.random.Generator, lon: float, lat: float, size_deg: float, corners: int = 40
) -> Polygon:
    """A polygon of many spikes around a place, in degrees."""
    angle = np.sort(rng.uniform(0, 2 * np.pi, corners))
    reach = size_deg * rng.uniform(0.3, 1.0, corners)
    points = np.stack([lon + reach * np.cos(angle), lat + reach * np.sin(angle)], axis=1)
    return Polygon(points).buffer(0)


def holds(shape: Shape, lon_deg: Floats, lat_deg: Floats) -> np.ndarray:
    """Whether a polygon, or its copy a turn of the globe away, holds positions."""
    turns = (shapely.intersects_xy(shape, lon_deg + turn, lat_deg) for turn in (-360.0, 0.0, 360.0))
    return np.logical_or.reduce(list(turns))


def slow_crossings(
    zones: Zones, ways: list[tuple[float, float, float, float]], min_chord_m: float
) -> list[tuple[int, int, float, float, float]]:
    """Every way cut with every zone: way, zone, ``chord_m``, ``into``, ``out_of``."""
    segments = Segments.of(*np.array(ways, float).reshape(-1, 4).T)
    circles, polygons = (np.flatnonzero(zones.kind == kind) for kind in (CIRCLE, POLYGON))
    place = zones.lon_deg[circles], zones.lat_deg[circles], zones.radius_m[circles]
    round_ones = Circles(*place)
    drawn_ones = Polygons([zones.polygons[ix] for ix in polygons.tolist()])
    way_ix, item_ix = np.divmod(np.arange(len(ways) * len(circles)), max(len(circles), 1))
    by_circle = circle_chords(segments, way_ix, item_ix, round_ones)
    way_ix, item_ix = np.divmod(np.arange(len(ways) * len(polygons)), max(len(polygons), 1))
    by_polygon = polygon_chords(segments, way_ix, item_ix, drawn_ones)
    return sorted(
        (way, int(numbers[item]), chord_m, *ends)
        for numbers, found in ((circles, by_circle), (polygons, by_polygon))
        for way, item, _, chord_m, *ends in zip(*(c.tolist() for c in found.columns()), strict=True)
        if chord_m >= min_chord_m
    )
