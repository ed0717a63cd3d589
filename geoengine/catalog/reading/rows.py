"""Rows of bulk files: CSV, NDJSON and GeoJSON, each as plain cells with the line it stands in."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from io import TextIOWrapper
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
from msgspec import Raw, Struct

from geoengine.catalog.reading.document import Refused
from geoengine.catalog.reading.sources import Sources
from geoengine.core.errors import Fault

FILE_MAX_BYTES = 1024 * 1024 * 1024
ROWS_MAX = 2_000_000
NESTED_MAX = 4  # collections of collections, as some exporters write
DELIMITERS = ",;\t|"


class BadRow(NamedTuple):
    """A row that could not be read at all."""

    line: int
    column: int
    what: str


class JsonRow(NamedTuple):
    """A record of an NDJSON or GeoJSON file."""

    line: int
    record: dict[str, Any]


class CsvTable:
    """A CSV file with a header; its separator is the one of `, ; tab |` most in the header."""

    def __init__(self, path: Path, sources: Sources) -> None:
        self.path = path
        self._sources = sources
        with path.open(encoding="utf-8-sig", newline="") as lines:
            self._first = lines.readline()
        self.delimiter = max(DELIMITERS, key=self._first.count)
        names = next(csv.reader([self._first], delimiter=self.delimiter))
        self.header = [name.strip() for name in names]

    def rows(self, progress: Callable[[int], None]) -> Iterator[tuple[int, list[str], str]]:
        """Line, cells and raw text of each row; blank lines are passed over."""
        with TextIOWrapper(
            self._sources.open(self.path), encoding="utf-8-sig", newline=""
        ) as lines:
            first = next(lines, "")
            if first != self._first:
                raise Refused([Fault(str(self.path), 1, 1, "changed while it was read")])
            tap = _Tap(chain([first], lines))
            reader = csv.reader(tap, delimiter=self.delimiter)
            next(reader, None)
            end = reader.line_num
            for cells in reader:
                line, end = end + 1, reader.line_num
                if cells:
                    yield line, cells, tap.last
                if not line % 8192:
                    progress(tap.read_bytes)

    def column_at(self, raw: str, cell_ix: int) -> int:
        """Where a cell of a row begins, from 1; quotes respected."""
        column, is_quoted = 0, False
        for position, sign in enumerate(raw):
            if cell_ix == 0:
                return column + 1
            if sign == '"':
                is_quoted = not is_quoted
            elif sign == self.delimiter and not is_quoted:
                cell_ix -= 1
                column = position + 1
        return column + 1


class _Tap:
    """Passes lines on and keeps the last, to say later where in it a cell stands."""

    def __init__(self, lines: Iterator[str]) -> None:
        self._lines = lines
        self.last = ""
        self.read_bytes = 0  # about: a sign may be more than a byte

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        self.last = next(self._lines)
        self.read_bytes += len(self.last)
        return self.last


def ndjson_rows(
    path: Path,
    progress: Callable[[int], None],
    sources: Sources,
    decode: Callable[[bytes], Any] = msgspec.json.decode,
) -> Iterator[JsonRow | BadRow]:
    """The records of a file with one JSON object, or GeoJSON feature, a line."""
    with sources.open(path) as lines:
        for line, text in enumerate(lines, 1):
            if not text.strip():
                continue
            try:
                yield _json_row(line, decode(text))
            except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
                yield BadRow(line, 1, f"not JSON: {error}")
            if not line % 8192:
                progress(lines.tell())


def json_rows(
    path: Path, progress: Callable[[int], None], sources: Sources
) -> Iterator[JsonRow | BadRow]:
    """The features of a GeoJSON file, or the objects of a JSON list."""
    text = sources.read_bytes(path)
    try:
        if text.lstrip()[:1] == b"[":
            parts = _LIST.decode(text)
        else:
            parts = _COLLECTION.decode(text).features
    except (msgspec.DecodeError, RecursionError) as error:
        raise Refused([Fault(str(path), 1, 1, f"not GeoJSON: {error}")]) from error
    for line, part in _lines_of(text, 1, parts, progress):
        yield from _features(part, line, NESTED_MAX)


class _Collection(Struct):
    features: list[Raw]


class _Part(Struct):
    """Enough of a JSON object to tell a feature from a collection within a collection."""

    type: Any = None
    features: list[Raw] | None = None


_LIST = msgspec.json.Decoder(list[Raw])
_COLLECTION = msgspec.json.Decoder(_Collection)
_PART = msgspec.json.Decoder(_Part)


def _features(part: Raw, line: int, depth: int) -> Iterator[JsonRow | BadRow]:
    text = bytes(part)
    try:
        inner = _PART.decode(text)
        if inner.type != "FeatureCollection":
            yield _json_row(line, msgspec.json.decode(text))
            return
    except (msgspec.DecodeError, RecursionError) as error:
        yield BadRow(line, 1, f"not a feature: {error}")
        return
    if depth == 0:
        yield BadRow(line, 1, f"collections nested deeper than {NESTED_MAX}")
        return
    for inner_line, inner_part in _lines_of(text, line, inner.features or [], _ignore):
        yield from _features(inner_part, inner_line, depth - 1)


def _lines_of(
    text: bytes, line: int, parts: list[Raw], progress: Callable[[int], None]
) -> Iterator[tuple[int, Raw]]:
    """Each part with the line on which it begins; ``line`` is that of the text's beginning."""
    cursor = 0
    for part in parts:
        start = text.find(bytes(part), cursor)
        line += text.count(b"\n", cursor, start)
        yield line, part
        cursor = start
        progress(start)


def _ignore(_done: int) -> None:
    """Progress within a nested collection is not shown."""


def _json_row(line: int, record: Any) -> JsonRow | BadRow:
    if not isinstance(record, dict):
        return BadRow(line, 1, "a row is not an object")
    if record.get("type") != "Feature":
        return JsonRow(line, record)
    properties, geometry = record.get("properties") or {}, record.get("geometry")
    if not isinstance(properties, dict) or not isinstance(geometry, dict):
        return BadRow(line, 1, "the feature has no geometry")
    flat = {"id": record.get("id"), **properties} if "id" in record else dict(properties)
    return _with_geometry(line, flat, geometry)


def _with_geometry(line: int, record: dict[str, Any], geometry: dict[str, Any]) -> JsonRow | BadRow:
    kind, coordinates = geometry.get("type"), geometry.get("coordinates")
    if kind in ("Polygon", "MultiPolygon"):
        record["polygon"] = geometry
        return JsonRow(line, record)
    if kind != "Point" or not isinstance(coordinates, list) or len(coordinates) < 2:
        return BadRow(line, 1, f"geometry is {kind}: expected Point, Polygon or MultiPolygon")
    record["lon"], record["lat"] = coordinates[:2]
    return JsonRow(line, record)
