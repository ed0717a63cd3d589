"""The packaged table of the world's places: an estimate of who lives around a store.

The table is GeoNames' places of 500 people and more (``../data/build_places.py``). Each place is
taken for a disc, larger the more people it has, and a store's people are those of all discs near
it: not of the nearest place, which at the edge of a city is a village.

The degree of urbanisation (Eurostat's manual, 2021) calls dense what has 1,500 people to the square
kilometre in a cell of 1 km. Discs blur: they know neither the streets in which the people of a town
live nor the fields that belong to it. So the line lies at 1,000 to the square kilometre within 1 km
of the store, and 15,000 people within 3 km: of the lines that agree best with INSEE's levels 1 and
2, one that calls few motorway services and out-of-town shops a city. It says what INSEE says at the
middle of 98 % of the French communes, in which 90 % of the French live, and at 90 % of the fuel
stations. No line over these discs does much better: a regression on the people within seven radii
reaches 91 % of the stations. It cannot see a retail park or an airport within a city; a density
grid of cells can.
"""

from __future__ import annotations

from functools import lru_cache
from importlib.resources import files
from typing import NamedTuple

import numpy as np
import shapely

from geoengine.core.columns import Floats
from geoengine.core.units import DEGREE_M

AROUND_M = 1_000.0
TOWN_M = 3_000.0

# People within each distance from which on a store is in a city: 1,000 to the square kilometre, and
# a town of 15,000. Without the second a third of the fuel stations in INSEE's small towns (level
# 3) would be in a city, with it one in forty. Lower, and small towns are walked to; higher, and
# suburbs of cities are driven to.
CITY_PEOPLE = 1_000.0 * np.pi * (AROUND_M / 1_000) ** 2
TOWN_PEOPLE = 15_000.0

# How densely the people of a place live, per square metre: a village of 1,000 at 800 to the square
# kilometre, a town of 5,000 at 1,200, Toulouse at 3,800, Tokyo at 8,000. Half as much or twice as
# much, and 86 % or 88 % of the fuel stations agree with INSEE instead of 90 %.
DENSITY_AT = 1_200e-6
DENSITY_AT_PEOPLE = 5_000.0
DENSITY_POWER = 0.25
DENSITY_MIN = 800e-6

DEGREE_PARTS = 10_000  # of the packaged table
CHUNK = 20_000  # stores at a time, so that a million fits in memory


class Places(NamedTuple):
    """Populated places, N of them, as discs."""

    lon_deg: Floats
    lat_deg: Floats
    people: Floats
    radius_m: Floats


class Estimate(NamedTuple):
    """What the table says of P positions; all float64, shape (P,)."""

    people: Floats  # within `AROUND_M`
    town_people: Floats  # within `TOWN_M`

    @property
    def margin(self) -> Floats:
        """How many times over it is a city: 1 is the line itself, less is the countryside."""
        return np.minimum(self.people / CITY_PEOPLE, self.town_people / TOWN_PEOPLE)


@lru_cache(maxsize=1)
def places() -> Places:
    """The packaged table, about 200,000 places of the whole world."""
    with (
        files("geoengine.catalog").joinpath("data/places.npz").open("rb") as packed,
        np.load(packed) as table,
    ):
        people = table["people"].astype(np.float64)
        lon_deg, lat_deg = table["lon"] / DEGREE_PARTS, table["lat"] / DEGREE_PARTS
    density = DENSITY_AT * (people / DENSITY_AT_PEOPLE) ** DENSITY_POWER
    density = np.maximum(density, DENSITY_MIN)
    return Places(lon_deg, lat_deg, people, np.sqrt(people / (np.pi * density)))


def estimate(lon_deg: Floats, lat_deg: Floats) -> Estimate:
    """How many people live around each point.

    Parameters
    ----------
    lon_deg, lat_deg : float64, shape (P,)
        WGS 84.
    """
    found = Estimate(np.zeros(len(lon_deg)), np.zeros(len(lon_deg)))
    from_south = np.argsort(lat_deg, kind="stable")  # a chunk sees a belt of the world, not all
    for start in range(0, len(lon_deg), CHUNK):
        part = from_south[start : start + CHUNK]
        found.people[part], found.town_people[part] = _sums_near(lon_deg[part], lat_deg[part])
    return found


def _sums_near(lon_deg: Floats, lat_deg: Floats) -> Estimate:
    table = _within_sight(lon_deg, lat_deg)
    reach_lat = (table.radius_m + TOWN_M) / DEGREE_M
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
    away_m, radius_m = np.hypot(d_lat_m, d_lon_m), table.radius_m[place_ix]

    def within(around_m: float) -> Floats:
        people = table.people[place_ix] * share_within(around_m, away_m, radius_m)
        return np.bincount(point_ix, people, len(lon_deg)).astype(np.float64)

    return Estimate(within(AROUND_M), within(TOWN_M))


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


def share_within(around_m: float, away_m: Floats, radius_m: Floats) -> Floats:
    """The share of each disc of people that lies within a distance of a point.

    Parameters
    ----------
    around_m : float
        The distance, metres.
    away_m, radius_m : float64, shape (M,)
        How far from the point each disc has its middle, and how large it is.

    Returns
    -------
    share : float64, shape (M,)
        0 to 1: the area that two circles have in common (Weisstein, Circle-Circle Intersection),
        over that of the disc.
    """
    away_m = np.clip(away_m, np.abs(around_m - radius_m), around_m + radius_m)
    away_m = np.maximum(away_m, 1e-3)
    ours = (away_m**2 + around_m**2 - radius_m**2) / (2 * away_m * around_m)
    theirs = (away_m**2 + radius_m**2 - around_m**2) / (2 * away_m * radius_m)
    angle_ours, angle_theirs = (np.arccos(np.clip(side, -1, 1)) for side in (ours, theirs))
    common = around_m**2 * _cap(angle_ours) + radius_m**2 * _cap(angle_theirs)
    share: Floats = common / (np.pi * radius_m**2)
    return share


def _cap(half_angle: Floats) -> Floats:
    """The area that a chord cuts off a circle of radius 1, seen at twice this angle."""
    cap: Floats = half_angle - np.sin(half_angle) * np.cos(half_angle)
    return cap
