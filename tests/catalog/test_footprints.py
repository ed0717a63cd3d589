"""The shop's own outline: where it comes from, and what is said where it cannot be."""

from __future__ import annotations

import json
from math import pi
from pathlib import Path

import pytest

from geoengine.catalog import Reading, read
from geoengine.catalog.building.footprints import LISTED_MAX, Outline, accuracy_needed_m
from geoengine.catalog.buildings.add import add
from geoengine.catalog.geojson import zones_geojson
from geoengine.catalog.keeping.cache import Cache
from geoengine.catalog.keeping.compiler import is_small
from geoengine.catalog.polygons import area_of
from geoengine.core.look.weigh import Sign, weigh
from geoengine.core.places.policy import Policy
from geoengine.core.places.zones import POLYGON
from geoengine.core.units import ACCURACY_MIN_M
from tests.catalog.osm import Extract, Ring, degrees, feature, rectangle
from tests.catalog.writing import CAMPAIGN, SHOP, STORES, faults, reading, write
from tests.core.world import spot

DATA = Path(__file__).parents[3] / "shared" / "data"
SHOP_FLOOR = rectangle(-20, -15, 40, 30)
AT_DOOR = "    footprint: {polygon: shop.geojson, place: entrance}\n"


def drawn(ring: Ring) -> str:
    """The text of a GeoJSON file."""
    return json.dumps(feature(ring))


def store(footprint: str, data: str = "data", name: str = "rivoli") -> str:
    """A catalogue of one store, its footprint on line 6."""
    shop = SHOP.replace("rivoli", name).split("    beacons")[0]
    return f"stores:\n{shop}    footprint: {footprint}\nengine: {{data: {data}}}\n"


def with_buildings(tmp_path: Path, extract: Extract) -> str:
    """The data folder, with the buildings of an extract."""
    data = tmp_path / "data"
    add([extract.save(tmp_path / "town.osm")], data, lambda *_: None)
    return str(data)


def inside(found: Reading) -> tuple[str, str]:
    """The id and the reason of the one outline of a catalogue."""
    (zone_ix,) = found.book.outlines.tolist()
    zones = found.book.zones
    assert zones.kind[zone_ix] == POLYGON
    return zones.ids[zone_ix], zones.why[zone_ix]


def test_a_drawn_outline_is_a_zone_of_the_store_beside_its_reach(tmp_path: Path):
    found = reading(tmp_path, store("{polygon: shop.geojson}"), shop__geojson=drawn(SHOP_FLOOR))
    zones = found.book.zones
    assert zones.ids == ["rivoli", "rivoli/inside"]
    assert zones.store_ix.tolist() == [0, 0]
    assert zones.radius_m[1] == pytest.approx((1200 / pi) ** 0.5, rel=0.01)
    assert zones.places == {1: "inside"}
    assert inside(found)[1] == (
        "drawn outline; as large as a circle of 20 m, entered by GPS accurate to 15 m"
    )
    properties = zones_geojson(found.book)["features"][1]["properties"]
    assert (properties["place"], properties["store_id"]) == ("inside", "rivoli")


def test_geojson_may_stand_in_the_yaml_itself(tmp_path: Path):
    ring = json.dumps({"type": "Polygon", "coordinates": [degrees(SHOP_FLOOR)]})
    found = reading(tmp_path, store(f"{{polygon: {ring}, place: floor}}"))
    assert inside(found)[0] == "rivoli/floor"


def test_a_building_is_found_by_its_id(tmp_path: Path):
    data = with_buildings(tmp_path, Extract().way(7, SHOP_FLOOR).way(8, rectangle(50, 0, 9, 9)))
    found = reading(tmp_path, store("{building: way/7}", data))
    assert inside(found)[1].startswith("building way/7; as large as a circle of 20 m")


