"""H3 cells: names for places, for coverage, coarse positions and heat-maps.

The only file that speaks to h3, which wants latitude first. A zone *touches* a cell when it comes
within the cell's own radius of the cell's centre: never one cell too few; along the edge of a zone
up to a ring of cells too many. Coverage and look-up ask that one question, so they always agree.
"""

from __future__ import annotations

from collections import Counter
from typing import Final

import h3
import numpy as np
from h3.api import numpy_int as numbered

from geoengine.core.columns import Bools, Floats, Ints, Longs
from geoengine.core.space.boxes import Boxes
from geoengine.core.space.geodesy import circle_bounds, geodesic_m
from geoengine.core.space.shapes import Shapes

# Descendants of a cell stick out of it; measured, their corners lie within 1.06 of its radius of
# its centre. Too small a factor loses cells.
_FAMILY: Final = 1.25
_ROUNDING_M: Final = 0.01


class Cells:
    """Zones and the H3 cells they touch."""

    def __init__(self, shapes: Shapes, boxes: Boxes) -> None:
        self._shapes, self._boxes = shapes, boxes

    def zones_of(self, cell: str) -> Ints:
        """Zones that touch a cell, ascending; ValueError for what is no cell."""
        if not h3.is_valid_cell(cell):
            raise ValueError(f"not an H3 cell: {cell!r}")
        disc = np.array([_disc(cell)])
        west, south, east, north = circle_bounds(*disc.T)[0].tolist()
        near = self._boxes.touching(west, south, east, north)
        return near[self._shapes.touches(near, *disc.repeat(len(near), axis=0).T)]

    def of_zone(self, zone_ix: int, resolution: int) -> list[str]:
        """The cells that cover a zone, sorted; ValueError for a resolution outside 0 to 15.

        Notes
        -----
        From the 122 largest cells downwards: a cell too far away is dropped with its family, a
        cell deep inside is kept whole, any other is replaced by its children.
        """
        if not 0 <= resolution <= 15:
            raise ValueError(f"an H3 resolution is 0 to 15, not {resolution}")
        covering: list[str] = []
        asked = sorted(h3.get_res0_cells())
        for _ in range(resolution):
            is_deep, is_near = self._families(zone_ix, asked)
            covering += [cell for cell, keep in zip(asked, is_deep, strict=True) if keep]
            parents = [cell for cell, go in zip(asked, is_near & ~is_deep, strict=True) if go]
            asked = [child for cell in parents for child in h3.cell_to_children(cell)]
        if asked:
            is_near = self._shapes.touches(*self._paired(zone_ix, asked))
            covering += [cell for cell, keep in zip(asked, is_near, strict=True) if keep]
        return sorted(_compacted(covering))

    def _families(self, zone_ix: int, cells: list[str]) -> tuple[Bools, Bools]:
        if not cells:
            return np.empty(0, bool), np.empty(0, bool)
        zones, lon_deg, lat_deg, radius_m = self._paired(zone_ix, cells)
        family = (zones, lon_deg, lat_deg, radius_m * _FAMILY)
        return self._shapes.is_deep(*family), self._shapes.touches(*family)

    def _paired(self, zone_ix: int, cells: list[str]) -> tuple[Ints, Floats, Floats, Floats]:
        lon_deg, lat_deg, radius_m = np.array([_disc(cell) for cell in cells]).T
        return np.full(len(cells), zone_ix, np.int32), lon_deg, lat_deg, radius_m


def _compacted(cells: list[str]) -> list[str]:
    """The same cover with whole families as their parent; h3's own takes one resolution only."""
    by_resolution: dict[int, set[str]] = {}
    for cell in cells:
        by_resolution.setdefault(h3.get_resolution(cell), set()).add(cell)
    for resolution in range(max(by_resolution, default=0), 0, -1):
        members = by_resolution.get(resolution, set())
        families = Counter(h3.cell_to_parent(cell) for cell in members)
        for parent, size in families.items():
            if size == h3.cell_to_children_size(parent, resolution):
                members.difference_update(h3.cell_to_children(parent))
                by_resolution.setdefault(resolution - 1, set()).add(parent)
    return [cell for members in by_resolution.values() for cell in members]


