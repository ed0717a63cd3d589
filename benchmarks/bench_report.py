"""What a report of a million decisions and facts takes, beside unpacking them and nothing else; and
how long a commit takes meanwhile, beside one that no report is in the way of.

    python benchmarks/bench_report.py [--rows 1000000]

Seconds are those of the processor: other work on the machine does not count. Commits are timed by
the clock, one every five milliseconds: so run it where nothing else runs.
"""

from __future__ import annotations

import argparse
import asyncio
import platform
import random
import resource
import sys
import tempfile
import time
from collections.abc import Coroutine, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

sys.path.append(str(Path(__file__).parents[1]))  # where the tests are

from benchmarks.revision import commit
from geoengine.core.ids import digest
from geoengine.core.record import Decision, Fact
from geoengine.core.units import DAY_MS, HOUR_MS
from geoengine.service.reports import campaigns, stores
from geoengine.service.reports.asking import Span
from geoengine.service.reports.gather import Told, gather
from geoengine.service.wire.reports import By, CampaignsQuery, Period
from geoengine.state.base import Commit
from geoengine.state.local import LocalState
from tests.core.world import World, a_store

RESULTS = Path(__file__).parent / "results" / "report.md"
SINCE_MS = 1_793_491_200_000  # 2026-11-01
SPAN = Span(SINCE_MS, SINCE_MS + 14 * DAY_MS)
PEOPLE, STORES, CAMPAIGNS = 200_000, 500, 20
COMMIT_ROWS = 5_000
COMMIT_EVERY_S = 0.005  # 200 a second, each from its own ping
ALONE_S = 3.0


def rows(count: int) -> Iterator[Decision | Fact]:
    """A fortnight of a chain: half the decisions stopped, what fired sent, three in ten came."""
    rng = random.Random(7)
    made = 0
    while made < count:
        some = list(_moment(rng))
        made += len(some)
        yield from some


def _moment(rng: random.Random) -> Iterator[Decision | Fact]:
    person, store = f"person-{rng.randrange(PEOPLE)}", f"store-{rng.randrange(STORES)}"
    campaign, at_ms = f"campaign-{rng.randrange(CAMPAIGNS)}", SINCE_MS + rng.randrange(14 * DAY_MS)
    head, trigger = (person, at_ms, campaign, store, store, "visit"), digest(person, at_ms)
    fate = rng.random()
    if fate < 0.5:
        yield Decision(*head, "suppressed", "quiet_hours", "", "", True)
        return
    if fate < 0.55:
        yield Decision(*head, "suppressed", "holdout", "", trigger, True)
        return
    yield Decision(*head, "fired", "ok", "push", trigger, True)
    for kind in ("sent", "delivered"):
        data = {"lever": "push", "variant": ""}
        yield Fact(digest(kind, trigger), kind, person, at_ms, store, campaign, trigger, "", data)
    if rng.random() < 0.3:
        told = {"by": "beacon", "confidence": 0.95, "duration_s": 300.0, "initial": False}
        data = told | {"path": [["door", 10.0], ["shoes", 200.0]]}
        yield Fact(digest("visit", trigger), "visit", person, at_ms + HOUR_MS, store, data=data)


class Measured(NamedTuple):
    """Seconds of the processor, by part; commits in milliseconds, alone and beside a reader."""

    timed: list[tuple[str, float]]
    alone_ms: list[float]
    beside_ms: list[float]


async def measure(count: int) -> Measured:
    """What each part took."""
    with tempfile.TemporaryDirectory() as folder:
        state = LocalState(Path(folder) / "state.db")
        await state.open()
        some: list[Decision | Fact] = []
        packed: list[tuple[type, bytes]] = []
        for row in rows(count):
            some.append(row)
            packed.append((type(row), msgspec.msgpack.encode(row)))
            if len(some) == COMMIT_ROWS:
                await _commit(state, some)
        await _commit(state, some)
        timed = [("unpacking every row, and nothing else", _timed(lambda: _unpack(packed)))]
        packed.clear()
        await state.close()  # so that nobody writes while it is read
        state = LocalState(Path(folder) / "state.db")
        await state.open()
        begin = time.process_time()
        told = await gather(state, *SPAN, with_steps=True)
        timed.append(("reading the state into columns", time.process_time() - begin))
        alone_ms = await _commits_beside(state, asyncio.sleep(ALONE_S))
        beside_ms = await _commits_beside(state, gather(state, *SPAN))
        await state.close()
    return Measured(timed + _reports(told), alone_ms, beside_ms)


