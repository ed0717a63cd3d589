"""Stores and zones by the thousand: rows of a CSV, NDJSON or GeoJSON file into nouns.

Columns are named as the YAML's keys, flattened: ``id, name, lat, lon, radius_m, minutes, setting,
hours, time_zone, country, tags`` (separated by ``|`` or ``;``) and so on, or mapped by
``columns:``, our key first. What ``defaults:`` says holds for every row unless the row says
otherwise. A file without ids gets them: the name and a hash of name and place, so they stay the
same while these do.
"""

from __future__ import annotations

import re
import unicodedata
from array import array
from collections.abc import Callable, Iterator
from hashlib import blake2b
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from geoengine.catalog.reading.document import Node, Refused
from geoengine.catalog.reading.report import Items, suggestion
from geoengine.catalog.reading.rows import (
    FILE_MAX_BYTES,
    ROWS_MAX,
    BadRow,
    CsvTable,
    JsonRow,
    json_rows,
    ndjson_rows,
)
from geoengine.catalog.reading.shape import convert, keys_of
from geoengine.catalog.reading.sources import Progress, Sources
from geoengine.core.errors import Fault
from geoengine.core.model import Import, PresenceSpec, Store, Zone

N = TypeVar("N", Store, Zone)
Path2 = tuple[str, ...]

_PRESENCE: dict[str, Path2] = {key: ("presence", key) for key in keys_of(PresenceSpec)}
_REACH = ("minutes", "mode", "speed_mps", "detour", "radius_m")
_EXTENT = frozenset({"minutes", "radius_m", "polygon"})  # each is a whole reach of its own
FLAT: dict[type[Store | Zone], dict[str, Path2]] = {
    Store: {
        **{key: (key,) for key in keys_of(Store) if key not in ("location", "beacons")},
        **{key: ("reach", key) for key in _REACH},
        "lat": ("location", "lat"),
        "lon": ("location", "lon"),
        **_PRESENCE,
    },
    Zone: {
        **{key: (key,) for key in keys_of(Zone) if key != "center"},
        "lat": ("center", "lat"),
        "lon": ("center", "lon"),
        **_PRESENCE,
    },
}
_TAGS = re.compile(r"[|;]")
_NOT_ID = re.compile(r"[^A-Za-z0-9._:-]+")
_NOT_SLUG = re.compile(r"[^a-z0-9]+")
SLUG_MAX = 48


def load_rows(
    spec: Import, kind: type[N], path: Path, node: Node, file: str, items: Items[N], tell: Progress
) -> None:
    """Add the rows of a file to the items; what is wrong with a row goes to their report.

    Raises `Refused` where the file as a whole cannot be used.
    """
    _check_file(path, node, file)
    shaper = Shaper(spec, kind, str(path), node, file, items.report.sources)
    size = path.stat().st_size
    lines, values = array("q"), []
    try:
        for line, outcome in shaper.read(path, lambda done: tell(str(path), done, size)):
            if isinstance(outcome, list):
                items.report.skip(outcome)
            else:
                lines.append(line)
                values.append(outcome)
            if len(values) > ROWS_MAX:
                raise Refused([Fault(str(path), line, 1, f"more than {ROWS_MAX:,} rows")])
    except UnicodeDecodeError as error:
        fault = Fault(str(path), 1, 1, "not UTF-8 text: save the file as UTF-8")
        raise Refused([fault]) from error
    for what in shaper.remarks:
        items.report.warn(Fault(str(path), 1, 1, what))
    items.add_rows(str(path), lines, values)


def _check_file(path: Path, node: Node, file: str) -> None:
    if not path.is_file():
        raise Refused([Fault(file, node.line, node.column, f"{path} does not exist")])
    if path.stat().st_size > FILE_MAX_BYTES:
        limit = FILE_MAX_BYTES // 1024 // 1024
        raise Refused([Fault(file, node.line, node.column, f"{path} is larger than {limit} MB")])


