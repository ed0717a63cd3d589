"""Tile38 and us over the same seeded workload, in alternation, each on one core.

    make rival
    python benchmarks/bench_tile38.py [--zones 10000] [--fixes 100000] [--rounds 3]

Drives the ``tile38-server`` found on the PATH; where there is none it says so and ends well. Every
run has a server of its own, pinned to one core, while the load comes from another; all pings of a
device go over one connection, in order. Tile38 tells entries and exits to a subscriber, we tell
them in our answers. Both are checked: Tile38 against the difference of sets by brute force, on its
own sphere and on the ellipsoid; we against a replay of the same trace. The exit status is 1 where
ours differ. Results go to benchmarks/results/tile38.md.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import uvloop
from revision import commit
from rival import ours, tile38
from rival.lanes import Request, Sent, by_device, is_http, send
from rival.told import Told, count, wrong
from rival.work import Work, fresh, prepare
from serving import ServiceFailed, cpu_s, served
from workload import trace_lines

from geoengine.core.columns import Fixes

RESULTS = Path(__file__).parent / "results" / "tile38.md"
CORES = sorted(os.sched_getaffinity(0))
SERVER_CORE, LOAD_CORE = 0, 1
FILLING_SHARE = 0.2  # of the pings come before the clock runs: every device is new once


@dataclass(frozen=True)
class Run:
    """One engine, one way of sending, once."""

    seconds: float
    cpu_s: float  # of the server, all its threads
    ping_count: int
    event_count: int
    wrong_count: int
    off_ellipsoid_count: int  # events that the true shape of the Earth would tell otherwise

    @classmethod
    def of(cls, sent: Sent, load: Load, used_s: float, told: Told, truth: Told, plain: Told) -> Run:
        """What was found; ``truth`` is the engine's own rule, ``plain`` the true Earth's."""
        counts = count(told), wrong(told, truth), wrong(told, plain)
        return cls(sent.seconds, used_s, load.ping_count, *counts)

    @property
    def rate(self) -> float:
        """Pings a second of the wall's clock."""
        return self.ping_count / self.seconds

    @property
    def rate_per_core(self) -> float:
        """Pings a second of the server's processor time."""
        return self.ping_count / max(self.cpu_s, 1e-9)


@dataclass(frozen=True)
class Way:
    """A way of sending pings to an engine."""

    name: str
    lane_count: int
    run: Callable[[Work, Way, Path], Run]
    requests: Callable[..., list[Request]]
    is_http: bool = True
    is_closing: bool = False
    is_lean: bool = False  # through our leaner door


@dataclass(frozen=True)
class Load:
    """Each lane's requests: those that fill the tables, then those that are timed."""

    filling: list[list[Request]]
    timed: list[list[Request]]
    ping_count: int  # of the timed ones

    @classmethod
    def of(cls, fixes: Fixes, way: Way, rows_of: Callable[[Fixes], list[Any]]) -> Load:
        """The load of a way: all pings of a device on one lane, in order."""
        filling, timed, ping_count = [], [], 0
        for part in by_device(fixes, way.lane_count):
            rows = rows_of(part)
            start = int(FILLING_SHARE * len(rows))
            filling.append(way.requests(rows[:start]))
            timed.append(way.requests(rows[start:]))
            ping_count += len(rows) - start
        return cls(filling, timed, ping_count)


def run_tile38(work: Work, way: Way, directory: Path) -> Run:
    """A fresh Tile38, its fences, all pings, what its subscriber heard."""
    program = tile38.found()
    assert program is not None
    load = Load.of(work.fixes, way, tile38.rows)
    with (
        pinned(SERVER_CORE),
        tile38.running(program, directory) as (child, port),
        pinned(LOAD_CORE),
    ):
        return uvloop.run(_drive_tile38(work, way, load, child.pid, port))


async def _drive_tile38(work: Work, way: Way, load: Load, pid: int, port: int) -> Run:
    whole = is_http if way.is_http else tile38.is_acknowledged
    fenced = await send(port, [tile38.fences(work.zones)], tile38.is_acknowledged)
    subscriber = await tile38.Subscriber.open(port)
    filled = await send(port, load.filling, whole, is_closing=way.is_closing)
    before_s = cpu_s(pid)
    sent = await send(port, load.timed, whole, is_closing=way.is_closing)
    told = await subscriber.told()
    used_s = cpu_s(pid) - before_s
    if error := tile38.refused([*fenced.answers, *filled.answers, *sent.answers]):
        raise tile38.Tile38Failed(error.decode(errors="replace"))
    return Run.of(sent, load, used_s, told, truth=work.on_sphere, plain=work.on_ellipsoid)


def run_ours(work: Work, way: Way, directory: Path) -> Run:
    """A fresh service, all pings, what its answers told."""
    directory.mkdir()
    load = Load.of(fresh(work.fixes), way, _encoded)
    state = directory / "state.db"
    with pinned(SERVER_CORE), served(work.config, state) as service, pinned(LOAD_CORE):
        port = service.ingest_port if way.is_lean else service.port
        filled = uvloop.run(send(port, load.filling, is_http))
        before_s = service.cpu_s()
        sent = uvloop.run(send(port, load.timed, is_http))
        used_s = service.cpu_s() - before_s
    taken, told = ours.told([*filled.answers, *sent.answers])
    if taken != len(work.fixes):
        raise ours.OursFailed(f"{taken} of {len(work.fixes)} pings were taken in")
    return Run.of(sent, load, used_s, told, truth=work.replayed, plain=work.on_ellipsoid)


