"""The floors: servers that read a ping, say that they took it, and do nothing else.

    python benchmarks/floors.py protocol|aiohttp

prints the port it listens on. What a door costs above these is ours; below them nothing of this
kind can go.
"""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import httptools
import msgspec
import uvloop
from aiohttp import web

from geoengine.ingest.pings import Ping

ONE, MANY = msgspec.json.Decoder(Ping), msgspec.json.Decoder(list[Ping])
TAKEN = b'{"accepted":1,"rejected":[],"events":[]}'
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (
    len(TAKEN),
    TAKEN,
)


def decode(body: bytes) -> Any:
    """One ping or many."""
    return MANY.decode(body) if body.startswith(b"[") else ONE.decode(body)


class Bare(asyncio.Protocol):
    """As little as a server in Python can do."""

    def connection_made(self, transport: Any) -> None:
        """A client."""
        self._transport = transport
        self._parser = httptools.HttpRequestParser(self)
        self._parts: list[bytes] = []

    def data_received(self, data: bytes) -> None:
        """Bytes."""
        self._parser.feed_data(data)

    def on_body(self, part: bytes) -> None:
        """Part of a body."""
        self._parts.append(part)

    def on_message_complete(self) -> None:
        """A request: read it, answer it."""
        decode(b"".join(self._parts))
        self._parts.clear()
        self._transport.write(ANSWER)


async def take(request: web.Request) -> web.Response:
    """The same, as an aiohttp handler."""
    decode(await request.read())
    return web.Response(body=TAKEN, content_type="application/json")


async def serve(kind: str) -> None:
    """Listen until killed."""
    if kind == "protocol":
        server = await asyncio.get_running_loop().create_server(Bare, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
    else:
        app = web.Application(client_max_size=1 << 20)
        app.router.add_post("/v1/pings", take)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        port = runner.addresses[0][1]
    print(port, flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(serve(sys.argv[1]))
