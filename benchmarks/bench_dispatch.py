"""From the outbox to many receivers: how many webhooks a second, and what a dead one costs others.

    python benchmarks/bench_dispatch.py [--seconds 3] [--rounds 12] [--rate 2000] [--endpoints 500]

The dispatcher runs in this process as the service has it, over the embedded state on disk, every
commit synced; the receivers are another process on loopback. *At once*: so many rows wait before it
starts; what counts is rows for each second of this process's processor time, all its threads.
*Steady*: rows are committed at a rate, spread over the endpoints at random, and each is timed from
its commit to its arrival; with all endpoints alive, with one that takes posts and never answers,
and with one where nobody listens, in alternation. Results: benchmarks/results/dispatch.md.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import os
import platform
import random
import statistics
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import uvloop
from dispatching import Receivers, receivers
from revision import commit

from geoengine.core.model import EngineSpec, WebhookSpec
from geoengine.core.record import Consent, Record, Send
from geoengine.levers.webhook import Endpoint, WebhookLever
from geoengine.service import clock
from geoengine.service.dispatcher import Dispatcher
from geoengine.state.base import Change, Commit
from geoengine.state.collector import rare_collection
from geoengine.state.local import LocalState
from tests.core.world import World, a_store

RESULTS = Path(__file__).parent / "results" / "dispatch.md"
SEED = 20_261_122
PEOPLE = 1_000
PACE_S = 0.01  # between two commits of a steady load
LIFE_MS = 3_600_000
SECRET = "whsec_" + base64.b64encode(b"0123456789abcdef01234567").decode()
ALIVE, DEAF, REFUSING = "all alive", "one never answers", "one refuses connections"


@dataclass(frozen=True)
class Load:
    """One load on one dispatcher."""

    sent: int
    arrived: int
    twice: int
    seconds: float
    cpu_s: float
    latencies_ms: np.ndarray  # of the endpoints that are alive, from the commit to the arrival

    def latency_ms(self, percent: float) -> float:
        """A percentile of the latencies."""
        return float(np.percentile(self.latencies_ms, percent))


def a_row(name: str, person: int, endpoint_id: str, now_ms: int) -> Send:
    """An event about somebody for one endpoint."""
    data = {"person_id": f"p{person}", "device_id": f"d{person}", "store_id": "shop"}
    return Send(
        send_id=name,
        kind="event",
        person_id=f"p{person}",
        lever="webhook",
        created_ms=now_ms,
        expires_ms=now_ms + LIFE_MS,
        due_ms=now_ms,
        event={
            "specversion": "1.0",
            "id": name,
            "source": "/geoengine",
            "type": "geoengine.zone.entered",
            "time": "2026-11-22T12:00:00.000Z",
            "datacontenttype": "application/json",
            "data": data | {"zone_id": "shop", "visit_id": name, "initial": False},
        },
        address=endpoint_id,
        location_epoch=1,
    )


def endpoints(ports: Receivers, count: int, kind: str) -> list[Endpoint]:
    """So many endpoints; the first is dead in one way or alive."""
    dead = {ALIVE: ports.fast_port, DEAF: ports.deaf_port, REFUSING: ports.refusing_port}[kind]
    made = []
    for ix in range(count):
        url = f"http://127.0.0.1:{ports.fast_port if ix else dead}/e{ix}"
        made.append(Endpoint(WebhookSpec(id=f"e{ix}", url=url, allow_private=True), SECRET))
    return made


@asynccontextmanager
async def dispatching(
    folder: Path, lever: WebhookLever
) -> AsyncIterator[tuple[LocalState, Dispatcher]]:
    """A state with people who agreed, and a dispatcher at hand."""
    state = LocalState(folder / f"{time.monotonic_ns()}.db")
    await state.open()
    consents = {"location": Consent(True, 1, 0)}
    records = [Record(f"p{ix}", consents=dict(consents)) for ix in range(PEOPLE)]
    await state.commit(Commit("people", changes=tuple(Change(one, None) for one in records)))
    book = World([a_store()], engine=EngineSpec()).book()
    dispatcher = Dispatcher(
        state, lambda: book, {"webhook": lever}, clock.now_ms, random.Random(SEED), "bench"
    )
    try:
        yield state, dispatcher
    finally:
        await lever.close()
        await state.close()


async def at_once(ports: Receivers, folder: Path, count: int, endpoint_count: int) -> Load:
    """All rows wait when the dispatcher starts."""
    rng, lever = random.Random(SEED), WebhookLever(endpoints(ports, endpoint_count, ALIVE))
    async with dispatching(folder, lever) as (state, dispatcher):
        now_ms = clock.now_ms()
        rows = [
            a_row(f"r{ix}", rng.randrange(PEOPLE), f"e{rng.randrange(endpoint_count)}", now_ms)
            for ix in range(count)
        ]
        for first in range(0, count, 1_000):
            await state.commit(Commit(f"c{first}", sends=tuple(rows[first : first + 1_000])))
        began_s, began_cpu_s = time.monotonic(), time.process_time()
        running = asyncio.create_task(dispatcher.run())
        while (await state.stats()).pending_count:  # noqa: ASYNC110 - a state tells nobody
            await asyncio.sleep(0.02)
        seconds, cpu_s = time.monotonic() - began_s, time.process_time() - began_cpu_s
        await dispatcher.stop(1.0)
        await running
    names = [name for _at, name in ports.told(folder / "notes.json")]
    return Load(count, len({*names}), len(names) - len({*names}), seconds, cpu_s, np.empty(0))


async def steady(
    ports: Receivers, folder: Path, kind: str, rate: float, seconds: float, endpoint_count: int
) -> Load:
    """Rows come at a rate."""
    rng, lever = random.Random(SEED), WebhookLever(endpoints(ports, endpoint_count, kind))
    committed_ns: dict[str, int] = {}
    async with dispatching(folder, lever) as (state, dispatcher):
        running = asyncio.create_task(dispatcher.run())
        lot = round(rate * PACE_S)
        began_s, began_cpu_s = time.monotonic(), time.process_time()
        for turn in range(round(seconds / PACE_S)):
            await asyncio.sleep(max(began_s + turn * PACE_S - time.monotonic(), 0))
            rows = []
            for ix in range(lot):
                endpoint_ix = rng.randrange(endpoint_count)
                name = f"{'r' if endpoint_ix else 'dead'}{turn}-{ix}"
                person = rng.randrange(PEOPLE)
                rows.append(a_row(name, person, f"e{endpoint_ix}", clock.now_ms()))
            await state.commit(Commit(f"c{turn}", sends=tuple(rows)))
            dispatcher.wake()
            at_ns = time.monotonic_ns()
            committed_ns |= {row.send_id: at_ns for row in rows if row.send_id[0] == "r"}
        took_s, cpu_s = time.monotonic() - began_s, time.process_time() - began_cpu_s
        late_s = time.monotonic() + 20.0
        # Another process knows: nothing here tells.
        while ports.count() < len(committed_ns) and time.monotonic() < late_s:  # noqa: ASYNC110
            await asyncio.sleep(0.1)
        await dispatcher.stop(0.0)
        await running
    notes = [(at, name) for at, name in ports.told(folder / "notes.json") if name[0] == "r"]
    first: dict[str, int] = {}
    for at_ns, name in notes:
        first.setdefault(name, at_ns)
    waits_ms = np.array([(first[name] - committed_ns[name]) / 1e6 for name in first])
    twice = len(notes) - len(first)
    return Load(len(committed_ns), len(first), twice, took_s, cpu_s, waits_ms)


def main() -> None:
    """Run the loads in alternation and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--rate", type=float, default=2_000.0)
    parser.add_argument("--endpoints", type=int, default=500)
    parser.add_argument("--rows", type=int, default=10_000)
    asked = parser.parse_args()
    load_before, order = os.getloadavg()[0], random.Random(SEED)
    whole: list[Load] = []
    runs: dict[str, list[Load]] = {ALIVE: [], DEAF: [], REFUSING: []}
    with receivers() as ports, tempfile.TemporaryDirectory() as name, rare_collection():
        folder = Path(name)
        for _ in range(asked.rounds):
            whole.append(uvloop.run(at_once(ports, folder, asked.rows, asked.endpoints)))
            told("at once", whole[-1])
            for kind in order.sample([*runs], len(runs)):  # none always after the same other
                work = steady(ports, folder, kind, asked.rate, asked.seconds, asked.endpoints)
                runs[kind].append(uvloop.run(work))
                told(kind, runs[kind][-1])
    RESULTS.write_text(page(asked, whole, runs, load_before))
    print(RESULTS.read_text())


