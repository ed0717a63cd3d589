"""Named columns in one file: written whole or not at all, and read only if it is what was written.

::

    "geoengine" and the format    16 bytes
    digest of all that follows    32 bytes
    length of the header           8 bytes
    header, msgpack: name, type, position and length of each column
    the columns, each beginning at a multiple of 64 bytes

A column is an array of plain numbers. Nothing in the file can run: no pickle, no names of classes.
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import blake2b
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from geoengine.catalog.whole import FOR_OWNER, replacing

FORMAT = 1
_MAGIC = b"geoengine book%2d" % FORMAT
_DIGEST_BYTES = 32
_START = len(_MAGIC) + _DIGEST_BYTES + 8
_ALIGNED = 64
_TYPES = frozenset({"|u1", "|i1", "<i4", "<i8", "<f8"})

Parts = Mapping[str, NDArray[Any]]  # columns by name, each one-dimensional


class Damaged(Exception):
    """The file is not one of ours, or not as it was written."""


class _Column(Struct, array_like=True):
    name: str
    type: str
    start: int  # counted from the end of the header
    count: int


class _Header(Struct):
    columns: list[_Column]


def write(path: Path, parts: Parts, mode: int = FOR_OWNER) -> None:
    """Put the columns into a file; whoever opens it finds all of them, also after a power cut."""
    columns, pieces = _laid_out(parts)
    header = msgspec.msgpack.encode(_Header(columns))
    header += b" " * (-(_START + len(header)) % _ALIGNED)
    length = len(header).to_bytes(8, "little")
    digest = blake2b(length + header, digest_size=_DIGEST_BYTES)
    for piece in pieces:
        digest.update(piece)
    with replacing(path, mode) as file:
        file.write(_MAGIC + digest.digest() + length + header)
        file.writelines(pieces)


def read(path: Path) -> Parts:
    """The columns of a file, read-only. Raises `Damaged`, and `OSError` where there is none."""
    return unpacked(path, path.read_bytes())


def unpacked(path: Path, packed: bytes) -> Parts:
    """The columns of a file's content, read-only. Raises `Damaged`, with the file's name."""
    content = memoryview(packed)
    if len(content) < _START or content[: len(_MAGIC)] != _MAGIC:
        raise Damaged(f"{path} is none of ours, or of another format")
    body = content[len(_MAGIC) + _DIGEST_BYTES :]
    digest = blake2b(body, digest_size=_DIGEST_BYTES).digest()
    if content[len(_MAGIC) : len(_MAGIC) + _DIGEST_BYTES] != digest:
        raise Damaged(f"{path} is not as it was written")
    end = _START + int.from_bytes(body[:8], "little")
    header = msgspec.msgpack.decode(bytes(content[_START:end]).rstrip(b" "), type=_Header)
    return {column.name: _column(content[end:], column) for column in header.columns}


def _laid_out(parts: Parts) -> tuple[list[_Column], list[memoryview | bytes]]:
    """Where each column goes, and the bytes to write one after the other."""
    columns: list[_Column] = []
    pieces: list[memoryview | bytes] = []
    end = 0
    for name, array in parts.items():
        plain = np.ascontiguousarray(array, array.dtype.newbyteorder("<"))
        assert plain.dtype.str in _TYPES and plain.ndim == 1, name
        columns.append(_Column(name, plain.dtype.str, end, len(plain)))
        pieces += [plain.view(np.uint8).data, b"\0" * (-plain.nbytes % _ALIGNED)]
        end += plain.nbytes + (-plain.nbytes % _ALIGNED)
    return columns, pieces


def _column(content: memoryview, column: _Column) -> NDArray[Any]:
    if column.type not in _TYPES:
        raise Damaged(f"column {column.name} is of type {column.type}")
    return np.frombuffer(content, np.dtype(column.type), column.count, column.start)
