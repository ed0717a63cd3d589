"""The edge of an OpenStreetMap extract: where its roads end because somebody cut there."""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from shapely import box
from shapely.geometry import Polygon
from shapely.geometry.base import BaseGeometry

from geoengine.core.errors import DataError
from geoengine.roads.pbf import blobs, nodes, written_box

# Nodes left out on each side of their box, as a share: whoever cuts an extract keeps ways whole, so
# some stick out of it. Larger, and stores near the edge are warned of in vain.
STICKING_OUT = 0.001

BINS_PER_DEGREE = 1000  # of the count of nodes: the box is good to 0.001 degrees, 100 m

_HALF_DEG = np.array([[180.0], [90.0]])  # of all longitudes, of all latitudes
_NOT_PBF = "not an OpenStreetMap extract: expected a .osm.pbf"


def edge_of(path: Path) -> BaseGeometry:
    """The box of an extract, degrees: its header's, else that of its nodes. Raises `DataError`."""
    try:
        with path.open("rb") as file:
            found = blobs(file)
            kind, header = next(found, (b"", b""))
            if kind != b"OSMHeader":
                raise DataError(f"{path}: {_NOT_PBF}")
            sides = written_box(header) or _box_of(nodes_in(found))
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


def _box_of(groups: Iterator[NDArray[np.float64]]) -> tuple[float, float, float, float]:
    """West, south, east, north of nearly all; counted by bins, as a country has 500 million."""
    counts = np.zeros((2, 360 * BINS_PER_DEGREE + 1), dtype=np.int64)
    for places in groups:
        bins = ((places + _HALF_DEG) * BINS_PER_DEGREE).astype(np.int64)
        for row in range(2):
            counts[row] += np.bincount(bins[row], minlength=counts.shape[1])
    shares = counts.cumsum(axis=1) / counts.sum(axis=1, keepdims=True).clip(min=1)
    west, south = (np.searchsorted(share, STICKING_OUT) / BINS_PER_DEGREE for share in shares)
    east, north = (np.searchsorted(share, 1 - STICKING_OUT) / BINS_PER_DEGREE for share in shares)
    last = 1 / BINS_PER_DEGREE  # the bin itself belongs to the box
    return west - 180, south - 90, east - 180 + last, north - 90 + last


def _is_place(written: list[str]) -> bool:
    try:
        return len(written) == 2 and all(math.isfinite(float(number)) for number in written)
    except ValueError:
        return False
