"""Where geometry goes wrong: dates and poles, piers, borders, motorways; drawn and round."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import shapely
from pyproj import Geod
from shapely.geometry import MultiPolygon, Point, Polygon, box, shape
from shapely.geometry.base import BaseGeometry

from geoengine.catalog import Reading, read, zones_geojson
from geoengine.catalog.reach.kept import Answer, answered, refused
from geoengine.catalog.reach.question import Question
from geoengine.core.book import Book
from geoengine.core.columns import Fixes
from geoengine.core.errors import NoWay
from geoengine.core.match import match
from geoengine.core.places.regions import advise
from geoengine.core.places.zones import CIRCLE, POLYGON
from geoengine.roads.isochrone import CUT_OFF, judge
from geoengine.roads.plane import plane_at
from tests.catalog.reach.answering import keep
from tests.catalog.writing import write
from tests.core.world import NOON_MS, Walk

GEOD = Geod(ellps="WGS84")
REACH_M = 2_000.0


@dataclass(frozen=True)
class Spot:
    """Where a store is, in degrees, and the country and time zone that it must be given."""

    lon: float
    lat: float
    country: str
    time_zone: str

    def off(self, azimuth_deg: float, away_m: float) -> tuple[float, float]:
        """A place so far away; its longitude as a phone says it, between -180 and 180."""
        lon, lat, _back = GEOD.fwd(self.lon, self.lat, azimuth_deg, away_m)
        return float(lon), float(lat)


# Where circles and polygons have broken in other engines.
SPOTS = {
    "just west of the antimeridian": Spot(179.995, -16.81, "FJ", "Pacific/Fiji"),
    "just east of it": Spot(-179.995, -16.81, "FJ", "Pacific/Fiji"),
    "on the zero meridian": Spot(0.0, 51.4779, "GB", "Europe/London"),
    "on the equator": Spot(-78.4558, 0.0, "EC", "America/Guayaquil"),
    "far north": Spot(15.6356, 78.2200, "SJ", "Arctic/Longyearbyen"),
    "as far north as roads go": Spot(-62.3380, 82.5010, "CA", "America/Iqaluit"),
    "far south": Spot(-68.3030, -54.8019, "AR", "America/Argentina/Ushuaia"),
    "a few steps from Switzerland": Spot(7.5880, 47.5900, "FR", "Europe/Paris"),
    "a few steps from France": Spot(7.5895, 47.5750, "CH", "Europe/Zurich"),
}
AZIMUTHS = [0.0, 45.0, 90.0, 135.0, 180.0, 225.0, 270.0, 315.0]
KINDS = {"round": CIRCLE, "drawn": POLYGON}


def question(spot: Spot) -> Question:
    return Question(spot.lon, spot.lat, "drive", 5.0)


def drawn(spot: Spot, *metres: BaseGeometry) -> BaseGeometry:
    """Areas in metres around a store as a router tells them: in degrees, on past 180."""
    found: BaseGeometry = plane_at(spot.lon, spot.lat).round(shapely.union_all(metres))
    return found


def book_of(directory: Path, spot: Spot, reach: str, *answers: Answer) -> Reading:
    """One store in the country there, and what the roads have answered."""
    keep(directory / "data", *answers)
    text = (
        "stores:\n"
        f"  - {{id: shop, name: Shop, location: {{lat: {spot.lat:.6f}, lon: {spot.lon:.6f}}},\n"
        f"     setting: countryside, reach: {reach}}}\n"
        f"engine: {{data: {directory / 'data'}, consent: {{location: assumed}}}}\n"
    )
    return read(write(directory / "config", {"a.yaml": text}))


@pytest.fixture(params=SPOTS.values(), ids=SPOTS)
def spot(request: pytest.FixtureRequest) -> Spot:
    found: Spot = request.param
    return found


@pytest.fixture(params=KINDS)
def found(request: pytest.FixtureRequest, spot: Spot, tmp_path: Path) -> Reading:
    """A reach of two kilometres, as a circle or as what a router drew."""
    if request.param == "round":
        return book_of(tmp_path, spot, f"{{radius_m: {REACH_M:g}}}")
    disc = drawn(spot, Point(0, 0).buffer(REACH_M, quad_segs=64))
    answer = answered(question(spot), "test", judge(question(spot), disc).area, ())
    return book_of(tmp_path, spot, "{minutes: 5}", answer)


def inside(book: Book, places: list[tuple[float, float]]) -> list[bool]:
    """Which of these places the store's reach holds, one at a time and all at once."""
    lon_deg, lat_deg = (np.array(column) for column in zip(*places, strict=True))
    at_once = set(match(np.tile(lon_deg, 8), np.tile(lat_deg, 8), book.index).fix_ix.tolist())
    singly = [
        len(match(lon_deg[i : i + 1], lat_deg[i : i + 1], book.index)) for i in range(len(places))
    ]
    assert [ix in at_once for ix in range(len(places))] == [count > 0 for count in singly]
    return [count > 0 for count in singly]


