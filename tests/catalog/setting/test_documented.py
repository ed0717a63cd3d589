"""The page on settings says what the code does."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import pytest

from geoengine.catalog.density.degree import DENSE_PER_KM2, URBAN_PER_KM2
from geoengine.catalog.density.grid import DEGREE_NAMES
from geoengine.catalog.setting.doubts import NEAR
from geoengine.catalog.setting.fallback import CITY_PEOPLE, TOWN_PEOPLE
from geoengine.core.model import Setting
from tests.catalog.setting.grids import add_cells, add_insee, commune, square, verdict
from tests.catalog.setting.test_decide import BEAUCE
from tests.catalog.setting.truth import HOLES, OUTSIDE, WRONG

PAGE = (Path(__file__).parents[3] / "docs" / "settings.md").read_text(encoding="utf-8")


def words_of(setting: object) -> list[str]:
    """All words that a store may write."""
    found = []
    for word in get_args(setting):
        found += [word] if isinstance(word, str) else words_of(word)
    return found


@pytest.mark.parametrize("word", words_of(Setting))
def test_every_word_is_documented(word: str):
    assert f"| `{word}` |" in PAGE


@pytest.mark.parametrize("name", DEGREE_NAMES[1:])
def test_every_class_is_documented(name: str):
    assert name.removesuffix(" rural") in PAGE


@pytest.mark.parametrize("line", [DENSE_PER_KM2, URBAN_PER_KM2, CITY_PEOPLE, TOWN_PEOPLE])
def test_every_line_is_documented(line: float):
    assert f"{line:,.0f}" in PAGE


def test_what_is_near_is_documented():
    assert f"(within a factor of {NEAR:g})" in PAGE


def test_the_examples_of_traps_are_those_of_the_tests():
    for name in ("Haneda", "JFK"):
        assert name in PAGE and any(name in hole for hole in HOLES)
    for name in ("Bluewater", "Charles-de-Gaulle", "Narita"):
        assert name in PAGE and any(name in place for place in OUTSIDE)
    assert {"Trafford Centre"} == WRONG  # "a mall within Manchester"


def test_a_disagreement_reads_as_on_the_page(tmp_path: Path):
    add_insee(tmp_path, commune(*BEAUCE, 5))
    (doubt,) = verdict(*BEAUCE, add_cells(tmp_path, *BEAUCE, square(4, 4_000))).doubts
    assert f"`{doubt.partition(': where')[0]}`" in PAGE
