"""Reports: what campaigns did, and who came to the stores."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import TypeVar

from geoengine.service.context import Call, Context
from geoengine.service.http.problems import Problem
from geoengine.service.reports.desk import Busy
from geoengine.service.reports.gather import TooMuch
from geoengine.service.routes.table import Route
from geoengine.service.wire.reports import CampaignsQuery, CampaignsReport, Period, StoresReport

T = TypeVar("T")


async def get_campaigns_report(context: Context, call: Call) -> CampaignsReport:
    """What campaigns did in a period, and whether people would have come anyway."""
    query = call.ask(CampaignsQuery)
    made = context.reports.campaigns(context.state, context.book, query, context.clock())
    return await _made(made)


async def get_stores_report(context: Context, call: Call) -> StoresReport:
    """Who came to the stores in a period, for how long, and by which ways."""
    query = call.ask(Period)
    return await _made(context.reports.stores(context.state, context.book, query, context.clock()))


async def _made(report: Awaitable[T]) -> T:
    try:
        return await report
    except (ValueError, OverflowError, TooMuch) as error:
        raise Problem("bad_parameter", str(error)) from None
    except Busy as error:
        raise Problem("again", str(error)) from None


_BUSY = frozenset({503})
ROUTES_REPORTS: tuple[Route, ...] = (
    Route(
        "GET", "/v1/reports/campaigns", get_campaigns_report,
        gives=CampaignsReport, query=CampaignsQuery, problems=_BUSY,
    ),
    Route(
        "GET", "/v1/reports/stores", get_stores_report,
        gives=StoresReport, query=Period, problems=_BUSY,
    ),
)  # fmt: skip
