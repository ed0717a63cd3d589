"""The edge of an OpenStreetMap extract: where its roads end because somebody cut there."""

from __future__ import annotations

import math
import zlib
from collections import Counter
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from shapely import box, union_all
from shapely.geometry import Polygon
from shapely.geometry.base import BaseGeometry

from geoengine.core.errors import DataError
from geoengine.roads.pbf import blobs, nodes, written_box

# Where no box is told the edge is drawn around the nodes: cells of this size, degrees (550 m high),
# that have so many. Whoever cuts an extract keeps ways whole, so single nodes stick out far; with
# fewer asked for they count, with more the loneliest roads are left out.
CELL_DEG = 0.005
CELL_NODES = 3
GAP_DEG = 2 * CELL_DEG  # fields and lakes as wide as twice this lie inside
PART_CELLS = 4  # what is smaller is a way that sticks out

_ROW = 1 << 20  # more than there are cells from pole to pole
_NOT_PBF = "not an OpenStreetMap extract: expected a .osm.pbf"


def edge_of(path: Path) -> BaseGeometry:
    """The box that an extract tells, else the outline of its nodes, degrees. Raises `DataError`."""
    try:
        with path.open("rb") as file:
            found = blobs(file)
            kind, header = next(found, (b"", b""))
            if kind != b"OSMHeader":
                raise DataError(f"{path}: {_NOT_PBF}")
            sides = written_box(header)
            if sides is None:
                return _outline_of(nodes_in(found), path)
    except (ValueError, IndexError, KeyError, OverflowError, zlib.error) as error:
        raise DataError(f"{path}: {_NOT_PBF} ({error})") from error
    if not (-180 <= sides[0] < sides[2] <= 180 and -90 <= sides[1] < sides[3] <= 90):
        raise DataError(f"{path}: its box is {sides}: {_NOT_PBF}")
    return box(*sides)


def polygon_of(path: Path) -> BaseGeometry:
    """The outline in a .poly file, as those who cut extracts publish it. Raises `DataError`."""
    area: BaseGeometry = Polygon()
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    for is_end, section in groupby(lines, lambda line: line.strip() == "END"):
        rows = [line.split() for line in section if line.strip()]
        corners = [(float(at[0]), float(at[1])) for at in rows if _is_place(at)]
        if not is_end and len(corners) >= 3:
            is_hole = any(at[0].startswith("!") for at in rows)
            ring = Polygon(corners).buffer(0)
            area = area.difference(ring) if is_hole else area.union(ring)
    if area.is_empty:
        raise DataError(f"{path}: no outline in it: expected the .poly of an extract")
    return area


def nodes_in(found: Iterator[tuple[bytes, bytes]]) -> Iterator[NDArray[np.float64]]:
    """Longitudes and latitudes of all nodes, group by group."""
    return (places for kind, block in found if kind == b"OSMData" for places in nodes(block))


def _outline_of(groups: Iterator[NDArray[np.float64]], path: Path) -> BaseGeometry:
    """Around the cells that have nodes enough."""
    counts: Counter[int] = Counter()
    for places in groups:
        east, north = np.floor(places / CELL_DEG).astype(np.int64)
        keys, key_counts = np.unique(east * _ROW + north, return_counts=True)
        counts.update(dict(zip(keys.tolist(), key_counts.tolist(), strict=True)))
    keys = np.array([key for key, count in counts.items() if count >= CELL_NODES], dtype=np.int64)
    north = (keys + _ROW // 2) % _ROW - _ROW // 2
    west_deg, south_deg = (keys - north) // _ROW * CELL_DEG, north * CELL_DEG
    cells = box(west_deg, south_deg, west_deg + CELL_DEG, south_deg + CELL_DEG)
    closed = union_all(cells).buffer(GAP_DEG).buffer(-GAP_DEG)
    parts = [Polygon(part.exterior) for part in getattr(closed, "geoms", [closed])]
    found = union_all([part for part in parts if part.area > PART_CELLS * CELL_DEG**2])
    if found.is_empty:
        raise DataError(f"{path}: hardly a node in it: expected an extract with roads")
    return found


def _is_place(written: list[str]) -> bool:
    try:
        return len(written) == 2 and all(math.isfinite(float(number)) for number in written)
    except ValueError:
        return False
