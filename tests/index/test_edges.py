"""How deep inside a polygon a fix is: the compiled way and the other one say the same."""

import numpy as np
import pytest
import shapely
from shapely.geometry import MultiPolygon, Polygon

from geoengine.core.space.edges import IS_COMPILED, Edges
from geoengine.core.space.polygons import Polygons
from tests.index.oracle import Shape

COMPILED = pytest.mark.skipif(not IS_COMPILED, reason="built without a C compiler")
PLACES = [(2.3, 48.8), (179.98, -17.0), (-70.0, 79.5), (25.0, 84.0)]


def rough(rng: np.random.Generator, lon: float, lat: float, size_deg: float, corners: int):
    """An outline with arms and bays, as isochrones have, and a hole in its middle."""
    turn = np.linspace(0, 2 * np.pi, corners, endpoint=False)
    wave = np.arange(1, 40)
    height = rng.normal(size=39) * 0.25 / wave
    length = size_deg * np.exp(np.sin(np.outer(turn, wave) + rng.uniform(0, 6, 39)) @ height)
    rim = np.column_stack([lon + length * np.cos(turn), lat + length * np.sin(turn) / 2])
    hole = (lon, lat) + 0.1 * (rim - (lon, lat))
    return Polygon(rim, [hole])


def shapes_at(lon: float, lat: float) -> list[Shape]:
    rng = np.random.default_rng(3)
    sizes = ((0.004, 1_000), (0.05, 1_000), (0.01, 256), (0.02, 7))
    alone = [rough(rng, lon, lat, size_deg, corners) for size_deg, corners in sizes]
    far = [rough(rng, lon + shift, lat, 0.01, 300) for shift in (-0.05, 0.05)]
    return [*alone, MultiPolygon(far)]


