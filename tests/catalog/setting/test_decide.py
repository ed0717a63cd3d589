"""Who decides: the store's own word, the grids that were added, the packaged places."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.catalog.setting.grids import add_cells, add_insee, commune, square, verdict

GORDES = 43.9112, 5.2003
BEAUCE = 48.2500, 1.7000  # fields; the next village is 4 km away
RIVOLI = 48.8583, 2.3470


def test_the_packaged_places_decide_where_nothing_was_added():
    assert verdict(*RIVOLI) == ("city", "city: about 40,800 people within 1 km", ())


def test_a_small_town_is_countryside_however_close_its_houses_stand():
    found = verdict(49.3780, 10.1790)  # Rothenburg ob der Tauber, 11,000 people
    assert found.setting == "countryside"
    assert found.why == "countryside: about 4,600 people within 1 km, 11,700 within 3 km"


@pytest.mark.parametrize("word", ["city", "suburb", "countryside"])
def test_the_store_s_own_word_goes_before_everything(word: str, tmp_path: Path):
    data = add_insee(tmp_path, commune(*GORDES, 1))
    found = verdict(*GORDES, data, written=word)
    assert found[:2] == (word, f"{word}, as written")


@pytest.mark.parametrize(
    ("level", "setting"),
    [
        (1, "city"),
        (2, "city"),
        (3, "countryside"),
        (4, "countryside"),
        (5, "countryside"),
        (6, "countryside"),
        (7, "countryside"),
    ],
)
def test_urban_centres_and_dense_towns_are_city(level: int, setting: str, tmp_path: Path):
    found = verdict(*GORDES, add_insee(tmp_path, commune(*GORDES, level)))
    assert found.setting == setting
    assert found.why == f"{setting}: about 2,200 people within 1 km, INSEE level {level}"


def test_a_grid_that_counts_people_tells_its_own_count(tmp_path: Path):
    found = verdict(*BEAUCE, add_cells(tmp_path, *BEAUCE, square(4, 4_000)))
    assert found == (
        "city",
        "city: 12,600 people within 1 km, Eurostat 2021: urban centre",
        (),
    )


def test_a_hamlet_in_a_grid_is_countryside(tmp_path: Path):
    found = verdict(*BEAUCE, add_cells(tmp_path, *BEAUCE, square(4, 30)))
    assert found.setting == "countryside"
    assert found.why.endswith("Eurostat 2021: mostly uninhabited")


def test_insee_decides_before_eurostat_and_takes_its_count(tmp_path: Path):
    add_insee(tmp_path, commune(*BEAUCE, 2))
    found = verdict(*BEAUCE, add_cells(tmp_path, *BEAUCE, square(4, 4_000)))
    assert found.why == "city: 12,600 people within 1 km, INSEE level 2"


def test_a_store_across_the_border_is_the_next_source_s(tmp_path: Path):
    data = add_insee(tmp_path, commune(*GORDES, 1))
    assert verdict(*RIVOLI, data) == verdict(*RIVOLI)


def test_a_store_a_little_outside_its_commune_still_belongs_to_it(tmp_path: Path):
    lat, lon = GORDES
    data = add_insee(tmp_path, commune(lat, lon, 1, half_deg=0.01))
    assert verdict(lat + 0.0115, lon, data).setting == "city"  # 170 m beyond the edge
    assert verdict(lat + 0.0200, lon, data).setting == "countryside"  # 1.1 km


def test_a_town_at_the_sea_is_dense_however_much_of_the_disc_is_water(tmp_path: Path):
    half = {cell: people for cell, people in square(4, 4_000).items() if cell[0] >= 0}
    found = verdict(*BEAUCE, add_cells(tmp_path, *BEAUCE, half))
    assert found.setting == "city"
