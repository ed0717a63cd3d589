"""The reaches that a road network answered, in the place of circles."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import shapely

from geoengine.catalog.building.stores import Shops
from geoengine.catalog.reach import kept
from geoengine.catalog.reach.circle import ON_THE_WAY, Extent
from geoengine.catalog.reach.kept import Answer
from geoengine.catalog.reach.question import Question, question_of
from geoengine.catalog.reading.gather import Gathered
from geoengine.core.errors import DataError, Fault

NOT_ASKED: Final = "circle: no roads were asked"


def take_roads(found: Gathered, shops: Shops) -> None:
    """Give every store the area that is kept for its reach; the others stay circles and say why."""
    path = kept.path_in(Path(found.engine.data))
    if found.engine.roads is None and not path.exists():
        found.report.sources.lack(path)
        return
    questions = {
        row: question
        for row, store in enumerate(shops.stores)
        if (question := question_of(store)) is not None
    }
    answers = _answers(found, questions)
    rows = [row for row, question in questions.items() if question in answers]
    _draw(shops, {row: answers[questions[row]] for row in rows})
    for row in rows:
        _tell(found, shops, row, answers[questions[row]])
    if found.engine.roads is not None:
        _tell_unasked(found, shops, questions.keys() - set(rows))


def _answers(found: Gathered, questions: dict[int, Question]) -> dict[Question, Answer]:
    data = Path(found.engine.data)
    try:
        return kept.load(data, found.report.sources, frozenset(questions.values()))
    except DataError as error:
        found.report.errors.append(Fault(str(kept.path_in(data)), 1, 1, str(error)))
        return {}


def _draw(shops: Shops, answers: dict[int, Answer]) -> None:
    """The areas that there are, by row of the store."""
    drawn = {row: answer for row, answer in answers.items() if answer.wkb}
    areas = shapely.from_wkb([answer.wkb for answer in drawn.values()])
    for (row, answer), area in zip(drawn.items(), areas, strict=True):
        at = shops.stores[row].location
        shops.areas[row], shops.centres[row] = area, (at.lon, at.lat)
        circle = shops.extents[row]
        why = f"{_why(answer)}; {shops.because[row]}"
        shops.extents[row] = Extent(answer.radius_m, circle.mode, circle.minutes, why)


def _why(answer: Answer) -> str:
    asked = answer.question
    when = f", arriving {asked.at}," if asked.at else ""
    way = f"{asked.minutes:g} min {ON_THE_WAY[asked.mode]}{when} on the roads"
    return ", ".join((f"{way} ({answer.network}): {_size(answer.square_m)}", *answer.remarks))


def _size(square_m: float) -> str:
    """An area to read.

    >>> _size(281_000), _size(8_262_000), _size(1_234_500_000)
    ('0.28 km2', '8.3 km2', '1,234 km2')
    """
    square_km = square_m / 1e6
    digits = 2 if square_km < 1 else 1 if square_km < 100 else 0
    return f"{square_km:,.{digits}f} km2"


def _tell(found: Gathered, shops: Shops, row: int, answer: Answer) -> None:
    """What is doubtful about an area, or why there is none."""
    ix, store_id = shops.item_ix[row], shops.stores[row].id
    if not answer.wkb:
        _say_circle(shops, row, f"circle: no way on the roads, {answer.remarks[0]}")
    for remark in answer.remarks:
        what = remark if answer.wkb else f"no way on the roads, {remark}: its reach is a circle"
        found.stores.doubtful(ix, f"`{store_id}`: {what}", "reach")


def _tell_unasked(found: Gathered, shops: Shops, rows: set[int]) -> None:
    """One warning for all stores about which the roads were not asked."""
    for row in rows:
        _say_circle(shops, row, NOT_ASKED)
    if rows:
        stores = f"{len(rows):,} stores are" if len(rows) > 1 else "1 store is"
        what = f"{stores} reached by a circle: run `geoengine zones build`, which asks the roads"
        found.engine_doubt(what, "roads")


def _say_circle(shops: Shops, row: int, why: str) -> None:
    extent, because = shops.extents[row], shops.because[row]
    circle = extent.why.removesuffix(f"; {because}")
    shops.extents[row] = extent._replace(why=f"{circle} ({why}); {because}")
