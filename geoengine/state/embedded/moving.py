"""The embedded state, told to another one and taken in from it: a page at a time.

Nobody commits meanwhile.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from typing import Final, TypeVar

import msgspec
import numpy as np

from geoengine.core.columns import LastFixes
from geoengine.core.record import Decision, Fact
from geoengine.state.base import Alias, Card, Kept, LastTime, Note, Person, SentRow, Told
from geoengine.state.embedded.commits import Memory
from geoengine.state.embedded.held.people import pack
from geoengine.state.embedded.shelf.base import Log, Mark, Shelf
from geoengine.state.embedded.shelf.cards import card_of, row_of
from geoengine.state.embedded.writer import Writer
from geoengine.state.embedded.writes import (
    LogRow,
    PersonRow,
    SendRow,
    Write,
    pack_send,
    unpack_send,
)
from geoengine.state.flags import flags_of

PAGE: Final = 4_000  # items: some megabytes at a time
T = TypeVar("T")

_unpack_decision = msgspec.msgpack.Decoder(Decision).decode
_unpack_fact = msgspec.msgpack.Decoder(Fact).decode
_unpack_times = msgspec.msgpack.Decoder(tuple[list[str], bytes]).decode


class Teller:
    """Tells what memory and shelf hold."""

    def __init__(self, memory: Memory, shelf: Shelf, writer: Writer) -> None:
        self._memory = memory
        self._shelf = shelf
        self._writer = writer

    async def tell(self) -> AsyncIterator[Told]:
        """Everything, kind by kind."""
        people, last = self._memory.people, self._memory.last
        held = len(people) + len(people.owner_of) + len(last)
        total, count = held + await self._writer.call(self._shelf.rows_kept), 0
        notes = await self._writer.call(self._shelf.notes)
        yield Told([Note(*note) for note in notes], 0.0)
        for items in self._of_memory():
            count += len(items)
            yield Told(items, count / total)
        async for told in self._of_shelf():
            count += len(told)
            yield Told(told, count / total)

    def _of_memory(self) -> Iterator[Sequence[Kept]]:
        people, last, start = self._memory.people, self._memory.last, ""
        while names := people.page(start, PAGE):
            start = names[-1]
            yield self._people(names)
        for pairs in _pages(list(people.owner_of.items())):
            yield [Alias(*pair) for pair in pairs]
        for chunk in last.times():
            ids, raw = _unpack_times(chunk)
            times = zip(ids, np.frombuffer(raw, np.int64).tolist(), strict=True)
            yield from _pages([LastTime(*one) for one in times])

    def _people(self, names: list[str]) -> list[Person]:
        people = self._memory.people
        records = [record for name in names if (record := people.get(name)) is not None]
        self._memory.last.catch_up(records)
        return [Person(one, people.agenda.get(one.person_id)) for one in records]

    async def _of_shelf(self) -> AsyncIterator[Sequence[Kept]]:
        after = 0
        while rows := await self._writer.call(self._shelf.sends_from, after, PAGE):
            after = rows[-1][0]
            yield [_sent(row) for _, row in rows]
        async for rows_of_log in self._of_log(self._shelf.decisions):
            yield [_unpack_decision(packed) for packed in rows_of_log]
        async for rows_of_log in self._of_log(self._shelf.facts):
            yield [_unpack_fact(packed) for packed in rows_of_log]
        name = ""
        while (found := await self._writer.call(self._shelf.cards.page, "", name, PAGE))[0]:
            cards, name = found
            yield [card_of(row._replace(version=0)) for row in cards]
            if not name:
                break

    async def _of_log(self, log: Log) -> AsyncIterator[list[bytes]]:
        mark = Mark(-1, -1)
        while found := await self._writer.call(log.following, mark, PAGE):
            mark = found[-1][0]
            yield [packed for _, packed in found]


class Intake:
    """What another state told, sorted by where it belongs."""

    def __init__(self, items: Sequence[Kept]) -> None:
        self.notes: list[Note] = []
        self.write = Write()
        self._times: list[LastTime] = []
        take: dict[type, Callable[..., None]] = {
            Note: self.notes.append,
            LastTime: self._times.append,
            Person: self._take_person,
            Alias: lambda alias: self.write.aliases.append((alias.name, alias.person_id)),
            SentRow: self._take_send,
            Decision: lambda one: self.write.decisions.append(_logged(one)),
            Fact: lambda one: self.write.facts.append(_logged(one)),
            Card: lambda card: self.write.cards.append(row_of(card)),
        }
        for item in items:
            take[type(item)](item)

    def _take_person(self, person: Person) -> None:
        record = person.record
        row = (record.person_id, record.version, person.due_ms, flags_of(record), pack(record))
        self.write.people.append(PersonRow(*row))

    def _take_send(self, row: SentRow) -> None:
        send = row.send
        who = (send.send_id, send.person_id, send.lever, send.due_ms)
        status = "pending" if row.settled_ms is None else row.status
        packed = SendRow(*who, pack_send(send), status, row.reason, row.settled_ms)
        self.write.sends.append(packed)

    def apply(self, memory: Memory) -> None:
        """What the shelf holds by now is for memory too."""
        for person in self.write.people:
            memory.people.put(person, is_dirty=False)
        for alias in self.write.aliases:
            memory.people.alias(*alias)
        for send in self.write.sends:
            if send.settled_ms is None:
                memory.outbox.add(send)
        if self._times:
            ids = [time.device_id for time in self._times]
            fix_ms = np.array([time.fix_ms for time in self._times], np.int64)
            memory.last.update(LastFixes.up_to(ids, fix_ms), memory.flags_of_device)


def _sent(row: SendRow) -> SentRow:
    return SentRow(unpack_send(row.packed), row.status, row.reason, row.settled_ms)


def _logged(one: Decision | Fact) -> LogRow:
    return LogRow(one.person_id, one.at_ms, pack(one))


def _pages(rows: Sequence[T]) -> Iterator[Sequence[T]]:
    for start in range(0, len(rows), PAGE):
        yield rows[start : start + PAGE]
