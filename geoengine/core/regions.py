"""The nearest zones, for a phone's own geofencing."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Region:
    """A circle that a phone watches by itself: it holds the whole zone."""

    zone_id: str
    name: str  # of the store
    lat: float
    lon: float
    radius_m: float
    distance_m: float  # from where the phone is to the circle's edge; 0 inside


@dataclass(frozen=True, slots=True)
class Advice:
    """Regions to watch, nearest first, and the circle outside which to ask again."""

    regions: list[Region]
    lat: float
    lon: float
    refresh_radius_m: float
