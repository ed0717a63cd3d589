"""The service under load, through both of its doors: rates, latencies, overload, and what is told.

    python benchmarks/bench_service.py [--zones 10000] [--seconds 5] [--rounds 3]

The service is a process of its own with the embedded state on disk and every durable commit synced;
the load comes from another. What counts is the processor time of the service, all its threads: the
machine's other core belongs to the load, and neither is ever ours alone. Each round runs every load
once, floors among them, so that ratios are of runs in alternation. Before it is measured a service
has heard of every device once. Results go to benchmarks/results/service.md.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from http_load import Found, Job, run
from posting import Phase, Workload, expected, told
from revision import commit
from serving import Served, cpu_s, served

RESULTS = Path(__file__).parent / "results" / "service.md"
FLOORS = Path(__file__).parent / "floors.py"
POST = 500
POST_LANES, LANES, OVERLOAD_LANES = 12, 50, 400
STEADY = 2_000.0  # single pings a second, for latencies
TIMES_TOO_MUCH = 3.0


@dataclass
class Run:
    """One load on one server."""

    found: Found
    cpu_s: float
    size: int

    @property
    def answers(self) -> int:
        """Requests answered, with whatever."""
        return sum(self.found.statuses.values())

    @property
    def per_core_s(self) -> float:
        """Pings acknowledged for each second of the server's processor time."""
        return self.found.statuses[200] * self.size / max(self.cpu_s, 1e-9)

    @property
    def per_s(self) -> float:
        """Pings acknowledged a second."""
        return self.found.statuses[200] * self.size / self.found.seconds

    def latency_ms(self, percent: float) -> float:
        """From when a request was due to when its answer was read."""
        return float(np.percentile(self.found.latencies_ms, percent))


@dataclass
class Table:
    """Runs by name, a run a round."""

    runs: dict[str, list[Run]] = field(default_factory=dict)
    overload: list[str] = field(default_factory=list)
    wrong: int = 0  # events told too many or too few, of all runs
    event_count: int = 0

    def add(self, name: str, found: Run) -> Run:
        """Keep a run."""
        self.runs.setdefault(name, []).append(found)
        return found


def loaded(pid: int, port: int, phase: Phase, seconds: float, size: int, rate: float = 0.0) -> Run:
    """Put a load on a server."""
    load = run(Job((port,), phase.requests, seconds, rate))
    next(load)
    before_s = cpu_s(pid)
    found = next(load)
    assert found is not None
    return Run(found, cpu_s(pid) - before_s, size)


@contextmanager
def floor(kind: str) -> Iterator[tuple[int, int]]:
    """A server that does nothing: its process and port."""
    child = subprocess.Popen([sys.executable, str(FLOORS), kind], stdout=subprocess.PIPE)
    assert child.stdout is not None
    try:
        yield child.pid, int(child.stdout.readline())
    finally:
        child.kill()
        child.wait()


class Session:
    """One service and its loads: what was accepted and told is kept, to be checked at the end."""

    def __init__(self, service: Served, port: int, workload: Workload) -> None:
        self._service = service
        self._port = port
        self._workload = workload
        self._at = 0
        self._accepted: list[int] = []
        self._told: set[str] = set()

    def load(self, count: int, seconds: float, *, lanes: int, size: int, rate: float = 0.0) -> Run:
        """The next ``count`` fixes in posts of ``size``, as far as they get."""
        begin, end = self._at, min(self._at + count, len(self._workload.lines))
        phase = Phase.of(self._workload, begin, end, lanes=lanes, size=size)
        found = loaded(self._service.child.pid, self._port, phase, seconds, size, rate)
        self._at = end
        self._accepted += phase.accepted(found.found)
        self._told |= told(found.found.told)
        return found

    def check(self, table: Table) -> None:
        """Whether the answers told what a replay of the accepted fixes tells."""
        right = expected(self._workload, self._accepted)
        table.event_count += len(right)
        table.wrong += len(right ^ self._told)


def rounds(options: argparse.Namespace, folder: Path) -> Table:
    """Every load through every door, round after round."""
    table = Table()
    for number in range(options.rounds):
        # Anew each round: fixes have to be fresh.
        workload = Workload.make(
            folder / f"{number}",
            zone_count=options.zones,
            devices=options.devices,
            count=options.fixes,
        )
        for kind in ("protocol", "aiohttp"):
            floors(kind, workload, options, table)
        for door in ("aiohttp", "lean"):
            name = folder / f"{number}-{door}.db"
            with served(workload.config, name) as service:
                port = service.port if door == "aiohttp" else service.ingest_port
                session = Session(service, port, workload)
                measure(session, door, options, table)
                if number == 0:
                    overload(session, service, door, options, table)
                session.check(table)
    return table


def floors(kind: str, workload: Workload, options: argparse.Namespace, table: Table) -> None:
    """The same loads on a server that does nothing with them."""
    single = Phase.of(workload, 0, options.singles, lanes=LANES, size=1)
    posts = Phase.of(workload, 0, options.posts, lanes=POST_LANES, size=POST)
    with floor(kind) as (pid, port):
        table.add(f"bare {kind}, posts of {POST}", loaded(pid, port, posts, options.seconds, POST))
        table.add(f"bare {kind}, single", loaded(pid, port, single, options.seconds, 1))


