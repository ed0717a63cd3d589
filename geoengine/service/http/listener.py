"""The socket: how many may connect, and how a request that is not HTTP is answered.

aiohttp closes a connection that has not sent a whole header ``keepalive_timeout`` after it was
opened or last answered, however slowly it drips; that is our bound on slow headers. Bodies are
bounded where they are read (`app`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, cast

from aiohttp import web

from geoengine.service.http.problems import CONTENT_TYPE, KIND_OF_STATUS, Problem

BACKLOG = 1_024


def response_of(problem: Problem) -> web.Response:
    """A problem as an answer."""
    return web.Response(
        status=problem.status,
        body=problem.body(),
        content_type=CONTENT_TYPE,
        headers=problem.all_headers(),
    )


class Written(web.StreamResponse):
    """An answer that is already what goes over the wire, and leaves in one piece."""

    def __init__(self, text: bytes, request: web.BaseRequest) -> None:
        super().__init__()
        self._text = text
        self._keep_alive = request.keep_alive

    async def prepare(self, request: web.BaseRequest) -> None:
        """Send it all."""
        transport = request.transport
        if transport is None or transport.is_closing():
            raise ConnectionResetError("the caller hung up")
        transport.write(self._text)

    async def write_eof(self, data: bytes = b"") -> None:
        """Nothing is left to be sent."""


class Connection(web.RequestHandler):
    """A connection whose protocol errors are problem documents too."""

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answer what never became a request, and close."""
        if status >= 500:
            return super().handle_error(request, status, exc, message)
        self.force_close_after()
        response = response_of(Problem(KIND_OF_STATUS.get(status, "bad_request")))
        response.force_close()
        return response

    def force_close_after(self) -> None:
        """Read no further request from here: where one ends is unknown."""
        self.keep_alive(False)


class Refusal(asyncio.Protocol):
    """What one connection too many meets."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Say so and hang up."""
        stream = cast(asyncio.Transport, transport)  # uvloop's is none by inheritance
        problem = Problem("too_many_connections")
        body = problem.body()
        head = [
            "HTTP/1.1 503 Service Unavailable",
            f"Content-Type: {CONTENT_TYPE}",
            f"Content-Length: {len(body)}",
            "Connection: close",
            *(f"{name}: {value}" for name, value in problem.all_headers().items()),
        ]
        stream.write("\r\n".join(head).encode() + b"\r\n\r\n" + body)
        stream.close()


class Listener(web.TCPSite):
    """A listening socket that holds at most so many connections.

    With ``reuse_port`` other processes may listen on the same port, and each connection is one's.
    """

    def __init__(
        self,
        runner: web.BaseRunner,
        host: str,
        port: int,
        *,
        max_connections: int,
        stream_count: Callable[[], int] = lambda: 0,
        reuse_port: bool = False,
        **connection_options: Any,
    ) -> None:
        super().__init__(runner, host, port, backlog=BACKLOG, reuse_port=reuse_port)
        self._max_connections = max_connections
        self._stream_count = stream_count
        self._options = connection_options

    def connection_count(self) -> int:
        """How many are open; those that have become streams have a limit of their own."""
        server = self._runner.server
        return 0 if server is None else len(server.connections) - self._stream_count()

    def _connection(self) -> asyncio.Protocol:
        if self.connection_count() >= self._max_connections:
            return Refusal()
        server = cast(web.Server, self._runner.server)  # set before a site can be made
        return Connection(server, loop=asyncio.get_running_loop(), **self._options)

    async def start(self) -> None:
        """Listen."""
        await web.BaseSite.start(self)
        self._server = await asyncio.get_running_loop().create_server(
            self._connection,
            self._host,
            self._port,
            backlog=self._backlog,
            reuse_port=self._reuse_port,
        )
        self._bound_port = self._server.sockets[0].getsockname()[1]
