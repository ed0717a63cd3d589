"""What there is to see of a catalogue."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import shapely

from geoengine.catalog import read
from geoengine.catalog.preview.scene import WARNINGS_SHOWN, Scene, scene_of, unrolled
from tests.catalog.preview.scenes import SHOPS, streets
from tests.catalog.reach.answering import keep
from tests.catalog.reach.test_on_the_roads import catalogue
from tests.catalog.writing import STORES, write


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return scene_of(read(streets(tmp_path)))


def test_every_area_is_seen_with_its_setting_and_its_reason(scene: Scene):
    assert scene.ids == ["rivoli", "halles", "gordes", "yard"]
    assert scene.names == ["Maison Rivoli", "Les Halles", "Gordes", "The yard"]
    assert scene.settings == ["city", "city", "countryside", "alone"]
    assert scene.modes == ["walk", "walk", "drive", None]
    assert scene.why[0].startswith("5 min on foot on the roads (valhalla")


def test_the_circle_beside_a_reach_on_streets_is_the_one_without_roads(tmp_path: Path):
    directory = streets(tmp_path)
    circles = read(directory, by_roads=False).book.zones.radius_m
    scene = scene_of(read(directory))
    assert scene.is_circle.tolist() == [False, True, False, True]
    np.testing.assert_allclose(scene.circle_m, circles)
    assert scene.radius_m[0] < scene.circle_m[0]  # what stands in for a star is larger


def test_reach_and_circle_agree_by_what_they_share_of_both(scene: Scene):
    assert np.isnan(scene.agreement[[1, 3]]).all()  # these are their circle
    assert 0.3 < scene.agreement[0] < 0.7
    share = scene.radius_m[2] ** 2 / scene.circle_m[2] ** 2  # Gordes: wholly within its circle
    assert scene.agreement[2] == pytest.approx(share, rel=0.01)


def test_only_the_stores_asked_for_are_seen(tmp_path: Path):
    scene = scene_of(read(streets(tmp_path)), ["gordes"])
    assert scene.ids == ["gordes"]
    assert len(scene.overlaps.first_ix) == 0


def test_a_drawn_polygon_stands_in_for_no_circle(tmp_path: Path):
    square = "[[2.3, 48.8], [2.4, 48.8], [2.4, 48.9], [2.3, 48.9], [2.3, 48.8]]"
    drawn = f"reach: {{polygon: {{type: Polygon, coordinates: [{square}]}}}}"
    text = (
        "stores:\n  - id: a\n    name: A\n    location: {lat: 48.85, lon: 2.35}\n    "
        + drawn
        + "\n"
    )
    scene = scene_of(read(write(tmp_path, {"a.yaml": text})))
    assert np.isnan(scene.circle_m).tolist() == [True]
    assert np.isnan(scene.agreement).tolist() == [True]


def test_beacon_places_are_no_areas(tmp_path: Path):
    scene = scene_of(read(write(tmp_path, {"a.yaml": STORES})))
    assert scene.ids == ["rivoli"]  # and not rivoli/entrance


def test_neighbours_over_the_antimeridian_are_neighbours(tmp_path: Path):
    text = """\
stores:
  - {id: west, name: W, location: {lat: -16.8, lon: 179.98}, reach: {radius_m: 3000}}
  - {id: east, name: E, location: {lat: -16.8, lon: -179.98}, reach: {radius_m: 3000}}
  - {id: cut, name: C, location: {lat: -16.8, lon: 179.99}, reach: {radius_m: 3000}}
"""
    scene = scene_of(read(write(tmp_path, {"a.yaml": text})))
    assert np.ptp(scene.lon_deg) == pytest.approx(0.04)
    assert len(scene.overlaps.first_ix) == 3


def test_a_shops_own_outline_is_drawn_and_overlaps_with_nobodys_reach(tmp_path: Path):
    ring = [[2.3468, 48.8582], [2.3472, 48.8582], [2.3472, 48.8584], [2.3468, 48.8582]]
    outline = f"{{polygon: {{type: Polygon, coordinates: [{ring}]}}}}"
    text = SHOPS.replace("setting: city}", f"setting: city, footprint: {outline}}}", 1)
    plain = scene_of(read(write(tmp_path / "plain", {"a.yaml": SHOPS})))
    scene = scene_of(read(write(tmp_path / "more", {"a.yaml": text})))
    assert set(scene.ids) - set(plain.ids) == {"rivoli/inside"}
    assert np.isnan(scene.circle_m[scene.ids.index("rivoli/inside")])
    pairs = [
        {one.ids[a], one.ids[b]}
        for one in (plain, scene)
        for a, b in zip(one.overlaps.first_ix, one.overlaps.second_ix, strict=True)
    ]
    assert pairs == [{"rivoli", "halles"}] * 2


def test_an_area_cut_at_the_antimeridian_is_whole(tmp_path: Path):
    halves = [
        [[[179.9, -17], [180, -17], [180, -16.6], [179.9, -16.6], [179.9, -17]]],
        [[[-180, -17], [-179.9, -17], [-179.9, -16.6], [-180, -16.6], [-180, -17]]],
    ]
    text = (
        "stores:\n  - {id: taveuni, name: Taveuni, location: {lat: -16.8, lon: 179.95}}\n"
        f"zones:\n  - {{id: strait, polygon: {{type: MultiPolygon, coordinates: {halves}}}}}\n"
    )
    scene = scene_of(read(write(tmp_path, {"a.yaml": text})))
    shape = scene.shapes[scene.ids.index("strait")]
    assert shape.geom_type == "Polygon"
    assert shape.bounds == pytest.approx((179.9, -17, 180.1, -16.6))


@pytest.mark.parametrize("lon_deg", [[], [2.3], [-5.0, 9.0], [-100.0, 50.0], [10.0, 170.0, -160.0]])
def test_unrolling_moves_nobody_but_by_whole_turns(lon_deg: list[float]):
    moved = unrolled(np.array(lon_deg))
    assert np.all((moved - np.array(lon_deg)) % 360 == 0)
    assert not lon_deg or np.ptp(moved) <= np.ptp(lon_deg)
    assert not lon_deg or np.ptp(moved) < 200


def test_more_warnings_than_can_be_read_are_counted(tmp_path: Path):
    rows = "".join(f"s{ix},S,48.85,2.35,50\n" for ix in range(WARNINGS_SHOWN + 20))
    write(tmp_path, {"s.csv": "id,name,lat,lon,radius_m\n" + rows})
    scene = scene_of(read(write(tmp_path, {"a.yaml": "stores:\n  - import: s.csv\n"})))
    assert (len(scene.warnings), scene.unshown_count) == (WARNINGS_SHOWN, 20)
    assert "s.csv:2:1: radius_m is 50: phones miss circles" in scene.warnings[0]


def test_a_reach_that_was_asked_for_and_refused_is_a_circle(tmp_path: Path):
    keep(tmp_path / "data")
    scene = scene_of(read(catalogue(tmp_path / "config")))
    assert scene.is_circle.all()
    assert shapely.is_valid(scene.shapes).all()
