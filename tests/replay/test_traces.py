"""What the readers make of traces: every family, every fault with its place."""

from __future__ import annotations

import gzip
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from geoengine.core.columns import Fixes
from geoengine.core.errors import TraceError
from geoengine.ingest.times import time_ms
from geoengine.replay.traces import Block, TraceOptions, read_trace

NOON = "2026-01-26T12:00:00Z"
NOON_MS = time_ms(NOON)


def blocks(path: Path, **options: object) -> list[Block]:
    return list(read_trace(path, TraceOptions(**options)))  # type: ignore[arg-type]


def fixes(path: Path, **options: object) -> Fixes:
    return Fixes.concat([block.fixes for block in blocks(path, **options)])


def rejects(path: Path, **options: object) -> list[str]:
    return [str(reject) for block in blocks(path, **options) for reject in block.rejects]


def write(tmp_path: Path, name: str, text: str) -> Path:
    path = tmp_path / name
    path.write_text(text, "utf-8")
    return path


# --- NDJSON -------------------------------------------------------------------------------------

LINES = (
    '{"device_id":"a","lat":48.1,"lon":2.1,"fix_time":"2026-01-26T12:00:00Z","accuracy_m":8}\n'
    "\n"
    '{"device_id":"b","lat":91,"lon":2.1,"fix_time":"2026-01-26T12:00:01Z"}\n'
    "not json\n"
    '{"device_id":"b","lat":48.2,"lon":2.2,"fix_time":1769428802,"recv_time":1769428900}\n'
)


def test_lines_are_read_and_faults_told_by_line(tmp_path: Path) -> None:
    path = write(tmp_path, "t.ndjson", LINES)
    found = fixes(path)
    assert found.device_ids == ["a", "b"]
    assert found.fix_ms.tolist() == [NOON_MS, NOON_MS + 2_000]
    assert found.accuracy_m.tolist() == [8, 30]
    assert rejects(path) == ["t.ndjson:3: lat_out_of_range", "t.ndjson:4: malformed_json"]


def test_when_a_line_was_heard_of_counts_only_as_posted(tmp_path: Path) -> None:
    path = write(tmp_path, "t.ndjson", LINES)
    assert fixes(path).recv_ms.tolist() == [NOON_MS, NOON_MS + 2_000]
    [block] = blocks(path, is_as_posted=True)
    assert block.fixes.recv_ms.tolist() == [NOON_MS, NOON_MS + 100_000]
    assert block.has_recv.tolist() == [False, True]


def test_a_compressed_trace_reads_the_same(tmp_path: Path) -> None:
    path = tmp_path / "t.ndjson.gz"
    path.write_bytes(gzip.compress(LINES.encode()))
    assert fixes(path).device_ids == ["a", "b"]
    assert rejects(path)[0] == "t.ndjson.gz:3: lat_out_of_range"


def test_a_broken_archive_is_a_trace_error(tmp_path: Path) -> None:
    path = tmp_path / "t.ndjson.gz"
    path.write_bytes(gzip.compress(LINES.encode() * 100)[:-20])
    with pytest.raises(TraceError, match=r"t\.ndjson\.gz"):
        blocks(path)


def test_lines_that_name_no_device_are_one_recording(tmp_path: Path) -> None:
    path = write(tmp_path, "walk.ndjson", '{"lat":48,"lon":2,"fix_time":1769428800}\n' * 2)
    assert fixes(path).device_ids == ["walk", "walk"]
    assert fixes(path, device="me").device_ids == ["me", "me"]


def test_one_line_without_a_device_among_others_is_rejected(tmp_path: Path) -> None:
    path = write(tmp_path, "t.ndjson", LINES + '{"lat":48,"lon":2,"fix_time":1769428800}\n')
    assert rejects(path)[-1] == "t.ndjson:6: device_id_missing"


