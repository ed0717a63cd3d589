"""Streams: ten thousand that idle, and fifty that send fifty thousand pings a second.

    python benchmarks/bench_stream.py [--idle 10000] [--seconds 10] [--parts idle steady peak lines]

The service is a process of its own with the embedded state on disk; the load comes from another.
What counts is the processor time of the service, all its threads, beside the clock: the machine's
cores are never ours alone. What the acknowledgements told is checked against a replay of the fixes
that were acknowledged. Results go to benchmarks/results/stream.md.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import os
import platform
import tempfile
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import uvloop
from posting import TOLD, Workload, expected
from revision import commit
from serving import Served, served
from stream_load import Found, Job, Load, framed, opened
from uploading import upload

RESULTS = Path(__file__).parent / "results" / "stream.md"
LANES, SIZE = 50, 250
STEADY = 50_000  # pings a second, over all lanes
IDLE_S, HEARTBEAT_S = 20.0, 30.0
BAR_MB, BAR_PINGS_S = 400, 50_000
PARTS = ("idle", "steady", "peak", "lines")


@contextmanager
def beside(work: Callable[[Any], Coroutine[Any, Any, None]]) -> Iterator[Any]:
    """A process that does something; the pipe to it."""
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe()
    child = context.Process(target=lambda: uvloop.run(work(theirs)))
    child.start()
    try:
        yield ours
    finally:
        child.join()


def idle(service: Served, count: int) -> str:
    """Streams that say nothing: what they hold, and what their heartbeats cost."""

    async def hold(pipe: Any) -> None:
        lanes = await opened(service.port, count, lambda lane, text: None)
        pipe.send(len(lanes))
        while not pipe.poll():  # noqa: ASYNC110 - of another process
            await asyncio.sleep(0.1)
        pipe.send((sum(one.is_lost for one in lanes), sum(one.ping_count for one in lanes)))
        for lane in lanes:
            lane.transport.abort()

    before, before_s, began_s = service.memory_bytes(), service.cpu_s(), time.perf_counter()
    with beside(hold) as pipe:
        pipe.recv()
        took_s, opening_s = time.perf_counter() - began_s, service.cpu_s() - before_s
        before_s = service.cpu_s()
        time.sleep(IDLE_S)
        idle_s, memory = service.cpu_s() - before_s, service.memory_bytes()
        pipe.send(None)
        lost, pings = pipe.recv()
    return (
        f"| {count:,} | {before / 1e6:.0f} → {memory / 1e6:.0f} ({BAR_MB} allowed) "
        f"| {(memory - before) / count / 1e3:.1f} | {opening_s / count * 1e6:.0f} | {took_s:.1f} "
        f"| {idle_s / IDLE_S:.2%} | {pings / IDLE_S:,.0f} | {lost} |"
    )


class Session:
    """One service and its loads: fixes are sent once, in their order."""

    def __init__(self, service: Served, workload: Workload) -> None:
        self._service = service
        self._workload = workload
        self._at = 0
        self._accepted: list[int] = []
        self._told: set[str] = set()

    def load(self, name: str, count: int, seconds: float, rate: float = 0.0) -> str:
        """The next ``count`` fixes in messages, as far as they get; a row of the table."""
        rows = self._rows(count)
        lines = self._workload.lines
        messages = [
            [framed(b"[" + b",".join(lines[ix] for ix in some) + b"]") for some in lane]
            for lane in rows
        ]
        job = Job(self._service.port, messages, seconds, rate / SIZE)

        async def work(pipe: Any) -> None:
            pipe.send(await Load(job).run())

        before_s = self._service.cpu_s()
        with beside(work) as pipe:
            found: Found = pipe.recv()
        cpu_s = self._service.cpu_s() - before_s
        self._accepted += [row for lane, number in found.taken for row in rows[lane][number]]
        self._told |= ids(found.told)
        pings = sum(len(rows[lane][number]) for lane, number in found.taken)
        p50, p99 = np.percentile(found.latencies_ms, (50, 99))
        return (
            f"| {name} | {pings / found.seconds:,.0f} | {pings / cpu_s:,.0f} "
            f"| {cpu_s / pings * 1e6:.1f} | {p50:.1f} | {p99:.1f} | {found.nacked} | {found.lost} "
            f"| {self._service.memory_bytes() / 1e6:.0f} |"
        )

    def lines(self, count: int) -> str:
        """The next ``count`` fixes as one body of lines; a row of the table."""
        begin, end = self._span(count)
        before, before_s = self._service.memory_bytes(), self._service.cpu_s()
        began_s = time.perf_counter()
        found = upload(self._service.port, self._workload.lines[begin:end])
        took_s, cpu_s = time.perf_counter() - began_s, self._service.cpu_s() - before_s
        assert found.done and found.accepted == end - begin, found
        self._accepted += range(begin, end)
        self._told |= ids(found.told)
        return (
            f"| {found.body_bytes / 1e6:.0f} | {end - begin:,} | {found.line_count:,} "
            f"| {(end - begin) / took_s:,.0f} | {(end - begin) / cpu_s:,.0f} "
            f"| {cpu_s / (end - begin) * 1e6:.1f} "
            f"| {before / 1e6:.0f} → {self._service.memory_bytes() / 1e6:.0f} |"
        )

    def _span(self, count: int) -> tuple[int, int]:
        begin, end = self._at, min(self._at + count, len(self._workload.lines))
        self._at = end
        return begin, end

    def _rows(self, count: int) -> list[list[list[int]]]:
        begin, end = self._span(count)
        own: list[list[int]] = [[] for _ in range(LANES)]
        for row, device in enumerate(self._workload.device[begin:end].tolist(), begin):
            own[device % LANES].append(row)
        return [[some[at : at + SIZE] for at in range(0, len(some), SIZE)] for some in own]

    def check(self) -> str:
        """Whether the answers told what a replay of the accepted fixes tells."""
        right = expected(self._workload, self._accepted)
        return f"Events told: {len(right):,} expected, {len(right ^ self._told)} wrong."


def ids(texts: list[bytes]) -> set[str]:
    """Ids of the events that acknowledgements and lines told."""
    found = (event for text in texts for event in json.loads(text).get("events", ()))
    return {event["id"] for event in found if event["type"].removeprefix("geoengine.") in TOLD}


def page(options: argparse.Namespace, rows: dict[str, list[str]]) -> str:
    """The results."""
    lines = [
        "# Streams",
        "",
        f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {platform.machine()}, {os.cpu_count()} cores "
        f"shared with others (load average {options.load} at the start, "
        f"{os.getloadavg()[0]:.1f} at the end), Python {platform.python_version()}, commit "
        f"{commit()}; `python benchmarks/bench_stream.py --idle {options.idle} --seconds "
        f"{options.seconds:g}`. Processor time is the service's, all threads.",
    ]
    if rows.get("idle"):
        lines += [
            "",
            f"Idle, a heartbeat every {HEARTBEAT_S:g} s:",
            "",
            "| streams | resident MB | kB a stream | µs of processor to open one | seconds to open "
            "| of a core while idle | heartbeats/s | lost |",
            "|---|---|---|---|---|---|---|---|",
            *rows["idle"],
        ]
    if rows.get("load"):
        lines += [
            "",
            f"{LANES} connections, messages of {SIZE} pings, 10,000 zones "
            f"({BAR_PINGS_S:,} pings/s asked for):",
            "",
            "| load | pings/s on the clock | pings for a second of processor | µs a ping | p50 ms "
            "| p99 ms | refused | lost | MB |",
            "|---|---|---|---|---|---|---|---|---|",
            *rows["load"],
        ]
    if rows.get("lines"):
        lines += [
            "",
            "One `POST /v1/pings` with a body of lines:",
            "",
            "| MB | pings | lines of progress | pings/s on the clock "
            "| pings for a second of processor | µs a ping | resident MB |",
            "|---|---|---|---|---|---|---|",
            *rows["lines"],
        ]
    return "\n".join([*lines, "", *rows.get("check", []), ""])


def main() -> None:
    """Measure and write the page."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])  # type: ignore[union-attr]
    parser.add_argument("--idle", type=int, default=10_000)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--devices", type=int, default=20_000)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()
    options.load = f"{os.getloadavg()[0]:.1f}"
    rows: dict[str, list[str]] = {}
    steady, peak, lines = int(STEADY * options.seconds), int(120_000 * options.seconds), 300_000
    with tempfile.TemporaryDirectory() as name:
        workload = Workload.make(
            Path(name),
            zone_count=10_000,
            devices=options.devices,
            count=options.devices + steady + peak + lines,
        )
        if "idle" in options.parts:
            with served(workload.config, Path(name) / "idle.db") as service:
                rows["idle"] = [idle(service, options.idle)]
        with served(workload.config, Path(name) / "load.db") as service:
            session = Session(service, workload)
            session.load("every device once", options.devices, 60.0)
            if "steady" in options.parts:
                told = session.load(f"{STEADY:,} pings/s", steady, options.seconds, STEADY)
                rows.setdefault("load", []).append(told)
            if "peak" in options.parts:
                told = session.load("as fast as acknowledged", peak, options.seconds)
                rows.setdefault("load", []).append(told)
            if "lines" in options.parts:
                rows["lines"] = [session.lines(lines)]
            rows["check"] = [session.check()]
    print(page(options, rows))
    options.out.write_text(page(options, rows), "utf-8")


if __name__ == "__main__":
    main()
