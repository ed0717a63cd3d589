"""Five minutes, as a circle."""

from __future__ import annotations

import pytest

from geoengine.catalog.reach.circle import PACE, reach
from geoengine.core.model import Decided, Mode, Reach

SETTINGS: tuple[Decided, ...] = ("city", "suburb", "countryside")
MODES: tuple[Mode, ...] = ("walk", "bike", "drive", "transit")


@pytest.mark.parametrize(
    ("spec", "setting", "radius_m", "mode", "minutes"),
    [
        (Reach(), "city", 300.0, "walk", 5),
        (Reach(), "suburb", 937.5, "drive", 3),
        (Reach(), "countryside", 1568.6, "drive", 5),
        (Reach(minutes=10), "city", 600.0, "walk", 10),
        (Reach(minutes=5), "suburb", 1562.5, "drive", 5),
        (Reach(mode="drive"), "city", 2058.8, "drive", 5),
        (Reach(mode="walk"), "suburb", 278.6, "walk", 5),
        (Reach(mode="bike"), "city", 885.4, "bike", 5),
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


def test_the_suburb_reaches_farther_than_the_city_and_less_far_than_the_countryside():
    city, suburb, countryside = (reach(Reach(), setting).radius_m for setting in SETTINGS)
    assert city < suburb < countryside


@pytest.mark.parametrize("minutes", [None, 5, 10])
def test_a_suburb_is_a_shorter_drive_than_the_countryside(minutes):
    spec = Reach(minutes=minutes)
    assert reach(spec, "suburb").radius_m < reach(spec, "countryside").radius_m


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("setting", SETTINGS)
def test_every_mode_has_a_pace_in_every_setting(mode, setting):
    pace = PACE[mode][setting]
    assert 1.0 <= pace.speed_mps <= 50 / 3.6
    assert pace.detour >= 1.3, "no way is as straight as that"


def test_walking_is_slower_than_cycling_is_slower_than_driving():
    for setting in SETTINGS:
        walk, bike, drive = (
            reach(Reach(mode=mode, minutes=5), setting).radius_m
            for mode in ("walk", "bike", "drive")
        )
        assert walk < bike < drive
