"""The whole step from columns: known, match, load, observe, judge, commit to memory; no disk.

    python benchmarks/bench_step.py [--zones 10000] [--batch 500 4096 16384] [--seconds 8]

takes the seeded workload as columns, lets a fifth of it pass to fill the tables, and times the rest
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
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from workload import shares, trace, write_catalogue, zones

from geoengine.catalog import load
from geoengine.cli.collector import rare_collection
from geoengine.core.book import Book
from geoengine.core.columns import Fixes, Sightings
from geoengine.core.engine import Batch
from geoengine.core.match import match
from geoengine.state.local import LocalState
from geoengine.state.loop import advance

RESULTS = Path(__file__).parent / "results" / "step.md"
DUE_LIMIT = 1_000  # as the service's worker takes along
LIVE = 0.2  # of the trace pass before anything is timed
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

    def row(self) -> str:
        """A line of the results table."""
        us = 1e6 * self.step_s / self.fixes
        changes = sum(self.counts[kind] for kind in ("enter", "dwell", "exit", "crossed"))
        return (
            f"| {self.batch_size:,} | {us:.2f} | {min(self.slices_us):.2f} | {1 / us:.3f} M "
            f"| {1e6 * self.match_s / self.fixes:.2f} | {self.step_s / self.match_s:.1f} "
            f"| {changes / self.fixes:.2%} | {self.counts['fired'] / self.fixes:.2%} |"
        )


async def passed(book: Book, fixes: Fixes, batch_size: int) -> Run:
    """Run the trace through a fresh state."""
    book.prepare()
    with rare_collection():  # as the service has it
        return await _passed(book, fixes, batch_size)


async def _passed(book: Book, fixes: Fixes, batch_size: int) -> Run:
    state = LocalState(None)
    await state.open()
    run = Run(batch_size)
    warm = int(LIVE * len(fixes))
    slice_s, slice_fixes = 0.0, 0
    for first, batch in batches(fixes, batch_size):
        began_s = time.process_time()
        due = tuple(await state.due(batch.now_ms, DUE_LIMIT))
        outcome = await advance(state, book, Batch(batch.fixes, NO_SIGHTINGS, due, batch.now_ms))
        took_s = time.process_time() - began_s
        if first < warm:
            continue
        began_s = time.process_time()
        match(batch.fixes.lon_deg, batch.fixes.lat_deg, book.index)
        run.match_s += time.process_time() - began_s
        run.fixes += len(batch.fixes)
        run.step_s += took_s
        run.counts.update(outcome.counts)
        slice_s, slice_fixes = slice_s + took_s, slice_fixes + len(batch.fixes)
        if slice_fixes >= len(fixes) // 10:
            run.slices_us.append(1e6 * slice_s / slice_fixes)
            slice_s, slice_fixes = 0.0, 0
    await state.close()
    return run


def batches(fixes: Fixes, size: int) -> Iterator[tuple[int, Batch]]:
    """The trace cut up, each batch with its first row; the clock stands at the batch's last fix."""
    for first in range(0, len(fixes), size):
        rows = np.arange(first, min(first + size, len(fixes)))
        part = fixes.take(rows)
        yield first, Batch(part, NO_SIGHTINGS, (), int(part.fix_ms[-1]))


def made(zone_count: int, device_count: int, fix_count: int) -> tuple[Book, Fixes, str]:
    """The seeded workload, its catalogue compiled; and what is in it."""
    area = zones(zone_count)
    fixes = trace(area, device_count, fix_count)
    with tempfile.TemporaryDirectory() as name:
        write_catalogue(area, Path(name))
        book = load(Path(name))
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
    runs = [
        asyncio.run(passed(book, fixes, size)) for _ in range(asked.rounds) for size in asked.batch
    ]
    for run in runs:
        print(run.row())
    best = statistics.median(min(run.slices_us) for run in runs)
    text += "".join(run.row() + "\n" for run in runs) + f"\nMedian of the best tenths: {best:.2f}\n"
    RESULTS.write_text(text, "utf-8")


if __name__ == "__main__":
    main()
