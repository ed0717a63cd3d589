"""What campaigns did: each, and by its parts, with the lift against who was held out."""

from __future__ import annotations

import numpy as np

from geoengine.core.book import Book
from geoengine.core.calendar import duration_ms, rfc3339
from geoengine.service.reports.asking import Span
from geoengine.service.reports.division import WHOLE, Division, moments_of, question
from geoengine.service.reports.gather import Told
from geoengine.service.reports.joining import OPT_OUT_MS, Joined
from geoengine.service.reports.lifts import lifts
from geoengine.service.wire.reports import (
    CampaignReport,
    CampaignsQuery,
    CampaignsReport,
    LiftOut,
)


def around(span: Span, query: CampaignsQuery, book: Book) -> Span:
    """The time of which rows are needed: what was said before, and what was done after."""
    reach_ms = max(_window_ms(query, book), OPT_OUT_MS)
    return Span(max(span.since_ms - reach_ms, 0), span.until_ms + reach_ms)


def _window_ms(query: CampaignsQuery, book: Book) -> int:
    return duration_ms(query.window or book.engine.spec.measure.window)


def report(told: Told, query: CampaignsQuery, span: Span, book: Book) -> CampaignsReport:
    """The report of a period, from what was gathered of it and of the time around it."""
    people_min = book.engine.spec.measure.people_min
    joined = Joined(told, span, _window_ms(query, book), query)
    wholes = Division(joined, WHOLE, book)
    cells = Division(joined, query.by, book).cells(people_min) if query.by else {}
    campaigns = [
        CampaignReport(campaign_id, whole[0].figures, cells.get(campaign_id, []))
        for campaign_id, whole in wholes.cells(people_min).items()
    ]
    return CampaignsReport(
        from_=rfc3339(span.since_ms),
        to=rfc3339(span.until_ms),
        by=query.by,
        credit=query.credit,
        window=query.window or book.engine.spec.measure.window,
        people_min=people_min,
        campaigns=sorted(campaigns, key=lambda one: one.campaign_id),
        lift=_lift_of_all(joined, people_min),
    )


def _lift_of_all(joined: Joined, people_min: int) -> LiftOut | None:
    """All campaigns together, against who hears of none; None where nobody is held out so."""
    moments, decided = moments_of(joined), joined.decided
    cell = np.zeros(len(moments), np.int64)
    asked = question(joined, moments, cell, decided.is_held & decided.is_held_globally)
    return lifts(asked, people_min).get(0)
