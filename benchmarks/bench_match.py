"""What a match costs, by number of zones, size of batch and share inside, beside what else could.

    python benchmarks/bench_match.py [--zones 1000 10000 ...] [--out benchmarks/results/match.md]

Times are CPU time of the measuring thread, in rounds in which the contenders take turns: on a
shared machine the ratios, each the median of those of the rounds, are what to trust. About two
minutes with all sizes, most of which make the workloads.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import shapely
import workload
from revision import commit
from yardsticks import Batch, H3Cells, Rtree, Strtree

from geoengine.core.columns import Fixes, Floats
from geoengine.core.index import ZoneIndex
from geoengine.core.match import match
from geoengine.core.places.zones import Zones

BATCHES = (1, 16, 128, 1_024, 16_384)
FIXES, DEVICES = 1 << 17, 20_000
ROUNDS = 9
SLOW_ZONES_MAX = 10_000  # the dict and the R-tree are asked up to here: they take their time
SHARES = (0.0, 0.1, 0.5, 1.0)
DEGREE_M = 111_320.0
MIN_CHORD_M = 50.0
Run = Callable[[Batch], object]


def batches_of(lon: Floats, lat: Floats, size: int) -> list[Batch]:
    """Some batches of this size, in an order that no cache foresees: more fixes the larger."""
    fixes = min(2_000 + 16 * size, len(lon) // 2)
    begins = np.random.default_rng(size).permutation(len(lon) // size)[: max(2, fixes // size)]
    return [(lon[b : b + size], lat[b : b + size]) for b in (begins * size).tolist()]


def cost_ns(run: Run, batches: list[Batch]) -> float:
    """CPU nanoseconds a fix for one round over the batches."""
    begin = time.thread_time()
    for batch in batches:
        run(batch)
    return (time.thread_time() - begin) * 1e9 / sum(len(batch[0]) for batch in batches)


def in_turn(runs: list[Run], batches: list[Batch]) -> Floats:
    """Nanoseconds a fix, a row a round, a column a contender; those after the first see less."""
    few = batches[: max(1, 2_000 // len(batches[0][0]))]
    parts = [batches, *([few] * (len(runs) - 1))]
    return np.array(
        [[cost_ns(run, part) for run, part in zip(runs, parts, strict=True)] for _ in range(ROUNDS)]
    )


def by_batch(zones: Zones, index: ZoneIndex, fixes: Fixes) -> list[str]:
    """Rows of the table for one number of zones: a row a size of batch."""
    others: list[Run] = [Strtree(zones, index.bounds).match]
    if len(zones) <= SLOW_ZONES_MAX:
        others += [H3Cells(zones).match, Rtree(zones, index.bounds).match]
    rows = []
    for size in BATCHES:
        batches = batches_of(fixes.lon_deg, fixes.lat_deg, size)
        costs = in_turn([lambda batch: match(*batch, index), *others], batches)
        ours = costs[:, 0]
        ratios = [f"{np.median(theirs / ours):.1f}" for theirs in costs[:, 1:].T]
        figures = [f"{ours.min():,.0f}", f"{np.median(ours):,.0f}", *ratios, *[""] * 2]
        rows.append(f"| {len(zones):,} | {size:,} | " + " | ".join(figures[:5]) + " |")
        print(rows[-1], flush=True)
    return rows


def by_share(zones: Zones, index: ZoneIndex, fixes: Fixes) -> list[str]:
    """Rows by the share of fixes that are inside a zone, in batches of 1,024."""
    lon, lat = fixes.lon_deg, fixes.lat_deg
    is_in = np.zeros(len(lon), bool)
    is_in[match(lon, lat, index).fix_ix] = True
    rng = np.random.default_rng(7)
    rows = []
    for share in SHARES:
        inside = rng.random(len(lon)) < share
        pool = np.where(
            inside,
            rng.choice(np.flatnonzero(is_in), len(lon)),
            rng.choice(np.flatnonzero(~is_in), len(lon)),
        )
        batches = batches_of(lon[pool], lat[pool], 1_024)
        ours = in_turn([lambda batch: match(*batch, index)], batches)
        rows.append(
            f"| {len(zones):,} | {share:.0%} | {ours.min():,.0f} | {np.median(ours):,.0f} |"
        )
        print(rows[-1], flush=True)
    return rows


def ways_of(fixes: Fixes) -> tuple[list[Floats], float]:
    """The ways between fixes of a device a minute apart that could cross anything; their share."""
    here, there = slice(0, len(fixes) - DEVICES), slice(DEVICES, len(fixes))
    ways = [column[part] for part in (here, there) for column in (fixes.lon_deg, fixes.lat_deg)]
    lon0, lat0, lon1, lat1 = ways
    length_m = np.hypot((lon1 - lon0) * np.cos(np.radians(lat0)), lat1 - lat0) * DEGREE_M
    moving = np.flatnonzero((length_m >= 0.9 * MIN_CHORD_M) & (length_m <= 10_000.0))
    return [column[moving] for column in ways], len(moving) / len(lon0)


def way_ns(index: ZoneIndex, ways: list[Floats], size: int) -> float:
    """CPU nanoseconds a way in batches of this size, the best round."""
    best = float("inf")
    count = max(1, min(2_000, len(ways[0])) // size)
    for _ in range(ROUNDS):
        begin = time.thread_time()
        for at in range(0, count * size, size):
            index.crossings(*(column[at : at + size] for column in ways), MIN_CHORD_M)
        best = min(best, (time.thread_time() - begin) * 1e9 / (count * size))
    return best


def measure(zone_count: int) -> tuple[list[str], str, list[str]]:
    """What one number of zones costs: by batch; index and ways; by share inside."""
    zones = workload.zones(zone_count)
    fixes = workload.trace(zones, DEVICES, FIXES)
    begin = time.thread_time()
    index = ZoneIndex(zones)
    build_us = (time.thread_time() - begin) * 1e6 / zone_count
    rows = by_batch(zones, index, fixes)
    ways, share = ways_of(fixes)
    found = index.crossings(*ways, MIN_CHORD_M)
    costs = [f"{way_ns(index, ways, size):,.0f}" for size in (1, 64, 1_024)]
    figures = [f"{zone_count:,}", f"{build_us:.1f}", f"{index.nbytes / zone_count:.0f}"]
    crossing = [f"{share:.0%}", f"{len(found) / len(ways[0]):.2%}", *costs]
    other = "| " + " | ".join([*figures, *crossing]) + " |"
    print(other, flush=True)
    return rows, other, by_share(zones, index, fixes) if zone_count == 10_000 else []


def about() -> str:
    """When, where, what and how."""
    command = " ".join(["python", "benchmarks/bench_match.py", *sys.argv[1:]])
    return (
        f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, commit {commit()}, {os.cpu_count()} cores, "
        f"{platform.machine()}, CPython {platform.python_version()}, numpy {np.__version__}, "
        f"shapely {shapely.__version__}. `{command}`"
    )


NOTES = f"""\
CPU time of the thread, {ROUNDS} rounds in which the contenders take turns. A ratio says how many
times as long another takes over the same fixes: the median of the rounds' own ratios. STRtree and
R-tree: boxes asked in bulk, then a distance; H3: a dict from cells of two resolutions to zones,
then a distance; they are `benchmarks/yardsticks.py`. Workload: `benchmarks/workload.py`, seed 1,
{DEVICES:,} devices.

