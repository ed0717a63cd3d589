"""How long near a door is a visit: doors passed and doors stopped at, on real traces.

    python benchmarks/bench_visits.py [--data ../shared/data/traces]

Shops are put beside the way of real phones and buses: where they went straight by, which must be no
visit, and where they stood still for five minutes, which must. The engine plays each trace with all
its doors at once, told to take any stay for a visit; what each threshold would have made of the
stays is counted from their lengths.
"""

from __future__ import annotations

import argparse
import asyncio
import platform
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from pyproj import Geod

sys.path.append(str(Path(__file__).parents[1]))  # where the tests are

from benchmarks.revision import commit
from geoengine.core.columns import Fixes, Longs
from geoengine.core.ids import digest
from geoengine.core.model import Location, Store
from geoengine.core.model.engine import EngineSpec
from geoengine.core.model.measure import DoorSpec, MeasureSpec
from geoengine.core.record import Fact
from geoengine.core.units import MINUTE_MS, SECOND_MS
from geoengine.replay.gather import Trace, gather
from geoengine.replay.run import replay
from geoengine.replay.traces import TraceOptions
from geoengine.state.local import LocalState
from tests.core.world import World

DATA = Path(__file__).parents[2] / "shared" / "data" / "traces"
RESULTS = Path(__file__).parent / "results" / "visits.md"
TRACES = (
    "zurich/posmo_trajectory_2.csv", "bergen_gpslogger/long.csv", "bergen_gpslogger/medium.csv",
    "bergen_gpslogger/vm.csv", "liverpool_bus/route14_outbound.csv",
    "limerick_bus/304_to_UL_2019-02-18.gpx",
)  # fmt: skip
RADIUS_M = 50.0  # of a door
ASIDE_M = 15.0  # a shop stands beside the way, not in it
AROUND_MS = 2 * MINUTE_MS  # going straight by: so far away so long before and after ...
WAY_M = 110.0  # ... that is 0.9 m/s
STOP_MS = 5 * MINUTE_MS
STILL_M = 30.0  # standing: all fixes of the time within this
DOORS_MAX = 150  # a trace and kind
THRESHOLDS_S = (0, 30, 60, 100, 140, 180, 240, 300)
GEOD = Geod(ellps="WGS84")


@dataclass(frozen=True, slots=True)
class Door:
    """A shop where somebody was at a moment."""

    store: Store
    device_id: str
    at_ms: int
    is_stop: bool


def doors_of(fixes: Fixes) -> list[Door]:
    """Shops beside a trace, at moments when its devices passed by or stood still."""
    found: list[Door] = []
    for device in dict.fromkeys(fixes.device_ids):
        rows = np.array([ix for ix, own in enumerate(fixes.device_ids) if own == device])
        for row in rows.tolist():
            kind = _kind(fixes, rows, row)
            if kind is not None:
                found.append(_door(fixes, row, is_stop=kind))
    rng = np.random.default_rng(7)
    chosen = []
    for is_stop in (False, True):
        some = [door for door in found if door.is_stop == is_stop]
        picked = rng.permutation(len(some))[:DOORS_MAX]
        chosen += [some[ix] for ix in sorted(picked.tolist())]
    return chosen


def _kind(fixes: Fixes, rows: Longs, row: int) -> bool | None:
    """Whether its device stands still at a fix; None where it neither stands nor goes by."""
    away_ms = fixes.fix_ms[rows] - fixes.fix_ms[row]
    away_m = _away_m(fixes, rows, row)
    still = (np.abs(away_ms) <= STOP_MS / 2) & (fixes.accuracy_m[rows] <= STILL_M)
    lasted_ms = np.ptp(away_ms[still]) if still.any() else 0
    if lasted_ms >= 0.9 * STOP_MS and (away_m[still] <= STILL_M).all():
        return True
    before = (away_ms < 0) & (away_ms >= -AROUND_MS)
    after = (away_ms > 0) & (away_ms <= AROUND_MS)
    if not before.any() or not after.any():
        return None
    far = away_m[before].max() >= WAY_M and away_m[after].max() >= WAY_M
    return False if far else None


