"""Areas out of routers' GeoJSON, straight into geometry: an isochrone has thousands of corners."""

from __future__ import annotations

import msgspec
import numpy as np
from shapely.errors import ShapelyError
from shapely.geometry import MultiPolygon, Polygon
from shapely.geometry.base import BaseGeometry

_Rings = list[list[tuple[float, float]]]


class _Polygon(msgspec.Struct, frozen=True, tag="Polygon"):
    coordinates: _Rings


class _MultiPolygon(msgspec.Struct, frozen=True, tag="MultiPolygon"):
    coordinates: list[_Rings]


def area_in(geometry: msgspec.Raw) -> BaseGeometry:
    """The area of a GeoJSON geometry. Raises `msgspec.DecodeError` where it is none.

    >>> area_in(msgspec.Raw(b'{"type": "Polygon", "coordinates": [[[0, 0], [1, 0], [1, 1]]]}')).area
    0.5
    """
    try:
        found = msgspec.json.decode(geometry, type=_Polygon | _MultiPolygon)
        if isinstance(found, _Polygon):
            return _polygon(found.coordinates)
        return MultiPolygon([_polygon(rings) for rings in found.coordinates])
    except (ValueError, ShapelyError) as error:
        raise msgspec.DecodeError(f"no area: {error}") from error


def _polygon(rings: _Rings) -> Polygon:
    if not rings:
        raise ValueError("a polygon without an outline")
    outline, *holes = map(np.array, rings)
    return Polygon(outline, holes)
