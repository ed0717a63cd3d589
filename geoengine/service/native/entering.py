"""Reports of clients and gateways into the engine: the one way in, whatever carried them.

What is dropped is dropped here, before anything of it is queued, kept or logged: beacons that
nobody has registered, tags that nobody carries, gateways that nobody has listed.

The same message may come again, from a client that has not heard our answer. That changes nothing:
a position not newer than the last accepted one of its device is late, and a sighting not newer than
the last of its beacon place is left out, or is one with it in the same second. A push token is set
to what it is.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from geoengine.core.book import Book
from geoengine.core.columns import Sightings
from geoengine.core.places.regions import advise
from geoengine.core.record import Record
from geoengine.core.units import ACCURACY_MAX_M
from geoengine.ingest.clients.pushing import zone_of
from geoengine.ingest.kinds import KINDS
from geoengine.ingest.names import is_name
from geoengine.ingest.pings import Ping
from geoengine.ingest.reports import (
    Decoded,
    Mark,
    Origin,
    Position,
    PushToken,
    Sighted,
    Stay,
    Telling,
)
from geoengine.ingest.sightings import heard_of, key_of
from geoengine.ingest.wire import Reject, Rows
from geoengine.service.context import Context
from geoengine.service.intake import NO_SIGHTINGS, Post, settle
from geoengine.service.logs import logger
from geoengine.service.native.credentials import Ears
from geoengine.service.routes.arriving.regions import ready
from geoengine.state import amending
from geoengine.state.base import State
from geoengine.state.loop import beacon_name

TOKEN_MAX: Final = 512  # characters, as `PUT /v1/devices` has it
_AROUND: Final = 100  # zones; a phone watches no more
_LOG = logger("native")
_SET_ASIDE: Final = {Stay: "stay", Mark: "region"}  # counted, and that is all


@dataclass(slots=True)
class _Sorted:
    """The reports of one message, by what is done with them."""

    positions: list[Position] = field(default_factory=list)
    heard_by_phones: list[Sighted] = field(default_factory=list)
    heard_by_gateways: list[Sighted] = field(default_factory=list)
    tokens: list[PushToken] = field(default_factory=list)
    tellings: list[Telling] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)


def decoded_of(context: Context, client: str, body: bytes, origin: Origin) -> Decoded:
    """What a message says. A fault of ours is told to us: the sender would send it for ever."""
    try:
        return KINDS[client](body, origin)
    except Exception as error:
        context.metrics.failures.add(("decode",))
        _LOG.error("decode_failed", client=client, error=type(error).__name__)
        return Decoded(drops=["undecodable"])


def says_nothing(context: Context, client: str, decoded: Decoded) -> bool:
    """Whether nothing of a message is to be taken in, as of a gateway's among strangers; counts
    what was dropped of it if so.
    """
    if decoded.reports:
        return False
    if decoded.drops:
        context.metrics.native.add((client, "dropped"), len(decoded.drops))
    return True


async def enter(
    context: Context,
    client: str,
    decoded: Decoded,
    origin: Origin,
    *,
    body_bytes: int,
    ears: Ears | None = None,
) -> None:
    """Take in what a message said; returns when what follows of it is durable.

    Positions of phones are queued before this first waits: calls begun one after the other keep
    the order of a phone's. ``client`` is the family's name, for the counters. Raises `Problem`
    or `StateError` when nothing was committed and the message should come again.
    """
    if says_nothing(context, client, decoded):
        return
    told = _told(decoded, origin.device_id) if ears is None else _heard(decoded, ears)
    told.counts["dropped"] += len(decoded.drops)
    book = context.book
    if told.tellings:
        await ready(book)
    pings = [*map(ping_of_position, told.positions), *_crossings(told, book)]
    heard = [*_near(told, book), *await _carried(told, context.state)]
    for outcome, count in told.counts.items():
        if count:
            context.metrics.native.add((client, outcome), count)
    await _settled(context, pings, heard, origin.recv_ms, body_bytes)
    for token in told.tokens:
        await _register(context, token)


def _heard(decoded: Decoded, ears: Ears) -> _Sorted:
    """What gateways heard: that, and nothing about phones, is theirs to tell."""
    told = _Sorted()
    for report in decoded.reports:
        if not isinstance(report, Sighted):
            told.counts["dropped"] += 1
            continue
        report.device_id, report.gateway_id = None, ears.whose(report.gateway_id)
        if report.gateway_id is None:
            told.counts["strange_gateway"] += 1
        else:
            told.heard_by_gateways.append(report)
    return told


def _told(decoded: Decoded, device_id: str | None) -> _Sorted:
    """What a phone says, by what is done with it; whose credential it came with has said it all."""
    told = _Sorted()
    for report in decoded.reports:
        report.device_id = device_id or report.device_id
        match report:
            case Position():
                told.positions.append(report)
            case Sighted():
                report.gateway_id = None
                told.heard_by_phones.append(report)
            case Telling():
                told.tellings.append(report)
            case PushToken():
                told.tokens.append(report)
            case _:
                told.counts[_SET_ASIDE[type(report)]] += 1
    told.counts["position"] = len(told.positions)
    told.counts["push_token"] = len(told.tokens)
    return told


def _crossings(told: _Sorted, book: Book) -> list[Ping]:
    """What the phone's own geofencing says of our zones."""
    tellings = tellings_of(told.tellings, book)
    pings = [ping for one in tellings if (ping := ping_of(*one, book)) is not None]
    told.counts["transition"] = len(pings)
    told.counts["nowhere"] = len(tellings) - len(pings)
    told.counts["strange_region"] = len(told.tellings) - len(tellings)
    return pings