## What bends

- **Batch.** About 60 calls of numpy a batch, half a microsecond each whatever they do: a batch of
  128 pays for them what a batch of 1,024 pays eight times less of. Below 24 fixes a scalar path
  takes over at a little over a microsecond a fix.
- **Zones.** Nothing grows with them but the tables, a byte for each place of a mark and four for
  each of a bucket, which leave the caches of the processor between 10,000 and 1,000,000 zones; and
  the overlap of the countryside's zones, which the workload packs closer at 100,000 than at 10,000.
- **Share inside.** A fix in no marked cell ends after 20 operations; one in a zone is measured,
  kept and sorted.
"""


def main() -> None:
    """Measure and write the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--zones", type=int, nargs="+", default=[1_000, 10_000, 100_000, 1_000_000])
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "match.md")
    asked = parser.parse_args()
    measured = [measure(count) for count in asked.zones]
    lines = [
        "# Match: nanoseconds a fix",
        "",
        about(),
        "",
        "| zones | batch | best | median | STRtree takes | H3 cells take | R-tree takes |",
        "|---:|---:|---:|---:|---:|---:|---:|",
        *(row for rows, _, _ in measured for row in rows),
        "",
        "| zones | build, us a zone | bytes a zone | fixes that are ways | of which cross "
        "| ns a way, one by one | batches of 64 | of 1,024 |",
        "|---:|---:|---:|---:|---:|---:|---:|---:|",
        *(other for _, other, _ in measured),
        "",
        "| zones | share inside | best, batches of 1,024 | median |",
        "|---:|---:|---:|---:|",
        *(row for _, _, rows in measured for row in rows),
        "",
    ]
    asked.out.parent.mkdir(parents=True, exist_ok=True)
    asked.out.write_text("\n".join(lines) + "\n" + NOTES, encoding="utf-8")


if __name__ == "__main__":
    main()
