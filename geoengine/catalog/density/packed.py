"""A density grid in one file: what it is, and its columns, compressed; written whole or not at all.

The file is numpy's npz: every column has a check sum, and nothing in it can run.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from hashlib import blake2b
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from msgspec import Struct
from numpy.lib.npyio import NpzFile
from numpy.typing import NDArray

from geoengine.catalog.density.lattice import Lattice
from geoengine.catalog.whole import replacing
from geoengine.core.columns import Longs
from geoengine.core.errors import DataError

FORMAT = 1
SUFFIX = ".npz"
_ABOUT = "about"
_READ_BYTES = 1 << 20

Parts = Mapping[str, NDArray[Any]]


class About(Struct, frozen=True, kw_only=True):
    """What a kept grid is and where it came from."""

    format: int = FORMAT
    kind: str
    form: str  # how its columns are read: outlines, cells, runs
    label: str  # whose data, and of which year where the file says
    origin: list[str]  # names of the files it was made of
    digest: str  # of their bytes, BLAKE2b
    box: tuple[float, float, float, float]  # west, south, east, north, degrees
    row_count: int
    lattice: Lattice | None = None


def write(path: Path, about: About, parts: Parts) -> None:
    """Put a grid into a file; whoever opens it finds all of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    described = np.frombuffer(msgspec.json.encode(about), np.uint8)
    with replacing(path) as file:
        np.savez_compressed(file, allow_pickle=False, **{_ABOUT: described, **parts})


def read(path: Path) -> tuple[About, dict[str, NDArray[Any]]]:
    """What a grid is, and its columns. Raises `DataError` for what is not as it was written."""
    with _mended_by_adding_again(path), path.open("rb") as content, NpzFile(content) as file:
        about = _described(path, file[_ABOUT])
        return about, {name: file[name] for name in file.files if name != _ABOUT}


def read_about(path: Path) -> About:
    """What a grid is, without its columns."""
    with _mended_by_adding_again(path), path.open("rb") as content, NpzFile(content) as file:
        return _described(path, file[_ABOUT])


@contextmanager
def _mended_by_adding_again(path: Path) -> Iterator[None]:
    """What a damaged file raises, in words: of zipfile and numpy that may be anything."""
    try:
        yield
    except DataError:
        raise
    except Exception as error:
        raise DataError(
            f"{path}: cannot be read as a density grid ({error}); remove it, or add its file "
            "again with `geoengine data add`"
        ) from error


def _described(path: Path, described: NDArray[Any]) -> About:
    text = described.tobytes()
    found = json.loads(text).get("format")
    if found != FORMAT:
        raise DataError(
            f"{path}: is of format {found}, this version reads {FORMAT}; add its file again with "
            "`geoengine data add`"
        )
    return msgspec.json.decode(text, type=About)


def digest_of(paths: Sequence[Path]) -> str:
    """One digest of the bytes of all files, in order."""
    digest = blake2b(digest_size=16)
    for path in paths:
        with path.open("rb") as file:
            while piece := file.read(_READ_BYTES):
                digest.update(piece)
    return digest.hexdigest()


def steps_of(ascending: Longs) -> NDArray[Any]:
    """An ascending column as steps, in the smallest type that holds them: these compress well."""
    steps = np.diff(ascending, prepend=0)
    return steps.astype(np.min_scalar_type(int(steps.max(initial=0))))


def from_steps(steps: NDArray[Any]) -> Longs:
    """The ascending column that was written as steps."""
    return np.cumsum(steps, dtype=np.int64)
