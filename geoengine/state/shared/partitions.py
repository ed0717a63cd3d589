"""Partitions: which of them a name belongs to, their keys, and calls about several at once.

Everything of a person lives in one partition, and so in one slot of a Cluster. Where there is no
Cluster one call serves many partitions: two hundred calls cost more than what they do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, NamedTuple, TypeVar
from zlib import crc32

import msgspec
import numpy as np

from geoengine.core.columns import Longs, rows_where
from geoengine.state.shared.line.link import Call, Link

_LAST: Final = ("last_a", "last_b")
_ROW: Final = ("sends", "hands", "wait", "pending", "settled", "meta")
_OPS: Final = ("ops_a", "ops_b")
_ALL: Final = (
    "people", "due", "names", *_LAST, "meta", "sends", "hands", "wait", "mail", "pending",
    "settled", "said", "saying", *_OPS, "facts", "happening", "tellers", "cards", "card_names",
    "card_ends", "card_owners",
)  # fmt: skip
_PAST: Final = ("said", "saying", "facts", "happening", "tellers")
_CARDS: Final = ("cards", "card_names", "card_ends", "card_owners", "meta")
# What each function may touch.
KEYS: Final[dict[str, tuple[str, ...]]] = {
    "look": ("people", "names", *_LAST),
    "note": ("people", "names", *_LAST),
    "load": ("people", *_LAST),
    "home": ("people", "names", *_LAST),
    "settle_in": ("names", "people", "due", "meta", *_LAST),
    "move_out": ("names", *_LAST),
    "leave_home": ("names", *_LAST),
    "page": ("people",),
    "commit": _ALL,
    "sweep": ("due", "wait"),
    "overdue": ("due",),
    "peek": ("wait",),
    "take": ("sends", "hands", "wait"),
    "begin": ("hands", "people", *_LAST),
    "begun": ("mail", "hands"),
    "settle": (*_ROW, *_OPS),
    "held": ("hands",),
    "free": ("hands", "sends", "wait"),
    "list": _ROW,
    "sends_of": ("mail", "sends", "hands"),
    "revive": (*_ROW, *_OPS),
    "decisions": ("said",),
    "facts": ("facts",),
    "history": _PAST,
    "erase": ("people", "due", "names", *_LAST, *_ROW, *_OPS, "mail", *_PAST),
    "trim": (*_ROW, "mail", *_PAST),
    "find_cards": ("cards",),
    "put_card": (*_CARDS, *_OPS),
    "page_cards": _CARDS,
    "owned_cards": _CARDS,
    "disown": _CARDS,
    "end_cards": _CARDS,
    "tell": ("people", "due", "names", *_LAST, "sends", "said", "facts", "cards"),
    "take_in": _ALL,
    "wipe": _ALL,
    "sizes": ("people", *_LAST, "wait", "meta", "pending", "due", "hands", "cards"),
}  # fmt: skip
AT_ONCE: Final = 64  # partitions in one call: nobody else is served meanwhile

_pack = msgspec.msgpack.Encoder().encode
T = TypeVar("T")


class Groups(NamedTuple):
    """Positions by partition: ``order`` holds them, those of a partition in one piece, and
    ``spans`` tells partition, start and end of each piece.
    """

    order: Longs
    spans: list[tuple[int, int, int]]


class Partitions:
    """The partitions of one state."""

    def __init__(self, link: Link, count: int) -> None:
        self.count = count
        self._link = link
        self._at_once = 1 if link.is_cluster else AT_ONCE
        self._tags = [f"{link.prefix}:{{p{number}}}:" for number in range(count)]

    def of(self, name: str) -> int:
        """The partition of a person, or the home of a device."""
        return crc32(name.encode()) % self.count

    def group(self, names: list[str]) -> Groups:
        """Names by partition."""
        numbers = np.fromiter(map(crc32, map(str.encode, names)), np.int64, len(names)) % self.count
        order = np.argsort(numbers, kind="stable")
        in_order = numbers[order]
        starts = rows_where(np.diff(in_order, prepend=-1) != 0).tolist()
        spans = zip(in_order[starts].tolist(), starts, [*starts[1:], len(names)], strict=True)
        return Groups(order, list(spans))

    def split(self, items: Iterable[T], name_of: Callable[[T], str]) -> dict[int, list[T]]:
        """Items by the partition of the name that each has."""
        shares: dict[int, list[T]] = {}
        for item in items:
            shares.setdefault(self.of(name_of(item)), []).append(item)
        return shares

    async def call(
        self, function: str, requests: Mapping[int, Any], *, is_write: bool = False
    ) -> dict[int, Any]:
        """Run a function for some partitions, each with its own request; replies by partition.

        ``is_write``: replicas hold it when this returns, where there are any. Raises
        `StateUnavailable` when not all could be done; some may have been.
        """
        numbers, calls, tags = list(requests), [], self._tags
        # Outside a Cluster one key tells which partition is meant.
        touched = KEYS[function] if self._link.is_cluster else KEYS[function][:1]
        for start in range(0, len(numbers), self._at_once):
            some = numbers[start : start + self._at_once]
            keys = tuple(tags[number] + key for number in some for key in touched)
            calls.append(Call(function, keys, tuple(_pack(requests[number]) for number in some)))
        replies = await self._link.call(calls, is_write=is_write) if calls else []
        flat = (share for reply in replies for share in reply)
        return dict(zip(numbers, flat, strict=True))

    async def of_all(
        self, function: str, request: Any, *, is_write: bool = False
    ) -> dict[int, Any]:
        """Run a function for all partitions with the same request."""
        return await self.call(
            function, dict.fromkeys(range(self.count), request), is_write=is_write
        )
