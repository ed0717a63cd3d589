"""The whole step from columns: known, match, load, observe, judge, commit to memory; no disk.

    python benchmarks/bench_step.py [--zones 10000] [--batch 500 4096 16384] [--seconds 8]

takes the seeded workload as columns, lets two fifths pass to fill the tables, and times the rest
in batches: CPU time of this process, per fix. The yardstick in the same run, in alternation, is
the match alone. Results go to benchmarks/results/step.md.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from workload import shares, trace, write_catalogue, zones

from geoengine.catalog import load
from geoengine.core.book import Book
from geoengine.core.columns import Fixes, Sightings
from geoengine.core.engine import Batch
from geoengine.core.match import match
from geoengine.state.collector import rare_collection
from geoengine.state.local import LocalState
from geoengine.state.loop import advance

RESULTS = Path(__file__).parent / "results" / "step.md"
DUE_LIMIT = 1_000  # as the service's worker takes along
LIVE = 0.4  # of the trace pass before anything is timed
WARM_BATCH = 16_384
NO_SIGHTINGS = Sightings.empty()


@dataclass
class Run:
    """What one pass over the trace in batches of one size took."""

    batch_size: int
    fixes: int = 0
    step_s: float = 0.0
    match_s: float = 0.0
    slices_us: list[float] = field(default_factory=list)  # a fix, by tenth of the trace
    counts: Counter[str] = field(default_factory=Counter)
    _slice: tuple[float, int] = (0.0, 0)

    def note(self, fix_count: int, step_s: float, counts: Counter[str], slice_fixes: int) -> None:
        """Add a batch; every ``slice_fixes`` or so make a tenth."""
        self.fixes += fix_count
        self.step_s += step_s
        self.counts.update(counts)
        slice_s, so_far = self._slice[0] + step_s, self._slice[1] + fix_count
        if so_far >= slice_fixes:
            self.slices_us.append(1e6 * slice_s / so_far)
            slice_s, so_far = 0.0, 0
        self._slice = slice_s, so_far

    def row(self) -> str:
        """A line of the results table."""
        us = 1e6 * self.step_s / self.fixes
        changes = sum(self.counts[kind] for kind in ("enter", "dwell", "exit", "crossed"))
        return (
            f"| {self.batch_size:,} | {us:.2f} | {min(self.slices_us):.2f} | {1 / us:.3f} M "
            f"| {1e6 * self.match_s / self.fixes:.2f} | {self.step_s / self.match_s:.1f} "
            f"| {changes / self.fixes:.2%} | {self.counts['fired'] / self.fixes:.2%} |"
        )


async def passed(book: Book, fixes: Fixes, batch_size: int, most: int | None = None) -> Run:
    """Run the trace through a fresh state; after the warm-up at most so many fixes of it."""
    warm = int(LIVE * len(fixes))
    end = len(fixes) if most is None else min(len(fixes), warm + most)
    run = Run(batch_size)
    state = LocalState(None)
    await state.open()
    for batch in batches(fixes, 0, warm, WARM_BATCH):
        await stepped(state, book, batch)
    for batch in batches(fixes, warm, end, batch_size):
        await timed(state, book, batch, run, (end - warm) // 10)
    await state.close()
    return run


async def stepped(state: LocalState, book: Book, batch: Batch) -> Counter[str]:
    """One batch, and whoever is due, through the loop; the counts."""
    due = tuple(await state.due(batch.now_ms, DUE_LIMIT))
    return (await advance(state, book, replace(batch, due=due))).counts


async def timed(state: LocalState, book: Book, batch: Batch, run: Run, slice_fixes: int) -> None:
    """The same, noted; and beside it the match alone."""
    began_s = time.process_time()
    counts = await stepped(state, book, batch)
    step_s = time.process_time() - began_s
    began_s = time.process_time()
    match(batch.fixes.lon_deg, batch.fixes.lat_deg, book.index)
    run.match_s += time.process_time() - began_s
    run.note(len(batch.fixes), step_s, counts, slice_fixes)


def batches(fixes: Fixes, start: int, end: int, size: int) -> Iterator[Batch]:
    """Rows of the trace cut up; the clock stands at each batch's last fix."""
    for first in range(start, end, size):
        part = fixes.take(np.arange(first, min(first + size, end)))
        yield Batch(part, NO_SIGHTINGS, (), int(part.fix_ms[-1]))


def made(zone_count: int, device_count: int, fix_count: int) -> tuple[Book, Fixes, str]:
    """The seeded workload, its catalogue compiled; and what is in it."""
    area = zones(zone_count)
    fixes = trace(area, device_count, fix_count)
    with tempfile.TemporaryDirectory() as name:
        write_catalogue(area, Path(name))
        book = load(Path(name))
    book.prepare()
    inside, changes = shares(area, fixes)
    told = (
        f"{zone_count:,} zones, {len(fixes):,} fixes of {device_count:,} devices; "
        f"{inside:.1%} inside a zone, entries and exits {changes:.2%}"
    )
    return book, fixes, told


def machine() -> str:
    """Where and when."""
    return (
        f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {platform.machine()}, {os.cpu_count()} cores, "
        f"Python {platform.python_version()}, numpy {np.__version__}, load {os.getloadavg()[0]:.1f}"
    )


HEADER = """\
| batch | us a fix | best tenth | fixes/s | match alone, us | step / match | transitions | fired |
|---|---|---|---|---|---|---|---|
"""


def main() -> None:
    """Make, run, report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--zones", type=int, default=10_000)
    parser.add_argument("--devices", type=int, default=50_000)
    parser.add_argument("--fixes", type=int, default=1_000_000)
    parser.add_argument("--batch", type=int, nargs="+", default=[500, 4_096, 16_384])
    parser.add_argument("--rounds", type=int, default=2)
    asked = parser.parse_args()
    book, fixes, told = made(asked.zones, asked.devices, asked.fixes)
    text = f"# The step\n\n{machine()}\n\n{told}\n\n{HEADER}"
    print(text, end="")
    with rare_collection():  # as the service has it
        runs = [
            asyncio.run(passed(book, fixes, size))
            for _ in range(asked.rounds)
            for size in asked.batch
        ]
    for run in runs:
        print(run.row())
    best = statistics.median(min(run.slices_us) for run in runs)
    text += "".join(run.row() + "\n" for run in runs) + f"\nMedian of the best tenths: {best:.2f}\n"
    RESULTS.write_text(text, "utf-8")


if __name__ == "__main__":
    main()
