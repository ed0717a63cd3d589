"""What was decided and what happened: appended, read by person and by time, dropped by age.

The same for decisions and for facts, each in a log of its own: they are kept for different times.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Iterable, Iterator

from geoengine.state.embedded.shelf.backlog import Numbered, key_of
from geoengine.state.embedded.shelf.base import Mark, Moment
from geoengine.state.embedded.shelf.connection import Connection
from geoengine.state.embedded.shelf.schema import LogStatements
from geoengine.state.embedded.writes import LOG_KEPT_COUNT, LogRow

_MEMORY_KEPT_COUNT = 500_000
_ALWAYS_MS = 1 << 62  # later than any time


class TableLog:
    """A log in a table, the newest rows of which are still on their way there."""

    def __init__(
        self,
        db: Connection,
        statements: LogStatements,
        waiting: Callable[[], Iterator[Numbered]],
    ) -> None:
        """``waiting`` tells the rows of the journal, which may be on file already."""
        self.count = 0
        self._db = db
        self._statements = statements
        self._waiting = waiting

    def read(self) -> int:
        """Count what is on file; the highest number."""
        self.count, seq = next(self._db.rows(_pair, self._statements.count))
        return seq

    def of_person(self, person_id: str, limit: int) -> list[bytes]:
        """The packed ones of a person, newest first."""
        values = (key_of(person_id), person_id, limit)
        found = dict(self._db.rows(_at_moment, self._statements.of_person, values))
        mine = ((row, seq) for row, seq in self._waiting() if row.person_id == person_id)
        found.update((Moment(row.at_ms, seq), row.packed) for row, seq in mine)
        return [found[moment] for moment in sorted(found, reverse=True)[:limit]]

    def between(self, until_ms: int, after: Moment, limit: int) -> list[tuple[Moment, bytes]]:
        """Packed ones in the order of their time, from behind a moment until before a time.

        More than ``limit`` where some of them wait in the journal.
        """
        values = (until_ms, *after, limit)
        rows = list(self._db.rows(_at_moment, self._statements.between, values))
        end = rows[-1][0] if len(rows) == limit else Moment(until_ms, -1)
        found = dict(rows)
        first_ms, last_ms = after.at_ms, end.at_ms  # compared first: most are of another time
        for row, seq in self._waiting():
            if first_ms <= row.at_ms <= last_ms and after < (row.at_ms, seq) <= end:
                found[Moment(row.at_ms, seq)] = row.packed
        return sorted(found.items())

    def following(self, after: Mark, limit: int) -> list[tuple[Mark, bytes]]:
        """Packed ones on file, a person's in the order they were written, each with its mark."""
        return list(self._db.rows(_marked, self._statements.following, (*after, limit)))

    def erase(self, person_id: str) -> int:
        """Drop a person's, in a transaction of the caller's, who counts them off; how many."""
        return self._db.run(self._statements.erase, (key_of(person_id), person_id))

    def trim(self, before_ms: int, limit: int) -> int:
        """Drop up to ``limit`` rows that are older, or more than are kept; how many."""
        gone = self._db.alter(self._statements.trim, (before_ms, limit))
        excess = min(limit, self.count - gone - LOG_KEPT_COUNT)
        if excess > 0:
            gone += self._db.alter(self._statements.trim, (_ALWAYS_MS, excess))
        self.count -= gone
        return gone


class MemoryLog:
    """A log in memory, bounded: what was written first leaves first."""

    def __init__(self) -> None:
        self._rows: deque[Numbered] = deque(maxlen=_MEMORY_KEPT_COUNT)
        self._seq = 0
        self._ordered: list[tuple[Moment, bytes]] | None = None  # by time

    @property
    def count(self) -> int:
        """How many rows there are."""
        return len(self._rows)

    def append(self, rows: Iterable[LogRow]) -> None:
        """Write some."""
        for row in rows:
            self._seq += 1
            self._rows.append((row, self._seq))
            self._ordered = None

    def of_person(self, person_id: str, limit: int) -> list[bytes]:
        """The packed ones of a person, newest first."""
        mine = [(row.at_ms, seq, row) for row, seq in self._rows if row.person_id == person_id]
        return [row.packed for _, _, row in sorted(mine, reverse=True)[:limit]]

    def between(self, until_ms: int, after: Moment, limit: int) -> list[tuple[Moment, bytes]]:
        """Packed ones in the order of their time, from behind a moment until before a time."""
        if self._ordered is None:
            self._ordered = sorted((Moment(row.at_ms, n), row.packed) for row, n in self._rows)
        start = bisect_right(self._ordered, after, key=lambda one: one[0])
        return [one for one in self._ordered[start : start + limit] if one[0].at_ms < until_ms]

    def following(self, after: Mark, limit: int) -> list[tuple[Mark, bytes]]:
        """Packed ones as they were written: one key for everybody."""
        rows = [(Mark(0, nth), row.packed) for nth, (row, _) in enumerate(self._rows, 1)]
        return rows[max(after.seq, 0) :][:limit]

    def erase(self, person_id: str) -> int:
        """Drop a person's; how many."""
        return self._retain(lambda row: row.person_id != person_id)

    def trim(self, before_ms: int) -> int:
        """Drop those that are older; how many."""
        return self._retain(lambda row: row.at_ms >= before_ms)

    def _retain(self, is_kept: Callable[[LogRow], bool]) -> int:
        before = len(self._rows)
        kept = [(row, seq) for row, seq in self._rows if is_kept(row)]
        self._rows, self._ordered = deque(kept, maxlen=_MEMORY_KEPT_COUNT), None
        return before - len(kept)


def _pair(first: int, second: int) -> tuple[int, int]:
    return first, second


def _at_moment(at_ms: int, seq: int, packed: bytes) -> tuple[Moment, bytes]:
    return Moment(at_ms, seq), packed


def _marked(person_key: int, seq: int, packed: bytes) -> tuple[Mark, bytes]:
    return Mark(person_key, seq), packed
