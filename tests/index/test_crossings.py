"""Ways between two fixes that cut a zone, against the same ways walked step by step."""

import numpy as np
import pytest
import shapely
from hypothesis import example, given, settings
from hypothesis import strategies as st
from shapely.geometry import MultiPolygon, box

from geoengine.core.columns import Crossings
from geoengine.core.index import ZoneIndex
from geoengine.core.places.zones import Zones
from geoengine.core.space.geodesy import GEOD, geodesic_one_m
from tests.index.oracle import Circle, slow_crossings, star, zones_of

STEPS = 1_000
Way = tuple[float, float, float, float]


def crossings(index: ZoneIndex, ways: list[Way], min_chord_m: float = 50.0) -> Crossings:
    return index.crossings(*np.array(ways, float).reshape(-1, 4).T, min_chord_m)


def walked_m(way: Way, circle: Circle) -> tuple[float, float, float]:
    """Distance walked inside a circle along the geodesic, and where; 0 if an end is inside."""
    lon0, lat0, lon1, lat1 = way
    azimuth, _, length_m = GEOD.inv(lon0, lat0, lon1, lat1)
    along = np.linspace(0, 1, STEPS + 1)
    lon, lat, _ = GEOD.fwd(
        *(np.full(STEPS + 1, end) for end in (lon0, lat0, azimuth)), along * length_m
    )
    center = np.full(STEPS + 1, circle[0]), np.full(STEPS + 1, circle[1])
    inside = np.asarray(GEOD.inv(*center, lon, lat)[2]) <= circle[2]
    if inside[0] or inside[-1] or not inside.any():
        return 0.0, 0.0, 0.0
    steps = np.flatnonzero(inside)
    return inside.sum() / STEPS * length_m, along[steps[0]], along[steps[-1]]


def ways_about(circles: list[Circle], rng: np.random.Generator, n: int, far: float) -> list[Way]:
    """Ways that pass circles at up to two radii, their ends up to ``far`` radii away."""
    ways = []
    for _ in range(n):
        lon, lat, radius_m = circles[rng.integers(len(circles))]
        bearing, offset = rng.uniform(0, 360), rng.uniform(0, 2)
        x, y, _ = GEOD.fwd(lon, lat, bearing, offset * radius_m)
        turn = 90 + rng.uniform(-10, 10)
        x0, y0, _ = GEOD.fwd(x, y, bearing + turn, rng.uniform(0, far) * radius_m)
        x1, y1, _ = GEOD.fwd(x, y, bearing + turn - 180, rng.uniform(0, far) * radius_m)
        ways.append((x0, y0, x1, y1))
    return ways


@pytest.mark.parametrize(
    ("place", "sizes", "far", "tolerance"),
    [
        ((2.3, 48.8), (50, 5_000), 6, 0.003),
        ((180.0, -17.0), (50, 5_000), 6, 0.003),
        ((25.0, 79.9), (50, 20_000), 4, 0.01),
        ((100.0, 89.8), (100, 30_000), 4, 0.01),
        ((-70.0, -10.0), (20_000, 200_000), 3, 0.02),
    ],
)
def test_a_chord_is_as_long_as_the_way_walked_inside(place, sizes, far, tolerance) -> None:
    rng = np.random.default_rng(sizes[1])
    circles: list[Circle] = []
    for _ in range(25):
        radius_m = float(np.exp(rng.uniform(*np.log(sizes))))
        lon, lat, _ = GEOD.fwd(*place, rng.uniform(0, 360), rng.uniform(0, 4) * radius_m)
        circles.append((lon, lat, radius_m))
    ways = ways_about(circles, rng, 60, far)
    found = crossings(ZoneIndex(zones_of(list(circles))), ways)
    rows = {
        (int(way), int(zone)): row
        for row, (way, zone) in enumerate(zip(found.segment_ix, found.zone_ix, strict=True))
    }
    assert list(rows) == sorted(rows)
    checked = 0
    for way_ix, way in enumerate(ways):
        length_m = geodesic_one_m(*way)
        for zone_ix, circle in enumerate(circles):
            chord_m, into, out_of = walked_m(way, circle)
            slack_m = 2 * length_m / STEPS + tolerance * circle[2]
            row = rows.get((way_ix, zone_ix))
            if row is None:
                # Near a tangent a hair of offset is a long chord: the way's own depth decides.
                assert chord_m < 50 + slack_m or chord_m**2 < 8 * circle[2] * slack_m
            else:
                checked += 1
                depth = chord_m**2 < 8 * circle[2] * slack_m
                assert depth or found.chord_m[row] == pytest.approx(chord_m, abs=3 * slack_m)
                assert depth or found.into[row] == pytest.approx(into, abs=0.03)
                assert depth or found.out_of[row] == pytest.approx(out_of, abs=0.03)
                assert found.chord_m[row] >= 50
    assert checked > 40


