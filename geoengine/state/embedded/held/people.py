"""Records in memory, packed; who belongs to whom; and when each falls due."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Container, Iterator
from heapq import merge
from itertools import islice
from struct import Struct as Layout

import msgspec

from geoengine.core.record import Record
from geoengine.state.embedded.held.agenda import Agenda
from geoengine.state.embedded.writes import PersonRow

# Ahead of each packed record: version and flags. One bytes object a person and nothing else keeps
# the memory small and out of the garbage collector's sight.
_HEAD = Layout("<QB")
_FLAGS_AT = _HEAD.size - 1
_VERSION_BYTES = 8

pack = msgspec.msgpack.Encoder().encode
_unpack = msgspec.msgpack.Decoder(Record).decode


class People:
    """Everybody with a record, and the names (devices, beacons) that stand for somebody."""

    def __init__(self) -> None:
        self.agenda = Agenda()
        self.owner_of: dict[str, str] = {}  # device or beacon -> person
        self._names_of: dict[str, dict[str, None]] = {}  # person -> those names
        self._rows: dict[str, bytes] = {}
        self._gone_version = 0  # the highest of those forgotten
        self._dirty: dict[str, None] = {}  # newer in memory than on the shelf, oldest first
        self._ordered: list[str] | None = None  # ids in order, as of some moment ...
        self._joined: set[str] = set()  # ... and those who came since

    def __len__(self) -> int:
        return len(self._rows)

    def version(self, person_id: str) -> int:
        """The version of a person's record; 0 if there is none."""
        row = self._rows.get(person_id)
        return 0 if row is None else int.from_bytes(row[:_VERSION_BYTES], "little")

    def next_version(self, version: int) -> int:
        """The one after this. Who is written anew comes after all who are forgotten: what somebody
        still makes of a record that was forgotten is told apart from the new one.
        """
        return version + 1 if version else self._gone_version + 1

    def flags(self, person_id: str) -> int:
        """`IS_LOCATED`, `IS_OBSERVED` and `HAS_REFUSED` of a person, added up."""
        row = self._rows.get(person_id)
        return 0 if row is None else row[_FLAGS_AT]

    def get(self, person_id: str) -> Record | None:
        """A fresh copy of a record."""
        row = self._rows.get(person_id)
        if row is None:
            return None
        record = _unpack(memoryview(row)[_HEAD.size :])
        record.version = int.from_bytes(row[:_VERSION_BYTES], "little")
        return record

    def row(self, person_id: str) -> PersonRow:
        """A record as the shelf keeps it."""
        row = self._rows[person_id]
        version, flags = _HEAD.unpack_from(row)
        due_ms = self.agenda.get(person_id)
        return PersonRow(person_id, version, due_ms, flags, row[_HEAD.size :])

    def put(self, row: PersonRow, *, is_dirty: bool) -> None:
        """Replace a record."""
        if row.person_id not in self._rows and self._ordered is not None:
            self._joined.add(row.person_id)
        self._rows[row.person_id] = _HEAD.pack(row.version, row.flags) + row.packed
        self.agenda.set(row.person_id, row.due_ms)
        if is_dirty:
            self._dirty[row.person_id] = None
        else:
            self._dirty.pop(row.person_id, None)

    def refresh(self, person_id: str, packed: bytes) -> None:
        """The same version of a record, later: newer times and nothing else."""
        self._rows[person_id] = self._rows[person_id][: _HEAD.size] + packed
        self._dirty[person_id] = None

    def drop(self, person_id: str, *, is_dirty: bool = False) -> None:
        """Forget a record."""
        self._gone_version = max(self._gone_version, self.version(person_id))
        was_there = self._rows.pop(person_id, None) is not None
        self._joined.discard(person_id)
        self.agenda.set(person_id, None)
        if is_dirty and was_there:
            self._dirty[person_id] = None
        else:
            self._dirty.pop(person_id, None)

    def alias(self, name: str, person_id: str) -> None:
        """Let a device or beacon stand for a person; standing for itself is no alias."""
        before = self.owner_of.pop(name, None)
        if before is not None:
            self._names_of[before].pop(name, None)
            if not self._names_of[before]:
                del self._names_of[before]
        if name != person_id:
            self.owner_of[name] = person_id
            self._names_of.setdefault(person_id, {})[name] = None

    def names_of(self, person_id: str) -> list[str]:
        """The person's own id, and every device and beacon that stands for them."""
        return [person_id, *self._names_of.get(person_id, ())]

    def owner(self, name: str) -> str:
        """Whom a name stands for."""
        return self.owner_of.get(name, name)

    def take_dirty(self, limit: int, held: Container[str]) -> list[str]:
        """Up to ``limit`` people whom the shelf knows older; no longer counted as such.

        Those ``held`` are left: a newer version of them is already on its way.
        """
        ids = list(islice((p for p in self._dirty if p not in held), limit))
        for person_id in ids:
            del self._dirty[person_id]
        return ids

    def as_rows(self, person_ids: list[str]) -> tuple[list[PersonRow], list[str]]:
        """The records of these people as the shelf keeps them, and who has none any more."""
        rows = [self.row(person_id) for person_id in person_ids if person_id in self._rows]
        return rows, [person_id for person_id in person_ids if person_id not in self._rows]

    def mark_dirty(self, person_ids: list[str]) -> None:
        """The shelf could not take these."""
        self._dirty.update(dict.fromkeys(person_ids))

    def page(self, after: str, limit: int) -> list[str]:
        """Ids in order, from the one after ``after``."""
        if self._ordered is None or len(self._joined) > 1_000 + len(self._ordered) // 10:
            self._ordered, self._joined = sorted(self._rows), set()
        start_ix = bisect_right(self._ordered, after)
        joined = sorted(person_id for person_id in self._joined if person_id > after)
        known = (self._ordered[ix] for ix in range(start_ix, len(self._ordered)))
        return list(islice(self._living(merge(known, joined)), limit))

    def _living(self, ids: Iterator[str]) -> Iterator[str]:
        previous = ""
        for person_id in ids:
            # Somebody who left and came back stands in both lists.
            if person_id in self._rows and person_id != previous:
                yield person_id
            previous = person_id
