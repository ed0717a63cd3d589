"""City or countryside: how dense the people around a store live.

The table behind it is GeoNames' places of 500 people and more (``../data/build_places.py``). Each
place is taken for a disc, larger the more people it has; a store's people are those of the discs
within 2 km of it. The line between city and countryside is drawn at 10,000 of them, 800 a square
kilometre: between the 300 of a town and the 1,500 of a city in Eurostat's degree of urbanisation.

Against INSEE's seven-level grid, 2019 (cities: levels 1 and 2), the answer at the middle of a
commune is the same for 98 % of all French communes, in which 92 % of the French live. Where it is
wrong it is mostly at the edge: a retail park beside a big commune is why a marketer can override.
"""

from __future__ import annotations

from functools import lru_cache
from importlib.resources import files
from typing import NamedTuple

import numpy as np
import shapely

from geoengine.core.columns import Bools, Floats

AROUND_M = 2_000.0
CITY_PEOPLE = 10_000
DEGREE_PARTS = 10_000  # of the packaged table
DEGREE_M = 111_200.0  # of latitude; a per cent off moves nobody from city to countryside
CHUNK = 50_000  # stores at a time, so that a million fits in memory

# How densely the people of a place live, per square metre: a village of 1,000 at 850 a square
# kilometre, a town of 5,000 at 1,500, Toulouse at 7,500. French communes, by eye.
DENSITY_AT = 1_500e-6
DENSITY_AT_PEOPLE = 5_000.0
DENSITY_POWER = 0.35
DENSITY_MIN, DENSITY_MAX = 800e-6, 12_000e-6


class Places(NamedTuple):
    """Populated places, N of them, as discs."""

    lon_deg: Floats
    lat_deg: Floats
    people: Floats
    radius_m: Floats


@lru_cache(maxsize=1)
def places() -> Places:
    """The packaged table, about 200,000 places of the whole world."""
    with (
        files("geoengine.catalog").joinpath("data/places.npz").open("rb") as packed,
        np.load(packed) as table,
    ):
        people = table["people"].astype(np.float64)
        lon_deg, lat_deg = table["lon"] / DEGREE_PARTS, table["lat"] / DEGREE_PARTS
    density = np.clip(
        DENSITY_AT * (people / DENSITY_AT_PEOPLE) ** DENSITY_POWER, DENSITY_MIN, DENSITY_MAX
    )
    return Places(lon_deg, lat_deg, people, np.sqrt(people / (np.pi * density)))


def people_around(lon_deg: Floats, lat_deg: Floats) -> Floats:
    """How many people live within `AROUND_M` of each point.

    Parameters
    ----------
    lon_deg, lat_deg : float64, shape (P,)
        WGS 84.

    Returns
    -------
    people : float64, shape (P,)
    """
    found = np.zeros(len(lon_deg))
    for start in range(0, len(lon_deg), CHUNK):
        part = slice(start, start + CHUNK)
        found[part] = _sum_near(lon_deg[part], lat_deg[part])
    return found


def settings(lon_deg: Floats, lat_deg: Floats) -> tuple[Bools, Floats]:
    """Whether each point, of P, lies in a city, and the people around it: both shape (P,)."""
    people = people_around(lon_deg, lat_deg)
    return people >= CITY_PEOPLE, people


def reason(is_city: bool, people: float) -> str:
    """The decision in words, for `why`.

    >>> reason(True, 31_412.0)
    'city: about 31,400 people within 2 km'
    """
    rounded = round(people, -2) if people >= 1_000 else round(people, -1)
    where = "city" if is_city else "countryside"
    return f"{where}: about {rounded:,.0f} people within {AROUND_M / 1000:.0f} km"


def _sum_near(lon_deg: Floats, lat_deg: Floats) -> Floats:
    table = _within_sight(lon_deg, lat_deg)
    reach_lat = (table.radius_m + AROUND_M) / DEGREE_M
    reach_lon = reach_lat / _shrink(np.abs(table.lat_deg) + reach_lat)
    boxes = shapely.box(
        table.lon_deg - reach_lon,
        table.lat_deg - reach_lat,
        table.lon_deg + reach_lon,
        table.lat_deg + reach_lat,
    )
    point_ix, place_ix = shapely.STRtree(boxes).query(shapely.points(lon_deg, lat_deg))
    d_lat_m = (lat_deg[point_ix] - table.lat_deg[place_ix]) * DEGREE_M
    d_lon_m = (lon_deg[point_ix] - table.lon_deg[place_ix]) * DEGREE_M * _shrink(lat_deg[point_ix])
    share = _overlap(np.hypot(d_lat_m, d_lon_m), table.radius_m[place_ix])
    people: Floats = np.bincount(point_ix, share * table.people[place_ix], len(lon_deg)).astype(
        np.float64
    )
    return people


def _within_sight(lon_deg: Floats, lat_deg: Floats) -> Places:
    """The places in the box around the points and half a degree more; a few stores need few."""
    table = places()
    margin_lat = 0.5
    margin_lon = margin_lat / float(_shrink(np.abs(lat_deg).max()))
    is_near = (
        (table.lat_deg > lat_deg.min() - margin_lat)
        & (table.lat_deg < lat_deg.max() + margin_lat)
        & (table.lon_deg > lon_deg.min() - margin_lon)
        & (table.lon_deg < lon_deg.max() + margin_lon)
    )
    return Places(*(column[is_near] for column in table))


def _shrink(lat_deg: Floats | np.float64) -> Floats:
    """How short a degree of longitude is at a latitude; bounded, for the poles."""
    return np.maximum(np.cos(np.radians(lat_deg)), 0.01)


def _overlap(distance_m: Floats, radius_m: Floats) -> Floats:
    """Share of a disc of this radius, at this distance, that lies within `AROUND_M`.

    Linear between touching from outside and lying wholly within: off by at most a tenth.
    """
    whole = np.minimum(1.0, (AROUND_M / radius_m) ** 2)
    inner, outer = np.abs(AROUND_M - radius_m), AROUND_M + radius_m
    return whole * np.clip((outer - distance_m) / (outer - inner), 0.0, 1.0)
