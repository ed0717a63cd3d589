"""How far five minutes go: the circle from which a store can be reached in time.

Without a road network the reach is a circle: speed times minutes is the way along streets, divided
by the detour. Where a road network answered, its isochrone takes the circle's place (`kept`).

The detours are fitted, so that circle and isochrone have the most in common that a circle can:
`benchmarks/bench_reach.py` computed the isochrones towards 313 shops, cafes and villages of two
towns and an Alpine valley, and says what error remains; `docs/reach.md` has the table.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from geoengine.core.model import Decided, Mode, Reach

# Minutes on the way unless the marketer writes others. By car in a suburb three of five are driven:
# the others go on the way to the car, the car park and the walk across it.
MINUTES = 5.0
SUBURB_DRIVE_MINUTES = 3.0

MODE_OF: dict[Decided, Mode] = {"city": "walk", "suburb": "drive", "countryside": "drive"}
ON_THE_WAY: dict[Mode, str] = {
    "walk": "on foot",
    "drive": "by car",
    "bike": "by bicycle",
    "transit": "by bus or tram",
}


class Pace(NamedTuple):
    """How fast one goes along streets, and how much longer these are than the circle's radius.

    The detour is larger than that of a single way (1.3 on foot, 1.4 to 1.6 by car): one gets
    farther only along the straightest and fastest roads, between them less. The fewer these are,
    the larger it is.
    """

    speed_mps: float
    detour: float


# Walking 1.3 m/s = 4.7 km/h lies between the 4.3 of traffic lights (MUTCD, 1.2 m/s) and the 5.1 of
# Valhalla and Mapbox. The speeds by bicycle and car are the medians of Valhalla 3.9.1's ways of
# three to six minutes in the places measured: 17 km/h; 42 in the city, 45 to 50 outside. Detours
# as above. A pace too fast calls people who cannot make it in time; one too slow calls too few.
_STROLL: dict[Decided, Pace] = {
    "city": Pace(1.3, 1.3),
    "suburb": Pace(1.3, 1.4),
    "countryside": Pace(1.3, 1.55),
}
PACE: dict[Mode, dict[Decided, Pace]] = {
    "walk": _STROLL,
    "bike": {
        "city": Pace(17 / 3.6, 1.6),
        "suburb": Pace(17 / 3.6, 1.75),
        "countryside": Pace(17 / 3.6, 2.2),
    },
    "drive": {
        "city": Pace(42 / 3.6, 1.7),
        "suburb": Pace(45 / 3.6, 2.4),
        "countryside": Pace(48 / 3.6, 2.55),
    },
    # At five minutes, with the waiting, a timetable adds nothing to walking that could be measured.
    "transit": _STROLL,
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
    >>> reach(Reach(), "suburb").why
    '3 min by car at 45.0 km/h, detour 2.4: 938 m'
    >>> reach(Reach(), "countryside").why
    '5 min by car at 48.0 km/h, detour 2.55: 1,569 m'
    """
    mode: Mode = spec.mode or MODE_OF[setting]
    if spec.radius_m is not None:
        return Extent(spec.radius_m, mode, None, f"radius as written: {spec.radius_m:,.0f} m")
    usual = SUBURB_DRIVE_MINUTES if (setting, mode) == ("suburb", "drive") else MINUTES
    minutes = usual if spec.minutes is None else spec.minutes
    pace = PACE[mode][setting]
    speed_mps = pace.speed_mps if spec.speed_mps is None else spec.speed_mps
    detour = pace.detour if spec.detour is None else spec.detour
    radius_m = speed_mps * minutes * 60 / detour
    why = (
        f"{minutes:g} min {ON_THE_WAY[mode]} at {speed_mps * 3.6:.1f} km/h, "
        f"detour {detour:g}: {radius_m:,.0f} m"
    )
    return Extent(round(radius_m, 1), mode, minutes, why)
