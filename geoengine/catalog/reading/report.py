"""What was read, where each thing came from, and everything that is wrong with it.

A fault in the YAML is an error: the catalogue is refused. A fault in a row of an imported file is
a warning: the row is left out, the others load.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Generic, TypeVar

from geoengine.catalog.reading.document import Node
from geoengine.catalog.reading.sources import Sources
from geoengine.core.errors import Fault

T = TypeVar("T")
WARNINGS_MAX = 10_000  # of one kind of file a million rows can be wrong in the same way


def suggestion(word: str, known: Iterable[str]) -> str:
    """A guess at what was meant, to append to a fault; empty where nothing is near.

    >>> suggestion("radus_m", ["minutes", "radius_m"])
    '; did you mean `radius_m`?'
    """
    near = get_close_matches(word, list(known)[:50_000], 1, 0.6)
    return f"; did you mean `{near[0]}`?" if near else ""


@dataclass
class Report:
    """Errors, warnings, how many rows were left out, and which files all this was read from."""

    errors: list[Fault] = field(default_factory=list)
    warnings: list[Fault] = field(default_factory=list)
    skipped_count: int = 0
    sources: Sources = field(default_factory=Sources)

    def warn(self, fault: Fault) -> None:
        """Add a warning, unless there are too many to read."""
        if len(self.warnings) < WARNINGS_MAX:
            self.warnings.append(fault)

    def skip(self, faults: list[Fault]) -> None:
        """A row of an import is left out, for these reasons."""
        self.skipped_count += 1
        for fault in faults:
            self.warn(fault)


@dataclass
class Segment:
    """A run of items from one file: YAML items with their nodes, or rows with their lines."""

    file: str
    nodes: list[Node] = field(default_factory=list)
    lines: array[int] = field(default_factory=lambda: array("q"))
    is_import: bool = False


class Items(Generic[T]):
    """Things of one kind in the order of the catalogue; each knows where it was written."""

    def __init__(self, report: Report) -> None:
        self.values: list[T] = []
        self.left_out: set[int] = set()  # positions of rows and items that have a fault
        self.report = report
        self.mended: dict[int, frozenset[str]] = {}  # keys at fault, told of and left out
        self._segments: list[Segment] = []
        self._starts: list[int] = []

    def __len__(self) -> int:
        return len(self.values)

    def __iter__(self) -> Iterator[tuple[int, T]]:
        """Position and value of everything that has no fault so far."""
        left_out = self.left_out
        return (pair for pair in enumerate(self.values) if pair[0] not in left_out)

    def add(
        self, file: str, node: Node, value: T, *, mended_keys: frozenset[str] | None = None
    ) -> None:
        """An item of a YAML file; ``mended_keys`` of it were at fault and are told of already."""
        if mended_keys is not None:
            self.mended[len(self.values)] = mended_keys
        if not self._segments or self._segments[-1].is_import or self._segments[-1].file != file:
            self._open(Segment(file))
        self._segments[-1].nodes.append(node)
        self.values.append(value)

    def add_rows(self, file: str, lines: array[int], values: list[T]) -> None:
        """Rows of an imported file."""
        self._open(Segment(file, lines=lines, is_import=True))
        self.values.extend(values)

    def place(self, ix: int, what: str, *path: str | int) -> Fault:
        """A fault of this item, at a path inside it where the file shows one."""
        at = bisect_right(self._starts, ix) - 1
        segment, offset = self._segments[at], ix - self._starts[at]
        if segment.is_import:
            return Fault(segment.file, segment.lines[offset], 1, what)
        node = segment.nodes[offset].at(*path)
        return Fault(segment.file, node.line, node.column, what)

    def is_row(self, ix: int) -> bool:
        """Whether the item is a row of an imported file."""
        return self._segments[bisect_right(self._starts, ix) - 1].is_import

    def file_of(self, ix: int) -> str:
        """The file in which the item stands: paths inside it are relative to that."""
        return self._segments[bisect_right(self._starts, ix) - 1].file

    def wrong(self, ix: int, what: str, *path: str | int) -> None:
        """Report a fault: an error of a YAML item, a warning and a skipped row of an import."""
        if self._is_told(ix, path):
            return
        fault = self.place(ix, what, *path)
        if not self.is_row(ix):
            self.report.errors.append(fault)
        elif ix in self.left_out:
            self.report.warn(fault)
        else:
            self.report.skip([fault])
        self.left_out.add(ix)

    def doubtful(self, ix: int, what: str, *path: str | int) -> None:
        """Report something that is allowed but probably not meant."""
        if self._is_told(ix, path):
            return
        self.report.warn(self.place(ix, what, *path))

    def _is_told(self, ix: int, path: tuple[str | int, ...]) -> bool:
        """Whether the key at fault has been told of when the item was read."""
        return bool(path) and path[0] in self.mended.get(ix, ())

    def _open(self, segment: Segment) -> None:
        self._segments.append(segment)
        self._starts.append(len(self.values))
