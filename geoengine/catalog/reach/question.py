"""What is asked of a road network about a store, and which stores ask it."""

from __future__ import annotations

from typing import NamedTuple

from geoengine.catalog.reach.circle import reach
from geoengine.core.model import Mode, Reach, Store

# Places this near to one another are one place, degrees: 0.1 m. Finer, and a coordinate that went
# through somebody's spreadsheet would be asked about again; coarser, and shops would share.
DECIMALS = 6


class Question(NamedTuple):
    """From where one is in time at this place: WGS 84 degrees, by this mode, in these minutes."""

    lon_deg: float
    lat_deg: float
    mode: Mode
    minutes: float
    at: str | None = None  # a weekday and local time of arrival: Fr 17:30


def is_for_roads(spec: Reach) -> bool:
    """Whether a reach is as far as the roads go: in minutes, and at no speed that is written.

    >>> is_for_roads(Reach(minutes=7)), is_for_roads(Reach(detour=1.3)), is_for_roads(Reach())
    (True, False, True)
    """
    written = (spec.radius_m, spec.polygon, spec.speed_mps, spec.detour)
    return all(value is None for value in written)


def question_of(store: Store) -> Question | None:
    """What to ask for a store whose setting is decided; none where the roads do not matter."""
    if not is_for_roads(store.reach) or store.setting == "auto":
        return None
    circle = reach(store.reach, store.setting)
    assert circle.minutes is not None, store.reach
    place, at = store.location, store.reach.at
    lon_deg, lat_deg = round(place.lon, DECIMALS), round(place.lat, DECIMALS)
    return Question(lon_deg, lat_deg, circle.mode, circle.minutes, at)