def test_sightings_may_stand_between_pings(tmp_path: Path) -> None:
    sighting = (
        '{"uuid":"F7826DA6-4FA2-4E98-8024-BC5B71E0893E","major":1,"minor":2,"rssi_dbm":-60,'
        '"seen_time":"2026-01-26T12:00:03Z","device_id":"a"}\n'
    )
    path = write(tmp_path, "t.ndjson", LINES + sighting + sighting.replace("-60", "0"))
    [block] = blocks(path)
    assert block.fixes.device_ids == ["a", "b"]
    assert block.sightings.beacon_keys == [("f7826da64fa24e988024bc5b71e0893e", 1, 2)]
    assert block.sightings.seen_ms.tolist() == block.sightings.recv_ms.tolist() == [NOON_MS + 3_000]
    assert [reject.line for reject in block.rejects] == [3, 4, 7]


def test_lines_cut_by_the_reading_are_put_together(tmp_path: Path) -> None:
    line = '{"device_id":"d","lat":48.1,"lon":2.1,"fix_time":1769428800,"note":"%s"}\n' % (
        "x" * 997
    )
    path = write(tmp_path, "t.ndjson", line * 3_000 + "bad\n")
    assert len(fixes(path)) == 3_000
    assert len(blocks(path)) > 1
    assert rejects(path) == ["t.ndjson:3001: malformed_json"]


def test_an_array_is_read_whole(tmp_path: Path) -> None:
    path = write(tmp_path, "t.json", "[" + ",".join(LINES.replace("not json\n", "").split()) + "]")
    assert fixes(path).device_ids == ["a", "b"]
    assert rejects(path) == ["t.json:2: lat_out_of_range"]


# --- CSV ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "device_id,lat,lon,fix_time\na,48.1,2.1,2026-01-26T12:00:00Z\n",
        "lng;latitude;vehicle_id;timestamp\n2.1;48.1;a;2026-01-26 12:00:00\n",
        "user_id\tLatitude (°)\tLongitude (°)\ttime\na\t48.1\t2.1\t1769428800\n",
        '"id","device","lat","lon","datetime"\r\n7,"a",48.1,2.1,"2026-01-26 12:00:00.000001"\r\n',
        "\ufeffsep=;\ndevice_id;lat;lon;tracked_at\na;48.1;2.1;1769428800000\n",
        "1\ntime,lat,lon,device_id\n2026-01-26T12:00:00.000Z,48.1,2.1,a\n",
    ],
)
def test_the_usual_names_and_delimiters_are_known(tmp_path: Path, text: str) -> None:
    found = fixes(write(tmp_path, "t.csv", text))
    assert (found.device_ids, found.lat_deg.tolist(), found.lon_deg.tolist()) == (
        ["a"],
        [48.1],
        [2.1],
    )
    assert found.fix_ms.tolist() == [NOON_MS]


def test_columns_may_be_named_by_hand(tmp_path: Path) -> None:
    path = write(tmp_path, "t.csv", "id,who,y,x,t\n7,a,48.1,2.1,1769428800\n")
    columns = {"device_id": "who", "lat": "y", "lon": "x", "fix_time": "t"}
    assert fixes(path, columns=columns).device_ids == ["a"]


def test_a_file_without_a_place_or_a_time_says_which_column_it_lacks(tmp_path: Path) -> None:
    path = write(tmp_path, "t.csv", "a,b\n1,2\n")
    with pytest.raises(TraceError, match="no column for lat, lon, fix_time among a, b"):
        blocks(path)
    with pytest.raises(TraceError, match="no column 'c' among a, b"):
        blocks(path, columns={"lat": "c"})
    with pytest.raises(TraceError, match="no column of ours is called latitude"):
        blocks(path, columns={"latitude": "a"})


