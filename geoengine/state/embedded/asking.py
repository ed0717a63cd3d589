"""What is asked of the shelf through the writer: cards, decisions, facts, the history."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from geoengine.core.record import Decision, Fact
from geoengine.state.base import Card, CardPage, History
from geoengine.state.embedded.shelf.base import Log, Rows, Shelf, Stretch
from geoengine.state.embedded.shelf.cards import CardCache, card_of
from geoengine.state.embedded.writer import Writer

_ALL: Final = 1 << 31  # rows
_FACTS: Final = "facts"
_DECISIONS: Final = "decisions"
# The index of a time is looked through in so many parts, 15 ms each of six million rows: commits
# wait meanwhile.
_PARTS: Final = 32
_MANY: Final = b"\xdd"  # a list of up to 2**32 follows (MessagePack, array 32)

_unpack_decision = msgspec.msgpack.Decoder(Decision).decode
_unpack_fact = msgspec.msgpack.Decoder(Fact).decode
_unpack_decisions = msgspec.msgpack.Decoder(list[Decision]).decode
_unpack_facts = msgspec.msgpack.Decoder(list[Fact]).decode


class Asking:
    """Asks, and unpacks the answers."""

    def __init__(self, shelf: Shelf, writer: Writer, cards: CardCache) -> None:
        self._shelf = shelf
        self._writer = writer
        self._cards = cards

    async def cards(self, names: Sequence[str]) -> dict[str, Card]:
        """Those of them that there are."""
        found = {name: card for name in names if (card := self._cards.get(name)) is not None}
        if others := [name for name in dict.fromkeys(names) if name not in found]:
            rows = await self._writer.call(self._shelf.cards.find, others)
            found.update((row.name, card_of(row)) for row in rows)
        return found

    async def cards_from(self, prefix: str, start: str, limit: int) -> CardPage:
        """A page of cards in the order of their names, from the one after ``start``."""
        rows, last = await self._writer.call(self._shelf.cards.page, prefix, start, limit)
        return CardPage([card_of(row) for row in rows], last)

    async def cards_of(self, owner: str) -> list[Card]:
        """All that somebody owns, by name."""
        return [card_of(row) for row in await self._writer.call(self._shelf.cards.owned, owner)]

    async def decisions(self, person_id: str, limit: int) -> list[Decision]:
        """The decisions about a person, newest first."""
        packed = await self._writer.call(self._shelf.decisions.of_person, person_id, limit)
        return [_unpack_decision(row) for row in packed]

    async def facts(self, person_id: str, limit: int) -> list[Fact]:
        """What happened to a person, newest first; of one id what was written first."""
        packed = await self._writer.call(self._shelf.facts.of_person, person_id, _ALL)
        # The newest come first, so of one id the last one found was the first one written.
        by_id = {fact.id: fact for fact in map(_unpack_fact, packed)}
        return sorted(by_id.values(), key=lambda fact: -fact.at_ms)[:limit]

    async def history(self, since_ms: int, until_ms: int, start: str, limit: int) -> History:
        """A page of facts, then of decisions, in the order in which they were written.

        What is written while pages are turned has higher numbers than the last of the first page's
        stretch: the last page comes, whatever is written.
        """
        kind, _, mark = (start or f"{_FACTS}:").partition(":")
        log = self._shelf.decisions if kind == _DECISIONS else self._shelf.facts
        stretch = Stretch(*map(int, mark.split(":"))) if mark else None
        stretch = stretch or await self._stretch(log, since_ms, until_ms)
        rows = await self._writer.call(log.between, since_ms, until_ms, stretch, limit)
        left = Stretch(rows.upto, stretch.last)
        if not left.is_empty:
            return History(_unpacked(kind, rows), f"{kind}:{left.after}:{left.last}")
        return History(_unpacked(kind, rows), "" if kind == _DECISIONS else f"{_DECISIONS}:")

    async def _stretch(self, log: Log, since_ms: int, until_ms: int) -> Stretch:
        """Where in a log those of a time are."""
        step_ms = max(-(-(until_ms - since_ms) // _PARTS), 1)
        found = [
            await self._writer.call(log.stretch, first_ms, min(first_ms + step_ms, until_ms))
            for first_ms in range(since_ms, until_ms, step_ms)
        ]
        found = [one for one in found if not one.is_empty] or [Stretch(0, 0)]
        return Stretch(min(one.after for one in found), max(one.last for one in found))


def _unpacked(kind: str, rows: Rows) -> list[Decision | Fact]:
    """All at once, which takes half of what it takes one by one."""
    packed = b"".join((_MANY, rows.row_count.to_bytes(4, "big"), rows.packed))
    found: Sequence[Decision | Fact]
    found = _unpack_decisions(packed) if kind == _DECISIONS else _unpack_facts(packed)
    return list(found)
