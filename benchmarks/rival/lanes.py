"""Requests over many connections at once, one outstanding on each: the load for both engines.

A request is bytes made beforehand, and may hold several commands: that is pipelining. Each lane
sends its own requests in order, so what one device reports stays in order.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from geoengine.core.columns import Fixes

IsWhole = Callable[[bytes, int], bool]  # what has come so far, commands in the request


@dataclass(frozen=True, slots=True)
class Request:
    """Bytes to send, and how many commands they hold."""

    wire: bytes
    command_count: int = 1


@dataclass
class Sent:
    """How it went: wall seconds from the first request to the last answer, and the answers."""

    seconds: float = 0.0
    answers: list[bytes] = field(default_factory=list)


class LaneBroken(Exception):
    """A connection ended before its answer was whole."""


async def send(
    port: int, lanes: Sequence[Sequence[Request]], is_whole: IsWhole, *, is_closing: bool = False
) -> Sent:
    """Send every lane's requests over loopback; ``is_closing`` takes a connection for each.

    Raises `LaneBroken`.
    """
    sent = Sent()
    running = [] if is_closing else [_Lane(each, is_whole, sent.answers) for each in lanes]
    for lane in running:
        await lane.open(port)
    began_s = time.perf_counter()
    if is_closing:
        await asyncio.gather(*(_anew(port, each, is_whole, sent.answers) for each in lanes))
    else:
        await asyncio.gather(*(lane.run() for lane in running))
    sent.seconds = time.perf_counter() - began_s
    return sent


async def _anew(
    port: int, requests: Sequence[Request], is_whole: IsWhole, answers: list[bytes]
) -> None:
    """A connection for each request."""
    for request in requests:
        lane = _Lane([request], is_whole, answers)
        await lane.open(port)
        await lane.run()


class _Lane(asyncio.Protocol):
    """A connection and what it sends, a request after each answer."""

    def __init__(
        self, requests: Sequence[Request], is_whole: IsWhole, answers: list[bytes]
    ) -> None:
        self._requests = requests
        self._is_whole = is_whole
        self._answers = answers
        self._at = 0
        self._buffer = b""
        self._transport: asyncio.WriteTransport
        self._done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def open(self, port: int) -> None:
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.create_connection(lambda: self, "127.0.0.1", port)

    async def run(self) -> None:
        """Send everything; returns with the last answer."""
        self._send()
        await self._done
        self._transport.close()

    def _send(self) -> None:
        if self._at < len(self._requests):
            self._transport.write(self._requests[self._at].wire)
        else:
            self._done.set_result(None)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if self._is_whole(self._buffer, self._requests[self._at].command_count):
            self._answers.append(self._buffer)
            self._buffer = b""
            self._at += 1
            self._send()

    def connection_lost(self, error: Exception | None) -> None:
        if not self._done.done():
            self._done.set_exception(LaneBroken(f"{len(self._buffer)} bytes of an answer: {error}"))


def by_device(fixes: Fixes, lane_count: int) -> list[Fixes]:
    """The fixes parted by device, so that a device's stay in order on one connection."""
    lane_of = {device: ix % lane_count for ix, device in enumerate(dict.fromkeys(fixes.device_ids))}
    lane = np.fromiter(map(lane_of.__getitem__, fixes.device_ids), np.int64, len(fixes))
    return [fixes.take(np.flatnonzero(lane == ix)) for ix in range(lane_count)]


def is_http(buffer: bytes, _command_count: int) -> bool:
    """Whether an answer with a Content-Length is whole."""
    head, mark, body = buffer.partition(b"\r\n\r\n")
    if not mark:
        return False
    length = head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0]
    return len(body) >= int(length)


def http_post(path: str, body: bytes) -> bytes:
    """A request over HTTP."""
    head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body
