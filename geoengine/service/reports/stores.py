"""Who came to the stores: how many a day, for how long, whether again, and by which ways."""

from __future__ import annotations

import numpy as np

from geoengine.core.attribution import pair
from geoengine.core.book import Book
from geoengine.core.calendar import rfc3339
from geoengine.core.columns import Longs
from geoengine.core.units import DAY_MS
from geoengine.service.reports.asking import Clocks, Span, day_name
from geoengine.service.reports.gather import STREET, Happened, Steps, Told
from geoengine.service.reports.hiding import hidden
from geoengine.service.reports.tally import Tally
from geoengine.service.wire.reports import (
    DayOut,
    Dwell,
    PathOut,
    Period,
    PlaceOut,
    StoreFigures,
    StoreReport,
    StoresReport,
)


def report(told: Told, query: Period, span: Span, book: Book) -> StoresReport:
    """The report of a period, from the facts of just that period."""
    visits = told.happened().of("visit")
    visits = visits.take(np.flatnonzero((visits.amount >= query.confidence) & (visits.store >= 0)))
    steps = told.steps()
    steps = steps.take(np.flatnonzero(np.isin(steps.visit, visits.id)))
    names, clocks = told.words.names, Clocks(book, told.words.names)
    people_min = book.engine.spec.measure.people_min
    stores = []
    for store in np.unique(visits.store).tolist():
        mine = visits.take(np.flatnonzero(visits.store == store))
        ways = steps.take(np.flatnonzero(steps.store == store))
        is_shown = len(np.unique(mine.person)) >= people_min
        figures = _figures(mine, ways, names, clocks, people_min) if is_shown else None
        stores.append(StoreReport(names[store], figures))
    return StoresReport(
        from_=rfc3339(span.since_ms),
        to=rfc3339(span.until_ms),
        people_min=people_min,
        stores=sorted(stores, key=lambda one: one.store_id),
    )


def _figures(
    visits: Happened, steps: Steps, names: list[str], clocks: Clocks, people_min: int
) -> StoreFigures:
    day = clocks.local_ms(visits.at_ms, visits.store) // DAY_MS
    person, first = np.unique(visits.person, return_inverse=True)
    _pairs, of_pair = np.unique(pair(visits.person, day), return_index=True)
    days_came = np.bincount(first[of_pair], minlength=len(person))
    sources, source_count = np.unique(visits.source, return_counts=True)
    return StoreFigures(
        visits=len(visits),
        people=len(person),
        by={
            names[source]: count
            for source, count in zip(sources.tolist(), source_count.tolist(), strict=True)
        },
        return_rate=round(float((days_came > 1).mean()), 4),
        dwell=_dwell(visits),
        days=_days(day, visits.person, people_min),
        places=_places(steps, names, people_min),
        paths=_paths(steps, names, people_min),
    )


def _dwell(visits: Happened) -> Dwell:
    median, p90 = np.quantile(visits.lasted_s, (0.5, 0.9)).tolist()
    return Dwell(round(float(visits.lasted_s.mean()), 1), round(median, 1), round(p90, 1))


def _days(day: Longs, person: Longs, people_min: int) -> list[DayOut]:
    """Visits by day, the days of few people hidden."""
    tally = Tally(day)
    is_hidden = hidden(tally.crowds(day, person), people_min).tolist()
    return [
        DayOut(day_name(one), None if is_kept else count)
        for one, count, is_kept in zip(
            tally.cells.tolist(), tally.count(day), is_hidden, strict=True
        )
    ]


def _places(steps: Steps, names: list[str], people_min: int) -> list[PlaceOut]:
    """The places, the hottest first: where the most time is spent, of all who came together."""
    steps = steps.take(np.flatnonzero(steps.place != _street(names)))
    if not len(steps.place):
        return []
    tally = Tally(steps.place)
    is_hidden = hidden(tally.crowds(steps.place, steps.person), people_min).tolist()
    lasted_s = tally.total(steps.place, steps.lasted_s)
    visits = tally.distinct(steps.place, steps.visit).tolist()
    average_s = sum(lasted_s) / len(lasted_s) or 1.0
    found = [
        PlaceOut(names[place], count, round(total_s, 1), round(total_s / average_s, 3))
        if not is_kept
        else PlaceOut(names[place], None)
        for place, count, total_s, is_kept in zip(
            tally.cells.tolist(), visits, lasted_s, is_hidden, strict=True
        )
    ]
    return sorted(found, key=lambda one: (-(one.heat or 0.0), one.place))


def _paths(steps: Steps, names: list[str], people_min: int) -> list[PathOut]:
    """From which place to which, the most frequent first."""
    steps = steps.take(np.flatnonzero(steps.place != steps.after))
    if not len(steps.place):
        return []
    way = steps.place * len(names) + steps.after
    tally = Tally(way)
    is_hidden = hidden(tally.crowds(way, steps.person), people_min).tolist()
    found = [
        PathOut(names[one // len(names)], names[one % len(names)], None if is_kept else count)
        for one, count, is_kept in zip(
            tally.cells.tolist(), tally.count(way), is_hidden, strict=True
        )
    ]
    return sorted(found, key=lambda one: (-(one.count or 0), one.from_, one.to))


def _street(names: list[str]) -> int:
    return names.index(STREET) if STREET in names else -1
