"""A file as it was before somebody packed it."""

from __future__ import annotations

import gzip
import shutil
import tempfile
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from geoengine.catalog.reading.sources import Progress
from geoengine.core.errors import DataError

_PIECE_BYTES = 1 << 20


@contextmanager
def plain(path: Path, endings: Sequence[str], room: Path, tell: Progress) -> Iterator[Path]:
    """The file, unpacked into a folder under `room` where it ends in .gz or .zip.

    Of a zip the one file is taken that ends as asked.
    """
    if not path.is_file():
        raise DataError(f"{path}: is no file")
    if path.suffix.lower() not in (".gz", ".zip"):
        _check_ending(path, path.name, endings)
        yield path
        return
    room.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=room, prefix=".unpacking-") as folder:
        try:
            unpacked = _unpacked(path, endings, Path(folder), tell)
        except (zipfile.BadZipFile, gzip.BadGzipFile, EOFError, zlib.error) as error:
            raise DataError(f"{path}: cannot be unpacked: {error}") from error
        yield unpacked


def _unpacked(path: Path, endings: Sequence[str], folder: Path, tell: Progress) -> Path:
    if path.suffix.lower() == ".gz":
        _check_ending(path, path.stem, endings)
        with path.open("rb") as packed, gzip.open(packed) as content:
            return _copied(content, packed, path, folder / path.stem, tell)
    with path.open("rb") as packed, zipfile.ZipFile(packed) as archive:
        member = _member(path, archive, endings)
        with archive.open(member) as content:
            return _copied(content, packed, path, folder / Path(member).name, tell)


def _copied(content: Any, packed: IO[bytes], path: Path, target: Path, tell: Progress) -> Path:
    size = path.stat().st_size
    with target.open("wb") as out:
        while piece := content.read(_PIECE_BYTES):
            out.write(piece)
            tell(f"unpacking {path.name}", min(packed.tell(), size), size)
    shutil.copystat(path, target)
    return target


def _member(path: Path, archive: zipfile.ZipFile, endings: Sequence[str]) -> str:
    fitting = [name for name in archive.namelist() if name.lower().endswith(tuple(endings))]
    if len(fitting) != 1:
        raise DataError(
            f"{path}: expected one file in it that ends in {_or(endings)}, found "
            f"{len(fitting)} of {len(archive.namelist())} files"
        )
    return fitting[0]


def _check_ending(path: Path, name: str, endings: Sequence[str]) -> None:
    if not name.lower().endswith(tuple(endings)):
        raise DataError(f"{path}: expected a file that ends in {_or(endings)} (or .gz, .zip of it)")


def _or(words: Sequence[str]) -> str:
    return " or ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)
