"""The law of circles: a fix is in a zone if and only if the geodesic says so."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geoengine.core.index import ZoneIndex
from tests.index.oracle import Circle, around, circles_of, geodesic_edge_m, zones_of

MILLIMETRE = 1e-3

WORLDS = ["globe", "antimeridian", "poles", "city", "corners", "high_latitudes", "one_size"]


def random_circles(world: str, rng: np.random.Generator) -> list[Circle]:
    n = int(rng.integers(1, 120))
    lon, radius_m = rng.uniform(-180, 180, n), np.exp(rng.uniform(np.log(10), np.log(200e3), n))
    lat = np.degrees(np.arcsin(rng.uniform(-1, 1, n)))
    if world == "antimeridian":
        lon = (rng.uniform(-0.5, 0.5, n) + 360) % 360 - 180
    elif world == "poles":
        lat = rng.choice([-1, 1], n) * rng.uniform(88, 90, n)
    elif world == "city":
        lon, lat, radius_m = rng.uniform(2, 2.5, n), rng.uniform(48, 49, n), radius_m / 40
    elif world == "corners":
        lon = rng.choice([-180.0, 180, 0, 90], n)
        lat = rng.choice([-90.0, 90, 0, 80, 79.999, 85], n)
    elif world == "high_latitudes":
        lat = rng.choice([-1, 1], n) * rng.uniform(76, 86, n)
    elif world == "one_size":
        radius_m = np.full(n, 400.0)
    radius_m = np.maximum(radius_m, 10.0)
    return list(zip(lon.tolist(), lat.tolist(), radius_m.tolist(), strict=True))


def fixes_near(circles: list[Circle], rng: np.random.Generator, n: int = 300):
    """Half of them anywhere about a zone, half within a ten millionth of its edge."""
    which = rng.integers(0, len(circles), n)
    on_the_edge = 1 + rng.normal(0, 1e-7, n)
    ratio = np.where(rng.random(n) < 0.5, rng.uniform(0, 2, n), on_the_edge)
    lon, lat = around(circles, which, rng.uniform(0, 360, n), ratio)
    lon[:4], lat[4:6] = [180.0, -180.0, 180.0, -180.0], [90.0, -90.0]
    return lon, lat


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("world", WORLDS)
def test_every_path_agrees_with_the_geodesic(world: str, seed: int) -> None:
    rng = np.random.default_rng([seed, WORLDS.index(world)])
    circles = random_circles(world, rng)
    zones = zones_of(list(circles))
    index = ZoneIndex(zones)
    lon, lat = fixes_near(circles, rng)
    truth = geodesic_edge_m(zones, lon, lat)

    evidence = index.match(lon, lat)

    fix_ix, zone_ix = np.nonzero(truth <= 0)
    assert evidence.fix_ix.tolist() == fix_ix.tolist()
    assert evidence.zone_ix.tolist() == zone_ix.tolist()
    assert np.abs(evidence.edge_m - truth[fix_ix, zone_ix]).max(initial=0) < MILLIMETRE
    one_by_one = [
        (fix, *found)
        for fix, (x, y) in enumerate(zip(lon.tolist(), lat.tolist(), strict=True))
        for found in index.match_one(x, y)
    ]
    assert one_by_one == list(
        zip(fix_ix.tolist(), zone_ix.tolist(), evidence.edge_m.tolist(), strict=True)
    )


@pytest.mark.parametrize("world", WORLDS)
def test_the_distance_to_any_edge_is_that_of_the_geodesic(world: str) -> None:
    rng = np.random.default_rng(WORLDS.index(world))
    circles = random_circles(world, rng)
    zones = zones_of(list(circles))
    index = ZoneIndex(zones)
    lon, lat = fixes_near(circles, rng, 200)
    lon[100:], lat[100:] = rng.uniform(-180, 180, 100), rng.uniform(-90, 90, 100)
    zone_ix = rng.integers(0, len(zones), 200).astype(np.int32)
    truth = geodesic_edge_m(zones, lon, lat)[np.arange(200), zone_ix]

    edge_m = index.edge_m(zone_ix, lon, lat)

    assert np.abs(edge_m - truth).max() < MILLIMETRE
    assert ((edge_m <= 0) == (truth <= 0)).all()
    trios = zip(zone_ix.tolist(), lon.tolist(), lat.tolist(), strict=True)
    assert [index.edge_m_one(*trio) for trio in trios] == edge_m.tolist()


CIRCLES = st.lists(
    st.tuples(
        st.one_of(st.floats(-180, 180), st.sampled_from([-180.0, 180.0, 179.999, -179.999])),
        st.one_of(st.floats(-90, 90), st.sampled_from([-90.0, 90.0, 89.99, 80.0, -80.0, 0.0])),
        st.floats(10, 200_000),
    ),
    min_size=1,
    max_size=12,
)
FIXES = st.lists(
    st.tuples(
        st.integers(0, 11),
        st.floats(0, 360),
        st.one_of(st.floats(0, 2), st.floats(-1e-6, 1e-6).map(lambda part: 1 + part)),
    ),
    min_size=1,
    max_size=20,
)


@settings(max_examples=150, deadline=None)
@given(CIRCLES, FIXES)
def test_no_circle_and_no_fix_can_be_found_that_disagree(circles, fixes) -> None:
    which = np.array([fix[0] % len(circles) for fix in fixes])
    bearing, ratio = np.array([fix[1] for fix in fixes]), np.array([fix[2] for fix in fixes])
    lon, lat = around(circles, which, bearing, ratio)
    zones = zones_of(list(circles))
    index = ZoneIndex(zones)
    fix_ix, zone_ix = np.nonzero(geodesic_edge_m(zones, lon, lat) <= 0)

    evidence = index.match(lon, lat)

    assert evidence.fix_ix.tolist() == fix_ix.tolist()
    assert evidence.zone_ix.tolist() == zone_ix.tolist()
    for fix, (x, y) in enumerate(zip(lon.tolist(), lat.tolist(), strict=True)):
        assert [zone for zone, _ in index.match_one(x, y)] == zone_ix[fix_ix == fix].tolist()


def test_a_zone_on_the_antimeridian_reaches_both_sides() -> None:
    index = ZoneIndex(zones_of([(179.999, -17.0, 500.0)]))
    inside = index.match(np.array([179.9985, -179.9975, 180.0, -180.0, -179.99]), np.full(5, -17.0))
    assert inside.fix_ix.tolist() == [0, 1, 2, 3]


def test_a_zone_over_a_pole_reaches_every_longitude() -> None:
    index = ZoneIndex(zones_of([(10.0, 89.9, 20_000.0)]))
    lon = np.linspace(-180, 180, 37)
    assert index.match(lon, np.full(37, 89.95)).fix_ix.tolist() == list(range(37))
    assert len(index.match(lon, np.full(37, 89.0))) == 0


def test_without_zones_nothing_matches() -> None:
    index = ZoneIndex(zones_of([]))
    here = np.array([2.0]), np.array([48.0])
    assert len(index.match(*here)) == 0
    assert index.match_one(2.0, 48.0) == []
    assert len(index.match(np.empty(0), np.empty(0))) == 0
    assert len(index.crossings(*here, np.array([3.0]), np.array([48.0]), 50.0)) == 0
    assert index.nearest(2.0, 48.0, 5) == []
    assert index.in_box(-180, -90, 180, 90).tolist() == []
    assert index.zones_of_cell("871fb4662ffffff").tolist() == []


def test_a_beacons_place_never_matches_and_is_infinitely_far() -> None:
    index = ZoneIndex(zones_of([None, (2.0, 48.0, 300.0), None]))
    assert index.match(np.array([0.0, 2.0]), np.array([0.0, 48.0])).zone_ix.tolist() == [1]
    assert index.match_one(0.0, 0.0) == []
    assert index.edge_m_one(0, 0.0, 0.0) == np.inf
    assert index.nearest(0.0, 0.0, 3)[0][0] == 1
    assert index.cells(0, 7) == []


def test_a_fix_in_many_zones_gets_them_in_order() -> None:
    radius_m = np.linspace(9_000, 100, 60)
    index = ZoneIndex(circles_of(np.full(60, 2.35), np.full(60, 48.85), radius_m))
    evidence = index.match(np.array([2.35, 2.36]), np.array([48.85, 48.85]))
    assert evidence.zone_ix[:60].tolist() == list(range(60))
    assert evidence.edge_m[:60].tolist() == pytest.approx((-radius_m).tolist())
    assert [zone for zone, _ in index.match_one(2.36, 48.85)] == evidence.zone_ix[60:].tolist()


def test_a_circular_zone_costs_less_than_400_bytes() -> None:
    rng = np.random.default_rng(3)
    n = 20_000
    radius_m = np.where(rng.random(n) < 0.8, 400.0, 4_000.0)
    index = ZoneIndex(circles_of(rng.uniform(-5, 8, n), rng.uniform(42, 51, n), radius_m))
    assert index.nbytes / n < 400
