"""What was decided and what happened, read in pages into columns.

No object is kept a row: names of campaigns, stores and so on are positions in a list of words, and
people and triggers, of which there may be millions, are 64-bit hashes that mean nothing elsewhere.
About 100 bytes a row; `ROWS_MAX` bounds them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from geoengine.core.attribution import pair
from geoengine.core.columns import Bools, Columns, Floats, Longs
from geoengine.core.errors import GeoengineError
from geoengine.core.judging.questions import HELD_OUT, HELD_OUT_GLOBALLY
from geoengine.core.record import Decision, Fact
from geoengine.state.base import Past

PAGE_ROWS: Final = 5_000  # unpacked at once, 10 ms in which no ping is answered
ROWS_MAX: Final = 6_000_000  # 0.6 GB; a busy month of a chain of shops
KINDS: Final = (
    "visit", "sent", "delivered", "failed", "opened", "clicked", "redeemed", "opted_out",
)  # fmt: skip
NO_TRIGGER: Final = 0
STREET: Final = ""  # where a path through a shop begins and ends
_AMOUNT_OF: Final = {"visit": "confidence", "sent": "cost", "redeemed": "amount"}


class TooMuch(GeoengineError):
    """More has happened in a period than is added up at once."""


class Words:
    """Names and their positions."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self._ix_of: dict[str, int] = {}

    def ix(self, name: str) -> int:
        """The position of a name, a new one for a new name."""
        ix = self._ix_of.get(name)
        if ix is None:
            ix = self._ix_of[name] = len(self.names)
            self.names.append(name)
        return ix


@dataclass(frozen=True, slots=True)
class Decided(Columns):
    """Decisions, D rows."""

    at_ms: Longs
    person: Longs  # a hash
    campaign: Longs  # position in the words, as store, reason
    store: Longs  # -1 for none
    reason: Longs
    trigger: Longs  # a hash; `NO_TRIGGER` where nothing fired, nor would have but for a hold-out
    lever: Longs
    is_fired: Bools
    is_held: Bools  # from this campaign or from all, and by nothing else
    is_held_globally: Bools
    is_measured: Bools

    def __len__(self) -> int:
        return len(self.at_ms)


@dataclass(frozen=True, slots=True)
class Happened(Columns):
    """Facts, F rows; each once."""

    id: Longs  # a hash
    kind: NDArray[np.int8]  # position in KINDS
    at_ms: Longs
    person: Longs
    campaign: Longs
    store: Longs
    trigger: Longs
    lever: Longs
    variant: Longs
    source: Longs  # of a visit: how it was seen
    amount: Floats  # confidence of a visit, cost of what was sent, what was redeemed
    currency: Longs  # -1 where nothing was paid
    lasted_s: Floats

    def __len__(self) -> int:
        return len(self.at_ms)

    def of(self, *kinds: str) -> Happened:
        """Those of some kinds."""
        wanted = [KINDS.index(kind) for kind in kinds]
        return self.take(np.flatnonzero(np.isin(self.kind, wanted)))


@dataclass(frozen=True, slots=True)
class Steps(Columns):
    """Walks through shops, S rows: a place, how long, and which place came next."""

    visit: Longs  # the hash of the fact
    position: Longs  # in its walk
    store: Longs
    place: Longs  # position in the words; the street for the way in
    after: Longs  # the place after it
    person: Longs
    lasted_s: Floats


@dataclass
class Told:
    """Everything of a period, in columns."""

    words: Words = field(default_factory=Words)
    _decided: list[Decided] = field(default_factory=list)
    _happened: list[Happened] = field(default_factory=list)
    _steps: list[Steps] = field(default_factory=list)
    row_count: int = 0

    def add(self, items: Sequence[Decision | Fact], *, with_steps: bool = False) -> None:
        """Take a page in."""
        decisions = [one for one in items if isinstance(one, Decision)]
        facts = [one for one in items if isinstance(one, Fact) and one.kind in KINDS]
        self.row_count += len(decisions) + len(facts)
        if decisions:
            self._decided.append(_decided(decisions, self.words))
        if facts:
            self._happened.append(_happened(facts, self.words))
        if with_steps:
            self._steps.append(_steps(facts, self.words))

    def decided(self) -> Decided:
        """All decisions."""
        return Decided.concat(self._decided or [_decided([], self.words)])

    def happened(self) -> Happened:
        """All facts, each once."""
        found = Happened.concat(self._happened or [_happened([], self.words)])
        _ids, first = np.unique(found.id, return_index=True)
        return found.take(np.sort(first))

    def steps(self) -> Steps:
        """All steps of the visits, of each visit once."""
        found = Steps.concat(self._steps or [_steps([], self.words)])
        _ids, first = np.unique(pair(found.visit, found.position), return_index=True)
        return found.take(np.sort(first))


