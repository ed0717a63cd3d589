"""Five minutes, as a circle."""

from __future__ import annotations

import pytest

from geoengine.catalog.reach.circle import reach
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