def _away_m(fixes: Fixes, rows: Longs, row: int) -> np.ndarray:
    n = len(rows)
    lon, lat = np.full(n, fixes.lon_deg[row]), np.full(n, fixes.lat_deg[row])
    return np.asarray(GEOD.inv(lon, lat, fixes.lon_deg[rows], fixes.lat_deg[rows])[2])


def _door(fixes: Fixes, row: int, *, is_stop: bool) -> Door:
    device, at_ms = fixes.device_ids[row], int(fixes.fix_ms[row])
    bearing = int(digest(device, at_ms)[:4], 16) % 360
    lon, lat, _ = GEOD.fwd(fixes.lon_deg[row], fixes.lat_deg[row], bearing, ASIDE_M)
    name = digest("door", device, at_ms)
    store = Store(id=name, name=name, location=Location(lat=lat, lon=lon), time_zone="UTC")
    return Door(store, device, at_ms, is_stop)


async def stays(trace: Trace, doors: list[Door]) -> dict[str, list[Fact]]:
    """What the engine takes for visits to the doors, whatever their length."""
    door = DoorSpec(radius_m=RADIUS_M, stay="0s")
    engine = EngineSpec(measure=MeasureSpec(consent="location", door=door))
    book = World(stores=[door.store for door in doors], radius_m=RADIUS_M, engine=engine).book()
    state = LocalState(None, last_fix_capacity=1_000)
    await state.open()
    await replay(state, book, trace, lambda events: None, until_silent=True)
    page = await state.history(0, 1 << 60, limit=1_000_000)
    await state.close()
    found: dict[str, list[Fact]] = {}
    for fact in page.items:
        if isinstance(fact, Fact):
            found.setdefault(fact.store_id, []).append(fact)
    return found


def longest_s(door: Door, visits: list[Fact]) -> float:
    """How long the device stayed at the door around that moment; -1 where it was not let in."""
    return max(
        (
            fact.data["duration_s"]
            for fact in visits
            if fact.person_id == door.device_id
            and fact.at_ms - MINUTE_MS
            <= door.at_ms
            <= fact.at_ms + fact.data["duration_s"] * SECOND_MS + MINUTE_MS
        ),
        default=-1.0,
    )


def page(data: Path) -> str:
    """The results, to read."""
    when = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    lines = [
        "# Visits: how long near a door\n",
        f"{when}, {platform.machine()}, Python {platform.python_version()}, commit {commit()}; "
        "`python benchmarks/bench_visits.py`. The same on every run.\n",
        f"Doors of {RADIUS_M:.0f} m, the shop {ASIDE_M:.0f} m beside the way. Share of doors that "
        "were taken for visited, by how long a stay must be.\n",
        "| trace | doors | | " + " | ".join(f"{s} s" for s in THRESHOLDS_S) + " |",
        "|---|---:|---|" + "---:|" * len(THRESHOLDS_S),
    ]
    for name in TRACES:
        trace = gather([data / name], TraceOptions())
        doors = doors_of(trace.fixes)
        found = asyncio.run(stays(trace, doors))
        for is_stop, words in ((False, "passed"), (True, "stood at")):
            some = [door for door in doors if door.is_stop == is_stop]
            if some:
                lasted = np.array([longest_s(one, found.get(one.store.id, [])) for one in some])
                shares = [f"{(lasted >= s).mean():.0%}" for s in THRESHOLDS_S]
                lines.append(f"| {name} | {len(some)} | {words} | " + " | ".join(shares) + " |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Play, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])  # type: ignore[union-attr]
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()
    options.out.write_text(page(options.data), "utf-8")
    print(options.out.read_text("utf-8"))


if __name__ == "__main__":
    main()
