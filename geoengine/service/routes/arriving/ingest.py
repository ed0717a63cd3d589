"""Pings and sightings: read, queue, wait until durable, answer.

A *take* is what the doors have in common: it reads a body and queues it without waiting, and says
where to the answer goes. aiohttp's handlers wait for it in a future, the lean door in its queue.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from functools import partial
from typing import TypeVar

import numpy as np
from msgspec import Struct

from geoengine.core.columns import Sightings
from geoengine.ingest.pings import Ping, read_ping_lines, read_pings
from geoengine.ingest.sightings import Heard, decode_sightings, heard_of, read_sighting_lines
from geoengine.ingest.wire import Malformed, Reject, Rows
from geoengine.service.auth import Caller
from geoengine.service.context import Answer, Call, Context, Read
from geoengine.service.http.problems import Problem
from geoengine.service.intake import OnAnswer, Post, settle

T = TypeVar("T", bound=Struct)
Take = Callable[[Context, Caller, bytes, OnAnswer], None]
Doors = Mapping[str, tuple[Take, frozenset[str]]]  # by path: what takes a body, and from whom

FORBIDDEN = "gateway_forbidden"  # this key may not speak for that gateway, or for a phone
_GATEWAYS_OWN = "A gateway's key sends what gateways of its own store heard, and nothing else."
_APPS_OWN = "What a gateway heard takes a gateway's key."


async def post_pings(context: Context, call: Call) -> Answer:
    """Take location reports in."""
    return Answer(await settled(take_pings, context, call.caller, call.body))


async def post_sightings(context: Context, call: Call) -> Answer:
    """Take beacon sightings in, of phones and of gateways."""
    return Answer(await settled(take_sightings, context, call.caller, call.body))


async def settled(take: Take, context: Context, caller: Caller, body: bytes) -> bytes:
    """What the sender of a body is told, once it is durable."""
    told: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
    take(context, caller, body, partial(settle, told))
    return await told


def take_pings(context: Context, caller: Caller, body: bytes, on_answer: OnAnswer) -> None:
    """Read location reports and queue them; ``on_answer`` is told once what follows is durable.

    Raises a `Problem` when they are refused at once.
    """
    context.queue(ping_post(context, caller, body, on_answer))


def take_sightings(context: Context, caller: Caller, body: bytes, on_answer: OnAnswer) -> None:
    """The same for sightings; what a caller may not report is refused too."""
    context.queue(sighting_post(context, caller, body, on_answer))


def ping_post(context: Context, _caller: Caller, body: bytes, on_answer: OnAnswer) -> Post:
    """Location reports, read and not yet queued."""
    context.intake.admit(len(body), body)
    rows = read_pings(body)
    if isinstance(rows, Malformed):
        raise Problem("malformed", rows.reason)
    return Post(on_answer, len(body), context.clock(), len(rows.items), rows)


def sighting_post(context: Context, caller: Caller, body: bytes, on_answer: OnAnswer) -> Post:
    """The same for sightings."""
    context.intake.admit(len(body), body)
    recv_ms = context.clock()
    heard = decode_sightings(body, recv_ms=recv_ms)
    if isinstance(heard, Malformed):
        raise Problem("malformed", heard.reason)
    sightings, rejects = allowed(heard, caller, _stores(context))
    rows: Rows[Ping] = Rows([], heard.count, None, rejects)
    return Post(on_answer, len(body), recv_ms, len(sightings), rows, sightings)


def ping_lines(
    context: Context, _caller: Caller, text: bytes, on_answer: OnAnswer, first: int
) -> Post:
    """Location reports, one a line, of which the first has this number; not yet queued."""
    context.intake.admit(len(text), text)
    rows = _counted_from(first, read_ping_lines(text))
    return Post(on_answer, len(text), context.clock(), len(rows.items), rows)


def sighting_lines(
    context: Context, caller: Caller, text: bytes, on_answer: OnAnswer, first: int
) -> Post:
    """The same for sightings."""
    context.intake.admit(len(text), text)
    recv_ms = context.clock()
    heard = heard_of(read_sighting_lines(text), recv_ms=recv_ms)
    sightings, rejects = allowed(heard, caller, _stores(context))
    rows: Rows[Ping] = _counted_from(first, Rows([], heard.count, [], rejects))
    return Post(on_answer, len(text), recv_ms, len(sightings), rows, sightings)


def _counted_from(first: int, rows: Rows[T]) -> Rows[T]:
    """Rows as part of a longer body: their places are those in all of it."""
    places = range(rows.count) if rows.row_ix is None else rows.row_ix
    rejects = [Reject(reject.index + first, reject.reason) for reject in rows.rejects]
    return Rows(rows.items, rows.count, [first + place for place in places], rejects)


TAKES: dict[str, Take] = {"/v1/pings": take_pings, "/v1/sightings": take_sightings}
READS: dict[str, Read] = {"/v1/pings": ping_post, "/v1/sightings": sighting_post}


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