async def gather(
    past: Past,
    since_ms: int,
    until_ms: int,
    *,
    with_steps: bool = False,
    rows_max: int = ROWS_MAX,
) -> Told:
    """Everything decided and done from one moment up to another. Raises `TooMuch`."""
    told, start = Told(), ""
    while True:
        page = await past.history(since_ms, until_ms, start, PAGE_ROWS)
        await asyncio.to_thread(told.add, page.items, with_steps=with_steps)
        if told.row_count > rows_max:
            raise TooMuch(f"more than {rows_max:,} rows in this period: ask for a shorter one")
        if not page.next:
            return told
        start = page.next


def _decided(rows: list[Decision], words: Words) -> Decided:
    is_held = [row.reason in (HELD_OUT, HELD_OUT_GLOBALLY) and row.trigger_id != "" for row in rows]
    return Decided(
        at_ms=_longs(row.at_ms for row in rows),
        person=_hashes([row.person_id for row in rows]),
        campaign=_named([row.campaign_id for row in rows], words.ix),
        store=_named([row.store_id for row in rows], words.ix, none=-1),
        reason=_named([row.reason for row in rows], lambda text: words.ix(reason_of(text))),
        trigger=_hashes([row.trigger_id for row in rows]),
        lever=_named([row.lever for row in rows], words.ix),
        is_fired=np.array([row.outcome == "fired" for row in rows], bool),
        is_held=np.array(is_held, bool),
        is_held_globally=np.array([row.reason == HELD_OUT_GLOBALLY for row in rows], bool),
        is_measured=np.array([row.is_measured for row in rows], bool),
    )


def _happened(rows: list[Fact], words: Words) -> Happened:
    def text(key: str) -> list[str]:
        return [str(row.data.get(key) or "") for row in rows]

    return Happened(
        id=_hashes([row.id for row in rows]),
        kind=np.array([KINDS.index(row.kind) for row in rows], np.int8),
        at_ms=_longs(row.at_ms for row in rows),
        person=_hashes([row.person_id for row in rows]),
        campaign=_named([row.campaign_id for row in rows], words.ix, none=-1),
        store=_named([row.store_id for row in rows], words.ix, none=-1),
        trigger=_hashes([row.trigger_id for row in rows]),
        lever=_named(text("lever"), words.ix),
        variant=_named(text("variant"), words.ix),
        source=_named(text("by"), words.ix),
        amount=np.array([_number(row.data, _AMOUNT_OF.get(row.kind, "")) for row in rows], float),
        currency=_named(text("currency"), words.ix, none=-1),
        lasted_s=np.array([_number(row.data, "duration_s") for row in rows], float),
    )


def _steps(rows: list[Fact], words: Words) -> Steps:
    found = [
        (row.id, row.store_id, before, after, row.person_id, lasted_s, position)
        for row in rows
        if row.kind == "visit"
        for position, ((before, lasted_s), (after, _s)) in enumerate(
            pairwise([(STREET, 0.0), *row.data.get("path", ()), (STREET, 0.0)])
        )
        if before != after or before != STREET
    ]
    return Steps(
        visit=_hashes([one[0] for one in found]),
        position=_longs(one[6] for one in found),
        store=_named([one[1] for one in found], words.ix),
        place=_named([one[2] for one in found], words.ix),
        after=_named([one[3] for one in found], words.ix),
        person=_hashes([one[4] for one in found]),
        lasted_s=np.array([one[5] for one in found], float),
    )


def reason_of(text: str) -> str:
    """The part of a reason that reports count by: without who won, or how many of how many.

    >>> reason_of("cap:day 2/2"), reason_of("arbitration:afterwork"), reason_of("no_consent:sms")
    ('cap:day', 'arbitration', 'no_consent:sms')
    """
    kind, _, what = text.partition(" ")[0].partition(":")
    return kind if kind == "arbitration" or not what else f"{kind}:{what}"


def _hashes(names: list[str]) -> Longs:
    """A number for each name, `NO_TRIGGER` for none."""
    return np.fromiter([hash(name) if name else 0 for name in names], np.int64, len(names))


def _named(names: list[str], ix: Callable[[str], int], none: int | None = None) -> Longs:
    """The position of each name; of no name at all ``none`` where that is given."""
    known = {name: ix(name) if name or none is None else none for name in dict.fromkeys(names)}
    return np.fromiter([known[name] for name in names], np.int64, len(names))


def _longs(numbers: Iterable[int]) -> Longs:
    return np.fromiter(numbers, np.int64)


def _number(data: dict[str, Any], key: str) -> float:
    value = data.get(key, 0.0)
    return float(value) if isinstance(value, int | float) else 0.0