class Shaper:
    """Turns the rows of one file into stores or zones."""

    def __init__(
        self,
        spec: Import,
        kind: type[Store | Zone],
        rows_file: str,
        node: Node,
        file: str,
        sources: Sources,
    ) -> None:
        self.spec = spec
        self.kind: type[Any] = kind
        self.rows_file = rows_file
        self.node = node
        self.file = file
        self.remarks: list[str] = []
        self._sources = sources
        self._flat = FLAT[kind]
        self._grouped = {key: path for key, path in self._flat.items() if len(path) == 2}
        self._check_keys()
        self._base = self._nest(spec.defaults)

    def read(
        self, path: Path, progress: Callable[[int], None]
    ) -> Iterator[tuple[int, Any | list[Fault]]]:
        """Line and store or zone of each row, or all its faults."""
        suffix = path.suffix.lower()
        if suffix in (".ndjson", ".jsonl", ".geojsonl"):
            yield from self._read_json(ndjson_rows(path, progress, self._sources))
        elif suffix in (".geojson", ".json"):
            yield from self._read_json(json_rows(path, progress, self._sources))
        elif suffix in (".csv", ".tsv", ".psv", ".txt"):
            yield from self._read_csv(CsvTable(path, self._sources), progress)
        else:
            raise Refused([self._fault(f"{path}: expected .csv, .ndjson, .geojson or .json")])

    def _fault(self, what: str, *path: str) -> Fault:
        at = self.node.at(*path)
        return Fault(self.file, at.line, at.column, what)

    def _check_keys(self) -> None:
        """Keys of `columns` and `defaults` that the noun does not have."""
        known = self._flat.keys() | set(keys_of(self.kind))
        faults = [
            self._fault(f"`{key}` is not a column{suggestion(key, known)}", section, key)
            for section, keys in (("columns", self.spec.columns), ("defaults", self.spec.defaults))
            for key in keys
            if key not in known
        ]
        if faults:
            raise Refused(faults)

    def _read_csv(
        self, table: CsvTable, progress: Callable[[int], None]
    ) -> Iterator[tuple[int, Any | list[Fault]]]:
        plan = self._plan(table.header)
        has_ids = "id" in plan
        cells_of = [(cell_ix, key, self._flat[key]) for key, cell_ix in plan.items()]
        for line, cells, raw in table.rows(progress):
            found = {}
            try:
                for cell_ix, key, _path in cells_of:
                    text = cells[cell_ix].strip()
                    if text:
                        found[key] = text
            except IndexError:
                what = f"the row has {len(cells)} cells: expected {len(table.header)}"
                yield line, [Fault(self.rows_file, line, 1, what)]
                continue
            record = self._record(found, derives_id=not has_ids)
            try:
                yield line, msgspec.convert(record, self.kind, strict=False)
            except msgspec.ValidationError:
                columns = {key: table.column_at(raw, cell_ix) for cell_ix, key, _path in cells_of}
                yield line, self._faults(record, line, columns, strict=False)

    def _read_json(
        self, rows: Iterator[JsonRow | BadRow]
    ) -> Iterator[tuple[int, Any | list[Fault]]]:
        for row in rows:
            if isinstance(row, BadRow):
                yield row.line, [Fault(self.rows_file, row.line, row.column, row.what)]
                continue
            record = self._record(self._pick(row.record), derives_id=True)
            try:
                yield row.line, msgspec.convert(record, self.kind)
            except msgspec.ValidationError:
                yield row.line, self._faults(record, row.line, {}, strict=True)

    def _plan(self, header: list[str]) -> dict[str, int]:
        """Position in a row of each of our keys; says which columns it cannot find."""
        plan = {key: header.index(key) for key in self._flat if key in header}
        for key, name in self.spec.columns.items():
            if name not in header:
                guess = suggestion(name, header) or f": it has {', '.join(header)}"
                what = f"{self.rows_file} has no column `{name}`{guess}"
                raise Refused([self._fault(what, "columns", key)])
            plan[key] = header.index(name)
        self._check_plan(plan, header)
        used = set(plan.values())
        absent = self._flat.keys() - plan.keys()
        for name in (name for ix, name in enumerate(header) if ix not in used and name):
            if guess := suggestion(name, absent):
                self.remarks.append(f"column `{name}` is not used{guess}")
        return plan

    def _check_plan(self, plan: dict[str, int], header: list[str]) -> None:
        needed = ("name", "lat", "lon") if self.kind is Store else ("lat", "lon")
        given = plan.keys() | self._base.keys()
        for key in needed:
            if key not in given and self._flat[key][0] not in given:
                what = f"{self.rows_file} has no column `{key}`: name it under `columns:`; "
                raise Refused([self._fault(what + f"it has {', '.join(header)}")])

    def _pick(self, record: dict[str, Any]) -> dict[str, Any]:
        """Our keys of a JSON record: flattened, or nested as in the YAML."""
        columns = self.spec.columns
        found = {key: record[key] for key in self._flat if key in record}
        found |= {key: record[key] for key in ("location", "center", "reach") if key in record}
        found |= {key: _dig(record, name) for key, name in columns.items()}
        if "id" in found:  # numbers, and OSM's `node/296237244`
            found["id"] = _NOT_ID.sub("-", str(found["id"] or ""))
        return {key: value for key, value in found.items() if value is not None and value != ""}

    def _record(self, found: dict[str, Any], *, derives_id: bool) -> dict[str, Any]:
        """A row's values in the shape of the YAML, over the defaults."""
        record = self._nest(found)
        for key, default in self._base.items():
            if key not in record:
                record[key] = default
            elif _adds_up(key, default, record[key]):
                record[key] = default | record[key]
        if derives_id and "id" not in record:
            record["id"] = derived_id(
                str(record.get("name", "")), found.get("lat"), found.get("lon"), found
            )
        return record

    def _nest(self, found: dict[str, Any]) -> dict[str, Any]:
        """Flat keys in the shape of the YAML: `lat` becomes `location.lat`."""
        record: dict[str, Any] = {}
        grouped = self._grouped
        for key, value in found.items():
            path = grouped.get(key)
            if path is not None:
                record.setdefault(path[0], {})[path[1]] = value
            elif key == "tags" and isinstance(value, str):
                record[key] = [tag.strip() for tag in _TAGS.split(value) if tag.strip()]
            elif isinstance(value, dict):
                record[key] = value | record.get(key, {})
            else:
                record[key] = value
        return record

    def _faults(
        self, record: dict[str, Any], line: int, columns: dict[str, int], *, strict: bool
    ) -> list[Fault]:
        """Everything wrong with a row, each at its cell."""
        places = {self._flat[key]: column for key, column in columns.items()}
        node = _placed(record, line, places, ())
        wrong = convert(node, self.kind, self.rows_file, strict=strict)
        return wrong if isinstance(wrong, list) else []


