"""What a match costs with polygons in the place of circles, and what they hold of memory.

    python benchmarks/bench_outlines.py [--zones 10000] [--out benchmarks/results/outlines.md]

The same zones of `workload.py`, once as circles and once as isochrone-like outlines of the same
area, and fixes of which a tenth is inside; in rounds in which both take turns. Times are CPU time
of the measuring thread. About two minutes, most of which draw the outlines.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import workload
from bench_match import BATCHES, DEVICES, FIXES, ROUNDS, batches_of, cost_ns
from outlines import outlined
from revision import commit

from geoengine.core.columns import Fixes, Floats
from geoengine.core.index import ZoneIndex
from geoengine.core.match import match
from geoengine.core.space.edges import IS_COMPILED

CORNERS = (256, 1_000)
SHARE = 0.1
BAR = 1.3


def tenth_inside(fixes: Fixes, index: ZoneIndex) -> tuple[Floats, Floats]:
    """Fixes drawn anew, so many of them in a zone of this index."""
    lon, lat = fixes.lon_deg, fixes.lat_deg
    is_in = np.zeros(len(lon), bool)
    is_in[match(lon, lat, index).fix_ix] = True
    rng = np.random.default_rng(7)
    pool = np.where(
        rng.random(len(lon)) < SHARE,
        rng.choice(np.flatnonzero(is_in), len(lon)),
        rng.choice(np.flatnonzero(~is_in), len(lon)),
    )
    return lon[pool], lat[pool]


def measure(zone_count: int, corners: int) -> tuple[list[str], str]:
    """Rows by size of batch, and what building took."""
    zones = workload.zones(zone_count)
    fixes = workload.trace(zones, DEVICES, FIXES)
    circles, drawn = ZoneIndex(zones), outlined(zones, corners)
    begin = time.thread_time()
    polygons = ZoneIndex(drawn)
    build_us = (time.thread_time() - begin) * 1e6 / zone_count
    kinds = [(index, tenth_inside(fixes, index)) for index in (circles, polygons)]
    rows = []
    for size in BATCHES:
        runs = [(index, batches_of(*places, size)) for index, places in kinds]
        costs = np.array([[_cost(*run) for run in runs] for _ in range(ROUNDS)])
        least, ratio = costs.min(axis=0), np.median(costs[:, 1] / costs[:, 0])
        rows.append(f"| {corners:,} | {size:,} | {least[0]:,.0f} | {least[1]:,.0f} | {ratio:.2f} |")
        print(rows[-1], flush=True)
    bytes_each = polygons.nbytes / zone_count
    return rows, f"| {corners:,} | {build_us:,.0f} | {bytes_each:,.0f} |"


def _cost(index: ZoneIndex, batches: list[tuple[Floats, Floats]]) -> float:
    return cost_ns(lambda batch: match(*batch, index), batches)


def about(zone_count: int) -> str:
    """When, where, what and how."""
    command = " ".join(["python", "benchmarks/bench_outlines.py", *sys.argv[1:]])
    return (
        f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, commit {commit()}, {zone_count:,} zones, "
        f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, {platform.machine()}, CPython "
        f"{platform.python_version()}, compiled: {'yes' if IS_COMPILED else 'no'}. `{command}`"
    )


def main() -> None:
    """Measure and write the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--zones", type=int, default=10_000)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results/outlines.md")
    asked = parser.parse_args()
    measured = [measure(asked.zones, corners) for corners in CORNERS]
    lines = [
        "# Polygons beside circles: nanoseconds a fix",
        "",
        about(asked.zones),
        "",
        f"| corners | batch | circles, best | polygons, best | ratio, median (bar {BAR}) |",
        "|---:|---:|---:|---:|---:|",
        *(row for rows, _ in measured for row in rows),
        "",
        "| corners | index built, us a polygon | bytes a polygon, beside shapely's |",
        "|---:|---:|---:|",
        *(other for _, other in measured),
        "",
    ]
    asked.out.write_text("\n".join(lines) + "\n" + NOTES, encoding="utf-8")


NOTES = """\
Both kinds lie in the same places, have the same area, and 10 % of the fixes are inside. What a
polygon costs beside a circle: the position's cell among those of the polygon, a thirty-second of
its width; where an edge runs through that cell, the edges between the position and the cell's
middle; inside, the depth, by the boxes of seven edges each that the cell lists, all of them looked
at together, and metres by a parabola of each polygon. A batch is matched in one compiled call:
marks of sixteen cells each, small enough for a cache, then entries, cells and edges, each asked for
some positions ahead, since in large batches over thousands of polygons it is memory that is waited
for.
"""


if __name__ == "__main__":
    main()
