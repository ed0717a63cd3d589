"""The catalogue in force, to be drawn and read."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import msgspec

from geoengine.catalog import stores_geojson, zones_geojson
from geoengine.core.book import Book
from geoengine.service.context import Answer, Call, Context
from geoengine.service.http.wire import CampaignsOut

GEOJSON = "application/geo+json"


async def get_zones(context: Context, _call: Call) -> Answer:
    """Every zone, circles drawn as polygons."""
    return await _drawn(context, "zones", zones_geojson)


async def get_stores(context: Context, _call: Call) -> Answer:
    """Every store."""
    return await _drawn(context, "stores", stores_geojson)


async def get_campaigns(context: Context, _call: Call) -> CampaignsOut:
    """Every campaign."""
    return CampaignsOut([msgspec.to_builtins(plan.spec) for plan in context.book.campaigns])


async def _drawn(context: Context, name: str, draw: Callable[[Book], dict[str, Any]]) -> Answer:
    """A drawing of the Book, made once per version and away from the loop: it may be large."""
    book = context.book
    known = context.drawings.get(name)
    if known is None or known[0] != book.version:
        body = await asyncio.to_thread(lambda: msgspec.json.encode(draw(book)))
        known = context.drawings[name] = (book.version, body)
    return Answer(known[1], content_type=GEOJSON)
