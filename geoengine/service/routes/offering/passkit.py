"""What Apple's phones ask about passes: the PassKit web service, version 1, as Apple documents it.

Phones know a pass by its serial number and show its token with each request. To them everything
that is not told here does not exist: what a person is called, and whether there is one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from email.utils import format_datetime, parsedate_to_datetime
from typing import Final

import msgspec
from aiohttp import web
from msgspec import Struct

from geoengine.core.record import Record
from geoengine.core.units import SECOND_MS
from geoengine.ingest.names import is_name
from geoengine.levers.secrets import CredentialError
from geoengine.levers.wallet.bundle import MEDIA_TYPE
from geoengine.service.context import JSON, Context
from geoengine.service.http.bodies import body_of
from geoengine.service.http.problems import Problem
from geoengine.service.logs import logger
from geoengine.service.sending.makers import google_wallet
from geoengine.service.wallet import holding
from geoengine.service.wallet.ending import end
from geoengine.service.wallet.holding import Held, Keys
from geoengine.service.wallet.leaving import left
from geoengine.service.wallet.making import SERVICE, press_of
from geoengine.service.wallet.names import APPLE, GOOGLE, kept_serial, with_wallet
from geoengine.state import amending

_BASE: Final = SERVICE + "/v1"
_PHONE: Final = _BASE + "/devices/{phone}/registrations/{type}"
_SCHEME: Final = "ApplePass "
_TOKEN_CHARS: Final = 200  # of a push token; Apple's have 64
LINK: Final = "/p/"
_APPLES: Final = ("iPhone", "iPad", "iPod", "Macintosh", "Watch")  # in a browser's User-Agent
_LOGGED_MAX: Final = 5  # lines of a phone's log: anybody can send them
_LOGGED_CHARS: Final = 300
_LOG = logger("passkit")


class _Registration(Struct):
    pushToken: str = ""


class _Complaints(Struct):
    logs: list[str] = []


Handler = Callable[[Context, web.Request], Awaitable[web.Response]]


async def post_registration(context: Context, request: web.Request) -> web.Response:
    """A phone has taken a pass: 201, or 200 where we knew."""
    keys, serial = await _shown(context, request)
    try:
        token = msgspec.json.decode(
            await body_of(request, context.settings.body_timeout_s), type=_Registration
        ).pushToken
    except (ValueError, RecursionError):
        raise Problem("malformed", "Expected pushToken.") from None
    if not token.isalnum() or len(token) > _TOKEN_CHARS:
        raise Problem("malformed", "pushToken is not one of Apple's.")
    phone, now_ms = _phone(request), context.clock()
    is_new = await holding.register(context.state, keys, serial, phone, token, now_ms)
    one = await holding.held(context.state, serial)
    if is_new is None or one is None:
        raise Problem("unauthorized")
    owner, record = await _holder(context, one)
    await amending.amend(context.state, context.book, owner, with_wallet(APPLE, serial), now_ms)
    kept = kept_serial(record.addresses.get("wallet", ""))
    if kept not in ("", serial):
        await end(context, owner, serial, kept, [APPLE])
    return web.Response(status=201 if is_new else 200)


async def delete_registration(context: Context, request: web.Request) -> web.Response:
    """A phone has thrown a pass away; with the last one the consent is withdrawn, before this is
    answered.
    """
    keys, serial = await _shown(context, request)
    one = await holding.unregister(context.state, keys, serial, _phone(request), context.clock())
    if one is not None and not one.phones:
        await left(context, APPLE, serial, one.person_id, {"source": "wallet:removed"})
    return web.Response()


async def get_registrations(context: Context, request: web.Request) -> web.Response:
    """Which passes of a phone have changed since it last asked: 204 for none."""
    since = request.query.get("passesUpdatedSince", "")
    since_ms = int(since) if since.isascii() and since.isdigit() and len(since) < 16 else -1
    keys = await holding.keys_of(context.state)
    newest_ms, changed = -1, []
    for serial in await holding.passes_of(context.state, keys, _phone(request)):
        one = await holding.held(context.state, serial)
        if one is not None and one.updated_ms > since_ms:
            newest_ms = max(newest_ms, one.updated_ms)
            changed.append(serial)
    if not changed:
        return web.Response(status=204)
    told = {"serialNumbers": changed, "lastUpdated": str(newest_ms)}
    return web.Response(body=msgspec.json.encode(told), content_type=JSON)


async def get_pass(context: Context, request: web.Request) -> web.Response:
    """A pass as it is by now: 304 where the phone has that."""
    keys, serial = await _shown(context, request)
    one = await holding.held(context.state, serial)
    if one is None:
        raise Problem("unauthorized")
    if _since_s(request) >= one.updated_ms // SECOND_MS:
        return web.Response(status=304)
    return await printed(context, keys, serial, one)


async def post_log(context: Context, request: web.Request) -> web.Response:
    """What phones complain of: a few lines for the operator."""
    try:
        complaints = msgspec.json.decode(
            await body_of(request, context.settings.body_timeout_s), type=_Complaints
        )
    except (ValueError, RecursionError):
        raise Problem("malformed", "Expected logs.") from None
    for line in complaints.logs[:_LOGGED_MAX]:
        text = "".join(char if char.isprintable() else " " for char in line[:_LOGGED_CHARS])
        _LOG.warning("phone_complains", text=text)
    return web.Response()


async def get_link(context: Context, request: web.Request) -> web.Response:
    """The pass for an Apple device, and for others the way to Google's wallet."""
    keys, now_ms = await holding.keys_of(context.state), context.clock()
    serial = keys.opened(request.match_info["token"])
    one = await holding.held(context.state, serial) if serial else None
    spec = context.book.engine.spec.wallet
    if one is None or spec is None:
        raise Problem("not_found", "This link is not ours, or its pass is no more.")
    owner, record = await _holder(context, one)
    serial, one = await holding.pass_of(context.state, keys, record, now_ms)
    is_apples = any(word in request.headers.get("User-Agent", "") for word in _APPLES)
    if spec.apple is not None and (is_apples or spec.google is None):
        return await printed(context, keys, serial, one)
    if spec.google is None:
        raise Problem("not_found")
    try:
        url = google_wallet(spec.google, context.environ).save_link(serial, now_ms)
    except CredentialError as error:
        _LOG.error("no_passes", why=str(error))
        raise Problem("again", "Passes cannot be made just now.") from None
    await amending.amend(context.state, context.book, owner, with_wallet(GOOGLE, serial), now_ms)
    return web.Response(status=302, headers={"Location": url, "Cache-Control": "no-store"})


