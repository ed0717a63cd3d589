"""The same report, whatever keeps the past."""

from __future__ import annotations

from geoengine.core.model.measure import MeasureSpec
from geoengine.core.record import Fact
from geoengine.core.units import DAY_MS
from geoengine.service.reports.desk import Desk
from geoengine.service.wire.reports import CampaignsQuery, Period
from geoengine.state.base import Commit
from tests.core.world import World, bare
from tests.service.reports.past import MONDAY_MS, OnPaper, at, crowd
from tests.state import backends


def week() -> OnPaper:
    """People who are spoken to and come, people who are held out, at two shops."""
    past = OnPaper()
    for ix, person in enumerate(crowd(40)):
        trigger = past.fire(person, at(ix % 5), store=f"shop-{ix % 2}")
        past.happen("sent", trigger, at(ix % 5), cost=0.05, currency="EUR")
        past.visit(person, at(ix % 5 + 1), store=f"shop-{ix % 2}", path=[["door", 10.0]])
    for ix, person in enumerate(crowd(40, "held")):
        past.stop(person, at(ix % 5), "holdout", store=f"shop-{ix % 2}")
    return past


async def test_every_state_gives_the_report_that_paper_gives(world: backends.World):
    state, past = world.state, week()
    for ix, row in enumerate(past.items):
        is_fact = isinstance(row, Fact)
        decisions = () if is_fact else (row,)
        facts = (row,) if is_fact else ()
        await state.commit(Commit(f"row{ix}", decisions=decisions, facts=facts, now_ms=row.at_ms))
    book = bare(World().book(), measure=MeasureSpec(people_min=2))
    asked = {"from_": "2026-11-02", "to": "2026-11-08"}
    now_ms = MONDAY_MS + 9 * DAY_MS
    for by in ("", "store", "hour"):
        query = CampaignsQuery(**asked, by=by)
        kept = await Desk().campaigns(state, book, query, now_ms)
        assert kept == await Desk().campaigns(past, book, query, now_ms)
        assert kept.campaigns[0].figures is not None
    kept = await Desk().stores(state, book, Period(**asked), now_ms)
    assert kept == await Desk().stores(past, book, Period(**asked), now_ms)
