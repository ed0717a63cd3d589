"""Polygons: fixes inside them, and distances to their edges.

A polygon is what its coordinates say: edges straight in longitude and latitude, the edge itself
belonging to it, as shapely's own predicate has it. Cells of the grid that lie wholly inside need
no predicate; how deep inside a fix is, `edges` knows. Parts that meet at the antimeridian are
joined there, so that the seam between them is not taken for an edge.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, TypeAlias

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.geometry import MultiPolygon, Polygon

from geoengine.core.columns import Floats, Ints, Longs
from geoengine.core.space.edges import Edges, Pairs
from geoengine.core.space.geodesy import circle_bounds
from geoengine.core.space.grid import Grid
from geoengine.core.space.kept import NOTHING, Arrays, named, named_of
from geoengine.core.space.levels import fewer_levels, natural_bits
from geoengine.core.space.tables import Part, Tables

Shape: TypeAlias = Polygon | MultiPolygon
_CELLS_ACROSS: Final = 32  # along the longer side: in few of them many edges are looked through
_MARKS_COARSER: Final = 2  # bits: a mark for up to 16 cells; more, and many fixes ask in vain

# Over so short a way the scale of longitude changes by less than the slack below 80 degrees.
_SCALE_HOLDS_M: Final = 50_000.0
_SCALE_SLACK: Final = 1.1


class Polygons:
    """Polygons by number, G of them; a polygon's number is its position in the list given.

    ``kept`` are the `arrays` of polygons of the same shapes; a ValueError if of so many others.
    """

    def __init__(self, shapes: Sequence[Shape], kept: Arrays = NOTHING) -> None:
        self.shapes = all_joined(shapes)
        self.bounds = shapely.bounds(self.shapes).reshape(len(shapes), 4)
        bits = _levels_of(self.bounds)
        self.edges = Edges(self.shapes, self.bounds, bits, kept=named_of("edges", kept))
        of_grid = named_of("grid", kept)
        tables = Tables.of_arrays(of_grid) if of_grid else Tables.of(_parts(self.edges, bits))
        if tables.item_count != len(shapes):
            raise ValueError(f"tables of other polygons than these {len(shapes)}")
        self.grid = Grid(tables, coarser=0, marks_coarser=_MARKS_COARSER)
        self.edges.find_by(self.grid)

    def __len__(self) -> int:
        return len(self.shapes)

    @property
    def arrays(self) -> dict[str, NDArray[Any]]:
        """What took long to make, to be kept."""
        return named("edges", self.edges.arrays) | named("grid", self.grid.tables.arrays)

    def match(self, lon_deg: Floats, lat_deg: Floats) -> Pairs:
        """All pairs of a position inside a polygon: position, polygon, ``edge_m``; unordered."""
        return self.edges.match(lon_deg, lat_deg)

    def match_one(self, lon_deg: float, lat_deg: float) -> list[tuple[int, float]]:
        """The polygons a position lies in, with ``edge_m``; unordered. Answers as `match` does."""
        return self.edges.match_one(lon_deg, lat_deg)

    def holds(self, polygon_ix: Ints | Longs, lon_deg: Floats, lat_deg: Floats) -> NDArray[Any]:
        """Whether each polygon holds the position beside it, the edge included; bool, (N,)."""
        return self.edges.holds(polygon_ix, lon_deg, lat_deg)

    def near_box(self, polygon_ix: list[int], box: tuple[float, float, float, float]) -> list[int]:
        """Those of some polygons whose box touches this one, on whatever turn of the globe."""
        if not polygon_ix:
            return []
        west, south, east, north = self.bounds[polygon_ix].T
        turn = 360.0 * np.rint(((west + east) / 2 - (box[0] + box[2]) / 2) / 360.0)
        is_near = (west <= box[2] + turn) & (east >= box[0] + turn)
        is_near &= (south <= box[3]) & (north >= box[1])
        return [ix for ix, near in zip(polygon_ix, is_near.tolist(), strict=True) if near]

    def edge_m(self, polygon_ix: Ints | Longs, lon_deg: Floats, lat_deg: Floats) -> Floats:
        """Signed distance to the edge of paired polygons and positions, any distance away."""
        return self.edges.measure(polygon_ix, lon_deg, lat_deg)

    def touches(
        self, polygon_ix: Ints | Longs, lon_deg: Floats, lat_deg: Floats, radius_m: Floats
    ) -> NDArray[Any]:
        """Whether each polygon touches the disc beside it: never no by mistake, at times yes."""
        beside_deg = self.beside(polygon_ix, lon_deg)
        west, south, east, north = circle_bounds(beside_deg, lat_deg, radius_m).T
        is_near: NDArray[Any] = shapely.intersects(
            self.shapes[polygon_ix], shapely.box(west, south, east, north)
        )
        ask = np.flatnonzero(is_near & (radius_m <= _SCALE_HOLDS_M))
        edge_m = self.edge_m(polygon_ix[ask], lon_deg[ask], lat_deg[ask])
        is_near[ask] = edge_m <= radius_m[ask] * _SCALE_SLACK
        return is_near

    def is_deep(
        self, polygon_ix: Ints | Longs, lon_deg: Floats, lat_deg: Floats, radius_m: Floats
    ) -> NDArray[Any]:
        """Whether each polygon surely holds the disc beside it, whole."""
        edge_m = self.edge_m(polygon_ix, lon_deg, lat_deg)
        return (radius_m <= _SCALE_HOLDS_M) & (edge_m <= -radius_m * _SCALE_SLACK)

    def beside(self, polygon_ix: Ints | Longs, lon_deg: Floats) -> Floats:
        """Longitudes on the turn of the globe that the polygon's own coordinates are on."""
        return self.edges.beside(polygon_ix, lon_deg)


