"""What a match costs, by number of zones and size of batch, beside shapely's STRtree.

    python benchmarks/bench_match.py [--zones 1000 10000 ...] [--out benchmarks/results/match.md]

Times are CPU time of the measuring thread, the best of several rounds in which the contenders take
turns: on a shared machine the ratios are what to trust.
"""

from __future__ import annotations

import argparse
import os
import platform
import time
from collections.abc import Callable
from datetime import UTC, datetime
from itertools import cycle
from pathlib import Path

import numpy as np
import shapely
import workload

from geoengine.core.columns import Fixes, Floats
from geoengine.core.index import ZoneIndex
from geoengine.core.match import match
from geoengine.core.zones import Zones

BATCHES = (1, 16, 128, 1_024, 16_384)
FIXES = 1 << 17
ROUNDS = 5
FIXES_PER_ROUND = 30_000
Batch = tuple[Floats, Floats]


def tree_match(tree: shapely.STRtree, zones: Zones, batch: Batch) -> int:
    """What the tree would be used for: boxes, then the distance to each candidate's centre."""
    lon, lat = batch
    fix_ix, zone_ix = tree.query(shapely.points(lon, lat))
    north = np.radians(lat[fix_ix] - zones.lat_deg[zone_ix])
    middle = np.radians(lat[fix_ix] + zones.lat_deg[zone_ix]) / 2
    east = np.radians(lon[fix_ix] - zones.lon_deg[zone_ix]) * np.cos(middle)
    return int((6_371_009.0 * np.hypot(north, east) <= zones.radius_m[zone_ix]).sum())


def batches_of(fixes: Fixes, size: int) -> list[Batch]:
    """Some batches of this size, in an order that no cache foresees."""
    rng = np.random.default_rng(size)
    begins = rng.permutation(len(fixes) // size)[: max(2, FIXES_PER_ROUND // size)] * size
    return [(fixes.lon_deg[b : b + size], fixes.lat_deg[b : b + size]) for b in begins.tolist()]


def cost_ns(run: Callable[[Batch], object], batches: list[Batch]) -> float:
    """CPU nanoseconds a fix for one round over the batches."""
    begin = time.thread_time()
    for batch in batches:
        run(batch)
    return (time.thread_time() - begin) * 1e9 / sum(len(batch[0]) for batch in batches)


def best_of(runs: list[Callable[[Batch], object]], batches: list[Batch]) -> list[float]:
    """The best round of each contender; they take turns."""
    best = [float("inf")] * len(runs)
    turns = cycle(enumerate(runs))
    for _ in range(ROUNDS * len(runs)):
        ix, run = next(turns)
        best[ix] = min(best[ix], cost_ns(run, batches))
    return best


def crossing_ns(index: ZoneIndex, fixes: Fixes, devices: int) -> tuple[float, float]:
    """CPU nanoseconds a segment between fixes a minute apart, and segments that cross, per cent."""
    here, there = slice(0, len(fixes) - devices), slice(devices, len(fixes))
    ways = [column[part] for part in (here, there) for column in (fixes.lon_deg, fixes.lat_deg)]
    size, best, found = 1_024, float("inf"), 0
    for _ in range(3):
        found, begin = 0, time.thread_time()
        for at in range(0, 20 * size, size):
            found += len(index.crossings(*(way[at : at + size] for way in ways), 50.0))
        best = min(best, (time.thread_time() - begin) * 1e9 / (20 * size))
    return best, found / (20 * size) * 100


def measure(zone_count: int) -> list[str]:
    """Rows of the table for one number of zones."""
    zones = workload.zones(zone_count)
    devices = 20_000
    fixes = workload.trace(zones, devices, FIXES)
    begin = time.thread_time()
    index = ZoneIndex(zones)
    build_us = (time.thread_time() - begin) * 1e6 / zone_count
    tree = shapely.STRtree(shapely.box(*index.bounds.T))
    rows = []
    for size in BATCHES:
        batches = batches_of(fixes, size)
        ours, theirs = best_of(
            [
                lambda batch: match(*batch, index),
                lambda batch: tree_match(tree, zones, batch),
            ],
            batches,
        )
        rows.append(
            f"| {zone_count:,} | {size:,} | {ours:,.0f} | {theirs:,.0f} | {theirs / ours:.1f} |"
        )
        print(rows[-1], flush=True)
    per_way, share = crossing_ns(index, fixes, devices)
    rows.append(
        f"| {zone_count:,} | build {build_us:.1f} us/zone, {index.nbytes / zone_count:.0f} B/zone; "
        f"crossings {per_way:.0f} ns/segment at 1,024, {share:.1f} % cross | | | |"
    )
    print(rows[-1], flush=True)
    return rows


def machine() -> str:
    """The machine in a line."""
    return f"{os.cpu_count()} cores, {platform.machine()}, CPython {platform.python_version()}"


def main() -> None:
    """Measure and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--zones", type=int, nargs="+", default=[1_000, 10_000, 100_000, 1_000_000])
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "match.md")
    asked = parser.parse_args()
    rows = [row for count in asked.zones for row in measure(count)]
    head = [
        "# Match: nanoseconds a fix",
        "",
        f"{datetime.now(UTC):%Y-%m-%d}, {machine()}, numpy {np.__version__}, shapely "
        f"{shapely.__version__}. CPU time, best of {ROUNDS} rounds, contenders in turn. Workload: "
        "`benchmarks/workload.py`, seed 1, 20,000 devices. STRtree: boxes, then a distance.",
        "",
        "| zones | batch | geoengine | STRtree | ratio |",
        "|---:|---:|---:|---:|---:|",
    ]
    asked.out.parent.mkdir(parents=True, exist_ok=True)
    asked.out.write_text("\n".join([*head, *rows]) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
