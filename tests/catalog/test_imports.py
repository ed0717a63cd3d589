"""Stores and zones by the thousand: what a row becomes, and what happens to one that is bad."""

from __future__ import annotations

from pathlib import Path

import pytest

from geoengine.catalog import read
from geoengine.catalog.reading.imports import derived_id
from tests.catalog.writing import faults, reading

CSV = "stores:\n  - import: s.csv\n"
HEADER = "id,name,lat,lon,radius_m,minutes,setting,hours,time_zone,country,tags\n"


def warnings(found) -> list[str]:
    """Warnings as `file:line:column: what`, without the directory."""
    return [f"{Path(w.file).name}:{w.line}:{w.column}: {w.what}" for w in found.warnings]


def test_a_row_is_a_store(tmp_path: Path):
    row = "a,Shop A,48.85,2.35,,7,city,Mo-Fr 08:00-20:00,Europe/Paris,FR,x|y; z\n"
    (store,) = reading(tmp_path, CSV, s__csv=HEADER + row).book.stores
    assert (store.id, store.name, store.location.lat, store.location.lon) == (
        "a",
        "Shop A",
        48.85,
        2.35,
    )
    assert (store.reach.minutes, store.setting, store.hours) == (7, "city", "Mo-Fr 08:00-20:00")
    assert (store.time_zone, store.country, store.tags) == ("Europe/Paris", "FR", ["x", "y", "z"])


@pytest.mark.parametrize("delimiter", [";", "\t", "|"])
def test_other_separators_are_found_from_the_header(tmp_path: Path, delimiter: str):
    text = 'id,name,lat,lon\na,"Shop, the",48.85,2.35\n'
    turned = 'id,name,lat,lon\na,"Shop, the",48.85,2.35\n'.replace('"Shop, the"', "Shop")
    book = reading(tmp_path, CSV, s__csv=turned.replace(",", delimiter)).book
    assert book.stores[0].name == "Shop"
    assert reading(tmp_path, CSV, s__csv=text).book.stores[0].name == "Shop, the"


def test_a_byte_order_mark_is_no_part_of_the_first_column(tmp_path: Path):
    assert (
        reading(tmp_path, CSV, s__csv="\ufeffid,name,lat,lon\na,A,48,2\n").book.stores[0].id == "a"
    )


def test_columns_are_mapped_and_defaults_hold_where_the_row_is_silent(tmp_path: Path):
    text = CSV + (
        "    columns: {lat: latitude, lon: longitude, name: Nom}\n"
        "    defaults: {setting: city, tags: [corner], reach: {minutes: 4}, dwell_s: 60}\n"
    )
    rows = "id,Nom,latitude,longitude,radius_m,setting\na,A,48,2,,\nb,B,48,2,250,countryside\n"
    one, two = reading(tmp_path, text, s__csv=rows).book.stores
    assert (one.setting, one.tags, one.reach.minutes, one.presence.dwell_s) == (
        "city",
        ["corner"],
        4,
        60,
    )
    assert (two.setting, two.reach.minutes, two.reach.radius_m) == ("countryside", None, 250)


@pytest.mark.parametrize(
    ("row", "what"),
    [
        ("b,B,,", "s.csv:3:1: store lacks `location`"),
        ("b,B,48.85,", "s.csv:3:1: location lacks `lon`"),
        ("b,B,x,2", "s.csv:3:5: lat is 'x': expected a number from -90 to 90"),
        ("b,B,nan,2", "s.csv:3:5: lat is 'nan'"),
        ('"b","B, b",48,400', "s.csv:3:15: lon is '400'"),
        ("b,B,139,35", "latitude and longitude are swapped"),
        ("b,B,2.35,48.85", "s.csv:3:1: lat 2.35, lon 48.85 lies at sea"),
        ("b,B,0,0", "Gulf of Guinea"),
        ("b b,B,48,2", "s.csv:3:1: id is 'b b'"),
        ("a,B,48,2", "s.csv:3:1: id `a` is taken"),
        ("b,B", "s.csv:3:1: the row has 2 cells: expected 4"),
        (",B,48,2", "s.csv:3:1: store lacks `id`"),
    ],
)
def test_a_bad_row_is_reported_and_the_others_load(tmp_path: Path, row: str, what: str):
    rows = f"id,name,lat,lon\na,A,48.85,2.35\n{row}\nc,C,48.86,2.36\n"
    found = reading(tmp_path, CSV, s__csv=rows)
    assert [store.id for store in found.book.stores] == ["a", "c"]
    assert found.skipped_count == 1
    assert any(what in warning for warning in warnings(found)), warnings(found)


