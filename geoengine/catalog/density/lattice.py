"""Cells in rows: squares of a projection, hexagons of H3. Where a position falls, who is next.

A cell is one int64, its *key*. Squares are numbered row by row, hexagons as H3 numbers them.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from msgspec import Struct
from pyproj import CRS, Transformer

from geoengine.core.columns import Floats, Longs
from geoengine.core.space import cells
from geoengine.core.units import DEGREE_M

NO_CELL = -1
Box = tuple[float, float, float, float]  # west, south, east, north, degrees

# Steps to the neighbours of a square, rows and columns; those that share an edge come first.
_STEPS = np.array([(-1, 0), (1, 0), (0, -1), (0, 1), (-1, -1), (-1, 1), (1, -1), (1, 1)])
SQUARE_EDGES = 4
HEXAGON_EDGES = 6
_FAMILY_RESOLUTION = 5  # 250 km2: a thousandth of the work for a box to look at


class Squares(Struct, frozen=True, tag="squares"):
    """Rectangles of one size in a coordinate system; row 0 and column 0 begin at (x, y)."""

    crs: str  # as pyproj reads it: EPSG:3035, ESRI:54009, WKT
    x: float
    y: float
    step_x: float  # in the unit of the coordinate system
    step_y: float  # negative where rows go south, as in a raster
    width: int
    height: int

    edges = SQUARE_EDGES

    def keys_at(self, lon_deg: Floats, lat_deg: Floats) -> Longs:
        """The cell of each position, shape (P,); `NO_CELL` beyond the outermost."""
        x, y = _onto(self.crs).transform(lon_deg, lat_deg)
        column = np.floor((np.asarray(x) - self.x) / self.step_x)
        row = np.floor((np.asarray(y) - self.y) / self.step_y)
        is_within = (column >= 0) & (column < self.width) & (row >= 0) & (row < self.height)
        keys = np.full(len(lon_deg), NO_CELL, np.int64)
        keys[is_within] = row[is_within] * self.width + column[is_within]
        return keys

    def neighbours(self, keys: Longs) -> Longs:
        """The eight around each cell, shape (N, 8), those across an edge first; or `NO_CELL`."""
        rows = keys[:, None] // self.width + _STEPS[:, 0]
        columns = keys[:, None] % self.width + _STEPS[:, 1]
        is_within = (rows >= 0) & (rows < self.height) & (columns >= 0) & (columns < self.width)
        return np.where(is_within, rows * self.width + columns, NO_CELL)

    def areas_km2(self, keys: Longs) -> Floats:
        """The area of each cell, shape (N,). In degrees a cell shrinks towards the poles."""
        size = abs(self.step_x * self.step_y)
        if not _crs(self.crs).is_geographic:
            return np.full(len(keys), size / 1e6)
        lat_deg = self.y + (keys // self.width + 0.5) * self.step_y
        shrink: Floats = np.maximum(np.cos(np.radians(lat_deg)), 0.01)
        return size * (DEGREE_M / 1000) ** 2 * shrink

    def box(self, keys: Longs) -> Box:
        """What the middles of the cells lie within."""
        x = self.x + (keys % self.width + 0.5) * self.step_x
        y = self.y + (keys // self.width + 0.5) * self.step_y
        return _box(*_onto(self.crs).transform(x, y, direction="INVERSE"))


class Hexagons(Struct, frozen=True, tag="hexagons"):
    """The cells of H3 at one resolution."""

    resolution: int

    edges = HEXAGON_EDGES

    def keys_at(self, lon_deg: Floats, lat_deg: Floats) -> Longs:
        """The cell of each position, shape (P,)."""
        return cells.cells_at(lon_deg, lat_deg, self.resolution)

    def neighbours(self, keys: Longs) -> Longs:
        """The six around each cell, shape (N, 6); a pentagon has five and one `NO_CELL`."""
        return cells.cells_around(keys)

    def areas_km2(self, keys: Longs) -> Floats:
        """The area of each cell, shape (N,); they differ by up to a half over the globe.

        A 49th of its grandparent's, which 49 share: off by 0.1 % at resolution 8, but for the
        twelve pentagons, which lie in the sea.
        """
        above = cells.cell_parents(keys, self.resolution - 2)
        once, back = np.unique(above, return_inverse=True)
        return cells.cell_areas_km2(once)[back] / 49

    def box(self, keys: Longs) -> Box:
        """What the middles of the cells lie within, to some 10 km: that of their families."""
        families = np.unique(cells.cell_parents(keys, min(self.resolution, _FAMILY_RESOLUTION)))
        return _box(*cells.cell_centres(families))


Lattice = Squares | Hexagons


def _box(lon_deg: Floats, lat_deg: Floats) -> Box:
    lon, lat = np.asarray(lon_deg)[np.isfinite(lon_deg)], np.asarray(lat_deg)[np.isfinite(lat_deg)]
    sides = (lon.min(), lat.min(), lon.max(), lat.max()) if len(lon) else (0.0, 0.0, 0.0, 0.0)
    west, south, east, north = (round(float(side), 3) for side in sides)
    return west, south, east, north


@lru_cache(maxsize=16)
def _onto(crs: str) -> Any:
    return Transformer.from_crs("OGC:CRS84", _crs(crs), always_xy=True)


@lru_cache(maxsize=16)
def _crs(crs: str) -> Any:
    return CRS.from_user_input(crs)