def test_a_way_with_an_end_inside_does_not_cross() -> None:
    index = ZoneIndex(zones_of([(2.35, 48.85, 500.0)]))
    through, into, within = (
        (2.33, 48.85, 2.37, 48.85),
        (2.33, 48.85, 2.35, 48.85),
        (2.349, 48.85, 2.351, 48.85),
    )
    found = crossings(index, [through, into, within])
    assert found.segment_ix.tolist() == [0]
    assert found.chord_m[0] == pytest.approx(1_000, abs=0.1)
    assert (found.into[0] + found.out_of[0]) / 2 == pytest.approx(0.5, abs=1e-4)


def test_a_way_that_only_brushes_a_zone_does_not_cross_it() -> None:
    index = ZoneIndex(zones_of([(0.0, 0.0, 500.0)]))
    lat = 499.0 / 110_574
    ways = [(-0.01, lat, 0.01, lat), (-0.01, lat / 2, 0.01, lat / 2)]
    assert crossings(index, ways, 100.0).segment_ix.tolist() == [1]
    assert crossings(index, ways, 1.0).segment_ix.tolist() == [0, 1]


def test_a_device_that_stands_still_crosses_nothing() -> None:
    index = ZoneIndex(zones_of([(2.35, 48.85, 500.0)]))
    assert len(crossings(index, [(2.35, 48.86, 2.35, 48.86)], 0.0)) == 0


def test_a_step_at_the_antipodes_of_a_zone_does_not_cross_it() -> None:
    index = ZoneIndex(zones_of([(0.0, 0.0, 10.0), (0.0, -90.0, 10.0)]))
    ways = [(180.0, 0.0, 180.0, 0.00001), (0.0, 90.0, 0.0, 89.99999)]
    assert len(crossings(index, ways, 0.0)) == 0
    assert len(crossings(index, ways * 6, 0.0)) == 0


def test_the_way_goes_the_short_way_round_the_antimeridian() -> None:
    index = ZoneIndex(zones_of([(180.0, -17.0, 400.0), (0.0, -17.0, 400.0)]))
    found = crossings(index, [(179.99, -17.0, -179.99, -17.0), (-179.99, -17.0, 179.99, -17.0)])
    assert found.segment_ix.tolist() == [0, 1]
    assert found.zone_ix.tolist() == [0, 0]


def test_a_way_across_a_continent_finds_the_small_zone_on_it() -> None:
    rng = np.random.default_rng(1)
    circles = [(float(x), 10.0 + float(rng.uniform(-1, 1)), 300.0) for x in range(1, 41)]
    index = ZoneIndex(zones_of([*circles, (0.0, 45.0, 300.0), (0.0, -45.0, 300.0)]))
    assert crossings(index, [(0.0, -30.0, 0.0, 60.0)]).zone_ix.tolist() == [40]


WORLDS = {
    "city": ((2.3, 48.8), (10, 3_000), 8),
    "antimeridian": ((180.0, -17.0), (50, 15_000), 8),
    "high_latitudes": ((25.0, 79.95), (100, 15_000), 5),
    "poles": ((100.0, 89.9), (100, 30_000), 4),
    "long_ways": ((-70.0, -10.0), (1_000, 15_000), 90),
    "large": ((10.0, 45.0), (10_000, 200_000), 3),
}


def world_of(name: str, rng: np.random.Generator) -> tuple[Zones, list[Way]]:
    """Circles of all sizes about a place, a few polygons, and ways that pass them."""
    place, sizes, far = WORLDS[name]
    circles: list[Circle] = []
    for _ in range(int(rng.integers(1, 40))):
        radius_m = float(np.exp(rng.uniform(*np.log(sizes))))
        lon, lat, _ = GEOD.fwd(*place, rng.uniform(0, 360), rng.uniform(0, 6) * radius_m)
        circles.append((lon, lat, radius_m))
    ways = ways_about(circles, rng, 80, far)
    lon, lat, radius_m = circles[0]
    shapes = [star(rng, lon, max(min(lat, 89.0), -89.0), radius_m / 111_000) for _ in range(3)]
    return zones_of([*shapes, *circles] if name != "poles" else list(circles)), ways


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("name", WORLDS)
@pytest.mark.parametrize("min_chord_m", [0.0, 50.0])
def test_no_way_is_taken_for_crossing_nothing(name: str, seed: int, min_chord_m: float) -> None:
    rng = np.random.default_rng([seed, *map(ord, name)])
    zones, ways = world_of(name, rng)
    index = ZoneIndex(zones)

    found = crossings(index, ways, min_chord_m)

    truth = slow_crossings(zones, ways, min_chord_m)
    columns = (found.segment_ix, found.zone_ix, found.chord_m, found.into, found.out_of)
    assert list(zip(*(column.tolist() for column in columns), strict=True)) == truth
    one_by_one = [
        (way_ix, *row)
        for way_ix, way in enumerate(ways)
        for row in index.crossings_one(*way, min_chord_m)
    ]
    assert one_by_one == truth
    few = crossings(index, ways[:5], min_chord_m)
    assert few.zone_ix.tolist() == [zone_ix for way_ix, zone_ix, *_ in truth if way_ix < 5]


