"""What deserves a second look: sources that disagree, a line that is near, a word against all.

A doubt changes nothing. It is a warning of `geoengine check` that names what the store can write to
settle it. On 5,952 French fuel stations the packaged places alone are in doubt of 6 % (of which 4
in 10 are decided otherwise by INSEE); INSEE's outlines with the packaged places beside them of 4 %,
among them 11 of the 47 motorway stations that lie in dense communes.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import pi

from geoengine.catalog.density.degree import DENSE_PER_KM2, URBAN_PER_KM2
from geoengine.catalog.density.grid import AROUND_M, DENSE_TOWN, SUBURBAN
from geoengine.catalog.setting.fallback import CITY_PEOPLE, TOWN_PEOPLE
from geoengine.catalog.setting.word import Word, counting, living, rounded
from geoengine.core.model import Decided

AROUND_KM2 = pi * (AROUND_M / 1_000) ** 2

# The degree of urbanisation's own lines, as people within 1 km. A city with fewer than the first is
# a retail park or a motorway in a large commune; a countryside with more than the second, a city
# that a border cuts off. Nearer to each other, and every suburb is a doubt.
SPARSE_PEOPLE = URBAN_PER_KM2 * AROUND_KM2
DENSE_PEOPLE = DENSE_PER_KM2 * AROUND_KM2

# How many times over or under a line is near it. 1.1 doubts 3 % of the stations and finds 12 % of
# the wrong answers, 1.2 doubts 6 % and finds 22 %, 1.5 doubts 14 % and finds 46 %.
NEAR = 1.2

# How many times over the line everything must be before the store's own word is doubted: whoever
# wrote it may know of the retail park. Five times under it are 300 to the square kilometre.
FAR = 5.0


def between(words: Sequence[Word]) -> tuple[str, ...]:
    """What is doubtful about the first word: the first doubt there is, or none."""
    first = words[0]
    found = _disagreement(first, words) or _crowd(first, words) or _nearness(first)
    return (f"{found}: where it is wrong, write `setting:`",) if found else ()


def against(own: Decided, words: Sequence[Word]) -> tuple[str, ...]:
    """A doubt where the store's own word is far from what every source says."""
    count = counting(words)
    is_far = (
        count.people < DENSE_PEOPLE / FAR
        if own == "city"
        else own == "countryside" and count.people >= DENSE_PEOPLE * FAR
    )
    if not is_far or any(word.setting == own for word in words):
        return ()
    others = f"{words[0].source}, " if words[0].is_official else ""
    return (f"setting is {own}, but {others}{living(count)}: expected {words[0].setting}",)


def _disagreement(first: Word, words: Sequence[Word]) -> str:
    """Another grid that says otherwise. What we estimate is too rough to contradict by itself."""
    if not first.is_official:
        return ""
    other = next((w for w in words if w.is_official and w.setting != first.setting), None)
    return f"{_says(first)}, but {_says(other)}" if other else ""


def _crowd(first: Word, words: Sequence[Word]) -> str:
    """People that a grid's answer does not expect."""
    if not first.is_official:
        return ""
    count = counting(words)
    if first.setting == "city" and count.people < SPARSE_PEOPLE:
        return f"{_says(first)}, but {living(count)}"
    if first.setting == "countryside" and count.people >= DENSE_PEOPLE:
        return f"{_says(first)}, but {living(count)}"
    return ""


def _nearness(first: Word) -> str:
    """A line close by."""
    if not first.is_official:
        if not 1 / NEAR <= first.margin < NEAR:
            return ""
        town = f" and {rounded(first.town_people)} within 3 km"
        line = f"{CITY_PEOPLE:,.0f} and {TOWN_PEOPLE:,.0f}"
        return f"{first.setting} by a little, {living(first)}{town}; a city has {line}"
    is_between = DENSE_TOWN <= first.degree <= SUBURBAN
    if is_between and DENSE_PEOPLE / NEAR <= first.people < DENSE_PEOPLE * NEAR:
        return f"{_says(first)} by a little, {living(first)}; dense is {DENSE_PEOPLE:,.0f}"
    return ""


def _says(word: Word) -> str:
    return f"{word.source} says {word.setting}"