def tellings_of(tellings: Iterable[Telling], book: Book) -> list[tuple[str, Telling]]:
    """The tellings about regions that are zones of ours, each with the id of its zone."""
    found = ((_zone_of(telling, book), telling) for telling in tellings)
    return [(zone_id, telling) for zone_id, telling in found if zone_id is not None]


def _zone_of(telling: Telling, book: Book) -> str | None:
    """By its id; OwnTracks on Android has a number for it, looked for among the zones around."""
    if telling.region_id in book.zone_ix_of:
        return telling.region_id
    if telling.region_id is None or telling.lat is None or telling.lon is None:
        return None
    around = advise(book, telling.lat, telling.lon, limit=_AROUND)
    return zone_of(telling, [region.zone_id for region in around.regions])


def ping_of(zone_id: str, telling: Telling, book: Book) -> Ping | None:
    """A telling as the fix that it came with.

    One into a zone that came with none is as good as a fix in its middle, as vague as it is large.
    Of one out of a zone nobody can say where it was: None.
    """
    is_inside = telling.event != "exit"
    if telling.lat is None or telling.lon is None:
        if not is_inside:
            return None
        zones, ix = book.zones, book.zone_ix_of[zone_id]
        lat, lon = float(zones.lat_deg[ix]), float(zones.lon_deg[ix])
        accuracy_m: float | None = min(book.radius_m(ix), ACCURACY_MAX_M)
    else:
        lat, lon, accuracy_m = telling.lat, telling.lon, telling.accuracy_m
    return Ping(
        device_id=telling.device_id,
        lat=lat,
        lon=lon,
        fix_time=telling.fix_ms,
        accuracy_m=accuracy_m,
        entered=zone_id if is_inside else None,
        left=None if is_inside else zone_id,
    )


def _near(told: _Sorted, book: Book) -> list[Sighted]:
    """What phones heard of beacons that are registered."""
    near = [report for report in told.heard_by_phones if key_of(report) in book.beacons]
    told.counts["sighting"] += len(near)
    told.counts["stranger"] += len(told.heard_by_phones) - len(near)
    return near


async def _carried(told: _Sorted, state: State) -> list[Sighted]:
    """What gateways heard of tags and phones that are bound to somebody.

    Asked once for each name, however often it was heard.
    """
    heard = told.heard_by_gateways
    if not heard:
        return []
    names = [beacon_name(key_of(report)) for report in heard]
    asked = list(dict.fromkeys(names))
    owners = dict(zip(asked, await state.owners(asked), strict=True))
    carried = [report for report, name in zip(heard, names, strict=True) if owners[name] != name]
    told.counts["sighting"] += len(carried)
    told.counts["stranger"] += len(heard) - len(carried)
    return carried


async def _settled(
    context: Context,
    pings: list[Ping],
    heard: Sequence[Sighted],
    recv_ms: int,
    body_bytes: int,
) -> None:
    """Queue pings and sightings, and wait until what follows of them is durable."""
    sightings, rejects = _columns(heard, recv_ms)
    row_count = len(pings) + len(sightings)
    if not row_count:
        context.metrics.count_rejects(rejects)
        return
    told: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
    rows: Rows[Ping] = Rows(pings, row_count + len(rejects), list(range(len(pings))), rejects)
    context.intake.put(Post(partial(settle, told), body_bytes, recv_ms, row_count, rows, sightings))
    await told


def ping_of_position(position: Position) -> Ping:
    """A position as apps post them."""
    return Ping(
        device_id=position.device_id,
        lat=position.lat,
        lon=position.lon,
        fix_time=position.fix_ms,
        accuracy_m=position.accuracy_m,
        mocked=position.mocked,
    )


def _columns(heard: Sequence[Sighted], recv_ms: int) -> tuple[Sightings, list[Reject]]:
    if not heard:
        return NO_SIGHTINGS, []
    found = heard_of(Rows(list(heard), len(heard)), recv_ms=recv_ms)
    return found.sightings, found.rejects


async def _register(context: Context, token: PushToken) -> None:
    """Where pushes to this phone go, as `PUT /v1/devices` has it; its platform is kept."""
    device_id, text = token.device_id or "", token.push_token
    if not is_name(device_id) or not 0 < len(text) <= TOKEN_MAX:
        return

    now_ms = context.clock()

    def change(record: Record) -> None:
        platform = record.push_tokens.get(device_id, [""])[0]
        record.set_push(device_id, platform, text, now_ms)

    (person_id,) = await context.state.owners([device_id])
    await amending.amend(context.state, context.book, person_id, change, now_ms)
    context.sender.wake()
