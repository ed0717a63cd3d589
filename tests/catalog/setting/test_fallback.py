"""The packaged places: people around, and forty real places whose truth is known."""

from __future__ import annotations

import numpy as np
import pytest

from geoengine.catalog.setting.fallback import estimate, share_within
from tests.catalog.setting.grids import verdict
from tests.catalog.setting.truth import (
    BORDERS,
    CITY,
    HOLES,
    OFFICES,
    OUTSIDE,
    SEEN,
    UNSEEN,
    WRONG,
    Rows,
)


def each(rows: Rows) -> pytest.MarkDecorator:
    return pytest.mark.parametrize(
        ("lat", "lon", "truth"), [pytest.param(*row, id=name) for name, row in rows.items()]
    )


def missed(rows: Rows) -> set[str]:
    return {name for name, (lat, lon, truth) in rows.items() if verdict(lat, lon).setting != truth}


@pytest.mark.parametrize("rows", [SEEN, UNSEEN], ids=["seen", "unseen"])
def test_nineteen_of_twenty_real_places_are_told_right(rows: Rows):
    assert missed(rows) <= WRONG
    assert len(missed(rows)) <= 0.05 * len(rows)


@each(BORDERS)
def test_people_across_a_border_count(lat: float, lon: float, truth: str):
    assert verdict(lat, lon).setting == truth


@each(OFFICES)
def test_offices_among_people_are_city(lat: float, lon: float, truth: str):
    assert verdict(lat, lon).setting == truth


@each(OUTSIDE)
def test_an_airport_or_a_mall_beside_the_city_is_countryside(lat: float, lon: float, truth: str):
    assert verdict(lat, lon).setting == truth


@each(HOLES)
def test_a_hole_in_a_city_is_what_the_store_says(lat: float, lon: float, truth: str):
    assert verdict(lat, lon).setting == CITY  # wrong, and known to be
    assert verdict(lat, lon, written=truth)[:2] == (truth, f"{truth}, as written")


def test_many_stores_are_answered_as_each_alone():
    rows = list((SEEN | UNSEEN).values())
    lat_deg, lon_deg = np.array([row[:2] for row in rows]).T
    together = estimate(lon_deg, lat_deg)
    for ix in range(len(rows)):
        alone = estimate(lon_deg[ix : ix + 1], lat_deg[ix : ix + 1])
        np.testing.assert_allclose([column[ix] for column in together], np.ravel(alone), atol=1e-6)


def test_no_stores_need_no_answer():
    assert len(estimate(np.empty(0), np.empty(0)).margin) == 0


def test_nobody_lives_in_the_middle_of_the_sea():
    found = estimate(np.array([-30.0]), np.array([45.0]))
    assert found.people[0] == found.town_people[0] == found.margin[0] == 0
    assert verdict(45.0, -30.0).why == "countryside: no place of 500 people within 1 km"


def test_the_share_of_a_disc_is_what_points_strewn_over_it_say():
    rng = np.random.default_rng(6)
    angle, away = rng.uniform(0, 2 * np.pi, 200_000), np.sqrt(rng.uniform(0, 1, 200_000))
    for distance_m, radius_m in [(0, 500), (0, 4_000), (900, 800), (1_500, 4_000), (3_000, 1_500)]:
        x, y = distance_m + radius_m * away * np.cos(angle), radius_m * away * np.sin(angle)
        strewn = (np.hypot(x, y) <= 1_000).mean()
        share = share_within(1_000.0, np.array([float(distance_m)]), np.array([float(radius_m)]))
        assert share[0] == pytest.approx(strewn, abs=0.005)
