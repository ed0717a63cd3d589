"""What else could answer which zones hold a fix: shapely's STRtree, a dict of H3 cells, an R-tree.

Each is used as its documentation suggests: candidates by box or cell, then the distance to each
candidate's centre on a sphere. All return the number of pairs they found.
"""

from __future__ import annotations

from collections import defaultdict
from math import cos, hypot, radians

import h3
import numpy as np
import shapely
from rtree.index import Index

from geoengine.core.columns import Floats, Longs
from geoengine.core.places.zones import Zones

Batch = tuple[Floats, Floats]  # longitudes and latitudes, degrees
EARTH_M = 6_371_009.0
# A disc of a cell and its neighbours, wherever in its cell the centre lies, holds a circle of this
# radius: edges of 531 m and 3.7 km on average.
H3_RESOLUTIONS = ((8, 600.0), (6, 4_500.0))


def pairs_within(zones: Zones, batch: Batch, fix_ix: Longs, zone_ix: Longs) -> int:
    """How many of these pairs of a fix and a zone are within the zone's radius."""
    lon, lat = batch
    north = np.radians(lat[fix_ix] - zones.lat_deg[zone_ix])
    middle = np.radians(lat[fix_ix] + zones.lat_deg[zone_ix]) / 2
    east = np.radians(lon[fix_ix] - zones.lon_deg[zone_ix]) * np.cos(middle)
    return int((EARTH_M * np.hypot(north, east) <= zones.radius_m[zone_ix]).sum())


class Strtree:
    """Boxes in shapely's STRtree, a batch asked in bulk."""

    def __init__(self, zones: Zones, bounds: Floats) -> None:
        self._zones, self._tree = zones, shapely.STRtree(shapely.box(*bounds.T))

    def match(self, batch: Batch) -> int:
        """Pairs in a batch."""
        fix_ix, zone_ix = self._tree.query(shapely.points(*batch))
        return pairs_within(self._zones, batch, fix_ix, zone_ix)


class Rtree:
    """Boxes in an R-tree, a batch asked in bulk."""

    def __init__(self, zones: Zones, bounds: Floats) -> None:
        lows, highs = np.ascontiguousarray(bounds[:, :2]), np.ascontiguousarray(bounds[:, 2:])
        self._zones, self._tree = zones, Index((np.arange(len(zones)), lows, highs))

    def match(self, batch: Batch) -> int:
        """Pairs in a batch."""
        places = np.stack(batch, axis=1)
        zone_ix, counts = self._tree.intersection_v(places, places)
        fix_ix = np.arange(len(places)).repeat(counts.astype(np.int64))
        return pairs_within(self._zones, batch, fix_ix, zone_ix)


class H3Cells:
    """A dict from cells to the zones near them, a fix asked at a time."""

    def __init__(self, zones: Zones) -> None:
        self._cells: dict[str, list[tuple[float, float, float]]] = defaultdict(list)
        rows = zip(
            zones.lon_deg.tolist(), zones.lat_deg.tolist(), zones.radius_m.tolist(), strict=True
        )
        for lon, lat, radius_m in rows:
            resolution = next(r for r, largest_m in H3_RESOLUTIONS if radius_m <= largest_m)
            for cell in h3.grid_disk(h3.latlng_to_cell(lat, lon, resolution), 1):
                self._cells[cell].append((lon, lat, radius_m))

    def match(self, batch: Batch) -> int:
        """Pairs in a batch."""
        found = 0
        for lon, lat in zip(*(column.tolist() for column in batch), strict=True):
            scale = cos(radians(lat))
            for resolution, _ in H3_RESOLUTIONS:
                for x, y, radius_m in self._cells.get(h3.latlng_to_cell(lat, lon, resolution), ()):
                    apart = hypot(radians(lon - x) * scale, radians(lat - y))
                    found += EARTH_M * apart <= radius_m
        return found
