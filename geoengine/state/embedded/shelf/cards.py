"""Cards on the shelf: compared and put away by the one thread that writes, so that no two are ever
put in place of the same one.

A new card takes a version above that of all that are gone: what somebody still makes of a card that
was erased, taken away or had its day is told apart from the one of that name which came after.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from geoengine.state.base import Card
from geoengine.state.embedded.shelf import schema
from geoengine.state.embedded.shelf.connection import Connection
from geoengine.state.embedded.writes import CardRow, Write

# Before and behind whatever a name goes on with.
_FIRST, _LAST = "\0", "\U0010ffff"
_CACHE_BYTES = 16 * 1024 * 1024  # some 40,000 coupon codes: more only saves asking the file
# What a card takes in memory beside its body: 342 with a name of 37 signs and an owner of 15,
# measured with tracemalloc. Less, and the cache is larger than it says.
_CARD_BYTES = 400


@dataclass(slots=True)
class Judged:
    """Of each write, its cards as they are to be kept; and what is so when they are."""

    cards: list[list[CardRow]]
    count: int
    gone_version: int


class _Box(ABC):
    """Compares versions and counts."""

    def __init__(self) -> None:
        self.count = 0
        self._gone_version = 0  # the highest of those that are no more

    @abstractmethod
    def find(self, names: list[str]) -> list[CardRow]:
        """Those of them that there are."""

    def judge(self, writes: list[Write]) -> Judged:
        """Compare, one write after another; nothing has changed yet."""
        judged = Judged([[] for _ in writes], self.count, self._gone_version)
        names = list({row.name for write in writes for row in write.cards})
        versions = {row.name: row.version for row in self.find(names)} if names else {}
        for write, kept in zip(writes, judged.cards, strict=True):
            for row in write.cards:
                if row.version == versions.get(row.name, 0):
                    kept.append(_raised(row, versions, judged))
        return judged

    def land(self, judged: Judged) -> None:
        """What was judged is kept."""
        self.count, self._gone_version = judged.count, judged.gone_version

    def _bury(self, version: int) -> None:
        self._gone_version = max(self._gone_version, version)


def _raised(row: CardRow, versions: dict[str, int], judged: Judged) -> CardRow:
    if not row.body and not row.version:
        return row  # taken away before it was there
    row = row._replace(version=(row.version or judged.gone_version) + 1)
    judged.count += bool(row.body) - (row.name in versions)
    if row.body:
        versions[row.name] = row.version
    else:
        versions.pop(row.name, None)
        judged.gone_version = max(judged.gone_version, row.version)
    return row


class TableBox(_Box):
    """Cards in a table, the newest of which are still on their way there."""

    def __init__(self, db: Connection, waiting: Callable[[], Iterable[dict[str, CardRow]]]) -> None:
        """``waiting`` tells those in the journal, older ones first."""
        super().__init__()
        self._db = db
        self._waiting = waiting

    def read(self) -> None:
        """Count what is on file."""
        self.count = self._db.value(schema.CARD_COUNT)

    def find(self, names: list[str]) -> list[CardRow]:
        """Those of them that there are."""
        found: dict[str, CardRow] = {}
        for name in names:
            found.update((row.name, row) for row in self._db.rows(CardRow, schema.CARD, (name,)))
            found.update((name, cards[name]) for cards in self._waiting() if name in cards)
        return [row for row in found.values() if row.body]

    def page(self, prefix: str, after: str, limit: int) -> tuple[list[CardRow], str]:
        """Cards in the order of their names, from behind one; and the last name, "" at the end."""
        begin = after + _FIRST if after else prefix
        values = (begin, prefix + _LAST, limit)
        rows = list(self._db.rows(CardRow, schema.CARDS_FROM, values))
        end = rows[-1].name if len(rows) == limit else ""
        found = {row.name: row for row in rows}
        for cards in self._waiting():
            for name, row in cards.items():
                if name.startswith(prefix) and name > after and (not end or name <= end):
                    found[name] = row
        return [found[name] for name in sorted(found) if found[name].body], end

    def owned(self, owner: str) -> list[CardRow]:
        """Those of one owner, by name."""
        rows = self._db.rows(CardRow, schema.CARDS_OF, (owner,))
        found = {row.name: row for row in rows}
        for cards in self._waiting():
            found.update({n: row for n, row in cards.items() if n in found or row.owner == owner})
        return [found[n] for n in sorted(found) if found[n].body and found[n].owner == owner]

    def erase(self, person_id: str) -> int:
        """Drop a person's, in a transaction of the caller's, who counts them off; how many."""
        return self._drop(schema.DROP_OWNED, (person_id,))

    def trim(self, now_ms: int, limit: int) -> int:
        """Drop up to ``limit`` that have had their day; how many."""
        with self._db.transaction():
            gone = self._drop(schema.DROP_ENDED, (now_ms, limit))
        self.count -= gone
        return gone

    def _drop(self, statement: str, values: tuple[str | int, ...]) -> int:
        versions = list(self._db.rows(int, statement, values))
        self._bury(max(versions, default=0))
        return len(versions)


class MemoryBox(_Box):
    """Cards in memory only."""

    def __init__(self) -> None:
        super().__init__()
        self._cards: dict[str, CardRow] = {}

    def keep(self, rows: Iterable[CardRow]) -> None:
        """Put away what was judged."""
        for row in rows:
            self._cards[row.name] = row
            if not row.body:
                del self._cards[row.name]

    def find(self, names: list[str]) -> list[CardRow]:
        """Those of them that there are."""
        return [self._cards[name] for name in names if name in self._cards]

    def page(self, prefix: str, after: str, limit: int) -> tuple[list[CardRow], str]:
        """Cards in the order of their names, from behind one; and the last name, "" at the end."""
        names = sorted(n for n in self._cards if n.startswith(prefix) and n > after)[:limit]
        return [self._cards[name] for name in names], names[-1] if len(names) == limit else ""

    def owned(self, owner: str) -> list[CardRow]:
        """Those of one owner, by name."""
        names = sorted(name for name, row in self._cards.items() if row.owner == owner)
        return [self._cards[name] for name in names]

    def erase(self, person_id: str) -> int:
        """Drop a person's; how many."""
        return self._drop(lambda row: row.owner == person_id)

    def trim(self, now_ms: int) -> int:
        """Drop those that have had their day; how many."""
        return self._drop(lambda row: 0 < row.until_ms < now_ms)

    def _drop(self, is_gone: Callable[[CardRow], bool]) -> int:
        gone = [row for row in self._cards.values() if is_gone(row)]
        for row in gone:
            del self._cards[row.name]
        self._bury(max((row.version for row in gone), default=0))
        self.count -= len(gone)
        return len(gone)


