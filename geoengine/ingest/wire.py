"""JSON bodies into rows of one struct: an object, an array, or NDJSON, told apart by content.

The whole body is decoded at once into typed structs. Only when that fails is it taken apart row by
row, to find which rows are at fault; what the rows then hold is the same on both roads. Nothing a
client can send makes this raise: a row at fault is a `Reject`, a body at fault is `Malformed`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, Generic, TypeVar

import msgspec

T = TypeVar("T", bound=msgspec.Struct)

_PLACE = re.compile(r"at `\$\.(\w+)")
# RecursionError is how the decoder's own guard answers nesting without end; invalid UTF-8 is a
# UnicodeDecodeError, which is a ValueError like every other complaint of the decoder.
_FAILURES: Final = (ValueError, RecursionError)
_NO_JSON: Final = frozenset({"malformed_json", "too_deep"})
_BLANK: Final = b" \t\r\n"
_BOM: Final = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class Reject:
    """A row that makes no sense: its position in the body, from 0, and why."""

    index: int
    reason: str


@dataclass(frozen=True, slots=True)
class Malformed:
    """A body that is not rows at all: ``empty``, ``malformed_json``, ``not_an_object``,
    ``too_deep``. The answer is 400.
    """

    reason: str


@dataclass(slots=True)
class Rows(Generic[T]):
    """The rows of a body that have the right types, and the rejects among the rest.

    ``row_ix`` is the position of each item in the body; None says that no row was left out.
    """

    items: list[T]
    count: int
    row_ix: list[int] | None = None
    rejects: list[Reject] = field(default_factory=list)

    def rejects_with(self, late: Sequence[Reject]) -> list[Reject]:
        """All rejects, with those that a later look at the items found, by place in the body."""
        if not late:
            return self.rejects
        place = range(self.count) if self.row_ix is None else self.row_ix
        found = [Reject(place[reject.index], reject.reason) for reject in late]
        return sorted(self.rejects + found, key=lambda reject: reject.index)


class Wire(Generic[T]):
    """The decoders of one struct."""

    def __init__(self, row: type[T]) -> None:
        self._row = msgspec.json.Decoder(row)
        self._list = msgspec.json.Decoder(list[row])  # type: ignore[valid-type]
        self._raw = msgspec.json.Decoder(msgspec.Raw)
        self._raws = msgspec.json.Decoder(list[msgspec.Raw])

    def rows(self, body: bytes) -> Rows[T] | Malformed:
        """The rows of a body of any of the three kinds."""
        body = body.removeprefix(_BOM).strip(_BLANK)
        if not body:
            return Malformed("empty")
        if body[:1] == b"[":
            return self._array(body)
        if body[:1] == b"{" and b"\n" not in body:
            return self._object(body)
        return self._posted_lines(body)

    def lines(self, body: bytes) -> Rows[T]:
        """The rows of NDJSON, one a line; blank lines do not count."""
        try:
            items: list[T] = self._row.decode_lines(body)
        except _FAILURES:
            return self._sorted_out(split_lines(body))
        # The decoder cares for values, not lines: two on a line are somebody's bug, not two rows.
        if len(items) == body.count(b"\n") + (not body.endswith(b"\n")):
            return Rows(items, len(items))
        return self._sorted_out(split_lines(body))

    def _array(self, body: bytes) -> Rows[T] | Malformed:
        try:
            items = self._list.decode(body)
        except _FAILURES:
            return self._element_by_element(body)
        return Rows(items, len(items))

    def _object(self, body: bytes) -> Rows[T] | Malformed:
        item = self._one(body)
        if not isinstance(item, str):
            return Rows([item], 1)
        # The typed decoder may stop at a wrong type before it has seen that the rest is no JSON.
        if (fault := self._fault(body)) is not None:
            return Malformed(fault)
        if item in _NO_JSON:
            return Malformed(item)
        return Rows([], 1, [], [Reject(0, item)])

    def _fault(self, body: bytes) -> str | None:
        """Why the body is not one JSON value; None if it is."""
        try:
            self._raw.decode(body)
        except RecursionError:
            return "too_deep"
        except ValueError:
            return "malformed_json"
        return None

    def _element_by_element(self, body: bytes) -> Rows[T] | Malformed:
        try:
            return self._sorted_out(self._raws.decode(body))
        except RecursionError:
            return Malformed("too_deep")
        except ValueError:
            return Malformed("malformed_json")

    def _posted_lines(self, body: bytes) -> Rows[T] | Malformed:
        rows = self.lines(body)
        if not rows.rejects:
            return rows
        if body[:1] == b"{" and self._fault(body) is None:  # one object over several lines
            return self._object(body)
        reasons = {reject.reason for reject in rows.rejects}
        if not rows.items and reasons <= _NO_JSON | {"not_an_object"}:
            return Malformed(rows.rejects[0].reason)
        return rows

    def _sorted_out(self, bodies: list[bytes] | list[msgspec.Raw]) -> Rows[T]:
        rows: Rows[T] = Rows([], len(bodies), [])
        for index, body in enumerate(bodies):
            item = self._one(body)
            if isinstance(item, str):
                rows.rejects.append(Reject(index, item))
            else:
                rows.items.append(item)
                rows.row_ix.append(index)  # type: ignore[union-attr]
        return rows

    def _one(self, body: bytes | msgspec.Raw) -> T | str:
        """The row, or the reason why there is none."""
        try:
            return self._row.decode(body)
        except msgspec.ValidationError as error:
            return _reason(str(error))
        except RecursionError:
            return "too_deep"
        except ValueError:
            return "malformed_json"


def split_lines(body: bytes) -> list[bytes]:
    """The lines of a body that are not blank."""
    return [line for line in body.split(b"\n") if line.strip(_BLANK)]


def _reason(complaint: str) -> str:
    """Our stable word for the decoder's complaint about a type."""
    place = _PLACE.search(complaint)
    if place is None:
        return "not_an_object"
    if "out of range" in complaint:
        return _out_of_range(place[1])
    return f"wrong_type:{place[1]}"


def _out_of_range(name: str) -> str:
    """Numbers too large for any float or integer: JSON, but of nothing on Earth."""
    if name in ("lat", "lon"):
        return f"{name}_out_of_range"
    return f"{name.partition('_')[0] if name.startswith(('accuracy', 'rssi')) else name}_bad"
