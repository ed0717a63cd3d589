"""A plane of metres around a store, for what is drawn and cut there."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry

from geoengine.core.space.geodesy import degree_m


class Plane(NamedTuple):
    """Metres around a place, east and north: good to 2 % where 5 minutes lead, by any mode."""

    lon_deg: float
    lat_deg: float
    across_m: float  # a degree of longitude
    along_m: float  # a degree of latitude

    def flat(self, geometry: BaseGeometry) -> Any:
        """Out of degrees; across the antimeridian the short way."""

        def metres(xy: NDArray[np.float64]) -> NDArray[np.float64]:
            east_deg = (xy[:, 0] - self.lon_deg + 180.0) % 360.0 - 180.0
            north_deg = xy[:, 1] - self.lat_deg
            return np.column_stack([east_deg * self.across_m, north_deg * self.along_m])

        return shapely.transform(geometry, metres)

    def round(self, geometry: BaseGeometry) -> Any:
        """Back into degrees."""
        return shapely.transform(geometry, self.degrees)

    def degrees(self, metres: NDArray[np.float64]) -> NDArray[np.float64]:
        """Longitudes and latitudes of so many metres east and north, both of shape (N, 2)."""
        return metres / (self.across_m, self.along_m) + (self.lon_deg, self.lat_deg)


def plane_at(lon_deg: float, lat_deg: float) -> Plane:
    """The plane whose origin is that place."""
    across_m, along_m = degree_m(np.array([lat_deg]))
    return Plane(lon_deg, lat_deg, float(across_m[0]), float(along_m[0]))
