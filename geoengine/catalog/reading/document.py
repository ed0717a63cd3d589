"""YAML with positions: plain values, and where each of them stands.

One pass over the parser's events builds the values. Nothing is composed or constructed by the
YAML library: its recursion crashes on deep nesting, its aliases make bombs, its tags run code.
YAML 1.1's surprises are left out: ``no``, ``on``, ``12:30``, ``012`` and dates stay text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from geoengine.catalog.reading.sources import Sources
from geoengine.core.errors import Fault

FILE_MAX_BYTES = 32 * 1024 * 1024
DEPTH_MAX = 32
VALUES_MAX = 600_000  # about 3 s of parsing; ten thousand stores take half of it
BULK = "; put stores by the thousand into a CSV, NDJSON or GeoJSON file and write `- import: FILE`"

_NULL = frozenset({"", "~", "null", "Null", "NULL"})
_BOOLEAN = dict.fromkeys(("true", "True", "TRUE"), True)
_BOOLEAN |= dict.fromkeys(("false", "False", "FALSE"), False)
# No leading zeros (a code is not a number) and no more digits than 64 bits hold.
_INTEGER = re.compile(r"[-+]?(0|[1-9][0-9]{0,17})")
_DECIMAL = re.compile(
    r"[-+]?(\.[0-9]{1,40}|(0|[1-9][0-9]{0,40})(\.[0-9]{0,40})?)([eE][-+]?[0-9]{1,3})?"
)
_STRING_TAG = "tag:yaml.org,2002:str"


@dataclass(slots=True)
class Node:
    """A value of a document and where it stands; lists and mappings hold nodes."""

    line: int  # from 1, as editors count
    column: int
    value: Any  # None, bool, int, float, str, list[Node] or dict[str, Node]
    keys: dict[str, tuple[int, int]] | None = None  # of a mapping: where each key stands

    def plain(self) -> Any:
        """The value without positions."""
        if isinstance(self.value, dict):
            return {key: node.plain() for key, node in self.value.items()}
        if isinstance(self.value, list):
            return [node.plain() for node in self.value]
        return self.value

    def at(self, *path: str | int) -> Node:
        """The node at a path, or the nearest one above it that exists."""
        node = self
        for step in path:
            child = _child(node, step)
            if child is None:
                return node
            node = child
        return node


class Refused(Exception):
    """The document cannot be read any further; `faults` says why and where."""

    def __init__(self, faults: list[Fault]) -> None:
        self.faults = faults
        super().__init__("\n".join(map(str, faults)))


def read_document(path: Path, sources: Sources | None = None) -> Node:
    """The values of a YAML file. Raises `Refused` with every fault that makes it unreadable."""
    return parse(_text(path, sources or Sources()), str(path))


def parse(text: str, file: str) -> Node:
    """The values of a YAML text; an empty one is an empty mapping. Raises `Refused`."""
    if _separators(text) > VALUES_MAX:
        raise Refused([Fault(file, 1, 1, f"more than {VALUES_MAX:,} values{BULK}")])
    builder = _Builder(file)
    try:
        for event in _events(text):
            builder.take(event)
    except yaml.MarkedYAMLError as error:
        raise Refused([*builder.faults, _syntax_fault(file, error)]) from error
    except yaml.YAMLError as error:
        raise Refused([*builder.faults, Fault(file, 1, 1, f"not YAML: {error}")]) from error
    if builder.faults:
        raise Refused(builder.faults)
    return builder.root or Node(1, 1, {}, {})


def scalar(text: str) -> bool | int | float | str | None:
    """What an unquoted word means: null, true, false and decimal numbers, else itself.

    >>> [scalar(word) for word in ("on", "no", "12:30:00", "012", "1e3", "~")]
    ['on', 'no', '12:30:00', '012', 1000.0, None]
    """
    if text in _NULL:
        return None
    if text in _BOOLEAN:
        return _BOOLEAN[text]
    if _INTEGER.fullmatch(text):
        return int(text)
    return float(text) if _DECIMAL.fullmatch(text) else text


def _child(node: Node, step: str | int) -> Node | None:
    if isinstance(node.value, dict) and isinstance(step, str):
        return node.value.get(step)
    if isinstance(node.value, list) and isinstance(step, int) and step < len(node.value):
        child: Node = node.value[step]
        return child
    return None


def _text(path: Path, sources: Sources) -> str:
    file = str(path)
    try:
        if path.stat().st_size > FILE_MAX_BYTES:
            limit = FILE_MAX_BYTES // 1024 // 1024
            raise Refused([Fault(file, 1, 1, f"larger than {limit} MB{BULK}")])
        return sources.read_bytes(path).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise Refused([Fault(file, line, 1, "not UTF-8 text: save the file as UTF-8")]) from error
    except OSError as error:
        raise Refused([Fault(file, 1, 1, f"cannot be read: {error.strerror}")]) from error


def _separators(text: str) -> int:
    """About how many values the text can have, counted before any of it is parsed."""
    return text.count(",") + text.count("\n") + text.count(": ")


def _events(text: str) -> Iterator[Any]:
    loader = yaml.CSafeLoader(text)
    try:
        while loader.check_event():
            yield loader.get_event()
    finally:
        loader.dispose()


def _syntax_fault(file: str, error: yaml.MarkedYAMLError) -> Fault:
    mark = error.problem_mark or error.context_mark
    what = " ".join(part for part in (error.problem, error.context) if part)
    hint = "; put text with : or # in quotes" if "mapping values" in what else ""
    line, column = (1, 1) if mark is None else (mark.line + 1, mark.column + 1)
    return Fault(file, line, column, f"not YAML: {what}{hint}")


class _Builder:
    """Takes events one by one and grows the tree; refuses what no catalogue needs."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.root: Node | None = None
        self.faults: list[Fault] = []
        self._open: list[Node] = []
        self._keys: list[tuple[str, int, int] | None] = []  # of each open mapping, awaiting a value
        self._count = 0

    def take(self, event: Any) -> None:
        """Grow by one event."""
        if isinstance(event, yaml.ScalarEvent):
            self._scalar(event)
        elif isinstance(event, yaml.MappingStartEvent):
            self._start(event, {}, {})
        elif isinstance(event, yaml.SequenceStartEvent):
            self._start(event, [], None)
        elif isinstance(event, yaml.MappingEndEvent | yaml.SequenceEndEvent):
            self._open.pop()
            self._keys.pop()
        elif isinstance(event, yaml.AliasEvent):
            self._refuse(event, f"alias *{event.anchor}: aliases are not read, write it out")
        elif isinstance(event, yaml.DocumentStartEvent) and self.root is not None:
            self._refuse(event, "a second document: expected one per file")

    def _scalar(self, event: Any) -> None:
        if self._awaits_key():
            line, column = event.start_mark.line + 1, event.start_mark.column + 1
            self._keys[-1] = (event.value, line, column)
            return
        if event.tag not in (None, "!", _STRING_TAG):
            self._refuse(event, f"tag {event.tag}: tags are not read, expected a plain value")
        is_plain = event.tag is None and event.implicit[0]
        self._add(event, scalar(event.value) if is_plain else event.value, None)

    def _start(self, event: Any, value: Any, keys: dict[str, tuple[int, int]] | None) -> None:
        if self._awaits_key():
            self._refuse(event, "a list or mapping as a key: expected a word")
        if event.tag not in (None, "!"):
            self._refuse(event, f"tag {event.tag}: tags are not read, expected a plain value")
        if len(self._open) >= DEPTH_MAX:
            self._refuse(event, f"nested deeper than {DEPTH_MAX} levels")
        node = self._add(event, value, keys)
        self._open.append(node)
        self._keys.append(None)

    def _awaits_key(self) -> bool:
        return bool(self._open) and self._open[-1].keys is not None and self._keys[-1] is None

    def _add(self, event: Any, value: Any, keys: dict[str, tuple[int, int]] | None) -> Node:
        mark = event.start_mark
        node = Node(mark.line + 1, mark.column + 1, value, keys)
        self._count += 1
        if self._count > VALUES_MAX:
            self._refuse(event, f"more than {VALUES_MAX:,} values{BULK}")
        if not self._open:
            self.root = node
        elif self._open[-1].keys is None:
            self._open[-1].value.append(node)
        else:
            self._put(self._open[-1], node)
        return node

    def _put(self, mapping: Node, node: Node) -> None:
        key = self._keys[-1]
        assert key is not None and mapping.keys is not None
        name, line, column = key
        self._keys[-1] = None
        if name in mapping.value:
            first = mapping.keys[name][0]
            what = f"`{name}` is written twice: it already stands in line {first}"
            self.faults.append(Fault(self.file, line, column, what))
            return
        mapping.value[name] = node
        mapping.keys[name] = (line, column)

    def _refuse(self, event: Any, what: str) -> None:
        mark = event.start_mark
        raise Refused([*self.faults, Fault(self.file, mark.line + 1, mark.column + 1, what)])
