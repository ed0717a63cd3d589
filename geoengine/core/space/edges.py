"""The edges of polygons, and how far positions are from them.

Two ways of one meaning. The compiled one (`_edges.c`) looks through small boxes of eight edges each
and leaves to the other what rounding could decide: positions on an edge to a micrometre, beyond 80
degrees of latitude, deeper or farther than 15 km. The other one is shapely's predicate, its nearest
point, and the geodesic; without a C compiler it does all.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, TypeAlias

import numpy as np
import shapely
from numpy.typing import NDArray

from geoengine.core.columns import Bools, Floats, Ints, Longs
from geoengine.core.space.geodesy import degree_m, geodesic_m
from geoengine.core.space.grid import Grid
from geoengine.core.space.kept import NOTHING, Arrays
from geoengine.core.space.levels import with_seam
from geoengine.core.space.raster import boxes_of, cells_of_shape
from geoengine.core.space.tables import Level

try:
    from geoengine.core.space import _edges
except ImportError:  # built without a compiler
    IS_COMPILED = False
else:
    IS_COMPILED = True

CellsOf: TypeAlias = tuple[Longs, Longs, Longs, Bools, Ints]
Pairs: TypeAlias = tuple[Longs, Ints, Floats]  # position, polygon, ``edge_m``
_INNER: Final = 2  # a kind of cell in `_edges.c`
# Only polygons narrower than this, away from the poles, are on one turn of the globe for sure.
_PLAIN_DEG, _PLAIN_LAT_DEG = 180.0, 80.0
_LEAF, _FAN = 7, 8  # edges in a leaf, leaves in a branch: `_edges.c` counts on them
_LINES_BYTES: Final = 128  # of a leaf's eight points
_LEAVES_AT_ONCE: Final = 1 << 15  # while their boxes are made, so that they stay in the cache
_TABLES: Final = (  # what `_edges.Edges` is made of, in its order
    "leaves",
    "leaf_boxes",
    "branch_boxes",
    "first_leaf",
    "first_branch",
    "planes",
)
_CELLS: Final = "cells"
_NO_CELLS: Final = np.empty(0, np.int32)
_CELLS_END_MAX: Final = 2**31 - 1  # some 8.6 GB of them
_PARABOLA_DEG: Final = 0.1  # as in `_edges.c`
_NO_LENGTH_DEG: Final = 1e-140  # the square of a length must not be too small for a number
_OUTSIDE_MIN_M: Final = 1e-9  # a fix outside is never at distance 0, though rounding may say so


class Edges:
    """The edges of G polygons, and which side of them is inside.

    A polygon of N corners takes 21 N bytes beside shapely's own (16 N): its points once more, and
    boxes around each seven edges of them; and what is kept of its cells, see `Cells`.
    """

    def __init__(
        self,
        shapes: NDArray[Any],
        bounds: NDArray[np.float64],
        bits: Longs,
        is_compiled: bool = IS_COMPILED,
        *,
        kept: Arrays = NOTHING,
    ) -> None:
        self._is_compiled = is_compiled
        self.shapes, self.bounds = shapes, bounds
        self._middle_deg = (bounds[:, 0] + bounds[:, 2]) / 2
        self._squeeze = _squeeze((bounds[:, 1] + bounds[:, 3]) / 2)
        self._lines = np.full(len(shapes), None, object)  # made when first asked for
        self._cells = Cells()
        self._tables: tuple[NDArray[Any], ...] = ()
        shapely.prepare(shapes)
        if self._is_compiled and kept:
            self._tables = tuple(kept[name] for name in _TABLES)
            self._cells = Cells(kept[_CELLS])
        elif self._is_compiled:
            turned = np.stack([self._squeeze, self._middle_deg, 2.0**bits / 360], axis=1)
            planes = np.concatenate([turned, _parabolas((bounds[:, 1] + bounds[:, 3]) / 2)], axis=1)
            self._tables = (*tables_of(shapes), planes)
        if self._is_compiled:
            self._fast = _edges.Edges(*self._tables)

    @property
    def arrays(self) -> dict[str, NDArray[Any]]:
        """What edges of the same shapes are made again of, once cells are kept."""
        flat = (table.reshape(-1) for table in self._tables)
        return dict(zip((*_TABLES, _CELLS), flat, strict=True)) if self._is_compiled else {}

    @property
    def nbytes(self) -> int:
        """Bytes held in tables; shapely's own are not counted."""
        return sum(table.nbytes for table in self._tables)

    def cells_of(self, polygon_ix: Longs, bits: int) -> CellsOf:
        """The cells of a level that polygons touch; (E,) each.

        Polygon, column, row, whether the cell lies wholly inside, and the number under which the
        edges that are nearest somewhere in it are known; -1 for none.
        """
        west, south, east, north = self.bounds[polygon_ix].T
        is_plain = (east - west < _PLAIN_DEG) & (np.maximum(-south, north) < _PLAIN_LAT_DEG)
        is_plain &= self._is_compiled
        found = [self._cells_of_shape(ix, bits) for ix in polygon_ix[~is_plain].tolist()]
        if is_plain.any():
            found.append(self._cells_of_plain(polygon_ix[is_plain], bits))
        item, column, row, is_inner, cell_ix = map(np.concatenate, zip(*found, strict=True))
        return item, column, row, is_inner, cell_ix

    def _cells_of_shape(self, ix: int, bits: int) -> CellsOf:
        column, row, is_inner = cells_of_shape(self.shapes[ix], bits)
        return np.full(len(row), ix), column, row, is_inner, np.full(len(row), -1, np.int32)

    def _cells_of_plain(self, polygon_ix: Longs, bits: int) -> CellsOf:
        boxes = boxes_of(self.bounds[polygon_ix], 2**bits / 360)
        boxes[:, 2:] -= boxes[:, :2] - 1  # columns and rows, and how many of each
        rows = zip(polygon_ix.tolist(), *boxes.T.tolist(), strict=True)
        columns, downs, *kept = zip(*(self._fast.cells(*row) for row in rows), strict=True)
        numbers, is_inner = self._cells.add(*kept)
        item = polygon_ix.repeat([len(one) // 4 for one in columns])
        column, row = (_joined_ints(pieces).astype(np.int64) for pieces in (columns, downs))
        # Less than half around the globe none can meet itself: each cell is there once.
        nth, column, row = with_seam(
            np.arange(len(row)), column & (2**bits - 1), np.maximum(row, 0), bits
        )
        return item[nth], column, row, is_inner[nth], numbers[nth]

    def find_by(self, grid: Grid) -> None:
        """Have done with `cells_of`; from now on `match` knows where polygons are."""
        self._grid = grid
        if self._is_compiled:
            kept = self._cells.table()
            self._tables += (kept,)
            self._fast.keep(kept)
            tables = grid.marks, grid.start, grid.items, grid.keys, grid.cell_ix
            self._fast.find_by(grid.per_deg, grid.marks_coarser, _level_table(grid.levels), *tables)
        self._cells = Cells()

    def match(self, lon_deg: Floats, lat_deg: Floats) -> Pairs:
        """All pairs of a position inside a polygon: position, polygon, ``edge_m``; unordered."""
        if not self._is_compiled:
            return self._match_slowly(*self._grid.candidates(lon_deg, lat_deg), lon_deg, lat_deg)
        lon_deg = np.ascontiguousarray(lon_deg, np.float64)
        lat_deg = np.ascontiguousarray(lat_deg, np.float64)
        fixes, polygons, edges, fixes_unsure, unsure = self._fast.match(lon_deg, lat_deg)
        fix_ix, polygon_ix = np.frombuffer(fixes, np.int64), np.frombuffer(polygons, np.int32)
        edge_m = np.frombuffer(edges)
        if not unsure:
            return fix_ix, polygon_ix, edge_m
        ask = np.frombuffer(fixes_unsure, np.int64), np.frombuffer(unsure, np.int32)
        also = self._match_slowly(*ask, lon_deg, lat_deg)
        return (
            np.concatenate([fix_ix, also[0]]),
            np.concatenate([polygon_ix, also[1]]),
            np.concatenate([edge_m, also[2]]),
        )

    def match_one(self, lon_deg: float, lat_deg: float) -> list[tuple[int, float]]:
        """The polygons a position lies in, with ``edge_m``; unordered. Answers as `match` does."""
        if self._is_compiled:
            found = self._fast.match_one(lon_deg, lat_deg)
            if found is not None:
                return found
        elif not self._grid.entries_at(lon_deg, lat_deg):
            return []
        _, polygon_ix, edge_m = self.match(np.array([lon_deg]), np.array([lat_deg]))
        return list(zip(polygon_ix.tolist(), edge_m.tolist(), strict=True))

    def _match_slowly(
        self, fix_ix: Longs, entry: Longs | Ints, lon_deg: Floats, lat_deg: Floats
    ) -> Pairs:
        """Those pairs of a position and an entry of the grid where the one is inside the other."""
        polygon_ix, is_inner = self._grid.items.take(entry), self._grid.is_inner.take(entry)
        places = lon_deg.take(fix_ix), lat_deg.take(fix_ix)
        edge_m = self._slow(polygon_ix, *places, is_inner, is_inside_only=True)
        inside = (edge_m <= 0.0).nonzero()[0]
        return fix_ix.take(inside), polygon_ix.take(inside), edge_m.take(inside)

    def measure(self, polygon_ix: Ints | Longs, lon_deg: Floats, lat_deg: Floats) -> Floats:
        """Signed distance of paired polygons and positions to the edge, metres; all shape (N,).

        Notes
        -----
        The nearest point is looked for in a plane with the polygon's own latitude for its scale,
        then measured on the ellipsoid: exact near the edge, too large by up to the change of
        scale between the two latitudes elsewhere (0.3 % over 10 km at 60 degrees).
        """
        no = np.zeros(len(polygon_ix), bool)
        if not self._is_compiled:
            return self._slow(polygon_ix, lon_deg, lat_deg, no, is_inside_only=False)
        edge_m = np.empty(len(polygon_ix))
        here = np.ascontiguousarray(lon_deg), np.ascontiguousarray(lat_deg)
        self._fast.measure(np.ascontiguousarray(polygon_ix, np.int32), *here, edge_m)
        ask = np.isnan(edge_m).nonzero()[0]
        if len(ask):
            unsure = polygon_ix[ask], lon_deg[ask], lat_deg[ask], no[ask]
            edge_m[ask] = self._slow(*unsure, is_inside_only=False)
        return edge_m

    def holds(self, polygon_ix: Ints | Longs, lon_deg: Floats, lat_deg: Floats) -> NDArray[Any]:
        """Whether each polygon holds the position beside it, the edge included; bool, (N,)."""
        lon_deg = self.beside(polygon_ix, lon_deg)
        inside: NDArray[Any] = shapely.intersects_xy(self.shapes[polygon_ix], lon_deg, lat_deg)
        return inside

    def beside(self, polygon_ix: Ints | Longs, lon_deg: Floats) -> Floats:
        """Longitudes on the turn of the globe that the polygon's own coordinates are on."""
        middle_deg = self._middle_deg[polygon_ix]
        turned: Floats = lon_deg - 360.0 * np.rint((lon_deg - middle_deg) / 360.0)
        return turned

    def _slow(
        self,
        polygon_ix: Ints | Longs,
        lon_deg: Floats,
        lat_deg: Floats,
        is_inner: Bools,
        is_inside_only: bool,
    ) -> Floats:
        # Prepared polygons are a few kilobytes each: asked in turn, they stay in the cache.
        order = np.argsort(polygon_ix, kind="stable")
        ix, lon, lat, is_in = polygon_ix[order], lon_deg[order], lat_deg[order], is_inner[order]
        ask = np.flatnonzero(~is_in)
        is_in[ask] = self.holds(ix[ask], lon[ask], lat[ask])
        found = np.full(len(order), np.inf)
        ask = np.flatnonzero(is_in) if is_inside_only else np.arange(len(order))
        found[ask] = self._distance_m(ix[ask], lon[ask], lat[ask])
        edge_m = np.empty(len(order))
        edge_m[order] = np.where(is_in, -found, np.maximum(found, _OUTSIDE_MIN_M))
        return edge_m

    def _distance_m(self, polygon_ix: Ints | Longs, lon_deg: Floats, lat_deg: Floats) -> Floats:
        if len(polygon_ix) == 0:
            return np.empty(0)
        squeeze = self._squeeze[polygon_ix]
        lon_deg = self.beside(polygon_ix, lon_deg)
        here = shapely.points(lon_deg * squeeze, lat_deg)
        lines = shapely.shortest_line(self._squeezed(polygon_ix), here)
        nearest = shapely.get_coordinates(lines)[::2]
        return geodesic_m(lon_deg, lat_deg, nearest[:, 0] / squeeze, nearest[:, 1])

    def _squeezed(self, polygon_ix: Ints | Longs) -> NDArray[Any]:
        """The edges, prepared, in each polygon's plane."""
        for ix in np.unique(polygon_ix).tolist():
            if self._lines[ix] is None:
                scale = np.array([self._squeeze[ix], 1.0])
                line = shapely.transform(
                    self.shapes[ix].boundary, lambda xy, by=scale: _divisible(xy * by)
                )
                shapely.prepare(line)
                self._lines[ix] = line
        lines: NDArray[Any] = self._lines[polygon_ix]
        return lines


class Cells:
    """What is kept of polygons' cells, while it is gathered; a cell's number is where it begins.

    Of a cell 8 bytes and 8 for each run of leaves, of which most have one or two.
    """

    def __init__(self, table: Ints = _NO_CELLS) -> None:
        self._kept = [table]
        self._end = len(table)

    def add(
        self, kinds: Sequence[bytes], begins: Sequence[bytes], kept: Sequence[bytes]
    ) -> tuple[Ints, Bools]:
        """Take up polygons' cells: their numbers from now on, and which lie wholly inside."""
        sizes = np.array([len(one) // 4 for one in kept])
        first = self._end + np.cumsum(sizes) - sizes
        self._end += int(sizes.sum())
        if self._end > _CELLS_END_MAX:
            raise OverflowError("polygons in more cells than have a number")
        numbers = _joined_ints(begins) + first.astype(np.int32).repeat([len(one) for one in kinds])
        self._kept.append(_joined_ints(kept))
        return numbers, np.frombuffer(b"".join(kinds), np.uint8) == _INNER

    def table(self) -> Ints:
        """All that is kept."""
        return self._kept[0] if len(self._kept) == 1 else np.concatenate(self._kept)


def _joined_ints(pieces: Sequence[bytes]) -> Ints:
    return np.frombuffer(b"".join(pieces), np.int32)


def tables_of(shapes: NDArray[Any]) -> tuple[NDArray[Any], ...]:
    """What `_edges.Edges` reads of shapes, but for their planes.

    Leaves, shape (L, 8, 2), the points of seven edges each; boxes of leaves and of branches, shape
    (., 4); the first leaf and branch of each shape, and one past the end.
    """
    parts, shape_ix = shapely.get_parts(shapes, return_index=True)
    rings, part_ix = shapely.get_rings(parts, return_index=True)
    edges = shapely.get_num_coordinates(rings) - 1
    ring, nth = _runs(-(-edges // _LEAF))
    first = (np.cumsum(edges + 1) - (edges + 1))[ring] + _LEAF * nth
    leaves = _leaves(shapely.get_coordinates(rings), first, edges[ring] - _LEAF * nth)
    boxes = _boxes(leaves)
    leaf_count = np.bincount(shape_ix[part_ix][ring], minlength=len(shapes))
    branch_count = -(-leaf_count // _FAN)
    first_leaf, first_branch = (
        np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)
        for counts in (leaf_count, branch_count)
    )
    shape, nth = _runs(branch_count)
    branches = _joined(boxes, first_leaf[shape] + _FAN * nth)
    return leaves, boxes, branches, first_leaf, first_branch


def _runs(counts: Longs) -> tuple[Longs, Longs]:
    """0 0 0 1 1 … and 0 1 2 0 1 … for runs of these lengths."""
    which = np.arange(len(counts)).repeat(counts)
    return which, np.arange(len(which)) - (np.cumsum(counts) - counts)[which]


def _leaves(points: Floats, first: Longs, edges: Longs) -> Floats:
    """Points of leaves that begin at these, shape (L, 8, 2); short ones repeat their last."""
    room = np.empty((len(first) + 1) * _LINES_BYTES // 8)
    begin = -room.ctypes.data % _LINES_BYTES // 8  # two lines of cache, not three
    leaves = room[begin : begin + len(first) * _LINES_BYTES // 8].reshape(-1, _LEAF + 1, 2)
    for at in range(0, len(first), _LEAVES_AT_ONCE):
        some = slice(at, at + _LEAVES_AT_ONCE)
        along = np.minimum(np.arange(_LEAF + 1), edges[some, None])
        leaves[some] = points[first[some, None] + along]
    return leaves


def _boxes(leaves: Floats) -> NDArray[np.float32]:
    """The boxes of leaves, shape (L, 4), rounded outwards."""
    boxes = np.empty((len(leaves), 4), np.float32)
    boxes[:, :2] = np.nextafter(leaves.min(axis=1).astype(np.float32), np.float32(-np.inf))
    boxes[:, 2:] = np.nextafter(leaves.max(axis=1).astype(np.float32), np.float32(np.inf))
    return boxes


def _joined(boxes: NDArray[np.float32], begin: Longs) -> NDArray[np.float32]:
    """The boxes of branches, which begin at these leaves and end where the next one begins."""
    if not len(begin):
        return np.empty((0, 4), np.float32)
    low = np.minimum.reduceat(boxes[:, :2], begin, axis=0)
    return np.concatenate([low, np.maximum.reduceat(boxes[:, 2:], begin, axis=0)], axis=1)


def _parabolas(lat_deg: Floats) -> Floats:
    """Metres per degree of latitude and longitude about these latitudes, shape (G, 7).

    The latitude, and each a parabola through three places, by its powers.
    """
    across, along = degree_m(lat_deg[:, None] + np.array([-_PARABOLA_DEG, 0.0, _PARABOLA_DEG]))
    columns = [lat_deg]
    for south, middle, north in (along.T, across.T):
        bend = (north - middle) - (middle - south)
        slope = (north - south) / (2 * _PARABOLA_DEG)
        columns += [middle, slope, bend / (2 * _PARABOLA_DEG**2)]
    return np.stack(columns, axis=1)


def _level_table(levels: list[Level]) -> Longs:
    """What `_edges.c` reads of levels, shape (L, 5)."""
    rows = [(one.shift, one.row_factor, one.mask, one.offset, one.bits) for one in levels]
    return np.array(rows, np.int64).reshape(-1, 5)


def _divisible(points: Floats) -> Floats:
    """The same points, but on 0 where they are nearly: so no edge is too short to divide by.

    Doubles differ by so little next to 0 only; GEOS divides by the square of an edge's length.
    """
    return np.where(np.abs(points) < _NO_LENGTH_DEG, 0.0, points)


def _squeeze(lat_deg: Floats) -> Floats:
    """How much shorter a degree of longitude is than one of latitude, per polygon."""
    across, along = degree_m(lat_deg)
    return np.maximum(across / along, 1e-3)
