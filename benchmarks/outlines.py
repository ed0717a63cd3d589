"""Isochrone-like polygons in the place of circles: same centre, same area, a thousand corners."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from shapely.geometry import Polygon

from geoengine.core.columns import Floats
from geoengine.core.places.zones import POLYGON, Zones
from geoengine.core.space.geodesy import degree_m

CORNERS = 1_000
WAVES = 60  # around an outline: arms and bays down to a sixtieth of the turn
SMOOTH = 0.9  # how fast they shrink with their number: isochrones are rough
ROUGH = 0.22  # of the arms, as the logarithm of their length


def outlined(zones: Zones, corners: int = CORNERS, seed: int = 1) -> Zones:
    """The same zones as polygons."""
    rng = np.random.default_rng(seed)
    across_m, along_m = degree_m(zones.lat_deg)
    polygons = {}
    for ix, radius_m in enumerate(zones.radius_m.tolist()):
        x, y = _outline(corners, rng) * radius_m
        lon, lat = zones.lon_deg[ix] + x / across_m[ix], zones.lat_deg[ix] + y / along_m[ix]
        polygons[ix] = Polygon(np.column_stack([lon, lat]))
    kind = np.full(len(zones), POLYGON, np.int8)
    return replace(zones, kind=kind, polygons=polygons)


def _outline(corners: int, rng: np.random.Generator) -> Floats:
    """A ring around the origin with the unit circle's area, shape (2, corners)."""
    turn = np.sort(rng.random(corners)) * 2 * np.pi
    wave = np.arange(1, WAVES + 1)
    height = rng.normal(size=(2, WAVES)) * ROUGH / wave**SMOOTH
    length = np.exp(
        height[0] @ np.cos(np.outer(wave, turn)) + height[1] @ np.sin(wave[:, None] * turn)
    )
    x, y = length * np.cos(turn), length * np.sin(turn)
    area = abs(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1))) / 2
    return np.array([x, y]) * np.sqrt(np.pi / area)