async def printed(context: Context, keys: Keys, serial: str, one: Held) -> web.Response:
    """The answer that holds a pass."""
    try:
        press = press_of(context.book, context.environ)
    except CredentialError as error:
        _LOG.error("no_passes", why=str(error))
        raise Problem("again", "Passes cannot be made just now.") from None
    if press is None:
        raise Problem("not_found")
    _, record = await _holder(context, one)
    body = await asyncio.to_thread(press.print, keys, serial, one, record, context.book)
    stamp = datetime.fromtimestamp(one.updated_ms // SECOND_MS, UTC)
    headers = {"Last-Modified": format_datetime(stamp, usegmt=True), "Cache-Control": "no-store"}
    headers["Content-Disposition"] = 'attachment; filename="pass.pkpass"'
    return web.Response(body=body, headers=headers, content_type=MEDIA_TYPE)


async def _holder(context: Context, one: Held) -> tuple[str, Record]:
    """Whose a pass is by now, and what is remembered of them."""
    (owner,) = await context.state.owners([one.person_id])
    return owner, (await context.state.load([owner])).get(owner) or Record(owner)


def add_passkit(app: web.Application, context: Context) -> None:
    """The five calls of the web service, and the link by which a pass is fetched first."""
    for method, path, handler in (
        ("POST", _PHONE + "/{serial}", post_registration),
        ("DELETE", _PHONE + "/{serial}", delete_registration),
        ("GET", _PHONE, get_registrations),
        ("GET", _BASE + "/passes/{type}/{serial}", get_pass),
        ("POST", _BASE + "/log", post_log),
        ("GET", LINK + "{token}", get_link),
    ):
        _add(app, context, method, path, handler)


def _add(app: web.Application, context: Context, method: str, path: str, handler: Handler) -> None:
    async def handle(request: web.Request) -> web.Response:
        _require_type(context, request)
        return await handler(context, request)

    app.router.add_route(method, path, handle)


def _require_type(context: Context, request: web.Request) -> None:
    """Passes of other types are not ours."""
    spec = context.book.engine.spec.wallet
    apple = None if spec is None else spec.apple
    asked = request.match_info.get("type")
    if asked is not None and (apple is None or asked != apple.pass_type):
        raise Problem("not_found")


async def _shown(context: Context, request: web.Request) -> tuple[Keys, str]:
    """The keys, and the serial number whose token the phone has shown."""
    keys, serial = await holding.keys_of(context.state), request.match_info["serial"]
    header = request.headers.get("Authorization", "")
    if not header.startswith(_SCHEME) or not keys.is_token(serial, header.removeprefix(_SCHEME)):
        raise Problem("unauthorized", headers={"WWW-Authenticate": "ApplePass"})
    return keys, serial


def _phone(request: web.Request) -> str:
    name = request.match_info["phone"]
    if not is_name(name):
        raise Problem("bad_parameter", "A device's name has 1 to 128 characters.")
    return name


def _since_s(request: web.Request) -> float:
    try:
        return parsedate_to_datetime(request.headers.get("If-Modified-Since", "")).timestamp()
    except (ValueError, OverflowError):
        return -1.0
