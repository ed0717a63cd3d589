"""The readers on recordings of real phones and buses; skipped where these are not at hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from geoengine.core.columns import Fixes
from geoengine.ingest.times import time_ms
from geoengine.replay.traces import TraceOptions, read_trace

TRACES = Path(__file__).parents[3] / "shared" / "data" / "traces"
pytestmark = pytest.mark.skipif(
    not TRACES.is_dir(), reason="real traces are not at hand in ../shared/data/traces"
)


def read(name: str, **options: object) -> Fixes:
    blocks = list(read_trace(TRACES / name, TraceOptions(**options)))  # type: ignore[arg-type]
    assert [str(reject) for block in blocks for reject in block.rejects] == []
    return Fixes.concat([block.fixes for block in blocks])


def test_the_liverpool_buses_are_eight_vehicles_on_sixteen_trips() -> None:
    by_vehicle = read("liverpool_bus/route14_outbound.csv")
    by_trip = read("liverpool_bus/route14_outbound.csv", columns={"device_id": "trip_id"})
    assert len(by_vehicle) == len(by_trip) == 1_533
    assert (len(set(by_vehicle.device_ids)), len(set(by_trip.device_ids))) == (8, 16)
    assert by_trip.fix_ms[0] == time_ms("2026-01-26T15:57:02Z")


@pytest.mark.parametrize(("name", "rows"), [("long", 111), ("medium", 197), ("vm", 423)])
def test_gpslogger_files_give_as_many_fixes_as_their_first_line_says(name: str, rows: int) -> None:
    found = read(f"bergen_gpslogger/{name}.csv")
    assert (len(found), set(found.device_ids)) == (rows, {name})
    assert found.accuracy_m.max() < 200


def test_an_accuracy_of_zero_in_the_zurich_trace_is_taken_as_unknown() -> None:
    found = read("zurich/posmo_trajectory_2.csv")
    assert len(found) == 1_327
    assert found.accuracy_m[:5].tolist() == [30, 30, 30, 30, 48]
    assert (np.diff(found.fix_ms) < 0).any()


def test_the_toulouse_cold_start_counts_seconds_from_its_start() -> None:
    start_ms = time_ms("2026-01-01T00:00:00Z")
    found = read("toulouse_phyphox/Location.csv", start_ms=start_ms)
    assert found.fix_ms[0] == start_ms + 100
    assert found.accuracy_m[0] == pytest.approx(669.386, abs=1e-3)


def test_the_limerick_track_has_a_fix_for_each_of_its_points() -> None:
    found = read("limerick_bus/304_to_UL_2019-02-18.gpx")
    text = (TRACES / "limerick_bus/304_to_UL_2019-02-18.gpx").read_text()
    assert len(found) == text.count("<trkpt")
    assert set(found.device_ids) == {"304_to_UL_2019-02-18/304.1"}