def test_auto_is_the_building_the_store_lies_in(tmp_path: Path):
    data = with_buildings(tmp_path, Extract().way(7, SHOP_FLOOR).way(8, rectangle(25, 0, 9, 9)))
    found = reading(tmp_path, store("{building: auto}", data))
    assert inside(found)[1].startswith("building way/7; ")


def test_auto_on_the_pavement_is_the_building_beside_it_and_says_how_far(tmp_path: Path):
    data = with_buildings(tmp_path, Extract().way(7, rectangle(12, -20, 40, 40)))
    found = reading(tmp_path, store("{building: auto}", data))
    assert inside(found)[1].startswith("building way/7, 12 m from the store; ")


def test_auto_with_no_building_near_is_a_warning_and_no_zone(tmp_path: Path):
    data = with_buildings(tmp_path, Extract().way(7, rectangle(60, 0, 40, 40)))
    found = reading(tmp_path, store("{building: auto}", data))
    assert found.book.zones.ids == ["rivoli"]
    (warning,) = found.warnings
    assert (warning.line, warning.column) == (6, 16)
    assert warning.what == "`rivoli` has no outline: no building is within 30 m"


def test_auto_where_nothing_was_added_is_a_warning_and_no_zone(tmp_path: Path):
    found = reading(tmp_path, store("{building: auto}", str(tmp_path / "data")))
    assert found.book.zones.ids == ["rivoli"]
    (warning,) = found.warnings
    assert warning.what.startswith("`rivoli` has no outline: no buildings are in ")
    assert warning.what.endswith("expected `geoengine data add buildings FILE.osm.pbf`")


FAULTS = {
    "polygon and building": (
        "{polygon: shop.geojson, building: auto}",
        "6:16",
        "footprint of `rivoli`: expected polygon or building, one of the two",
    ),
    "neither": ("{place: inside}", "6:16", "expected polygon or building"),
    "a file that is not there": ("{polygon: no.geojson}", "6:26", "no.geojson cannot be read"),
    "no building's name": ("{building: node/5}", "6:27", "building is 'node/5'"),
    "a building that was not added": (
        "{building: way/9}",
        "6:27",
        "building way/9 of `rivoli` is not in what was added: expected `geoengine data add",
    ),
    "an outline in the next street": (
        "{building: way/8}",
        "6:16",
        "the outline of `rivoli` lies 230 m from its location: expected within 200 m",
    ),
    "the name of the place that is the whole store": (
        "{building: way/7, place: store}",
        "6:41",
        "place `store` of `rivoli` is one of beacons",
    ),
}


@pytest.mark.parametrize(("written", "place", "what"), FAULTS.values(), ids=FAULTS)
def test_a_footprint_that_cannot_be_is_a_fault_with_its_place(
    tmp_path: Path, written: str, place: str, what: str
):
    extract = Extract().way(7, SHOP_FLOOR).way(8, rectangle(230, 0, 40, 40))
    data = with_buildings(tmp_path, extract)
    found = faults(tmp_path, store(written, data), shop__geojson=drawn(SHOP_FLOOR))
    assert [fault.startswith(f"{place}: ") and what in fault for fault in found] == [True], found


def test_an_outline_in_another_town_is_a_fault(tmp_path: Path):
    far = drawn(rectangle(52_000, 0, 40, 40))
    (fault,) = faults(tmp_path, store("{polygon: shop.geojson}"), shop__geojson=far)
    assert "lies 52 km from its location" in fault


def test_a_building_by_id_where_nothing_was_added_is_a_fault(tmp_path: Path):
    (fault,) = faults(tmp_path, store("{building: way/7}", str(tmp_path / "data")))
    assert fault.startswith("6:27: building way/7 of `rivoli` is not known: no buildings are in ")
    assert fault.endswith("expected `geoengine data add buildings FILE.osm.pbf`")


def test_an_outline_may_not_have_the_name_of_a_beacon_place_of_its_store(tmp_path: Path):
    (fault,) = faults(tmp_path, STORES + AT_DOOR, shop__geojson=drawn(SHOP_FLOOR))
    assert fault.startswith(
        "8:47: place `entrance` of `rivoli` is one of beacons: expected another"
    )