PLACES = st.tuples(
    st.one_of(st.floats(-180, 180), st.sampled_from([-180.0, 180.0, 179.999, 0.0])),
    st.one_of(st.floats(-90, 90), st.sampled_from([-90.0, 90.0, 80.0, -80.0, 0.0])),
)
STEPS_M = st.tuples(st.floats(0, 360), st.floats(0, 40_000))


@settings(max_examples=150, deadline=None)
@example([((180.0, 0.0), 10.0), ((0.0, 0.0), 10.0)], [(0, (0.0, 0.0), (0.0, 1.0))], 0.0)
@example([((0.0, 90.0), 10.0), ((0.0, -90.0), 10.0)], [(0, (0.0, 0.0), (0.0, 1.0))], 0.0)
@given(
    st.lists(st.tuples(PLACES, st.floats(10, 20_000)), min_size=1, max_size=8),
    st.lists(st.tuples(st.integers(0, 7), STEPS_M, STEPS_M), min_size=1, max_size=15),
    st.sampled_from([0.0, 1.0, 50.0]),
)
def test_no_way_and_no_circle_can_be_found_that_disagree(places, steps, min_chord_m) -> None:
    circles = [(lon, lat, radius_m) for (lon, lat), radius_m in places]
    ways = []
    for nth, begin, step in steps:
        lon0, lat0, _ = GEOD.fwd(*circles[nth % len(circles)][:2], *begin)
        lon1, lat1, _ = GEOD.fwd(lon0, lat0, *step)
        ways.append((lon0, lat0, lon1, lat1))
    zones = zones_of(list(circles))
    index = ZoneIndex(zones)
    truth = slow_crossings(zones, ways, min_chord_m)

    found = crossings(index, ways * 3, min_chord_m)  # more than are asked about one by one

    of_first = [(zone, chord) for zone, chord in zip(found.zone_ix, found.chord_m, strict=True)]
    assert of_first == [(zone, chord) for _, zone, chord, *_ in truth] * 3
    for way_ix, way in enumerate(ways):
        rows = [tuple(rest) for nth, *rest in truth if nth == way_ix]
        assert index.crossings_one(*way, min_chord_m) == rows


@pytest.mark.parametrize("lon", [2.3, 180.0])
def test_a_way_through_a_polygon_is_cut_where_its_edges_are(lon: float) -> None:
    rng = np.random.default_rng(8)
    shapes = [
        star(rng, lon + rng.normal(0, 0.03), 48.8 + rng.normal(0, 0.03), 0.02) for _ in range(8)
    ]
    ends = rng.normal(0, 0.05, (80, 4)) + np.array([lon, 48.8] * 2)
    wrapped = ends.copy()
    wrapped[:, ::2] = (ends[:, ::2] + 180) % 360 - 180
    found = crossings(ZoneIndex(zones_of(shapes)), wrapped.tolist())
    rows = dict(
        zip(
            zip(found.segment_ix.tolist(), found.zone_ix.tolist(), strict=True),
            found.chord_m,
            strict=True,
        )
    )
    along = np.linspace(0, 1, STEPS + 1)
    for way_ix, (x0, y0, x1, y1) in enumerate(ends.tolist()):
        length_m = geodesic_one_m(x0, y0, x1, y1)
        for zone_ix, shape in enumerate(shapes):
            inside = shapely.intersects_xy(shape, x0 + (x1 - x0) * along, y0 + (y1 - y0) * along)
            longest = max(map(len, "".join("x" if i else " " for i in inside).split()), default=0)
            walked = longest / STEPS * length_m
            step = 2 * length_m / STEPS
            chord_m = rows.pop((way_ix, zone_ix), 0.0)
            if inside[0] or inside[-1]:
                assert chord_m == 0.0
            elif chord_m:
                assert chord_m == pytest.approx(walked, abs=step)
            else:
                assert walked < 50 + step
    assert not rows
    assert len(found) > 20


def test_a_way_over_the_seam_of_a_zone_on_the_antimeridian_is_one_chord() -> None:
    fiji = MultiPolygon([box(179.9, -18, 180, -16), box(-180, -18, -179.9, -16)])
    found = crossings(ZoneIndex(zones_of([fiji])), [(179.8, -17.0, -179.8, -17.0)])
    assert found.into.tolist() == [pytest.approx(0.25)]
    assert found.out_of.tolist() == [pytest.approx(0.75)]
