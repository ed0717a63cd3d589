"""The other structures, R-tree and H3, give the answers of the exact grid."""

import h3
import numpy as np
import pytest
from shapely.geometry import MultiPolygon, box

from geoengine.core.index import ZoneIndex
from tests.index.oracle import Circle, Shape, geodesic_edge_m, star, zones_of
from tests.index.test_circles import WORLDS, fixes_near, random_circles

FIJI = MultiPolygon([box(179.9, -17.2, 180.0, -17.0), box(-180.0, -17.2, -179.9, -17.0)])


def by_tree(index: ZoneIndex, lon: float, lat: float) -> list[int]:
    near = index.in_box(lon, lat, lon, lat)
    edge_m = index.edge_m(near, np.full(len(near), lon), np.full(len(near), lat))
    return near[edge_m <= 0].tolist()


@pytest.mark.parametrize("world", WORLDS)
def test_the_tree_and_the_cells_give_the_grids_membership(world: str) -> None:
    rng = np.random.default_rng(WORLDS.index(world))
    circles = random_circles(world, rng)
    index = ZoneIndex(zones_of(list(circles)))
    lon, lat = fixes_near(circles, rng, 60)
    for x, y in zip(lon.tolist(), lat.tolist(), strict=True):
        truth = [zone for zone, _ in index.match_one(x, y)]
        assert by_tree(index, x, y) == truth
        for resolution in (4, 9):
            named = index.zones_of_cell(h3.latlng_to_cell(y, x, resolution))
            assert named.tolist() == sorted(named.tolist())
            edge_m = index.edge_m(named, np.full(len(named), x), np.full(len(named), y))
            assert named[edge_m <= 0].tolist() == truth


def covered(cells: list[str], cell: str) -> bool:
    return any(h3.cell_to_parent(cell, res) in cells for res in range(h3.get_resolution(cell) + 1))


@pytest.mark.parametrize(
    ("shape", "resolution"),
    [
        ((2.35, 48.85, 400.0), 10),
        ((2.35, 48.85, 4_000.0), 8),
        ((180.0, -17.0, 3_000.0), 8),
        ((40.0, 89.9, 30_000.0), 6),
        ((0.0, 60.0, 200_000.0), 5),
        ((0.0, 60.0, 10.0), 7),
        (star(np.random.default_rng(1), 2.35, 48.85, 0.03), 9),
        (FIJI, 7),
    ],
)
def test_a_cover_misses_no_place_of_its_zone(shape: Circle | Shape, resolution: int) -> None:
    index = ZoneIndex(zones_of([shape]))
    cells = index.cells(0, resolution)
    assert sorted(h3.compact_cells(h3.uncompact_cells(cells, resolution))) == cells
    names = set(cells)
    rng = np.random.default_rng(2)
    west, south, east, north = index.bounds[0].tolist()
    lon, lat = rng.uniform(west, east, 800), rng.uniform(south, north, 800)
    lon = (lon + 180) % 360 - 180
    inside = index.match(lon, lat).fix_ix.tolist()
    assert len(inside) > 100
    for fix in inside:
        assert covered(names, h3.latlng_to_cell(lat[fix], lon[fix], resolution))


def test_a_cover_is_of_the_zones_size() -> None:
    index = ZoneIndex(zones_of([(2.35, 48.85, 4_000.0)]))
    area = sum(h3.cell_area(cell, "m^2") for cell in index.cells(0, 9))
    assert np.pi * 4_000**2 < area < 1.25 * np.pi * 4_000**2


def test_cover_and_look_up_agree_on_every_cell() -> None:
    rng = np.random.default_rng(4)
    shapes = [(2.35 + rng.normal(0, 0.02), 48.85 + rng.normal(0, 0.02), 700.0) for _ in range(6)]
    shapes += [star(rng, 2.35, 48.85, 0.02), box(2.3, 48.8, 2.34, 48.83)]
    index = ZoneIndex(zones_of(shapes))
    around = h3.grid_disk(h3.latlng_to_cell(48.85, 2.35, 9), 14)
    covers = [set(h3.uncompact_cells(index.cells(ix, 9), 9)) for ix in range(len(shapes))]
    for cell in around:
        assert index.zones_of_cell(cell).tolist() == [
            ix for ix, cover in enumerate(covers) if cell in cover
        ]


def test_what_is_no_cell_and_no_resolution_is_refused() -> None:
    index = ZoneIndex(zones_of([(2.35, 48.85, 400.0)]))
    with pytest.raises(ValueError, match="not an H3 cell"):
        index.zones_of_cell("paris")
    with pytest.raises(ValueError, match="resolution"):
        index.cells(0, 16)


@pytest.mark.parametrize("world", WORLDS)
def test_the_nearest_zones_are_those_of_the_geodesic(world: str) -> None:
    rng = np.random.default_rng(WORLDS.index(world))
    circles = random_circles(world, rng)
    zones = zones_of(list(circles))
    index = ZoneIndex(zones)
    lon, lat = fixes_near(circles, rng, 20)
    truth = geodesic_edge_m(zones, lon, lat)
    for fix, (x, y) in enumerate(zip(lon.tolist(), lat.tolist(), strict=True)):
        for limit in (1, 5, 1_000):
            found = index.nearest(x, y, limit)
            expected = np.sort(truth[fix])[:limit]
            assert [edge_m for _, edge_m in found] == pytest.approx(expected.tolist(), abs=1e-3)
            assert len({zone for zone, _ in found}) == len(expected)


def test_a_box_over_the_antimeridian_finds_zones_on_both_sides() -> None:
    index = ZoneIndex(
        zones_of([(179.9, 0.0, 500.0), (-179.9, 0.0, 500.0), (0.0, 0.0, 500.0), FIJI])
    )
    assert index.in_box(179.0, -1.0, -179.0, 1.0).tolist() == [0, 1]
    assert index.in_box(-1.0, -1.0, 1.0, 1.0).tolist() == [2]
    assert index.in_box(-179.95, -18.0, -179.0, -17.0).tolist() == [3]
    assert index.in_box(-180.0, -90.0, 180.0, 90.0).tolist() == [0, 1, 2, 3]
