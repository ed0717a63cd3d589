"""A load generator that costs less than what it loads: prebuilt bytes over keep-alive connections.

It runs in a process of its own. Each *lane* is a connection with one request outstanding. A closed
load sends the next request with every answer; an open one sends on schedule, whatever the answers
do: a request that is due waits for a free lane, and its lateness counts from when it was due.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import uvloop

NOTHING = b'"events":[]'
PATIENCE_S = 10.0


@dataclass
class Found:
    """What one run found; arrays have a row an answer, in the order in which they came."""

    seconds: float = 0.0
    cpu_s: float = 0.0  # of the generator
    statuses: Counter[int] = field(default_factory=Counter)
    latencies_ms: Any = None
    told: list[bytes] = field(default_factory=list)  # bodies of 200s that hold events
    taken: list[int] = field(default_factory=list)  # numbers of the requests answered with 200
    timeline: list[tuple[float, int, int]] = field(default_factory=list)  # second, 200s, others
    broken: int = 0  # connections that the service closed
    unsent: int = 0  # requests that were due when the time was up


class Lane(asyncio.Protocol):
    """One connection: sends what it is given, tells when the answer is whole."""

    def __init__(self, on_answer: Callable[[Lane, int, bytes], None], found: Found) -> None:
        self._on_answer = on_answer
        self._found = found
        self._buffer = b""
        self._last = b""  # the last whole answer that came in one piece: most are the same
        self.number = -1  # of the request under way; -1 is none
        self.due_s = 0.0
        self.transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ready."""
        self.transport = transport

    def connection_lost(self, _error: Exception | None) -> None:
        """A lane lost is counted, with what was under way."""
        self._found.broken += self.number >= 0
        self.number = -1

    def send(self, number: int, request: bytes, due_s: float) -> None:
        """Send a request."""
        self.number, self.due_s = number, due_s
        self.transport.write(request)

    def data_received(self, data: bytes) -> None:
        """Part of an answer, or all of it."""
        if data == self._last and not self._buffer:
            self._on_answer(self, 200, b"")
            return
        self._buffer += data
        head, mark, body = self._buffer.partition(b"\r\n\r\n")
        if not mark:
            return
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        if len(body) < length:
            return
        status = int(head[9:12])
        if status == 200 and NOTHING in body:
            self._last, body = self._buffer, b""
        self._buffer = b""
        self._on_answer(self, status, body)


@dataclass
class Job:
    """A load: for each lane its own requests, in order; ``rate`` a second, or closed if 0.

    Lanes take the ports in turn. ``is_awake`` takes a core whether or not there is something to do.
    """

    ports: tuple[int, ...]
    requests: list[list[bytes]]
    seconds: float
    rate: float = 0.0
    is_awake: bool = True


def run(job: Job) -> Iterator[Found | None]:
    """Run a load in a process of its own: yields None once it has begun, then what it found."""
    context = multiprocessing.get_context("fork")
    here, there = context.Pipe()
    child = context.Process(target=_child, args=(job, there))
    child.start()
    here.recv()
    yield None
    found = here.recv()
    child.join()
    yield found


def _child(job: Job, pipe: Any) -> None:
    pipe.send(uvloop.run(_load(job, pipe)))


async def _load(job: Job, pipe: Any) -> Found:
    load = _Load(job)
    await load.connect()
    # Whoever writes to a process asleep has to wake it, which on a virtual machine costs the writer
    # several times the write, and of which a client beyond a network is innocent: stay awake.
    awake = asyncio.create_task(_stay_awake()) if job.is_awake else None
    pipe.send(None)
    found = await load.run()
    if awake:
        awake.cancel()
    return found


async def _stay_awake() -> None:
    loop, turn = asyncio.get_running_loop(), asyncio.Event()
    while True:
        turn.clear()
        loop.call_soon(turn.set)
        await turn.wait()


class _Load:
    def __init__(self, job: Job) -> None:
        self._job = job
        self._found = Found()
        self._latencies_s: list[float] = []
        self._next = [0] * len(job.requests)  # of each lane, which request comes next
        self._width = len(job.requests)
        self._until_s = 0.0
        self._second = [0, 0]
        self._due: list[deque[float]] = [deque() for _ in job.requests]  # of each lane, when

    async def connect(self) -> None:
        loop = asyncio.get_running_loop()
        answered = self._open if self._job.rate else self._closed
        ports = self._job.ports
        pairs = [
            await loop.create_connection(
                lambda: Lane(answered, self._found), "127.0.0.1", ports[ix % len(ports)]
            )
            for ix in range(self._width)
        ]
        self._lanes = [lane for _, lane in pairs]
        self._lane_ix = {id(lane): ix for ix, lane in enumerate(self._lanes)}

    async def run(self) -> Found:
        found = self._found
        began_s, began_cpu_s = time.perf_counter(), time.process_time()
        self._until_s = began_s + self._job.seconds
        keeping_time = asyncio.create_task(self._keep_time(began_s))
        if self._job.rate:
            await self._on_schedule(began_s)
        else:
            for ix in range(self._width):
                self._send(ix, began_s)
            await self._quiet()
        found.seconds = time.perf_counter() - began_s
        found.cpu_s = time.process_time() - began_cpu_s
        keeping_time.cancel()
        found.unsent = sum(map(len, self._due))
        found.latencies_ms = np.array(self._latencies_s) * 1e3
        return found

    def _send(self, ix: int, due_s: float) -> None:
        """The next request of a lane, unless the time is up or there is none left."""
        at, requests = self._next[ix], self._job.requests[ix]
        if at < len(requests) and time.perf_counter() < self._until_s:
            self._next[ix] = at + 1
            self._lanes[ix].send(at * self._width + ix, requests[at], due_s)

    def _closed(self, lane: Lane, status: int, body: bytes) -> None:
        ix = self._note(lane, status, body)
        self._send(ix, time.perf_counter())

    def _open(self, lane: Lane, status: int, body: bytes) -> None:
        ix = self._note(lane, status, body)
        if self._due[ix]:
            self._send(ix, self._due[ix].popleft())

    def _note(self, lane: Lane, status: int, body: bytes) -> int:
        found = self._found
        self._latencies_s.append(time.perf_counter() - lane.due_s)
        found.statuses[status] += 1
        self._second[status != 200] += 1
        if status == 200:
            found.taken.append(lane.number)
            if body:
                found.told.append(body)
        lane.number = -1
        return self._lane_ix[id(lane)]

    async def _on_schedule(self, began_s: float) -> None:
        """Requests in turn from all lanes, each when it is due or as soon as its lane is free."""
        sent, rate = 0, self._job.rate
        while (now_s := time.perf_counter()) < self._until_s:
            for turn in range(sent, int((now_s - began_s) * rate)):
                ix, due_s = turn % self._width, began_s + turn / rate
                if self._due[ix] or self._lanes[ix].number >= 0:
                    self._due[ix].append(due_s)
                else:
                    self._send(ix, due_s)
            sent = max(sent, int((now_s - began_s) * rate))
            await asyncio.sleep(0.0005)
        await self._quiet()

    async def _quiet(self) -> None:
        """Until nothing is under way any more, or nothing comes for long."""
        until_s = time.perf_counter() + self._job.seconds + PATIENCE_S
        while any(lane.number >= 0 for lane in self._lanes):
            await asyncio.sleep(0.005)
            if time.perf_counter() > until_s:
                return

    async def _keep_time(self, began_s: float) -> None:
        while True:
            await asyncio.sleep(1.0)
            self._found.timeline.append((time.perf_counter() - began_s, *self._second))
            self._second = [0, 0]
