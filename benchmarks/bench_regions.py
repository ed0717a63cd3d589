"""What advice costs: the regions a phone should watch, by number of zones and of regions.

    python benchmarks/bench_regions.py [--zones 1000 ...] [--out benchmarks/results/regions.md]

Times are CPU time of the measuring thread. Zones are circles of 300 m over a country of 1,000 by
1,000 km; phones ask from anywhere in it, and from an ocean away. About half a minute.
"""

from __future__ import annotations

import argparse
import os
import platform
import time
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from revision import commit

from geoengine.core.book import Book
from geoengine.core.places.regions import advise, prepare
from geoengine.core.places.zones import Zones

ASKED = 300
LIMITS = (20, 100)
OCEAN = (30.0, -40.0)  # latitude and longitude
HEADER = """\
| zones | made ready, ms | regions | best, ms | median | 99 % | refresh circle, median, m |
|---:|---:|---:|---:|---:|---:|---:|
"""


def book_of(count: int) -> Book:
    """A country full of shops."""
    rng = np.random.default_rng(count)
    zones = Zones(
        ids=[f"z{ix}" for ix in range(count)],
        kind=np.zeros(count, np.int8),
        lon_deg=rng.uniform(-5, 8, count),
        lat_deg=rng.uniform(42, 51, count),
        radius_m=np.full(count, 300.0),
        store_ix=np.full(count, -1, np.int32),
        policy_ix=np.zeros(count, np.int32),
        mode=np.zeros(count, np.int8),
        minutes=np.full(count, np.nan),
        prints=np.arange(count),
        born_ms=np.zeros(count, np.int64),
        why=[""] * count,
    )
    return Book("bench", (), zones, (), (), engine=None)  # type: ignore[arg-type]


def asked(book: Book, places: list[tuple[float, float]], limit: int) -> tuple[list[float], float]:
    """Milliseconds of each answer, and the median radius of the refresh circles."""
    took_ms, radii = [], []
    for lat, lon in places:
        begin = time.thread_time()
        told = advise(book, lat, lon, accuracy_m=20.0, limit=limit)
        took_ms.append((time.thread_time() - begin) * 1e3)
        radii.append(told.refresh_radius_m)
    return took_ms, float(np.median(radii))


def rows(count: int) -> str:
    """The table's rows for so many zones."""
    book = book_of(count)
    _ = book.index
    begin = time.thread_time()
    prepare(book)
    made_ms = (time.thread_time() - begin) * 1e3
    rng = np.random.default_rng(7)
    places = list(
        zip(rng.uniform(43, 50, ASKED).tolist(), rng.uniform(-4, 7, ASKED).tolist(), strict=True)
    )
    told = ""
    for limit, where in [*((limit, places) for limit in LIMITS), (20, [OCEAN] * 20)]:
        took_ms, radius_m = asked(book, where, limit)
        name = f"{limit}, an ocean away" if where[0] == OCEAN else str(limit)
        told += (
            f"| {count:,} | {made_ms:,.0f} | {name} | {min(took_ms):.2f} "
            f"| {np.median(took_ms):.2f} | {np.quantile(took_ms, 0.99):.2f} | {radius_m:,.0f} |\n"
        )
    return told


def main() -> None:
    """Measure, print, and write the page if asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--zones", type=int, nargs="+", default=[1_000, 10_000, 100_000, 1_000_000])
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    page = (
        "# Regions: milliseconds an answer\n\n"
        f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, commit {commit()}, {os.cpu_count()} cores, "
        f"{platform.machine()}, CPython {platform.python_version()}, CPU time, load "
        f"{os.getloadavg()[0]:.1f}. `python benchmarks/bench_regions.py`\n\n"
    )
    page += HEADER + "".join(rows(count) for count in options.zones)
    print(page)
    if options.out:
        options.out.write_text(page)


if __name__ == "__main__":
    main()
