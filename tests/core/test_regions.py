"""What a phone is told to watch, and that it misses nothing if it does."""

from __future__ import annotations

from itertools import pairwise
from math import isclose
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from shapely.geometry import MultiPolygon, box

from geoengine.catalog import read
from geoengine.core.book import Book
from geoengine.core.columns import Spot
from geoengine.core.places.regions import (
    LATE_M,
    REFRESH_MAX_M,
    REGION_MIN_M,
    Advice,
    advise,
    is_doubtful,
    prepare,
)
from tests.catalog.writing import write
from tests.core.world import LAT, LON, World, a_store, spot
from tests.index.oracle import GEOD, Circle, Shape, holds, star, zones_of

STORES = Path(__file__).parents[3] / "shared" / "data" / "stores"
STEP_M = 50.0


def book_of(shapes: list[Circle | Shape | None]) -> Book:
    """Zones and nothing else."""
    return Book("test", (), zones_of(shapes), (), (), engine=World().book().engine)


def circle(east_m: float, radius_m: float, north_m: float = 0.0) -> Circle:
    """A circle so many metres from the point."""
    return (*spot(east_m, north_m), radius_m)


def ids(advice: Advice) -> list[str]:
    """The zones advised, in order."""
    return [region.zone_id for region in advice.regions]


def inside(book: Book, lon: float, lat: float) -> set[str]:
    """The zones that hold a place: the slow truth."""
    zones = book.zones
    away_m = GEOD.inv(
        zones.lon_deg, zones.lat_deg, np.full(len(zones), lon), np.full(len(zones), lat)
    )[2]
    is_in = away_m <= zones.radius_m
    for ix, shape in zones.polygons.items():
        is_in[ix] = holds(shape, np.array([lon]), np.array([lat]))[0]
    return {zones.ids[ix] for ix in np.flatnonzero(is_in)}


def late_m(refresh_m: float) -> float:
    """How far outside the circle a phone may be when it notices."""
    return max(0.3 * refresh_m, LATE_M if refresh_m > REGION_MIN_M else 0.0)


def test_the_nearest_zones_are_advised_and_those_that_hold_the_phone_come_first():
    book = book_of([circle(5_000, 300), circle(0, 300), circle(2_000, 300), None])
    told = advise(book, LAT, LON, limit=2)
    assert ids(told) == ["z1", "z2"]
    assert [region.distance_m for region in told.regions] == [0.0, 1_700.0]
    assert ids(advise(book, LAT, LON)) == ["z1", "z2", "z0"]  # a place of beacons is no region


def test_a_region_has_the_name_of_its_store():
    told = advise(World([a_store("shop")]).book(), LAT, LON)
    assert [(region.zone_id, region.name) for region in told.regions] == [("shop", "Shop")]


def test_a_circle_is_watched_as_it_is_but_never_smaller_than_phones_can():
    told = advise(book_of([circle(0, 30), circle(0, 700)]), LAT, LON)
    assert {region.zone_id: region.radius_m for region in told.regions} == {"z0": 100, "z1": 700}


@pytest.mark.parametrize(
    "shape",
    [
        star(np.random.default_rng(7), 2.35, 48.86, 0.05),
        star(np.random.default_rng(8), 25.0, 78.0, 0.4),
        box(2.0, 48.0, 2.9, 48.001),
        MultiPolygon([box(179.9, -17.0, 180.0, -16.9), box(-180.0, -17.0, -179.95, -16.9)]),
    ],
)
def test_the_circle_around_a_polygon_holds_all_of_it_and_not_much_more(shape: Shape):
    (region,) = advise(book_of([shape]), shape.centroid.y, shape.bounds[0]).regions
    parts = shape.geoms if isinstance(shape, MultiPolygon) else [shape]
    lon, lat = np.concatenate([part.segmentize(1e-3).exterior.coords for part in parts]).T
    n = len(lon)
    away_m = GEOD.inv(np.full(n, region.lon), np.full(n, region.lat), lon, lat)[2]
    assert away_m.max() <= region.radius_m <= away_m.max() * 1.02 + 2.0
    assert -180.0 <= region.lon <= 180.0


