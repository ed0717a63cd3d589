"""The way into a stream: who may, over which protocol, from where it goes on."""

from __future__ import annotations

import asyncio
from typing import Final, cast
from urllib.parse import unquote, urlsplit

import msgspec
from aiohttp import web

from geoengine.service.auth import Caller
from geoengine.service.context import Context
from geoengine.service.http.problems import Problem
from geoengine.service.http.wire import StreamQuery
from geoengine.service.routes.arriving.ingest import READS
from geoengine.service.routes.table import APPS, HEARERS
from geoengine.service.streaming.hub import Session, types_of
from geoengine.service.streaming.stream import CLOSE_S, Line, Stream
from geoengine.service.streaming.words import PINGS, PROTOCOL, SIGHTINGS

READS_FROM: Final = {
    PINGS: (READS[PINGS], APPS),
    SIGHTINGS: (READS[SIGHTINGS], HEARERS),
}
_OFFERS: Final = "Sec-WebSocket-Protocol"
_BEARER: Final = "bearer."


async def get_stream(context: Context, caller: Caller, request: web.Request) -> web.StreamResponse:
    """A WebSocket: pings or sightings in, acknowledgements and events out."""
    wanted = _wanted(request, caller)
    _refuse_strangers(context, request)
    if context.is_stopping or context.hub.is_closed:
        raise Problem("stopping")
    if len(context.hub) >= context.settings.max_streams:
        raise Problem("too_many_connections")
    socket = web.WebSocketResponse(
        protocols=(PROTOCOL,),
        timeout=CLOSE_S,
        autoping=False,
        compress=False,  # a window for each of ten thousand would be gigabytes
        max_msg_size=context.settings.stream_message_bytes + 1,
        decode_text=False,
    )
    if not socket.can_prepare(request):
        raise Problem("upgrade_required", headers={"Upgrade": "websocket"})
    writer = await socket.prepare(request)
    line = Line(socket, cast(asyncio.Transport, request.transport), writer.drain)
    session = Session(caller, wanted.events == "all", types_of(wanted.types))
    since = None
    if wanted.resume:
        session, since = context.hub.resume(wanted.resume, session)
    await Stream(context, session, line, READS_FROM).run(bool(wanted.resume), since)
    return socket


def key_of(request: web.BaseRequest) -> str | None:
    """What a client says for its ``Authorization``; raises `Problem` where that is no way to.

    A browser cannot set the header. It may offer the key among its protocols, and never in the
    URL, which ends up in logs.
    """
    said = request.headers.get("Authorization")
    offers = [offer.strip() for offer in request.headers.get(_OFFERS, "").split(",")]
    if any(offers) and PROTOCOL not in offers:
        # Also because aiohttp would log what was offered instead.
        raise Problem("bad_request", f"The protocol spoken here is {PROTOCOL}.")
    keys = [offer.removeprefix(_BEARER) for offer in offers if offer.startswith(_BEARER)]
    return f"Bearer {unquote(keys[0])}" if said is None and keys else said


def _wanted(request: web.Request, caller: Caller) -> StreamQuery:
    try:
        wanted = msgspec.convert(dict(request.query), StreamQuery, strict=False)
    except ValueError as error:
        raise Problem("bad_parameter", str(error)) from None
    if wanted.events == "all" and caller.kind != "server":
        raise Problem("forbidden", "To hear everything takes a key of kind server.")
    return wanted


def _refuse_strangers(context: Context, request: web.Request) -> None:
    """Where no key is needed, let no page of somebody else's in: a browser would ask for it.

    Other requests it refuses to do on behalf of a page that we do not name; to WebSockets that
    does not apply.
    """
    origin = request.headers.get("Origin")
    if context.keys.is_empty and origin and urlsplit(origin).netloc != request.host:
        raise Problem("forbidden", "This page is not one of ours.")
