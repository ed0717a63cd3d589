"""Zones as columns: what the index is built from and the Book looks up in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from shapely.geometry import MultiPolygon, Polygon

from geoengine.core.columns import Columns, Floats, Ints, Longs

CIRCLE, POLYGON, PLACE = 0, 1, 2


@dataclass(frozen=True, slots=True)
class Zones(Columns):
    """All zones, Z rows; a zone's row is its ``zone_ix``.

    ``radius_m`` of a polygon is that of the circle of its area; of a beacon place it is 0.
    """

    ids: list[str]
    kind: NDArray[np.int8]  # CIRCLE, POLYGON or PLACE
    lon_deg: Floats  # the centre; of a polygon a point inside, of a reach on the roads the store
    lat_deg: Floats
    radius_m: Floats
    store_ix: Ints  # -1 for a zone of no store
    policy_ix: Ints
    mode: NDArray[np.int8]  # position in MODES
    minutes: Floats  # NaN where the reach is not by time
    prints: Longs  # fingerprint of kind and shape: another shape is another zone
    born_ms: Longs  # since when this shape is in force; 0 is always
    why: Sequence[str]  # how this reach came about, to read
    polygons: dict[int, Polygon | MultiPolygon] = field(default_factory=dict)  # by zone_ix
    places: dict[int, str] = field(default_factory=dict)  # of beacons or outlines, by zone_ix
    tags: dict[int, tuple[str, ...]] = field(default_factory=dict)  # of drawn zones, by zone_ix
    names: dict[int, str] = field(default_factory=dict)  # of drawn zones, by zone_ix
    time_zones: dict[int, str] = field(default_factory=dict)  # of zones of no store, by zone_ix

    def __len__(self) -> int:
        return len(self.ids)
