"""What is asked of the shelf through the writer: cards, decisions, facts, the history."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from geoengine.core.record import Decision, Fact
from geoengine.state.base import Card, CardPage, History
from geoengine.state.embedded.shelf.base import Log, Moment, Shelf
from geoengine.state.embedded.shelf.cards import CardCache, card_of
from geoengine.state.embedded.writer import Writer

_ALL: Final = 1 << 31  # rows
_FACTS: Final = "facts"
_DECISIONS: Final = "decisions"

_unpack_decision = msgspec.msgpack.Decoder(Decision).decode
_unpack_fact = msgspec.msgpack.Decoder(Fact).decode


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
        """A page of facts, then of decisions, in the order of their time."""
        kind, _, mark = (start or f"{_FACTS}:").partition(":")
        after = Moment(*map(int, mark.split(":"))) if mark else Moment(since_ms, -1)
        log, unpack = self._log(kind)
        found = await self._writer.call(log.between, until_ms, after, limit)
        items = [unpack(packed) for _, packed in found]
        if len(found) >= limit:
            last = found[-1][0]
            return History(items, f"{kind}:{last.at_ms}:{last.seq}")
        return History(items, "" if kind == _DECISIONS else f"{_DECISIONS}:")

    def _log(self, kind: str) -> tuple[Log, Callable[[bytes], Decision | Fact]]:
        if kind == _DECISIONS:
            return self._shelf.decisions, _unpack_decision
        return self._shelf.facts, _unpack_fact
