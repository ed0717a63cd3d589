"""Reaches by the thousand: circles compiled, isochrones built, and the catalogue loaded again.

    python benchmarks/bench_reaches.py [--stores 10000] [--rounds 3] [--router valhalla:WHERE]
                                       [--questions 1000] [--out FILE]

Half of the stores are in the countryside, all lie near Newport and in Liechtenstein, where the
shared extracts have roads. With a router some of them are asked about, in alternation: the router
alone (its answers thrown away), its answers made into zones, and a whole build with its journal. So
the machine's moods are in all three. What is compiled and loaded are stars of about as many corners
as isochrones have; their index is made when they are compiled, and kept with them. Results:
benchmarks/results/reaches.md.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np
from revision import commit
from shapely.geometry import Polygon

from geoengine.catalog import read
from geoengine.catalog.keeping.cache import Cache
from geoengine.catalog.reach.journal import Journal
from geoengine.catalog.reach.kept import answered, path_in
from geoengine.catalog.reach.question import Question, question_of
from geoengine.cli.catalogue.zones_build import roads_of
from geoengine.core.errors import NoWay
from geoengine.core.model import EngineSpec
from geoengine.roads.base import Router
from geoengine.roads.build import build
from geoengine.roads.opening import open_router
from geoengine.roads.valhalla_router import Line, ValhallaRouter

RESULTS = Path(__file__).parent / "results" / "reaches.md"
BOXES = ((-3.08, 51.54, -2.94, 51.60), (9.49, 47.06, 9.57, 47.25))  # west, south, east, north
CORNERS = 200  # of a star: what Valhalla's isochrones have once they are simplified
T = TypeVar("T")
RADIUS_M = {"walk": 300.0, "drive": 2_000.0}


def write_stores(folder: Path, count: int, data: Path) -> Path:
    """A catalogue of so many stores, seeded."""
    rng = np.random.default_rng(6)
    box = np.array(BOXES)[np.arange(count) % len(BOXES)]
    lon_deg, lat_deg = rng.uniform(box[:, :2], box[:, 2:]).T
    rows = (
        f"s{ix},Shop {ix},{lat:.6f},{lon:.6f},{('city', 'countryside')[ix // 2 % 2]}\n"
        for ix, (lon, lat) in enumerate(zip(lon_deg, lat_deg, strict=True))
    )
    folder.mkdir()
    (folder / "s.csv").write_text("id,name,lat,lon,setting\n" + "".join(rows))
    (folder / "a.yaml").write_text(f"stores:\n  - import: s.csv\nengine: {{data: {data}}}\n")
    return folder


def star(question: Question) -> Polygon:
    """A ragged area around a place, seeded by it."""
    rng = np.random.default_rng(abs(hash(question[:2])) % 2**32)
    turn = np.linspace(0, 2 * np.pi, CORNERS, endpoint=False)
    away_m = RADIUS_M[question.mode] * rng.uniform(0.6, 1.0, CORNERS)
    north_deg = away_m * np.sin(turn) / 111_200
    east_deg = away_m * np.cos(turn) / 111_200 / np.cos(np.radians(question.lat_deg))
    return Polygon(np.column_stack([question.lon_deg + east_deg, question.lat_deg + north_deg]))


def timed(work: Callable[[], object]) -> float:
    """Seconds of the processor."""
    began_s = time.process_time()
    work()
    return time.process_time() - began_s


def workers_s() -> float:
    """Seconds of the processor that the processes we started have used so far."""
    ticks = 0
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):  # gone meanwhile
            fields = path.read_text().rpartition(")")[2].split()
            if int(fields[1]) == os.getpid():
                ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


class Took(NamedTuple):
    """Seconds of one way to ask."""

    wall_s: float
    ours_s: float  # of the processor
    workers_s: float  # of those of an embedded Valhalla

    @classmethod
    async def of(cls, work: Awaitable[object]) -> Took:
        """What some work takes."""
        before = time.perf_counter(), time.process_time(), workers_s()
        await work
        after = time.perf_counter(), time.process_time(), workers_s()
        return cls(*np.subtract(after, before).tolist())

    def cell(self) -> str:
        """As one cell of the table."""
        return f"{self.wall_s:.1f} s, {self.ours_s:.2f} s, {self.workers_s:.2f} s"


class Overheard:
    """A line to a Valhalla, and what went over it."""

    def __init__(self, line: Line) -> None:
        self._line, self.at_once = line, line.at_once
        self.calls: list[tuple[str, dict[str, Any]]] = []

    async def call(self, action: str, body: dict[str, Any]) -> bytes:
        """Pass it on."""
        self.calls.append((action, body))
        return await self._line.call(action, body)

    async def close(self) -> None:
        await self._line.close()


async def in_lines(each: Iterable[T], ask: Callable[[T], Awaitable[object]], at_once: int) -> None:
    """Ask them all, so many at a time."""
    left = iter(each)

    async def line() -> None:
        for question in left:
            with suppress(NoWay):
                await ask(question)

    await asyncio.gather(*(line() for _ in range(at_once)))


async def asked(router_text: str, questions: list[Question], rounds: int) -> list[list[Took]]:
    """What each round took: the router alone, with its answers judged, a whole build."""
    router = open_router(roads_of(EngineSpec(), router_text), os.environ)
    assert isinstance(router, ValhallaRouter), "only a Valhalla can be overheard"
    line = router._line = Overheard(router._line)
    at_once = router.at_once
    found: list[list[Took]] = []
    try:
        await in_lines(questions, router.ask, at_once)  # opens its tiles, and is overheard
        calls = [call for call in line.calls if call[0] != "status"]
        for _ in range(rounds):
            found.append(
                [
                    await Took.of(in_lines(calls, lambda call: line.call(*call), at_once)),
                    await Took.of(in_lines(questions, router.ask, at_once)),
                    await Took.of(built(router, questions)),
                ]
            )
    finally:
        await router.close()
    return found


async def built(router: Router, questions: list[Question]) -> None:
    """A build from nothing, published."""
    with tempfile.TemporaryDirectory() as folder, Journal(Path(folder)) as journal:
        await build(router, questions, journal)
        journal.publish(set(questions))


class Loaded(NamedTuple):
    """Seconds of processor, a round each, and how large what is kept is."""

    compiling: list[float]
    finding: list[float]
    indexing: list[float]  # with all that the first batch asks for
    size_mb: float

    def row(self, reaches: str) -> str:
        """As one row of the table."""
        columns = self.compiling, self.finding, self.indexing
        return f"| {reaches} | {' | '.join(map(spread, columns))} | {self.size_mb:,.0f} MB |"


def loaded(config: Path, folder: Path, rounds: int) -> Loaded:
    """Compile, find what is kept, make ready what it lacks."""
    cache, compiling, finding, indexing = Cache(folder), [], [], []
    for _ in range(rounds):
        compiling.append(timed(lambda: cache.keep(config, read(config))))
        finding.append(timed(lambda: cache.find(config)))
        reading = cache.find(config)
        assert reading is not None
        indexing.append(timed(reading.book.prepare))
    size_mb = max(path.stat().st_size for path in folder.glob("*.book")) / 1e6
    return Loaded(compiling, finding, indexing, size_mb)


def spread(figures: Sequence[float]) -> str:
    """Least and median."""
    return f"{min(figures):.2f} s ({statistics.median(figures):.2f})"


def main() -> None:
    """Measure, print, and write the page if asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--stores", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--questions", type=int, default=1_000, help="To the router, a round.")
    parser.add_argument("--router", help="As of `geoengine zones build`; a Valhalla.")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        page = report(options, Path(name))
    print(page)
    if options.out:
        options.out.write_text(page)


