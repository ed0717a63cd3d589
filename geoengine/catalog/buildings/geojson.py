"""Buildings out of GeoJSON, as Overpass turbo, osmtogeojson and ohsome write it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np

from geoengine.catalog.buildings.outlines import Outlines, key_of, outlines_of
from geoengine.catalog.polygons import Area, PolygonError, area_of
from geoengine.core.errors import DataError

SUFFIXES: Final = (".geojson", ".json")
_NAMED_BY: Final = ("@id", "@osmId", "osm_id", "id")  # properties, where the feature has no id


def read(path: Path) -> Iterator[tuple[Outlines, int]]:
    """The buildings of a collection, and how many features are none: no area, no id of
    OpenStreetMap's. Raises `DataError`.
    """
    features = _features(path)
    keys: list[int] = []
    areas: list[Area] = []
    for feature in features:
        key, area = _key(feature), _area(feature, path.parent)
        if key is not None and area is not None:
            keys.append(key)
            areas.append(area)
    if features and not keys:
        raise DataError(
            f"{path}: no feature is a building: expected polygons whose id is way/123 or "
            "relation/123, as Overpass turbo exports them"
        )
    column = np.empty(len(areas), object)
    column[:] = areas
    yield outlines_of(keys, column), len(features) - len(keys)


def _features(path: Path) -> list[Any]:
    try:
        value = msgspec.json.decode(path.read_bytes())
    except (msgspec.DecodeError, RecursionError) as error:
        raise DataError(f"{path} is not GeoJSON: {error}") from error
    features = value.get("features") if isinstance(value, dict) else None
    if not isinstance(features, list):
        raise DataError(f"{path} is not a FeatureCollection")
    return features


def _key(feature: Any) -> int | None:
    if not isinstance(feature, dict):
        return None
    properties = feature.get("properties") or {}
    names = [feature.get("id"), *(properties.get(name) for name in _NAMED_BY)]
    keys = (key_of(name) for name in names if isinstance(name, str))
    return next((key for key in keys if key is not None), None)


def _area(feature: Any, folder: Path) -> Area | None:
    try:
        return area_of(feature, folder) if isinstance(feature, dict) else None
    except PolygonError:
        return None
