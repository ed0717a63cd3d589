"""What crosses the border between the loop and a back end: commits, rows, cards, pages.

What is promised of them stands in `base`, which has them all.
"""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np
from msgspec import Struct

from geoengine.core.columns import LastFixes, Rests, rows_where
from geoengine.core.record import Change, Decision, Fact, Record, Send
from geoengine.core.units import DAY_MS


@dataclass(frozen=True, slots=True)
class Commit:
    """Everything a step, or an operator's request, wants written: all of it or nothing."""

    op_id: str
    changes: tuple[Change, ...] = ()
    last: LastFixes | None = None
    rests: Rests | None = None  # a conflict where the record has changed since `known`
    forget_devices: tuple[str, ...] = ()  # whose last fix is to be forgotten
    sends: tuple[Send, ...] = ()
    cancel_sends_of: tuple[tuple[str, str], ...] = ()  # (person, lever); lever "" is every lever
    decisions: tuple[Decision, ...] = ()
    facts: tuple[Fact, ...] = ()
    aliases: dict[str, str] = field(default_factory=dict)  # device or beacon -> person
    drop_people: dict[str, int] = field(default_factory=dict)  # merged into others; at a version
    now_ms: int = 0

    @property
    def is_durable(self) -> bool:
        """Whether anything in it must be on disk before the caller is answered."""
        return bool(
            self.sends
            or self.decisions
            or self.facts
            or self.aliases
            or self.cancel_sends_of
            or self.drop_people
            or self.forget_devices
            or any(change.is_durable for change in self.changes)
        )

    @property
    def is_bond(self) -> bool:
        """Whether it ties people together: then it is one part."""
        return bool(self.aliases or self.drop_people)

    def without(self, people: Set[str]) -> Commit:
        """What it says of everybody else."""
        if self.is_bond:
            return Commit(self.op_id, now_ms=self.now_ms)
        last, rests = self._last_without(people)
        return replace(
            self,
            changes=tuple(one for one in self.changes if one.record.person_id not in people),
            last=last,
            rests=rests,
            sends=tuple(send for send in self.sends if send.person_id not in people),
            cancel_sends_of=tuple(one for one in self.cancel_sends_of if one[0] not in people),
            decisions=tuple(one for one in self.decisions if one.person_id not in people),
            facts=tuple(fact for fact in self.facts if fact.person_id not in people),
        )

    def _last_without(self, people: Set[str]) -> tuple[LastFixes | None, Rests | None]:
        last, rests = self.last, self.rests
        if last is None:
            return None, None
        kept = np.array([person_id not in people for person_id in last.person_ids], bool)
        if rests is not None:
            mine = rests.take(rows_where(kept[rests.last_ix]))
            rests = replace(mine, last_ix=(np.cumsum(kept) - 1)[mine.last_ix])
        return last.take(rows_where(kept)), rests


class Leased(Struct, frozen=True):
    """An outbox row in somebody's hands until ``until_ms``."""

    send: Send
    owner: str
    until_ms: int


class Settlement(Struct, frozen=True):
    """What became of a leased row.

    ``status``: ``delivered``, ``expired``, ``refused`` and ``dead`` end it; ``retry`` puts it back
    until ``due_ms``.
    """

    send_id: str
    status: str
    reason: str = ""
    due_ms: int = 0
    attempts: int = 0


# Longer than the longest retry schedule of a webhook (76 h), or a late retry would fire twice.
SETTLED_KEPT_MS = 7 * DAY_MS


class Ages(NamedTuple):
    """Up to when what is older is dropped."""

    now_ms: int
    decisions_before_ms: int
    facts_before_ms: int
    settled_before_ms: int

    @classmethod
    def of(
        cls, now_ms: int, decisions_ms: int, facts_ms: int | None, settled_ms: int | None
    ) -> Ages:
        """Facts go as decisions do and settled messages after a week, unless it is told."""
        return cls(
            now_ms,
            decisions_ms,
            decisions_ms if facts_ms is None else facts_ms,
            now_ms - SETTLED_KEPT_MS if settled_ms is None else settled_ms,
        )


CARD_BYTES_MAX = 1 << 20  # of a body: a commit's share of the journal, one server's reply
CARDS_MAX = 10_000_000  # some 4 GB of the embedded state's file; a new one beyond is refused


class Card(Struct, frozen=True):
    """Something named that is no person: a coupon's code, a pool of codes, a number that said STOP.

    Read and written whole, with a version, as records are. It goes with its ``owner`` when that
    person is erased, or one whose name stands for them; and by itself after ``until_ms``, with the
    next `trim`: whoever needs to know to the moment compares.
    """

    name: str  # KIND/REST; nothing in it may name a person
    body: bytes
    version: int = 0  # as loaded; the state raises it at each write, nobody else; 0 for a new one
    owner: str = ""  # a person; "" for nobody
    until_ms: int = 0  # 0 for as long as the state


def require_card(card: Card) -> None:
    """Raises `ValueError` for what no state could keep."""
    if not card.name or len(card.body) > CARD_BYTES_MAX or card.until_ms < 0:
        raise ValueError(
            f"a card has a name, up to {CARD_BYTES_MAX} bytes, and a time for an end: {card.name}"
        )
    (card.name + card.owner).encode()  # a `UnicodeEncodeError` is one


class CardPage(NamedTuple):
    """Some cards, by name, and where the next ones begin; "" when these were the last."""

    cards: list[Card]
    next: str


class History(NamedTuple):
    """Some of what was decided and of what happened, and where the next begins; "" for no more."""

    items: list[Decision | Fact]
    next: str


class Page(NamedTuple):
    """Some of many, and where the next ones begin; "" when these were the last."""

    names: list[str]
    next: str


class SentRow(Struct, frozen=True):
    """A row of the outbox as operators see it: pending, leased, or how it ended."""

    send: Send
    status: str
    reason: str
    settled_ms: int | None


class Person(Struct, frozen=True):
    """A record as it is, and when its next deadline passes."""

    record: Record
    due_ms: int | None


class Alias(Struct, frozen=True):
    """A device or beacon that belongs to somebody."""

    name: str
    person_id: str


class LastTime(Struct, frozen=True):
    """When a device was last heard of; where is never told."""

    device_id: str
    fix_ms: int


class Note(Struct, frozen=True):
    """Something of the service's own."""

    name: str
    value: bytes


Kept = Note | Person | Alias | LastTime | SentRow | Decision | Fact | Card


class Told(NamedTuple):
    """Some of what is kept, and how much of all has been told with it, from 0 to 1."""

    items: Sequence[Kept]
    done: float


class Stats(Struct, frozen=True):
    """Sizes, for operators."""

    record_count: int
    device_count: int
    pending_count: int
    oldest_pending_ms: int | None
    dead_count: int
    decision_count: int
    disk_bytes: int
    fact_count: int
    card_count: int
