"""A server that says what it is told to, in turn, on loopback; and one to wait with."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import msgspec
from aiohttp import web

from tests.servers.web import on_loopback


@dataclass
class Says:
    """One reply: its status, its body as JSON unless it is bytes, and how long to stay away."""

    status: int
    body: Any
    retry_after: str | None = None


@dataclass
class Double:
    """Where it listens, and what came: path, headers, body."""

    url: str
    requests: list[tuple[str, dict[str, str], Any]] = field(default_factory=list)


@dataclass
class Pauses:
    """Waits that take no time, and are remembered."""

    taken_s: list[float] = field(default_factory=list)

    async def __call__(self, seconds: float) -> None:
        self.taken_s.append(seconds)


@asynccontextmanager
async def saying(*replies: Says) -> AsyncIterator[Double]:
    """A server that gives these replies in turn, the last one for ever."""
    left, double = list(replies), Double("")

    async def answer(request: web.Request) -> web.Response:
        body = await request.read()
        told = {name.lower(): value for name, value in request.headers.items()}
        double.requests.append((request.path, told, msgspec.json.decode(body) if body else None))
        reply = left.pop(0) if len(left) > 1 else left[0]
        content = reply.body if isinstance(reply.body, bytes) else msgspec.json.encode(reply.body)
        headers = {"Retry-After": reply.retry_after} if reply.retry_after else {}
        return web.Response(status=reply.status, body=content, headers=headers)

    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", answer)
    async with on_loopback(app) as url:
        double.url = url
        yield double
