"""The seeded workload: zones where people live, devices that come and go between them.

    python benchmarks/workload.py --zones 10000 --devices 50000 --fixes 1000000 --out DIR

writes DIR/config (YAML and CSV), and the fixes in order of time as DIR/trace.ndjson and, in
columns, as DIR/trace.npz. About 10 % of the fixes are inside a zone, and about 2 % enter or leave
one; what came out is printed. The same seed gives the same bytes.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from places import CITIES

from geoengine.core.columns import Fixes, Floats, Longs
from geoengine.core.index import ZoneIndex
from geoengine.core.places.zones import Zones

CITY_M, COUNTRY_M = 400.0, 4_000.0
CITY_SHARE = 0.8
DEGREE_M = 111_195.0  # of latitude, mean
# More zones than these go to copies of Europe elsewhere on the globe: were they crowded into one, a
# fix would lie in more of them and enter more, and what grows would not be the zones alone.
ZONES_PER_CONTINENT = 10_000
WEST, EAST, SOUTH, NORTH = -5.0, 20.0, 42.0, 54.0  # the countryside
START_MS = 1_780_041_600_000  # Friday 29 May 2026, 08:00 UTC
STEP_MS = 60_000
CYCLE_STEPS = 200  # a device's round: one visit to a shop, one to a place that is none
INSIDE_STEPS = 17.5  # of a round are spent in the shop's zone; passing through others adds the rest
CITY_STEP_M, COUNTRY_STEP_M = 500.0, 1_200.0  # a minute's way: 30 and 72 km/h
SHOP_STEP, WORK_STEP, WORK_STEPS = 40, 110, 50  # when a round's trips begin; how long work takes


def zones(count: int, seed: int = 1) -> Zones:
    """Circular zones: four fifths of 400 m in cities, by population; the rest of 4 km outside."""
    rng = np.random.default_rng(seed)
    city_count = round(count * CITY_SHARE)
    lon, lat = np.concatenate(
        [_in_cities(city_count, count, rng), _in_the_country(count - city_count, rng)], axis=1
    )
    lon, lat = _on_continents(lon, lat, count, rng)
    radius_m = np.where(np.arange(count) < city_count, CITY_M, COUNTRY_M)
    return Zones(
        ids=[f"s{ix}" for ix in range(count)],
        kind=np.zeros(count, np.int8),
        lon_deg=lon,
        lat_deg=lat,
        radius_m=radius_m,
        store_ix=np.arange(count, dtype=np.int32),
        policy_ix=np.zeros(count, np.int32),
        mode=np.where(radius_m == CITY_M, 1, 2).astype(np.int8),
        minutes=np.full(count, np.nan),
        prints=np.arange(count),
        born_ms=np.zeros(count, np.int64),
        why=["benchmark"] * count,
    )


def _in_cities(count: int, total: int, rng: np.random.Generator) -> Floats:
    lat, lon, people = np.array([city[1:] for city in CITIES]).T
    which = rng.choice(len(CITIES), count, p=people / people.sum())
    # Twice as many shops fill twice the area: the density of a city stays that of ten thousand.
    spread_m = 9_000.0 * np.sqrt(people / 1e6 * min(total, ZONES_PER_CONTINENT) / 10_000)
    north, east = rng.normal(0, spread_m[which], (2, count)) / DEGREE_M
    return np.stack([lon[which] + east / np.cos(np.radians(lat[which])), lat[which] + north])


def _in_the_country(count: int, rng: np.random.Generator) -> Floats:
    return np.stack([rng.uniform(WEST, EAST, count), rng.uniform(SOUTH, NORTH, count)])


def _on_continents(
    lon: Floats, lat: Floats, count: int, rng: np.random.Generator
) -> tuple[Floats, Floats]:
    copies = -(-count // ZONES_PER_CONTINENT)
    copy = rng.integers(0, copies, count)
    lon = lon + 72.0 * (copy // 2) + 7.0 * (copy // 10)
    return (lon + 180.0) % 360.0 - 180.0, np.where(copy % 2 == 0, lat, -lat)


@dataclass(frozen=True)
class Rounds:
    """The daily round of each device: home, a shop, a place of work; degrees, shape (N, 2)."""

    home: Floats
    shop: Floats
    work: Floats
    step_m: Floats
    shop_steps: Floats
    phase: Longs


def rounds(zones: Zones, index: ZoneIndex, count: int, rng: np.random.Generator) -> Rounds:
    """Where devices live, shop and work: homes and work outside all zones, shops inside one."""
    zone_ix = rng.integers(0, len(zones), count)
    radius_m = zones.radius_m[zone_ix]
    step_m = np.where(radius_m == CITY_M, CITY_STEP_M, COUNTRY_STEP_M)
    center = np.stack([zones.lon_deg[zone_ix], zones.lat_deg[zone_ix]], axis=1)
    return Rounds(
        home=_outside(center, radius_m, index, rng),
        shop=_moved(center, 0.5 * radius_m * np.sqrt(rng.random(count)), rng),
        work=_outside(center, radius_m, index, rng),
        step_m=step_m,
        shop_steps=np.maximum(INSIDE_STEPS - 2 * radius_m / step_m, 1.0),
        phase=rng.integers(0, CYCLE_STEPS, count),
    )


def _outside(
    center: Floats, radius_m: Floats, index: ZoneIndex, rng: np.random.Generator
) -> Floats:
    """Places near zones but in none, as far as a hundred tries find one."""
    place = _moved(center, radius_m * rng.uniform(1.3, 3.0, len(center)), rng)
    for attempt in range(100):
        inside = np.unique(index.match(place[:, 0].copy(), place[:, 1].copy()).fix_ix)
        if len(inside) == 0:
            break
        reach = rng.uniform(1.3, 3.0 + attempt / 4, len(inside))
        place[inside] = _moved(center[inside], radius_m[inside] * reach, rng)
    return place


def _moved(place: Floats, by_m: Floats, rng: np.random.Generator) -> Floats:
    bearing = rng.uniform(0, 2 * np.pi, len(place))
    lat = place[:, 1] + by_m * np.cos(bearing) / DEGREE_M
    lon = place[:, 0] + by_m * np.sin(bearing) / DEGREE_M / np.cos(np.radians(place[:, 1]))
    return np.stack([(lon + 180.0) % 360.0 - 180.0, lat], axis=1)


def trace(zones: Zones, device_count: int, fix_count: int, seed: int = 1) -> Fixes:
    """Fixes of all devices, a minute apart, in order of time; shape (fix_count,)."""
    rng = np.random.default_rng([seed, 1])
    round_of = rounds(zones, ZoneIndex(zones), device_count, rng)
    offset_ms = np.sort(rng.integers(0, STEP_MS, device_count))
    steps = -(-fix_count // device_count)
    step, device = (
        part.ravel()[:fix_count]
        for part in np.divmod(np.arange(steps * device_count), device_count)
    )
    accuracy_m = np.round(np.clip(rng.lognormal(2.3, 0.5, fix_count), 3.0, 60.0), 1)
    place = _positions(round_of, step, device)
    error_m = np.abs(rng.normal(0, 1, fix_count)) * accuracy_m / 1.5
    place = np.round(_moved(place, error_m, rng), 6)
    return Fixes.of(
        [f"d{number}" for number in device.tolist()],
        place[:, 0].copy(),
        place[:, 1].copy(),
        START_MS + step * STEP_MS + offset_ms[device],
        accuracy_m=accuracy_m,
    )


def _positions(rounds: Rounds, step: Longs, device: Longs) -> Floats:
    """Where each device is at each step of its round, straight from place to place."""
    now = (step + rounds.phase[device]) % CYCLE_STEPS
    home = rounds.home[device]
    place = home.copy()
    for target, begin, stay in (
        (rounds.shop, SHOP_STEP, rounds.shop_steps[device]),
        (rounds.work, WORK_STEP, np.full(len(device), float(WORK_STEPS))),
    ):
        way = _shortest(target[device] - home)
        length_m = np.hypot(way[:, 0] * np.cos(np.radians(home[:, 1])), way[:, 1]) * DEGREE_M
        travel = np.maximum(length_m / rounds.step_m[device], 1e-9)
        out, back = (now - begin) / travel, (begin + 2 * travel + stay - now) / travel
        place += way * np.clip(np.minimum(out, back), 0.0, 1.0)[:, None]
    place[:, 0] = (place[:, 0] + 180.0) % 360.0 - 180.0
    return place


def _shortest(way: Floats) -> Floats:
    way[:, 0] -= 360.0 * np.rint(way[:, 0] / 360.0)
    return way


def shares(zones: Zones, fixes: Fixes) -> tuple[float, float]:
    """Share of fixes inside a zone, and of (fix, zone) entries and exits per fix."""
    evidence = ZoneIndex(zones).match(fixes.lon_deg, fixes.lat_deg)
    inside = len(np.unique(evidence.fix_ix)) / len(fixes)
    device = np.unique(np.array(fixes.device_ids), return_inverse=True)[1]
    order = np.lexsort((np.arange(len(fixes)), device))
    rank = np.empty(len(fixes), np.int64)
    rank[order] = np.arange(len(fixes))
    pair = evidence.zone_ix.astype(np.int64) * len(fixes) + rank[evidence.fix_ix]
    known = np.sort(pair)
    is_first = np.r_[True, np.diff(device[order]) != 0]
    entered = ~np.isin(known - 1, known) & ~is_first[known % len(fixes)]
    is_last = np.r_[is_first[1:], True]
    left = ~np.isin(known + 1, known) & ~is_last[known % len(fixes)]
    return inside, (entered.sum() + left.sum()) / len(fixes)


CONFIG = """\
# Made by benchmarks/workload.py
stores:
  - import: stores.csv
    defaults: {time_zone: Europe/Paris, country: FR}  # some lie at sea
