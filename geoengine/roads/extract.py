"""The edge of an OpenStreetMap extract: where its roads end because somebody cut there.

Of the file format (protocol buffers in blobs: the OSM wiki's "PBF Format") only what that needs is
read: the box in its header and, where no box is there, the places of its nodes.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray
from shapely import box
from shapely.geometry import Polygon
from shapely.geometry.base import BaseGeometry

from geoengine.core.errors import DataError

BLOB_MAX_BYTES = 32 * 1024 * 1024  # the format's own limits; more is no extract, or an attack
HEADER_MAX_BYTES = 64 * 1024
NANODEGREE = 1e-9

# Nodes left out on each side of their box, as a share: whoever cuts an extract keeps ways whole, so
# some stick out of it. Larger, and stores near the edge are warned of in vain.
STICKING_OUT = 0.001

_NOT_PBF = "not an OpenStreetMap extract: expected a .osm.pbf"
_Fields = Iterator[tuple[int, int | bytes]]


def edge_of(path: Path) -> BaseGeometry:
    """The box of an extract, degrees: its header's, else that of its nodes. Raises `DataError`."""
    with path.open("rb") as file:
        kind, block = _blob(file, path)
        if kind != b"OSMHeader":
            raise DataError(f"{path}: {_NOT_PBF}")
        written = dict(_fields(block)).get(1)
        if isinstance(written, bytes):
            west, east, north, south = (_unzigzag(value) for _name, value in _fields(written))
            return box(*(NANODEGREE * side for side in (west, south, east, north)))
        return _box_of_nodes(file, path)


def polygon_of(path: Path) -> BaseGeometry:
    """The outline in a .poly file, as those who cut extracts publish it. Raises `DataError`."""
    area: BaseGeometry = Polygon()
    sections = path.read_text(encoding="utf-8", errors="replace").split("END")
    for section in sections:
        lines = [line.split() for line in section.splitlines() if line.strip()]
        corners = [(float(at[0]), float(at[1])) for at in lines if len(at) == 2 and _is_pair(at)]
        if len(corners) >= 3:
            is_hole = any(at[0].startswith("!") for at in lines)
            ring = Polygon(corners).buffer(0)
            area = area.difference(ring) if is_hole else area.union(ring)
    if area.is_empty:
        raise DataError(f"{path}: no outline in it: expected the .poly of an extract")
    return area


def _is_pair(written: list[str]) -> bool:
    try:
        return all(math.isfinite(float(number)) for number in written)
    except ValueError:
        return False


def _box_of_nodes(file: BinaryIO, path: Path) -> BaseGeometry:
    places = [found for block in _blobs(file, path) for found in _nodes(block)]
    if not places:
        raise DataError(f"{path}: no nodes in it: expected an extract with roads")
    places_deg = np.concatenate(places, axis=1)
    south, west = np.quantile(places_deg, STICKING_OUT, axis=1)
    north, east = np.quantile(places_deg, 1 - STICKING_OUT, axis=1)
    return box(west, south, east, north)


def _blobs(file: BinaryIO, path: Path) -> Iterator[bytes]:
    while True:
        kind, block = _blob(file, path)
        if not kind:
            return
        if kind == b"OSMData":
            yield block


def _blob(file: BinaryIO, path: Path) -> tuple[bytes, bytes]:
    """The next blob's kind and contents; both empty at the end."""
    length = int.from_bytes(file.read(4), "big")
    if length == 0 and not file.read(1):
        return b"", b""
    if not 0 < length <= HEADER_MAX_BYTES:
        raise DataError(f"{path}: {_NOT_PBF}")
    try:
        header = dict(_fields(file.read(length)))
        kind, size = header[1], header[3]
        assert isinstance(kind, bytes)
        assert isinstance(size, int)
        if size > BLOB_MAX_BYTES:
            raise DataError(f"{path}: a blob of {size:,} bytes: {_NOT_PBF}")
        return kind, _unpacked(dict(_fields(file.read(size))))
    except (AssertionError, IndexError, KeyError, ValueError, zlib.error) as error:
        raise DataError(f"{path}: {_NOT_PBF}") from error


def _unpacked(blob: dict[int, int | bytes]) -> bytes:
    """A blob's contents: raw, or deflated as nearly all are."""
    raw, deflated = blob.get(1), blob.get(3)
    if isinstance(raw, bytes):
        return raw
    if not isinstance(deflated, bytes):
        raise ValueError("packed in a way that only few programs write")
    return zlib.decompressobj().decompress(deflated, BLOB_MAX_BYTES)


def _nodes(block: bytes) -> Iterator[NDArray[np.float64]]:
    """Latitudes and longitudes, degrees, float64 of shape (2, N), of each group of nodes."""
    fields = list(_fields(block))
    scale = {17: 100, 19: 0, 20: 0} | {name: at for name, at in fields if isinstance(at, int)}
    groups = [group for name, group in fields if name == 2 and isinstance(group, bytes)]
    for dense in (inner for group in groups for name, inner in _fields(group) if name == 2):
        columns = dict(_fields(dense)) if isinstance(dense, bytes) else {}
        lat, lon = columns.get(8), columns.get(9)
        if isinstance(lat, bytes) and isinstance(lon, bytes):
            steps = np.stack([_signed(lat), _signed(lon)])
            offsets = np.array([[scale[19]], [scale[20]]])
            yield NANODEGREE * (offsets + scale[17] * steps.cumsum(axis=1))


def _fields(message: bytes) -> _Fields:
    """The numbers and byte strings of a message, by field number, in order."""
    at, end = 0, len(message)
    while at < end:
        key, at = _varint(message, at)
        name, kind = key >> 3, key & 7
        if kind == 0:
            value, at = _varint(message, at)
            yield name, value
        elif kind == 2:
            length, at = _varint(message, at)
            yield name, message[at : at + length]
            at += length
        else:
            at += {1: 8, 5: 4}[kind]


def _varint(message: bytes, at: int) -> tuple[int, int]:
    """A number of seven bits a byte, the lowest first, and where it ends."""
    value, shift = 0, 0
    while True:
        byte = message[at]
        value |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return value, at


def _unzigzag(value: int | bytes) -> int:
    """The signed number that stands behind an unsigned one: 0, -1, 1, -2 …"""
    assert isinstance(value, int)
    return (value >> 1) ^ -(value & 1)


def _signed(packed: bytes) -> NDArray[np.int64]:
    """All signed numbers of a packed field, int64 of shape (N,)."""
    octets = np.frombuffer(packed, dtype=np.uint8)
    ends = np.flatnonzero(octets < 128)
    starts = np.concatenate([[0], ends[:-1] + 1]) if len(ends) else ends
    shifts = 7 * (np.arange(len(octets)) - np.repeat(starts, ends - starts + 1))
    sevens = (octets & 127).astype(np.uint64) << shifts.astype(np.uint64)
    values = np.add.reduceat(sevens, starts) if len(starts) else sevens
    signed: NDArray[np.int64] = (values >> np.uint64(1)).astype(np.int64)
    signed ^= -(values & np.uint64(1)).astype(np.int64)
    return signed
