"""What a phone should watch by itself."""

from __future__ import annotations

import asyncio
from threading import Lock
from typing import Final
from weakref import WeakSet

import numpy as np

from geoengine.core.book import Book
from geoengine.core.columns import Fixes, Spot
from geoengine.core.index import ZoneIndex
from geoengine.core.places.regions import Advice, advise, is_doubtful, prepare
from geoengine.core.units import ACCURACY_MISSING_M, SECOND_MS
from geoengine.ingest.names import is_name
from geoengine.service.context import Call, Context
from geoengine.service.http.problems import Problem
from geoengine.service.http.wire import Refresh, RegionOut, RegionsOut, RegionsQuery
from geoengine.service.routes.table import SERVER

_MAKING: Final = Lock()  # two who ask at once make one R-tree
_prepared: WeakSet[ZoneIndex] = WeakSet()


async def get_regions(context: Context, call: Call) -> RegionsOut:
    """The nearest zones, to watch with the phone's own geofencing, and where to ask again."""
    query = call.ask(RegionsQuery)
    accuracy_m = ACCURACY_MISSING_M if query.accuracy_m is None else query.accuracy_m
    here = Spot(query.lon, query.lat, accuracy_m, context.clock())
    last = await _last(context, call, query)
    is_doubted = last is not None and is_doubtful(here, last)
    book = context.book
    await ready(book)
    told = advise(
        book,
        query.lat,
        query.lon,
        accuracy_m=accuracy_m,
        limit=query.limit,
        instead=(last.lat_deg, last.lon_deg) if last is not None and is_doubted else None,
    )
    return _out(told)


async def ready(book: Book) -> None:
    """Let `advise` answer at once: what it needs is made away from the loop, once a Book."""
    if book.index not in _prepared:
        await asyncio.to_thread(_prepare, book)
        _prepared.add(book.index)


def _prepare(book: Book) -> None:
    with _MAKING:
        prepare(book)


async def _last(context: Context, call: Call, query: RegionsQuery) -> Spot | None:
    """Where the phone was before: as it says itself, or as the service knows."""
    lat, lon, age_s = query.last_lat, query.last_lon, query.last_age_s
    if lat is not None and lon is not None and age_s is not None:
        at_ms = context.clock() - round(age_s * SECOND_MS)
        return Spot(lon, lat, ACCURACY_MISSING_M, at_ms)
    if not lat is lon is age_s is None:
        raise Problem("bad_parameter", "last_lat, last_lon and last_age_s go together.")
    if query.device_id is None:
        return None
    if call.caller.kind != SERVER:
        # An app's key is on every phone: whoever has it must not learn where another phone is.
        raise Problem("forbidden", "Only a server key may name a device; send last_lat, last_lon.")
    if not is_name(query.device_id):
        raise Problem("bad_parameter", "device_id: 1 to 128 characters, no control characters.")
    return await _known(context, query.device_id)


async def _known(context: Context, device_id: str) -> Spot:
    nowhere = np.zeros(1)
    asked = Fixes.of([device_id], nowhere, nowhere, np.zeros(1, np.int64))
    known = await context.state.known(asked)
    columns = (known.lon_deg, known.lat_deg, known.accuracy_m, known.fix_ms)
    return Spot(*(column[0].item() for column in columns))


def _out(told: Advice) -> RegionsOut:
    regions = [
        RegionOut(
            id=region.zone_id,
            name=region.name,
            lat=region.lat,
            lon=region.lon,
            radius_m=region.radius_m,
            distance_m=region.distance_m,
        )
        for region in told.regions
    ]
    return RegionsOut(regions, Refresh(told.lat, told.lon, told.refresh_radius_m))
