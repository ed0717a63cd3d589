"""Cards of the shared state: each in the partition of its own name, whoever owns it."""

from __future__ import annotations

from collections.abc import Sequence
from struct import Struct as Layout
from typing import Final
from uuid import uuid4

from geoengine.core.errors import StateConflict, StateUnavailable
from geoengine.state.base import Card, CardPage, require_card
from geoengine.state.shared.paging import Paging
from geoengine.state.shared.partitions import Partitions
from geoengine.state.shared.rows import binary, version_of

_HEAD: Final = Layout("<dI")  # after the version: when it ends, length of the owner's name
_VERSION_BYTES: Final = 8
_CONFLICT, _DONE = range(2)
_TRIM_ROWS: Final = 1_000


class SharedCards:
    """Finds, puts and drops them."""

    def __init__(self, partitions: Partitions, limit: int) -> None:
        """``limit`` is how many are kept, in all partitions together."""
        self._partitions = partitions
        self._paging = Paging(partitions, "page_cards")
        self._limit = max(limit // partitions.count, 1)

    async def find(self, names: Sequence[str]) -> dict[str, Card]:
        """Those of them that there are."""
        shares = self._partitions.split(dict.fromkeys(names), str)
        replies = await self._partitions.call("find_cards", shares)
        return {
            name: card_of(name, row)
            for number, mine in shares.items()
            for name, row in zip(mine, replies[number], strict=True)
            if row
        }

    async def put(self, card: Card) -> Card:
        """Write it; as it is now. Raises `StateConflict`, or `StateUnavailable` beyond bounds."""
        require_card(card)
        number = self._partitions.of(card.name)
        version = binary(version_of(card.version))
        row = binary(row_of(card) if card.body else b"")
        where = (card.until_ms, card.owner)
        request = (uuid4().hex, card.name, version, *where, row, self._limit)
        replies = await self._partitions.call("put_card", {number: request}, is_write=True)
        status, version_now = replies[number]
        if status == _CONFLICT:
            raise StateConflict([card.name])
        if status != _DONE:
            raise StateUnavailable(f"a partition of the state holds {self._limit} cards already")
        now = int.from_bytes(version_now, "little")
        return Card(card.name, card.body, now, card.owner, card.until_ms)

    async def page(self, prefix: str, start: str, limit: int) -> CardPage:
        """A page of cards whose names begin so, partition by partition."""
        told, after = await self._paging.page(
            start, limit, prefix, count_of=lambda told: len(told) // 2
        )
        pairs = zip(told[::2], told[1::2], strict=True)
        return CardPage([card_of(name.decode(), row) for name, row in pairs], after)

    async def owned(self, owner: str) -> list[Card]:
        """All of one owner, wherever they are, by name."""
        replies = await self._partitions.of_all("owned_cards", (owner,))
        pairs = [
            pair for told in replies.values() for pair in zip(told[::2], told[1::2], strict=True)
        ]
        return [card_of(name.decode(), row) for name, row in sorted(pairs)]

    async def erase(self, person_id: str) -> int:
        """Drop a person's, wherever they are; how many."""
        replies = await self._partitions.of_all("disown", (person_id,), is_write=True)
        return sum(replies.values())

    async def trim(self, now_ms: int) -> int:
        """Drop those that have had their day; how many."""
        total, numbers = 0, list(range(self._partitions.count))
        while numbers:
            requests = dict.fromkeys(numbers, (now_ms, _TRIM_ROWS))
            replies = await self._partitions.call("end_cards", requests)
            total += sum(count for count, _ in replies.values())
            numbers = [number for number, (_, has_more) in replies.items() if has_more]
        return total


def row_of(card: Card) -> bytes:
    """A card's row after its version."""
    owner = card.owner.encode()
    return _HEAD.pack(card.until_ms, len(owner)) + owner + card.body


def card_of(name: str, row: bytes) -> Card:
    """A card from its row."""
    until_ms, length = _HEAD.unpack_from(row, _VERSION_BYTES)
    start = _VERSION_BYTES + _HEAD.size
    version = int.from_bytes(row[:_VERSION_BYTES], "little")
    owner = row[start : start + length].decode()
    return Card(name, row[start + length :], version, owner, int(until_ms))
