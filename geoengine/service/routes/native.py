"""The routes of clients and gateways that already exist, as these want to be answered.

They know our answer by its status and hardly at all otherwise. Told no, they send the same message
again and nothing after it, for ever, or throw it away. So every message of somebody we know is a
success, in the client's own words, also where all of it is dropped; 401 is for credentials that are
not known, and 503 for "send it again". None of these paths is in the OpenAPI document: their
contracts are others'.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final, get_args
from urllib.parse import parse_qsl

import msgspec
from aiohttp import web
from msgspec import Struct

from geoengine.core.model import GatewayKind
from geoengine.ingest.kinds import KINDS
from geoengine.ingest.reports import Decoded, Origin
from geoengine.service.context import JSON, Context
from geoengine.service.http.problems import Problem
from geoengine.service.logs import logger
from geoengine.service.native.answering import DONE, GREETING, answer_to
from geoengine.service.native.credentials import Principal, presented
from geoengine.service.native.entering import enter

Handler = Callable[[Context, web.Request, str, str], Awaitable[web.Response]]

METHODS: Final = ("GET", "POST", "PUT")
GATEWAY_KINDS: Final = frozenset(get_args(GatewayKind))
ALIASES: Final = {"minew_g1": "minew", "theengs_omg": "theengs"}
# Refusals of other routes that these clients would take for a no to what they said.
_AGAIN: Final = frozenset({"queue_full", "body_too_slow"})
_CHALLENGE: Final = {"WWW-Authenticate": 'Basic realm="geoengine", charset="UTF-8"'}
_KEPT_BACK: Final = frozenset({"authorization", "cookie", "proxy-authorization"})
_LOG = logger("native")


class _Named(Struct):
    """Where the JSON of an OsmAnd client says who it is."""

    device_id: str | None = None
    id: str | int | None = None


class _Sealed(Struct):
    """Where Meraki's cloud shows what it was given."""

    secret: str | None = None


_NAMED = msgspec.json.Decoder(_Named | list[_Named])
_SEALED = msgspec.json.Decoder(_Sealed)


def add_native(app: web.Application, context: Context) -> None:
    """The native paths; what follows a client's name in the path is its token."""
    _add(app, context, "/in/gw/{kind}{rest:(/.*)?}", _gateway)
    _add(app, context, "/in/{client}{rest:(/.*)?}", _phone)
    _add(app, context, "/api/v1/overland/batches", partial(_phone, client="overland"))


def make_osmand_app(context: Context, middleware: object) -> web.Application:
    """What listens on the port of its own that Traccar Client expects: every path is the one."""
    app = web.Application(middlewares=[middleware])  # type: ignore[list-item]
    _add(app, context, "/{rest:.*}", partial(_phone, client="osmand"))
    return app
