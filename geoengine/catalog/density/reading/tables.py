"""Rows of CSV, NDJSON, GeoJSON and GeoPackage: the columns one asks for, by any of their names."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple, Protocol, TypeVar

import msgspec
from msgspec import Raw, Struct

from geoengine.catalog.density.reading import geopackage
from geoengine.catalog.reading.sources import Progress
from geoengine.core.errors import DataError

ENDINGS = (".csv", ".geojson", ".json", ".ndjson", ".geojsonl", ".gpkg")

HEADER_WITHIN = 20  # lines: sheets saved as CSV begin with a title and notes
DELIMITERS = ",;\t|"
TOLD_EVERY = 16_384  # rows

# A file in which more rows than this are bad is another file than it seems.
BAD_SHARE_MAX = 0.05

Cells = tuple[Any, ...]


class Table(Protocol):
    """A table of a file: its columns, and its rows with where each stands."""

    unit: str  # what rows are counted in: line, feature, row
    columns: list[str]

    def rows(self, picked: Sequence[str], tell: Progress) -> Iterator[tuple[int, Cells]]:
        """Where each row stands, from 1, and its cells in the columns picked."""


class Role(NamedTuple):
    """A column one looks for."""

    what: str  # for words
    pattern: str  # matched against a whole name, in any case
    is_needed: bool = True


class Tally:
    """Rows that are left out: how many, and what the first of them lacks."""

    def __init__(self, path: Path, unit: str) -> None:
        self._path, self._unit = path, unit
        self.count = 0
        self._first = ""

    def add(self, at: int, what: str) -> None:
        """One row more."""
        self._first = self._first or f"{self._unit} {at}: {what}"
        self.count += 1

    def check(self, good_count: int) -> None:
        """Raise `DataError` where there is no good row, or too many bad ones."""
        if good_count == 0 or self.count > BAD_SHARE_MAX * (good_count + self.count):
            found = f"; {self._first}" if self._first else ""
            raise DataError(
                f"{self._path}: {self.count:,} of {self.count + good_count:,} rows cannot be used"
                f"{found}"
            )

    def lines(self) -> list[str]:
        """What was left out, for whoever added the file."""
        return [f"{self.count:,} rows left out; {self._first}"] if self.count else []


def tables(path: Path) -> list[Table]:
    """The tables of a file, by its ending."""
    ending = path.suffix.lower()
    if ending == ".gpkg":
        return list(geopackage.layers(path))
    if ending == ".csv":
        return [_Csv(path)]
    if ending in (".ndjson", ".geojsonl"):
        return [_Lines(path)]
    return [Features(path)]


T = TypeVar("T", bound=Table)


def pick(path: Path, found: Sequence[T], roles: Sequence[Role]) -> tuple[T, list[str | None]]:
    """The first table of a file that has the columns needed, and the name of each role's column."""
    seen = []
    for table in found:
        names = [_named(role, table.columns) for role in roles]
        missing = [r.what for r, name in zip(roles, names, strict=True) if r.is_needed and not name]
        if not missing:
            return table, names
        shown = ", ".join(table.columns[:20]) or "none"
        seen.append(f"expected a column of {' and one of '.join(missing)}; found {shown}")
    raise DataError(f"{path}: {'; '.join(seen) or 'no table in it'}")


def year_in(*names: str | None) -> int | None:
    """The year that the first of these names tells, from 1975 on: GHS_POP_E2020_GLOBE_R2023A."""
    for name in names:
        years = re.findall(r"(?<![\dR])(?:19[789]\d|20\d\d)(?!\d{1,3}(?!\d))", name or "")
        if years:
            return int(years[0])
    return None


def _named(role: Role, columns: list[str]) -> str | None:
    """The column of a role; of several the last in order of name, which is the latest year."""
    fitting = [name for name in columns if re.fullmatch(role.pattern, name, re.IGNORECASE)]
    return max(fitting, default=None)


