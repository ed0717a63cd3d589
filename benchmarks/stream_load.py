"""WebSocket clients that cost less than what they load: prebuilt frames over bare sockets.

They run in a process of their own. The mask of a client's frames is all zeros: the server undoes it
all the same, and the client need not do it.
"""

from __future__ import annotations

import asyncio
import base64
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

WINDOW = 4  # messages under way on a connection
PATIENCE_S = 10.0
AT_ONCE = 200  # connections being opened
PING, PONG = 0x9, b"\x8a\x80\0\0\0\0"


def framed(text: bytes) -> bytes:
    """A text as a client's frame."""
    size = len(text)
    if size < 126:
        return bytes((0x81, 0x80 | size)) + bytes(4) + text
    if size < 65_536:
        return bytes((0x81, 0x80 | 126)) + size.to_bytes(2, "big") + bytes(4) + text
    return bytes((0x81, 0x80 | 127)) + size.to_bytes(8, "big") + bytes(4) + text


class Lane(asyncio.Protocol):
    """One connection: a handshake, then frames out and texts in."""

    def __init__(self, on_text: Callable[[Lane, bytes], None]) -> None:
        self._on_text = on_text
        self._buffer = b""
        self.is_open = asyncio.get_running_loop().create_future()
        self.transport: Any = None
        self.ping_count = 0
        self.is_lost = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask for a stream."""
        self.transport = transport
        key = base64.b64encode(os.urandom(16)).decode()
        self.transport.write(
            f"GET /v1/stream HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\n"
            f"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}"
            f"\r\n\r\n".encode()
        )

    def connection_lost(self, _error: Exception | None) -> None:
        """The service has closed it."""
        self.is_lost = True
        if not self.is_open.done():
            self.is_open.set_exception(ConnectionError("no stream"))

    def data_received(self, data: bytes) -> None:
        """The end of the handshake, or frames, or parts of them."""
        self._buffer += data
        if not self.is_open.done():
            head, mark, rest = self._buffer.partition(b"\r\n\r\n")
            if not mark:
                return
            assert head.startswith(b"HTTP/1.1 101"), head
            self._buffer = rest
            self.is_open.set_result(None)
        while self._frame():
            pass

    def _frame(self) -> bool:
        buffer = self._buffer
        if len(buffer) < 2:
            return False
        size, start = buffer[1], 2
        if size >= 126:
            start = 4 if size == 126 else 10
            if len(buffer) < start:
                return False
            size = int.from_bytes(buffer[2:start], "big")
        if len(buffer) < start + size:
            return False
        kind, text = buffer[0] & 15, buffer[start : start + size]
        self._buffer = buffer[start + size :]
        if kind == PING:
            self.ping_count += 1
            self.transport.write(PONG)
        else:
            self._on_text(self, text)
        return True


async def opened(port: int, count: int, on_text: Callable[[Lane, bytes], None]) -> list[Lane]:
    """So many streams."""
    loop, lanes = asyncio.get_running_loop(), []
    while len(lanes) < count:
        some = min(AT_ONCE, count - len(lanes))
        made = await asyncio.gather(
            *(loop.create_connection(lambda: Lane(on_text), "127.0.0.1", port) for _ in range(some))
        )
        lanes += [lane for _, lane in made]
        await asyncio.gather(*(lane.is_open for lane in lanes[-some:]))
    return lanes


@dataclass
class Found:
    """What a load found."""

    seconds: float = 0.0
    cpu_s: float = 0.0  # of the generator
    acked: int = 0
    nacked: int = 0
    lost: int = 0
    latencies_ms: list[float] = field(default_factory=list)
    told: list[bytes] = field(default_factory=list)  # acknowledgements that hold events
    taken: list[tuple[int, int]] = field(default_factory=list)  # lane and message acknowledged


@dataclass
class Job:
    """A load: for each lane its own messages, in order; so many a second, or as fast as acked."""

    port: int
    messages: list[list[bytes]]
    seconds: float
    rate: float = 0.0


class Load:
    """Messages on lanes, a few under way on each."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._found = Found()
        self._sent: dict[Lane, list[float]] = {}  # when each message was due
        self._ix: dict[Lane, int] = {}
        self._acked: dict[Lane, int] = {}
        self._until_s = 0.0

    async def run(self) -> Found:
        """Run it."""
        job, found = self._job, self._found
        self._lanes = await opened(job.port, len(job.messages), self._heard)
        for ix, lane in enumerate(self._lanes):
            self._ix[lane], self._sent[lane], self._acked[lane] = ix, [], 0
        began_s, began_cpu_s = time.perf_counter(), time.process_time()
        self._until_s = began_s + job.seconds
        if job.rate:
            await self._on_schedule(began_s)
        else:
            for lane in self._lanes:
                for _ in range(WINDOW):
                    self._send(lane, time.perf_counter())
        await self._quiet()
        found.seconds = time.perf_counter() - began_s
        found.cpu_s = time.process_time() - began_cpu_s
        found.lost = sum(lane.is_lost for lane in self._lanes)
        for lane in self._lanes:
            lane.transport.abort()
        return found

    def _send(self, lane: Lane, due_s: float) -> None:
        sent, messages = self._sent[lane], self._job.messages[self._ix[lane]]
        if len(sent) < len(messages) and time.perf_counter() < self._until_s:
            lane.transport.write(messages[len(sent)])
            sent.append(due_s)

    def _heard(self, lane: Lane, text: bytes) -> None:
        found = self._found
        if text.startswith(b'{"event"'):
            found.told.append(text)
            return
        number = int(text.partition(b":")[2].partition(b",")[0]) - 1
        self._acked[lane] += 1
        found.latencies_ms.append((time.perf_counter() - self._sent[lane][number]) * 1e3)
        if text.startswith(b'{"ack"'):
            found.acked += 1
            found.taken.append((self._ix[lane], number))
            if b'"events":[]' not in text:
                found.told.append(text)
        else:
            found.nacked += 1
        if not self._job.rate:
            self._send(lane, time.perf_counter())

    async def _on_schedule(self, began_s: float) -> None:
        sent, lanes = 0, self._lanes
        while (now_s := time.perf_counter()) < self._until_s:
            due = int((now_s - began_s) * self._job.rate)
            for turn in range(sent, due):
                self._send(lanes[turn % len(lanes)], began_s + turn / self._job.rate)
            sent = due
            await asyncio.sleep(0.001)

    async def _quiet(self) -> None:
        until_s = time.perf_counter() + self._job.seconds + PATIENCE_S
        while any(self._acked[lane] < len(self._sent[lane]) for lane in self._lanes):
            await asyncio.sleep(0.005)
            if time.perf_counter() > until_s:
                return