async def _commits_beside(state: LocalState, work: Coroutine[Any, Any, Any]) -> list[float]:
    """How long each of many commits takes until work is done, milliseconds, ascending."""
    task, found = asyncio.ensure_future(work), []
    while not task.done():
        one = Decision("somebody", SPAN.until_ms, "c", "s", "s", "v", "suppressed", "window")
        begin = time.perf_counter()
        await state.commit(Commit("", decisions=(one,), now_ms=SPAN.until_ms))
        found.append((time.perf_counter() - begin) * 1e3)
        await asyncio.sleep(COMMIT_EVERY_S)
    await task
    return sorted(found)


async def _commit(state: LocalState, some: list[Decision | Fact]) -> None:
    decisions = tuple(one for one in some if isinstance(one, Decision))
    facts = tuple(one for one in some if isinstance(one, Fact))
    await state.commit(Commit(digest(len(some), some[0].at_ms if some else 0, time.monotonic_ns()),
                              decisions=decisions, facts=facts, now_ms=SINCE_MS))  # fmt: skip
    some.clear()


def _unpack(packed: list[tuple[type, bytes]]) -> None:
    decoders = {kind: msgspec.msgpack.Decoder(kind).decode for kind in (Decision, Fact)}
    for kind, body in packed:
        decoders[kind](body)


def _reports(told: Told) -> list[tuple[str, float]]:
    book = World(stores=[a_store(f"store-{ix}") for ix in range(STORES)]).book()
    by_all: tuple[By, ...] = ("", "store", "hour")
    timed = []
    for by in by_all:
        query = CampaignsQuery(by=by)
        took_s = _timed(lambda query=query: campaigns.report(told, query, SPAN, book))
        timed.append((f"the report of campaigns{f' by {by}' if by else ''}", took_s))
    took_s = _timed(lambda: stores.report(told, Period(), SPAN, book))
    return [*timed, ("the report of stores", took_s)]


def _timed(work: object) -> float:
    begin = time.process_time()
    work()  # type: ignore[operator]
    return time.process_time() - begin


def page(count: int) -> str:
    """The results, to read."""
    timed, alone_ms, beside_ms = asyncio.run(measure(count))
    floor_s = timed[0][1]
    when = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    lines = [
        "# Reports: what they take\n",
        f"{when}, {platform.machine()}, Python {platform.python_version()}, commit {commit()}; "
        f"`python benchmarks/bench_report.py --rows {count}`.\n",
        f"{count:,} decisions and facts of {PEOPLE:,} people, {STORES} stores, {CAMPAIGNS} "
        f"campaigns, in a file. At most {peak_mb:,.0f} MB, with what writes them.\n",
        "| what | processor, s | beside unpacking |\n|---|---:|---:|",
        *(f"| {what} | {took_s:.1f} | {took_s / floor_s:.1f} |" for what, took_s in timed),
        "\n| commits, ms | median | p99 | slowest |\n|---|---:|---:|---:|",
        f"| alone | {_spread(alone_ms)} |",
        f"| while a report is read | {_spread(beside_ms)} |",
    ]
    return "\n".join(lines) + "\n"


def _spread(ascending: list[float]) -> str:
    """The median, the 99th percentile and the most."""
    picked = (ascending[len(ascending) // 2], ascending[len(ascending) * 99 // 100], ascending[-1])
    return " | ".join(f"{one:.1f}" for one in picked)


def main() -> None:
    """Measure, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])  # type: ignore[union-attr]
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()
    options.out.write_text(page(options.rows), "utf-8")
    print(options.out.read_text("utf-8"))


if __name__ == "__main__":
    main()
