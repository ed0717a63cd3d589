"""The files of a directory, merged: items of every kind, each knowing where it stands."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from msgspec import Struct

from geoengine.catalog.reading.document import Node, Refused, read_document
from geoengine.catalog.reading.imports import load_rows
from geoengine.catalog.reading.report import Items, Report, suggestion
from geoengine.catalog.reading.shape import convert, keys_of, mend, types_of
from geoengine.catalog.reading.sources import Progress
from geoengine.core.errors import Fault
from geoengine.core.model import (
    Campaign,
    Catalogue,
    EngineSpec,
    Gateway,
    Import,
    Store,
    Zone,
)

SUFFIXES = frozenset({".yaml", ".yml"})


class Gathered:
    """Everything that a directory says, item by item, and the engine's settings."""

    def __init__(self) -> None:
        self.report = Report()
        self.stores: Items[Store] = Items(self.report)
        self.zones: Items[Zone] = Items(self.report)
        self.campaigns: Items[Campaign] = Items(self.report)
        self.gateways: Items[Gateway] = Items(self.report)
        self.engine = EngineSpec()
        self.documents: list[str] = []  # the YAML files, in order
        self._engine_keys: dict[str, tuple[str, Node, tuple[int, int]]] = {}

    def engine_fault(self, what: str, key: str, *path: str | int) -> None:
        """Report an error of the engine's settings."""
        self.report.errors.append(self._engine_place(what, key, *path))

    def engine_doubt(self, what: str, key: str, *path: str | int) -> None:
        """Report something in the engine's settings that deserves a second look."""
        self.report.warn(self._engine_place(what, key, *path))

    def _engine_place(self, what: str, key: str, *path: str | int) -> Fault:
        file, node, _at = self._engine_keys[key]
        at = node.at(*path)
        return Fault(file, at.line, at.column, what)


def gather(directory: Path, tell: Progress) -> Gathered:
    """Read all YAML files of a directory, or the one file given, and what they import."""
    found = Gathered()
    files = files_of(directory)
    found.documents = [str(path) for path in files]
    if not files:
        what = "no catalogue here: expected a directory with .yaml files"
        found.report.errors.append(Fault(str(directory), 1, 1, what))
    for path in files:
        _merge(found, path, tell)
    _read_engine(found)
    report = found.report
    if files and not (
        found.stores.values or found.zones.values or report.errors or report.skipped_count
    ):
        # Also what a file looks like that an editor has emptied and not yet written again.
        what = "nothing to be near: expected at least one store or zone"
        report.errors.append(Fault(str(files[0]), 1, 1, what))
    return found


def files_of(directory: Path) -> list[Path]:
    """The YAML files of a directory and of those below it, in order; hidden ones left out."""
    if directory.is_file():
        return [directory]
    return sorted(
        path
        for path in directory.rglob("*")
        if path.suffix in SUFFIXES
        and path.is_file()
        and not any(part.startswith(".") for part in path.relative_to(directory).parts)
    )


def _merge(found: Gathered, path: Path, tell: Progress) -> None:
    file = str(path)
    try:
        document = read_document(path, found.report.sources)
    except Refused as refusal:
        found.report.errors += refusal.faults
        return
    if not isinstance(document.value, dict):
        if document.value is not None:
            what = "expected a mapping with stores, zones, campaigns, gateways or engine"
            found.report.errors.append(Fault(file, document.line, document.column, what))
        return
    for key, node in document.value.items():
        line, column = (document.keys or {})[key]
        reader = _READERS.get(key)
        if reader is None:
            known = keys_of(Catalogue)
            guess = suggestion(key, known) or f": expected one of {', '.join(known)}"
            what = f"`{key}` is not a key of a catalogue{guess}"
            found.report.errors.append(Fault(file, line, column, what))
        elif node.value is not None:
            reader(found, path, key, node, tell)


def _read_items(found: Gathered, path: Path, key: str, node: Node, tell: Progress) -> None:
    kind, items = _KINDS[key], getattr(found, key)
    importable = _IMPORTED.get(key)
    if not isinstance(node.value, list):
        what = f"{key} is not a list: expected items that begin with `- id:`"
        found.report.errors.append(Fault(str(path), node.line, node.column, what))
        return
    for item in node.value:
        if importable and isinstance(item.value, dict) and "import" in item.value:
            _read_import(found, path, items, importable, item, tell)
            continue
        outcome = convert(item, kind, str(path))
        if not isinstance(outcome, list):
            items.add(str(path), item, outcome)
            continue
        found.report.errors += outcome
        if mended := mend(item, kind):
            items.add(str(path), item, mended[0], mended_keys=mended[1])


def _read_import(
    found: Gathered, path: Path, items: Items[Any], kind: type[Any], item: Node, tell: Progress
) -> None:
    outcome = convert(_renamed(item), Import, str(path))
    if isinstance(outcome, list):
        found.report.errors += outcome
        return
    try:
        load_rows(outcome, kind, path.parent / outcome.path, item, str(path), items, tell)
    except Refused as refusal:
        found.report.errors += refusal.faults


def _renamed(item: Node) -> Node:
    """An import with its first key as the struct calls it: `import` is a word of Python's."""
    names = {"import": "path"}
    value = {names.get(key, key): child for key, child in item.value.items()}
    keys = {names.get(key, key): at for key, at in (item.keys or {}).items()}
    return Node(item.line, item.column, value, keys)


def _read_engine(found: Gathered) -> None:
    """One spec from the engine keys of all files; each was checked where it stands."""
    values = {key: node for key, (_file, node, _at) in found._engine_keys.items()}
    outcome = convert(Node(1, 1, values, {}), EngineSpec, "engine")
    if not isinstance(outcome, list):
        found.engine = outcome


def _add_engine(found: Gathered, path: Path, _key: str, node: Node, _tell: Progress) -> None:
    file = str(path)
    outcome = convert(node, EngineSpec, file)
    if isinstance(outcome, list):
        found.report.errors += outcome
    if not isinstance(node.value, dict):
        return
    for key, child in node.value.items():
        at = (node.keys or {})[key]
        if key in found._engine_keys:
            first, _node, (line, _column) = found._engine_keys[key]
            what = f"engine.{key} stands in {first}:{line} too: expected it once"
            found.report.errors.append(Fault(file, *at, what))
        elif key in types_of(EngineSpec):
            found._engine_keys[key] = (file, child, at)


_KINDS: dict[str, type[Struct]] = {
    "stores": Store,
    "zones": Zone,
    "campaigns": Campaign,
    "gateways": Gateway,
}
_IMPORTED: dict[str, type[Struct]] = {"stores": Store, "zones": Zone}
_READERS: dict[str, Callable[[Gathered, Path, str, Node, Progress], None]] = {
    **dict.fromkeys(_KINDS, _read_items),
    "engine": _add_engine,
}
