"""Zones by their number, whatever their shape."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from geoengine.core.columns import Bools, Floats, Ints
from geoengine.core.space.circles import Circles
from geoengine.core.space.polygons import Polygons


class Shapes:
    """Circles and polygons behind one numbering, Z zones; a zone may be neither.

    ``circle_zones`` and ``polygon_zones`` are the zones that the circles and polygons are, int32,
    ascending.
    """

    def __init__(
        self,
        circles: Circles,
        circle_zones: Ints,
        polygons: Polygons,
        polygon_zones: Ints,
        zone_count: int,
    ) -> None:
        self.circles, self.polygons = circles, polygons
        self._circle_ix = _numbered(circle_zones, zone_count)
        self._polygon_ix = _numbered(polygon_zones, zone_count)
        self._parts = ((circles, self._circle_ix), (polygons, self._polygon_ix))

    def edge_m(self, zone_ix: Ints, lon_deg: Floats, lat_deg: Floats) -> Floats:
        """Signed distance to the edge of paired zones and positions; infinite without a shape."""
        circle_ix = self._circle_ix.take(zone_ix)
        if circle_ix.min(initial=0) >= 0:
            return self.circles.edge_m(circle_ix, lon_deg, lat_deg)
        edge_m = np.full(len(zone_ix), np.inf)
        for shapes, ix_of in self._parts:
            ix = ix_of[zone_ix]
            mine = np.flatnonzero(ix >= 0)
            if len(mine):
                edge_m[mine] = shapes.edge_m(ix[mine], lon_deg[mine], lat_deg[mine])
        return edge_m

    def edge_one_m(self, zone_ix: int, lon_deg: float, lat_deg: float) -> float:
        """`edge_m` of one zone and one position."""
        circle_ix = int(self._circle_ix[zone_ix])
        if circle_ix >= 0:
            return self.circles.edge_one_m(circle_ix, lon_deg, lat_deg)
        one = np.array([zone_ix], np.int32)
        return float(self.edge_m(one, np.array([lon_deg]), np.array([lat_deg]))[0])

    def touches(self, zone_ix: Ints, lon_deg: Floats, lat_deg: Floats, radius_m: Floats) -> Bools:
        """Whether each zone touches the disc beside it: never no by mistake, at times yes."""
        is_near = np.zeros(len(zone_ix), bool)
        for shapes, ix_of in self._parts:
            ix = ix_of[zone_ix]
            mine = np.flatnonzero(ix >= 0)
            if len(mine):
                discs = lon_deg[mine], lat_deg[mine], radius_m[mine]
                is_near[mine] = shapes.touches(ix[mine], *discs)
        return is_near

    def is_deep(self, zone_ix: Ints, lon_deg: Floats, lat_deg: Floats, radius_m: Floats) -> Bools:
        """Whether each zone surely holds the disc beside it, whole."""
        is_deep = np.zeros(len(zone_ix), bool)
        for shapes, ix_of in self._parts:
            ix = ix_of[zone_ix]
            mine = np.flatnonzero(ix >= 0)
            if len(mine):
                discs = lon_deg[mine], lat_deg[mine], radius_m[mine]
                is_deep[mine] = shapes.is_deep(ix[mine], *discs)
        return is_deep

    def bounds(self) -> NDArray[np.float64]:
        """Boxes in degrees, float64 of shape (Z, 4); NaN for a zone without a shape."""
        bounds = np.full((len(self._circle_ix), 4), np.nan)
        for shapes, ix_of in self._parts:
            bounds[ix_of >= 0] = shapes.bounds
        return bounds


def _numbered(zones: Ints, zone_count: int) -> Ints:
    """Position of each zone among these, -1 for the others; int32 of shape (Z,)."""
    ix_of = np.full(zone_count, -1, np.int32)
    ix_of[zones] = np.arange(len(zones))
    return ix_of
