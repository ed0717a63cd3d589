"""Polygons are what their coordinates say, holes, parts and the antimeridian included."""

import numpy as np
import pytest
import shapely
from hypothesis import example, given, settings
from hypothesis import strategies as st
from shapely.geometry import MultiPolygon, Polygon, box

from geoengine.core.index import ZoneIndex
from geoengine.core.space.geodesy import geodesic_one_m
from tests.index.oracle import Shape, geodesic_edge_m, holds, star, zones_of

FIJI = MultiPolygon([box(179.0, -18.0, 180.0, -16.0), box(-180.0, -18.0, -179.0, -16.0)])


def random_shapes(rng: np.random.Generator, lon: float, lat: float) -> list[Shape]:
    sizes = np.exp(rng.uniform(np.log(0.001), np.log(0.5), 12))
    shapes: list[Shape] = [
        star(rng, lon + rng.normal(0, 0.3), lat + rng.normal(0, 0.3), size) for size in sizes
    ]
    hole = Polygon(
        box(lon, lat, lon + 0.2, lat + 0.1).exterior,
        [star(rng, lon + 0.1, lat + 0.05, 0.03).exterior],
    )
    parts = shapely.union_all(
        [box(lon + 0.3, lat, lon + 0.35, lat + 0.1), box(lon + 0.4, lat, lon + 0.5, lat + 0.2)]
    )
    return [*shapes, hole, parts]