def test_the_refresh_circle_ends_well_before_the_nearest_zone_that_is_not_advised():
    book = book_of([circle(0, 300), circle(4_300, 300), circle(-9_300, 300)])
    told = advise(book, LAT, LON, accuracy_m=50, limit=2)
    assert ids(told) == ["z0", "z1"]
    assert told.refresh_radius_m == pytest.approx((9_000 - 100) * 0.75, abs=1)
    assert (told.lat, told.lon) == (LAT, LON)


def test_where_all_zones_are_advised_the_refresh_circle_is_as_large_as_it_gets():
    book = book_of([circle(0, 300), circle(4_300, 300)])
    assert advise(book, LAT, LON).refresh_radius_m == REFRESH_MAX_M
    assert advise(book, -LAT, LON + 90, limit=1).refresh_radius_m == REFRESH_MAX_M


def test_a_catalogue_without_zones_advises_nothing():
    told = advise(book_of([None]), LAT, LON)
    assert (told.regions, told.refresh_radius_m) == ([], REFRESH_MAX_M)


def test_far_from_everything_the_nearest_zones_are_advised_all_the_same():
    book = book_of([circle(km * 1_000, 300) for km in range(100, 200)])
    assert ids(advise(book, LAT, LON, limit=3)) == ["z0", "z1", "z2"]


def test_whoever_stands_in_many_zones_still_hears_of_those_around_the_corner():
    around = [circle(0, 1_000 + metres) for metres in range(30)]
    told = advise(book_of([*around, circle(500, 300)]), LAT, LON, limit=10)
    assert "z30" in ids(told)
    assert len(set(ids(told)) & {f"z{ix}" for ix in range(5)}) == 5


def test_more_zones_at_one_edge_than_may_be_watched_shrink_the_circle_until_each_fix_is_asked():
    book = book_of([circle(1_000, 300)] * 30)
    far, near, at = (advise(book, *reversed(spot(east)), accuracy_m=0) for east in (0, 600, 699.9))
    assert far.refresh_radius_m == pytest.approx(500, abs=1)
    assert near.refresh_radius_m == pytest.approx(75, abs=1)
    assert at.refresh_radius_m == 0


def test_a_coarse_fix_is_told_to_ask_again_sooner():
    book = book_of([circle(km * 1_000, 300) for km in range(-30, 30)])
    fine, coarse = (advise(book, LAT, LON, accuracy_m=m, limit=20) for m in (10, 2_000))
    assert set(ids(fine)) == set(ids(coarse))
    assert coarse.refresh_radius_m < fine.refresh_radius_m / 1.5


def test_two_places_share_the_regions_and_the_next_fix_is_asked_about():
    book = book_of([circle(km * 1_000, 300) for km in (*range(10), *range(500, 510))])
    there = spot(500_000)
    told = advise(book, there[1], there[0], limit=6, instead=(LAT, LON))
    assert set(ids(told)) == {"z0", "z1", "z2", "z10", "z11", "z12"}
    assert told.refresh_radius_m == 0


def test_two_places_that_the_accuracy_explains_leave_the_refresh_circle_what_it_is():
    book = book_of([circle(km * 1_000, 300) for km in range(40)])
    beside = spot(200)
    told = advise(book, LAT, LON, accuracy_m=300, limit=20, instead=(beside[1], beside[0]))
    assert told == advise(book, LAT, LON, accuracy_m=300, limit=20)


@pytest.mark.parametrize(
    ("seconds", "east_m", "accuracy_m", "is_doubted"),
    [
        (60, 500, 10, False),  # a walk
        (60, 4_000, 10, False),  # a train
        (60, 9_000, 10, True),  # nobody
        (600, 9_000, 10, False),  # but in ten minutes
        (60, 500, 600, True),  # coarser than a few streets
    ],
)
def test_a_fix_is_doubted_after_an_impossible_jump_or_when_it_is_coarse(
    seconds: float, east_m: float, accuracy_m: float, is_doubted: bool
):
    last = Spot(LON, LAT, 10.0, 0)
    here = Spot(*spot(east_m), accuracy_m, round(seconds * 1_000))
    assert is_doubtful(here, last) is is_doubted


