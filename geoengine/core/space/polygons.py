"""Polygons: fixes inside them, and distances to their edges.

A polygon is what its coordinates say: edges straight in longitude and latitude, the edge itself
belonging to it, membership decided by shapely's own predicate. Cells of the grid that lie wholly
inside need no predicate. Parts that meet at the antimeridian are joined there, so that the seam
between them is not taken for an edge.
"""

from __future__ import annotations

from typing import Any, Final, TypeAlias

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.geometry import MultiPolygon, Polygon

from geoengine.core.columns import Floats, Ints, Longs
from geoengine.core.space.geodesy import circle_bounds, degree_m, geodesic_m
from geoengine.core.space.grid import Grid
from geoengine.core.space.levels import fewer_levels, natural_bits
from geoengine.core.space.raster import cells_of_shape
from geoengine.core.space.tables import Part

Shape: TypeAlias = Polygon | MultiPolygon
_CELLS_ACROSS: Final = (
    8  # cells along a polygon's longer side: 64 or so, most of them inside or out
)
_OUTSIDE_MIN_M: Final = 1e-9  # a fix outside is never at distance 0, though rounding may say so

# Over so short a way the scale of longitude changes by less than the slack below 80 degrees.
_SCALE_HOLDS_M: Final = 50_000.0
_SCALE_SLACK: Final = 1.1


class Polygons:
    """Polygons by number, G of them; a polygon's number is its position in the list given."""

    def __init__(self, shapes: list[Shape]) -> None:
        self.shapes: NDArray[Any] = np.array([joined(shape) for shape in shapes] or [], object)
        self.bounds = shapely.bounds(self.shapes).reshape(len(shapes), 4)
        self._middle_deg = (self.bounds[:, 0] + self.bounds[:, 2]) / 2
        self._squeeze = _squeeze((self.bounds[:, 1] + self.bounds[:, 3]) / 2)
        self._edges = _squeezed_edges(self.shapes, self._squeeze)
        shapely.prepare(self.shapes)
        shapely.prepare(self._edges)
        self.grid = Grid(_parts(self.shapes, self.bounds), coarser=0)

    def __len__(self) -> int:
        return len(self.shapes)

    def match(self, lon_deg: Floats, lat_deg: Floats) -> tuple[Longs, Ints, Floats]:
        """All pairs of a position inside a polygon: position, polygon, ``edge_m``; unordered."""
        fix_ix, entry = self.grid.candidates(lon_deg, lat_deg)
        polygon_ix = self.grid.items.take(entry)
        # Prepared polygons are a few kilobytes each: asked in turn, they stay in the cache.
        order = np.argsort(polygon_ix, kind="stable")
        fix_ix, polygon_ix = fix_ix[order], polygon_ix[order]
        is_in = self.grid.is_inner[entry[order]]
        ask = np.flatnonzero(~is_in)
        is_in[ask] = self.holds(polygon_ix[ask], lon_deg[fix_ix[ask]], lat_deg[fix_ix[ask]])
        fix_ix, polygon_ix = fix_ix[is_in], polygon_ix[is_in]
        depth_m = self._distance_m(polygon_ix, lon_deg[fix_ix], lat_deg[fix_ix])
        return fix_ix, polygon_ix, -depth_m

    def match_one(self, lon_deg: float, lat_deg: float) -> list[tuple[int, float]]:
        """The polygons a position lies in, with ``edge_m``; unordered. Answers as `match` does."""
        grid = self.grid
        inside = [
            int(grid.items[entry])
            for entry in grid.entries_at(lon_deg, lat_deg)
            if grid.is_inner[entry] or self._holds_one(int(grid.items[entry]), lon_deg, lat_deg)
        ]
        if not inside:
            return []
        n = len(inside)
        depth_m = self._distance_m(
            np.array(inside, np.int32), np.full(n, lon_deg), np.full(n, lat_deg)
        )
        return [(ix, -depth) for ix, depth in zip(inside, depth_m.tolist(), strict=True)]

    def holds(self, polygon_ix: Ints | Longs, lon_deg: Floats, lat_deg: Floats) -> NDArray[Any]:
        """Whether each polygon holds the position beside it, the edge included; bool, (N,)."""
        lon_deg = self.beside(polygon_ix, lon_deg)
        inside: NDArray[Any] = shapely.intersects_xy(self.shapes[polygon_ix], lon_deg, lat_deg)
        return inside

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
        """Signed distance to the edge of paired polygons and positions, any distance away.

        Notes
        -----
        The nearest point is looked for in a plane with the polygon's own latitude for its scale,
        then measured on the ellipsoid: exact near the edge, too large by up to the change of
        scale between the two latitudes elsewhere (0.3 % over 10 km at 60 degrees).
        """
        distance_m = self._distance_m(polygon_ix, lon_deg, lat_deg)
        is_in = self.holds(polygon_ix, lon_deg, lat_deg)
        return np.where(is_in, -distance_m, np.maximum(distance_m, _OUTSIDE_MIN_M))

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
        middle_deg = self._middle_deg[polygon_ix]
        turned: Floats = lon_deg - 360.0 * np.rint((lon_deg - middle_deg) / 360.0)
        return turned

    def _distance_m(self, polygon_ix: Ints | Longs, lon_deg: Floats, lat_deg: Floats) -> Floats:
        if len(polygon_ix) == 0:
            return np.empty(0)
        squeeze = self._squeeze[polygon_ix]
        lon_deg = self.beside(polygon_ix, lon_deg)
        here = shapely.points(lon_deg * squeeze, lat_deg)
        lines = shapely.shortest_line(self._edges[polygon_ix], here)
        nearest = shapely.get_coordinates(lines)[::2]
        return geodesic_m(lon_deg, lat_deg, nearest[:, 0] / squeeze, nearest[:, 1])

    def _holds_one(self, polygon_ix: int, lon_deg: float, lat_deg: float) -> bool:
        turns = round((lon_deg - float(self._middle_deg[polygon_ix])) / 360.0)
        shape = self.shapes[polygon_ix]
        return bool(shapely.intersects_xy(shape, lon_deg - 360.0 * turns, lat_deg))


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


def _squeeze(lat_deg: Floats) -> Floats:
    """How much shorter a degree of longitude is than one of latitude, per polygon."""
    across, along = degree_m(lat_deg)
    return np.maximum(across / along, 1e-3)


def _squeezed_edges(shapes: NDArray[Any], squeeze: Floats) -> NDArray[Any]:
    edges = [
        shapely.transform(shape.boundary, lambda points, by=by: points * (by, 1.0))
        for shape, by in zip(shapes, squeeze.tolist(), strict=True)
    ]
    return np.array(edges or [], object)


def _parts(shapes: NDArray[Any], bounds: NDArray[np.float64]) -> list[Part]:
    extent = np.maximum(bounds[:, 2] - bounds[:, 0], bounds[:, 3] - bounds[:, 1])
    bits = fewer_levels(natural_bits(extent / _CELLS_ACROSS))
    parts = []
    for level_bits in np.unique(bits).tolist():
        members = np.flatnonzero(bits == level_bits)
        found = [cells_of_shape(shapes[ix], level_bits) for ix in members.tolist()]
        item = members.repeat([len(columns[0]) for columns in found])
        column, row, is_inner = (np.concatenate(columns) for columns in zip(*found, strict=True))
        marked = column.astype(np.int32), row.astype(np.int32)
        parts.append(Part(level_bits, members, *marked, item, column, row, is_inner))
    return parts