campaigns:
  - id: hello
    on: enter
    levers: [log]
    caps: [{max: 3, per: day}]
    message: {en: "Welcome to {store}", fr: "Bienvenue chez {store}"}
engine:
  consent: {location: assumed}
"""


def write_catalogue(zones: Zones, folder: Path) -> None:
    """The zones as stores: FOLDER/geoengine.yaml and FOLDER/stores.csv."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "geoengine.yaml").write_text(CONFIG, encoding="utf-8")
    with (folder / "stores.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "name", "lat", "lon", "radius_m", "setting"])
        for ix, zone_id in enumerate(zones.ids):
            lat, lon = round(float(zones.lat_deg[ix]), 6), round(float(zones.lon_deg[ix]), 6)
            radius_m = zones.radius_m[ix]
            setting = "city" if radius_m == CITY_M else "countryside"
            writer.writerow([zone_id, f"Shop {ix}", lat, lon, f"{radius_m:g}", setting])


def trace_lines(fixes: Fixes) -> Iterator[str]:
    """The trace as NDJSON, a line a fix."""
    columns = (fixes.lat_deg, fixes.lon_deg, fixes.accuracy_m, fixes.fix_ms)
    rows = zip(fixes.device_ids, *(column.tolist() for column in columns), strict=True)
    for device_id, lat, lon, accuracy_m, fix_ms in rows:
        yield (
            f'{{"device_id":"{device_id}","lat":{lat},"lon":{lon},'
            f'"accuracy_m":{accuracy_m},"fix_time":{fix_ms}}}\n'
        )


def write_columns(fixes: Fixes, path: Path) -> None:
    """The trace in columns; each device is named once, rows have its number."""
    names, device_ix = np.unique(np.array(fixes.device_ids), return_inverse=True)
    np.savez(
        path,
        device_ids=names,
        device_ix=device_ix.astype(np.int32),
        lon_deg=fixes.lon_deg,
        lat_deg=fixes.lat_deg,
        accuracy_m=fixes.accuracy_m,
        fix_ms=fixes.fix_ms,
    )


def read_columns(path: Path) -> Fixes:
    """The trace that `write_columns` wrote; the device ids of equal rows are one object."""
    with np.load(path) as columns:
        names = columns["device_ids"].tolist()
        return Fixes.of(
            [names[ix] for ix in columns["device_ix"].tolist()],
            columns["lon_deg"],
            columns["lat_deg"],
            columns["fix_ms"],
            accuracy_m=columns["accuracy_m"],
        )


def main() -> None:
    """Write a workload and say what is in it."""
    parser = argparse.ArgumentParser(description="Write a seeded workload.")
    parser.add_argument("--zones", type=int, default=10_000)
    parser.add_argument("--devices", type=int, default=50_000)
    parser.add_argument("--fixes", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, required=True)
    asked = parser.parse_args()
    made = zones(asked.zones, asked.seed)
    write_catalogue(made, asked.out / "config")
    fixes = trace(made, asked.devices, asked.fixes, asked.seed)
    with (asked.out / "trace.ndjson").open("w", encoding="utf-8") as file:
        file.writelines(trace_lines(fixes))
    write_columns(fixes, asked.out / "trace.npz")
    inside, changes = shares(made, fixes)
    until = datetime.fromtimestamp(int(fixes.fix_ms[-1]) / 1_000, UTC)
    print(f"{len(made)} zones, {len(fixes)} fixes of {asked.devices} devices until {until:%H:%M}")
    print(f"inside a zone: {inside:.1%} of fixes; entries and exits: {changes:.2%} of fixes")


if __name__ == "__main__":
    main()