def test_nothing_is_doubted_of_a_device_never_seen():
    here = Spot(LON, LAT, 5_000.0, 1_000)
    assert not is_doubtful(here, Spot(float("nan"), float("nan"), float("nan"), -1))
    assert not is_doubtful(here, Spot(float("nan"), float("nan"), float("nan"), 500))


PLACES = st.tuples(st.floats(-12_000, 12_000), st.floats(-12_000, 12_000))
ROUND = st.builds(
    lambda place, radius_m: circle(place[0], radius_m, place[1]), PLACES, st.floats(15, 6_000)
)
DRAWN = st.builds(
    lambda place, seed, size: star(np.random.default_rng(seed), *spot(*place), size),
    PLACES,
    st.integers(0, 99),
    st.floats(0.002, 0.06),
)
ZONES = st.lists(ROUND | DRAWN, min_size=1, max_size=14)


@given(
    ZONES, PLACES, st.integers(1, 6), st.floats(0, 400), st.floats(0, 360), st.floats(0, 1),
    st.floats(0, 1),
)  # fmt: skip
@settings(max_examples=300, deadline=None)
@example([circle(0, 300)] * 3, (301.0, 0.0), 2, 0.0, 270.0, 1.0, 1.0)
def test_no_zone_beside_those_advised_begins_or_ends_within_the_refresh_circle(
    shapes: list[Circle | Shape],
    place: tuple[float, float],
    limit: int,
    accuracy_m: float,
    bearing: float,
    share: float,
    off: float,
):
    book = book_of(list(shapes))
    lon, lat = spot(*place)
    told = advise(book, lat, lon, accuracy_m=accuracy_m, limit=limit)
    # Where the phone truly is, and where it goes before it notices that it is outside.
    true_lon, true_lat, _ = GEOD.fwd(lon, lat, bearing / 2, off * accuracy_m)
    reach_m = told.refresh_radius_m + late_m(told.refresh_radius_m)
    to_lon, to_lat, _ = GEOD.fwd(true_lon, true_lat, bearing, share * reach_m)
    unseen = inside(book, true_lon, true_lat) ^ inside(book, to_lon, to_lat)
    if told.refresh_radius_m > 0:
        assert unseen <= set(ids(told))


@given(ZONES, st.integers(1, 6), st.lists(PLACES, min_size=2, max_size=4), st.integers(0, 9))
@settings(max_examples=60, deadline=None)
def test_a_phone_that_follows_the_advice_misses_no_zone(
    shapes: list[Circle | Shape], limit: int, corners: list[tuple[float, float]], seed: int
):
    book = book_of(list(shapes))
    rng = np.random.default_rng(seed)
    assert walked(book, [spot(*corner) for corner in corners], limit, rng)[0] == []


def walked(
    book: Book, corners: list[tuple[float, float]], limit: int, rng: np.random.Generator
) -> tuple[list[str], int, int]:
    """A phone walks from corner to corner and does what it is told.

    Returns the zones it came into without having been told to watch them, how many it came into,
    and how often it asked. It asks with each step where there is no circle to wait for.
    """
    told, was_in, missed, entered, asked, late = None, set(), [], 0, 0, 0.0
    way = steps(corners)
    for (lon, lat), now_in in zip(way, along(book, way), strict=True):
        if told is not None:
            came_in = now_in - was_in
            entered += len(came_in)
            if told.refresh_radius_m > 2 * STEP_M:  # else it is asked with every step anyway
                missed += came_in - set(ids(told))
        if told is None or away_m(told, lon, lat) > told.refresh_radius_m + late:
            asked += 1
            angle, off_m = rng.uniform(0, 360), min(abs(rng.normal(0, 10)), 30)
            seen_lon, seen_lat, _ = GEOD.fwd(lon, lat, angle, off_m)
            told = advise(book, seen_lat, seen_lon, accuracy_m=15, limit=limit)
            late = max(rng.uniform(0, late_m(told.refresh_radius_m)) - 30 - STEP_M, 0.0)
        was_in = now_in
    return missed, entered, asked


