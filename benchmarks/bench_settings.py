"""City or countryside for ten thousand stores: how long it takes, and how often it is INSEE's word.

    python benchmarks/bench_settings.py [--stores 10000 ...] [--rounds 5] [--out PAGE.md]

Stores stand around sixty cities, seeded. Asked are the packaged places and, where ../shared/data
is, INSEE's outlines beside them. The yardstick is what the simplest engine would do in their place:
the nearest populated place, by shapely's STRtree, and its population. Ways take turns; seconds are
CPU time, the best of the rounds. Then the agreement with INSEE at the real French fuel stations and
the share of them in doubt. About a minute, most of it to convert the outlines.
"""

from __future__ import annotations

import argparse
import csv
import os
import platform
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import shapely
from places import CITIES
from revision import commit

from geoengine.catalog.density import kept
from geoengine.catalog.density.grid import DENSE_TOWN, Grid
from geoengine.catalog.density.reading import insee
from geoengine.catalog.setting.decide import Verdict, decide
from geoengine.catalog.setting.fallback import places
from geoengine.core.columns import Floats

SHARED = Path(__file__).parents[2] / "shared" / "data"
OUTLINES = SHARED / "urban" / "fr_communes_dens7_simplified.geojson.gz"
STATIONS = SHARED / "stores" / "fr_fuel_stations.csv"
AROUND_DEG = 0.15  # how far from their city stores stand: half of them in its suburbs and villages
TOWN_PEOPLE = 15_000  # of the nearest place, for the yardstick to say city
Way = Callable[[Floats, Floats], object]


def stores(count: int) -> tuple[Floats, Floats]:
    """Longitudes and latitudes around cities, the larger the more."""
    rng = np.random.default_rng(count)
    lat_deg, lon_deg, people = (np.array(column) for column in list(zip(*CITIES, strict=True))[1:])
    city_ix = rng.choice(len(CITIES), count, p=people / people.sum())
    away = rng.normal(0, AROUND_DEG, (2, count))
    return lon_deg[city_ix] + away[0], lat_deg[city_ix] + away[1]


def settings(grids: list[Grid]) -> Way:
    """Ours, with these grids."""
    return lambda lon_deg, lat_deg: decide(lon_deg, lat_deg, ["auto"] * len(lon_deg), grids)


def nearest(lon_deg: Floats, lat_deg: Floats) -> object:
    """The yardstick: the nearest place decides for all."""
    table = places()
    tree = shapely.STRtree(shapely.points(table.lon_deg, table.lat_deg))
    place_ix = tree.nearest(shapely.points(lon_deg, lat_deg))
    is_city = (table.people[place_ix] >= TOWN_PEOPLE).tolist()
    return [Verdict("city" if city else "countryside", "") for city in is_city]


def best_s(ways: dict[str, Way], at: tuple[Floats, Floats], rounds: int) -> dict[str, float]:
    """Seconds of each way at these stores, the best of the rounds, in alternation."""
    took: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            began = time.process_time()
            way(*at)
            took[name].append(time.process_time() - began)
    return {name: min(seconds) for name, seconds in took.items()}


def speed_rows(grids: list[Grid], counts: list[int], rounds: int) -> str:
    """The table of times."""
    ways = {"the packaged places": settings([])}
    if grids:
        ways["and INSEE's outlines"] = settings(grids)
    ways["the nearest place (yardstick)"] = nearest
    rows = "| stores | by | s | over the yardstick |\n|---:|---|---:|---:|\n"
    for count in counts:
        took = best_s(ways, stores(count), rounds)
        floor_s = took["the nearest place (yardstick)"]
        rows += "".join(
            f"| {count:,} | {name} | {seconds:.2f} | {seconds / floor_s:.1f} |\n"
            for name, seconds in took.items()
        )
    return rows


def agreement_rows(grids: list[Grid]) -> str:
    """Against INSEE at real stores: who says the same, and what is doubted."""
    with STATIONS.open(encoding="utf-8", newline="") as file:
        found = [row for row in csv.DictReader(file) if row["latitude"] and row["longitude"]]
    lon_deg, lat_deg = (
        np.array([float(r[key]) for r in found]) for key in ("longitude", "latitude")
    )
    degree = grids[0].look_up(lon_deg, lat_deg).degree
    rows = "| fuel stations by | says what INSEE says | in doubt |\n|---|---:|---:|\n"
    for name, way in (
        ("the nearest place (yardstick)", nearest),
        ("the packaged places", settings([])),
        ("and INSEE's outlines", settings(grids)),
    ):
        verdicts: list[Verdict] = way(lon_deg, lat_deg)  # type: ignore[assignment]
        is_city = np.array([verdict.setting == "city" for verdict in verdicts])
        agrees = (is_city == (degree <= DENSE_TOWN))[degree > 0].mean()
        doubted = np.mean([bool(verdict.doubts) for verdict in verdicts])
        rows += f"| {name} | {agrees:.1%} | {doubted:.1%} |\n"
    return rows


def outlines(folder: Path) -> list[Grid]:
    """INSEE's outlines as `geoengine data add` keeps them; none where they are not here."""
    if not OUTLINES.exists():
        return []
    insee.add([OUTLINES], folder, lambda _file, _read, _all: None)
    return kept.load(folder)


def main() -> None:
    """Measure, print, and write the page if asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--stores", type=int, nargs="+", default=[100, 10_000, 100_000])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        grids = outlines(Path(folder))
    page = (
        "# Settings: city or countryside\n\n"
        f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, commit {commit()}, {os.cpu_count()} cores, "
        f"{platform.machine()}, CPython {platform.python_version()}, CPU time, load "
        f"{os.getloadavg()[0]:.1f}. `python benchmarks/bench_settings.py`\n\n"
    )
    page += speed_rows(grids, options.stores, options.rounds)
    page += "\n" + (agreement_rows(grids) if grids else f"No outlines: {OUTLINES} is not here.\n")
    print(page)
    if options.out:
        options.out.write_text(page)


if __name__ == "__main__":
    main()
