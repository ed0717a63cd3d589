"""OpenStreetMap's file format, as far as a box needs it: the header, and where the nodes are.

Protocol buffers in deflated blobs (the OSM wiki's "PBF Format"). Faults in a file come as
`ValueError`, `IndexError`, `KeyError`, `OverflowError` or `zlib.error`.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

BLOB_MAX_BYTES = 32 * 1024 * 1024  # the format's own limits; more is no extract, or an attack
HEADER_MAX_BYTES = 64 * 1024
NANODEGREE = 1e-9

Fields = Iterator[tuple[int, int | bytes]]


def blobs(file: BinaryIO) -> Iterator[tuple[bytes, bytes]]:
    """Each blob's kind and contents, until the file ends."""
    while prefix := file.read(4):
        length = int.from_bytes(prefix, "big")
        if not 0 < length <= HEADER_MAX_BYTES:
            raise ValueError("a blob without a header")
        header = dict(fields(file.read(length)))
        kind, size = header[1], header[3]
        if not isinstance(kind, bytes) or not isinstance(size, int) or size > BLOB_MAX_BYTES:
            raise ValueError("a blob of no kind or size")
        yield kind, _unpacked(dict(fields(file.read(size))))


def written_box(header: bytes) -> tuple[float, float, float, float] | None:
    """West, south, east, north in degrees, where the header tells them."""
    told = dict(fields(header)).get(1)
    if not isinstance(told, bytes):
        return None
    sides = {name: NANODEGREE * _unzigzag(value) for name, value in fields(told)}
    return sides[1], sides[4], sides[2], sides[3]


def nodes(block: bytes) -> Iterator[NDArray[np.float64]]:
    """Longitudes and latitudes of each group of nodes, degrees, float64 of shape (2, N)."""
    told = list(fields(block))
    scale = {17: 100, 19: 0, 20: 0} | {name: at for name, at in told if isinstance(at, int)}
    groups = [group for name, group in told if name == 2 and isinstance(group, bytes)]
    for dense in (inner for group in groups for name, inner in fields(group) if name == 2):
        columns = dict(fields(dense)) if isinstance(dense, bytes) else {}
        lat, lon = columns.get(8), columns.get(9)
        if isinstance(lat, bytes) and isinstance(lon, bytes):
            steps = np.stack([_signed(lon), _signed(lat)])
            offsets = np.array([[_int64(scale[20])], [_int64(scale[19])]])
            yield NANODEGREE * (offsets + scale[17] * steps.cumsum(axis=1))


def fields(message: bytes) -> Fields:
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


def _unpacked(blob: dict[int, int | bytes]) -> bytes:
    """A blob's contents: raw, or deflated as nearly all are."""
    raw, deflated = blob.get(1), blob.get(3)
    if isinstance(raw, bytes):
        return raw
    if not isinstance(deflated, bytes):
        raise ValueError("packed in a way that only few programs write")
    return zlib.decompressobj().decompress(deflated, BLOB_MAX_BYTES)


def _varint(message: bytes, at: int) -> tuple[int, int]:
    """A number of seven bits a byte, the lowest first, and where it ends."""
    value, shift = 0, 0
    while True:
        byte = message[at]
        value |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return value, at


def _int64(value: int) -> int:
    """A number that may be negative, out of its 64 bits."""
    return value - (1 << 64) if value >> 63 else value


def _unzigzag(value: int | bytes) -> int:
    """The signed number that stands behind an unsigned one: 0, -1, 1, -2 …"""
    if not isinstance(value, int):
        raise ValueError("a number was expected")
    return (value >> 1) ^ -(value & 1)


def _signed(packed: bytes) -> NDArray[np.int64]:
    """All signed numbers of a packed field, int64 of shape (N,)."""
    octets = np.frombuffer(packed, dtype=np.uint8)
    ends = np.flatnonzero(octets < 128)
    if len(ends) == 0 or ends[-1] != len(octets) - 1:
        raise ValueError("numbers that do not end")
    starts = np.concatenate([[0], ends[:-1] + 1])
    shifts = 7 * (np.arange(len(octets)) - np.repeat(starts, ends - starts + 1))
    sevens = (octets & 127).astype(np.uint64) << shifts.astype(np.uint64)
    values = np.add.reduceat(sevens, starts)
    signed: NDArray[np.int64] = (values >> np.uint64(1)).astype(np.int64)
    signed ^= -(values & np.uint64(1)).astype(np.int64)
    return signed