def along(book: Book, way: list[tuple[float, float]]) -> list[set[str]]:
    """The zones that hold each place of a way."""
    lon, lat = np.array(way).T
    found = book.index.match(lon, lat)
    told: list[set[str]] = [set() for _ in way]
    for fix_ix, zone_ix in zip(found.fix_ix.tolist(), found.zone_ix.tolist(), strict=True):
        told[fix_ix].add(book.zones.ids[zone_ix])
    return told


def away_m(told: Advice, lon: float, lat: float) -> float:
    """How far a phone is from where it asked."""
    return float(GEOD.inv(told.lon, told.lat, lon, lat)[2])


def steps(corners: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """Places a step apart along the way."""
    found = [corners[0]]
    for (lon0, lat0), (lon1, lat1) in pairwise(corners):
        length_m = GEOD.inv(lon0, lat0, lon1, lat1)[2]
        count = int(length_m / STEP_M)
        found += GEOD.npts(lon0, lat0, lon1, lat1, count) if count else []
        found.append((lon1, lat1))
    return found


@pytest.fixture(scope="module")
def british(tmp_path_factory: pytest.TempPathFactory) -> Book:
    """Supermarkets and bakeries, 6,404 circles of 300 m."""
    if not STORES.exists():
        pytest.skip("the shared real data is not here")
    imports = "".join(
        f"  - import: {STORES}/uk_{chain}.json\n    defaults: {{setting: city}}\n"
        for chain in ("tesco", "greggs", "sainsburys")
    )
    directory = write(tmp_path_factory.mktemp("british"), {"a.yaml": "stores:\n" + imports})
    book = read(directory).book
    prepare(book)
    return book


@pytest.mark.parametrize("limit", [20, 100])
@pytest.mark.parametrize(
    "corners",
    [
        [(-0.20, 51.50), (-0.08, 51.52), (-0.10, 51.45)],  # across London
        [(-0.13, 51.51), (-1.26, 51.75)],  # to Oxford
        [(-1.62, 54.98), (-1.38, 54.90)],  # where the bakeries come from
    ],
)
def test_between_real_stores_a_phone_that_follows_the_advice_misses_none(
    british: Book, corners: list[tuple[float, float]], limit: int
):
    missed, entered, asked = walked(british, corners, limit, np.random.default_rng(3))
    assert missed == []
    assert entered > 10
    assert asked < 25


def test_the_advice_on_real_stores_is_the_nearest_by_a_slow_look(british: Book):
    zones = british.zones
    rng = np.random.default_rng(5)
    for lon, lat in zip(rng.uniform(-3, 0.3, 40), rng.uniform(51, 54, 40), strict=True):
        n = len(zones)
        away = GEOD.inv(zones.lon_deg, zones.lat_deg, np.full(n, lon), np.full(n, lat))[2]
        edge_m = np.asarray(away) - zones.radius_m
        told = advise(british, lat, lon, accuracy_m=0)
        nearest = np.sort(edge_m)[:20]
        assert [region.distance_m for region in told.regions] == pytest.approx(
            np.maximum(nearest, 0.0), abs=0.1
        )
        assert told.refresh_radius_m <= 0.75 * np.sort(edge_m)[20]


def test_a_fix_a_few_metres_off_changes_next_to_nothing(british: Book):
    first = advise(british, 51.51, -0.13, accuracy_m=20)
    for angle in range(0, 360, 30):
        lon, lat, _ = GEOD.fwd(-0.13, 51.51, angle, 25)
        again = advise(british, lat, lon, accuracy_m=20)
        assert len(set(ids(first)) & set(ids(again))) >= 18
        assert isclose(again.refresh_radius_m, first.refresh_radius_m, abs_tol=60)
