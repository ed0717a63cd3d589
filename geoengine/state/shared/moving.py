"""The shared state, told to another one and taken in from it: kind by kind, some partitions at a
time.

Nobody serves it meanwhile. A hash is walked by its server's cursor, which may show a thing twice:
what a partition has told of a kind is remembered until it has told all of it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from typing import Any, Final
from uuid import uuid4

from msgspec.structs import replace

from geoengine.core.record import Change, Decision, Fact
from geoengine.state.base import Alias, Card, Kept, LastTime, Note, Person, SentRow, Told
from geoengine.state.shared.cards import card_of, row_of
from geoengine.state.shared.line.link import Link
from geoengine.state.shared.partitions import Partitions
from geoengine.state.shared.rows import (
    binary,
    change_of,
    decisions_of,
    entry_of,
    facts_of,
    pack,
    record_of,
    sent_row,
)

_AT_ONCE: Final = 16  # partitions
# Of a kind in each of them, about, at a time: all that was said of a person may be 32 kB.
_KINDS: Final = {
    "people": 256, "names": 256, "newer": 256, "older": 256, "sends": 128, "said": 16,
    "happened": 8, "cards": 128,
}  # fmt: skip


class Teller:
    """Tells what the servers hold."""

    def __init__(self, link: Link, partitions: Partitions, notes: str) -> None:
        """``notes`` is the key of the service's own."""
        self._link = link
        self._partitions = partitions
        self._notes = notes
        self._read: dict[str, Callable[[int, list[Any]], Iterator[Kept]]] = {
            "people": _people,
            "names": self._aliases,
            "newer": self._times,
            "older": self._times,
            "sends": _sends,
            "said": _decisions,
            "happened": _facts,
            "cards": _cards,
        }

    async def tell(self) -> AsyncIterator[Told]:
        """Everything, kind by kind."""
        yield Told(await self._told_notes(), 0.0)
        count, done = self._partitions.count, 0
        for kind in _KINDS:
            for first in range(0, count, _AT_ONCE):
                numbers = range(first, min(first + _AT_ONCE, count))
                done += len(numbers)
                async for items in self._walk(kind, numbers):
                    yield Told(items, done / (len(_KINDS) * count))

    async def _told_notes(self) -> list[Note]:
        ask, key = self._link.command, self._notes
        names = await ask("HKEYS", key, key=key)
        return [Note(name.decode(), await ask("HGET", key, name, key=key)) for name in names]

    async def _walk(self, kind: str, numbers: range) -> AsyncIterator[list[Kept]]:
        """All of a kind in some partitions."""
        cursors = dict.fromkeys(numbers, "0")
        seen = defaultdict[int, set[bytes]](set)
        while cursors:
            asked = {number: (kind, cursor, _KINDS[kind]) for number, cursor in cursors.items()}
            replies = await self._partitions.call("tell", asked)
            items: list[Kept] = []
            for number, (cursor, told) in replies.items():
                fresh = [one for one in told if one[0] not in seen[number]]
                seen[number].update(one[0] for one in fresh)
                items += self._read[kind](number, fresh)
                cursors[number] = cursor.decode()
            cursors = {number: cursor for number, cursor in cursors.items() if cursor != "0"}
            yield items

    def _aliases(self, number: int, told: list[Any]) -> Iterator[Alias]:
        """A name is told where its home is: there it leads to the owner last."""
        for name, owner in told:
            alias = Alias(name.decode(), owner.decode())
            if self._partitions.of(alias.name) == number:
                yield alias

    def _times(self, number: int, told: list[Any]) -> Iterator[LastTime]:
        """A last fix is its owner's: what lies elsewhere was left behind."""
        for name, fix_ms, owner in told:
            time = LastTime(name.decode(), int.from_bytes(fix_ms, "little", signed=True))
            if self._partitions.of(owner.decode() or time.device_id) == number:
                yield time


