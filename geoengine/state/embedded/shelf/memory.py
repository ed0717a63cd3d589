"""The shelf of a state that lives in memory only: replay, and tests of the parts above it."""

from __future__ import annotations

from collections.abc import Iterable

from geoengine.state.embedded.shelf.base import Counts
from geoengine.state.embedded.shelf.cards import MemoryBox
from geoengine.state.embedded.shelf.log import MemoryLog
from geoengine.state.embedded.writes import News, PersonRow, SendRow, Write
from geoengine.state.shapes import Ages


class MemoryShelf:
    """Keeps what `State` asks back and is not in memory anyway; nothing of it survives."""

    def __init__(self) -> None:
        self._sends: dict[str, SendRow] = {}
        self.decisions = MemoryLog()
        self.facts = MemoryLog()
        self.cards = MemoryBox()
        self._notes: dict[str, bytes] = {}

    def open(self) -> None:
        """Nothing to take hold of."""

    def read_people(self) -> Iterable[PersonRow]:
        """Nobody yet."""
        return ()

    def read_aliases(self) -> Iterable[tuple[str, str]]:
        """None yet."""
        return ()

    def read_pending(self) -> Iterable[SendRow]:
        """None yet."""
        return ()

    def read_ops(self) -> Iterable[tuple[bytes, int]]:
        """None yet."""
        return ()

    def take_last_fixes(self) -> Iterable[bytes]:
        """None: there was no start before this one."""
        return ()

    def leave_last_fixes(self, chunks: Iterable[bytes]) -> None:
        """There is no next start."""

    def read_note(self, name: str) -> bytes | None:
        """What was left under a name."""
        return self._notes.get(name)

    def leave_note(self, name: str, value: bytes) -> None:
        """Leave something under a name, in place of what was there."""
        self._notes[name] = value

    def write(self, writes: list[Write]) -> list[News]:
        """Keep what is not in memory anyway; cannot fail."""
        return [self._keep(write) for write in writes]

    def _keep(self, write: Write) -> News:
        new = {row.send_id for row in write.sends if row.send_id not in self._sends}
        for send in write.sends:
            self._sends.setdefault(send.send_id, send)
        for again in write.postponements:
            if (row := self._sends.get(again.send_id)) is not None:
                self._sends[again.send_id] = row.postponed(again)
        for end in write.ends:
            if (row := self._sends.get(end.send_id)) is not None:
                self._sends[end.send_id] = row.ended(end)
        self.decisions.append(write.decisions)
        self.facts.append(write.facts)
        judged = self.cards.judge([write])
        self.cards.keep(judged.cards[0])
        self.cards.land(judged)
        return News(new, judged.cards[0])

    def copy_log(self) -> None:
        """There is no log."""

    def sends(self, status: str, limit: int) -> list[SendRow]:
        """Rows of the outbox, newest first."""
        rows = (r for r in reversed(self._sends.values()) if status in ("", r.status))
        return [row for row, _ in zip(rows, range(limit), strict=False)]

    def sends_of(self, person_id: str, limit: int) -> list[SendRow]:
        """Rows of a person, newest first."""
        mine = [row for row in self._sends.values() if row.person_id == person_id]
        return mine[::-1][:limit]

    def revive(self, send_ids: list[str], now_ms: int, expires_ms: int) -> list[SendRow]:
        """Make dead rows pending again."""
        revived = []
        for send_id in dict.fromkeys(send_ids):
            row = self._sends.get(send_id)
            if row is not None and row.status == "dead":
                self._sends[send_id] = row.revived(now_ms, expires_ms)
                revived.append(self._sends[send_id])
        return revived

    def erase(self, person_id: str) -> int:
        """Forget a person; how many rows there were."""
        before = len(self._sends)
        self._sends = {s: row for s, row in self._sends.items() if row.person_id != person_id}
        logged = self.decisions.erase(person_id) + self.facts.erase(person_id)
        return before - len(self._sends) + logged + self.cards.erase(person_id)

    def trim(self, ages: Ages, limit: int) -> int:
        """Drop what is older than it is kept; how many."""
        before = len(self._sends)
        self._sends = {
            send_id: row
            for send_id, row in self._sends.items()
            if row.settled_ms is None or row.settled_ms >= ages.settled_before_ms
        }
        logged = self.decisions.trim(ages.decisions_before_ms)
        logged += self.facts.trim(ages.facts_before_ms)
        return before - len(self._sends) + logged + self.cards.trim(ages.now_ms)

    def counts(self) -> Counts:
        """What is held."""
        return Counts(sum(row.status == "dead" for row in self._sends.values()), 0)

    def notes(self) -> list[tuple[str, bytes]]:
        """Everything left under a name."""
        return sorted(self._notes.items())

    def sends_from(self, after: int, limit: int) -> list[tuple[int, SendRow]]:
        """Rows of the outbox in the order they were appended, numbered from 1."""
        return list(enumerate(self._sends.values(), 1))[after : after + limit]

    def rows_kept(self) -> int:
        """How many rows there are."""
        return len(self._sends) + self.decisions.count + self.facts.count + self.cards.count

    def wipe(self) -> None:
        """Forget everything."""
        self._sends.clear()
        self._notes.clear()
        self.decisions, self.facts, self.cards = MemoryLog(), MemoryLog(), MemoryBox()

    def relieve(self) -> bool:
        """There is no reserve."""
        return False

    def tidy(self) -> None:
        """There is no reserve."""

    def close(self) -> None:
        """Nothing to let go of."""
