"""Real stores and real traces; skipped where they are not at hand."""

from __future__ import annotations

import asyncio
import csv
import random
import tempfile
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from pyproj import Geod

from geoengine.catalog import load
from geoengine.core.book import Book
from geoengine.core.columns import Fixes
from geoengine.core.record import Event
from geoengine.replay.gather import Trace, gather
from geoengine.replay.run import replay
from geoengine.replay.traces import TraceOptions
from geoengine.state import LocalState

DATA = Path(__file__).parents[3] / "shared" / "data"
pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason="no real data at hand in ../shared/data")
GEOD = Geod(ellps="WGS84")
CHAINS = ("tesco", "greggs", "sainsburys")


@cache
def british_stores() -> Book:
    """The 6,404 stores of three chains, five minutes on foot around each."""
    with tempfile.TemporaryDirectory() as made:
        imports = "\n".join(
            f"  - import: {DATA}/stores/uk_{chain}.json\n    defaults: {{setting: city}}"
            for chain in CHAINS
        )
        (Path(made) / "uk.yaml").write_text(f"stores:\n{imports}\n")
        return load(Path(made))


def zones_at(tmp_path: Path, places: list[tuple[float, float]], radius_m: float) -> Book:
    """Circles around these places (lon, lat)."""
    rows = [f"p{ix},P,{lat},{lon},{radius_m}" for ix, (lon, lat) in enumerate(places)]
    (tmp_path / "places.csv").write_text("\n".join(["id,name,lat,lon,radius_m", *rows]))
    (tmp_path / "a.yaml").write_text(
        "stores:\n  - import: places.csv\n    defaults: {setting: city, time_zone: Europe/Zurich}\n"
    )
    return load(tmp_path)


@dataclass
class Story:
    """What a replay told."""

    events: list[Event] = field(default_factory=list)

    def kinds(self, kind: str) -> list[Event]:
        """The events of one type."""
        return [event for event in self.events if event.type == kind]


def play(book: Book, trace: Trace, batch_rows: int = 65_536) -> Story:
    """The trace through the book, on a state of its own."""
    story = Story()

    async def go() -> None:
        state = LocalState(None)
        await state.open()
        await replay(
            state, book, trace, story.events.extend, batch_rows=batch_rows, until_silent=True
        )
        await state.close()

    asyncio.run(go())
    return story


def read(name: str, **options: object) -> Trace:
    return gather([DATA / "traces" / name], TraceOptions(**options))  # type: ignore[arg-type]


def liverpool() -> Trace:
    return read("liverpool_bus/route14_outbound.csv", columns={"device_id": "trip_id"})


def distances_m(fixes: Fixes, lon: float, lat: float) -> np.ndarray:
    n = len(fixes)
    _, _, away = GEOD.inv(fixes.lon_deg, fixes.lat_deg, np.full(n, lon), np.full(n, lat))
    return away


def test_every_visit_of_the_liverpool_buses_is_where_the_bus_was():
    """Each entry lies inside its circle, each exit outside it, and what lies between inside."""
    book, trace = british_stores(), liverpool()
    story = play(book, trace)
    entered, exited = story.kinds("zone.entered"), story.kinds("zone.exited")
    assert 100 <= len(entered) == len(exited)
    ends = {event.data["visit_id"]: event for event in exited}
    for event in entered:
        store = book.stores[book.store_ix_of[event.data["store_id"]]]
        rows = [i for i, d in enumerate(trace.fixes.device_ids) if d == event.data["device_id"]]
        fixes = trace.fixes.take(np.array(rows))
        away = distances_m(fixes, store.location.lon, store.location.lat)
        end = ends[event.data["visit_id"]]
        during = (fixes.fix_ms >= event.at_ms) & (fixes.fix_ms < end.at_ms)
        assert away[fixes.fix_ms == event.at_ms].max() < 300
        # Inside counts the moat: max(30 m, 1.2 times an accuracy of 30 m), and half of a sigma.
        assert away[during].max() < 300 + 36 + 60
        if end.data["reason"] == "left":
            assert away[fixes.fix_ms == end.at_ms].min() > 300


def test_no_bus_that_stood_well_inside_a_zone_was_missed():
    book, trace = british_stores(), liverpool()
    told = {
        (e.data["device_id"], e.data["store_id"]) for e in play(book, trace).kinds("zone.entered")
    }
    fixes = trace.fixes
    found = book.index.match(fixes.lon_deg, fixes.lat_deg)
    deep = np.flatnonzero(found.edge_m < -60)
    was_in = {
        (fixes.device_ids[found.fix_ix[i]], book.zones.ids[found.zone_ix[i]]) for i in deep.tolist()
    }
    assert was_in <= told


