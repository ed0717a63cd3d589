"""GeoPackage: SQLite with a table of contents (OGC 12-128). Attributes only, read-only.

The one file that uses sqlite3: these are other people's files, opened once, and the state's own
connection (apsw, durable, exclusive) has nothing to do with them.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from geoengine.catalog.reading.sources import Progress
from geoengine.core.errors import DataError

TOLD_EVERY = 16_384  # rows

_CONTENTS = (
    "SELECT table_name FROM gpkg_contents WHERE data_type IN ('features', 'attributes') "
    "ORDER BY table_name"
)


class Layer:
    """A table of a GeoPackage."""

    unit = "row"

    def __init__(self, path: Path, name: str, columns: list[str]) -> None:
        self._path, self._name = path, name
        self.columns = columns

    def rows(self, picked: Sequence[str], tell: Progress) -> Iterator[tuple[int, tuple[Any, ...]]]:
        """Where each row stands, from 1, and its cells in the columns picked."""
        names = ", ".join(map(_quoted, picked))
        size = self._path.stat().st_size
        with _opened(self._path) as database:
            table = _quoted(self._name)
            (count,) = database.execute(f"SELECT count(*) FROM {table}").fetchone()  # noqa: S608
            cursor = database.execute(f"SELECT {names} FROM {table}")  # noqa: S608
            for at, row in enumerate(cursor, 1):
                if not at % TOLD_EVERY:
                    tell(self._path.name, size * at // max(count, 1), size)
                yield at, row
        tell(self._path.name, size, size)


def layers(path: Path) -> Iterator[Layer]:
    """The tables that a GeoPackage lists in its contents."""
    with _opened(path) as database:
        names = [name for (name,) in database.execute(_CONTENTS)]
        for name in names:
            columns = database.execute(f"PRAGMA table_info({_quoted(name)})").fetchall()
            yield Layer(path, name, [column[1] for column in columns])


@contextmanager
def _opened(path: Path) -> Iterator[sqlite3.Connection]:
    """The file, which stays as it is: no journal beside it, and no lock on it."""
    url = f"file:{quote(str(path.resolve()))}?mode=ro&immutable=1"
    try:
        with closing(sqlite3.connect(url, uri=True)) as database:
            yield database
    except sqlite3.Error as error:
        raise DataError(f"{path}: is no GeoPackage that can be read: {error}") from error


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
