"""A degree for every outline: communes, each of one level."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from geoengine.catalog.density.grid import NOT_COVERED, Degrees, Found
from geoengine.catalog.density.packed import About, Parts
from geoengine.core.columns import Floats, Longs
from geoengine.core.units import DEGREE_M

# How far a kept corner may lie from where it was, degrees: 30 m or so. Coarser, and a shop at the
# edge of a commune gets its neighbour's level; finer, and France does not fit in 15 MB.
TOLERANCE_DEG = 0.0003
DEGREE_PARTS = 100_000  # of the kept corners: a metre

AREAS = (shapely.GeometryType.POLYGON, shapely.GeometryType.MULTIPOLYGON)

# A pier, or a shop that lies in the sea of a simplified coast, belongs to the nearest outline this
# near. Farther, and shops across a border would get a level of this side's.
NEAR_M = 250.0


@dataclass(frozen=True)
class Outlines:
    """Outlines, N of them, and their degrees."""

    kind: str
    label: str
    shapes: NDArray[np.object_] = field(repr=False)
    degree: Degrees

    def look_up(self, lon_deg: Floats, lat_deg: Floats) -> Found:
        """The degree at each position, shape (P,). People are not known."""
        points = shapely.points(lon_deg, lat_deg)
        degree = np.full(len(lon_deg), NOT_COVERED, np.int8)
        self._take(degree, *self._tree.query(points, predicate="intersects"))
        outside = np.flatnonzero(degree == NOT_COVERED)
        point_ix, shape_ix = self._nearest(points[outside])
        self._take(degree, outside[point_ix], shape_ix)
        return Found(degree, np.full(len(lon_deg), np.nan))

    def _take(self, degree: Degrees, point_ix: Longs, shape_ix: Longs) -> None:
        """On a common border, or where outlines overlap, the denser of the two holds."""
        order = np.argsort(-self.degree[shape_ix], kind="stable")
        degree[point_ix[order]] = self.degree[shape_ix[order]]

    def _nearest(self, points: NDArray[np.object_]) -> tuple[Longs, Longs]:
        """Points that lie outside every outline, and the one within `NEAR_M` of them."""
        shrink = np.maximum(np.cos(np.radians(shapely.get_y(points))), 0.01)
        limit_deg = NEAR_M / DEGREE_M / shrink.min(initial=1.0)
        point_ix, shape_ix = self._tree.query_nearest(points, max_distance=limit_deg)
        ways = shapely.get_coordinates(
            shapely.shortest_line(points[point_ix], self.shapes[shape_ix])
        ).reshape(-1, 2, 2)
        d_lon_deg, d_lat_deg = (ways[:, 1] - ways[:, 0]).T
        is_near = np.hypot(d_lon_deg * shrink[point_ix], d_lat_deg) * DEGREE_M <= NEAR_M
        return point_ix[is_near], shape_ix[is_near]

    @cached_property
    def _tree(self) -> shapely.STRtree:
        return shapely.STRtree(self.shapes)


def parts_of(shapes: NDArray[np.object_], degree: Degrees) -> Parts:
    """The columns to keep: corners on a grid of a metre, as steps from one to the next."""
    # Of mixed shapes a MultiPolygon each; so of polygons alone, too.
    mixed = np.append(_simplified(shapes), [shapely.MultiPolygon()])
    _type, corners, (rings, polygons, outlines) = shapely.to_ragged_array(mixed)
    outlines = outlines[:-1]
    whole = np.rint(corners * DEGREE_PARTS).astype(np.int32)
    lon, lat = np.diff(whole, axis=0, prepend=np.zeros((1, 2), np.int32)).T
    return {
        "lon": lon,
        "lat": lat,
        "rings": np.diff(rings).astype(np.int32),
        "polygons": np.diff(polygons).astype(np.int32),
        "outlines": np.diff(outlines).astype(np.int32),
        "degree": degree,
    }


def from_parts(about: About, parts: dict[str, Any]) -> Outlines:
    """The grid of kept columns."""
    corners = np.cumsum(np.stack([parts["lon"], parts["lat"]], axis=1), axis=0) / DEGREE_PARTS
    offsets = tuple(
        np.concatenate([[0], np.cumsum(parts[name])]) for name in ("rings", "polygons", "outlines")
    )
    shapes = shapely.from_ragged_array(shapely.GeometryType.MULTIPOLYGON, corners, offsets)
    if len(shapes) != len(parts["degree"]):
        raise ValueError("as many outlines as degrees")
    return Outlines(about.kind, about.label, shapes, parts["degree"])


def _simplified(shapes: NDArray[np.object_]) -> NDArray[np.object_]:
    """Fewer corners; a border between two outlines stays one. What would vanish stays whole."""
    whole = _areas(np.where(shapely.is_valid(shapes), shapes, shapely.make_valid(shapes)))
    coarse = shapely.coverage_simplify(whole, TOLERANCE_DEG)
    return _areas(np.where(shapely.is_empty(coarse) | ~shapely.is_valid(coarse), whole, coarse))


def _areas(shapes: NDArray[np.object_]) -> NDArray[np.object_]:
    """Shapes that are areas; of a collection, as mending leaves behind, the polygons in it."""
    for ix in np.flatnonzero(~np.isin(shapely.get_type_id(shapes), AREAS)).tolist():
        parts = shapely.get_parts(shapely.get_parts(shapes[ix]))
        polygons = parts[shapely.get_type_id(parts) == shapely.GeometryType.POLYGON]
        shapes[ix] = shapely.MultiPolygon(polygons)
    return shapes
