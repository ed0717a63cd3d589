"""What a shelf is: the blocking half of the embedded state.

It puts a group of writes away, all or nothing, and answers questions about what is not worth
keeping in memory: what was, cards, and sends that have ended. Two shelves exist:
`sqlite.SqliteShelf` and, for replay, `memory.MemoryShelf`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple, Protocol

from geoengine.state.embedded.writes import CardRow, News, PersonRow, SendRow, Write
from geoengine.state.shapes import Ages


class Mark(NamedTuple):
    """Where a row stands among all: those of a person are together."""

    person_key: int
    seq: int


class Stretch(NamedTuple):
    """Numbers of rows: from behind one up to another, that one included."""

    after: int
    last: int

    @property
    def is_empty(self) -> bool:
        """Whether no number is in it."""
        return self.after >= self.last


class Rows(NamedTuple):
    """Packed rows, end to end, and the number up to which they were looked for."""

    row_count: int
    packed: bytes
    upto: int


class Counts(NamedTuple):
    """What a shelf holds."""

    dead: int
    disk_bytes: int


class Log(Protocol):
    """Decisions, or facts: appended, read by person and by time."""

    @property
    def count(self) -> int:
        """How many there are."""
        ...

    def of_person(self, person_id: str, limit: int) -> list[bytes]:
        """The packed ones of a person, newest first."""
        ...

    def stretch(self, since_ms: int, until_ms: int) -> Stretch:
        """Numbers among which all of a time are, and others."""
        ...

    def between(self, since_ms: int, until_ms: int, stretch: Stretch, limit: int) -> Rows:
        """Those of a time among a stretch, in order of their numbers: about so many, or fewer
        though there are more further on.
        """
        ...

    def following(self, after: Mark, limit: int) -> list[tuple[Mark, bytes]]:
        """Packed ones, a person's in the order they were written, each with its mark."""
        ...


class Box(Protocol):
    """The cards."""

    @property
    def count(self) -> int:
        """How many there are."""
        ...

    def find(self, names: list[str]) -> list[CardRow]:
        """Those of them that there are."""
        ...

    def page(self, prefix: str, after: str, limit: int) -> tuple[list[CardRow], str]:
        """Cards in the order of their names, from behind one; and the last name, "" at the end."""
        ...

    def owned(self, owner: str) -> list[CardRow]:
        """Those of one owner, by name."""
        ...


class Shelf(Protocol):
    """Where writes are put away. Methods block; all are called from one thread at a time."""

    @property
    def decisions(self) -> Log:
        """What was decided."""
        ...

    @property
    def facts(self) -> Log:
        """What happened."""
        ...

    @property
    def cards(self) -> Box:
        """What is known by name."""
        ...

    def open(self) -> None:
        """Take hold. Raises `StateLocked`, `StateUnavailable`."""
        ...

    def read_people(self) -> Iterable[PersonRow]:
        """Every record."""
        ...

    def read_aliases(self) -> Iterable[tuple[str, str]]:
        """Every device or beacon that belongs to somebody."""
        ...

    def read_pending(self) -> Iterable[SendRow]:
        """Every send that has not ended, oldest first."""
        ...

    def read_ops(self) -> Iterable[tuple[bytes, int]]:
        """The operation ids remembered, oldest first, with their times."""
        ...

    def take_last_fixes(self) -> Iterable[bytes]:
        """The times that a graceful stop left behind; they are gone afterwards."""
        ...

    def leave_last_fixes(self, chunks: Iterable[bytes]) -> None:
        """Leave times for the next start."""
        ...

    def read_note(self, name: str) -> bytes | None:
        """What was left under a name."""
        ...

    def leave_note(self, name: str, value: bytes) -> None:
        """Leave something under a name, in place of what was there."""
        ...

    def write(self, writes: list[Write]) -> list[News]:
        """Put all of them away or none, less the cards that another one was faster with."""
        ...

    def copy_log(self) -> None:
        """What can be done after the commits have been answered."""
        ...

    def sends(self, status: str, limit: int) -> list[SendRow]:
        """Rows of the outbox, newest first."""
        ...

    def sends_of(self, person_id: str, limit: int) -> list[SendRow]:
        """Rows of a person, newest first."""
        ...

    def revive(self, send_ids: list[str], now_ms: int, expires_ms: int) -> list[SendRow]:
        """Make dead rows pending again."""
        ...

    def erase(self, person_id: str) -> int:
        """Forget a person to the last byte; how many rows there were."""
        ...

    def trim(self, ages: Ages, limit: int) -> int:
        """Drop up to ``limit`` rows of each kind that are older than they are kept; how many."""
        ...

    def counts(self) -> Counts:
        """What is held."""
        ...

    def notes(self) -> list[tuple[str, bytes]]:
        """Everything left under a name."""
        ...

    def sends_from(self, after: int, limit: int) -> list[tuple[int, SendRow]]:
        """Rows of the outbox in the order they were appended, each with its number."""
        ...

    def rows_kept(self) -> int:
        """How many rows there are."""
        ...

    def wipe(self) -> None:
        """Forget everything to the last byte."""
        ...

    def relieve(self) -> bool:
        """Give up the reserve of space, if there is one left."""
        ...

    def tidy(self) -> None:
        """Put the reserve of space back if there is room for it again."""
        ...

    def close(self) -> None:
        """Let go."""
        ...
