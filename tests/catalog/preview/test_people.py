"""People in a reach, against the exact overlap of each cell with it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import shapely
from pyproj import Transformer

from geoengine.catalog import read
from geoengine.catalog.density.cells import Cells
from geoengine.catalog.density.kept import load
from geoengine.catalog.density.lattice import Hexagons
from geoengine.catalog.polygons import equal_radius_m
from geoengine.catalog.preview.people import people_in
from geoengine.catalog.preview.scene import circles, scene_of
from geoengine.core.space.cells import cells_around, cells_at
from tests.catalog.density.making import place
from tests.catalog.density.test_cells import block, grid
from tests.catalog.preview.scenes import star, streets

LAEA_OF = Transformer.from_crs("OGC:CRS84", "EPSG:3035", always_xy=True)
KEYS = block(2600, 4300, 40, 40)
PEOPLE = np.random.default_rng(6).lognormal(5, 1, len(KEYS)).astype(np.int32)
MIDDLE = place(2620, 4320)  # of those cells


def reaches(count: int, radius_m: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    draw = np.random.default_rng(7)
    lon_deg = MIDDLE[0] + draw.uniform(-0.1, 0.1, count)
    lat_deg = MIDDLE[1] + draw.uniform(-0.07, 0.07, count)
    stars = [star(*at, radius_m) for at in zip(lon_deg, lat_deg, strict=True)]
    return np.array(stars, object), lon_deg, lat_deg


def exactly(shape: shapely.Geometry) -> float:
    """By intersection of shapes, on a map that keeps areas."""
    flat = shapely.transform(shape, LAEA_OF.transform, interleaved=False)
    x, y = KEYS % 10_000 * 1e3, KEYS // 10_000 * 1e3
    common = shapely.area(shapely.intersection(shapely.box(x, y, x + 1e3, y + 1e3), flat)) / 1e6
    return float(common @ PEOPLE)


@pytest.mark.parametrize("radius_m", [300.0, 2_600.0])
def test_people_are_the_share_of_each_cell_in_the_reach(radius_m: float):
    shapes, lon_deg, lat_deg = reaches(150, radius_m)
    sizes_m = np.array([equal_radius_m(shape) for shape in shapes])
    found = people_in(shapes, lon_deg, lat_deg, sizes_m, [grid(KEYS, PEOPLE)])
    off = found / [exactly(shape) for shape in shapes] - 1
    print(f"{radius_m:.0f} m: off by {off.std():.1%}, at worst {np.abs(off).max():.1%}")
    assert abs(off.mean()) < 0.02
    assert off.std() < 0.05
    assert np.abs(off).max() < 0.3


def test_the_best_grid_that_counts_and_covers_is_asked():
    shapes, lon_deg, lat_deg = reaches(2, 300.0)
    sizes_m = np.full(2, 200.0)
    elsewhere = grid(block(3000, 3000, 5, 5), np.full(25, 7, np.int32))
    uncounted = grid(KEYS, None)
    crowded, empty = grid(KEYS, PEOPLE * 100), grid(KEYS, PEOPLE)
    found = people_in(shapes, lon_deg, lat_deg, sizes_m, [elsewhere, uncounted, crowded, empty])
    alone = people_in(shapes, lon_deg, lat_deg, sizes_m, [crowded])
    np.testing.assert_allclose(found, alone)


def test_where_no_grid_counts_nobody_knows():
    shapes, lon_deg, lat_deg = reaches(2, 300.0)
    for grids in (
        [],
        [grid(KEYS, None)],
        [grid(block(3000, 3000, 5, 5), np.full(25, 7, np.int32))],
    ):
        assert np.isnan(people_in(shapes, lon_deg, lat_deg, np.full(2, 200.0), grids)).all()
    assert len(people_in(shapes[:0], lon_deg[:0], lat_deg[:0], np.empty(0), [])) == 0


def test_hexagons_are_counted_on_both_sides_of_the_antimeridian():
    lon_deg, lat_deg, radius_m = np.array([180.01]), np.array([-16.8]), np.array([2_000.0])
    keys = cells_at(np.array([-179.99]), lat_deg, 7)
    for _ring in range(3):
        keys = np.unique(np.concatenate([keys, cells_around(keys).ravel()]))
    hexagons = Hexagons(7)
    people = (1_000 * hexagons.areas_km2(keys)).astype(np.int32)
    cells = Cells("h3", "test", hexagons, keys, people, np.ones(len(keys), np.int8))
    shapes = circles(lon_deg, lat_deg, radius_m)
    found = people_in(shapes, lon_deg, lat_deg, radius_m, [cells])
    assert found.tolist() == pytest.approx([1_000 * np.pi * 4], rel=0.01)


def test_a_catalogue_without_a_grid_counts_nobody(tmp_path: Path):
    reading = read(streets(tmp_path))
    assert np.isnan(scene_of(reading, grids=load(tmp_path / "data")).people).all()