def test_damaged_buildings_are_told_of_at_every_store_that_asks(tmp_path: Path):
    data = with_buildings(tmp_path, Extract().way(7, SHOP_FLOOR))
    (path,) = Path(data).rglob("*.bin")
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    (fault,) = faults(tmp_path, store("{building: way/7}", data))
    assert "is damaged: expected it to be removed and the buildings added again" in fault


def test_rows_of_an_import_whose_building_is_not_there_are_left_out_and_the_others_load(
    tmp_path: Path,
):
    data = with_buildings(tmp_path, Extract().way(7, SHOP_FLOOR))
    lon, lat = spot(0)
    rows = [
        {"id": name, "name": name, "lat": lat, "lon": lon, "footprint": {"building": building}}
        for name, building in (("a", "way/7"), ("b", "way/9"))
    ]
    text = f"stores:\n  - import: shops.ndjson\nengine: {{data: {data}}}\n"
    found = reading(tmp_path, text, shops__ndjson="".join(json.dumps(row) + "\n" for row in rows))
    assert found.book.zones.ids == ["a", "a/inside"]
    assert found.skipped_count == 1


def test_an_outline_larger_than_the_reach_is_doubtful(tmp_path: Path):
    text = store("{polygon: shop.geojson}").replace(
        "    footprint", "    reach: {radius_m: 120}\n    footprint"
    )
    found = reading(tmp_path, text, shop__geojson=drawn(rectangle(-200, -150, 400, 300)))
    (warning,) = found.warnings
    assert warning.what == "the outline of `rivoli` is larger than its reach"


def test_an_outline_that_ordinary_accuracy_lets_nobody_into_is_doubtful(tmp_path: Path):
    small = drawn(rectangle(-8, -8, 16, 16))
    found = reading(tmp_path, store("{polygon: shop.geojson}"), shop__geojson=small)
    (warning,) = found.warnings
    assert (warning.line, warning.column) == (6, 16)
    assert warning.what == (
        "the outline of `rivoli` is small: GPS lets people in when accurate to 7 m, and in streets "
        "it is some 10 m off"
    )
    tiny = drawn(rectangle(-2, -2, 4, 4))
    found = reading(tmp_path, store("{polygon: shop.geojson}"), shop__geojson=tiny)
    assert found.warnings[0].what == (
        "the outline of `rivoli` is too small for GPS to let anybody in: hang beacons"
    )
    assert inside(found)[1] == "drawn outline; as large as a circle of 2 m, not for GPS"


@pytest.mark.parametrize(("width_m", "height_m"), [(40, 30), (9, 9), (80, 6)])
def test_the_accuracy_told_is_the_coarsest_that_lets_anybody_in(width_m: float, height_m: float):
    radius_m = (width_m * height_m / pi) ** 0.5
    area = area_of(feature(rectangle(0, 0, width_m, height_m)), Path())
    policy, middle_m = Policy(), min(width_m, height_m) / 2
    told_m = accuracy_needed_m(Outline(area, "", 0.0, radius_m, middle_m), policy)
    assert told_m > ACCURACY_MIN_M

    def sign(accuracy_m: float) -> Sign:
        here = (-middle_m, radius_m, accuracy_m, policy)
        return weigh(*here, is_circle=False, is_inside=False)

    assert sign(told_m * 0.98) >= Sign.LIKELY_IN
    assert sign(told_m * 1.02) is Sign.EDGE


def test_a_long_narrow_shop_needs_a_better_fix_than_its_area_says(tmp_path: Path):
    arcade = drawn(rectangle(-60, -2, 120, 4))
    found = reading(tmp_path, store("{polygon: shop.geojson}"), shop__geojson=arcade)
    assert "as large as a circle of 12 m, entered by GPS accurate to 4 m" in inside(found)[1]


