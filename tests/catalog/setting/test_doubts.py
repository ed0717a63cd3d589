"""What deserves a second look: sources that differ, a line close by, a word against all."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.catalog.setting.grids import add_cells, add_insee, commune, square, verdict
from tests.catalog.setting.test_decide import BEAUCE, GORDES, RIVOLI
from tests.catalog.setting.truth import OFFICES


def test_a_retail_park_in_a_dense_commune_is_doubted(tmp_path: Path):
    found = verdict(*BEAUCE, add_insee(tmp_path, commune(*BEAUCE, 1)))
    assert found.setting == "city"
    (doubt,) = found.doubts
    assert doubt == (
        "INSEE level 1 says city, but no place of 500 people within 1 km: "
        "where it is wrong, write `setting:`"
    )


def test_a_city_that_a_border_cuts_off_is_doubted(tmp_path: Path):
    (doubt,) = verdict(*RIVOLI, add_insee(tmp_path, commune(*RIVOLI, 4))).doubts
    assert doubt.startswith("INSEE level 4 says countryside, but about 40,800 people within 1 km")


def test_two_grids_that_say_otherwise_are_a_doubt(tmp_path: Path):
    add_insee(tmp_path, commune(*BEAUCE, 5))
    (doubt,) = verdict(*BEAUCE, add_cells(tmp_path, *BEAUCE, square(4, 4_000))).doubts
    assert doubt.startswith(
        "INSEE level 5 says countryside, but Eurostat 2021: urban centre says city"
    )


def test_a_grid_of_cells_sees_the_hole_in_a_dense_commune(tmp_path: Path):
    """A retail park 3 km wide, in a city that the commune's level makes of one piece."""
    hole = square(1, 40)
    add_insee(tmp_path, commune(*BEAUCE, 1))
    found = verdict(*BEAUCE, add_cells(tmp_path, *BEAUCE, square(5, 3_000) | hole))
    assert found.why == "city: 130 people within 1 km, INSEE level 1"
    assert found.doubts


def test_grids_that_agree_leave_no_doubt(tmp_path: Path):
    add_insee(tmp_path, commune(*BEAUCE, 1))
    assert not verdict(*BEAUCE, add_cells(tmp_path, *BEAUCE, square(4, 4_000))).doubts


def test_a_dense_town_by_a_little_is_doubted(tmp_path: Path):
    data = add_cells(tmp_path, *BEAUCE, square(2, 1_600))
    found = verdict(*BEAUCE, data)
    assert found.why == "city: 5,000 people within 1 km, Eurostat 2021: dense town"
    assert "by a little" in found.doubts[0]
    denser = add_cells(tmp_path, *BEAUCE, square(2, 1_990))
    assert not verdict(*BEAUCE, denser).doubts


@pytest.mark.parametrize(
    ("lat", "lon", "is_near"),
    [
        pytest.param(51.424, -1.036, True, id="services at the edge of Reading"),
        pytest.param(36.529, -6.295, False, id="Cadiz"),
        pytest.param(*GORDES, False, id="Gordes"),
    ],
)
def test_a_line_close_by_is_doubted(lat: float, lon: float, is_near: bool):
    assert bool(verdict(lat, lon).doubts) == is_near


@pytest.mark.parametrize(("lat", "lon", "_truth"), OFFICES.values(), ids=OFFICES)
def test_offices_are_not_in_doubt(lat: float, lon: float, _truth: str):
    assert not verdict(lat, lon).doubts


def test_a_word_that_everything_contradicts_is_doubted(tmp_path: Path):
    assert verdict(*RIVOLI, written="countryside").doubts == (
        "setting is countryside, but about 40,800 people within 1 km: expected city",
    )
    data = add_insee(tmp_path, commune(*BEAUCE, 7))
    assert verdict(*BEAUCE, data, written="city").doubts == (
        "setting is city, but INSEE level 7, no place of 500 people within 1 km: "
        "expected countryside",
    )


def test_a_word_that_one_source_shares_is_not_doubted(tmp_path: Path):
    data = add_insee(tmp_path, commune(*RIVOLI, 4))
    assert not verdict(*RIVOLI, data, written="countryside").doubts


@pytest.mark.parametrize("word", ["city", "suburb", "countryside"])
def test_a_word_somewhat_against_the_sources_is_not_doubted(word: str):
    assert not verdict(53.4670, -2.3480, written=word).doubts  # Trafford Centre
    assert not verdict(*GORDES, written=word).doubts


def test_a_suburb_is_never_doubted():
    assert not verdict(*RIVOLI, written="suburb").doubts
    assert not verdict(*BEAUCE, written="suburb").doubts
