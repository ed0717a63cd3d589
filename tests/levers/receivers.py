"""Receivers of webhooks: real HTTP servers on loopback, each with one kind of manners."""

from __future__ import annotations

import asyncio
import gzip
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web

from tests.servers.web import on_loopback

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass
class Receiver:
    """What arrived, and where to send to."""

    url: str
    port: int
    requests: list[tuple[dict[str, str], bytes]] = field(default_factory=list)

    @property
    def ids(self) -> list[str]:
        """The ids that arrived, in order."""
        return [headers["webhook-id"] for headers, _body in self.requests]


@asynccontextmanager
async def receiving(answer: Handler) -> AsyncIterator[Receiver]:
    """A receiver that notes each request and answers as it is told."""
    receiver = Receiver("", 0)

    async def note(request: web.Request) -> web.StreamResponse:
        headers = {name.lower(): value for name, value in request.headers.items()}
        receiver.requests.append((headers, await request.read()))
        return await answer(request)

    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", note)
    async with on_loopback(app) as url:
        receiver.port = int(url.rpartition(":")[2])
        receiver.url = f"{url}/hook"
        yield receiver


def says(status: int, body: bytes = b"", **headers: str) -> Handler:
    """Answer at once, always the same; header names with _ for -."""

    async def answer(_request: web.Request) -> web.StreamResponse:
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        return web.Response(status=status, body=body, headers=names)

    return answer


def says_in_turn(*statuses: int) -> Handler:
    """Answer with one status after the other, the last one for ever."""
    left = list(statuses)

    async def answer(_request: web.Request) -> web.StreamResponse:
        return web.Response(status=left.pop(0) if len(left) > 1 else left[0])

    return answer


async def never(_request: web.Request) -> web.StreamResponse:
    """Take the request and say nothing."""
    await asyncio.Event().wait()
    return web.Response()


def drips(status: int) -> Handler:
    """A status, and then a body that never ends, a byte at a time."""

    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(status=status)
        await response.prepare(request)
        while True:
            await response.write(b".")
            await asyncio.sleep(0.005)

    return answer


def pours(status: int, total_bytes: int) -> Handler:
    """A status, and then a body of this size as fast as it goes."""

    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(status=status)
        response.content_length = total_bytes
        await response.prepare(request)
        for _ in range(total_bytes // 65_536):
            await response.write(b"x" * 65_536)
        return response

    return answer


def gzip_bomb(status: int) -> Handler:
    """Sixteen megabytes of nothing in sixteen kilobytes."""
    return says(status, gzip.compress(bytes(16 << 20)), Content_Encoding="gzip")


async def resets(request: web.Request) -> web.StreamResponse:
    """Take the request and reset the connection."""
    assert request.transport is not None
    sock = request.transport.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    request.transport.abort()
    return web.Response()


@asynccontextmanager
async def listening() -> AsyncIterator[tuple[int, list[object]]]:
    """A bare listener on every address of this machine: its port, and whoever connected."""
    callers: list[object] = []

    def take(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        callers.append(writer.get_extra_info("peername"))
        writer.close()

    server = await asyncio.start_server(take, None, _free_port())
    try:
        yield server.sockets[0].getsockname()[1], callers
    finally:
        server.close()
        await server.wait_closed()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("", 0))
        return int(probe.getsockname()[1])
