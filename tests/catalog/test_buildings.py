"""Buildings taken in from extracts, kept, and found again by id and by place."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import shapely
from shapely.geometry import MultiPolygon, Point, Polygon, box

from geoengine.catalog.buildings.add import add
from geoengine.catalog.buildings.around import Nearest, in_metres, nearest
from geoengine.catalog.buildings.kept import FILE, described, load
from geoengine.catalog.buildings.outlines import Outlines, key_of, merged, name_of, outlines_of
from geoengine.catalog.polygons import equal_radius_m
from geoengine.catalog.reading.sources import UNREAD, Sources, digest_of
from geoengine.core.errors import DataError
from geoengine.core.space.geodesy import degree_m
from tests.catalog.osm import Extract, Ring, degrees, feature, rectangle
from tests.core.world import LAT, LON, spot

HOUSE = rectangle(0, 0, 20, 10)


def quiet(_file: str, _read: int, _all: int) -> None:
    """Nobody watches."""


def added(data: Path, *files: Path) -> Outlines:
    """What is kept once these files were added."""
    add(files, data, quiet)
    found = load(data, Sources())
    assert found is not None
    return found


def square_m(found: Outlines, name: str) -> float:
    """The area of a building, square metres."""
    (row,) = found.find([key_of(name)])
    assert row >= 0, name
    return np.pi * equal_radius_m(found.areas(np.array([row]))[0]) ** 2


def test_ways_and_multipolygons_are_buildings_and_courtyards_are_left_out(tmp_path: Path):
    extract = Extract().way(7, HOUSE)
    extract.way(8, rectangle(100, 0, 40, 40), note="outer").way(
        9, rectangle(110, 10, 20, 20), note="inner"
    )
    extract.way(10, rectangle(150, 0, 10, 10), note="outer")
    extract.relation(7, [(8, "outer"), (9, "inner"), (10, "outer")])
    found = added(tmp_path, extract.save(tmp_path / "a.osm"))
    assert [name_of(key) for key in found.keys.tolist()] == ["way/7", "relation/7"]
    assert square_m(found, "way/7") == pytest.approx(200, rel=0.01)
    assert square_m(found, "relation/7") == pytest.approx(1600 - 400 + 100, rel=0.01)


def test_what_is_open_or_cut_by_the_edge_is_left_out_and_counted(tmp_path: Path):
    extract = Extract().way(1, HOUSE).way(2, HOUSE, is_open=True).cut_way(3)
    extract.way(4, rectangle(50, 0, 9, 9), building="no").way(5, HOUSE, highway="pedestrian")
    path = extract.save(tmp_path / "a.osm")
    first, last = add([path], tmp_path, quiet)
    assert first == f"{path}: 1 buildings (2 left out: without a whole outline, or an id)"
    assert described(tmp_path / FILE) == "outlines of 1 buildings, 0.0 MB; for `footprint`"
    assert last == f"buildings: {described(tmp_path / FILE)}"


def test_a_building_given_again_replaces_the_one_before_and_the_others_stay(tmp_path: Path):
    first = Extract().way(1, HOUSE).way(2, rectangle(50, 0, 10, 10)).save(tmp_path / "a.osm")
    again = Extract().way(2, rectangle(50, 0, 30, 10)).way(3, HOUSE).save(tmp_path / "b.osm")
    added(tmp_path, first)
    found = added(tmp_path, again)
    assert [name_of(key) for key in found.keys.tolist()] == ["way/1", "way/2", "way/3"]
    assert square_m(found, "way/2") == pytest.approx(300, rel=0.01)
    assert square_m(found, "way/1") == pytest.approx(200, rel=0.01)


def collection(path: Path, features: list[object]) -> Path:
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    return path


def test_geojson_names_its_buildings_as_overpass_turbo_and_ohsome_do(tmp_path: Path):
    features: list[object] = [
        feature(HOUSE, id="way/1"),
        feature(HOUSE, properties={"@id": "relation/2"}),
        feature(HOUSE, properties={"@osmId": "way/3"}, id=17),
        feature(HOUSE, id="node/4"),
        feature(HOUSE, id="way/5", geometry={"type": "Point", "coordinates": [2, 48]}),
        None,
    ]
    path = collection(tmp_path / "a.geojson", features)
    assert add([path], tmp_path, quiet)[0].startswith(f"{path}: 3 buildings (3 left out")
    found = load(tmp_path, Sources())
    assert found is not None
    assert [name_of(key) for key in found.keys.tolist()] == ["way/1", "relation/2", "way/3"]


BAD = {
    "no extract at all": ("a.txt", "x", "expected an extract of OpenStreetMap's, .osm.pbf"),
    "no OSM in it": ("a.osm", "{}", "cannot be read as OpenStreetMap data"),
    "no PBF in it": ("a.osm.pbf", "never", "cannot be read as OpenStreetMap data"),
    "no building in it": ("a.osm", '<osm version="0.6"></osm>', "holds no building"),
    "no JSON": ("a.geojson", "{", "is not GeoJSON"),
    "no collection": ("a.geojson", "[]", "is not a FeatureCollection"),
    "no ids": (
        "a.geojson",
        json.dumps({"type": "FeatureCollection", "features": [feature(HOUSE)]}),
        "expected polygons whose id is way/123",
    ),
}


@pytest.mark.parametrize(("name", "text", "why"), BAD.values(), ids=BAD)
def test_a_file_that_is_no_use_is_refused_and_says_what_was_expected(
    tmp_path: Path, name: str, text: str, why: str
):
    kept = added(tmp_path, Extract().way(1, HOUSE).save(tmp_path / "good.osm"))
    (tmp_path / name).write_text(text)
    with pytest.raises(DataError, match=why):
        add([tmp_path / name], tmp_path, quiet)
    assert np.array_equal(added(tmp_path).keys, kept.keys)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path):
    with pytest.raises(DataError, match="No such file"):
        add([tmp_path / "a.geojson"], tmp_path, quiet)


def test_progress_is_told_in_bytes(tmp_path: Path):
    path = Extract().way(1, HOUSE).save(tmp_path / "a.osm")
    heard: list[tuple[str, int, int]] = []
    add([path], tmp_path, lambda *told: heard.append(told))
    size = path.stat().st_size
    assert heard == [(str(path), 0, size), (str(path), size, size)]


def test_what_is_kept_counts_among_what_a_catalogue_was_read_from(tmp_path: Path):
    sources = Sources()
    assert load(tmp_path, sources) is None
    assert sources.digests == {str(tmp_path / FILE): UNREAD}
    added(tmp_path, Extract().way(1, HOUSE).save(tmp_path / "a.osm"))
    sources = Sources()
    load(tmp_path, sources)
    assert sources.digests == {str(tmp_path / FILE): digest_of(tmp_path / FILE)}


def test_a_damaged_file_is_told_of_and_not_used(tmp_path: Path):
    added(tmp_path, Extract().way(1, HOUSE).save(tmp_path / "a.osm"))
    path = tmp_path / FILE
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    why = "is damaged: expected it to be removed and the buildings added again"
    with pytest.raises(DataError, match=why):
        load(tmp_path, Sources())
    with pytest.raises(DataError, match=why):
        described(path)


HOLED = Polygon(box(0, 0, 3, 3).exterior, [box(1, 1, 2, 2).exterior])
SHAPES = [box(-5, -5, -4, -4), HOLED, MultiPolygon([HOLED, box(8, 8, 9, 9), box(6, 6, 7, 7)])]


def test_columns_give_back_every_part_and_hole():
    column = np.array(SHAPES, object)
    found = outlines_of([9, 3, 5], column)
    assert found.keys.tolist() == [3, 5, 9]
    assert found.find([9, 3, 4, 5, 10]).tolist() == [2, 0, -1, 1, -1]
    for key, shape in zip([9, 3, 5], SHAPES, strict=True):
        (row,) = found.find([key])
        assert found.areas(np.array([row]))[0].equals(shape)
        assert found.boxes_deg[row].tolist() == list(shape.bounds)
    again = found.areas(np.array([2, 2, 0]))
    assert all(area.equals(SHAPES[at]) for area, at in zip(again, (0, 0, 1), strict=True))
    assert len(found.areas(np.array([], int))) == 0


def test_of_one_key_given_twice_the_last_outline_counts():
    found = outlines_of([4, 4], np.array([SHAPES[0], SHAPES[1]], object))
    assert (len(found), found.areas(np.array([0]))[0].equals(HOLED)) == (1, True)
    both = merged([found, outlines_of([4, 2], np.array([SHAPES[2], SHAPES[0]], object))])
    assert both.keys.tolist() == [2, 4]
    assert both.areas(np.array([1]))[0].equals(SHAPES[2])


def town(*rings: Ring) -> Outlines:
    """Buildings with keys 0, 1, 2, ..."""
    areas = np.empty(len(rings), object)
    areas[:] = [Polygon(degrees(ring)) for ring in rings]
    return outlines_of(range(len(rings)), areas)


def beside(outlines: Outlines, east_m: float, north_m: float = 0.0) -> Nearest | None:
    lon, lat = spot(east_m, north_m)
    return nearest(np.array([lon]), np.array([lat]), outlines, 30.0)[0]


def test_the_building_that_holds_the_place_is_found_and_of_several_the_smallest():
    block = town(rectangle(0, 0, 100, 60), rectangle(10, 10, 20, 20))
    assert beside(block, 15, 15)[:1] + beside(block, 15, 15)[2:] == (1, 0.0)
    assert beside(block, 80, 30)[:1] + beside(block, 80, 30)[2:] == (0, 0.0)


def test_on_the_pavement_it_is_the_nearest_and_beyond_thirty_metres_none():
    street = town(rectangle(0, 5, 10, 10), rectangle(0, -29, 10, 10))
    found = beside(street, 5, 0)
    assert found is not None
    assert (found.key, found.away_m) == (0, pytest.approx(5.0, abs=0.05))
    assert beside(street, 5, -44.0) is not None
    assert beside(street, 5, 200.0) is None
    assert beside(street, 5, -59.5) is None


def test_where_nothing_stands_nothing_is_found():
    assert nearest(np.empty(0), np.empty(0), town(HOUSE), 30.0) == []
    assert nearest(np.array([LON + 1]), np.array([LAT]), town(HOUSE), 30.0) == [None]


@pytest.mark.parametrize("latitude", [LAT, -33.9, 82.0])
def test_the_search_agrees_with_measuring_every_building(latitude: float):
    rng = np.random.default_rng(5)
    scale_m = np.concatenate(degree_m(np.array([latitude])))
    corners = [(*rng.uniform(-1500, 1500, 2), *rng.uniform(4, 60, 2)) for _ in range(1200)]
    corners += [(*rng.uniform(-4000, 4000, 2), *rng.uniform(900, 2500, 2)) for _ in range(3)]
    column = np.empty(len(corners), object)
    column[:] = [
        Polygon(np.array(rectangle(*corner)) / scale_m + (LON, latitude)) for corner in corners
    ]
    outlines = outlines_of(range(len(corners)), column)
    areas = outlines.areas(np.arange(len(outlines)))
    lon, lat = (rng.uniform(-1700, 1700, (60, 2)) / scale_m + (LON, latitude)).T
    found = nearest(lon, lat, outlines, 30.0)
    assert {one is None for one in found} == {True, False}
    for one, x, y in zip(found, lon.tolist(), lat.tolist(), strict=True):
        n = len(areas)
        flat = in_metres(areas, np.full(n, x), np.full(n, y))
        away_m = shapely.distance(flat, Point(0, 0))
        best = min(zip(away_m, shapely.area(flat), range(len(flat)), strict=True))
        assert (None if best[0] > 30.0 else best[2]) == (None if one is None else one.key)


def test_across_the_antimeridian_a_flat_map_is_still_one():
    area = np.array([box(-180.0, -17.0, -179.9999, -16.9999)], object)
    (flat,) = in_metres(area, np.array([179.9999]), np.array([-17.0]))
    assert flat.distance(Point(0, 0)) == pytest.approx(10.65, abs=0.01)
