"""What was decided and what happened: appended, read by person and by time, dropped by age.

The same for decisions and for facts, each in a log of its own: they are kept for different times.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain, islice
from operator import itemgetter
from typing import Any

from geoengine.state.embedded.shelf.backlog import Numbered, key_of
from geoengine.state.embedded.shelf.base import Mark, Rows, Stretch
from geoengine.state.embedded.shelf.connection import Connection
from geoengine.state.embedded.shelf.schema import LogStatements
from geoengine.state.embedded.writes import LOG_KEPT_COUNT, LogRow

_MEMORY_KEPT_COUNT = 500_000
_ALWAYS_MS = 1 << 62  # later than any time
# Numbers looked through in one call, 5 ms, however few of them are of the time that is asked for:
# commits wait meanwhile.
_LOOKED_AT_COUNT = 20_000
_number = itemgetter(1)


class TableLog:
    """A log in a table, the newest rows of which are still on their way there."""

    def __init__(
        self,
        db: Connection,
        statements: LogStatements,
        waiting: Callable[[], Sequence[list[Numbered]]],
    ) -> None:
        """``waiting`` tells the rows of the journal, by number; some are on file already."""
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
        waiting = chain.from_iterable(self._waiting())
        mine = ((row, seq) for row, seq in waiting if row.person_id == person_id)
        found.update(((row.at_ms, seq), row.packed) for row, seq in mine)
        return [found[moment] for moment in sorted(found, reverse=True)[:limit]]

    def stretch(self, since_ms: int, until_ms: int) -> Stretch:
        """Numbers among which all of a time are: on file, as their index says, and waiting."""
        ends = next(self._db.rows(_pair, self._statements.stretch, (since_ms, until_ms)))
        waiting = chain.from_iterable(self._waiting())
        seqs = [seq for row, seq in waiting if since_ms <= row.at_ms < until_ms]
        return _stretch([seq for seq in (*ends, *seqs[:1], *seqs[-1:]) if seq is not None])

    def between(self, since_ms: int, until_ms: int, stretch: Stretch, limit: int) -> Rows:
        """Those of a time among a stretch, in order of their numbers.

        More than ``limit`` where some of them wait in the journal. What is filed is filed in order
        of the numbers, so of the waiting ones those behind the last found on file are not on file,
        or of another time.
        """
        after, upto = stretch.after, min(stretch.last, stretch.after + _LOOKED_AT_COUNT)
        values = (after, upto, since_ms, until_ms, limit)
        count, last, packed = next(self._db.rows(_totals, self._statements.between, values))
        if count == limit:
            return Rows(count, packed, last)
        waiting = [
            row.packed
            for row, _ in _among(self._waiting(), Stretch(last or after, upto))
            if since_ms <= row.at_ms < until_ms
        ]
        return Rows(count + len(waiting), b"".join([packed or b"", *waiting]), upto)

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

    @property
    def count(self) -> int:
        """How many rows there are."""
        return len(self._rows)

    def append(self, rows: Iterable[LogRow]) -> None:
        """Write some."""
        for row in rows:
            self._seq += 1
            self._rows.append((row, self._seq))

    def of_person(self, person_id: str, limit: int) -> list[bytes]:
        """The packed ones of a person, newest first."""
        mine = [(row.at_ms, seq, row) for row, seq in self._rows if row.person_id == person_id]
        return [row.packed for _, _, row in sorted(mine, reverse=True)[:limit]]

    def stretch(self, since_ms: int, until_ms: int) -> Stretch:
        """Numbers among which all of a time are."""
        return _stretch([seq for row, seq in self._rows if since_ms <= row.at_ms < until_ms])

    def between(self, since_ms: int, until_ms: int, stretch: Stretch, limit: int) -> Rows:
        """Those of a time among a stretch, in order of their numbers."""
        start = bisect_right(self._rows, stretch.after, key=_number)
        some = [
            pair for pair in islice(self._rows, start, start + limit) if pair[1] <= stretch.last
        ]
        packed = [row.packed for row, _ in some if since_ms <= row.at_ms < until_ms]
        upto = some[-1][1] if len(some) == limit else stretch.last
        return Rows(len(packed), b"".join(packed), upto)

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
        self._rows = deque(kept, maxlen=_MEMORY_KEPT_COUNT)
        return before - len(kept)


def _stretch(seqs: list[int]) -> Stretch:
    """From the first of some numbers to the last."""
    return Stretch(min(seqs) - 1, max(seqs)) if seqs else Stretch(0, 0)


def _among(waiting: Sequence[list[Numbered]], stretch: Stretch) -> Iterator[Numbered]:
    """The rows whose numbers are in a stretch."""
    for rows in waiting:
        first, end = (bisect_right(rows, seq, key=_number) for seq in stretch)
        yield from rows[first:end]


def _pair(first: int, second: int) -> tuple[int, int]:
    return first, second


def _totals(count: int, last: int | None, packed: bytes | None) -> tuple[int, Any, Any]:
    return count, last, packed


def _at_moment(at_ms: int, seq: int, packed: bytes) -> tuple[tuple[int, int], bytes]:
    return (at_ms, seq), packed


def _marked(person_key: int, seq: int, packed: bytes) -> tuple[Mark, bytes]:
    return Mark(person_key, seq), packed