def fixes_about(shapes: list[Shape], rng: np.random.Generator, count: int = 3_000):
    """Anywhere about, on corners, on edges, and within hairs of these."""
    corners = shapely.get_coordinates(shapes)[rng.integers(0, 1_000, count)]
    edges = shapely.line_interpolate_point(
        [shape.boundary for shape in shapes], rng.random((count // 5, 1)), normalized=True
    )
    west, south, east, north = shapely.total_bounds(shapes)
    anywhere = np.column_stack([rng.uniform(west, east, count), rng.uniform(south, north, count)])
    hairs = corners + rng.normal(size=(count, 2)) * 10.0 ** rng.uniform(-13, -4, (count, 1))
    on_edges = shapely.get_coordinates(edges.ravel())
    lon, lat = np.concatenate([anywhere, corners, hairs, on_edges]).T
    return (lon + 180.0) % 360.0 - 180.0, lat


@pytest.mark.parametrize("place", PLACES)
def test_a_cell_of_the_grid_changes_no_answer(place: tuple[float, float]) -> None:
    rng = np.random.default_rng(1)
    polygons = Polygons(shapes_at(*place))
    lon, lat = fixes_about(list(polygons.shapes), rng)
    fix_ix, polygon_ix, edge_m = polygons.match(lon, lat)
    found = np.full((len(lon), len(polygons)), np.inf)
    found[fix_ix, polygon_ix] = edge_m
    for ix in range(len(polygons)):
        alone = polygons.edge_m(np.full(len(lon), ix, np.int32), lon, lat)
        inside = polygons.holds(np.full(len(lon), ix), lon, lat)
        np.testing.assert_array_equal(found[:, ix] <= 0, inside)
        np.testing.assert_array_equal(alone <= 0, inside)
        np.testing.assert_array_equal(found[inside, ix], alone[inside])


@COMPILED
@pytest.mark.parametrize("place", PLACES)
def test_both_ways_measure_the_same(place: tuple[float, float]) -> None:
    rng = np.random.default_rng(2)
    shapes = np.array(shapes_at(*place), object)
    lon, lat = fixes_about(list(shapes), rng)
    polygon_ix = rng.integers(0, len(shapes), len(lon))
    bits = np.full(len(shapes), 14)
    compiled, other = (
        Edges(shapes, shapely.bounds(shapes), bits, is_compiled).measure(polygon_ix, lon, lat)
        for is_compiled in (True, False)
    )
    np.testing.assert_array_equal(compiled <= 0, other <= 0)
    np.testing.assert_allclose(compiled, other, rtol=1e-6, atol=1e-3)


@pytest.mark.parametrize("is_compiled", [pytest.param(True, marks=COMPILED), False])
def test_an_edge_too_short_to_divide_by_is_as_good_as_none(is_compiled: bool) -> None:
    corners = [(0.0, 0.0), (0.1, 0.0), (0.1, 0.1), (0.0, 0.1)]
    shapes = np.array([Polygon(corners), Polygon([*corners, (0.0, 1e-183)])], object)
    edges = Edges(shapes, shapely.bounds(shapes), np.full(2, 14), is_compiled)
    fixes = [(0.0, 0.0), (0.05, 0.02), (-0.01, -0.01), (1e-183, 1e-184), (-1e-13, 0.0), (0.0, 0.05)]
    lon, lat = np.array(fixes).T
    without, with_it = (edges.measure(np.full(len(lon), ix, np.int32), lon, lat) for ix in (0, 1))
    np.testing.assert_array_equal(with_it, without)


@pytest.mark.parametrize("place", PLACES)
def test_one_position_gets_the_answer_of_many(place: tuple[float, float]) -> None:
    rng = np.random.default_rng(4)
    polygons = Polygons(shapes_at(*place))
    lon, lat = fixes_about(list(polygons.shapes), rng, 600)
    many = zip(*(column.tolist() for column in polygons.match(lon, lat)), strict=True)
    one_by_one = [
        (fix, *found)
        for fix, here in enumerate(zip(lon.tolist(), lat.tolist(), strict=True))
        for found in polygons.match_one(*here)
    ]
    assert sorted(many) == sorted(one_by_one)


@COMPILED
@pytest.mark.parametrize("place", PLACES)
def test_without_a_compiler_the_same_is_inside(
    place: tuple[float, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(5)
    shapes = shapes_at(*place)
    compiled = Polygons(shapes)
    monkeypatch.setattr(Edges.__init__, "__defaults__", (False,))
    other = Polygons(shapes)
    lon, lat = fixes_about(shapes, rng, 600)
    answers = []
    for polygons in (compiled, other):
        fix_ix, polygon_ix, edge_m = polygons.match(lon, lat)
        order = np.lexsort((polygon_ix, fix_ix))
        answers.append((fix_ix[order], polygon_ix[order], edge_m[order]))
    for ours, theirs in zip(*answers, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-6, atol=1e-3)


@COMPILED
def test_what_no_table_holds_is_refused() -> None:
    fast = Polygons(shapes_at(2.3, 48.8)).edges._fast
    here, out = (np.array([2.3]), np.array([48.8])), np.empty(1)
    for polygon_ix in (5, -1, 1 << 30):
        with pytest.raises(IndexError, match="no polygon"):
            fast.measure(np.array([polygon_ix], np.int32), *here, out)
    with pytest.raises(ValueError, match="different lengths"):
        fast.measure(np.zeros(2, np.int32), *here, out)
    with pytest.raises(ValueError, match="different lengths"):
        fast.match(here[0], np.empty(2))


@COMPILED
def test_a_grid_of_other_sizes_is_refused() -> None:
    shapes = np.array(shapes_at(2.3, 48.8), object)
    grid = Polygons(list(shapes)).grid
    fast = Edges(shapes, shapely.bounds(shapes), np.full(len(shapes), 14))._fast
    tables = grid.marks, grid.start, grid.items, grid.keys, grid.cell_ix
    levels = np.array([[0, 1, 15, 0, 14]])
    with pytest.raises(TypeError, match="after the cells"):
        fast.find_by(1.0, 2, levels, *tables)
    fast.keep(np.zeros(4, np.int32))
    with pytest.raises(ValueError, match="other places"):
        fast.find_by(1.0, 2, levels, *tables)
