"""A commit on its way: packed for the shelf, and applied to memory once it has landed."""

from __future__ import annotations

from dataclasses import dataclass

from geoengine.core.look.stays import settled
from geoengine.state.base import Change, Commit
from geoengine.state.embedded.held.last_fixes import LastFixTable
from geoengine.state.embedded.held.outbox import PendingSends
from geoengine.state.embedded.held.people import People, pack
from geoengine.state.embedded.writes import LogRow, PersonRow, SendRow, Write, pack_send
from geoengine.state.flags import flags_of

_WITHDRAWN = "consent_withdrawn"


def people_of(commit: Commit) -> set[str]:
    """Everybody a commit is about: nobody else may commit on them meanwhile."""
    names = {change.record.person_id for change in commit.changes}
    names.update(commit.drop_people, commit.aliases)
    names.update(send.person_id for send in commit.sends)
    names.update(person_id for person_id, _ in commit.cancel_sends_of)
    return names


@dataclass(slots=True)
class Memory:
    """Everything the embedded state answers from without asking the shelf."""

    people: People
    last: LastFixTable
    outbox: PendingSends

    def conflicts(self, commit: Commit) -> list[str]:
        """Whose record has another version than the one loaded, or is somebody else's by now."""
        version, owner_of = self.people.version, self.people.owner_of
        found = [
            record.person_id
            for change in commit.changes
            if version((record := change.record).person_id) != record.version
            or (owner_of and self._is_others(record.person_id, commit))
        ]
        found += [name for name, was in commit.drop_people.items() if version(name) != was]
        if commit.last is not None and commit.rests is not None:
            found += self.last.moved_on(commit.last, commit.rests)
        return list(dict.fromkeys(found))

    def _is_others(self, person_id: str, commit: Commit) -> bool:
        """Whether this is somebody's device, and does not become its own by this."""
        return person_id in self.people.owner_of and commit.aliases.get(person_id) != person_id

    def bring_up(self, person_ids: list[str]) -> None:
        """Write into these people's records what has been noted of their stays since."""
        records = [r for person_id in person_ids if (r := self.people.get(person_id)) is not None]
        self.last.catch_up(records)
        for record in records:
            self.people.refresh(record.person_id, pack(record))

    def _row(self, change: Change) -> PersonRow:
        record = change.record
        version, flags = self.people.next_version(record.version), flags_of(record)
        return PersonRow(record.person_id, version, change.due_ms, flags, pack(record))

    @staticmethod
    def _dropped(commit: Commit) -> list[str]:
        gone = [change.record.person_id for change in commit.changes if change.is_gone]
        return [*gone, *commit.drop_people]

    def prepare(self, commit: Commit, op: bytes) -> Write:
        """Pack a commit. Nothing has changed yet; whatever cannot be packed raises here."""
        return Write(
            op=op,
            now_ms=commit.now_ms,
            people=[self._row(change) for change in commit.changes if not change.is_gone],
            dropped=self._dropped(commit),
            aliases=list(commit.aliases.items()),
            sends=[
                SendRow(s.send_id, s.person_id, s.lever, s.due_ms, pack_send(s))
                for s in commit.sends
            ],
            ends=[
                end
                for person_id, lever in commit.cancel_sends_of
                for end in self.outbox.cancel(person_id, lever, commit.now_ms, _WITHDRAWN)
            ],
            decisions=[LogRow(d.person_id, d.at_ms, pack(d)) for d in commit.decisions],
            facts=[LogRow(fact.person_id, fact.at_ms, pack(fact)) for fact in commit.facts],
            is_relief=bool(commit.cancel_sends_of or commit.drop_people or commit.forget_devices),
        )

    def apply(self, commit: Commit, write: Write, new_sends: set[str]) -> None:
        """Make a commit visible. Cannot fail."""
        self._apply_people(commit, write)
        if commit.last is not None and len(commit.last):
            self.last.update(commit.last, self.flags_of_device)
            if commit.rests is not None:
                self.last.note(commit.last, commit.rests)
        for device_id in commit.forget_devices:
            self.last.forget(device_id)
        self._tell_devices(commit)
        self.outbox.land(write)
        for row in write.sends:
            if row.send_id in new_sends:
                self.outbox.add(row)

    def flags_of_device(self, device_id: str) -> int:
        """What is on record of whoever the device belongs to."""
        return self.people.flags(self.people.owner(device_id))

    def forget_person(self, person_id: str, also: list[str]) -> bool:
        """Take a person out of memory; whether there was anything."""
        names = self.people.names_of(person_id)
        was_known = self.people.version(person_id) > 0 or len(names) > 1
        self.people.drop(person_id)
        for name in names[1:]:
            self.people.alias(name, name)
        gone = [self.last.forget(name) for name in dict.fromkeys((*names, *also))]
        self.outbox.forget_person(person_id)
        return was_known or any(gone)

    def _apply_people(self, commit: Commit, write: Write) -> None:
        is_dirty = not commit.is_durable
        for row in write.people:
            self.people.put(row, is_dirty=is_dirty)
        for person_id in write.dropped:
            self.people.drop(person_id, is_dirty=is_dirty)
        for name, person_id in commit.aliases.items():
            self.people.alias(name, person_id)

    def _tell_devices(self, commit: Commit) -> None:
        """Note beside the devices' last fixes what is on record of their people now."""
        names_of = self.people.names_of
        names = [*commit.aliases]
        for person_id in commit.drop_people:
            names += names_of(person_id)
        standing = []
        for change in commit.changes:
            record = change.record
            names += names_of(record.person_id)
            names += record.devices
            if (stay := settled(record)) is not None:
                standing.append((record.person_id, stay, record.devices[stay.device_id]))
        if names:
            device_ids = list(dict.fromkeys(names))
            flags = [self.flags_of_device(device_id) for device_id in device_ids]
            self.last.on_record(device_ids, flags, standing)
