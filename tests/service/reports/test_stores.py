"""Who came to the stores: by day, for how long, again, and by which ways."""

from __future__ import annotations

from typing import Any

from geoengine.core.model.measure import MeasureSpec
from geoengine.core.units import DAY_MS
from geoengine.service.reports.desk import Desk
from geoengine.service.wire.reports import Period, StoreFigures, StoresReport
from tests.core.world import World, bare
from tests.service.reports.past import MONDAY_MS, OnPaper, at, crowd

NOW_MS = MONDAY_MS + 7 * DAY_MS


async def reported(past: OnPaper, people_min: int = 1, **query: Any) -> StoresReport:
    book = bare(World().book(), measure=MeasureSpec(people_min=people_min))
    asked = Period(**({"from_": "2026-11-02", "to": "2026-11-08"} | query))
    return await Desk().stores(past, book, asked, NOW_MS)


async def figures(past: OnPaper, **more: Any) -> StoreFigures:
    (store,) = (await reported(past, **more)).stores
    assert store.figures is not None
    return store.figures


async def test_visits_a_day_by_the_clock_of_the_store_and_how_long():
    past = OnPaper()
    for hour, lasted_s in ((0, 100.0), (9, 200.0), (23, 300.0)):
        past.visit("ann", at(0, hour, 30), duration_s=lasted_s)
    past.visit("ben", at(1), duration_s=1000.0, by="outline")
    found = await figures(past)
    assert [(day.day, day.visits) for day in found.days] == [("2026-11-02", 3), ("2026-11-03", 1)]
    assert (found.visits, found.people, found.by) == (4, 2, {"beacon": 3, "outline": 1})
    assert (found.dwell.mean, found.dwell.median, found.dwell.p90) == (400.0, 250.0, 790.0)


async def test_who_came_on_two_days_has_returned():
    past = OnPaper()
    for person, days in (("ann", (0, 1)), ("ben", (0, 0)), ("eve", (3,)), ("joe", (2, 5))):
        for ix, day in enumerate(days):
            past.visit(person, at(day, 10 + ix))
    assert (await figures(past)).return_rate == 0.5


async def test_paths_and_hot_places_follow_the_way_through_the_shop():
    past = OnPaper()
    past.visit("ann", at(0), path=[["door", 10.0], ["shoes", 300.0], ["till", 50.0]])
    past.visit("ben", at(0), path=[["door", 20.0], ["shoes", 100.0], ["shoes", 60.0]])
    found = await figures(past)
    assert [(place.place, place.visits, place.dwell_s) for place in found.places] == [
        ("shoes", 2, 460.0),
        ("till", 1, 50.0),
        ("door", 2, 30.0),
    ]
    assert [place.heat for place in found.places] == [2.556, 0.278, 0.167]
    assert {(path.from_, path.to): path.count for path in found.paths} == {
        ("", "door"): 2, ("door", "shoes"): 2, ("shoes", "till"): 1, ("shoes", ""): 1,
        ("till", ""): 1,
    }  # fmt: skip


async def test_little_visited_stores_days_and_places_are_hidden():
    past = OnPaper()
    for person in crowd(30):
        past.visit(person, at(0), path=[["door", 10.0]])
        past.visit(person, at(1), path=[["door", 10.0]])
    for person in crowd(5):
        past.visit(person, at(2), path=[["attic", 10.0]])
        past.visit(person, at(2), store="hut")
    told = await reported(past, people_min=20)
    hut, shop = told.stores
    assert (hut.store_id, hut.figures) == ("hut", None)
    assert shop.figures is not None
    assert [day.visits for day in shop.figures.days] == [None, 30, None]
    assert [(place.place, place.visits) for place in shop.figures.places] == [
        ("attic", None),
        ("door", None),
    ]


async def test_only_the_period_and_what_is_sure_enough_counts():
    past = OnPaper()
    past.visit("ann", at(-1))
    past.visit("ann", at(7))
    past.visit("ann", at(0), confidence=0.4)
    past.visit("ann", at(0, 13))
    assert (await figures(past)).visits == 1
    assert (await figures(past, confidence=0.3)).visits == 2
