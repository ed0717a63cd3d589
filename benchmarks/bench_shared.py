"""The service over a state that processes share, beside the same service over its own.

    python benchmarks/bench_shared.py [--zones 10000] [--rounds 3] [--only valkey ...]

Every arrangement gets the same fixes in posts of 500, closed, through the lean door, then single
pings at a low rate; rounds take the arrangements in turn. All of it shares the machine: services,
servers, the load. What counts beside the clock is the processor time of each, for every ping.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import keeping
import numpy as np
from http_load import Found, Job, run
from posting import Phase, Workload, expected, told
from revision import commit
from serving import Served, served

RESULTS = Path(__file__).parent / "results" / "shared.md"
POST = 500
PATIENCE_S = 120.0  # for posts that have no time limit but their number
EMBEDDED = "embedded"


@dataclass(frozen=True)
class Arrangement:
    """Where the state is, and how many processes serve."""

    name: str
    place: keeping.Place
    services: int = 1  # each on a port of its own, with its share of the connections
    workers: int = 1  # of each service, on one port, with whatever the kernel gives each


ARRANGEMENTS = (
    Arrangement(EMBEDDED, keeping.embedded),
    Arrangement("Valkey, one process", keeping.alone("valkey")),
    Arrangement("Valkey, two processes", keeping.alone("valkey"), services=2),
    Arrangement("Valkey, two workers on a port", keeping.alone("valkey"), workers=2),
    Arrangement("Redis 7.0, one process", keeping.alone("redis")),
    Arrangement("Cluster of 3+3, one process", keeping.cluster),
)


@dataclass
class Run:
    """What one arrangement did with one load."""

    found: Found
    size: int
    service_s: float
    server_s: float

    @property
    def pings(self) -> int:
        """Pings acknowledged."""
        return self.found.statuses[200] * self.size

    @property
    def per_s(self) -> float:
        """Pings acknowledged a second."""
        return self.pings / self.found.seconds

    def each_us(self, spent_s: float) -> float:
        """Microseconds for a ping."""
        return 1e6 * spent_s / max(self.pings, 1)

    def latency_ms(self, percent: float) -> float:
        """From when a request was due to when its answer was read."""
        return float(np.percentile(self.found.latencies_ms, percent))


@dataclass
class Runs:
    """What one arrangement did, a run a round."""

    posts: list[Run]
    singles: list[Run]
    event_count: int = 0
    wrong: int = 0  # events told too many or too few


class Session:
    """Services over one state, and their loads; what was told is kept, to be checked at the end."""

    def __init__(
        self, services: list[Served], keep: keeping.Keep, workload: Workload, *, lanes: int
    ) -> None:
        self._services, self._keep, self._workload = services, keep, workload
        self._lanes = lanes
        self._at = 0
        self._accepted: list[int] = []
        self._told: set[str] = set()

    def load(self, count: int, seconds: float, *, size: int, rate: float = 0.0) -> Run:
        """The next ``count`` fixes in posts of ``size``."""
        phase = Phase.of(self._workload, self._at, self._at + count, lanes=self._lanes, size=size)
        self._at += count
        ports = tuple(service.ingest_port for service in self._services)
        load = run(Job(ports, phase.requests, seconds, rate, is_awake=False))
        next(load)
        before = self._spent()
        found = next(load)
        assert found is not None
        after = self._spent()
        self._accepted += phase.accepted(found)
        self._told |= told(found.told)
        return Run(found, size, after[0] - before[0], after[1] - before[1])

    def check(self, runs: Runs) -> None:
        """Whether the answers told what a replay of the accepted fixes tells."""
        right = expected(self._workload, self._accepted)
        runs.event_count += len(right)
        runs.wrong += len(right ^ self._told)

    def _spent(self) -> tuple[float, float]:
        return sum(service.cpu_s() for service in self._services), self._keep.cpu_s()


def measure(
    arrangement: Arrangement, folder: Path, options: argparse.Namespace, runs: Runs
) -> None:
    """Every device once; then posts, as fast as may be; then single pings at a low rate."""
    singles = int(options.rate * options.seconds)
    workload = Workload.make(  # anew each time: fixes have to be fresh
        folder,
        zone_count=options.zones,
        devices=options.devices,
        count=options.devices + options.fixes + singles,
    )
    with ExitStack() as stack:
        keep = stack.enter_context(arrangement.place(folder / "state"))
        workers = ("--workers", str(arrangement.workers))
        services = [
            stack.enter_context(served(workload.config, keep.state, options=workers))
            for _ in range(arrangement.services)
        ]
        session = Session(services, keep, workload, lanes=options.lanes)
        session.load(options.devices, PATIENCE_S, size=POST)
        if options.profile:
            said = ", ".join(str(service.child.pid) for service in services)
            print(f"{arrangement.name}: the services are {said}", flush=True)
        runs.posts.append(session.load(options.fixes, PATIENCE_S, size=POST))
        runs.singles.append(session.load(singles, options.seconds, size=1, rate=options.rate))
        session.check(runs)


def page(found: dict[str, Runs], options: argparse.Namespace) -> str:
    """The results."""
    lines = [
        "# The shared state beside the embedded one",
        "",
        f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {platform.machine()}, {os.cpu_count()} cores "
        f"shared with others (load average {os.getloadavg()[0]:.1f} at the end), Python "
        f"{platform.python_version()}, commit {commit()}; `python benchmarks/bench_shared.py "
        f"--zones {options.zones} --devices {options.devices} --fixes {options.fixes} "
        f"--lanes {options.lanes} --rounds {options.rounds}`. Services, servers and the load share "
        "the cores; every commit is synced before it is acknowledged, everywhere.",
        "",
        f"## Posts of {POST}",
        "",
        "| state | pings/s on the clock: best | median | of embedded, by medians "
        "| µs of processor a ping: services | servers | load | services beside embedded |",
        "|---|--:|--:|--:|--:|--:|--:|--:|",
        *(_posts_row(name, runs, found.get(EMBEDDED)) for name, runs in found.items()),
        "",
        f"## Single pings, {options.rate:g} a second",
        "",
        "| state | p50 ms: best | median | p99 ms: best | median "
        "| µs of processor a ping: services | servers |",
        "|---|--:|--:|--:|--:|--:|--:|",
        *(_singles_row(name, runs) for name, runs in found.items()),
        "",
        f"Events told: {sum(runs.event_count for runs in found.values()):,} expected of the "
        f"accepted fixes, {sum(runs.wrong for runs in found.values())} wrong; "
        f"{sum(_refused(runs) for runs in found.values())} requests not answered with 200.",
        "",
    ]
    return "\n".join(lines)


def _posts_row(name: str, runs: Runs, embedded: Runs | None) -> str:
    middle = statistics.median(one.per_s for one in runs.posts)
    service_us, server_us, load_us = (
        statistics.median(one.each_us(spent_s(one)) for one in runs.posts)
        for spent_s in (
            lambda one: one.service_s,
            lambda one: one.server_s,
            lambda one: one.found.cpu_s,
        )
    )
    share = times = ""
    if embedded:
        share = f"{middle / statistics.median(one.per_s for one in embedded.posts):.0%}"
        own_us = statistics.median(one.each_us(one.service_s) for one in embedded.posts)
        times = f"{service_us / own_us:.1f} times"
    return (
        f"| {name} | {max(one.per_s for one in runs.posts):,.0f} | {middle:,.0f} | {share} "
        f"| {service_us:.1f} | {server_us:.1f} | {load_us:.1f} | {times} |"
    )


def _singles_row(name: str, runs: Runs) -> str:
    p50, p99 = ([one.latency_ms(percent) for one in runs.singles] for percent in (50, 99))
    service_us = statistics.median(one.each_us(one.service_s) for one in runs.singles)
    server_us = statistics.median(one.each_us(one.server_s) for one in runs.singles)
    return (
        f"| {name} | {min(p50):.1f} | {statistics.median(p50):.1f} | {min(p99):.1f} "
        f"| {statistics.median(p99):.1f} | {service_us:,.0f} | {server_us:,.0f} |"
    )


def _refused(runs: Runs) -> int:
    every = runs.posts + runs.singles
    return sum(sum(one.found.statuses.values()) - one.found.statuses[200] for one in every)


def main() -> None:
    """Measure and write the page."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])  # type: ignore[union-attr]
    parser.add_argument("--zones", type=int, default=10_000)
    parser.add_argument("--devices", type=int, default=50_000)
    parser.add_argument("--fixes", type=int, default=200_000)
    parser.add_argument(
        "--lanes", type=int, default=16, help="Connections, a post under way on each."
    )
    parser.add_argument("--rate", type=float, default=200.0)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", nargs="+", default=[""], help="Arrangements whose name has this.")
    parser.add_argument("--profile", action="store_true", help="Say which processes to look into.")
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()
    wanted = [each for each in ARRANGEMENTS if any(part in each.name for part in options.only)]
    found = {each.name: Runs([], []) for each in wanted}
    for number in range(options.rounds):
        for each in wanted:
            began_s = time.monotonic()
            with tempfile.TemporaryDirectory() as name:
                measure(each, Path(name), options, found[each.name])
            posts = found[each.name].posts[-1]
            print(
                f"round {number + 1}, {each.name}: {posts.per_s:,.0f} pings/s, "
                f"took {time.monotonic() - began_s:.0f} s",
                flush=True,
            )
        options.out.write_text(page(found, options), "utf-8")
    print(options.out.read_text("utf-8"))


if __name__ == "__main__":
    main()
