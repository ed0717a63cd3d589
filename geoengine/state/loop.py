"""The loop around the step: load, step, commit. Live service and replay run the same one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Set
from dataclasses import replace
from uuid import uuid4

import numpy as np

from geoengine.core.book import Book
from geoengine.core.columns import Fixes, Known, rows_where
from geoengine.core.engine import Batch, Outcome, step
from geoengine.core.errors import StateConflict
from geoengine.core.look.scan import Scan, scan
from geoengine.core.ranging import Sighting, loudness_dbm
from geoengine.state.agreeing import TRIES, pause
from geoengine.state.amending import identify, lapse
from geoengine.state.base import Commit, State
from geoengine.state.staffing import staffed

OnPart = Callable[[Outcome, Set[int]], None]


async def advance(
    state: State, book: Book, batch: Batch, on_part: OnPart = lambda part, waiting: None
) -> Outcome:
    """One batch: identify, look, load, step, commit; again from the look for those who conflict.

    Fixes that change nothing are noted first, and no more is done about them. ``on_part`` hears of
    each part that is done, as soon as it is, and which posts have fixes or sightings that are not.
    Returns all parts together. Raises `StateUnavailable` when the state cannot commit, and
    `StateConflict` when people go on changing under us; what ``on_part`` heard of has happened.
    """
    told, lost = await _identify_all(state, book, batch), [""]
    if told.counts:
        on_part(told, _posts_of(batch))
    for tries in range(1, TRIES + 1):
        turn = _Turn(state, book, batch)
        await turn.note_quiet(told, on_part)
        batch, lost = await turn.commit(told, on_part)
        if not lost:
            return told
        await pause(tries)
    raise StateConflict(lost)


class _Turn:
    """One try at a batch."""

    def __init__(self, state: State, book: Book, batch: Batch) -> None:
        self._state, self._book, self._batch = state, book, batch
        self._heard: dict[str, list[Sighting]] = {}
        self._heard_by: list[str] = []  # by sighting: the person it tells of; "" for nobody
        self._telling: list[str] = []  # people whose phones say more than where they are
        self._is_assumed = "location" in batch.purposes(book)

    async def note_quiet(self, told: Outcome, on_part: OnPart) -> None:
        """Note what changes nothing else, and find out whom the sightings tell of."""
        state, batch = self._state, self._batch
        part = Outcome()
        self._heard, self._heard_by = await _heard(state, self._book, batch, part.counts)
        if told_of := batch.fixes.told:
            devices = dict.fromkeys(device_id for device_id, _ in told_of)
            self._telling = await state.owners([*devices])
        if fix_count := len(batch.fixes):
            left = await state.note_quiet(
                batch.fixes,
                self._book,
                self._busy,
                is_assumed=self._is_assumed,
                now_ms=batch.now_ms,
            )
            if len(left) < fix_count:
                part.counts["accepted"] = fix_count - len(left)
                self._batch = replace(batch, fixes=batch.fixes.take(left))
        told.add(part)
        on_part(part, _posts_of(self._batch))

    @property
    def _busy(self) -> set[str]:
        return {*self._heard, *self._batch.due, *self._telling}

    async def commit(self, told: Outcome, on_part: OnPart) -> tuple[Batch, list[str]]:
        """The way of the fixes that may change something, of what was heard, and of who is due.

        Returns what is to be done again, and because of whom: nobody, when all is done.
        """
        state, batch, book, busy = self._state, self._batch, self._book, self._busy
        if not len(batch.fixes) and not busy:
            if len(batch.sightings):
                on_part(Outcome(), set())  # they tell of nobody: whoever posted them may go
            return batch, []
        known = await state.known(batch.fixes)
        seen = self._scan(batch.fixes, known)
        records = await state.load(sorted({*seen.timelines, *busy}))
        outcome = step(batch, seen, self._heard, records, book)
        outcome.sends = await staffed(state, outcome.sends, book)
        lost: list[str] = []
        try:
            await _commit(state, outcome, batch.now_ms)
        except StateConflict as conflict:
            lost = conflict.people
            outcome = outcome.without(set(lost))
            batch, counts = self._left(known, set(lost))
            outcome.counts.subtract(counts)
        told.add(outcome)
        on_part(outcome, _posts_of(batch) if lost else set())
        for person_id in outcome.lapsed:
            part = await lapse(state, book, person_id, batch.now_ms)
            told.add(part)
            on_part(part, _posts_of(batch) if lost else set())
        return batch, lost

    def _scan(self, fixes: Fixes, known: Known) -> Scan:
        return scan(
            fixes,
            known,
            self._book,
            is_assumed=self._is_assumed,
            now_ms=self._batch.now_ms,
            busy=self._busy,
        )

    def _left(self, known: Known, lost: set[str]) -> tuple[Batch, Counter[str]]:
        """The part of the batch that is about these people, and what was counted of it."""
        batch, kept = self._batch, np.zeros(len(self._heard_by), bool)
        rows = np.array([ix for ix, own in enumerate(known.person_ids) if own in lost], np.intp)
        for row, person_id in enumerate(self._heard_by):
            kept[row] = person_id in lost
        left = replace(
            batch,
            fixes=batch.fixes.take(rows),
            sightings=batch.sightings.take(rows_where(kept)),
            due=tuple(person_id for person_id in batch.due if person_id in lost),
        )
        counts = Counter(self._scan(left.fixes, known.take(rows)).counts)
        counts["sightings"] += len(left.sightings)
        return left, counts


def _posts_of(batch: Batch) -> set[int]:
    """The posts that have a row in a batch."""
    return {*batch.fixes.post_ix.tolist(), *batch.sightings.post_ix.tolist()}


async def _commit(state: State, outcome: Outcome, now_ms: int) -> None:
    commit = Commit(
        op_id=uuid4().hex,
        changes=tuple(outcome.changes),
        last=outcome.last,
        rests=outcome.rests,
        sends=tuple(outcome.sends),
        decisions=tuple(outcome.decisions),
        facts=tuple(outcome.facts),
        now_ms=now_ms,
    )
    if commit.changes or commit.last is not None or commit.is_durable:
        await state.commit(commit)


async def _heard(
    state: State, book: Book, batch: Batch, counts: Counter[str]
) -> tuple[dict[str, list[Sighting]], list[str]]:
    """The sightings of registered beacons, by the person they tell of; others are counted.

    And whom each row tells of, "" for nobody.
    """
    sightings = batch.sightings
    heard: dict[str, list[Sighting]] = {}
    if not len(sightings):
        return heard, []
    names, places = [], []
    for row, key in enumerate(sightings.beacon_keys):
        gateway_id = sightings.gateway_ids[row]
        if gateway_id is None:
            names.append(sightings.device_ids[row] or "")
            places.append(book.beacons.get(key, -1))
        else:
            names.append(beacon_name(key))
            places.append(book.place_of_gateway(gateway_id))
    owners = await state.owners(names)
    for row, (name, owner, zone_ix) in enumerate(zip(names, owners, places, strict=True)):
        is_strange = zone_ix < 0 or (sightings.gateway_ids[row] is not None and owner == name)
        counts["unknown_beacon" if is_strange else "sightings"] += 1
        if is_strange:
            owners[row] = ""
        else:
            heard.setdefault(owner, []).append(_sighting(batch, row, name, zone_ix))
    return heard, owners


def _sighting(batch: Batch, row: int, device_id: str, zone_ix: int) -> Sighting:
    sightings = batch.sightings
    return Sighting(
        device_id=device_id,
        zone_ix=zone_ix,
        rssi_dbm=loudness_dbm(float(sightings.rssi_dbm[row]), float(sightings.tx_power_dbm[row])),
        seen_ms=int(sightings.seen_ms[row]),
        recv_ms=int(sightings.recv_ms[row]),
        post_ix=int(sightings.post_ix[row]),
    )


def beacon_name(key: tuple[str, int, int]) -> str:
    """The alias of a beacon that somebody carries: ``uuid:major:minor``."""
    return f"{key[0]}:{key[1]}:{key[2]}"


async def _identify_all(state: State, book: Book, batch: Batch) -> Outcome:
    """Bind devices to the people that their fixes name, where that is news.

    Every copy of an app holds the key that fixes come with, so they join no people: a fix that
    names a person as its device is that person's, whoever else it names.
    """
    told = Outcome()
    if not any(batch.fixes.person_ids):
        return told
    named = {
        device_id: person_id
        for device_id, person_id in zip(batch.fixes.device_ids, batch.fixes.person_ids, strict=True)
        if person_id
    }
    owners = await state.owners(list(named))
    for (device_id, person_id), owner in zip(named.items(), owners, strict=True):
        if owner != person_id:
            done = await identify(state, book, device_id, person_id, batch.now_ms, may_join=False)
            told.counts.update(done.counts)
    return told