class CardCache:
    """Cards as they were last put, for the event loop; bounded, the one put first leaves first.

    Only what has landed comes in, in the order in which it landed, and all of it leaves with
    whatever the shelf drops by itself.
    """

    def __init__(self) -> None:
        self._cards: dict[str, Card] = {}
        self._size_bytes = 0

    def get(self, name: str) -> Card | None:
        """The card, if it is one of those put lately."""
        return self._cards.get(name)

    def land(self, card: Card) -> None:
        """Remember one."""
        if (before := self._cards.pop(card.name, None)) is not None:
            self._size_bytes -= _size_bytes(before)
        if card.body:
            self._cards[card.name] = card
            self._size_bytes += _size_bytes(card)
        while self._size_bytes > _CACHE_BYTES:
            self._size_bytes -= _size_bytes(self._cards.pop(next(iter(self._cards))))

    def clear(self) -> None:
        """Forget all."""
        self._cards.clear()
        self._size_bytes = 0


def card_of(row: CardRow) -> Card:
    """As callers see it."""
    name, version, until_ms, owner, body = row
    return Card(name, body, version, owner, until_ms)


def row_of(card: Card) -> CardRow:
    """On its way to the shelf."""
    return CardRow(card.name, card.version, card.until_ms, card.owner, card.body)


def _size_bytes(card: Card) -> int:
    return _CARD_BYTES + len(card.body)