async def pass_by(walk: Walk, places: list[tuple[float, float]], every_s: int) -> None:
    """Somebody goes from place to place, a fix at each."""
    lon, lat = np.transpose(places)
    fix_ms = NOON_MS + 1000 * every_s * np.arange(len(places))
    accuracy_m = np.full(len(places), 10.0)
    fixes = Fixes.of(
        ["ann"] * len(places),
        lon,
        lat,
        fix_ms,
        accuracy_m=accuracy_m,
        recv_ms=fix_ms,
        post_ix=1,
    )
    await walk.run(fixes=fixes, now_ms=int(fix_ms[-1]))


def test_the_country_and_the_time_zone_are_those_of_the_place(found: Reading, spot: Spot):
    (store,) = found.book.stores
    assert (store.country, store.time_zone) == (spot.country, spot.time_zone)


def test_it_reaches_as_far_in_every_direction(found: Reading, spot: Spot):
    near = [spot.off(azimuth, REACH_M * 0.97) for azimuth in AZIMUTHS]
    far = [spot.off(azimuth, REACH_M * 1.03) for azimuth in AZIMUTHS]
    assert inside(found.book, [(spot.lon, spot.lat), *near]) == [True] * 9
    assert inside(found.book, far) == [False] * 8


def test_distances_to_its_edge_are_those_of_the_ellipsoid(found: Reading, spot: Spot):
    for away_m in (0.5 * REACH_M, 0.95 * REACH_M, 1.05 * REACH_M, 2 * REACH_M):
        for azimuth in AZIMUTHS:
            edge_m = found.book.index.edge_m_one(0, *spot.off(azimuth, away_m))
            assert edge_m == pytest.approx(away_m - REACH_M, abs=0.025 * REACH_M)


def test_its_size_is_that_of_the_circle(found: Reading):
    assert found.book.zones.radius_m[0] == pytest.approx(REACH_M, rel=0.01)


def test_on_the_map_it_is_valid_and_around_the_store(found: Reading, spot: Spot):
    (feature,) = zones_geojson(found.book)["features"]
    area = shape(feature["geometry"])
    assert area.is_valid
    assert area.covers(Point(spot.lon, spot.lat))
    west, _south, east, _north = area.bounds
    assert east - west < 1.0 or (west, east) == (-180.0, 180.0)
    if found.book.zones.kind[0] == CIRCLE:
        assert area.exterior.is_ccw  # RFC 7946, 3.1.6


async def test_whoever_comes_from_any_side_enters_and_whoever_goes_on_leaves(
    found: Reading, spot: Spot
):
    for azimuth in (0.0, 90.0, 180.0, 270.0):
        walk = Walk(found.book)
        steps = [-6_000.0, -4_000.0, -1_500.0, 0.0, 1_500.0, 4_000.0, 6_000.0]
        places = [spot.off(azimuth, at) for at in steps]
        await pass_by(walk, places, every_s=60)
        assert walk.told("zone.entered", "zone.exited") == [
            ("zone.entered", 120.0),
            ("zone.exited", 300.0),
        ]


def test_a_phone_is_told_to_watch_it_from_either_side_by_a_circle_that_holds_it(
    found: Reading, spot: Spot
):
    for azimuth in AZIMUTHS:
        lon, lat = spot.off(azimuth, 5_000.0)
        (region,) = advise(found.book, lat, lon).regions
        assert region.distance_m == pytest.approx(3_000.0, abs=60.0)
        edge = [spot.off(side, REACH_M) for side in AZIMUTHS]
        away_m = GEOD.inv([region.lon] * 8, [region.lat] * 8, *zip(*edge, strict=True))[2]
        assert max(away_m) <= region.radius_m * 1.005
        assert region.radius_m < REACH_M * 1.05


# --- what is true of one place only ---------------------------------------------------------------

PIER = Spot(0.7220, 51.5150, "GB", "Europe/London")  # the head of a pier 2 km long
SERVICES = Spot(-2.7000, 53.5000, "GB", "Europe/London")


def kind_and_why(found: Reading) -> tuple[int, str]:
    return int(found.book.zones.kind[0]), found.book.zones.why[0]


def test_a_shop_on_a_pier_is_reached_by_the_pier(tmp_path: Path):
    pier, town = box(-15, 0, 15, 2_050), box(-1_500, 2_000, 1_500, 3_000)
    answer = judge(question(PIER), drawn(PIER, pier, town))
    found = book_of(
        tmp_path, PIER, "{minutes: 5}", answered(question(PIER), "test", answer.area, ())
    )
    assert kind_and_why(found)[0] == POLYGON
    on_it, ashore = PIER.off(0, 1_000.0), PIER.off(20, 2_600.0)
    by_boat = [PIER.off(90, 300.0), PIER.off(180, 300.0), PIER.off(40, 1_000.0)]
    assert inside(found.book, [(PIER.lon, PIER.lat), on_it, ashore]) == [True] * 3
    assert inside(found.book, by_boat) == [False] * 3


