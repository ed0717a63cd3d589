"""What stands in the journal and not yet in the tables, as it is to stand there.

A group of commits is made durable as one row of the journal: one sequential write, whatever it
changes. The tables follow later, many groups at a time, because a row of a table costs a page
written wherever its key happens to lie: a person committed five times in between is filed once, and
a send that was settled meanwhile is filed as it ended.

Filing again what is on file already changes nothing, so after a crash the journal is replayed from
its start: people, aliases and cards are what they last were, decisions and facts are numbered, and
sends that are on file are only moved.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from itertools import accumulate, chain, count, takewhile
from math import ceil
from operator import itemgetter
from typing import Any, NamedTuple
from zlib import crc32

import msgspec

from geoengine.state.embedded.shelf import schema
from geoengine.state.embedded.shelf.schema import ROWS_AT_ONCE, Bulk
from geoengine.state.embedded.writes import (
    CardRow,
    End,
    LogRow,
    PersonRow,
    Postponement,
    SendRow,
    Write,
)

pack_ops = msgspec.msgpack.Encoder().encode
unpack_ops = msgspec.msgpack.Decoder(list[tuple[bytes, int]]).decode


class Entry(msgspec.Struct, array_like=True):
    """A row of the journal: a group of writes, and the number of its first decision or fact."""

    log_seq: int
    writes: list[Write]


pack_entry = msgspec.msgpack.Encoder().encode
unpack_entry = msgspec.msgpack.Decoder(Entry).decode


_first = itemgetter(0)
Numbered = tuple[LogRow, int]  # a decision or fact, and its number among all


class Share(NamedTuple):
    """What is filed in one call: full where there are as many rows as go at once."""

    bulk: Bulk
    rows: Sequence[tuple[Any, ...]]

    @property
    def calls(self) -> Iterator[tuple[str, tuple[Any, ...]]]:
        """Statements with their values."""
        if len(self.rows) == ROWS_AT_ONCE:
            yield self.bulk.many, tuple(chain.from_iterable(self.rows))
        else:
            yield from ((self.bulk.one, row) for row in self.rows)


def key_of(name: str) -> int:
    """A short number to look a name up by; several names may share one."""
    return crc32(name.encode())


class Backlog:
    """Entries of the journal, one after another, taken together."""

    def __init__(self) -> None:
        self.entry_seq = 0  # the last entry taken in
        self.size_bytes = 0
        self.sends: dict[str, SendRow] = {}  # in order of appending
        self.decisions: list[Numbered] = []
        self.facts: list[Numbered] = []
        self.cards: dict[str, CardRow] = {}  # as last put; without a body to drop
        self._people: dict[str, PersonRow | None] = {}  # None to drop
        self._aliases: dict[str, str] = {}
        self._moves: list[End | Postponement] = []  # of sends on file
        self._ops: list[tuple[bytes, int]] = []

    def note(self, entry_seq: int, entry: Entry, new: list[set[str]], size_bytes: int) -> None:
        """Take in an entry, given for each of its writes which send_ids were new."""
        self.entry_seq = entry_seq
        self.size_bytes += size_bytes
        numbers = count(entry.log_seq)
        for write, send_ids in zip(entry.writes, new, strict=True):
            self._people.update(zip(map(_first, write.people), write.people, strict=True))
            self._people.update(dict.fromkeys(write.dropped))
            self._aliases.update(write.aliases)
            if write.op:
                self._ops.append((write.op, write.now_ms))
            # The number comes second: a zip that ends has taken one more of what comes first.
            self.decisions += zip(write.decisions, numbers, strict=False)
            self.facts += zip(write.facts, numbers, strict=False)
            self.cards.update(zip(map(_first, write.cards), write.cards, strict=True))
            self._note_sends(write, send_ids)

    def _note_sends(self, write: Write, new: set[str]) -> None:
        """A row may be cancelled and settled in one group: order counts."""
        for row in write.sends:
            if row[0] in new:
                self.sends.setdefault(row[0], row)
        for again in write.postponements:
            waiting = self.sends.get(again.send_id)
            if waiting is None:
                self._moves.append(again)
            else:
                self.sends[again.send_id] = waiting.postponed(again)
        for end in write.ends:
            going = self.sends.get(end.send_id)
            if going is None:
                self._moves.append(end)
            else:
                self.sends[end.send_id] = going.ended(end)

    def bring_up(self, person_id: str, found: dict[str, SendRow]) -> None:
        """Make what was found on file of a person's sends what it is to be there, new ones last.
        Where that has been filed already, it changes nothing.
        """
        for move in self._moves:
            if (row := found.get(move.send_id)) is not None:
                moved = row.ended(move) if isinstance(move, End) else row.postponed(move)
                found[move.send_id] = moved
        found.update((name, row) for name, row in self.sends.items() if row.person_id == person_id)

    def shares(self) -> list[Share]:
        """All of it for the tables; neighbours in a table go together."""
        people = map(self._people.__getitem__, sorted(self._people))
        dropped = [(name,) for name, row in self._people.items() if row is None]
        aliases = self._aliases.items()
        cards = [self.cards[name] for name in sorted(self.cards)]
        return [
            *_shares(schema.PUT_PERSON, list(filter(None, people))),
            *_shares(schema.DROP_PERSON, dropped),
            *_shares(schema.PUT_ALIAS, [pair for pair in aliases if pair[0] != pair[1]]),
            *_shares(schema.DROP_ALIAS, [(name,) for name, owner in aliases if name == owner]),
            *_shares(schema.DECISIONS.add, [_numbered(*pair) for pair in self.decisions]),
            *_shares(schema.FACTS.add, [_numbered(*pair) for pair in self.facts]),
            *_shares(schema.PUT_CARD, [row for row in cards if row.body]),
            *_shares(schema.DROP_CARD, [(row.name,) for row in cards if not row.body]),
            *_shares(schema.ADD_SEND, [(key_of(row[0]), *row) for row in self.sends.values()]),
            *(_share_of_move(move) for move in self._moves),
            *_shares(schema.ADD_OPS, self._ops_rows()),
        ]

    def _ops_rows(self) -> list[tuple[int, int, int, bytes]]:
        """All operation ids as one row, numbered by the last entry they stand in."""
        if not self._ops:
            return []
        return [(self.entry_seq, self._ops[-1][1], len(self._ops), pack_ops(self._ops))]


class Filing:
    """A backlog on its way into the tables, so many rows at a time."""

    def __init__(self, backlog: Backlog | None = None) -> None:
        self.backlog = backlog or Backlog()
        # Entries may change no row at all: their journal is dropped all the same.
        self.is_done = self.backlog.entry_seq == 0
        self._shares = deque(self.backlog.shares())
        self._row_count = self.rows_left = sum(len(share.rows) for share in self._shares)

    def __len__(self) -> int:
        """How many shares are left."""
        return len(self._shares)

    def owed(self, came_bytes: int) -> int:
        """How many rows should be on file by now and are not, once so much of the journal has come
        since: with half of what is being filed, all.

        The bytes set the pace: rows would not, where those that come are of another kind.
        """
        share = min(1.0, 2 * came_bytes / self.backlog.size_bytes)
        return ceil(share * self._row_count) - (self._row_count - self.rows_left)

    def next(self, row_count: int) -> list[Share]:
        """What to file next: so many rows, or a few more. They stay until they are `filed`."""
        before = accumulate((len(share.rows) for share in self._shares), initial=0)
        pairs = zip(self._shares, before, strict=False)
        return [share for share, _ in takewhile(lambda pair: pair[1] < row_count, pairs)]

    def filed(self, shares: list[Share]) -> None:
        """These are in the tables; with the last of them all is done."""
        for share in shares:
            self._shares.popleft()
            self.rows_left -= len(share.rows)
        self.is_done = not self._shares


def _numbered(row: LogRow, seq: int) -> tuple[int, int, str, int, bytes]:
    person_id, at_ms, packed = row
    return seq, key_of(person_id), person_id, at_ms, packed


def _shares(bulk: Bulk, rows: Sequence[tuple[Any, ...]]) -> Iterator[Share]:
    for start in range(0, len(rows), ROWS_AT_ONCE):
        yield Share(bulk, rows[start : start + ROWS_AT_ONCE])


def _share_of_move(move: End | Postponement) -> Share:
    key = key_of(move.send_id)
    if isinstance(move, Postponement):
        return Share(schema.POSTPONE, [(move.due_ms, move.packed, key, move.send_id)])
    bulk = schema.CANCEL if move.is_cancellation else schema.END
    values = (move.status, move.reason, move.settled_ms, move.packed, key, move.send_id)
    return Share(bulk, [values])