def all_joined(shapes: Sequence[Shape]) -> NDArray[Any]:
    """The shapes, each in one piece over the antimeridian, see `joined`; object, shape (G,)."""
    found = np.empty(len(shapes), object)
    found[:] = shapes
    west, _, east, _ = shapely.bounds(found).reshape(len(shapes), 4).T
    for ix in np.flatnonzero((west <= -180) & (east >= 180)).tolist():
        found[ix] = joined(found[ix])
    return found


def joined(shape: Shape) -> Shape:
    """The shape in one piece over the antimeridian, where parts of it meet there from both sides.

    The western parts move up by 360 degrees: the result's longitudes may pass 180.
    """
    west, _, east, _ = shape.bounds
    if not isinstance(shape, MultiPolygon) or west > -180 or east < 180:
        return shape
    parts = list(shape.geoms)
    if any(part.bounds[2] - part.bounds[0] > 180 for part in parts):
        return shape  # around the globe: there is no gap to cut it at
    moved = [part if _middle(part) >= 0 else _moved(part) for part in parts]
    union: Shape = shapely.union_all(moved)
    return union


def _middle(part: Polygon) -> float:
    return float(part.bounds[0] + part.bounds[2]) / 2


def _moved(part: Polygon) -> Polygon:
    moved: Polygon = shapely.transform(part, lambda points: points + np.array([360.0, 0.0]))
    return moved


def _levels_of(bounds: NDArray[np.float64]) -> Longs:
    extent = np.maximum(bounds[:, 2] - bounds[:, 0], bounds[:, 3] - bounds[:, 1])
    return fewer_levels(natural_bits(extent / _CELLS_ACROSS))


def _parts(edges: Edges, bits: Longs) -> list[Part]:
    parts = []
    for level_bits in np.unique(bits).tolist():
        members = np.flatnonzero(bits == level_bits)
        item, column, row, is_inner, cell_ix = edges.cells_of(members, level_bits)
        marked = _marked(column, row)
        parts.append(Part(level_bits, members, *marked, item, column, row, is_inner, cell_ix))
    return parts


def _marked(column: Longs, row: Longs) -> tuple[Ints, Ints]:
    """Columns and rows of the marks of these cells, each once."""
    packed = (row >> _MARKS_COARSER) << 32
    packed |= column >> _MARKS_COARSER
    # Neighbours in a row are next to each other: most repetitions need no sorting.
    packed = np.unique(packed[np.diff(packed, prepend=-1) != 0])
    return (packed & 0xFFFFFFFF).astype(np.int32), (packed >> 32).astype(np.int32)