def test_a_row_with_several_faults_tells_them_all_and_counts_once(tmp_path: Path):
    rows = HEADER + "a,A,x,y,5,,town,,,,\n"
    found = reading(tmp_path, CSV, s__csv=rows)
    assert found.skipped_count == 1
    assert [warning.split(":")[2] for warning in warnings(found)] == ["5", "7", "9", "12"]


def test_impossible_hours_leave_a_row_out(tmp_path: Path):
    rows = "id,name,lat,lon,hours\na,A,48,2,Mo 00:00-00:00\nb,B,48,2,8 to 8\nc,C,48,2,24/7\n"
    found = reading(tmp_path, CSV, s__csv=rows)
    assert [store.id for store in found.book.stores] == ["c"]
    assert [warning.split(":")[1] for warning in warnings(found)] == ["2", "3"]


def test_a_quoted_line_break_keeps_the_lines_right(tmp_path: Path):
    rows = 'id,name,lat,lon\na,"A\nA",48,2\nb,B,x,2\n'
    (warning,) = warnings(reading(tmp_path, CSV, s__csv=rows))
    assert warning.startswith("s.csv:4:5: lat is 'x'")


@pytest.mark.parametrize(
    ("text", "rows", "what"),
    [
        (CSV, None, "2:5: "),
        (CSV, "id,name,latitude,lon\n", "no column `lat`: name it under `columns:`"),
        (CSV + "    columns: {lat: latitud}\n", "id,name,latitude,lon\n", "no column `latitud`"),
        (CSV + "    columns: {latt: latitude}\n", "id,name,lat,lon\n", "3:21: `latt` is not"),
        (CSV + "    defaults: {settng: city}\n", "id,name,lat,lon\n", "3:24: `settng` is not"),
        (CSV + "    colums: {}\n", "id,name,lat,lon\n", "3:5: `colums` is not a key of import"),
        (CSV.replace("s.csv", "s.xlsx"), None, "s.xlsx"),
    ],
)
def test_an_import_that_cannot_work_is_a_fault(tmp_path: Path, text, rows, what):
    named = {} if rows is None else {"s__csv": rows}
    found = faults(tmp_path, text, **named)
    assert any(what in fault for fault in found), found


def test_a_csv_that_is_not_utf_8_is_a_fault(tmp_path: Path):
    (tmp_path / "s.csv").write_bytes("id,name,lat,lon\na,Café,48,2\n".encode("latin-1"))
    (fault,) = faults(tmp_path, CSV)
    assert "not UTF-8" in fault


NDJSON = """\
{"id": "a", "name": "A", "lat": 48.85, "lon": 2.35, "tags": ["x"], "minutes": 7}
{"id": 17, "name": "B", "location": {"lat": 48.85, "lon": 2.35}, "tags": "x|y"}

{"id": "c", "name": "C", "lat": "48.85", "lon": 2.35}
{"id": "d", "name": "D", "lat": NaN, "lon": 2.35}
[1]
{"type": "Feature", "geometry": {"type": "Point", "coordinates": [2.35, 48.85]}, \
"properties": {"name": "E"}}
"""


def test_ndjson_rows_are_flat_or_as_in_the_yaml_or_features(tmp_path: Path):
    found = reading(tmp_path, "stores:\n  - import: s.ndjson\n", s__ndjson=NDJSON)
    stores = found.book.stores
    assert [store.id for store in stores] == ["a", "17", derived_id("E", 48.85, 2.35, {})]
    assert [store.tags for store in stores] == [["x"], ["x", "y"], []]
    assert stores[0].reach.minutes == 7
    assert [warning.split(":")[1] for warning in warnings(found)] == ["4", "5", "6"]