def _encoded(fixes: Fixes) -> list[bytes]:
    return [line.rstrip("\n").encode() for line in trace_lines(fixes)]


TILE38 = (
    Way("Tile38, RESP, one at a time", 50, run_tile38, tile38.one_by_one, is_http=False),
    Way("Tile38, RESP, pipelined by 100", 10, run_tile38, tile38.pipelined, is_http=False),
    Way("Tile38, HTTP, one a POST", 50, run_tile38, tile38.by_http, is_closing=True),
    Way("Tile38, HTTP, script of 1,000 a POST", 8, run_tile38, tile38.by_script, is_closing=True),
)
OURS = (
    Way("geoengine, HTTP, one a POST, durable", 50, run_ours, ours.one_by_one),
    Way("geoengine, HTTP, 500 a POST, durable", 8, run_ours, ours.batched),
    Way("geoengine, lean door, one a POST, durable", 50, run_ours, ours.one_by_one, is_lean=True),
    Way("geoengine, lean door, 500 a POST, durable", 8, run_ours, ours.batched, is_lean=True),
)


@contextmanager
def pinned(number: int) -> Iterator[None]:
    """Run on one of the cores, and so do processes started meanwhile."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {CORES[number % len(CORES)]})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def measured(work: Work, rounds: int, directory: Path) -> dict[Way, list[Run]]:
    """Every way in turn, again and again."""
    runs: dict[Way, list[Run]] = {way: [] for way in (*TILE38, *OURS)}
    for number in range(rounds):
        for way, found in runs.items():
            found.append(way.run(work, way, directory / f"{number}-{len(found)}-{id(way):x}"))
            say(f"round {number + 1}: {way.name}: {found[-1].rate:,.0f} pings/s")
    return runs


def report(runs: dict[Way, list[Run]], work: Work, options: argparse.Namespace) -> str:
    """The results as a page."""
    lines = [
        "# Tile38 and us",
        "",
        f"{datetime.now(UTC):%Y-%m-%d}, {platform.machine()}, {os.cpu_count()} cores (one for the "
        f"server, one for the load), Python {platform.python_version()}, commit {commit()}; "
        f"`python benchmarks/bench_tile38.py --zones {options.zones} --devices {options.devices} "
        f"--fixes {options.fixes} --rounds {options.rounds} --seed {options.seed}`.",
        "",
        "Pings/s: median and best of the rounds, in alternation. A core's: by the server's own "
        "processor time. A fifth of the pings fill the tables before the clock runs. Wrong: of "
        "Tile38, against a difference of sets by brute force on its "
        "sphere; of ours, against a replay. Off: events that the same difference tells otherwise "
        f"on the ellipsoid. The trace holds {count(work.on_ellipsoid):,} entries and exits by "
        f"that plain rule and {count(work.replayed):,} by ours, which weighs accuracy.",
        "",
        "| way | pings/s, median | best | a core's | events | wrong | off |",
        "|---|---|---|---|---|---|---|",
        *(_row(way, found) for way, found in runs.items()),
        "",
        *_ratios(runs),
        "",
    ]
    return "\n".join(lines)


def _row(way: Way, found: list[Run]) -> str:
    rates = [run.rate for run in found]
    off = f"{max(run.off_ellipsoid_count for run in found):,}" if way in TILE38 else ""
    return (
        f"| {way.name} | {statistics.median(rates):,.0f} | {max(rates):,.0f} "
        f"| {statistics.median(run.rate_per_core for run in found):,.0f} "
        f"| {found[0].event_count:,} | {max(run.wrong_count for run in found):,} | {off} |"
    )


def _ratios(runs: dict[Way, list[Run]]) -> list[str]:
    """Ours over theirs, round by round."""
    single, posted, lean_single, lean_posted = OURS
    resp, pipelined, http, script = TILE38
    pairs = (
        (lean_posted, pipelined), (lean_posted, script), (lean_single, resp), (lean_single, http),
        (posted, pipelined), (posted, script), (single, resp), (single, http),
    )  # fmt: skip
    return [
        f"- {our.name} / {their.name}: "
        + ", ".join(
            f"{mine.rate / other.rate:.2f}"
            for mine, other in zip(runs[our], runs[their], strict=True)
        )
        for our, their in pairs
    ]


def say(text: str) -> None:
    """Progress, at once also through a pipe."""
    print(f"tile38: {text}", flush=True)


def main() -> None:
    """Measure, check, write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--zones", type=int, default=10_000)
    parser.add_argument("--devices", type=int, default=20_000)
    parser.add_argument("--fixes", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()
    if tile38.found() is None:
        say(f"no {tile38.NAME} on the PATH: skipped")
        return
    try:
        with tempfile.TemporaryDirectory() as name:
            work = prepare(options.zones, options.devices, options.fixes, options.seed, Path(name))
            runs = measured(work, options.rounds, Path(name))
    except (ServiceFailed, ours.OursFailed, tile38.Tile38Failed) as error:
        raise SystemExit(f"tile38: {error}") from None
    page = report(runs, work, options)
    options.out.parent.mkdir(exist_ok=True)
    options.out.write_text(page, "utf-8")
    print(page)
    if any(run.wrong_count for way in OURS for run in runs[way]):
        raise SystemExit("tile38: events of ours differ from the replay")


if __name__ == "__main__":
    main()