def _adds_up(key: str, default: Any, written: Any) -> bool:
    """Whether a default mapping completes the row's; a radius is a whole reach, not part of one."""
    if not isinstance(default, dict) or not isinstance(written, dict):
        return False
    return key != "reach" or not _EXTENT & written.keys()


def derived_id(name: str, lat: Any, lon: Any, found: dict[str, Any]) -> str:
    """An id for a row that has none: stable while its name and place are.

    >>> derived_id("Café des Halles", 48.86, 2.34, {})
    'cafe-des-halles-1c35a2'
    """
    ascii_name = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    slug = _NOT_SLUG.sub("-", ascii_name).strip("-")[:SLUG_MAX] or "row"
    shape = str(found.get("polygon", "")) if lat is None else ""
    digest = blake2b(f"{name}|{lat}|{lon}|{shape}".encode(), digest_size=3).hexdigest()
    return f"{slug}-{digest}"


def _dig(record: dict[str, Any], name: str) -> Any:
    """A property by name, or by a path with dots through nested objects."""
    if name in record:
        return record[name]
    value: Any = record
    for step in name.split("."):
        value = value.get(step) if isinstance(value, dict) else None
    return value


def _placed(value: Any, line: int, places: dict[Path2, int], path: Path2) -> Node:
    """A row's value as a node, so that it can be explained like one of a document."""
    column = places.get(path, 1)
    if isinstance(value, dict):
        inner = {key: _placed(item, line, places, (*path, key)) for key, item in value.items()}
        keys = {key: (line, node.column) for key, node in inner.items()}
        return Node(line, column, inner, keys)
    if isinstance(value, list):
        return Node(line, column, [Node(line, column, item) for item in value])
    return Node(line, column, value)
