"""Pings and sightings: decode, queue, wait until durable, answer."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from geoengine.core.columns import Fixes, Sightings
from geoengine.core.events import cloud_event
from geoengine.core.record import Event
from geoengine.ingest.pings import decode_pings
from geoengine.ingest.sightings import Heard, decode_sightings
from geoengine.ingest.wire import Malformed, Reject
from geoengine.service.auth import Caller
from geoengine.service.context import Call, Context
from geoengine.service.http.problems import Problem
from geoengine.service.http.wire import Rejected, Taken
from geoengine.service.metrics import Metrics

FORBIDDEN = "gateway_forbidden"  # this key may not speak for that gateway, or for a phone
_GATEWAYS_OWN = "A gateway's key sends what gateways of its own store heard, and nothing else."
_APPS_OWN = "What a gateway heard takes a gateway's key."


async def post_pings(context: Context, call: Call) -> Taken:
    """Take location reports in."""
    pings = decode_pings(call.body, recv_ms=context.clock())
    if isinstance(pings, Malformed):
        raise Problem("malformed", pings.reason)
    events: list[Event] = []
    if len(pings.fixes):
        events = await context.submit(pings.fixes, Sightings.empty(), len(call.body))
    return _taken(context.metrics, len(pings.fixes), pings.rejects, events)


async def post_sightings(context: Context, call: Call) -> Taken:
    """Take beacon sightings in, of phones and of gateways."""
    heard = decode_sightings(call.body, recv_ms=context.clock())
    if isinstance(heard, Malformed):
        raise Problem("malformed", heard.reason)
    sightings, rejects = allowed(heard, call.caller, _stores(context))
    events: list[Event] = []
    if len(sightings):
        events = await context.submit(Fixes.empty(), sightings, len(call.body))
    return _taken(context.metrics, len(sightings), rejects, events)


def allowed(
    heard: Heard, caller: Caller, store_of: Callable[[str], str | None]
) -> tuple[Sightings, list[Reject]]:
    """The sightings this caller may report, and the rejects with those it may not.

    Raises a 403 `Problem` when it may report none of them.
    """
    rows = heard.sightings
    may = np.fromiter(
        (_may_report(caller, gateway_id, store_of) for gateway_id in rows.gateway_ids),
        bool,
        len(rows),
    )
    if may.all():
        return rows, heard.rejects
    if not may.any():
        raise Problem("forbidden", _APPS_OWN if caller.kind == "app" else _GATEWAYS_OWN)
    barred = [Reject(int(row_ix), FORBIDDEN) for row_ix in heard.row_ix[~may]]
    rejects = sorted(heard.rejects + barred, key=lambda reject: reject.index)
    return rows.take(np.flatnonzero(may)), rejects


def _may_report(
    caller: Caller, gateway_id: str | None, store_of: Callable[[str], str | None]
) -> bool:
    """An app speaks for phones, a gateway's key for gateways of its store, a server for all."""
    if caller.kind == "server":
        return True
    if caller.kind == "app":
        return gateway_id is None
    if gateway_id is None:
        return False
    return caller.store_id is None or store_of(gateway_id) == caller.store_id


def _stores(context: Context) -> Callable[[str], str | None]:
    gateways = context.book.gateways

    def store_of(gateway_id: str) -> str | None:
        gateway = gateways.get(gateway_id)
        return None if gateway is None else gateway.store

    return store_of


def _taken(metrics: Metrics, accepted: int, rejects: list[Reject], events: list[Event]) -> Taken:
    metrics.pings.inc(accepted)
    for reject in rejects:
        metrics.rejects.add((reject.reason,))
    return Taken(
        accepted,
        [Rejected(reject.index, reject.reason) for reject in rejects],
        [cloud_event(event) for event in events],
    )
