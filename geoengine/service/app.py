"""From the route table to an aiohttp application: keys, bodies within their limits, problems."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from aiohttp import web

from geoengine.service.auth import ANYONE, demand
from geoengine.service.context import JSON, Answer, Call, Context
from geoengine.service.http.listener import response_of
from geoengine.service.http.openapi import document
from geoengine.service.http.problems import KIND_OF_STATUS, Problem
from geoengine.service.routes import ROUTES
from geoengine.service.routes.table import Route

_ENCODER = msgspec.json.Encoder()

HttpHandler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def make_app(context: Context) -> web.Application:
    """The application that serves every route of the table."""
    context.openapi = _ENCODER.encode(document(ROUTES))
    app = web.Application(
        client_max_size=context.settings.max_body_bytes, middlewares=[_problems(context)]
    )
    app.on_response_prepare.append(_sign)
    for route in ROUTES:
        app.router.add_route(route.method, route.path, _http(route, context))
    return app


async def _sign(_request: web.Request, response: web.StreamResponse) -> None:
    """Name ourselves, and not the versions that a scanner would like to know."""
    response.headers["Server"] = "geoengine"


def _http(route: Route, context: Context) -> HttpHandler:
    """A route as aiohttp calls it."""

    async def handle(request: web.Request) -> web.StreamResponse:
        caller = ANYONE
        if not route.is_public:
            caller = context.keys.caller(request.headers.get("Authorization"))
            demand(caller, route.who)
        body = b"" if route.takes is None else await _body(request, context.settings.body_timeout_s)
        call = Call(caller, request.match_info, request.query, body)
        return _response(await route.handler(context, call))

    return handle


async def _body(request: web.Request, timeout_s: float) -> bytes:
    """The body, if it comes in time, is not too large, and is what it seems."""
    if request.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise Problem("encoding_not_supported")
    try:
        async with asyncio.timeout(timeout_s):
            return await request.read()
    except TimeoutError:
        raise Problem("body_too_slow", headers={"Connection": "close"}) from None
    except web.RequestPayloadError as error:
        raise Problem("bad_request", str(error), {"Connection": "close"}) from None


def _response(answer: Any) -> web.Response:
    if not isinstance(answer, Answer):
        return web.Response(body=_ENCODER.encode(answer), content_type=JSON)
    return web.Response(
        body=answer.body, status=answer.status, headers={"Content-Type": answer.content_type}
    )


def _problems(context: Context) -> Any:
    """Whatever goes wrong becomes a problem document."""

    @web.middleware
    async def middleware(request: web.Request, handler: HttpHandler) -> web.StreamResponse:
        try:
            return await handler(request)
        except ConnectionError:
            raise  # the caller hung up: nobody is left to be told
        except web.HTTPException as error:
            problem = context.problem_of(_problem_of(error), _name(request))
        except Exception as error:
            problem = context.problem_of(error, _name(request))
        response = response_of(problem)
        if problem.headers.get("Connection") == "close":
            response.force_close()
        return response

    return middleware


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