def told(kind: str, load: Load) -> None:
    """One run, for whoever waits."""
    waits = ""
    if len(load.latencies_ms):
        waits = " ".join(f"p{p} {load.latency_ms(p):.1f}" for p in (50, 99, 99.9))
    print(
        f"{kind}: {load.arrived:,} of {load.sent:,} ({load.twice} twice) in {load.seconds:.2f} s, "
        f"{load.cpu_s:.2f} s of processor {waits}",
        flush=True,
    )


def page(
    asked: argparse.Namespace, whole: list[Load], runs: dict[str, list[Load]], load_before: float
) -> str:
    """The page of results."""
    today = datetime.now(UTC).date()
    per_core = [load.sent / load.cpu_s for load in whole]
    per_s = [load.sent / load.seconds for load in whole]
    lines = [
        "# From the outbox to many receivers",
        "",
        f"{today}, {platform.machine()}, {os.cpu_count()} cores shared with receivers and others "
        f"(load {load_before:.1f}), Python {platform.python_version()}, commit {commit()}; "
        f"`python benchmarks/bench_dispatch.py --seconds {asked.seconds:g} --rounds "
        f"{asked.rounds} --rate {asked.rate:g} --endpoints {asked.endpoints}`, seed {SEED}.",
        "",
        f"At once: {asked.rows:,} rows over {asked.endpoints} endpoints, by round: "
        f"{', '.join(f'{rate:,.0f}' for rate in per_core)} rows for each second of processor time "
        f"({', '.join(f'{rate:,.0f}' for rate in per_s)} by the wall); all arrived, "
        f"{sum(load.twice for load in whole)} twice.",
        "",
        f"Steady, {asked.rate:,.0f} rows a second asked for (a late commit holds up "
        "the next; making the rows is in the processor's share), from commit to arrival at the "
        "endpoints that are alive, medians of the rounds:",
        "",
        "| endpoints | p50, ms | p99, ms | p99.9, ms | p99 over that of all alive | quarter and "
        "three quarters of the rounds' ratios | rows a second by the wall | of a core |",
        "|---|---|---|---|---|---|---|---|",
    ]
    alive = runs[ALIVE]
    for kind, loads in runs.items():
        p99 = [statistics.median(load.latency_ms(99) for load in one) for one in (loads, alive)]
        ratios = [
            one.latency_ms(99) / other.latency_ms(99)
            for one, other in zip(loads, alive, strict=True)
        ]
        spread = np.percentile(ratios, [25, 75])
        waits = [
            f"{statistics.median(load.latency_ms(p) for load in loads):.1f}" for p in (50, 99, 99.9)
        ]
        share = statistics.median(load.cpu_s / load.seconds for load in loads)
        pace = statistics.median(load.sent / load.seconds for load in loads)
        lines.append(
            f"| {kind} | {' | '.join(waits)} | {p99[0] / p99[1]:.2f} | {spread[0]:.2f} to "
            f"{spread[1]:.2f} | {pace:,.0f} | {share:.0%} |"
        )
    missing = sum(load.sent - load.arrived for loads in runs.values() for load in loads)
    lines += ["", f"Rows for endpoints that are alive which had not arrived at the end: {missing}."]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
