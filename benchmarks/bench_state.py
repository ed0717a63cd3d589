"""How fast the embedded state commits, what ``known`` costs a fix, and what anybody costs in bytes.

``python benchmarks/bench_state.py [--out benchmarks/results/state.md] [--seconds 2]``

Commits are durable: acknowledged after a sync. The floor to compare with is measured in the same
run, on the same disk: one ``fdatasync`` after another.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import os
import platform
import random
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from geoengine.core.columns import Fixes, LastFixes
from geoengine.core.record import Consent, Decision, Presence, Record, Send
from geoengine.state.base import Change, Commit, Settlement
from geoengine.state.embedded.held.last_fixes import LastFixTable
from geoengine.state.embedded.held.people import People, pack
from geoengine.state.embedded.writes import PersonRow
from geoengine.state.flags import flags_of
from geoengine.state.local import LocalState

SEED = 20_261_121
IN_FLIGHT = (1, 32, 256)
BATCHES_IN_FLIGHT = (1, 8, 64)
BATCH_RECORDS, BATCH_SENDS = 15, 5  # what 500 pings change, or thereabouts
BATCH_PEOPLE = 50_000
BATCH_ROWS = 200_000  # enough for the tables to be brought up to date a few times
DEVICES = (100_000, 1_000_000)
BATCHES = (256, 1_024, 4_096)
PEOPLE = 200_000


def floor_per_s(directory: Path, seconds: float) -> float:
    """Syncs a second of 4 KiB appended each time: what a commit alone cannot beat."""
    handle = os.open(directory / "floor", os.O_CREAT | os.O_WRONLY)
    stop, count = time.perf_counter() + seconds, 0
    while time.perf_counter() < stop:
        os.write(handle, bytes(4_096))
        os.fdatasync(handle)
        count += 1
    os.close(handle)
    return count / seconds


def sample(person_id: str, number: int) -> Record:
    """A person as the engine leaves them after an entry: consents, a presence, a trigger."""
    return Record(
        person_id,
        consents={"location": Consent(True, 1, 0), "push": Consent(True, 1, 0)},
        push_tokens={person_id: ["ios", f"{number:064x}"]},
        locale="fr",
        devices={person_id: 1_700_000_000_000 + number},
        presences={"rivoli": Presence(True, 77, person_id, 1_700_000_000_000, 1_700_000_060_000)},
        fired_total={"afterwork": 1},
    )


async def commits(path: Path, in_flight: int, seconds: float) -> tuple[float, float, float]:
    """Commits a second, p50 and p99 milliseconds, with so many callers waiting at a time."""
    state = LocalState(path)
    await state.open()
    waited_s: list[float] = []
    stop = time.perf_counter() + seconds

    async def caller(number: int) -> None:
        person_id, turn = f"person-{number}", 0
        while time.perf_counter() < stop:
            record = (await state.load([person_id])).get(person_id) or sample(person_id, number)
            begun = time.perf_counter()
            await state.commit(_entry(record, f"{number}-{turn}"))
            waited_s.append(time.perf_counter() - begun)
            turn += 1

    begun = time.perf_counter()
    await asyncio.gather(*(caller(number) for number in range(in_flight)))
    rate = len(waited_s) / (time.perf_counter() - begun)
    await state.close()
    p50, p99 = np.percentile(waited_s, (50, 99)) * 1_000
    return rate, float(p50), float(p99)


def _entry(record: Record, op_id: str) -> Commit:
    """What one entry writes: a record, a send, a decision."""
    event = {"id": op_id, "type": "geoengine.trigger.fired", "data": {"store_id": "rivoli"}}
    person_id = record.person_id
    return Commit(
        op_id,
        changes=(Change(record, 1_700_000_000_000),),
        sends=(Send(op_id, "trigger", person_id, "push", 0, 1, 0, event),),
        decisions=(Decision(person_id, 0, "afterwork", "rivoli", "rivoli", "v", "fired", ""),),
    )


def batch_commit(changed: list[Record], turn: int) -> Commit:
    """What a batch writes: its records, and for the first of them a send and a decision each."""
    ids = [f"{SEED:016x}{turn:012x}{ix:04x}" for ix in range(len(changed))]
    entries = list(map(_entry, changed, ids))
    return Commit(
        f"batch-{turn}",
        changes=tuple(change for entry in entries for change in entry.changes),
        sends=tuple(send for entry in entries[:BATCH_SENDS] for send in entry.sends),
        decisions=tuple(made for entry in entries[:BATCH_SENDS] for made in entry.decisions),
    )


class Spent:
    """CPU time of the event loop's thread, and of all other threads, in nanoseconds."""

    def __init__(self) -> None:
        self.loop_ns = self.others_ns = 0

    @contextmanager
    def counted(self) -> Iterator[None]:
        """Add what is spent meanwhile."""
        loop_ns, all_ns = time.thread_time_ns(), time.process_time_ns()
        yield
        loop_ns = time.thread_time_ns() - loop_ns
        self.loop_ns += loop_ns
        self.others_ns += time.process_time_ns() - all_ns - loop_ns


