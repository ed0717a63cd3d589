"""`geoengine data add roads`: extracts become tiles, whole or not at all."""

from __future__ import annotations

import sys
import zipfile
from datetime import date
from pathlib import Path

import pytest
import shapely
from shapely.geometry import Point, box

from geoengine.core.errors import DataError, RoadsError
from geoengine.roads import tiles
from geoengine.roads.extract import edge_of, polygon_of
from geoengine.roads.tiles import network_of, tiles_in
from geoengine.roads.valhalla_python import VARIABLE
from tests.roads import town
from tests.servers.valhalla import PROGRAMS, programs

POLY = """town
1
   9.0   49.0
   1.1E+01   49.0
   1.1E+01   51.0
   9.0   51.0
END
!2
   9.5   49.5
   9.6   49.5
   9.6   49.6
END
END
"""


def quiet(*_: object) -> None:
    """Nobody looks on."""


@pytest.fixture
def real(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(PROGRAMS, str(programs()))


def feed(path: Path, calendar: str = "", **more: str) -> Path:
    """A timetable, in a folder inside its zip as some have it."""
    tables = {
        "agency.txt": "agency_id,agency_name,agency_url,agency_timezone\n1,A,http://a,Europe/Paris",
        "stops.txt": "stop_id,stop_name,stop_lat,stop_lon\n1,Middle,50.0,10.0\n2,East,50.0,10.01",
        "routes.txt": "route_id,agency_id,route_short_name,route_type\n1,1,1,3",
        "trips.txt": "route_id,service_id,trip_id\n1,1,1",
        "stop_times.txt": "trip_id,arrival_time,departure_time,stop_id,stop_sequence\n"
        "1,08:00:00,08:00:00,1,1\n1,08:05:00,08:05:00,2,2",
        "calendar.txt": calendar,
        **more,
    }
    with zipfile.ZipFile(path, "w") as file:
        for name, text in tables.items():
            if text:
                file.writestr(f"feed/{name}", text + "\n")
    return path


WEEK = (
    "service_id,monday,tuesday,wednesday,thursday,friday,saturday,sunday,start_date,end_date\n"
    "1,1,1,1,1,1,1,1,20260302,20261231"
)


def test_what_was_made_says_of_what_and_how_to_use_it(real: None, tmp_path: Path):
    told: list[tuple[str, int, int]] = []
    extract = town.write(tmp_path / "town.osm.pbf")
    lines = tiles.add([extract], tmp_path / "data", lambda *what: told.append(what))
    assert told == [("build tiles", 0, 1), ("roads", 1, 1)]
    assert "town.osm.pbf" in lines[0]
    assert "router: valhalla, tiles:" in lines[1]
    assert list(tiles_in(tmp_path / "data/roads").rglob("*.gph"))
    assert {path.name for path in (tmp_path / "data").iterdir()} == {"roads"}


def test_the_same_extract_is_the_same_network_and_another_is_not(real: None, tmp_path: Path):
    extract = town.write(tmp_path / "a.osm.pbf")
    versions = []
    for path in (extract, extract, town.write(tmp_path / "b.osm.pbf", box_blocks=150)):
        tiles.add([path], tmp_path / "data", quiet)
        versions.append(network_of(tmp_path / "data/roads").version)
    assert versions[0] == versions[1] != versions[2]


def test_what_fails_leaves_what_was_there(real: None, tmp_path: Path):
    tiles.add([town.write(tmp_path / "a.osm.pbf")], tmp_path / "data", quiet)
    before = network_of(tmp_path / "data/roads").version
    cut = tmp_path / "cut.osm.pbf"
    cut.write_bytes((tmp_path / "a.osm.pbf").read_bytes()[:-500])
    with pytest.raises(DataError):
        tiles.add([cut], tmp_path / "data", quiet)
    assert network_of(tmp_path / "data/roads").version == before
    assert {path.name for path in (tmp_path / "data").iterdir()} == {"roads"}


def test_a_timetable_comes_with_its_first_day(real: None, tmp_path: Path):
    told: list[str] = []
    files = [town.write(tmp_path / "a.osm.pbf"), feed(tmp_path / "bus.zip", WEEK)]
    lines = tiles.add(files, tmp_path / "data", lambda what, *_: told.append(what))
    assert told == ["ingest transit", "convert transit", "build tiles", "roads"]
    assert network_of(tmp_path / "data/roads").since == date(2026, 3, 2)
    assert "timetable from 2026-03-02" in lines[-1]


def test_an_outline_given_is_the_edge(real: None, tmp_path: Path):
    poly = tmp_path / "town.poly"
    poly.write_text(POLY)
    tiles.add([town.write(tmp_path / "a.osm.pbf"), poly], tmp_path / "data", quiet)
    edge = network_of(tmp_path / "data/roads").edge
    assert edge is not None
    assert edge.bounds == (9.0, 49.0, 11.0, 51.0)
    assert not edge.contains(Point(9.58, 49.52))


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("a.geojson", b"{}", "expected a .osm.pbf, its .poly, or a .zip of GTFS"),
        ("a.osm.pbf", b"<osm></osm>", "not an OpenStreetMap extract"),
        ("a.osm.pbf", b"", "not an OpenStreetMap extract"),
        ("a.zip", b"PK", "expected at least one .osm.pbf"),
    ],
)
def test_files_of_other_kinds_are_told(tmp_path: Path, name: str, content: bytes, expected: str):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=expected):
        tiles.add([tmp_path / name], tmp_path / "data", quiet)
    assert not (tmp_path / "data").exists()


