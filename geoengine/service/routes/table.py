"""What a route is: the one shape from which both the server and its OpenAPI document are made."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from geoengine.service.auth import Caller
from geoengine.service.context import JSON, Context, Handler
from geoengine.service.http.ndjson import ReadLines

APP, GATEWAY, SERVER = "app", "gateway", "server"
SERVER_ONLY = frozenset({SERVER})
APPS = frozenset({APP, SERVER})
HEARERS = frozenset({APP, GATEWAY, SERVER})

# What serves a connection for as long as it lasts, as a WebSocket.
Upgrade = Callable[[Context, Caller, web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True)
class Route:
    """A method and a path, who may call it, what it takes and gives."""

    method: str
    path: str
    handler: Handler | Upgrade
    who: frozenset[str] = SERVER_ONLY  # kinds of keys; empty: anybody, without a key
    takes: Any = None  # type of the body; None: no body
    gives: Any = None  # type of the answer; None: not described further
    query: type | None = None
    media_type: str = JSON  # of the answer
    is_rows: bool = False  # the body may be one row, an array of rows, or NDJSON
    lines: ReadLines | None = None  # reads a part of a body that has one row a line
    is_upgrade: bool = False  # the handler is an `Upgrade`: it takes the connection over
    is_redirect: bool = False  # the answer leads elsewhere
    problems: frozenset[int] = frozenset()  # statuses beyond those that every route has

    @property
    def is_public(self) -> bool:
        """Whether it takes no key."""
        return not self.who
