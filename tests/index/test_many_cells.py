"""Many H3 cells at once, against the library one by one."""

from __future__ import annotations

import h3
import numpy as np

from geoengine.core.space.cells import (
    cell_areas_km2,
    cell_centres,
    cell_parents,
    cell_resolutions,
    cells_around,
    cells_at,
)

RNG = np.random.default_rng(8)
LON, LAT = RNG.uniform(-180, 180, 300), np.degrees(np.arcsin(RNG.uniform(-1, 1, 300)))
PENTAGON = np.array([h3.str_to_int(h3.get_pentagons(8)[0])])


def named(cells: np.ndarray) -> list[str]:
    return [h3.int_to_str(cell) for cell in cells.tolist()]


def test_cells_areas_and_centres_are_those_of_the_library():
    cells = cells_at(LON, LAT, 8)
    assert named(cells) == [h3.latlng_to_cell(a, o, 8) for o, a in zip(LON, LAT, strict=True)]
    assert cell_areas_km2(cells).tolist() == [h3.cell_area(cell) for cell in named(cells)]
    lon_deg, lat_deg = cell_centres(cells)
    centres = [h3.cell_to_latlng(cell) for cell in named(cells)]
    assert list(zip(lat_deg.tolist(), lon_deg.tolist(), strict=True)) == centres


def test_parents_are_those_of_the_library_down_to_the_same_resolution():
    cells = cells_at(LON, LAT, 9)
    for resolution in (0, 5, 8, 9):
        expected = [h3.cell_to_parent(cell, resolution) for cell in named(cells)]
        assert named(cell_parents(cells, resolution)) == expected


def test_neighbours_are_those_of_the_library_and_a_pentagon_has_five():
    cells = cells_at(LON[:20], LAT[:20], 8)
    for cell, around in zip(named(cells), cells_around(cells), strict=True):
        assert set(named(around)) == set(h3.grid_ring(cell, 1))
    assert (cells_around(PENTAGON) == -1).sum() == 1


def test_numbers_that_are_no_cells_are_told_from_cells():
    cells = np.concatenate([cells_at(LON[:20], LAT[:20], r) for r in range(16)])
    assert cell_resolutions(cells).tolist() == np.repeat(np.arange(16), 20).tolist()
    bits = 1 << np.arange(62, dtype=np.int64)
    spoilt = (cells[:, None] ^ bits).ravel()
    is_cell = [h3.is_valid_cell(cell) for cell in named(spoilt)]
    said = cell_resolutions(spoilt) >= 0
    assert (said | ~np.array(is_cell)).all()  # never refuses a cell
    assert (said == is_cell).mean() > 0.99  # a few that the library alone knows: deleted digits
    assert cell_resolutions(np.array([0, 1, -1])).tolist() == [-1, -1, -1]