GEOJSON = """\
{"type": "FeatureCollection", "features": [
  {"type": "Feature", "id": "node/17", "properties": {"name": "A", "shop:hours": "24/7"},
   "geometry": {"type": "Point", "coordinates": [2.35, 48.85]}},
  {"type": "FeatureCollection", "features": [
    {"type": "Feature", "properties": {"name": "B"},
     "geometry": {"type": "Point", "coordinates": [2.36, 48.86, 35.0]}},
    {"type": "Feature", "properties": {"name": "C"}, "geometry": null},
    {"type": "Feature", "properties": {"name": "D"},
     "geometry": {"type": "LineString", "coordinates": [[2, 48], [3, 48]]}}
  ]}
]}
"""


def test_features_are_stores_also_in_collections_of_collections(tmp_path: Path):
    text = "stores:\n  - import: s.geojson\n    columns: {hours: 'shop:hours'}\n"
    found = reading(tmp_path, text, s__geojson=GEOJSON)
    one, two = found.book.stores
    assert (one.id, one.hours, one.location.lon) == ("node-17", "24/7", 2.35)
    assert two.id == derived_id("B", 48.86, 2.36, {})
    assert [warning.split(":")[1] for warning in warnings(found)] == ["7", "8"]


def test_a_geojson_that_is_none_is_a_fault(tmp_path: Path):
    (fault,) = faults(tmp_path, "stores:\n  - import: s.geojson\n", s__geojson='{"a": 1}')
    assert "not GeoJSON" in fault


def test_json_nested_without_end_is_refused_and_does_not_crash(tmp_path: Path):
    deep = '{"features": ' + "[" * 200_000
    (fault,) = faults(tmp_path, "stores:\n  - import: s.geojson\n", s__geojson=deep)
    assert "not GeoJSON" in fault


def test_areas_of_a_file_are_zones(tmp_path: Path):
    square = "[[[2,48],[2.1,48],[2.1,48.1],[2,48.1],[2,48]]]"
    bow_tie = "[[[2,48],[2.1,48.1],[2.1,48],[2,48.1],[2,48]]]"
    rows = "".join(
        f'{{"type": "Feature", "id": "{name}", "properties": {{"tags": "t"}}, '
        f'"geometry": {{"type": "Polygon", "coordinates": {shape}}}}}\n'
        for name, shape in (("good", square), ("bad", bow_tie))
    )
    found = reading(tmp_path, "zones:\n  - import: z.ndjson\n", z__ndjson=rows)
    assert found.book.zones.ids == ["good"]
    assert found.book.zones.tags == {0: ("t",)}
    (warning,) = warnings(found)
    assert warning.startswith("z.ndjson:2:1: polygon of `bad`: not a valid area: Self-inter")


def test_circles_of_a_file_are_zones(tmp_path: Path):
    rows = "id,name,lat,lon,radius_m,store\nz,Yard,48.85,2.35,150,a\n"
    shop = "stores:\n  - {id: a, name: A, location: {lat: 48.85, lon: 2.35}}\n"
    zones = reading(tmp_path, shop + "zones:\n  - import: z.csv\n", z__csv=rows).book.zones
    assert (zones.ids[1], zones.radius_m[1], zones.store_ix[1]) == ("z", 150.0, 0)


def test_an_id_made_for_a_row_stays_while_its_name_and_place_do():
    first = derived_id("Café des Halles", 48.86, 2.34, {})
    assert first == "cafe-des-halles-1c35a2"
    assert derived_id("Café des Halles", 48.861, 2.34, {}) != first
    assert derived_id("東京", 35.6, 139.7, {}).startswith("row-")


def test_a_column_that_looks_like_a_misspelt_key_is_mentioned(tmp_path: Path):
    rows = "id,name,lat,lon,radius\na,A,48.85,2.35,300\n"
    (warning,) = warnings(reading(tmp_path, CSV, s__csv=rows))
    assert "column `radius` is not used; did you mean `radius_m`?" in warning


def test_progress_is_told_by_bytes(tmp_path: Path):
    rows = "".join(f"s{i},Shop,48.85,2.35\n" for i in range(10_000))
    (tmp_path / "a.yaml").write_text(CSV)
    (tmp_path / "s.csv").write_text("id,name,lat,lon\n" + rows)
    heard: list[tuple[int, int]] = []
    read(tmp_path, lambda _file, done, total: heard.append((done, total)))
    assert heard == sorted(heard)
    assert 0 < heard[0][0] < heard[0][1]
