"""Buildings out of an OpenStreetMap extract: the only user of osmium."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np
import shapely

from geoengine.catalog.buildings.outlines import Outlines, outlines_of
from geoengine.core.errors import DataError

SUFFIXES: Final = (".osm.pbf", ".osm", ".osm.gz", ".osm.bz2")
_TAG: Final = "building"  # OSM wiki, Key:building; what stands on it is `building:part`
_AT_ONCE: Final = 50_000  # buildings as objects, 35 MB, before they become columns


def read(path: Path) -> Iterator[tuple[Outlines, int]]:
    """The buildings of an extract, some at a time, and how many of those read had no outline.

    Ways and multipolygon relations tagged `building`, with their courtyards. None has an outline
    that the extract's edge cuts, or that is not closed. Raises `DataError`.
    """
    try:
        import osmium
    except ImportError as error:
        what = "reading OpenStreetMap files needs osmium: pip install 'geoengine[osm]'"
        raise DataError(what) from error
    is_building = osmium.filter.KeyFilter(_TAG)
    wanted = osmium.osm.WAY | osmium.osm.RELATION | osmium.osm.AREA
    found = (
        osmium.FileProcessor(str(path))
        .with_areas(is_building)
        .with_filter(osmium.filter.EntityFilter(wanted))
        .with_filter(is_building)
    )
    packer = osmium.geom.WKBFactory()
    keys: list[int] = []
    packed: list[str] = []
    tagged_count = 0
    try:
        for item in found:
            if item.tags.get(_TAG) == "no":
                continue
            if not isinstance(item, osmium.osm.Area):
                is_relation = isinstance(item, osmium.osm.Relation)
                tagged_count += not is_relation or item.tags.get("type") == "multipolygon"
                continue
            keys.append(item.id)  # of an area twice that of its way, and one more for a relation
            packed.append(packer.create_multipolygon(item))
            if len(keys) == _AT_ONCE:
                yield _columns(keys, packed, tagged_count)
                keys, packed, tagged_count = [], [], 0
        yield _columns(keys, packed, tagged_count)
    except RuntimeError as error:
        raise DataError(f"{path} cannot be read as OpenStreetMap data: {error}") from error


def _columns(keys: list[int], packed: list[str], tagged_count: int) -> tuple[Outlines, int]:
    areas = shapely.from_wkb(np.array(packed, object))
    is_valid = shapely.is_valid(areas)
    valid_keys = np.array(keys, np.int64)[is_valid].tolist()
    return outlines_of(valid_keys, areas[is_valid]), tagged_count - len(valid_keys)
