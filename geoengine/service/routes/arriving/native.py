"""The routes of clients and gateways that already exist, as these want to be answered.

They know our answer by its status and hardly at all otherwise. Told no, they send the same message
again and nothing after it, for ever, or throw it away. So every message of somebody we know is a
success, in the client's own words, also where all of it is dropped; 401 is for credentials that are
not known, and 503 for "send it again". None of these paths is in the OpenAPI document: their
contracts are others'.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Final
from urllib.parse import parse_qsl

import msgspec
from aiohttp import web
from msgspec import Struct

from geoengine.ingest.reports import Origin, Position
from geoengine.service.context import Answer, Context
from geoengine.service.http.bodies import body_of
from geoengine.service.http.problems import Problem
from geoengine.service.native.answering import DONE, GATEWAY_DONE, GREETING, TEXT, answer_to
from geoengine.service.native.credentials import Principal, presented
from geoengine.service.native.entering import decoded_of, enter
from geoengine.service.native.hearing import (
    CHALLENGE,
    GATEWAYS,
    SHOWS_IN_BODY,
    WHO,
    demand_ears,
    hear,
    knock_of,
    softened,
)

Handler = Callable[[Context, web.Request], Awaitable[Answer]]

METHODS: Final = ("GET", "POST", "PUT")
_KEPT_BACK: Final = frozenset({"authorization", "cookie", "proxy-authorization"})
_WHO_PHONE: Final = "A key of kind app, or DEVICE:PASSWORD."
_IDS: Final = frozenset({"id", "deviceid", "device_id"})


class _Named(Struct):
    """Where the JSON of an OsmAnd client says who it is."""

    device_id: str | None = None
    id: str | int | None = None


_NAMED = msgspec.json.Decoder(_Named | list[_Named])


def add_native(app: web.Application, context: Context) -> None:
    """The native paths; what follows a client's name in the path is its token."""
    _add(app, context, GATEWAYS + "{rest:.*}", take_heard)
    _add(app, context, "/in/{client}{rest:(/.*)?}", take_told)
    _add(app, context, "/api/v1/overland/batches", partial(take_told, client="overland"))


def add_osmand(app: web.Application, context: Context) -> None:
    """The door that Traccar Client expects on a port of its own: every path leads to it."""
    _add(app, context, "/{rest:.*}", partial(take_told, client="osmand"))


def _add(app: web.Application, context: Context, path: str, handler: Handler) -> None:
    async def handle(request: web.Request) -> web.Response:
        answer = await handler(context, request)
        return web.Response(body=answer.body, headers={"Content-Type": answer.content_type})

    for method in METHODS:
        app.router.add_route(method, path, handle)


# --- phones ---------------------------------------------------------------------------------------


async def take_told(context: Context, request: web.Request, client: str = "") -> Answer:
    """What a phone says; raises `Problem` where it is not taken."""
    try:
        return await _phone(context, request, client)
    except Problem as problem:
        raise softened(problem) from None


async def _phone(context: Context, request: web.Request, client: str) -> Answer:
    client = client or request.match_info["client"]
    if client not in DONE:
        raise Problem("not_found", f"Clients are {', '.join(DONE)}.")
    shown = _shown(request)
    if client == "overland" and request.method == "GET" and not shown:
        return GREETING
    principal = context.credentials.principal(shown)
    if principal is None and client != "osmand":  # whose credential may be in the body
        raise Problem("unauthorized", _WHO_PHONE, CHALLENGE)
    body = await _body(context, request)
    origin = _origin(context, request)
    if client == "osmand":
        principal = _holder(context, body, origin.query) or principal
    if principal is None:
        raise Problem("unauthorized", _WHO_PHONE, CHALLENGE)
    if client == "overland" and request.method == "GET":
        return GREETING
    origin = replace(origin, device_id=principal.device_id)
    decoded = decoded_of(context, client, body, origin)
    await enter(context, client, decoded, origin, body_bytes=len(body))
    positions = [report for report in decoded.reports if isinstance(report, Position)]
    is_sealed = b'"encrypted"' in body
    return await answer_to(context, client, positions, origin, is_sealed=is_sealed)


def _holder(context: Context, body: bytes, query: str) -> Principal | None:
    """Whose password stands where an OsmAnd client says who it is: it has no other room for one."""
    if not context.credentials.has_devices:
        return None
    for text in _ids(body, query):
        if (device_id := context.credentials.holder(text)) is not None:
            return Principal(device_id)
    return None


def _ids(body: bytes, query: str) -> Iterator[str]:
    fields = parse_qsl(query)
    if body.lstrip()[:1] in (b"{", b"["):
        with suppress(ValueError, RecursionError):
            named = _NAMED.decode(body)
            for one in named[:1] if isinstance(named, list) else [named]:
                fields += [("id", str(text)) for text in (one.device_id, one.id) if text]
    else:
        fields += parse_qsl(body.decode("utf-8", "replace"))
    yield from (text for name, text in fields if name in _IDS)


# --- gateways -------------------------------------------------------------------------------------


async def take_heard(context: Context, request: web.BaseRequest) -> Answer:
    """What a gateway heard; raises `Problem` where it is not taken."""
    try:
        return await _gateway(context, request)
    except Problem as problem:
        raise softened(problem) from None


async def _gateway(context: Context, request: web.BaseRequest) -> Answer:
    url = request.rel_url
    authorization = request.headers.get("Authorization")
    knock = knock_of(url.raw_path, url.raw_query_string, authorization)
    if knock.kind == SHOWS_IN_BODY and request.method == "GET":
        return _validator(context, knock.named)
    demand_ears(context, knock, None)
    await hear(context, knock, await _body(context, request))
    return GATEWAY_DONE


def _validator(context: Context, named: str) -> Answer:
    """What Meraki's cloud asks for once, to know that this is its owner's address."""
    gateway = context.credentials.gateway(SHOWS_IN_BODY, named, context.book)
    if gateway is None:
        raise Problem("unauthorized", WHO, CHALLENGE)
    return Answer((gateway.validator or "").encode(), content_type=TEXT)


# --- requests -------------------------------------------------------------------------------------


def _rest(request: web.Request) -> str:
    """What follows the client's name in the path."""
    return request.match_info.get("rest", "").strip("/")


def _shown(request: web.Request) -> list[str]:
    """Whatever in a request may be a credential."""
    return presented(
        request.headers.get("Authorization"), _rest(request), request.query.get("api_key")
    )


def _origin(context: Context, request: web.Request) -> Origin:
    return Origin(
        recv_ms=context.clock(),
        query=request.raw_path.partition("?")[2],
        headers={
            name.lower(): value
            for name, value in request.headers.items()
            if name.lower() not in _KEPT_BACK
        },
        passphrase=context.credentials.passphrase,
    )


async def _body(context: Context, request: web.BaseRequest) -> bytes:
    """The body; nothing of one beyond the limit: told that it is too large, its sender would send
    it again.
    """
    settings = context.settings
    context.intake.admit(request.content_length or 0)
    try:
        return await body_of(
            request, settings.body_timeout_s, settings.max_body_bytes, reads_out=True
        )
    except Problem as problem:
        if problem.kind == "body_too_slow":
            raise Problem("again", headers={"Connection": "close"}) from None
        raise