def test_an_island_without_a_road_keeps_its_circle_and_says_why(tmp_path: Path):
    with pytest.raises(NoWay) as ashore:
        judge(question(PIER), drawn(PIER, box(-1_500, 2_000, 1_500, 3_000)))
    assert "begins 2,000 m from the store: expected at most 350 m" in str(ashore.value)
    found = book_of(
        tmp_path, PIER, "{minutes: 5}", refused(question(PIER), "test", str(ashore.value))
    )
    kind, why = kind_and_why(found)
    assert kind == CIRCLE
    assert "it begins 2,000 m from the store" in why
    assert any("its reach is a circle" in warning.what for warning in found.warnings)


def test_at_a_pole_nothing_is_drawn_and_the_circle_goes_around_it(tmp_path: Path):
    station = Spot(24.8, -89.99, "AQ", "Antarctica/McMurdo")
    with pytest.raises(NoWay, match="beyond 85 degrees"):
        judge(question(station), drawn(station, Point(0, 0).buffer(REACH_M)))
    book = book_of(tmp_path, station, f"{{radius_m: {REACH_M:g}}}").book
    assert inside(book, [station.off(side, REACH_M * 0.97) for side in AZIMUTHS]) == [True] * 8
    assert inside(book, [station.off(side, REACH_M * 1.03) for side in AZIMUTHS]) == [False] * 8
    assert [region.zone_id for region in advise(book, -89.9, -155.0).regions] == ["shop"]


def test_where_the_road_data_end_at_the_border_the_zone_ends_there_and_is_doubted(tmp_path: Path):
    basel = SPOTS["a few steps from Switzerland"]
    france = drawn(basel, box(-9_000, -300, 9_000, 9_000))
    area = drawn(basel, box(-2_000, -295, 2_000, 2_500))
    answer = judge(question(basel), area, france)
    assert answer.doubts == (CUT_OFF,)
    found = book_of(
        tmp_path,
        basel,
        "{minutes: 5}",
        answered(question(basel), "test", answer.area, answer.doubts),
    )
    assert kind_and_why(found)[0] == POLYGON
    (warning,) = (fault.what for fault in found.warnings if CUT_OFF in fault.what)
    assert "shop" in warning
    assert inside(found.book, [basel.off(0, 2_000.0), basel.off(180, 1_000.0)]) == [True, False]


async def test_at_motorway_services_only_their_own_carriageway_is_five_minutes_away(tmp_path: Path):
    # Northbound traffic comes from the south; who goes south is 60 m away and cannot turn.
    own, forecourt = box(20, -6_500, 50, 0), box(20, -60, 160, 100)
    lane_to_lodge = box(150, 0, 900, 20)
    answer = judge(question(SERVICES), drawn(SERVICES, own, forecourt, lane_to_lodge))
    found = book_of(
        tmp_path, SERVICES, "{minutes: 5}", answered(question(SERVICES), "test", answer.area, ())
    )
    book = found.book
    plane = plane_at(SERVICES.lon, SERVICES.lat)

    def at(east_m: float, north_m: float) -> tuple[float, float]:
        (place,) = plane.round(Point(east_m, north_m)).coords
        return place

    assert inside(book, [(SERVICES.lon, SERVICES.lat), at(35, -5_000), at(800, 10)]) == [True] * 3
    assert inside(book, [at(-35, -3_000), at(-35, 3_000), at(35, 3_000)]) == [False] * 3
    southbound = Walk(book)
    places = [at(-35.0, north_m) for north_m in range(4_000, -4_001, -500)]
    await pass_by(southbound, places, every_s=16)
    assert southbound.told() == []


def test_an_area_on_both_sides_of_a_date_is_one_zone_without_a_seam(tmp_path: Path):
    taveuni = SPOTS["just west of the antimeridian"]
    area = judge(question(taveuni), drawn(taveuni, Point(0, 0).buffer(REACH_M))).area
    assert isinstance(area, MultiPolygon)
    book = book_of(
        tmp_path, taveuni, "{minutes: 5}", answered(question(taveuni), "test", area, ())
    ).book
    on_the_seam = [(180.0, -16.81), (-180.0, -16.81), (179.99999, -16.81), (-179.99999, -16.81)]
    assert inside(book, on_the_seam) == [True] * 4
    for lon, lat in on_the_seam:
        assert book.index.edge_m_one(0, lon, lat) == pytest.approx(533.0 - REACH_M, abs=10.0)


def test_a_hole_in_a_reach_stays_a_hole(tmp_path: Path):
    oslo = Spot(10.75, 59.91, "NO", "Europe/Oslo")
    lake = Point(900, 0).buffer(500)
    area = judge(question(oslo), drawn(oslo, Point(0, 0).buffer(REACH_M).difference(lake))).area
    assert isinstance(area, Polygon)
    assert len(area.interiors) == 1
    book = book_of(tmp_path, oslo, "{minutes: 5}", answered(question(oslo), "test", area, ())).book
    assert inside(book, [oslo.off(90, 900.0), oslo.off(270, 900.0)]) == [False, True]
    assert book.index.edge_m_one(0, *oslo.off(90, 900.0)) == pytest.approx(500.0, abs=30.0)