async def batches(path: Path, in_flight: int) -> tuple[Spent, Spent]:
    """What `BATCH_ROWS` rows cost, so many batches committing at a time; and their sends' ends."""
    state, rng = LocalState(path), random.Random(SEED)
    people = [sample(f"person-{number:06}", number) for number in range(BATCH_PEOPLE)]
    committing, settling = Spent(), Spent()
    gc.freeze()  # the bench's own people are not the state's burden
    await state.open()
    for turn in range(0, BATCH_ROWS // (BATCH_RECORDS + 2 * BATCH_SENDS), in_flight):
        crowd = rng.sample(people, BATCH_RECORDS * in_flight)
        changed = [crowd[ix::in_flight] for ix in range(in_flight)]
        commits = [batch_commit(records, turn + ix) for ix, records in enumerate(changed)]
        with committing.counted():
            await asyncio.gather(*map(state.commit, commits))
        for record in crowd:
            record.version += 1
        with settling.counted():
            leased = await state.lease(1 << 40, BATCH_SENDS * in_flight, "bench", 1 << 30)
            ends = [Settlement(row.send.send_id, "delivered") for row in leased]
            await state.settle(ends, "bench", turn)
    with committing.counted():
        await state.close()
    return committing, settling


def batch_lines(in_flight: int, committing: Spent, settling: Spent) -> Iterator[str]:
    """A row of the batches' table; above the first the headings."""
    if in_flight == BATCHES_IN_FLIGHT[0]:
        yield f"\nBatches: {BATCH_RECORDS} records, {BATCH_SENDS} sends and as many decisions in a "
        yield f"commit, amid {BATCH_PEOPLE:,} people, {BATCH_ROWS:,} rows in all; then the sends "
        yield "are leased and settled. Microseconds of CPU, everything included: the sync, the "
        yield "tables brought up to date, the log copied, the state closed.\n\n"
        yield "| batches in flight | a row: event loop | writer | a send's end: event loop "
        yield "| writer |\n" + "|--:" * 5 + "|\n"
    sends = BATCH_ROWS * BATCH_SENDS // (BATCH_RECORDS + 2 * BATCH_SENDS)
    spent = [committing.loop_ns / BATCH_ROWS, committing.others_ns / BATCH_ROWS]
    spent += [settling.loop_ns / sends, settling.others_ns / sends]
    yield f"| {in_flight} | {' | '.join(f'{ns / 1e3:.1f}' for ns in spent)} |\n"


def last_fixes(device_ids: list[str]) -> LastFixes:
    """A fix of each device."""
    rng = np.random.default_rng(SEED)
    lon_deg, lat_deg = rng.uniform(-5, 50, (2, len(device_ids)))
    times_only = LastFixes.up_to(device_ids, np.full(len(device_ids), 1_700_000_000_000))
    accuracy_m = np.full(len(device_ids), 12.0)
    return replace(times_only, lon_deg=lon_deg, lat_deg=lat_deg, accuracy_m=accuracy_m)


def device_ids(count: int) -> list[str]:
    """Sixteen characters each, new objects as if they had just been decoded."""
    return [f"d{number:015x}" for number in range(count)]


def measured(work: Callable[[], object]) -> tuple[object, int]:
    """What the work left behind, and its bytes."""
    tracemalloc.start()
    kept = work()
    now, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return kept, now


def filled_table(count: int) -> LastFixTable:
    """A table with so many devices, in updates of a batch each."""
    table = LastFixTable(count)
    for first in range(0, count, 4_096):
        ids = [f"d{number:015x}" for number in range(first, min(first + 4_096, count))]
        table.update(last_fixes(ids), lambda _: 0)
    return table


async def known_ns(table: LastFixTable, count: int, batch: int, has_aliases: bool) -> float:
    """Nanoseconds a fix that ``known`` takes, the ids freshly decoded and in no order."""
    state = LocalState(None, last_fix_capacity=1_000)
    state._last = table
    if has_aliases:
        for number in range(0, count, 10):
            state._people.alias(f"d{number:015x}", f"customer-{number}")
    rng = random.Random(SEED)
    times = []
    for _ in range(max(5, 200_000 // batch)):
        ids = [f"d{rng.randrange(count):015x}" for _ in range(batch)]
        blank = np.zeros(batch)
        fixes = Fixes.of(ids, blank, blank, np.zeros(batch, np.int64))
        begun = time.thread_time_ns()
        await state.known(fixes)
        times.append((time.thread_time_ns() - begun) / batch)
    return float(np.median(times))


def update_ns(table: LastFixTable, count: int, batch: int) -> float:
    """Nanoseconds a fix to remember it, for devices known already."""
    rng = random.Random(SEED)
    times = []
    for _ in range(max(5, 200_000 // batch)):
        last = last_fixes([f"d{rng.randrange(count):015x}" for _ in range(batch)])
        begun = time.thread_time_ns()
        table.update(last, lambda _: 0)
        times.append((time.thread_time_ns() - begun) / batch)
    return float(np.median(times))


def churn_ns(table: LastFixTable, batch: int) -> tuple[float, float]:
    """Nanoseconds a device to take in one never seen by a full table; the worst update, in ms."""
    times = []
    for turn in range(max(5, 200_000 // batch)):
        last = last_fixes([f"n{turn}-{number:012x}" for number in range(batch)])
        begun = time.thread_time_ns()
        table.update(last, lambda _: 0)
        times.append(time.thread_time_ns() - begun)
    return float(np.mean(times)) / batch, max(times) / 1e6


def people_of(count: int) -> People:
    """So many people with a record, a quarter of them with a deadline."""
    people = People()
    for number in range(count):
        record = sample(f"person-{number:09}", number)
        due_ms = 1_700_000_000_000 + number if number % 4 == 0 else None
        row = PersonRow(record.person_id, 1, due_ms, flags_of(record), pack(record))
        people.put(row, is_dirty=False)
    return people


def lines(seconds: float) -> Iterator[str]:
    """The report, line by line, as it is measured."""
    now = datetime.now(UTC)
    yield f"# The embedded state\n\n{now:%Y-%m-%d}, {platform.machine()}, {os.cpu_count()} cores, "
    yield f"Python {platform.python_version()}, seed {SEED}.\n\n"
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as name:
        floor = floor_per_s(Path(name), seconds)
        yield "Durable commits (record, send and decision each), every one synced before the "
        yield f"answer. One `fdatasync` after another: {floor:,.0f}/s.\n\n"
        yield "| in flight | commits/s | of the floor | p50 ms | p99 ms |\n|--:|--:|--:|--:|--:|\n"
        for count in IN_FLIGHT:
            rate, p50, p99 = asyncio.run(commits(Path(name) / f"{count}.db", count, seconds))
            yield f"| {count} | {rate:,.0f} | {rate / floor:.2f} | {p50:.2f} | {p99:.2f} |\n"
        for count in BATCHES_IN_FLIGHT:
            spent = asyncio.run(batches(Path(name) / f"batch-{count}.db", count))
            yield from batch_lines(count, *spent)
    yield "\nLast fixes, ids of 16 characters; time is that of the thread, as other work shares "
    yield "the machine.\n\n"
    yield "| devices | bytes each | batch | known ns | with aliases ns | update ns | "
    yield "new device in a full table ns | its worst update ms |\n" + "|--:" * 8 + "|\n"
    for count in DEVICES:
        table, size = measured(lambda n=count: filled_table(n))
        assert isinstance(table, LastFixTable)
        for batch in BATCHES:
            plain = asyncio.run(known_ns(table, count, batch, has_aliases=False))
            aliased = asyncio.run(known_ns(table, count, batch, has_aliases=True))
            update = update_ns(table, count, batch)
            yield f"| {count:,} | {size / count:.0f} | {batch:,} | {plain:.0f} | {aliased:.0f} | "
            churn, worst = churn_ns(filled_table(count), batch)
            yield f"{update:.0f} | {churn:.0f} | {worst:.1f} |\n"
    _kept, size = measured(lambda: people_of(PEOPLE))
    packed = len(pack(sample("person-000000000", 0)))
    yield f"\nPeople: {size / PEOPLE:.0f} bytes each over {PEOPLE:,} with a record of {packed} "
    yield "bytes packed (two consents, a push token, a presence), a quarter with a deadline.\n"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/state.md"))
    parser.add_argument("--seconds", type=float, default=2.0)
    arguments = parser.parse_args()
    text = ""
    for part in lines(arguments.seconds):
        sys.stdout.write(part)
        sys.stdout.flush()
        text += part
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(text)
