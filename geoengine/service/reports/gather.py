"""What was decided and what happened, read in pages into columns.

No object is kept a row: names of campaigns, stores and so on are positions in a list of words, and
people and triggers, of which there may be millions, are 64-bit hashes that mean nothing elsewhere.
About 100 bytes a row; `ROWS_MAX` bounds them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

from geoengine.core.attribution import each_once, pair
from geoengine.core.columns import Bools, Columns, Floats, Longs
from geoengine.core.errors import GeoengineError
from geoengine.core.judging.questions import HELD_OUT, HELD_OUT_GLOBALLY
from geoengine.core.record import Decision, Fact
from geoengine.state.base import Past

# Unpacked at once, 2 ms in which no ping is answered. Fewer, and turning the pages costs more than
# what is on them.
PAGE_ROWS: Final = 2_000
ROWS_MAX: Final = 6_000_000  # 0.6 GB; a busy month of a chain of shops
KINDS: Final = (
    "visit", "sent", "delivered", "failed", "opened", "clicked", "redeemed", "opted_out",
)  # fmt: skip
NO_TRIGGER: Final = 0  # the hash of no name at all
STREET: Final = ""  # where a path through a shop begins and ends
_AMOUNT_OF: Final = {"visit": "confidence", "sent": "cost", "redeemed": "amount"}
_KIND_IX: Final = {kind: ix for ix, kind in enumerate(KINDS)}


class TooMuch(GeoengineError):
    """More has happened in a period than is added up at once."""


class Words(dict[str, int]):
    """Names and their positions: a name that is asked for and not there gets the next one."""

    def __missing__(self, name: str) -> int:
        self[name] = ix = len(self)
        return ix

    @property
    def names(self) -> list[str]:
        """The names, each at its position."""
        return list(self)


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
    source: Longs  # of a visit: how it was seen; of a failure: how the message ended
    amount: Floats  # confidence of a visit, cost of what was sent, what was redeemed
    currency: Longs  # -1 where nothing was paid
    lasted_s: Floats

    def __len__(self) -> int:
        return len(self.at_ms)

    def of(self, *kinds: str) -> Happened:
        """Those of some kinds."""
        return self.take(np.flatnonzero(self.is_of(*kinds)))

    def is_of(self, *kinds: str) -> Bools:
        """Which are of some kinds."""
        is_wanted = np.zeros(len(KINDS), bool)
        is_wanted[[_KIND_IX[kind] for kind in kinds]] = True
        found: Bools = is_wanted[self.kind]
        return found


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
    _taken_back: list[Longs] = field(default_factory=list)
    row_count: int = 0

    def add(self, items: Sequence[Decision | Fact], *, with_steps: bool = False) -> None:
        """Take a page in."""
        decisions = [one for one in items if isinstance(one, Decision)]
        is_mixed = len(decisions) < len(items)
        happened = [one for one in items if isinstance(one, Fact)] if is_mixed else []
        facts = [one for one in happened if one.kind in _KIND_IX]
        self.row_count += len(decisions) + len(facts)
        if decisions:
            self._decided.append(_decided(decisions, self.words))
        if facts:
            self._happened.append(_happened(facts, self.words))
        if len(facts) < len(happened):
            self._taken_back.append(_taken_back(happened))
        if with_steps:
            self._steps.append(_steps(facts, self.words))

    def decided(self) -> Decided:
        """All decisions."""
        return Decided.concat(self._decided or [_decided([], self.words)])

    def happened(self) -> Happened:
        """All facts, each once, but redemptions that do not count after all."""
        found = Happened.concat(self._happened or [_happened([], self.words)])
        if not self._taken_back and len(each_once(found.id)) == len(found):
            return found
        ids, first = np.unique(found.id, return_index=True)
        if self._taken_back:
            first = first[~np.isin(ids, np.concatenate(self._taken_back))]
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


def _decided(rows: Sequence[Decision], words: Words) -> Decided:
    reasons, outcomes = [row.reason for row in rows], [row.outcome for row in rows]
    trigger = _hashes([row.trigger_id for row in rows])
    is_global, is_of_campaign, is_fired = (
        np.fromiter([text == wanted for text in texts], bool, len(rows))
        for texts, wanted in (
            (reasons, HELD_OUT_GLOBALLY), (reasons, HELD_OUT), (outcomes, "fired"),
        )
    )  # fmt: skip
    return Decided(
        at_ms=_longs([row.at_ms for row in rows]),
        person=_hashes([row.person_id for row in rows]),
        campaign=_named([row.campaign_id for row in rows], words),
        store=_named([row.store_id for row in rows], words, none=-1),
        reason=_named(_each_once(reasons, reason_of), words),
        trigger=trigger,
        lever=_named([row.lever for row in rows], words),
        is_fired=is_fired,
        is_held=(is_of_campaign | is_global) & (trigger != NO_TRIGGER),
        is_held_globally=is_global,
        is_measured=np.fromiter([row.is_measured for row in rows], bool, len(rows)),
    )


def _happened(rows: Sequence[Fact], words: Words) -> Happened:
    kinds, datas = [row.kind for row in rows], [row.data for row in rows]
    amounts = [data.get(_AMOUNT_OF.get(kind, "")) for kind, data in zip(kinds, datas, strict=True)]
    return Happened(
        id=_hashes([row.id for row in rows]),
        kind=np.fromiter([_KIND_IX[kind] for kind in kinds], np.int8, len(rows)),
        at_ms=_longs([row.at_ms for row in rows]),
        person=_hashes([row.person_id for row in rows]),
        campaign=_named([row.campaign_id for row in rows], words, none=-1),
        store=_named([row.store_id for row in rows], words, none=-1),
        trigger=_hashes([row.trigger_id for row in rows]),
        lever=_named([data.get("lever") or "" for data in datas], words),
        variant=_named([data.get("variant") or "" for data in datas], words),
        source=_named([data.get("by") or data.get("status") or "" for data in datas], words),
        amount=_numbers(amounts),
        currency=_named([data.get("currency") or "" for data in datas], words, none=-1),
        lasted_s=_numbers([data.get("duration_s") for data in datas]),
    )


def _taken_back(rows: Sequence[Fact]) -> Longs:
    """The redemptions that do not count after all."""
    ids = (row.data.get("redeemed") or "" for row in rows if row.kind == "taken_back")
    return _hashes(list(ids))


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
        position=_longs([one[6] for one in found]),
        store=_named([one[1] for one in found], words),
        place=_named([one[2] for one in found], words),
        after=_named([one[3] for one in found], words),
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


def _each_once(names: Sequence[str], of: Callable[[str], str]) -> list[str]:
    """What each name comes to, worked out once a name."""
    known = {name: of(name) for name in set(names)}
    return [known[name] for name in names]


def _hashes(names: Sequence[str]) -> Longs:
    """A number for each name, `NO_TRIGGER` for none."""
    return np.fromiter(map(hash, names), np.int64, len(names))


def _named(names: Sequence[str], words: Words, none: int | None = None) -> Longs:
    """The position of each name; of no name at all ``none`` where that is given."""
    if none is None or "" not in names:
        return np.fromiter(map(words.__getitem__, names), np.int64, len(names))
    return np.fromiter([words[name] if name else none for name in names], np.int64, len(names))


def _numbers(values: Sequence[float | None]) -> Floats:
    """Nothing is 0."""
    return np.fromiter([value or 0.0 for value in values], np.float64, len(values))


def _longs(numbers: Sequence[int]) -> Longs:
    return np.fromiter(numbers, np.int64, len(numbers))