def test_a_file_that_is_not_there_is_told(tmp_path: Path):
    with pytest.raises(DataError, match="there is no such file"):
        tiles.add([tmp_path / "a.osm.pbf"], tmp_path / "data", quiet)


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({"trips.txt": ""}, "expected trips.txt"),
        ({}, "no day of service"),
        ({"calendar.txt": "service_id,start_date\n1,soon"}, "no day of service"),
    ],
)
def test_a_timetable_that_is_none_is_told(tmp_path: Path, more: dict[str, str], expected: str):
    calendar = more.pop("calendar.txt", "")
    files = [town.write(tmp_path / "a.osm.pbf"), feed(tmp_path / "bus.zip", calendar, **more)]
    with pytest.raises(DataError, match=expected):
        tiles.add(files, tmp_path / "data", quiet)


def test_without_valhalla_it_is_told_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv(PROGRAMS, raising=False)
    monkeypatch.setenv(VARIABLE, str(tmp_path / "nowhere"))
    with pytest.raises(DataError, match="pip install pyvalhalla"):
        tiles.add([town.write(tmp_path / "a.osm.pbf")], tmp_path / "data", quiet)
    monkeypatch.setenv(VARIABLE, sys.executable)
    with pytest.raises(DataError, match="No module named"):
        tiles.add([tmp_path / "a.osm.pbf"], tmp_path / "data", quiet)


def test_tiles_of_somebody_else_are_taken_as_they_are(tmp_path: Path):
    assert tiles_in(tmp_path) == tmp_path
    assert network_of(tmp_path).edge is None


def test_a_damaged_note_beside_tiles_is_told(tmp_path: Path):
    (tmp_path / "network.json").write_text('{"version": 1}')
    with pytest.raises(RoadsError, match="make the roads anew"):
        network_of(tmp_path)


def test_the_edge_is_the_box_in_the_header(tmp_path: Path):
    west_south, east_north = town.place(-133, -133), town.place(133, 133)
    edge = edge_of(town.write(tmp_path / "a.osm.pbf"))
    assert edge.bounds == pytest.approx((*west_south, *east_north), abs=1e-7)


def test_without_a_box_in_the_header_the_edge_is_that_of_the_nodes(tmp_path: Path):
    """All of them but the thousandth that sticks out on each side."""
    edge = edge_of(town.write(tmp_path / "a.osm.pbf", box_blocks=None))
    inner = box(*town.place(-town.SIDE, -town.SIDE), *town.place(town.SIDE, town.SIDE))
    outer = box(*town.place(-10.1, -10.1), *town.place(130.1, 10.1))
    assert edge.buffer(1e-6).covers(inner)
    assert outer.covers(edge)
    assert town.blocks(edge.bounds[2], 50)[0] > 125


def test_an_outline_may_have_holes_and_must_have_corners(tmp_path: Path):
    poly = tmp_path / "a.poly"
    poly.write_text(POLY)
    assert shapely.area(polygon_of(poly)) == pytest.approx(4.0 - 0.005)
    poly.write_text("town\n1\nEND\nEND\n")
    with pytest.raises(DataError, match="no outline in it"):
        polygon_of(poly)
