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
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from arrangements import (
    ARRANGEMENTS,
    EMBEDDED,
    PATIENCE_S,
    POST,
    WARM_ROUNDS,
    Arrangement,
    Run,
    arranged,
)
from posting import Workload
from revision import commit

RESULTS = Path(__file__).parent / "results" / "shared.md"


@dataclass
class Runs:
    """What one arrangement did, a run a round."""

    posts: list[Run] = field(default_factory=list)
    singles: list[Run] = field(default_factory=list)
    event_count: int = 0
    wrong: int = 0  # events told too many or too few


def measure(
    arrangement: Arrangement, folder: Path, options: argparse.Namespace, runs: Runs
) -> None:
    """Every device a few times; then posts, as fast as may be; then single pings at a low rate."""
    singles = int(options.rate * options.seconds)
    workload = Workload.make(  # anew each time: fixes have to be fresh
        folder,
        zone_count=options.zones,
        devices=options.devices,
        count=WARM_ROUNDS * options.devices + options.fixes + singles,
    )
    with arranged(arrangement, folder, workload, options.lanes) as session:
        session.load(WARM_ROUNDS * options.devices, PATIENCE_S, size=POST)
        if options.profile:
            pids = [service.child.pid for service in session.services]
            print(
                f"look: py-spy record --gil -r 200 -o profile.svg -p PID, with {pids}", flush=True
            )
        runs.posts.append(session.load(options.fixes, PATIENCE_S, size=POST))
        runs.singles.append(session.load(singles, options.seconds, size=1, rate=options.rate))
        event_count, wrong = session.check()
        runs.event_count += event_count
        runs.wrong += wrong


def page(found: dict[str, Runs], options: argparse.Namespace) -> str:
    """The results."""
    every = [one for runs in found.values() for one in runs.posts + runs.singles]
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
        "| state | pings/s on the clock: best | median | of embedded, by medians | transitions "
        "| µs of processor a ping: services | servers | load | services beside embedded "
        "| others took of the machine |",
        "|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|",
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
        f"{sum(one.refused for one in every)} requests not answered with 200.",
        "",
    ]
    return "\n".join(lines)


def _posts_row(name: str, runs: Runs, embedded: Runs | None) -> str:
    middle = _median(runs.posts, lambda one: one.per_s)
    service_us = _median(runs.posts, _service_us)
    server_us = _median(runs.posts, lambda one: 1e6 * one.each(one.spent.server_s))
    load_us = _median(runs.posts, lambda one: 1e6 * one.each(one.found.cpu_s))
    changes = _median(runs.posts, lambda one: one.each(one.spent.transitions))
    others = [one.others for one in runs.posts]
    share = times = ""
    if embedded:
        share = f"{middle / _median(embedded.posts, lambda one: one.per_s):.0%}"
        times = f"{service_us / _median(embedded.posts, _service_us):.1f} times"
    return (
        f"| {name} | {max(one.per_s for one in runs.posts):,.0f} | {middle:,.0f} | {share} "
        f"| {changes:.2%} | {service_us:.1f} | {server_us:.1f} | {load_us:.1f} | {times} "
        f"| {min(others):.0%} to {max(others):.0%} |"
    )


def _singles_row(name: str, runs: Runs) -> str:
    p50, p99 = ([one.latency_ms(percent) for one in runs.singles] for percent in (50, 99))
    server_us = _median(runs.singles, lambda one: 1e6 * one.each(one.spent.server_s))
    return (
        f"| {name} | {min(p50):.1f} | {statistics.median(p50):.1f} | {min(p99):.1f} "
        f"| {statistics.median(p99):.1f} | {_median(runs.singles, _service_us):,.0f} "
        f"| {server_us:,.0f} |"
    )


def _service_us(one: Run) -> float:
    return 1e6 * one.each(one.spent.service_s)


def _median(runs: list[Run], figure: Callable[[Run], float]) -> float:
    return statistics.median(map(figure, runs))


def main() -> None:
    """Measure and write the page."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])  # type: ignore[union-attr]
    parser.add_argument("--zones", type=int, default=10_000)
    parser.add_argument("--devices", type=int, default=50_000)
    parser.add_argument("--fixes", type=int, default=100_000)
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
    found = {each.name: Runs() for each in wanted}
    for number in range(options.rounds):
        for each in wanted:
            began_s = time.monotonic()
            with tempfile.TemporaryDirectory() as name:
                measure(each, Path(name), options, found[each.name])
            posts = found[each.name].posts[-1]
            print(
                f"round {number + 1}, {each.name}: {posts.per_s:,.0f} pings/s, "
                f"others took {posts.others:.0%}, all of it {time.monotonic() - began_s:.0f} s",
                flush=True,
            )
        options.out.write_text(page(found, options), "utf-8")
    print(options.out.read_text("utf-8"))


if __name__ == "__main__":
    main()
