"""What goes to the shelf: a `Write` is one commit, packed on the event loop."""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from geoengine.core.errors import StateUnavailable
from geoengine.core.record import Send
from geoengine.core.units import DAY_MS

# Operation ids answer the repeated request of a caller who lost the answer: hours, not weeks. The
# count bounds memory at about 36 MB whatever the rate.
OPS_KEPT_MS = DAY_MS
OPS_KEPT_COUNT = 200_000
LOG_KEPT_COUNT = 5_000_000  # decisions, and as many facts: a disk is finite too

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


class LogRow(NamedTuple):
    """A decision or a fact, packed."""

    person_id: str
    at_ms: int
    packed: bytes


class CardRow(NamedTuple):
    """A card; an empty body takes it away. On its way to the shelf with the version it was loaded
    with, from there on with the one it is kept with.
    """

    name: str
    version: int
    until_ms: int
    owner: str
    body: bytes


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
    decisions: list[LogRow] = []
    is_relief: bool = False  # must get through on a full disk: it withdraws, ends or frees
    facts: list[LogRow] = []
    cards: list[CardRow] = []


class News(NamedTuple):
    """What came of a write."""

    send_ids: set[str]  # that were not there before
    cards: list[CardRow]  # as they are kept; those that had another version are left out


def news_of(writes: list[Write], known: set[str]) -> list[set[str]]:
    """Which send_ids each write brings that are not ``known``; of two alike, the first is new."""
    news = []
    for write in writes:
        news.append({row.send_id for row in write.sends} - known)
        known |= news[-1]
    return news
