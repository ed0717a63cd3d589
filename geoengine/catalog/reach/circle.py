"""How far five minutes go: the circle from which a store can be reached in time.

Without a road network the reach is a circle: speed times minutes is the way along streets, divided
by the detour that streets make over the crow's flight. This file is the door through which
isochrones on real streets replace the circle: same question, same shape of answer.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from geoengine.core.model import Decided, Mode, Reach

MINUTES = 5.0

# Speeds, metres per second. Walking 4.7 km/h lies between the 4.3 of traffic lights (MUTCD, 1.2
# m/s) and the 5.1 of Valhalla and Mapbox. Driving 48 km/h is a country road with its bends and
# villages. Too high, and people are called who cannot make it in time.
SPEED_MPS: dict[Mode, float] = {"walk": 1.3, "drive": 48 / 3.6, "bike": 4.2, "transit": 1.3}

# Length of the way over the straight line: 1.2 to 1.3 for streets (Newell 1980, O'Sullivan 1996),
# 1.35 for country roads (between Ballou's 1.2 to 1.4 by country and Boscoe's 1.42).
DETOUR: dict[Mode, float] = {"walk": 1.3, "drive": 1.35, "bike": 1.3, "transit": 1.3}

MODE_OF: dict[Decided, Mode] = {"city": "walk", "suburb": "drive", "countryside": "drive"}
ON_THE_WAY: dict[Mode, str] = {
    "walk": "on foot",
    "drive": "by car",
    "bike": "by bicycle",
    "transit": "by bus or tram",
}


class Extent(NamedTuple):
    """A circle around the store and how it came about."""

    radius_m: float
    mode: Mode
    minutes: float | None  # none where the marketer wrote the radius
    why: str


@lru_cache(maxsize=65_536)
def reach(spec: Reach, setting: Decided) -> Extent:
    """The circle of a reach that is not a polygon, in this setting.

    >>> reach(Reach(), "city").radius_m
    300.0
    >>> reach(Reach(), "countryside").why
    '5 min by car at 48.0 km/h, detour 1.35: 2,963 m'
    """
    mode: Mode = spec.mode or MODE_OF[setting]
    if spec.radius_m is not None:
        return Extent(spec.radius_m, mode, None, f"radius as written: {spec.radius_m:,.0f} m")
    minutes = MINUTES if spec.minutes is None else spec.minutes
    speed_mps = SPEED_MPS[mode] if spec.speed_mps is None else spec.speed_mps
    detour = DETOUR[mode] if spec.detour is None else spec.detour
    radius_m = speed_mps * minutes * 60 / detour
    why = (
        f"{minutes:g} min {ON_THE_WAY[mode]} at {speed_mps * 3.6:.1f} km/h, "
        f"detour {detour:g}: {radius_m:,.0f} m"
    )
    return Extent(round(radius_m, 1), mode, minutes, why)
