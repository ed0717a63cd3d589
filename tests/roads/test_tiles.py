"""`geoengine data add roads`: extracts become tiles, whole or not at all."""

from __future__ import annotations

import sys
import zipfile
from datetime import date
from pathlib import Path
from random import Random

import msgspec
import pytest
import shapely
from click.testing import CliRunner
from shapely.geometry import Point

from geoengine.cli import main
from geoengine.core.errors import DataError, RoadsError
from geoengine.roads import tiles
from geoengine.roads.extract import edge_of, polygon_of
from geoengine.roads.tiles import Made, opened
from geoengine.roads.valhalla_python import VARIABLE
from geoengine.roads.valhalla_router import Network
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


def names(folder: Path) -> list[str]:
    """What is in a folder, hidden or not."""
    return sorted(path.name for path in folder.iterdir())


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
    assert lines[0].startswith("town: roads ")
    assert lines[1] == f"engine: {{roads: {{router: valhalla, tiles: {tmp_path}/data/roads/town}}}}"
    assert list(opened(tmp_path / "data/roads")[0].rglob("*.gph"))
    assert names(tmp_path / "data/roads") == ["town"]


def test_the_same_extract_is_the_same_network_and_another_is_not(real: None, tmp_path: Path):
    extract = town.write(tmp_path / "a.osm.pbf")
    versions = []
    for _ in range(2):
        tiles.add([extract], tmp_path / "data", quiet)
        versions.append(opened(tmp_path / "data/roads")[1].version)
    extract.unlink()
    tiles.add([town.write(extract, box_blocks=150)], tmp_path / "data", quiet)
    assert versions[0] == versions[1] != opened(tmp_path / "data/roads")[1].version


def test_what_fails_leaves_what_was_there(real: None, tmp_path: Path):
    tiles.add([town.write(tmp_path / "a.osm.pbf")], tmp_path / "data", quiet)
    before = opened(tmp_path / "data/roads")[1].version
    cut = tmp_path / "a.osm.pbf"
    cut.write_bytes(cut.read_bytes()[:-500])
    with pytest.raises(DataError):
        tiles.add([cut], tmp_path / "data", quiet)
    assert opened(tmp_path / "data/roads")[1].version == before
    assert names(tmp_path / "data/roads") == ["a"]


def test_a_timetable_comes_with_its_first_day(real: None, tmp_path: Path):
    told: list[str] = []
    files = [town.write(tmp_path / "a.osm.pbf"), feed(tmp_path / "bus.zip", WEEK)]
    lines = tiles.add(files, tmp_path / "data", lambda what, *_: told.append(what))
    assert told == ["ingest transit", "convert transit", "build tiles", "roads"]
    assert opened(tmp_path / "data/roads")[1].since == date(2026, 3, 2)
    assert lines[0].endswith("timetable from 2026-03-02")


def test_an_outline_given_is_the_edge(real: None, tmp_path: Path):
    poly = tmp_path / "town.poly"
    poly.write_text(POLY)
    tiles.add([town.write(tmp_path / "a.osm.pbf"), poly], tmp_path / "data", quiet)
    edge = opened(tmp_path / "data/roads")[1].edge
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
    assert opened(tmp_path) == (tmp_path, Network())


def test_one_of_several_networks_must_be_named(tmp_path: Path):
    for name in ("north", "south"):
        (tmp_path / name).mkdir()
        note = Made(version=name, made_of=["a"], edge="POLYGON ((0 0, 1 0, 1 1, 0 0))")
        (tmp_path / name / tiles.NOTE).write_bytes(msgspec.json.encode(note))
    with pytest.raises(RoadsError, match=f"name one of {tmp_path}/north, {tmp_path}/south"):
        opened(tmp_path)
    assert opened(tmp_path / "south")[1].version == "south"


def test_a_damaged_note_beside_tiles_is_told(tmp_path: Path):
    (tmp_path / "network.json").write_text('{"version": 1}')
    with pytest.raises(RoadsError, match="make it anew"):
        opened(tmp_path)
    (tmp_path / "network.json").write_text('{"version": "1", "made_of": [], "edge": "HOLE"}')
    with pytest.raises(DataError, match="make it anew"):
        tiles.described(tmp_path)


def test_the_command_adds_lists_and_removes_roads(real: None, tmp_path: Path):
    extract, data = town.write(tmp_path / "town.osm.pbf"), ["--data", str(tmp_path / "data")]
    added = CliRunner().invoke(main, ["data", "add", "roads", str(extract), *data])
    assert added.exit_code == 0, added.output
    listed = CliRunner().invoke(main, ["data", "list", *data])
    assert listed.output == added.output.splitlines(keepends=True)[0]
    assert CliRunner().invoke(main, ["data", "remove", "town", *data]).exit_code == 0
    assert names(tmp_path / "data/roads") == []


def test_the_edge_is_the_box_in_the_header(tmp_path: Path):
    west_south, east_north = town.place(-133, -133), town.place(133, 133)
    edge = edge_of(town.write(tmp_path / "a.osm.pbf"))
    assert edge.bounds == pytest.approx((*west_south, *east_north), abs=1e-7)


def test_without_a_box_in_the_header_the_edge_is_drawn_around_the_nodes(tmp_path: Path):
    """Along the road as well, which a box would make a field of 12 km by 2."""
    edge = edge_of(town.write(tmp_path / "a.osm.pbf", box_blocks=None))
    for inside in ((0, 0), (-10, 10), (60, town.OUT), (129, town.OUT)):
        assert edge.buffer(0.001).contains(Point(*town.place(*inside))), inside
    for outside in ((-18, 0), (0, 20), (60, 5), (140, town.OUT)):
        assert not edge.contains(Point(*town.place(*outside))), outside


@pytest.mark.parametrize("box_blocks", [None, 133.0])
def test_a_damaged_extract_is_told_or_read_and_nothing_else(
    tmp_path: Path, box_blocks: float | None
):
    whole = town.write(tmp_path / "a.osm.pbf", box_blocks=box_blocks).read_bytes()
    random, damaged = Random(5), tmp_path / "b.osm.pbf"
    refused = 0
    for _ in range(300):
        spoiled = bytearray(whole)
        spoiled[random.randrange(min(len(whole), 400))] = random.randrange(256)
        end = random.choice([len(spoiled), random.randrange(len(spoiled))])
        damaged.write_bytes(spoiled[:end])
        try:
            edge_of(damaged)
        except DataError:
            refused += 1
    assert refused > 50


def test_an_outline_may_have_holes_and_must_have_corners(tmp_path: Path):
    poly = tmp_path / "a.poly"
    poly.write_text(POLY)
    assert shapely.area(polygon_of(poly)) == pytest.approx(4.0 - 0.005)
    poly.write_text("town\n1\nEND\nEND\n")
    with pytest.raises(DataError, match="no outline in it"):
        polygon_of(poly)
