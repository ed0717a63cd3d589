"""What goes to the shelf, and what a shelf is: the blocking half of the embedded state.

A `Write` is one commit with everything packed, made on the event loop. A `Shelf` puts a group of
them away, all or nothing, and answers questions about what is not worth keeping in memory:
decisions, and sends that have ended. Two shelves exist: `sqlite.SqliteShelf` and, for replay,
`memory.MemoryShelf`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple, Protocol

import msgspec

from geoengine.core.errors import StateUnavailable
from geoengine.core.record import Send
from geoengine.core.units import DAY_MS

# Longer than the longest retry schedule of a webhook (76 h), or a late retry would fire twice.
SETTLED_KEPT_MS = 7 * DAY_MS
# Operation ids answer the repeated request of a caller who lost the answer: hours, not weeks. The
# count bounds memory at about 36 MB whatever the rate.
OPS_KEPT_MS = DAY_MS
OPS_KEPT_COUNT = 200_000
DECISIONS_KEPT_COUNT = 5_000_000

pack_send = msgspec.msgpack.Encoder().encode
unpack_send = msgspec.msgpack.Decoder(Send).decode


class DiskFull(StateUnavailable):
    """No room; nothing was written, and what gives room back may still work."""


class Broken(StateUnavailable):
    """The disk no longer keeps its word; nothing that follows can be trusted."""


class PersonRow(NamedTuple):
    """A record, packed."""

    person_id: str
    version: int
    due_ms: int | None
    flags: int
    packed: bytes


class SendRow(NamedTuple):
    """A row of the outbox, packed. ``settled_ms`` is None while it is pending."""

    send_id: str
    person_id: str
    lever: str
    due_ms: int
    packed: bytes
    status: str = "pending"
    reason: str = ""
    settled_ms: int | None = None

    def revived(self, now_ms: int, expires_ms: int) -> SendRow:
        """The row as new: due at once, no attempt made yet."""
        send = unpack_send(self.packed)
        send.due_ms, send.expires_ms, send.attempts = now_ms, expires_ms, 0
        return SendRow(self.send_id, self.person_id, self.lever, now_ms, pack_send(send))

    def ended(self, end: End) -> SendRow:
        """The row after this end."""
        if end.is_cancellation and self.status != "pending":
            return self
        packed = self.packed if end.packed is None else end.packed
        return SendRow(*self[:4], packed, end.status, end.reason, end.settled_ms)

    def postponed(self, again: Postponement) -> SendRow:
        """The row put back; one that has ended stays as it ended."""
        if self.status != "pending":
            return self
        return SendRow(self.send_id, self.person_id, self.lever, again.due_ms, again.packed)


class End(NamedTuple):
    """How a row of the outbox ends. A cancellation ends it only if nothing has ended it before."""

    send_id: str
    status: str
    reason: str
    settled_ms: int
    packed: bytes | None = None
    is_cancellation: bool = False


class Postponement(NamedTuple):
    """A row of the outbox that is to be tried again."""

    send_id: str
    due_ms: int
    packed: bytes


class DecisionRow(NamedTuple):
    """A decision, packed."""

    person_id: str
    at_ms: int
    packed: bytes


class Write(msgspec.Struct, array_like=True, omit_defaults=True):
    """One commit, ready to be put away. Packed by position: so it stands in the journal."""

    op: bytes = b""
    now_ms: int = 0
    people: list[PersonRow] = []
    dropped: list[str] = []
    aliases: list[tuple[str, str]] = []
    sends: list[SendRow] = []
    ends: list[End] = []
    postponements: list[Postponement] = []
    decisions: list[DecisionRow] = []
    is_relief: bool = False  # must get through on a full disk: it withdraws, ends or frees


def news_of(writes: list[Write], known: set[str]) -> list[set[str]]:
    """Which send_ids each write brings that are not ``known``; of two alike, the first is new."""
    news = []
    for write in writes:
        news.append({row.send_id for row in write.sends} - known)
        known |= news[-1]
    return news


class Mark(NamedTuple):
    """Where a decision stands among all: those of a person are together."""

    person_key: int
    seq: int


class Counts(NamedTuple):
    """What a shelf holds."""

    dead: int
    decisions: int
    disk_bytes: int


class Shelf(Protocol):
    """Where writes are put away. Methods block; all are called from one thread at a time."""

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

    def write(self, writes: list[Write]) -> list[set[str]]:
        """Put all of them away or none; for each, the send_ids that were new."""
        ...

    def copy_log(self) -> None:
        """What can be done after the commits have been answered."""
        ...

    def decisions(self, person_id: str, limit: int) -> list[bytes]:
        """The packed decisions about a person, newest first."""
        ...

    def sends(self, status: str, limit: int) -> list[SendRow]:
        """Rows of the outbox, newest first."""
        ...

    def revive(self, send_ids: list[str], now_ms: int, expires_ms: int) -> list[SendRow]:
        """Make dead rows pending again."""
        ...

    def erase(self, person_id: str) -> int:
        """Forget a person to the last byte; how many rows there were."""
        ...

    def trim(self, now_ms: int, decisions_before_ms: int, limit: int) -> int:
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

    def decisions_from(self, after: Mark, limit: int) -> list[tuple[Mark, bytes]]:
        """Packed decisions, one person's in the order they were made, each with its mark."""
        ...

    def rows_kept(self) -> int:
        """How many of both there are."""
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