class _Csv:
    """A CSV file; its header is the first of the first lines that has the most cells."""

    unit = "line"

    def __init__(self, path: Path) -> None:
        self._path = path
        with self._opened() as file:
            first = list(islice(file, HEADER_WITHIN))
        if not first:
            raise DataError(f"{path}: is empty")
        self._delimiter = max(DELIMITERS, key=max(first, key=_cell_count).count)
        widths = [_filled(line, self._delimiter) for line in first]
        self._header_ix = widths.index(max(widths))
        names = next(csv.reader([first[self._header_ix]], delimiter=self._delimiter))
        self.columns = [name.strip() for name in names]

    def rows(self, picked: Sequence[str], tell: Progress) -> Iterator[tuple[int, Cells]]:
        places = [self.columns.index(name) for name in picked]
        size = self._path.stat().st_size
        with self._opened() as file:
            for _ in range(self._header_ix + 1):
                next(file)
            reader = csv.reader(file, delimiter=self._delimiter)
            for count, cells in enumerate(reader):
                if not count % TOLD_EVERY:
                    tell(self._path.name, file.buffer.tell(), size)
                if cells:
                    found = tuple(cells[place] if place < len(cells) else "" for place in places)
                    yield self._header_ix + 1 + reader.line_num, found
        tell(self._path.name, size, size)

    def _opened(self) -> Any:
        return self._path.open(encoding="utf-8-sig", errors="replace", newline="")


def _cell_count(line: str) -> int:
    return max(map(line.count, DELIMITERS))


def _filled(line: str, delimiter: str) -> int:
    return sum(bool(cell.strip()) for cell in line.split(delimiter))


class _Lines:
    """A JSON object a line; of a GeoJSON feature its properties."""

    unit = "line"

    def __init__(self, path: Path) -> None:
        self._path = path
        first = next(self._objects(lambda *_: None), (0, {}))[1]
        self.columns = list(first)

    def rows(self, picked: Sequence[str], tell: Progress) -> Iterator[tuple[int, Cells]]:
        for at, record in self._objects(tell):
            yield at, tuple(map(record.get, picked))

    def _objects(self, tell: Progress) -> Iterator[tuple[int, dict[str, Any]]]:
        decoder, size, read_bytes = msgspec.json.Decoder(dict[str, Any]), 0, 0
        size = self._path.stat().st_size
        with self._path.open("rb") as file:
            for at, line in enumerate(file, 1):
                read_bytes += len(line)
                if not at % TOLD_EVERY:
                    tell(self._path.name, read_bytes, size)
                if line.strip():
                    yield at, _properties(self._decoded(decoder, line, at))
        tell(self._path.name, size, size)

    def _decoded(self, decoder: Any, line: bytes, at: int) -> dict[str, Any]:
        try:
            found: dict[str, Any] = decoder.decode(line)
        except msgspec.MsgspecError as error:
            raise DataError(f"{self._path}: line {at}: no JSON object: {error}") from error
        return found


def _properties(record: dict[str, Any]) -> dict[str, Any]:
    inner = record.get("properties")
    return inner if isinstance(inner, dict) else record


class Feature(Struct):
    """What is read of a GeoJSON feature; the geometry stays text until somebody needs it."""

    properties: dict[str, Any] | None = None
    geometry: Raw = Raw(b"null")


class _Collection(Struct):
    features: list[Feature]


class Features:
    """A GeoJSON FeatureCollection; read as a whole."""

    unit = "feature"

    def __init__(self, path: Path) -> None:
        self._path = path
        self.features = _features(path)
        first = next((f.properties for f in self.features if f.properties), {})
        self.columns = list(first)

    def rows(self, picked: Sequence[str], tell: Progress) -> Iterator[tuple[int, Cells]]:
        size = self._path.stat().st_size
        for at, feature in enumerate(self.features, 1):
            yield at, tuple(map((feature.properties or {}).get, picked))
        tell(self._path.name, size, size)


def _features(path: Path) -> list[Feature]:
    try:
        return msgspec.json.decode(path.read_bytes(), type=_Collection).features
    except msgspec.MsgspecError as error:
        raise DataError(
            f"{path}: expected a GeoJSON FeatureCollection ({error}); one feature a line is read "
            "from .geojsonl or .ndjson"
        ) from error