def fixes_about(shapes: list[Shape], rng: np.random.Generator, n: int = 400):
    """Half of them on an edge or within a hair of it, half anywhere about."""
    west, south, east, north = shapely.total_bounds(shapes)
    lon, lat = rng.uniform(west, east, n), rng.uniform(south, north, n)
    for ix in range(n // 2):
        edge = shapes[ix % len(shapes)].boundary
        point = edge.interpolate(rng.random(), normalized=True)
        lon[ix], lat[ix] = point.x, point.y
    lon[: n // 4] += rng.normal(0, 1e-9, n // 4)
    return lon, lat


@pytest.mark.parametrize("seed", range(6))
def test_membership_is_that_of_the_predicate(seed: int) -> None:
    rng = np.random.default_rng(seed)
    shapes = random_shapes(rng, [2.3, -70.0, 151.0][seed % 3], [48.8, 79.0, -33.0][seed % 3])
    lon, lat = fixes_about(shapes, rng)
    index = ZoneIndex(zones_of(shapes))

    evidence = index.match(lon, lat)

    truth = np.stack([shapely.intersects_xy(shape, lon, lat) for shape in shapes], axis=1)
    fix_ix, zone_ix = np.nonzero(truth)
    assert evidence.fix_ix.tolist() == fix_ix.tolist()
    assert evidence.zone_ix.tolist() == zone_ix.tolist()
    assert (evidence.edge_m <= 0).all()
    one_by_one = [
        (fix, *found)
        for fix, (x, y) in enumerate(zip(lon.tolist(), lat.tolist(), strict=True))
        for found in index.match_one(x, y)
    ]
    columns = (fix_ix.tolist(), zone_ix.tolist(), evidence.edge_m.tolist())
    assert one_by_one == list(zip(*columns, strict=True))


@pytest.mark.parametrize("seed", range(3))
def test_the_signed_distance_is_that_of_the_nearest_point_of_the_edge(seed: int) -> None:
    rng = np.random.default_rng(seed)
    shape = star(rng, 2.3, [0.0, 48.8, 65.0][seed], 0.05)
    index = ZoneIndex(zones_of([shape]))
    edge = shapely.get_coordinates(shapely.segmentize(shape.boundary, 5e-5))
    west, south, east, north = shape.bounds
    for x, y in zip(rng.uniform(west, east, 20), rng.uniform(south, north, 20), strict=True):
        truth = min(geodesic_one_m(x, y, *point) for point in edge.tolist())
        edge_m = index.edge_m_one(0, x, y)
        assert abs(edge_m) == pytest.approx(truth, rel=0.003, abs=3.0)
        assert (edge_m <= 0) == shapely.intersects_xy(shape, x, y)
        assert index.edge_m(np.array([0], np.int32), np.array([x]), np.array([y]))[0] == edge_m


def test_circles_and_polygons_overlap_each_with_its_own_row() -> None:
    rng = np.random.default_rng(5)
    circles = [(2.3 + rng.normal(0, 0.1), 48.8 + rng.normal(0, 0.1), 3_000.0) for _ in range(8)]
    shapes = random_shapes(rng, 2.3, 48.8)
    mixed = [circles[0], None, *shapes, *circles[1:]]
    zones = zones_of(mixed)
    lon, lat = rng.uniform(2.0, 2.9, 500), rng.uniform(48.5, 49.2, 500)
    truth = geodesic_edge_m(zones, lon, lat) <= 0
    for ix, shape in enumerate(mixed):
        if isinstance(shape, Shape):
            truth[:, ix] = holds(shape, lon, lat)
        elif shape is None:
            truth[:, ix] = False
    index = ZoneIndex(zones)

    evidence = index.match(lon, lat)

    assert list(zip(evidence.fix_ix, evidence.zone_ix, strict=True)) == list(
        zip(*np.nonzero(truth), strict=True)
    )
    for fix in range(100):
        found = [zone for zone, _ in index.match_one(float(lon[fix]), float(lat[fix]))]
        assert found == np.flatnonzero(truth[fix]).tolist()


def test_parts_on_either_side_of_the_antimeridian_are_one_zone() -> None:
    index = ZoneIndex(zones_of([FIJI]))
    lon = np.array([179.5, 180.0, -180.0, -179.5, -178.9, 178.9])
    assert index.match(lon, np.full(6, -17.0)).fix_ix.tolist() == [0, 1, 2, 3]
    assert [bool(index.match_one(x, -17.0)) for x in lon.tolist()] == [True] * 4 + [False] * 2


def test_the_seam_at_the_antimeridian_is_no_edge() -> None:
    index = ZoneIndex(zones_of([FIJI]))
    for lon in (179.9999, 180.0, -180.0, -179.9999):
        assert index.edge_m_one(0, lon, -17.0) < -100_000


def test_a_polygon_that_ends_at_the_antimeridian_holds_it_from_both_sides() -> None:
    index = ZoneIndex(zones_of([box(179.9, 10.0, 180.0, 10.1)]))
    evidence = index.match(np.array([180.0, -180.0, -179.999]), np.full(3, 10.05))
    assert evidence.fix_ix.tolist() == [0, 1]
    assert np.abs(evidence.edge_m).max() < 1e-6
    assert 100 < index.edge_m_one(0, -179.999, 10.05) < 120


def test_a_fix_in_a_hole_is_outside_and_knows_how_far() -> None:
    ring = Polygon(box(2.0, 48.0, 2.1, 48.1).exterior, [box(2.04, 48.04, 2.06, 48.06).exterior])
    index = ZoneIndex(zones_of([ring]))
    assert index.match_one(2.05, 48.05) == []
    assert index.edge_m_one(0, 2.05, 48.05) == pytest.approx(745.6, abs=1)
    assert index.match_one(2.02, 48.05)[0][1] == pytest.approx(-1_491.0, abs=2)


def test_a_polygon_around_the_globe_holds_what_its_latitudes_say() -> None:
    index = ZoneIndex(zones_of([box(-180.0, -60.0, 180.0, 60.0)]))
    lon = np.array([-180.0, -179.0, 0.0, 179.0, 180.0, 0.0])
    lat = np.array([0.0, 59.9, 60.0, -59.0, 10.0, 60.1])
    assert index.match(lon, lat).fix_ix.tolist() == [0, 1, 2, 3, 4]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.floats(-0.2, 0.2), st.floats(-0.2, 0.2)), min_size=3, max_size=9),
    st.lists(st.tuples(st.floats(-0.25, 0.25), st.floats(-0.25, 0.25)), min_size=1, max_size=20),
    st.sampled_from([(0.0, 0.0), (2.3, 48.8), (180.0, 10.0), (-180.0, -75.0)]),
)
@example(
    [(0.0, 1e-183), (0.0, 0.0), (0.1, 0.0), (0.1, 0.1)], [(0.05, 0.02), (0.0, 0.0)], (0.0, 0.0)
)
def test_no_polygon_and_no_fix_can_be_found_that_disagree(corners, fixes, place) -> None:
    hull = shapely.MultiPoint([(place[0] + x, place[1] + y) for x, y in corners]).convex_hull
    if not isinstance(hull, Polygon) or hull.area < 1e-8:
        return
    lon, lat = np.array([(place[0] + x, place[1] + y) for x, y in fixes]).T
    wrapped = (lon + 180.0) % 360.0 - 180.0
    index = ZoneIndex(zones_of([hull]))
    with np.errstate(divide="ignore", invalid="ignore"):  # GEOS: edges whose square has no length
        away_deg = shapely.distance(hull.boundary, shapely.points(lon, lat))
    assert np.isfinite(away_deg).all()
    margin = away_deg > 1e-12

    found = np.isin(np.arange(len(lon)), index.match(wrapped, lat).fix_ix)

    assert (found == shapely.intersects_xy(hull, lon, lat))[margin].all()
