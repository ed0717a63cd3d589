"""A proxy between a client and a server that loses, delays or withholds what passes.

It knows where each request and each reply ends, so that in a pipeline the replies before the lost
one arrive and those after it do not, as on a connection that breaks at that moment.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Coroutine
from dataclasses import dataclass, field
from typing import Any, Literal

_NESTED = {b"*": 1, b"~": 1, b">": 1, b"%": 2}  # values that follow, for each that is announced
_BULKS = (b"$", b"=", b"!")
_PUSH = b">"  # out of band: answers nothing


class Splitter:
    """Cuts a stream of RESP into its values, requests or replies alike."""

    def __init__(self) -> None:
        self._received = bytearray()

    def split(self, received: bytes) -> list[bytes]:
        """The values that are complete now; the rest is kept until more arrives."""
        self._received += received
        values, start = [], 0
        while (end := self._end_of_value(start)) is not None:
            values.append(bytes(self._received[start:end]))
            start = end
        del self._received[:start]
        return values

    def _end_of_value(self, at: int) -> int | None:
        missing = 1
        while missing:
            if (line_end := self._received.find(b"\r\n", at)) < 0:
                return None
            kind = bytes(self._received[at : at + 1])
            missing -= 1
            at, announced = line_end + 2, self._received[at + 1 : line_end]
            if kind in _NESTED:
                missing += max(0, int(announced)) * _NESTED[kind]
            elif kind in _BULKS and int(announced) >= 0:
                at += int(announced) + 2
        return at if at <= len(self._received) else None


@dataclass
class Loss:
    """What is to be lost next, and whether it was."""

    pattern: bytes
    what: Literal["request", "reply"]
    happened: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass(eq=False)
class _Connection:
    """A client's connection and its way on."""

    proxy: Proxy
    to_client: asyncio.StreamWriter
    to_server: asyncio.StreamWriter
    asked: int = 0
    answered: int = 0
    loss: Loss | None = None  # of the request that is number `lost`
    lost: int = -1
    progress: asyncio.Event = field(default_factory=asyncio.Event)

    async def pass_requests(self, reader: asyncio.StreamReader) -> None:
        """Until the client hangs up, or a request is lost to which nothing is to be answered."""
        splitter = Splitter()
        while received := await reader.read(65_536):
            await self.proxy.hold()
            for request in splitter.split(received):
                if self.loss is None and (loss := self.proxy.take_loss(request)):
                    self.loss, self.lost = loss, self.asked
                    if loss.what == "request":
                        await self._answered_before_it()
                        loss.happened.set()
                        return
                self.asked += 1
                self.to_server.write(request)
            await self.to_server.drain()

    async def pass_replies(self, reader: asyncio.StreamReader) -> None:
        """Until the server hangs up, or answers what is not to be answered."""
        splitter = Splitter()
        while received := await reader.read(65_536):
            await self.proxy.hold()
            for reply in splitter.split(received):
                is_answer = not reply.startswith(_PUSH)
                if self.loss and is_answer and self.answered == self.lost:
                    await self.to_client.drain()
                    self.loss.happened.set()
                    return
                self.to_client.write(reply)
                self.answered += is_answer
                self.progress.set()
            await self.to_client.drain()

    async def _answered_before_it(self) -> None:
        while self.answered < self.lost:
            self.progress.clear()
            await self.progress.wait()


@dataclass(eq=False)
class Proxy:
    """Listens on ``port`` of loopback; `proxying` makes one."""

    port: int = 0
    delay_s: float = 0.0  # of what arrives at once, either way
    is_passing: asyncio.Event = field(default_factory=asyncio.Event)
    _losses: list[Loss] = field(default_factory=list)
    _serving: set[asyncio.Task[None]] = field(default_factory=set)

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}"

    def drop_reply(self, pattern: bytes) -> asyncio.Event:
        """Let the next request with these bytes be carried out and hang up instead of answering.

        The event comes when the server has answered.
        """
        return self._lose(Loss(pattern, "reply"))

    def drop_request(self, pattern: bytes) -> asyncio.Event:
        """Hang up before the next request with these bytes has reached the server.

        A client cannot tell the two apart.
        """
        return self._lose(Loss(pattern, "request"))

    def black_hole(self) -> None:
        """Hold back everything, and let new connections wait, until `restore`."""
        self.is_passing.clear()

    def restore(self) -> None:
        """Let everything pass at once, what was held back first; forget losses that are due."""
        self.delay_s = 0.0
        self._losses.clear()
        self.is_passing.set()

    def hang_up(self) -> None:
        """Close every connection; new ones are welcome."""
        for task in self._serving:
            task.cancel()

    async def hold(self) -> None:
        """As long as what passes takes."""
        if self.delay_s:
            await asyncio.sleep(self.delay_s)
        await self.is_passing.wait()

    def take_loss(self, request: bytes) -> Loss | None:
        """The first loss that is meant for a request, which is then no longer due."""
        loss = next((loss for loss in self._losses if loss.pattern in request), None)
        if loss:
            self._losses.remove(loss)
        return loss

    def _lose(self, loss: Loss) -> asyncio.Event:
        self._losses.append(loss)
        return loss.happened

    async def serve(
        self, client: asyncio.StreamReader, to_client: asyncio.StreamWriter, target: tuple[str, int]
    ) -> None:
        """A client, until either side hangs up or we are told to."""
        task = asyncio.current_task()
        assert task is not None
        self._serving.add(task)
        writers = [to_client]
        try:
            server, to_server = await asyncio.open_connection(*target)
            writers.append(to_server)
            connection = _Connection(self, to_client, to_server)
            await _first_of(connection.pass_requests(client), connection.pass_replies(server))
        except (OSError, asyncio.CancelledError):
            pass  # nobody awaits this task; what happened is that the connection is gone
        finally:
            self._serving.remove(task)
            for writer in writers:
                writer.close()

    async def close(self) -> None:
        """Hang up, and wait until that is done."""
        serving = list(self._serving)
        self.hang_up()
        await asyncio.gather(*serving)


async def _first_of(*ways: Coroutine[Any, Any, None]) -> None:
    """Run them until the first ends, which ends the others."""
    tasks = [asyncio.create_task(way) for way in ways]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@contextlib.asynccontextmanager
async def proxying(host: str, port: int) -> AsyncIterator[Proxy]:
    """A proxy before a server, in the running loop."""
    proxy = Proxy()
    proxy.restore()
    listener = await asyncio.start_server(
        lambda reader, writer: proxy.serve(reader, writer, (host, port)), "127.0.0.1", 0
    )
    proxy.port = listener.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        listener.close()
        await proxy.close()
        await listener.wait_closed()