def test_stores_in_one_building_are_told_of(tmp_path: Path):
    data = with_buildings(tmp_path, Extract().way(7, SHOP_FLOOR))
    text = store("{building: auto}", data)
    other = store("{building: way/7}", data, "opera").split("\n", 1)[1].split("engine")[0]
    found = reading(tmp_path, text.replace("engine", other + "engine"))
    (warning,) = found.warnings
    assert warning.line == 11
    assert warning.what == (
        "`opera` has the same outline as `rivoli`: who walks into one walks into both"
    )


def test_what_all_rows_of_an_import_have_is_not_told_of_each(tmp_path: Path):
    extract = Extract()
    for row in range(LISTED_MAX + 5):
        extract.way(row + 1, rectangle(40 * row, 0, 16, 16))
    data = with_buildings(tmp_path, extract)
    rows = []
    for row in range(LISTED_MAX + 5):
        lon, lat = spot(40 * row + 8, 8)
        rows.append(f"s{row},S,{lat},{lon}")
    text = (
        "stores:\n  - import: shops.csv\n    defaults: {footprint: {building: auto}}\n"
        f"engine: {{data: {data}}}\n"
    )
    found = reading(tmp_path, text, shops__csv="\n".join(["id,name,lat,lon", *rows]))
    assert len(found.book.outlines) == LISTED_MAX + 5
    assert len(found.warnings) == LISTED_MAX
    assert [w.what.endswith("; and so with 5 stores more") for w in found.warnings].count(True) == 1


PLACES = {
    "": ["rivoli"],
    "zones: {stores: [rivoli]}": ["rivoli"],
    "zones: {tags: [fashion]}": ["rivoli"],
    "zones: {place: inside}": ["rivoli/inside"],
    "zones: {zones: [rivoli/inside]}": ["rivoli/inside"],
    "zones: {place: [inside, entrance], stores: [rivoli]}": ["rivoli/inside", "rivoli/entrance"],
}


@pytest.mark.parametrize(("target", "about"), PLACES.items())
def test_an_outline_speaks_only_for_campaigns_that_name_it(
    tmp_path: Path, target: str, about: list[str]
):
    text = STORES + "    footprint: {polygon: shop.geojson}\n" + CAMPAIGN
    text += f"    {target}\n" if target else ""
    found = reading(tmp_path, text, shop__geojson=drawn(SHOP_FLOOR))
    book = found.book
    zones = range(len(book.zones))
    assert {book.zones.ids[ix] for ix in zones if book.plans(ix)} == set(about)
    assert found.zone_counts == {"hello": len(about)}


def test_the_cache_notices_that_buildings_were_added(tmp_path: Path):
    data = with_buildings(tmp_path, Extract().way(7, SHOP_FLOOR))
    home = write(tmp_path / "config", {"a.yaml": store("{building: auto}", data)})
    assert not is_small(home)
    cache = Cache(tmp_path / "cache")
    first = read(home)
    cache.keep(home, first)
    found = cache.find(home)
    assert found is not None
    assert found.book.zones.places == first.book.zones.places
    assert found.book.outlines.tolist() == first.book.outlines.tolist() == [1]
    with_buildings(tmp_path, Extract().way(8, rectangle(-10, -10, 20, 20)))
    assert cache.find(home) is None
    assert "building way/8" in inside(read(home))[1]


@pytest.mark.skipif(not DATA.exists(), reason="the shared real data is not here")
def test_nearly_all_shops_of_newport_stand_in_a_building(tmp_path: Path):
    add([DATA / "osm" / "newport.osm.pbf"], tmp_path / "data", lambda *_: None)
    text = (
        f"stores:\n  - import: {DATA}/stores/osm_shops_newport.geojson\n"
        "    defaults: {setting: city, footprint: {building: auto}}\n"
        f"engine: {{data: {tmp_path}/data}}\n"
    )
    book = reading(tmp_path, text).book
    assert len(book.stores) > 900
    assert len(book.outlines) > 0.95 * len(book.stores)
