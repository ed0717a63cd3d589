"""Values into nouns: whether a document's node has the shape of a struct, and all it lacks.

msgspec converts, and stops at the first fault. Only what does not convert is walked here, against
the same annotations, so that every fault of an item is told at once, each where it stands.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

import msgspec
from msgspec import Meta, Struct, UnsetType

from geoengine.catalog.reading.document import Node
from geoengine.catalog.reading.report import suggestion
from geoengine.core.errors import Fault
from geoengine.core.model import Location

S = TypeVar("S", bound=Struct)
_WORDS = {str: "text", int: "a whole number", float: "a number", bool: "true or false"}
_HARMLESS: dict[str, Any] = {
    "location": {"lat": 0.0, "lon": 0.0},
    "on": "enter",
    "levers": ["log"],
    "message": {"en": "unreadable"},
}
SHOWN_MAX = 60  # characters of a wrong value worth repeating


def convert(
    node: Node, kind: type[S], file: str, *, name: str = "", strict: bool = True
) -> S | list[Fault]:
    """The struct that a node describes, or every fault that keeps it from being one.

    ``strict=False`` also takes numbers written as text, as the cells of a CSV are.
    """
    plain = node.plain()
    try:
        return msgspec.convert(plain, kind, strict=strict)
    except msgspec.ValidationError as error:
        name = name or kind.__name__.removesuffix("Spec").lower()
        faults = list(_Walk(file, strict).explain(node, kind, name))
        return faults or [Fault(file, node.line, node.column, str(error))]


def mend(node: Node, kind: type[S]) -> tuple[S, frozenset[str]] | None:
    """The struct without the keys at fault, and which these are; None for no mapping at all.

    So that what stands beside a fault is checked as well. Keys that must be there are filled in
    with something harmless: a catalogue with a fault is never put in force.
    """
    if not isinstance(node.value, dict):
        return None
    types, walk = types_of(kind), _Walk("", strict=True)
    sound = {
        key: child.plain()
        for key, child in node.value.items()
        if key in types and walk._converts(child, types[key])
    }
    needed = {info.encode_name for info in msgspec.structs.fields(kind) if info.required}
    filled = {key: _HARMLESS.get(key, "unreadable") for key in needed - sound.keys()}
    at_fault = (node.value.keys() | needed) - sound.keys()
    return msgspec.convert(sound | filled, kind), frozenset(at_fault)


def keys_of(kind: type[Struct]) -> tuple[str, ...]:
    """The keys a struct is written with."""
    return kind.__struct_encode_fields__


@lru_cache(maxsize=64)
def types_of(kind: type[Struct]) -> dict[str, Any]:
    """The annotated type of each key."""
    return get_type_hints(kind, include_extras=True)


_holders: dict[str, type[Struct]] = {}


def _holder(kind: Any) -> type[Struct]:
    """A struct with one field of this type, made once and kept.

    msgspec 0.22 builds the plan of a type that is no struct at every call, and dropping that of an
    annotated type leaves the garbage collector a dangling reference: it crashes. A struct's stays.
    """
    name = str(kind)
    if name not in _holders:
        _holders[name] = msgspec.defstruct("Holder", [("value", kind)])
    return _holders[name]


class _Walk:
    """Walks a node and a type side by side."""

    def __init__(self, file: str, strict: bool) -> None:
        self.file = file
        self.strict = strict

    def fault(self, node: Node, what: str) -> Fault:
        return Fault(self.file, node.line, node.column, what)

    def explain(self, node: Node, kind: Any, name: str) -> Iterator[Fault]:
        """Everything that keeps the node from being of this type."""
        if self._converts(node, kind):
            return
        inner = _fitting(node, kind)
        if inner is None:
            yield self.fault(node, f"{name} is {_shown(node)}: expected {expected(kind)}")
        elif isinstance(inner, type) and issubclass(inner, Struct):
            yield from self._explain_struct(node, inner)
        elif get_origin(inner) is list:
            yield from self._explain_list(node, inner, kind, name)
        else:
            yield from self._explain_dict(node, inner, kind, name)

    def _converts(self, node: Node, kind: Any) -> bool:
        try:
            msgspec.convert({"value": node.plain()}, _holder(kind), strict=self.strict)
        except msgspec.ValidationError:
            return False
        return True

    def _explain_struct(self, node: Node, kind: type[Struct]) -> Iterator[Fault]:
        noun, types = kind.__name__.removesuffix("Spec").lower(), types_of(kind)
        for key in node.value.keys() - types.keys():
            line, column = (node.keys or {}).get(key, (node.line, node.column))
            guess = suggestion(key, types) or f": expected one of {', '.join(types)}"
            yield Fault(self.file, line, column, f"`{key}` is not a key of {noun}{guess}")
        for info in msgspec.structs.fields(kind):
            if info.required and info.encode_name not in node.value:
                what = f"{noun} lacks `{info.encode_name}`: expected {expected(types[info.name])}"
                yield self.fault(node, what)
        if kind is Location and (swapped := _swapped(node)):
            yield self.fault(node.value["lat"], swapped)
            return
        for key, child in node.value.items():
            if key in types:
                yield from self.explain(child, types[key], key)

    def _explain_list(self, node: Node, inner: Any, kind: Any, name: str) -> Iterator[Fault]:
        (item,) = get_args(inner)
        before = len(node.value)
        found = [fault for child in node.value for fault in self.explain(child, item, name)]
        yield from found
        if not found:
            what = f"{name} has {before} items: expected {expected(kind)}"
            yield self.fault(node, what)

    def _explain_dict(self, node: Node, inner: Any, kind: Any, name: str) -> Iterator[Fault]:
        key_kind, value_kind = get_args(inner)
        found: list[Fault] = []
        for key, child in node.value.items():
            line, column = (node.keys or {}).get(key, (child.line, child.column))
            found += self.explain(Node(line, column, key), key_kind, f"key of {name}")
            found += self.explain(child, value_kind, f"{name}.{key}")
        yield from found or [self.fault(node, f"{name} is empty: expected {expected(kind)}")]


def expected(kind: Any) -> str:
    """What a type wants, in words."""
    base, metas = _unwrap(kind)
    descriptions = [meta.description for meta in metas if meta.description]
    members = _members(base)
    if len(members) > 1:
        text = " or ".join(expected(member) for member in members)
    else:
        inner, inner_metas = _unwrap(members[0])
        metas = (*metas, *inner_metas)
        descriptions += [meta.description for meta in inner_metas if meta.description]
        text = _noun(inner) + _bounds(metas)
    seen = list(dict.fromkeys(descriptions))
    return f"{text} ({' '.join(seen).rstrip('.')})" if seen else text


def _noun(base: Any) -> str:
    if isinstance(base, type) and issubclass(base, Struct):
        return f"a mapping with {', '.join(keys_of(base))}"
    if get_origin(base) is Literal:
        return "one of " + ", ".join(map(str, get_args(base)))
    if get_origin(base) is list:
        return f"a list of {expected(get_args(base)[0])}"
    if get_origin(base) is dict:
        return "a mapping"
    return _WORDS.get(base, "a value")


def _bounds(metas: tuple[Meta, ...]) -> str:
    low = next((meta.ge for meta in metas if meta.ge is not None), None)
    above = next((meta.gt for meta in metas if meta.gt is not None), None)
    high = next((meta.le for meta in metas if meta.le is not None), None)
    least = next((meta.min_length for meta in metas if meta.min_length), None)
    text = f" from {low:,}" if low is not None else f" above {above:,}" if above is not None else ""
    text += f" to {high:,}" if high is not None else ""
    return text + (f", at least {least} of it" if least else "")


def _fitting(node: Node, kind: Any) -> Any | None:
    """The struct, list or mapping type that the node was meant for; None for a plain value."""
    for member in _members(_unwrap(kind)[0]):
        base, _metas = _unwrap(member)
        if isinstance(node.value, dict) and isinstance(base, type) and issubclass(base, Struct):
            return base
        if isinstance(node.value, list) and get_origin(base) is list:
            return base
        if isinstance(node.value, dict) and get_origin(base) is dict:
            return base
    return None


def _unwrap(kind: Any) -> tuple[Any, tuple[Meta, ...]]:
    """An annotated type without its annotations, and these."""
    if get_origin(kind) is not Annotated:
        return kind, ()
    base, *metas = get_args(kind)
    return base, tuple(meta for meta in metas if isinstance(meta, Meta))


def _members(base: Any) -> list[Any]:
    """The types of a union, without those that only say that nothing was written."""
    if get_origin(base) not in (Union, UnionType):
        return [base]
    return [member for member in get_args(base) if member not in (NoneType, UnsetType)]


def _shown(node: Node) -> str:
    if isinstance(node.value, dict):
        return "a mapping"
    if isinstance(node.value, list):
        return "a list"
    if node.value is None:
        return "empty"
    text = str(node.value).lower() if isinstance(node.value, bool) else repr(node.value)
    return text if len(text) <= SHOWN_MAX else text[:SHOWN_MAX] + "…"


def _swapped(node: Node) -> str | None:
    """Latitudes end at 90 degrees: a larger one that fits a longitude was written in its place."""
    pair = [node.value[key].value if key in node.value else None for key in ("lat", "lon")]
    try:
        lat, lon = (float(value) for value in pair)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return None
    if 90 < abs(lat) <= 180 and abs(lon) <= 90:
        return (
            f"lat is {lat:g} and lon is {lon:g}: latitude and longitude are swapped, "
            "expected lat from -90 to 90 (degrees north)"
        )
    return None
