"""The loop around the step: load, step, commit. Live service and replay run the same one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from uuid import uuid4

from geoengine.core import people
from geoengine.core.book import Book
from geoengine.core.columns import Longs
from geoengine.core.deadlines import next_due_ms
from geoengine.core.engine import Batch, Outcome, event_send, step
from geoengine.core.errors import StateConflict
from geoengine.core.events import PREFIX
from geoengine.core.ranging import Sighting
from geoengine.core.record import Event, Json, Record, Send
from geoengine.core.scan import scan
from geoengine.state.base import Change, Commit, State

OnNoted = Callable[[Longs], None]
TRIES = 20  # a record that changes under us this often belongs to somebody stuck in a loop


async def _until_agreed(once: Callable[[], Awaitable[Outcome]]) -> Outcome:
    """Do it again on fresh records as long as somebody else was faster."""
    for _ in range(TRIES - 1):
        with suppress(StateConflict):
            return await once()
    return await once()


async def advance(
    state: State, book: Book, batch: Batch, on_noted: OnNoted = lambda post_ix: None
) -> Outcome:
    """One batch: identify, look, load, step, commit; again from the look on a conflict.

    Fixes that change nothing are noted first, and no more is done about them: ``on_noted`` is told
    the ``post_ix`` of all others, before anything waits for a disk. Raises `StateUnavailable` when
    the state cannot commit; then nothing else has happened.
    """
    await _identify_all(state, book, batch)
    is_assumed = "location" in batch.purposes(book)
    quiet_count = 0

    async def once() -> Outcome:
        nonlocal batch, quiet_count
        counts: Counter[str] = Counter()
        heard = await _heard(state, book, batch, counts)
        busy = {*heard, *batch.due}
        if fix_count := len(batch.fixes):
            left = await state.note_quiet(
                batch.fixes, book, busy, is_assumed=is_assumed, now_ms=batch.now_ms
            )
            if len(left) < fix_count:
                quiet_count += fix_count - len(left)
                batch = replace(batch, fixes=batch.fixes.take(left))
            on_noted(batch.fixes.post_ix)
        if quiet_count:  # also in a try before this one
            counts["accepted"] = quiet_count
        if not len(batch.fixes) and not busy:
            return Outcome(counts=counts)
        return await _stepped(state, book, batch, heard, counts, is_assumed)

    return await _until_agreed(once)


async def _stepped(
    state: State,
    book: Book,
    batch: Batch,
    heard: dict[str, list[Sighting]],
    counts: Counter[str],
    is_assumed: bool,
) -> Outcome:
    """The way of the fixes that may change something, of what was heard, and of who is due."""
    busy = {*heard, *batch.due}
    known = await state.known(batch.fixes)
    seen = scan(batch.fixes, known, book, is_assumed=is_assumed, now_ms=batch.now_ms, busy=busy)
    seen.counts.update(counts)  # a Counter's update adds
    records = await state.load(sorted({*seen.timelines, *busy}))
    outcome = step(batch, seen, heard, records, book)
    await _commit(state, outcome, batch.now_ms)
    return outcome


async def _commit(state: State, outcome: Outcome, now_ms: int) -> None:
    commit = Commit(
        op_id=uuid4().hex,
        changes=tuple(outcome.changes),
        last=outcome.last,
        rests=outcome.rests,
        sends=tuple(outcome.sends),
        decisions=tuple(outcome.decisions),
        now_ms=now_ms,
    )
    if commit.changes or commit.last is not None or commit.is_durable:
        await state.commit(commit)


async def _heard(
    state: State, book: Book, batch: Batch, counts: Counter[str]
) -> dict[str, list[Sighting]]:
    """The sightings of registered beacons, by the person they tell of; others are counted."""
    sightings = batch.sightings
    heard: dict[str, list[Sighting]] = {}
    if not len(sightings):
        return heard
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
        if not is_strange:
            heard.setdefault(owner, []).append(_sighting(batch, row, name, zone_ix))
    return heard


def _sighting(batch: Batch, row: int, device_id: str, zone_ix: int) -> Sighting:
    sightings = batch.sightings
    return Sighting(
        device_id=device_id,
        zone_ix=zone_ix,
        rssi_dbm=float(sightings.rssi_dbm[row]),
        seen_ms=int(sightings.seen_ms[row]),
        recv_ms=int(sightings.recv_ms[row]),
        post_ix=int(sightings.post_ix[row]),
    )


def beacon_name(key: tuple[str, int, int]) -> str:
    """The alias of a beacon that somebody carries: ``uuid:major:minor``."""
    return f"{key[0]}:{key[1]}:{key[2]}"


# --- people -------------------------------------------------------------------------------------


@dataclass(slots=True)
class Amended:
    """What follows from a change to a person, beside the record itself."""

    events: list[Event] = field(default_factory=list)
    cancel_sends: tuple[str, ...] = ()  # levers whose queued messages die; "" is all of them
    forget_devices: tuple[str, ...] = ()
    aliases: dict[str, str] = field(default_factory=dict)


async def amend(
    state: State,
    book: Book,
    person_id: str,
    change: Callable[[Record], Amended | None],
    now_ms: int,
) -> Outcome:
    """Load one record, change it, commit; again on a conflict. ``change`` must be repeatable."""

    async def once() -> Outcome:
        record = (await state.load([person_id])).get(person_id) or Record(person_id)
        amended = change(record) or Amended()
        outcome = Outcome(
            changes=[Change(record, next_due_ms(record, book))],
            events=amended.events,
            sends=_subscribed(amended.events, record, book),
        )
        await state.commit(
            Commit(
                op_id=uuid4().hex,
                changes=tuple(outcome.changes),
                sends=tuple(outcome.sends),
                forget_devices=amended.forget_devices,
                cancel_sends_of=tuple((person_id, lever) for lever in amended.cancel_sends),
                aliases=amended.aliases,
                now_ms=now_ms,
            )
        )
        return outcome

    return await _until_agreed(once)


def _subscribed(events: list[Event], record: Record, book: Book) -> list[Send]:
    webhook = book.engine.spec.webhook
    wanted = set(webhook.events) if webhook else set()
    return [event_send(event, record) for event in events if PREFIX + event.type in wanted]


async def grant(
    state: State, book: Book, person_id: str, purpose: str, evidence: Json, now_ms: int
) -> Outcome:
    """Record a consent."""

    def change(record: Record) -> Amended:
        return Amended(events=people.grant(record, purpose, evidence, now_ms))

    return await amend(state, book, person_id, change, now_ms)


async def withdraw(
    state: State, book: Book, person_id: str, purpose: str, evidence: Json, now_ms: int
) -> Outcome:
    """Record a withdrawal: queued messages die with it, and without location also the last fix."""

    def change(record: Record) -> Amended:
        devices = (*record.devices, person_id)
        events = people.withdraw(record, purpose, evidence, book, now_ms)
        if purpose == "location":
            return Amended(events, cancel_sends=("",), forget_devices=devices)
        return Amended(events, cancel_sends=(purpose,))

    return await amend(state, book, person_id, change, now_ms)


async def identify(
    state: State, book: Book, device_id: str, person_id: str, now_ms: int
) -> Outcome:
    """Say whose device this is: what was remembered of the device becomes the person's."""

    async def once() -> Outcome:
        (owner,) = await state.owners([device_id])
        if owner == person_id:
            return Outcome()
        records = await state.load([device_id, person_id])
        record = records.get(person_id) or Record(person_id)
        nameless = records.get(device_id) if owner == device_id else None
        if nameless is not None:
            people.merge(record, nameless)
        record.devices.setdefault(device_id, -1)
        changed = Change(record, next_due_ms(record, book))
        await state.commit(
            Commit(
                op_id=uuid4().hex,
                changes=(changed,),
                aliases={device_id: person_id},
                drop_people=(device_id,) if nameless is not None else (),
                now_ms=now_ms,
            )
        )
        return Outcome(changes=[changed])

    return await _until_agreed(once)


async def _identify_all(state: State, book: Book, batch: Batch) -> None:
    """Bind devices to the people that their fixes name, where that is news."""
    if not any(batch.fixes.person_ids):
        return
    named = {
        device_id: person_id
        for device_id, person_id in zip(batch.fixes.device_ids, batch.fixes.person_ids, strict=True)
        if person_id
    }
    owners = await state.owners(list(named))
    for (device_id, person_id), owner in zip(named.items(), owners, strict=True):
        if owner != person_id:
            await identify(state, book, device_id, person_id, batch.now_ms)
