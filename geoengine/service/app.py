"""From the route table to an aiohttp application: keys, bodies within their limits, problems."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, cast

import msgspec
from aiohttp import HttpVersion11, WSCloseCode, web

from geoengine.service.auth import ANYONE, Caller, demand
from geoengine.service.context import JSON, Answer, Call, Context, Handler
from geoengine.service.http.answers import Stationery
from geoengine.service.http.listener import Written, response_of
from geoengine.service.http.ndjson import Upload, wants_lines
from geoengine.service.http.openapi import document
from geoengine.service.http.problems import KIND_OF_STATUS, RETRY_AFTER_S, Problem
from geoengine.service.native.hearing import GATEWAYS
from geoengine.service.routes import ROUTES
from geoengine.service.routes.arriving.ingest import Doors, settled
from geoengine.service.routes.arriving.native import add_native, add_osmand, take_heard
from geoengine.service.routes.arriving.stream import key_of
from geoengine.service.routes.offering.google_passes import add_google_passes
from geoengine.service.routes.offering.passkit import add_passkit
from geoengine.service.routes.outcomes.receipts import add_receipts
from geoengine.service.routes.persons.optout import add_optout
from geoengine.service.routes.table import Route, Upgrade
from geoengine.service.settings import Settings

_ENCODER = msgspec.json.Encoder()

HttpHandler = Callable[[web.Request], Awaitable[web.StreamResponse]]
LowHandler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]  # before any routing


def make_app(context: Context) -> web.Application:
    """The application that serves every route of the table."""
    context.openapi = _ENCODER.encode(document(ROUTES))
    app = web.Application(
        client_max_size=context.settings.max_body_bytes, middlewares=[_problems(context)]
    )
    app.on_response_prepare.append(_sign)
    app.cleanup_ctx.append(_heartbeat(context))
    app.on_shutdown.append(_goodbye(context))
    for route in ROUTES:
        app.router.add_route(route.method, route.path, _http(route, context))
    add_optout(app, context)
    add_passkit(app, context)
    add_google_passes(app, context)
    add_receipts(app, context)
    add_native(app, context)
    return app


def make_osmand_app(context: Context) -> web.Application:
    """The application behind the port that Traccar Client expects."""
    app = web.Application(middlewares=[_problems(context)])
    app.on_response_prepare.append(_sign)
    add_osmand(app, context)
    return app


def _heartbeat(context: Context) -> Callable[[web.Application], AsyncIterator[None]]:
    """Feel the pulse of the streams for as long as the application runs."""

    async def beating(_app: web.Application) -> AsyncIterator[None]:
        work = context.hub.beat(context.settings.stream_heartbeat_s)
        task = asyncio.create_task(work, name="heartbeat")
        yield
        task.cancel()

    return beating


def _goodbye(context: Context) -> Callable[[web.Application], Awaitable[None]]:
    """At a stop streams are answered what they are owed, and told to go."""

    async def leave(_app: web.Application) -> None:
        await context.hub.close(WSCloseCode.GOING_AWAY, "stopping", context.settings.stop_s)

    return leave


async def _sign(_request: web.Request, response: web.StreamResponse) -> None:
    """Name ourselves, and not the versions that a scanner would like to know."""
    response.headers["Server"] = "geoengine"


def _http(route: Route, context: Context) -> HttpHandler:
    """A route as aiohttp calls it."""

    if route.is_upgrade:
        return _upgrade(route, context)
    handler = cast(Handler, route.handler)

    async def handle(request: web.Request) -> web.StreamResponse:
        caller = ANYONE if route.is_public else _caller(request, context, route.who)
        if route.lines is not None and wants_lines(request):
            _refuse_encoded(request)
            return await Upload(context, caller, request, route.lines).run()
        body = b"" if route.takes is None else await _body(request, context.settings)
        call = Call(
            caller, request.match_info, request.query, body, request.headers, request.method
        )
        return _response(await handler(context, call))

    return handle


def _upgrade(route: Route, context: Context) -> HttpHandler:
    """A route that takes the connection over, as aiohttp calls it."""
    handler = cast(Upgrade, route.handler)

    async def handle(request: web.Request) -> web.StreamResponse:
        caller = context.keys.caller(key_of(request))
        demand(caller, route.who)
        return await handler(context, caller, request)

    return handle


def in_front(context: Context, doors: Doors, otherwise: LowHandler) -> LowHandler:
    """Pings, sightings and gateways ahead of the router; everything else goes ``otherwise``.

    What it does for them is what the application does, without looking for a route, and with an
    answer that leaves in one piece.
    """
    stationery = Stationery(context.clock)

    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        door = doors.get(request.raw_path)
        is_plain = request.version == HttpVersion11 and "Expect" not in request.headers
        if request.method != "POST" or not is_plain:
            return await otherwise(request)
        if door is None:
            if not request.raw_path.startswith(GATEWAYS):
                return await otherwise(request)
            return await _gateway(context, request, stationery)
        if wants_lines(request):
            return await otherwise(request)
        take, who = door
        try:
            caller = _caller(request, context, who)
            context.intake.admit(request.content_length or 0)
            body = await _body(request, context.settings)
            told = await settled(take, context, caller, body)
        except ConnectionError:
            raise  # the caller hung up: nobody is left to be told
        except Exception as error:
            response = _refused(context, error, request.raw_path)
            if isinstance(error, Problem) and error.kind == "queue_full":
                await _rest(request, response)
            return response
        return Written(stationery.ok(told, not request.keep_alive), request)

    return handle


async def _gateway(
    context: Context, request: web.BaseRequest, stationery: Stationery
) -> web.StreamResponse:
    """What a gateway heard: many say one advertisement a request."""
    try:
        answer = await take_heard(context, request)
    except ConnectionError:
        raise
    except Exception as error:
        return _refused(context, error, GATEWAYS)
    return Written(stationery.ok(answer.body, not request.keep_alive), request)


async def _rest(request: web.BaseRequest, response: web.Response) -> None:
    """Tell that there is no room, and take nothing from this client for as long as it is to wait.

    To read a body only to refuse it costs as much as a tenth of serving it, and who does not wait
    would have us do little else.
    """
    await response.prepare(request)
    await response.write_eof()
    await asyncio.sleep(RETRY_AFTER_S["queue_full"])


def _caller(request: web.BaseRequest, context: Context, who: frozenset[str]) -> Caller:
    caller = context.keys.caller(request.headers.get("Authorization"))
    demand(caller, who)
    return caller


def _refuse_encoded(request: web.BaseRequest) -> None:
    if request.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise Problem("encoding_not_supported")


async def _body(request: web.BaseRequest, settings: Settings) -> bytes:
    """The body, if it comes in time, is not too large, and is what it seems."""
    _refuse_encoded(request)
    try:
        if request.content.is_eof():  # all of it is here: nothing to wait for
            return await request.read()
        async with asyncio.timeout(settings.body_timeout_s):
            return await request.read()
    except TimeoutError:
        raise Problem("body_too_slow", headers={"Connection": "close"}) from None
    except web.RequestPayloadError as error:
        raise Problem("bad_request", str(error), {"Connection": "close"}) from None


def _response(answer: Any) -> web.Response:
    if not isinstance(answer, Answer):
        return web.Response(body=_ENCODER.encode(answer), content_type=JSON)
    return web.Response(
        body=answer.body,
        status=answer.status,
        headers={"Content-Type": answer.content_type, **answer.headers},
    )


def _problems(context: Context) -> Any:
    """Whatever goes wrong becomes a problem document."""

    @web.middleware
    async def middleware(request: web.Request, handler: HttpHandler) -> web.StreamResponse:
        try:
            return await handler(request)
        except ConnectionError:
            raise  # the caller hung up: nobody is left to be told
        except Exception as error:
            return _refused(context, error, _name(request))

    return middleware


def _refused(context: Context, error: Exception, route: str) -> web.Response:
    told = _problem_of(error) if isinstance(error, web.HTTPException) else error
    problem = context.problem_of(told, route)
    response = response_of(problem)
    if problem.headers.get("Connection") == "close":
        response.force_close()
    return response


def _problem_of(error: web.HTTPException) -> Problem:
    if isinstance(error, web.HTTPRequestEntityTooLarge):
        return Problem("body_too_large", headers={"Connection": "close"})
    if isinstance(error, web.HTTPMethodNotAllowed):
        return Problem(
            "method_not_allowed", headers={"Allow": ", ".join(sorted(error.allowed_methods))}
        )
    return Problem(KIND_OF_STATUS.get(error.status, "bad_request"), error.reason)


def _name(request: web.Request) -> str:
    """The route's template: paths hold names of people and stay out of logs."""
    resource = request.match_info.route.resource
    return request.method + " " + (resource.canonical if resource else "")
