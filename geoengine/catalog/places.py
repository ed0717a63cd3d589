"""What a position says by itself: time zone, country, and whether it can be a shop at all.

Time zones are the shapes of timezone-boundary-builder (OpenStreetMap) inside ``tzfpy``, which also
cover the seas: out there a zone is called ``Etc/…``. Countries are those of the IANA ``zone.tab``
inside ``tzdata``, one for each time zone; a country that shares the zone of another (as none does
in ``zone.tab``, whose zones never cross a border) would be wrong.
"""

from __future__ import annotations

from collections import Counter
from functools import lru_cache
from importlib.resources import files

import tzfpy

from geoengine.core.columns import Floats

SEA = "Etc/"
COMMON_SHARE = 0.2  # a time zone with a fifth of the stores is one where the retailer trades
ISLAND = "0, 0 lies in the Gulf of Guinea: expected the shop's own latitude and longitude"


@lru_cache(maxsize=1)
def time_zones() -> frozenset[str]:
    """All IANA names."""
    return frozenset(files("tzdata").joinpath("zones").read_text(encoding="utf-8").split())


@lru_cache(maxsize=1)
def countries() -> frozenset[str]:
    """All ISO 3166-1 codes of two letters."""
    return frozenset(line[0] for line in _table("iso3166.tab"))


def time_zone_at(lon_deg: float, lat_deg: float) -> str:
    """The IANA name of the time zone at a position."""
    return tzfpy.get_tz(lon_deg, lat_deg)


def country_of(zone_name: str) -> str | None:
    """The country of a time zone; none at sea."""
    return _country_by_zone().get(zone_name)


@lru_cache(maxsize=1)
def _country_by_zone() -> dict[str, str]:
    return {line[2]: line[0] for line in _table("zone.tab")}


def _table(name: str) -> list[list[str]]:
    text = files("tzdata").joinpath("zoneinfo", name).read_text(encoding="utf-8")
    return [line.split("\t") for line in text.splitlines() if line and not line.startswith("#")]


def implausible(lon_deg: Floats, lat_deg: Floats, zone_names: list[str]) -> dict[int, str]:
    """Positions that cannot be meant, and why, by their place in the list.

    Parameters
    ----------
    lon_deg, lat_deg : float64, shape (P,)
        WGS 84.
    zone_names : P of them
        The time zone at each position.

    Notes
    -----
    (0, 0) is what a lost position is written as. A point at sea whose mirror image (latitude and
    longitude exchanged) is on land was swapped; so was one far from where the retailer trades
    whose mirror image is where it does. Points near the coast belong to their land's time zone,
    so a pier is not at sea.
    """
    found = {int(ix): ISLAND for ix in ((abs(lon_deg) < 1e-6) & (abs(lat_deg) < 1e-6)).nonzero()[0]}
    counts = Counter(name for name in zone_names if not name.startswith(SEA))
    common = {name for name, n in counts.items() if n >= COMMON_SHARE * len(zone_names)}
    for ix, name in enumerate(zone_names):
        if (name.startswith(SEA) or name not in common) and ix not in found:
            why = _swapped(float(lon_deg[ix]), float(lat_deg[ix]), name, common)
            if why:
                found[ix] = why
    return found


def _swapped(lon_deg: float, lat_deg: float, name: str, common: set[str]) -> str | None:
    if abs(lon_deg) > 90:
        return None
    mirror = time_zone_at(lat_deg, lon_deg)
    is_at_sea = name.startswith(SEA)
    if mirror in common or (is_at_sea and not mirror.startswith(SEA)):
        where = "at sea" if is_at_sea else f"in {name}"
        return (
            f"lat {lat_deg:g}, lon {lon_deg:g} lies {where}, and in {mirror} the other way round: "
            "latitude and longitude look swapped; where they are right, write `time_zone:`"
        )
    return None
