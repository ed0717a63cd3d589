"""What one source says of one position, and how a decision reads."""

from __future__ import annotations

from collections.abc import Sequence
from math import isnan, nan
from typing import NamedTuple

from geoengine.catalog.setting.fallback import CITY_PEOPLE
from geoengine.core.model import Decided


class Word(NamedTuple):
    """One source on one position: a density grid, or the packaged places, which estimate."""

    setting: Decided
    people: float = nan  # within 1 km; NaN: it counts nobody
    source: str = ""  # of a density grid: "INSEE level 1"
    degree: int = 0  # of urbanisation, of a density grid: 1 to 7
    town_people: float = nan  # within 3 km, of the packaged places
    margin: float = nan  # how many times over their line, of the packaged places

    @property
    def is_official(self) -> bool:
        """Whether it is a density grid's, and not our estimate."""
        return self.degree > 0


def why(words: Sequence[Word]) -> str:
    """The decision of the first, with the people that the first who counts them has.

    >>> why([Word("city", source="INSEE level 1", degree=1), Word("city", 31_412.0)])
    'city: about 31,400 people within 1 km, INSEE level 1'
    >>> why([Word("city", 31_412.0, "GHSL 2020: urban centre", 1)])
    'city: 31,400 people within 1 km, GHSL 2020: urban centre'
    >>> why([Word("countryside", 3_810.0, town_people=11_743.0)])
    'countryside: about 3,800 people within 1 km, 11,700 within 3 km'
    """
    first = words[0]
    told = f"{first.setting}: {living(counting(words))}"
    if first.is_official:
        return f"{told}, {first.source}"
    if first.setting == "countryside" and first.people >= CITY_PEOPLE:
        return f"{told}, {rounded(first.town_people)} within 3 km"
    return told


def counting(words: Sequence[Word]) -> Word:
    """The first who counts people; the packaged places, who are last, always do."""
    for word in words:
        if not isnan(word.people):
            return word
    raise AssertionError("the packaged places have no word")


def living(word: Word) -> str:
    """How many people live around, to read."""
    if not word.is_official and word.people < 5:
        return "no place of 500 people within 1 km"
    return f"{'' if word.is_official else 'about '}{rounded(word.people)} people within 1 km"


def rounded(people: float) -> str:
    """A count of people, no finer than it is known."""
    return f"{round(people, -2 if people >= 1_000 else -1):,.0f}"