def test_the_liverpool_trace_twice_shuffled_or_cut_tells_of_nothing_more(tmp_path: Path):
    book, source = british_stores(), DATA / "traces/liverpool_bus/route14_outbound.csv"
    once = [event.id for event in play(book, liverpool()).events]
    head, *rows = source.read_text().splitlines()
    rng = random.Random(3)
    shuffled = sorted(rows, key=lambda row: row.split(",")[3])
    shuffled = [
        row
        for _, row in sorted(enumerate(shuffled), key=lambda pair: pair[0] + rng.uniform(0, 100))
    ]
    for name, lines in (("twice", rows + rows), ("shuffled", shuffled)):
        path = tmp_path / f"{name}.csv"
        path.write_text("\n".join([head, *lines]))
        trace = gather([path], TraceOptions(columns={"device_id": "trip_id"}))
        assert [event.id for event in play(book, trace).events] == once, name
    for batch_rows in (1, 17, 400):
        assert [e.id for e in play(book, liverpool(), batch_rows).events] == once


def test_no_jump_of_the_zurich_phone_enters_the_place_it_jumped_to(tmp_path: Path):
    """A shop at each place the phone was at for one fix only, far from the fixes around it."""
    trace = read("zurich/posmo_trajectory_2.csv")
    fixes = trace.fixes.take(np.argsort(trace.fixes.fix_ms, kind="stable"))
    lon, lat = fixes.lon_deg, fixes.lat_deg
    _, _, step_m = GEOD.inv(lon[:-1], lat[:-1], lon[1:], lat[1:])
    speed = step_m / np.maximum(np.diff(fixes.fix_ms) / 1_000, 1.0)
    # Out and back faster than any train, between two fixes that agree with each other.
    _, _, skip_m = GEOD.inv(lon[:-2], lat[:-2], lon[2:], lat[2:])
    alone = (speed[:-1] > 100) & (speed[1:] > 100) & (skip_m < 700)
    jumps = (np.flatnonzero(alone) + 1).tolist()
    assert len(jumps) >= 3
    book = zones_at(tmp_path, [(lon[i], lat[i]) for i in jumps], 150)
    entered = play(book, trace).kinds("zone.entered")
    at_ms = {f"p{ix}": int(fixes.fix_ms[i]) for ix, i in enumerate(jumps)}
    assert [e for e in entered if e.at_ms == at_ms[e.data["zone_id"]]] == []


@pytest.mark.parametrize("away_m", [150, 250, 400])
def test_the_toulouse_cold_start_enters_no_shop_it_is_not_at(tmp_path: Path, away_m: float):
    """Shops all around where the phone turns out to be, within the error of its first fixes."""
    trace = read("toulouse_phyphox/Location.csv", start_ms=1_767_225_600_000)
    settled = trace.fixes.take(np.flatnonzero(trace.fixes.accuracy_m < 50))
    lon, lat = float(np.median(settled.lon_deg)), float(np.median(settled.lat_deg))
    places = [GEOD.fwd(lon, lat, azimuth, away_m)[:2] for azimuth in range(0, 360, 30)]
    book = zones_at(tmp_path, places, 100)
    assert distances_m(settled, lon, lat).max() < 50
    assert play(book, trace).kinds("zone.entered") == []


def test_the_toulouse_phone_is_found_where_it_is_and_known_to_have_been_there(tmp_path: Path):
    trace = read("toulouse_phyphox/Location.csv", start_ms=1_767_225_600_000)
    last = trace.fixes
    book = zones_at(tmp_path, [(float(last.lon_deg[-1]), float(last.lat_deg[-1]))], 300)
    (entered,) = play(book, trace).kinds("zone.entered")
    assert entered.data["initial"] is True


@pytest.mark.parametrize(
    ("name", "least"),
    [("bergen_gpslogger/vm.csv", 1), ("limerick_bus/304_to_UL_2019-02-18.gpx", 1)],
)
def test_a_shop_on_the_way_is_entered_and_left_once_a_pass(tmp_path: Path, name: str, least: int):
    trace = read(name)
    middle = len(trace.fixes) // 2
    place = float(trace.fixes.lon_deg[middle]), float(trace.fixes.lat_deg[middle])
    story = play(zones_at(tmp_path, [place], 200), trace)
    entered, exited = story.kinds("zone.entered"), story.kinds("zone.exited")
    assert least <= len(entered) == len(exited) <= 4
    gaps = [b.at_ms - a.at_ms for a, b in zip(exited, entered[1:], strict=False)]
    assert all(gap > 30_000 for gap in gaps), "no flapping"


def test_french_fuel_stations_stand_where_their_rows_say(tmp_path: Path):
    with (DATA / "stores/fr_fuel_stations.csv").open() as lines:
        rows = [row for row in csv.DictReader(lines) if row["latitude"] and row["longitude"]]
    (tmp_path / "a.yaml").write_text(
        f"stores:\n  - import: {DATA}/stores/fr_fuel_stations.csv\n"
        "    columns: {lat: latitude, lon: longitude, name: ville}\n"
        "    defaults: {setting: countryside}\n"
    )
    book = load(tmp_path)
    assert len(book.stores) > 0.95 * len(rows)
    assert set(book.zones.radius_m.round().tolist()) == {1569}
