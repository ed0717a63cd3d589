"""Five minutes, city and countryside."""

from __future__ import annotations

import numpy as np
import pytest

from geoengine.catalog.reach.circle import reach
from geoengine.catalog.setting.fallback import people_around, settings
from geoengine.core.model import Reach


@pytest.mark.parametrize(
    ("spec", "setting", "radius_m", "mode", "minutes"),
    [
        (Reach(), "city", 300.0, "walk", 5),
        (Reach(), "countryside", 2963.0, "drive", 5),
        (Reach(minutes=10), "city", 600.0, "walk", 10),
        (Reach(mode="drive"), "city", 2963.0, "drive", 5),
        (Reach(detour=1), "city", 390.0, "walk", 5),
        (Reach(detour=1), "countryside", 4000.0, "drive", 5),
        (Reach(speed_mps=1.0, detour=1.5), "city", 200.0, "walk", 5),
        (Reach(radius_m=250), "city", 250.0, "walk", None),
    ],
)
def test_reach_is_speed_times_minutes_over_detour(spec, setting, radius_m, mode, minutes):
    extent = reach(spec, setting)
    assert extent.radius_m == pytest.approx(radius_m, abs=0.1)
    assert (extent.mode, extent.minutes) == (mode, minutes)


PLACES = {
    "Paris, Rivoli": (48.8583, 2.3470, True),
    "Paris, Montmartre": (48.8844, 2.3382, True),
    "Lyon, Bellecour": (45.7578, 4.8320, True),
    "Lille, Grand-Place": (50.6366, 3.0635, True),
    "Toulouse, Capitole": (43.6043, 1.4437, True),
    "London, Oxford Street": (51.5154, -0.1410, True),
    "Newport, Wales": (51.5877, -2.9984, True),
    "Gordes": (43.9112, 5.2003, False),
    "Riquewihr": (48.1664, 7.2983, False),
    "Auvillar": (44.0690, 0.9000, False),
    "a field in the Beauce": (48.2500, 1.7000, False),
    "the Atlantic": (45.0000, -30.000, False),
}


@pytest.mark.parametrize(
    ("lat", "lon", "expected"), [pytest.param(*row, id=name) for name, row in PLACES.items()]
)
def test_the_people_around_tell_a_city_from_the_countryside(lat, lon, expected):
    is_city, _people = settings(np.array([lon]), np.array([lat]))
    assert is_city[0] == expected


def test_many_stores_are_answered_as_each_alone():
    lat_deg = np.array([row[0] for row in PLACES.values()])
    lon_deg = np.array([row[1] for row in PLACES.values()])
    together = people_around(lon_deg, lat_deg)
    alone = [people_around(lon_deg[i : i + 1], lat_deg[i : i + 1])[0] for i in range(len(PLACES))]
    np.testing.assert_allclose(together, alone)


def test_no_stores_need_no_answer():
    assert len(people_around(np.empty(0), np.empty(0))) == 0
