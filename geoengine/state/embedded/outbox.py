"""The outbox in memory: sends that have not ended, who holds them, and when each is due."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from geoengine.state.base import Leased, Settlement
from geoengine.state.embedded.agenda import Agenda
from geoengine.state.embedded.writes import (
    End,
    Postponement,
    SendRow,
    Write,
    pack_send,
    unpack_send,
)


class Lease(NamedTuple):
    """Who holds a row, and until when."""

    owner: str
    until_ms: int


class PendingSends:
    """Rows of the outbox that are not settled.

    A lease lives in memory only: after a restart every row is free, which is what a lease running
    out would have led to. A row cancelled while somebody is sending it can still be settled, but
    never be leased again.
    """

    def __init__(self) -> None:
        self.agenda = Agenda()  # of what can be leased: free rows, and leased ones at their end
        self._rows: dict[str, SendRow] = {}  # in the order they were appended
        self._of_person: dict[str, dict[str, None]] = {}
        self._leases: dict[str, Lease] = {}
        self._cancelled: dict[str, SendRow] = {}  # while leased

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[SendRow]:
        return iter(self._rows.values())

    @property
    def leased_count(self) -> int:
        """How many rows somebody holds, or held last."""
        return len(self._leases)

    def is_leased(self, send_id: str) -> bool:
        """Whether somebody holds the row, or held it last."""
        return send_id in self._leases

    def add(self, row: SendRow) -> None:
        """A new row, due at its ``due_ms``."""
        self._rows[row.send_id] = row
        self._of_person.setdefault(row.person_id, {})[row.send_id] = None
        self.agenda.set(row.send_id, row.due_ms)

    def lease(self, now_ms: int, limit: int, owner: str, lease_ms: int) -> list[Leased]:
        """Hand out rows that are due and free."""
        until_ms = now_ms + lease_ms
        taken = []
        for send_id in self.agenda.due(now_ms, limit):
            self._leases[send_id] = Lease(owner, until_ms)
            self.agenda.set(send_id, until_ms)
            taken.append(Leased(unpack_send(self._rows[send_id].packed), owner, until_ms))
        return taken

    def take_for_settling(self, send_id: str, owner: str) -> Lease | None:
        """The owner's lease, if it is still theirs; nobody else can get the row meanwhile."""
        lease = self._leases.get(send_id)
        if lease is None or lease.owner != owner or self._held_row(send_id) is None:
            return None
        del self._leases[send_id]
        self.agenda.set(send_id, None)
        return lease

    def give_back(self, leases: dict[str, Lease]) -> None:
        """Settling failed: the rows are the owner's again until the leases run out."""
        for send_id, lease in leases.items():
            if self._held_row(send_id) is not None:
                self._leases[send_id] = lease
            if send_id in self._rows:
                self.agenda.set(send_id, lease.until_ms)

    def settle(self, settlement: Settlement, now_ms: int, write: Write) -> None:
        """Write down how a row held for settling ends or goes on."""
        row = self._held_row(settlement.send_id)
        assert row is not None  # taken for settling just before
        send = unpack_send(row.packed)
        send.attempts = settlement.attempts or send.attempts
        if settlement.status == "retry":
            send.last_error, send.due_ms = settlement.reason, settlement.due_ms
            again = Postponement(row.send_id, settlement.due_ms, pack_send(send))
            write.postponements.append(again)
        else:
            packed = pack_send(send)
            end = End(row.send_id, settlement.status, settlement.reason, now_ms, packed)
            write.ends.append(end)

    def cancel(self, person_id: str, lever: str, now_ms: int, reason: str) -> list[End]:
        """How the pending rows of a person end that go by this lever; "" is every lever."""
        rows = (self._rows[send_id] for send_id in self._of_person.get(person_id, ()))
        return [
            End(row.send_id, "refused", reason, now_ms, is_cancellation=True)
            for row in rows
            if lever in ("", row.lever)
        ]

    def land(self, write: Write) -> None:
        """What was written is on the shelf."""
        for again in write.postponements:
            row = self._rows.get(again.send_id)
            if row is not None:
                self._rows[again.send_id] = row._replace(due_ms=again.due_ms, packed=again.packed)
                self.agenda.set(again.send_id, again.due_ms)
            self._cancelled.pop(again.send_id, None)
        for end in write.ends:
            gone = self.remove(end.send_id)
            if end.is_cancellation and gone is not None and self.is_leased(end.send_id):
                self._cancelled[end.send_id] = gone
            elif not end.is_cancellation:
                self._cancelled.pop(end.send_id, None)

    def remove(self, send_id: str) -> SendRow | None:
        """Take a row out; its lease stays, for whoever is sending it to settle."""
        row = self._rows.pop(send_id, None)
        if row is None:
            return None
        self.agenda.set(send_id, None)
        mates = self._of_person[row.person_id]
        del mates[send_id]
        if not mates:
            del self._of_person[row.person_id]
        return row

    def forget_person(self, person_id: str) -> None:
        """Take out all rows of a person, leases included."""
        ids: Iterable[str] = [
            *self._of_person.get(person_id, ()),
            *(s for s, row in self._cancelled.items() if row.person_id == person_id),
        ]
        for send_id in ids:
            self.remove(send_id)
            self._cancelled.pop(send_id, None)
            self._leases.pop(send_id, None)

    def _held_row(self, send_id: str) -> SendRow | None:
        return self._rows.get(send_id) or self._cancelled.get(send_id)

    def sweep(self, now_ms: int) -> None:
        """Forget cancelled rows whose sender never came back."""
        for send_id in list(self._cancelled):
            lease = self._leases.get(send_id)
            if lease is not None and lease.until_ms <= now_ms:
                del self._leases[send_id], self._cancelled[send_id]
