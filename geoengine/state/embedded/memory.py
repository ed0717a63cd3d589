"""The shelf of a state that lives in memory only: replay, and tests of the parts above it."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from geoengine.state.embedded.writes import (
    SETTLED_KEPT_MS,
    Counts,
    DecisionRow,
    Mark,
    PersonRow,
    SendRow,
    Write,
)

_DECISIONS_KEPT_COUNT = 500_000


class MemoryShelf:
    """Keeps what `State` asks back and is not in memory anyway; nothing of it survives."""

    def __init__(self) -> None:
        self._sends: dict[str, SendRow] = {}
        self._decisions: deque[DecisionRow] = deque(maxlen=_DECISIONS_KEPT_COUNT)
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

    def write(self, writes: list[Write]) -> list[set[str]]:
        """Keep sends and decisions; cannot fail."""
        return [self._keep(write) for write in writes]

    def _keep(self, write: Write) -> set[str]:
        new = {row.send_id for row in write.sends if row.send_id not in self._sends}
        for send in write.sends:
            self._sends.setdefault(send.send_id, send)
        for again in write.postponements:
            if (row := self._sends.get(again.send_id)) is not None:
                self._sends[again.send_id] = row.postponed(again)
        for end in write.ends:
            if (row := self._sends.get(end.send_id)) is not None:
                self._sends[end.send_id] = row.ended(end)
        self._decisions.extend(write.decisions)
        return new

    def copy_log(self) -> None:
        """There is no log."""

    def decisions(self, person_id: str, limit: int) -> list[bytes]:
        """The packed decisions about a person, newest first."""
        rows = [row for row in reversed(self._decisions) if row.person_id == person_id]
        rows.sort(key=lambda row: -row.at_ms)
        return [row.packed for row in rows[:limit]]

    def sends(self, status: str, limit: int) -> list[SendRow]:
        """Rows of the outbox, newest first."""
        rows = (r for r in reversed(self._sends.values()) if status in ("", r.status))
        return [row for row, _ in zip(rows, range(limit), strict=False)]

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
        before = len(self._sends) + len(self._decisions)
        self._sends = {s: row for s, row in self._sends.items() if row.person_id != person_id}
        self._retain(row for row in self._decisions if row.person_id != person_id)
        return before - len(self._sends) - len(self._decisions)

    def trim(self, now_ms: int, decisions_before_ms: int, limit: int) -> int:
        """Drop what is older than it is kept; how many."""
        before = len(self._sends) + len(self._decisions)
        horizon_ms = now_ms - SETTLED_KEPT_MS
        self._sends = {
            send_id: row
            for send_id, row in self._sends.items()
            if row.settled_ms is None or row.settled_ms >= horizon_ms
        }
        self._retain(row for row in self._decisions if row.at_ms >= decisions_before_ms)
        return before - len(self._sends) - len(self._decisions)

    def _retain(self, rows: Iterable[DecisionRow]) -> None:
        self._decisions = deque(list(rows), maxlen=_DECISIONS_KEPT_COUNT)

    def counts(self) -> Counts:
        """What is held."""
        dead = sum(row.status == "dead" for row in self._sends.values())
        return Counts(dead, len(self._decisions), 0)

    def notes(self) -> list[tuple[str, bytes]]:
        """Everything left under a name."""
        return sorted(self._notes.items())

    def sends_from(self, after: int, limit: int) -> list[tuple[int, SendRow]]:
        """Rows of the outbox in the order they were appended, numbered from 1."""
        return list(enumerate(self._sends.values(), 1))[after : after + limit]

    def decisions_from(self, after: Mark, limit: int) -> list[tuple[Mark, bytes]]:
        """Packed decisions as they were made: one key for everybody."""
        rows = [(Mark(0, seq), row.packed) for seq, row in enumerate(self._decisions, 1)]
        return rows[max(after.seq, 0) :][:limit]

    def rows_kept(self) -> int:
        """How many of both there are."""
        return len(self._sends) + len(self._decisions)

    def wipe(self) -> None:
        """Forget everything."""
        self._sends.clear()
        self._decisions.clear()
        self._notes.clear()

    def relieve(self) -> bool:
        """There is no reserve."""
        return False

    def tidy(self) -> None:
        """There is no reserve."""

    def close(self) -> None:
        """Nothing to let go of."""