def _people(_: int, told: list[Any]) -> Iterator[Person]:
    for _name, row, last, due_ms in told:
        yield Person(record_of(row, last or None), int(float(due_ms)) if due_ms else None)


def _sends(_: int, told: list[Any]) -> Iterator[SentRow]:
    return (sent_row(row, is_held=False) for _, row in told)


def _decisions(_: int, told: list[Any]) -> Iterator[Decision]:
    return (decision for _, said in told for decision in decisions_of(said))


def _facts(_: int, told: list[Any]) -> Iterator[Fact]:
    return (fact for _, log in told for fact in facts_of(log))


def _cards(_: int, told: list[Any]) -> Iterator[Card]:
    return (replace(card_of(name.decode(), row), version=0) for name, row in told)


class Intake:
    """What another state told, cut by partition."""

    def __init__(self, partitions: Partitions, items: Sequence[Kept]) -> None:
        self.notes: list[Note] = []
        self.times: list[LastTime] = []
        self._of = partitions.of
        self._op = uuid4().hex
        self._aliases: dict[str, str] = {}
        self._said: dict[str, list[Decision | Fact]] = {}
        self._happened: dict[str, list[Decision | Fact]] = {}
        self._requests = defaultdict[int, list[Any]](self._request)
        take: dict[type, Callable[..., None]] = {
            Note: self.notes.append,
            LastTime: self.times.append,
            Person: self._take_person,
            Alias: self._take_alias,
            SentRow: self._take_send,
            Decision: lambda one: self._said.setdefault(one.person_id, []).append(one),
            Fact: lambda one: self._happened.setdefault(one.person_id, []).append(one),
            Card: self._take_card,
        }
        for item in items:
            take[type(item)](item)

    def requests(self, owners: Sequence[str]) -> dict[int, list[Any]]:
        """Each partition's, given whose the devices of the last times have been so far."""
        for time, before in zip(self.times, owners, strict=True):
            owner = self._aliases.get(time.device_id, before)
            fix_ms = binary(time.fix_ms.to_bytes(8, "little", signed=True))
            self._requests[self._of(owner)][4].append([time.device_id, owner, fix_ms])
        for person_id, said in self._said.items():
            self._requests[self._of(person_id)][6].append(_log_of(person_id, said))
        for person_id, happened in self._happened.items():
            self._requests[self._of(person_id)][7].append(_log_of(person_id, happened))
        return self._requests

    def _request(self) -> list[Any]:
        return [self._op, *([] for _ in range(8))]

    def _take_card(self, card: Card) -> None:
        row = [card.name, card.until_ms, card.owner, binary(row_of(card))]
        self._requests[self._of(card.name)][8].append(row)

    def _take_person(self, person: Person) -> None:
        # A change is written one version on.
        record = replace(person.record, version=person.record.version - 1)
        change = change_of(Change(record, person.due_ms), is_forgotten=False, is_own=True)
        person_id, _, row, due_ms = change[:4]
        self._requests[self._of(person_id)][1].append([person_id, row, due_ms])

    def _take_alias(self, alias: Alias) -> None:
        pair = [alias.name, alias.person_id]
        self._aliases[alias.name] = alias.person_id
        self._requests[self._of(alias.name)][2].append(pair)
        self._requests[self._of(alias.person_id)][3].append(pair)

    def _take_send(self, row: SentRow) -> None:
        send = row.send
        settled_ms = -1 if row.settled_ms is None else row.settled_ms
        first = replace(send, attempts=0, last_error="")
        self._requests[self._of(send.person_id)][5].append([
            send.send_id, send.person_id, send.lever, send.created_ms, send.due_ms, row.status,
            row.reason, settled_ms, send.attempts, send.last_error, binary(pack(first)),
        ])  # fmt: skip


def _log_of(person_id: str, items: list[Decision | Fact]) -> list[Any]:
    """As ``take_in`` takes it: person, time of the first, entries, how many."""
    entries = binary(b"".join(map(entry_of, items)))
    return [person_id, min(one.at_ms for one in items), entries, len(items)]
