"""Towns under the map: the large ones of all it shows, and those beside the areas."""

from __future__ import annotations

import numpy as np
import pytest

from geoengine.catalog.preview.towns import SHOWN_MAX, towns_around
from geoengine.catalog.setting.fallback import Places


def around(*at: tuple[float, float]) -> Places:
    lon_deg, lat_deg = np.array(at, float).reshape(-1, 2).T
    return towns_around(lon_deg, lat_deg)


def has(towns: Places, lon_deg: float, lat_deg: float, people_min: float) -> bool:
    """Whether a town of so many people lies within 5 km or so."""
    is_here = np.hypot(towns.lon_deg - lon_deg, towns.lat_deg - lat_deg) < 0.05
    return bool((towns.people[is_here] >= people_min).any())


def test_the_city_that_a_store_lies_in_is_there_and_another_country_s_is_not():
    towns = around((2.347, 48.858))
    assert has(towns, 2.35, 48.85, 2e6)
    assert not has(towns, -0.12, 51.5, 1e6)


def test_a_city_between_far_stores_is_there_and_so_is_the_village_beside_one():
    towns = around((2.347, 48.858), (5.2003, 43.9115))
    assert has(towns, 4.84, 45.76, 4e5)  # Lyon lies on the way
    assert has(towns, 5.2003, 43.9115, 500)  # Gordes, small as it is


def test_towns_over_the_antimeridian_lie_where_the_stores_do():
    towns = around((179.4, -16.4), (180.1, -16.8))  # Vanua Levu and Taveuni, Fiji
    assert has(towns, 179.38, -16.43, 10_000)  # Labasa
    assert towns.lon_deg.min() > 178 and towns.lon_deg.max() < 182


def test_there_are_never_more_than_a_page_can_hold():
    draw = np.random.default_rng(5)
    towns = towns_around(draw.uniform(-10, 30, 3_000), draw.uniform(40, 60, 3_000))
    assert SHOWN_MAX <= len(towns.people) <= 2 * SHOWN_MAX


@pytest.mark.parametrize("at", [[], [(-140.0, -40.0)]], ids=["nobody", "on the ocean"])
def test_where_nobody_is_there_are_no_towns(at: list[tuple[float, float]]):
    assert len(around(*at).people) == 0