def cell_at(lon_deg: float, lat_deg: float, resolution: int) -> str:
    """The cell of a position."""
    cell: str = h3.latlng_to_cell(lat_deg, lon_deg, resolution)
    return cell


# --- many cells at once: each an int64, as H3 numbers them ---------------------------------------

# The parts of a cell's number (h3geo.org, "Index bit layout"): from bit 63 one bit of 0, four of
# mode, which is 1, three of 0; from bit 52 four of resolution, from 45 seven of base cell, then 15
# digits of three bits, 7 where there is none.
_MODE_BIT, _RESOLUTION_BIT, _BASE_BIT = 56, 52, 45
_CELL_MODE: Final = 0b0_0001_000
_BASE_CELLS: Final = 122
_FINEST: Final = 15
_NO_DIGIT: Final = 7


def cells_at(lon_deg: Floats, lat_deg: Floats, resolution: int) -> Longs:
    """The cell of each position, shape (P,). About 1 microsecond each."""
    pairs = zip(lat_deg.tolist(), lon_deg.tolist(), strict=True)
    found = (numbered.latlng_to_cell(lat, lon, resolution) for lat, lon in pairs)
    return np.fromiter(found, np.int64, len(lon_deg))


def cells_around(cells: Longs) -> Longs:
    """The six neighbours of each cell, shape (N, 6); -1 for the sixth of a pentagon.

    About 10 microseconds each.
    """
    around = np.full((len(cells), 6), -1, np.int64)
    for row, cell in zip(around, cells.tolist(), strict=True):
        disc = numbered.grid_disk(cell, 1).astype(np.int64)
        row[: len(disc) - 1] = disc[disc != cell]
    return around


def cell_areas_km2(cells: Longs) -> Floats:
    """The area of each cell on the sphere, shape (N,). About 6 microseconds each."""
    return np.fromiter((numbered.cell_area(cell) for cell in cells.tolist()), float, len(cells))


def cell_centres(cells: Longs) -> tuple[Floats, Floats]:
    """Longitude and latitude of the middle of each cell, shape (N,)."""
    centres = np.array([numbered.cell_to_latlng(cell) for cell in cells.tolist()]).reshape(-1, 2)
    return centres[:, 1], centres[:, 0]


def cell_parents(cells: Longs, resolution: int) -> Longs:
    """The cell of a coarser resolution, or of the same, that each cell belongs to; shape (N,)."""
    digit_bits = 3 * (_FINEST - resolution)
    cleared = cells & ~np.int64(0xF << _RESOLUTION_BIT)
    return cleared | np.int64(resolution << _RESOLUTION_BIT) | np.int64((1 << digit_bits) - 1)


def cell_resolutions(cells: Longs) -> Ints:
    """The resolution of each number, shape (N,); -1 for what is no cell."""
    resolution = (cells >> _RESOLUTION_BIT) & 0xF
    base = (cells >> _BASE_BIT) & 0x7F
    is_cell = (cells >> _MODE_BIT == _CELL_MODE) & (base < _BASE_CELLS)
    for digit in range(1, _FINEST + 1):
        is_empty = ((cells >> (3 * (_FINEST - digit))) & 7) == _NO_DIGIT
        is_cell &= is_empty == (digit > resolution)
    return np.where(is_cell, resolution, -1).astype(np.int32)


def _disc(cell: str) -> tuple[float, float, float]:
    """Centre of a cell, longitude and latitude, and the distance to its farthest corner, metres."""
    lat, lon = h3.cell_to_latlng(cell)
    corners = np.array(h3.cell_to_boundary(cell))
    n = len(corners)
    to_corner = geodesic_m(np.full(n, lon), np.full(n, lat), corners[:, 1], corners[:, 0])
    return lon, lat, float(to_corner.max()) + _ROUNDING_M
