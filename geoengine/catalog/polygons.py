"""Drawn areas: GeoJSON into geometry, or what is wrong with it."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, TypeAlias

import msgspec
import numpy as np
from pyproj import Geod
from shapely import normalize, to_wkb
from shapely.geometry import MultiPolygon, Polygon
from shapely.validation import explain_validity

from geoengine.catalog.reading.sources import Sources

FILE_MAX_BYTES = 32 * 1024 * 1024
VERTICES_MAX = 10_000  # a coastline; streets need a few hundred, and every vertex costs at match
_GEOD = Geod(ellps="WGS84")

Area: TypeAlias = Polygon | MultiPolygon


class PolygonError(ValueError):
    """The area cannot be used; the text says why and what was expected."""


def area_of(written: str | dict[str, Any], folder: Path, sources: Sources | None = None) -> Area:
    """The area that a GeoJSON file, or GeoJSON itself, draws. Raises `PolygonError`.

    >>> square = [[2.0, 48.0], [2.1, 48.0], [2.1, 48.1], [2.0, 48.1], [2.0, 48.0]]
    >>> area_of({"type": "Polygon", "coordinates": [square]}, Path()).bounds
    (2.0, 48.0, 2.1, 48.1)
    """
    geometry = _geometry(
        _read(folder / written, sources or Sources()) if isinstance(written, str) else written
    )
    kind, coordinates = geometry.get("type"), geometry.get("coordinates")
    if kind not in ("Polygon", "MultiPolygon") or not isinstance(coordinates, list):
        raise PolygonError(f"geometry is {kind}: expected Polygon or MultiPolygon")
    polygons = [coordinates] if kind == "Polygon" else coordinates
    _check_size(polygons)
    parts = [_polygon(part) for part in polygons]
    area = parts[0] if len(parts) == 1 else MultiPolygon(parts)
    if not area.is_valid:
        raise PolygonError(f"not a valid area: {explain_validity(area)} (longitude, latitude)")
    if area.is_empty or area.area == 0:
        raise PolygonError("the polygon has no area: expected at least three corners")
    return area


def centre_of(area: Area) -> tuple[float, float]:
    """Longitude and latitude, degrees, of a point inside."""
    point = area.representative_point()
    return point.x, point.y


def equal_radius_m(area: Area) -> float:
    """Radius of the circle of the same area, metres on the ellipsoid."""
    square_m, _length = _GEOD.geometry_area_perimeter(area)
    return math.sqrt(abs(square_m) / math.pi)


def print_of(area: Area) -> bytes:
    """Bytes that are the same for the same area, wherever its rings begin."""
    packed: bytes = to_wkb(normalize(area))
    return packed


def _read(path: Path, sources: Sources) -> Any:
    try:
        if path.stat().st_size > FILE_MAX_BYTES:
            sources.lack(path)
            raise PolygonError(f"{path} is larger than {FILE_MAX_BYTES // 1024 // 1024} MB")
        return msgspec.json.decode(sources.read_bytes(path))
    except OSError as error:
        sources.lack(path)
        raise PolygonError(f"{path} cannot be read: {error.strerror}") from error
    except (msgspec.DecodeError, RecursionError) as error:
        raise PolygonError(f"{path} is not GeoJSON: {error}") from error


def _geometry(value: Any) -> dict[str, Any]:
    """The geometry of a feature or of a collection of just one."""
    if isinstance(value, dict) and value.get("type") == "FeatureCollection":
        features = value.get("features")
        if not isinstance(features, list) or len(features) != 1:
            raise PolygonError("expected one feature; for several areas use `- import:` in zones")
        value = features[0]
    if isinstance(value, dict) and value.get("type") == "Feature":
        value = value.get("geometry")
    if not isinstance(value, dict):
        raise PolygonError("expected a GeoJSON polygon")
    return value


def _check_size(polygons: list[Any]) -> None:
    if not polygons:
        raise PolygonError("the polygon has no coordinates")
    count = 0
    for rings in polygons:
        if not isinstance(rings, list) or not rings:
            raise PolygonError("expected a list of rings, the outline first")
        count += sum(len(ring) for ring in rings if isinstance(ring, list))
    if count > VERTICES_MAX:
        raise PolygonError(f"{count:,} vertices: expected at most {VERTICES_MAX:,}, simplify it")


def _polygon(rings: list[Any]) -> Polygon:
    outline, *holes = [_ring(ring) for ring in rings]
    return Polygon(outline, holes)


def _ring(ring: Any) -> list[tuple[float, float]]:
    """A ring's corners, checked: enough, finite, in range, not jumping around the globe."""
    if not isinstance(ring, list) or len(ring) < 4:
        raise PolygonError("a ring has too few points: expected four, the last as the first")
    corners = [_corner(pair) for pair in ring]
    if corners[0] != corners[-1]:
        raise PolygonError("a ring is not closed: expected the last point to be as the first")
    steps = np.abs(np.diff([lon for lon, _lat in corners]))
    if steps.max() > 180:
        raise PolygonError(
            "the polygon crosses the antimeridian: split it there into a MultiPolygon "
            "(RFC 7946, 3.1.9)"
        )
    return corners


def _corner(pair: Any) -> tuple[float, float]:
    if not isinstance(pair, list) or len(pair) < 2 or not all(map(_is_number, pair[:2])):
        raise PolygonError(f"{str(pair)[:60]} is not a point: expected [longitude, latitude]")
    lon, lat = float(pair[0]), float(pair[1])
    if abs(lat) > 90 and abs(lat) <= 180 and abs(lon) <= 90:
        raise PolygonError(f"[{lon:g}, {lat:g}] is swapped: GeoJSON writes longitude first")
    if abs(lon) > 180 or abs(lat) > 90:
        raise PolygonError(f"[{lon:g}, {lat:g}] is not on the Earth: expected degrees")
    return lon, lat


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