def measure(session: Session, door: str, options: argparse.Namespace, table: Table) -> None:
    """Every device once; then posts, single pings as fast as may be, and at a steady rate."""
    session.load(options.devices, 600.0, lanes=POST_LANES, size=POST)
    posts = session.load(options.posts, options.seconds, lanes=POST_LANES, size=POST)
    table.add(f"{door}, posts of {POST}", posts)
    singles = session.load(options.singles, options.seconds, lanes=LANES, size=1)
    table.add(f"{door}, single", singles)
    steady = int(STEADY * options.seconds)
    paced = session.load(steady, options.seconds, lanes=LANES, size=1, rate=STEADY)
    table.add(f"{door}, single, {STEADY:,.0f}/s", paced)


def overload(
    session: Session, service: Served, door: str, options: argparse.Namespace, table: Table
) -> None:
    """Three times the posts it can take, on schedule, whatever the answers are."""
    peak = table.runs[f"{door}, posts of {POST}"][0]
    rate = TIMES_TOO_MUCH * peak.per_s / POST
    memory: list[int] = []
    done = threading.Event()

    def watch() -> None:
        while not done.wait(0.25):
            memory.append(service.memory_bytes() >> 20)

    watching = threading.Thread(target=watch)
    watching.start()
    lanes, seconds = OVERLOAD_LANES, options.seconds
    found = session.load(options.fixes, seconds, lanes=lanes, size=POST, rate=rate)
    done.set()
    watching.join()
    statuses = found.found.statuses
    others = {status: count for status, count in statuses.items() if status not in (200, 429)}
    table.overload.append(
        f"| {door} | {rate * POST:,.0f} | {found.per_s:,.0f} | {found.per_s / peak.per_s:.0%} "
        f"| {found.per_core_s / peak.per_core_s:.0%} | {statuses[429] / found.found.seconds:,.0f} "
        f"| {sum(others.values())} | {found.found.broken} "
        f"| {memory[0]} → {max(memory)} → {memory[-1]} "
        f"| {found.latency_ms(50):.0f} | {found.latency_ms(99):.0f} |"
    )


def page(table: Table, options: argparse.Namespace) -> str:
    """The results."""
    lines = [
        f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {platform.machine()}, {os.cpu_count()} cores "
        f"shared with others (load average {os.getloadavg()[0]:.1f} at the end), Python "
        f"{platform.python_version()}, commit {commit()}; `python benchmarks/bench_service.py "
        f"--zones {options.zones} --devices {options.devices} --seconds {options.seconds:g} "
        f"--rounds {options.rounds}`. Processor time is the service's, all threads.",
        "",
        "| load | pings for a second of processor: best | median | µs a request "
        "| pings/s on the clock | p50 ms | p99 ms | refused |",
        "|---|---|---|---|---|---|---|---|",
        *(_row(name, runs) for name, runs in table.runs.items()),
        "",
        f"At {TIMES_TOO_MUCH:g} times what it took, {OVERLOAD_LANES} connections, on schedule:",
        "",
        "| door | offered pings/s | accepted pings/s | of the peak | of the peak, for a second of "
        "processor | 429/s | other answers | connections lost | MB | p50 ms | p99 ms |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
        *table.overload,
        "",
        f"Events told: {table.event_count:,} expected of the accepted fixes, {table.wrong} wrong.",
        "",
    ]
    return "\n".join(lines)


def _row(name: str, runs: list[Run]) -> str:
    rates = [found.per_core_s for found in runs]
    each_us = min(1e6 * found.cpu_s / max(found.answers, 1) for found in runs)
    clock = statistics.median(found.per_s for found in runs)
    p50, p99 = (min(found.latency_ms(percent) for found in runs) for percent in (50, 99))
    refused = sum(found.answers - found.found.statuses[200] for found in runs)
    return (
        f"| {name} | {max(rates):,.0f} | {statistics.median(rates):,.0f} | {each_us:,.1f} "
        f"| {clock:,.0f} | {p50:.1f} | {p99:.1f} | {refused} |"
    )


def main() -> None:
    """Measure and write the page."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])  # type: ignore[union-attr]
    parser.add_argument("--zones", type=int, nargs="+", default=[1_000, 10_000, 100_000])
    parser.add_argument("--devices", type=int, default=50_000)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=RESULTS)
    asked = parser.parse_args()
    pages = ["# The service under load", ""]
    for count in asked.zones:
        room = int(asked.seconds * 450_000)
        options = argparse.Namespace(
            **vars(asked) | {"zones": count},
            posts=room,
            singles=int(asked.seconds * 60_000),
            fixes=asked.devices + 2 * room + int(asked.seconds * 62_000),
        )
        with tempfile.TemporaryDirectory() as name:
            began_s = time.monotonic()
            table = rounds(options, Path(name))
        pages += [f"## {count:,} zones", "", page(table, options)]
        print(pages[-1], f"took {time.monotonic() - began_s:.0f} s", flush=True)
        asked.out.write_text("\n".join(pages), "utf-8")


if __name__ == "__main__":
    main()
