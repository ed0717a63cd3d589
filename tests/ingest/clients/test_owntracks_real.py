"""Messages that real phones with OwnTracks have sent, and what each of them says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from geoengine.ingest.clients.owntracks import decode
from geoengine.ingest.reports import Decoded, Mark, Origin, Position, Telling
from geoengine.ingest.times import time_ms

PAYLOADS = Path(__file__).parents[4] / "shared" / "payloads"
NOW_MS = time_ms("2026-09-21T14:13:20Z")
NAMES = {"position": Position, "transition": Telling, "region": Mark}
FILES = ("owntracks/", "overland/owntracks_mode")


def expected() -> list[Any]:
    if not PAYLOADS.exists():
        return []
    rows = json.loads((PAYLOADS / "expected.json").read_text())
    return [row for row in rows if row["file"].startswith(FILES)]


@pytest.mark.skipif(not PAYLOADS.exists(), reason="the shared payloads are not here")
@pytest.mark.parametrize("row", expected(), ids=lambda row: row["file"])
def test_a_real_message_decodes_as_expected(row: Any):
    topic = row["transport"].removeprefix("MQTT ") if "MQTT owntracks/test" in str(row) else ""
    query = "u=jane&d=phone" if "?u=jane&d=phone" in row["transport"] else ""
    origin = Origin(recv_ms=NOW_MS, topic=topic, query=query)
    decoded = decode((PAYLOADS / row["file"]).read_bytes(), origin)
    told = [report for report in row["expect"] if report["type"] in NAMES]
    if row["file"].endswith(".rec.txt"):
        check_the_recorders_lines(decoded)
        return
    assert [type(report) for report in decoded.reports] == [NAMES[one["type"]] for one in told]
    assert decoded.reports or len(decoded.drops) == 1
    for report, wanted in zip(decoded.reports, told, strict=True):
        check(report, wanted)


def check(report: Any, wanted: dict[str, Any]) -> None:
    said = {
        "lat": "lat", "lon": "lon", "acc_m": "accuracy_m", "alt_m": "altitude_m",
        "speed_mps": "speed_mps", "course": "heading_deg", "battery_pct": "battery_pct",
        "trigger": "event", "region": "region_name", "desc": "region_name", "rid": "region_id",
        "radius_m": "radius_m", "event": "event",
    }  # fmt: skip
    if isinstance(report, Telling):
        said.pop("trigger")
    for theirs, ours in said.items():
        if theirs in wanted:
            value = wanted[theirs]
            near = pytest.approx(value, abs=1e-3) if isinstance(value, float) else value
            assert getattr(report, ours) == near, theirs
    times = {"ts": "fix_ms", "created": "created_ms", "sent_at": "sent_ms"}
    for theirs, ours in times.items():
        if theirs in wanted:
            assert getattr(report, ours) == time_ms(wanted[theirs])
    if not wanted.get("device", "(").startswith("("):
        assert report.device_id == wanted["device"]


def check_the_recorders_lines(decoded: Decoded) -> None:
    assert [type(report) for report in decoded.reports] == [Position] * 6
    assert {report.device_id for report in decoded.reports} == {"pixel6/pixel99"}
    ids = [report.message_id for report in decoded.reports]  # type: ignore[union-attr]
    assert ids[1] == ids[2]
    assert len(set(ids)) == 5
