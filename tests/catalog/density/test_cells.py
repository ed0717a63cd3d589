"""Population by cell: the degree at a position, people within a kilometre, and where it is mute."""

from __future__ import annotations

import numpy as np
import pytest
import shapely
from pyproj import Transformer

from geoengine.catalog.density.cells import Cells
from geoengine.catalog.density.grid import NOT_COVERED, UNINHABITED, URBAN_CENTRE
from geoengine.catalog.density.lattice import Hexagons, Lattice, Squares
from geoengine.core.columns import Ints, Longs
from geoengine.core.space.cells import cells_around, cells_at
from tests.catalog.density.making import LAEA, key, place, told

DISC_KM2 = np.pi


def grid(keys: Longs, people: Ints | None, lattice: Lattice = LAEA) -> Cells:
    degree = np.full(len(keys), URBAN_CENTRE, np.int8)
    return Cells("eurostat", "Eurostat", lattice, keys, people, degree)


def block(north_km: int, east_km: int, high: int, wide: int) -> Longs:
    """The keys of a block of cells of Europe's grid, ascending."""
    return np.array([key(north_km + n, east_km + e) for n in range(high) for e in range(wide)])


def test_people_within_a_kilometre_are_the_share_of_each_cell_in_the_disc():
    rng = np.random.default_rng(6)
    keys = block(2600, 4300, 40, 40)
    people = rng.lognormal(5, 1, len(keys)).astype(np.int32)
    x, y = rng.uniform(4_302e3, 4_338e3, 500), rng.uniform(2_602e3, 2_638e3, 500)
    lon_deg, lat_deg = Transformer.from_crs("EPSG:3035", "OGC:CRS84", always_xy=True).transform(
        x, y
    )
    found = grid(keys, people).look_up(lon_deg, lat_deg).people
    off = found / exactly(keys, people, x, y) - 1
    assert abs(off.mean()) < 0.01
    assert off.std() < 0.05
    assert np.abs(off).max() < 0.30


def exactly(keys: Longs, people: Ints, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The same by intersection of shapes."""
    corner_x, corner_y = keys % LAEA.width * 1e3, keys // LAEA.width * 1e3
    tree = shapely.STRtree(shapely.box(corner_x, corner_y, corner_x + 1e3, corner_y + 1e3))
    discs = shapely.buffer(shapely.points(x, y), 1_000, quad_segs=64)
    disc_ix, cell_ix = tree.query(discs)
    area = shapely.area(shapely.intersection(discs[disc_ix], tree.geometries[cell_ix])) / 1e6
    return np.bincount(disc_ix, area * people[cell_ix], len(x))


@pytest.mark.parametrize(
    "lattice",
    [
        LAEA,
        Squares("ESRI:54009", -18_041_000.0, 9_000_000.0, 1e3, -1e3, 36_082, 18_000),
        Squares("EPSG:4326", -180.0, 90.0, 1 / 120, -1 / 120, 43_200, 21_600),
        Hexagons(8),
        Hexagons(7),
    ],
    ids=["laea", "mollweide", "degrees", "h3", "h3 coarse"],
)
@pytest.mark.parametrize("lon_deg,lat_deg", [(2.35, 48.85), (-8.6, 41.15), (24.9, 60.2)])
def test_an_even_thousand_a_km2_gives_3100_within_a_kilometre_in_every_lattice(
    lattice, lon_deg, lat_deg
):
    around = np.meshgrid(np.linspace(-0.1, 0.1, 90), np.linspace(-0.05, 0.05, 90))
    keys = np.unique(lattice.keys_at(lon_deg + around[0].ravel(), lat_deg + around[1].ravel()))
    people = np.rint(lattice.areas_km2(keys) * 1_000).astype(np.int32)
    degree, found = told(grid(keys, people, lattice), lon_deg, lat_deg)
    assert degree == URBAN_CENTRE
    assert found == pytest.approx(1_000 * DISC_KM2, rel=0.01)


def test_an_empty_cell_among_inhabited_ones_is_covered_and_uninhabited():
    keys = block(2600, 4300, 9, 9)
    keys = keys[keys != key(2604, 4304)]
    degree, people = told(grid(keys, np.full(len(keys), 500, np.int32)), *place(2604.5, 4304.5))
    assert degree == UNINHABITED
    assert 0 < people < 1_500


def test_a_place_across_the_border_of_a_national_file_is_not_covered():
    keys = block(2600, 4300, 20, 20)
    france = grid(keys, np.full(len(keys), 500, np.int32))
    degree, people = told(france, *place(2610.5, 4320.5))
    assert degree == NOT_COVERED
    assert np.isnan(people)


def test_an_island_far_from_all_cells_is_not_covered():
    france = grid(block(2600, 4300, 20, 20), np.full(400, 500, np.int32))
    assert told(france, *place(2700.5, 4500.5))[0] == NOT_COVERED
    assert told(france, 179.99, -16.5)[0] == NOT_COVERED


def test_a_grid_without_people_says_so():
    degree, people = told(grid(block(2600, 4300, 5, 5), None), *place(2602.5, 4302.5))
    assert degree == URBAN_CENTRE
    assert np.isnan(people)


def test_a_place_beside_the_antimeridian_counts_both_sides():
    middle = cells_at(np.array([179.999]), np.array([-16.8]), 8)
    keys = np.unique(np.concatenate([middle, cells_around(cells_around(middle).ravel()).ravel()]))
    areas = Hexagons(8).areas_km2(keys)
    fiji = grid(keys, np.rint(areas * 1_000).astype(np.int32), Hexagons(8))
    assert told(fiji, 179.999, -16.8)[1] == pytest.approx(1_000 * DISC_KM2, rel=0.01)
    assert told(fiji, -179.999, -16.8)[1] == pytest.approx(1_000 * DISC_KM2, rel=0.01)


def test_positions_are_answered_one_by_one_as_all_together():
    rng = np.random.default_rng(2)
    keys = block(2600, 4300, 30, 30)
    france = grid(keys, rng.integers(0, 5_000, len(keys)).astype(np.int32))
    west, south = place(2600, 4300)
    lon_deg = west + rng.uniform(-0.1, 0.5, 50)
    lat_deg = south + rng.uniform(-0.1, 0.4, 50)
    found = france.look_up(lon_deg, lat_deg)
    alone = [told(france, lon, lat) for lon, lat in zip(lon_deg, lat_deg, strict=True)]
    assert found.degree.tolist() == [degree for degree, _ in alone]
    np.testing.assert_allclose(found.people, [people for _, people in alone])


def test_no_position_is_no_answer():
    found = grid(block(2600, 4300, 5, 5), None).look_up(np.empty(0), np.empty(0))
    assert (len(found.degree), len(found.people)) == (0, 0)