def report(options: argparse.Namespace, folder: Path) -> str:
    """The page."""
    count, rounds, data = options.stores, options.rounds, folder / "data"
    config = write_stores(folder / "config", count, data)
    as_circles = loaded(config, folder / "cache", rounds)
    stores = read(config).book.stores
    questions = [found for store in stores if (found := question_of(store)) is not None]
    asking = f" --router {options.router} --questions {options.questions}" * bool(options.router)
    lines = [
        "# Reaches",
        "",
        f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, commit {commit()}, {os.cpu_count()} cores, "
        f"{platform.machine()}, CPython {platform.python_version()}, load "
        f"{os.getloadavg()[0]:.1f}. `python benchmarks/bench_reaches.py --stores {count} --rounds "
        f"{rounds}{asking}`",
        "",
    ]
    if options.router:
        chosen = questions[:: max(1, len(questions) // options.questions)]
        lines += told(asyncio.run(asked(options.router, chosen, rounds)), len(chosen))
    with Journal(data) as journal:
        stars = {question: star(question) for question in questions}
        published = timed(lambda: publish(journal, stars))
    as_stars = loaded(config, folder / "cache", rounds)
    size_mb = path_in(data).stat().st_size / 1e6
    lines += [
        f"{count:,} stores, seconds of processor, least of {rounds} (and median):",
        "",
        "| reaches | compiled and kept | found again | and indexed | kept |",
        "|---|---:|---:|---:|---:|",
        as_circles.row("circles"),
        as_stars.row(f"polygons of {CORNERS} corners"),
        "",
        f"Their answers are {size_mb:,.1f} MB and were written in {published:.2f} s.",
        "",
    ]
    return "\n".join(lines)


def publish(journal: Journal, areas: dict[Question, Polygon]) -> None:
    """An answer to each, kept."""
    for question, area in areas.items():
        journal.put(answered(question, "stars", area, ()))
    journal.publish()


def told(found: list[list[Took]], count: int) -> list[str]:
    """The rounds, and by how much a build is longer than the router alone."""
    rows = [f"| {' | '.join(took.cell() for took in row)} |" for row in found]
    ours_s = np.median([[took.ours_s for took in row] for row in found], axis=0)
    router_s = np.median([took.workers_s for row in found for took in row]) + ours_s[0]
    lines = [
        f"{count:,} questions; wall, our processor, the embedded Valhalla's; each row one round:",
        "",
        "| the router alone | its answers made into zones | a whole build |",
        "|---|---|---|",
        *rows,
        "",
    ]
    walls_s = np.median([[took.wall_s for took in row] for row in found], axis=0)
    more = 100 * (walls_s[2] / walls_s[0] - 1)
    lines += [f"By medians of the wall a build takes {more:+.0f} % beside the router alone."]
    if router_s > ours_s[0]:
        zones, keeping = 100 * np.diff(ours_s) / router_s
        per_s = count / (router_s + ours_s[2] - ours_s[0])
        lines += [
            f"By medians of processor time, making zones of answers takes {zones:.0f} % of what "
            "the router takes, beside it on another core where there is one, and keeping them "
            f"{keeping:.0f} %: {per_s:,.0f} answers a second of one core, all in.",
            "",
        ]
    return lines


if __name__ == "__main__":
    main()
