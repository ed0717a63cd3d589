"""The outbox in memory: sends that have not ended, who holds them, and when each is due."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from msgspec.structs import replace

from geoengine.core.record import Send
from geoengine.state.base import Leased, Settlement
from geoengine.state.embedded.held.agenda import Agenda
from geoengine.state.embedded.writes import (
    End,
    Postponement,
    SendRow,
    Write,
    pack_send,
    unpack_send,
)


class Bundle(NamedTuple):
    """Rows leased together and still held, unpacked as they were handed out."""

    until_ms: int
    sends: dict[str, Send]


class Lease(NamedTuple):
    """Who holds a row, until when, and in which bundle it was handed out."""

    owner: str
    until_ms: int
    bundle: str
    is_begun: bool = False  # about to be sent, or on its way


class PendingSends:
    """Rows of the outbox that are not settled.

    A lease lives in memory only: after a restart every row is free, which is what a lease running
    out would have led to. A row cancelled while somebody is sending it can still be settled, but
    never be leased again.

    Rows leased together are one entry of the agenda, a bundle: most are settled long before the
    lease runs out, and then none of them was ever put back on it.
    """

    def __init__(self) -> None:
        self.agenda = Agenda()  # of what can be leased: free rows, and bundles at their leases' end
        self._rows: dict[str, SendRow] = {}  # in the order they were appended
        self._of_person: dict[str, dict[str, None]] = {}
        self._leases: dict[str, Lease] = {}
        self._bundles: dict[str, Bundle] = {}
        self._bundle_count = 0  # ever made
        self._settling: dict[str, Send] = {}
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
        """A new row, due at its ``due_ms``; of two with one id the first counts."""
        if row.send_id in self._rows:
            return
        self._rows[row.send_id] = row
        self._of_person.setdefault(row.person_id, {})[row.send_id] = None
        self.agenda.set(row.send_id, row.due_ms)

    def lease(self, now_ms: int, limit: int, owner: str, lease_ms: int) -> list[Leased]:
        """Hand out rows that are due and free."""
        self._free_bundles(now_ms)
        rows, until_ms = self._rows, now_ms + lease_ms
        sends = {s: unpack_send(rows[s].packed) for s in self.agenda.take(now_ms, limit)}
        if sends:
            self._bundle_count += 1
            name = f"\0{self._bundle_count}"  # no send_id
            self._bundles[name] = Bundle(until_ms, sends)
            self.agenda.set(name, until_ms)
            self._leases.update(dict.fromkeys(sends, Lease(owner, until_ms, name)))
        return [Leased(send, owner, until_ms) for send in sends.values()]

    def begin(self, send_id: str, owner: str) -> bool:
        """The owner is about to send the row; whether it is still theirs."""
        lease = self._leases.get(send_id)
        if lease is None or lease.owner != owner or self._held_row(send_id) is None:
            return False
        self._leases[send_id] = lease._replace(is_begun=True)
        return True

    def is_begun(self, person_id: str, owner: str, now_ms: int) -> bool:
        """Whether anybody but this owner is about to send to a person, or is sending."""
        of_person = [
            *self._of_person.get(person_id, ()),
            *(s for s, row in self._cancelled.items() if row.person_id == person_id),
        ]
        leases = (self._leases[send_id] for send_id in of_person if send_id in self._leases)
        return any(
            lease.is_begun and lease.owner != owner and now_ms < lease.until_ms for lease in leases
        )

    def _free_bundles(self, now_ms: int) -> None:
        """Leases have run out: what is left of their bundles has been due since."""
        for name in [n for n, bundle in self._bundles.items() if bundle.until_ms <= now_ms]:
            bundle = self._bundles.pop(name)
            self.agenda.set(name, None)
            for send_id in bundle.sends:
                self.agenda.set(send_id, bundle.until_ms)

    def _take_off(self, send_id: str) -> Send | None:
        """Let nobody lease the row any more; as it was handed out, if it is."""
        lease = self._leases.get(send_id)
        bundle = None if lease is None else self._bundles.get(lease.bundle)
        if lease is None or bundle is None or send_id not in bundle.sends:
            self.agenda.set(send_id, None)
            return None
        send = bundle.sends.pop(send_id)
        if not bundle.sends:
            del self._bundles[lease.bundle]
            self.agenda.set(lease.bundle, None)
        return send

    def take_for_settling(self, send_id: str, owner: str) -> Lease | None:
        """The owner's lease, if it is still theirs; nobody else can get the row meanwhile."""
        lease = self._leases.get(send_id)
        if lease is None or lease.owner != owner or self._held_row(send_id) is None:
            return None
        send = self._take_off(send_id)
        if send is not None:
            self._settling[send_id] = send
        del self._leases[send_id]
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
        send_id, status, reason = settlement.send_id, settlement.status, settlement.reason
        row = self._held_row(send_id)
        assert row is not None  # taken for settling just before
        send = self._settling.pop(send_id, None) or unpack_send(row.packed)
        attempts = settlement.attempts or send.attempts
        if status == "retry":
            due_ms = settlement.due_ms
            again = replace(send, attempts=attempts, last_error=reason, due_ms=due_ms)
            write.postponements.append(Postponement(send_id, due_ms, pack_send(again)))
        elif attempts == send.attempts:
            write.ends.append(End(send_id, status, reason, now_ms))
        else:
            packed = pack_send(replace(send, attempts=attempts))
            write.ends.append(End(send_id, status, reason, now_ms, packed))

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
        self._take_off(send_id)
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