def test_rows_at_fault_are_told_by_line_and_the_others_kept(tmp_path: Path) -> None:
    text = (
        "device_id,lat,lon,time,accuracy\n"
        "a,48.1,2.1,1769428800,\n"
        "a,x,2.1,1769428800,5\n"
        "\n"
        "a,48.1\n"
        "a,nan,2.1,1769428800,5\n"
        "a,,2.1,1769428800,5\n"
        "a,48.1,2.1,noon,5\n"
        "a,48.1,2.1,1769428801,2000\n"
        "a,48.1,2.1,1769428802,0\n"
    )
    path = write(tmp_path, "t.csv", text)
    assert rejects(path) == [
        "t.csv:3: wrong_type:lat",
        "t.csv:5: row_too_short",
        "t.csv:6: wrong_type:lat",
        "t.csv:7: lat_missing",
        "t.csv:8: fix_time_bad",
        "t.csv:9: accuracy_coarse",
    ]
    assert fixes(path).accuracy_m.tolist() == [30, 30]


def test_local_times_are_put_into_the_zone_that_is_said(tmp_path: Path) -> None:
    path = write(tmp_path, "t.csv", "lat,lon,time\n48.1,2.1,2026-01-26 13:00:00\n")
    assert fixes(path, zone=ZoneInfo("Europe/Paris")).fix_ms.tolist() == [NOON_MS]


def test_seconds_may_count_from_a_start(tmp_path: Path) -> None:
    path = write(tmp_path, "walk.csv", "Time (s),lat,lon\n1.5e0,48.1,2.1\n")
    found = fixes(path, start_ms=NOON_MS)
    assert (found.fix_ms.tolist(), found.device_ids) == ([NOON_MS + 1_500], ["walk"])


# --- GPX ----------------------------------------------------------------------------------------

GPX = """<?xml version="1.0"?>
<gpx xmlns="http://www.topografix.com/GPX/1/1" version="1.1">
 <metadata><time>2020-01-01T00:00:00Z</time><name>not a track</name></metadata>
 <wpt lat="1" lon="1"><time>2020-01-01T00:00:00Z</time></wpt>
 <trk><name> to work </name><trkseg>
  <trkpt lat="48.1" lon="2.1"><ele>35</ele><time>2026-01-26T12:00:00Z</time></trkpt>
  <trkpt lat="48.2" lon="2.2"></trkpt>
  <trkpt lat="nan" lon="2.2"><time>2026-01-26T12:00:00Z</time></trkpt>
 </trkseg></trk>
 <trk><trkseg><trkpt lat="48.3" lon="2.3"><time>2026-01-26T13:00:00+01:00</time>
  <extensions><x:accuracy xmlns:x="x">12.5</x:accuracy></extensions></trkpt></trkseg></trk>
</gpx>"""


def test_points_of_tracks_are_read_and_nothing_else(tmp_path: Path) -> None:
    path = write(tmp_path, "day.gpx", GPX)
    found = fixes(path)
    assert found.device_ids == ["day/to work", "day"]
    assert found.lat_deg.tolist() == [48.1, 48.3]
    assert found.fix_ms.tolist() == [NOON_MS, NOON_MS]
    assert found.accuracy_m.tolist() == [30, 12.5]
    assert rejects(path) == ["day.gpx:7: fix_time_missing", "day.gpx:8: lat_missing"]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('<!DOCTYPE g [<!ENTITY a "b">]><gpx>&a;</gpx>', "document type"),
        ('<!DOCTYPE gpx SYSTEM "file:///etc/passwd"><gpx/>', "document type"),
        ("<gpx><trk></gpx>", "mismatched tag"),
        ("<gpx>" + "<a>" * 100, "nested too deep"),
        ("<gpx>", "no element found"),
    ],
)
def test_xml_that_is_no_track_is_refused(tmp_path: Path, text: str, why: str) -> None:
    with pytest.raises(TraceError, match=why):
        blocks(write(tmp_path, "t.gpx", text))


def test_a_file_that_is_not_there_is_a_trace_error(tmp_path: Path) -> None:
    with pytest.raises(TraceError, match="No such file"):
        blocks(tmp_path / "none.csv")


def test_an_empty_file_is_a_trace_without_rows(tmp_path: Path) -> None:
    assert blocks(write(tmp_path, "t.csv", "")) == []
