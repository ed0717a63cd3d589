"""The setting of every store: who is asked, and who decides.

Asked are, in order: the store itself; the density grids that were added, best first; the packaged
places of the world. The first that knows decides, the others may raise a doubt.

A city is what the degree of urbanisation calls an urban centre or a dense town (INSEE's levels 1
and 2): cells of 1,500 people and more to the square kilometre, 5,000 and more of them together.
There, most who may come live or work within a walk. A semi-dense town (level 3) is countryside: its
people live at 300 to 1,500 to the square kilometre, so that within five minutes on foot there are
some hundreds; most come by car, as those of suburbs, villages and farms do (levels 4 to 7).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from geoengine.catalog.density.grid import DEGREE_NAMES, DENSE_TOWN, NOT_COVERED, Grid
from geoengine.catalog.setting.doubts import against, between
from geoengine.catalog.setting.fallback import estimate
from geoengine.catalog.setting.word import Word, why
from geoengine.core.columns import Floats
from geoengine.core.model import Decided, Setting


class Verdict(NamedTuple):
    """What a place is, and why; and what deserves a second look."""

    setting: Decided
    why: str
    doubts: tuple[str, ...] = ()


def decide(
    lon_deg: Floats, lat_deg: Floats, written: Sequence[Setting], grids: Sequence[Grid]
) -> list[Verdict]:
    """The setting of each position.

    Parameters
    ----------
    lon_deg, lat_deg : float64, shape (P,)
        WGS 84.
    written : P of them
        What each store says of itself.
    grids
        The density grids that were added, best first.

    Returns
    -------
    verdicts : P of them
    """
    columns = [_asked(grid, lon_deg, lat_deg) for grid in grids]
    said = zip(*columns, _estimated(lon_deg, lat_deg), strict=True)
    return [
        _verdict(own, [word for word in words if word is not None])
        for own, words in zip(written, said, strict=True)
    ]


def _verdict(own: Setting, words: Sequence[Word]) -> Verdict:
    if own != "auto":
        return Verdict(own, f"{own}, as written", against(own, words))
    return Verdict(words[0].setting, why(words), between(words))


def _asked(grid: Grid, lon_deg: Floats, lat_deg: Floats) -> Iterator[Word | None]:
    """What a grid says of each position; none where it does not reach."""
    found = grid.look_up(lon_deg, lat_deg)
    for degree, people in zip(found.degree.tolist(), found.people.tolist(), strict=True):
        if degree == NOT_COVERED:
            yield None
        else:
            setting: Decided = "city" if degree <= DENSE_TOWN else "countryside"
            yield Word(setting, people, _named(grid, degree), degree)


def _named(grid: Grid, degree: int) -> str:
    """A grid's class as its publisher calls it.

    INSEE numbers its seven levels; the others give them names.
    """
    if grid.kind == "insee":
        return f"{grid.label} level {degree}"
    return f"{grid.label}: {DEGREE_NAMES[degree]}"


def _estimated(lon_deg: Floats, lat_deg: Floats) -> Iterator[Word]:
    """What the packaged places say of each position."""
    found = estimate(lon_deg, lat_deg)
    columns = (found.people, found.town_people, found.margin)
    for people, town_people, margin in zip(*(c.tolist() for c in columns), strict=True):
        setting: Decided = "city" if margin >= 1 else "countryside"
        yield Word(setting, people, town_people=town_people, margin=margin)
