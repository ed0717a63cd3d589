"""What changes about a person, whoever says it: load the record, change it, commit; and look at it.

The step never asks for these: they come one by one, from routes, deadlines and commands.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from uuid import uuid4

from geoengine.core.book import Book
from geoengine.core.consent import merging, people
from geoengine.core.engine import Outcome
from geoengine.core.record import Decision, Event, Fact, Json, Record, Send
from geoengine.core.telling.news import news
from geoengine.core.visiting.deadlines import next_due_ms
from geoengine.state.agreeing import until_agreed
from geoengine.state.base import Change, Commit, SentRow, State

DEVICE_TOLD: Json = {"because": "device"}
NOT_A_DEVICE = "not_a_device"  # what was said to be somebody's device is a person


@dataclass(slots=True)
class Amended:
    """What follows from a change to a person, beside the record itself."""

    events: list[Event] = field(default_factory=list)
    facts: list[Fact] = field(default_factory=list)
    cancel_sends: tuple[str, ...] = ()  # levers whose queued messages die; "" is all of them
    forget_devices: tuple[str, ...] = ()
    aliases: dict[str, str] = field(default_factory=dict)
    is_nothing: bool = False  # after all there is nothing to write


async def amend(
    state: State,
    book: Book,
    person_id: str,
    change: Callable[[Record], Amended | None],
    now_ms: int,
) -> Outcome:
    """Load one record, change it, commit; again on a conflict, of whoever they have become by then.
    ``change`` must be repeatable.
    """
    called: list[str] = []

    async def once() -> Outcome:
        name = (await state.owners(called))[0] if called else person_id
        called[:] = [name]
        record = (await state.load([name])).get(name) or Record(name)
        amended = change(record) or Amended()
        if amended.is_nothing:
            return Outcome()
        outcome = Outcome(
            changes=[Change(record, next_due_ms(record, book))],
            events=amended.events,
            sends=_subscribed(amended.events, record, book),
            facts=amended.facts,
        )
        await state.commit(
            Commit(
                op_id=uuid4().hex,
                changes=tuple(outcome.changes),
                sends=tuple(outcome.sends),
                facts=tuple(outcome.facts),
                forget_devices=amended.forget_devices,
                cancel_sends_of=tuple((name, lever) for lever in amended.cancel_sends),
                aliases=amended.aliases,
                now_ms=now_ms,
            )
        )
        return outcome

    return await until_agreed(once)


def _subscribed(events: list[Event], record: Record, book: Book) -> list[Send]:
    return [row for event in events for row in news(event, record, book)]


async def grant(
    state: State,
    book: Book,
    person_id: str,
    purpose: str,
    evidence: Json,
    now_ms: int,
    said_ms: int | None = None,
) -> Outcome:
    """Record a consent, given now unless it is said when. One that the person has taken back since,
    or that is known, is no news: nothing is changed then, and no event tells of it.
    """

    def change(record: Record) -> Amended:
        is_outdated = said_ms is not None and people.outdated(record, purpose, said_ms)
        if is_outdated or people.is_known(record, purpose, evidence, said_ms):
            return Amended(is_nothing=True)
        return Amended(events=people.grant(record, purpose, evidence, now_ms, said_ms))

    return await amend(state, book, person_id, change, now_ms)


async def withdraw(
    state: State,
    book: Book,
    person_id: str,
    purpose: str,
    evidence: Json,
    now_ms: int,
    *,
    only_if: Callable[[Record], bool] = lambda record: True,
) -> Outcome:
    """Record a withdrawal: queued messages die with it, and without location also the last fix.
    ``only_if`` may find in the record that it is not about this person after all.

    Whoever became somebody else's meanwhile is withdrawn there too: a merge that comes after this
    takes the stricter of both, one that came before has taken the record away.
    """

    def change(record: Record) -> Amended:
        if not only_if(record):
            return Amended(is_nothing=True)
        devices = (*record.devices, person_id)
        events = people.withdraw(record, purpose, evidence, book, now_ms)
        return _taken_back(events, [purpose], devices)

    told = Outcome()
    called = ""
    while called != person_id:
        called = person_id
        told.add(await amend(state, book, called, change, now_ms))
        (person_id,) = await state.owners([called])
    return told


async def lapse(state: State, book: Book, person_id: str, now_ms: int) -> Outcome:
    """Let a person's consents run out whose time is over, each as if withdrawn."""

    def change(record: Record) -> Amended:
        devices = (*record.devices, person_id)
        events, ended = people.lapse(record, book, now_ms)
        return _taken_back(events, ended, devices)

    return await amend(state, book, person_id, change, now_ms)


def _taken_back(events: list[Event], purposes: list[str], devices: tuple[str, ...]) -> Amended:
    """What follows from consents that stand no more."""
    facts = people.opted_out(events)
    if "location" in purposes:
        return Amended(events, facts, cancel_sends=("",), forget_devices=devices)
    return Amended(events, facts, cancel_sends=tuple(purposes))


async def identify(
    state: State,
    book: Book,
    device_id: str,
    person_id: str,
    now_ms: int,
    told: Json = DEVICE_TOLD,
    *,
    may_join: bool = True,
) -> Outcome:
    """Say whose device this is: what was remembered of the device becomes the person's, and a
    device that changes hands takes its push token along.

    A person's name that is somebody else's device stands for its owner. ``told`` is who said so.
    Who may not join people, as everybody who holds an app, is told of the count ``not_a_device``
    where the device is one; nothing is changed then.
    """
    token = Record("")  # taken from the owner before; kept here if this is tried again

    async def once() -> Outcome:
        owner, whose = await state.owners([device_id, person_id])
        person = person_id if person_id == device_id else whose
        if owner == person:
            return Outcome()
        if owner != device_id:
            await _take_token(state, book, owner, device_id, token, now_ms)
        records = await state.load([device_id, person])
        record = records.get(person) or Record(person)
        nameless = records.get(device_id) if owner == device_id else None
        if nameless is not None and not may_join and merging.is_somebody(nameless):
            return Outcome(counts=Counter({NOT_A_DEVICE: 1}))
        aliases = {device_id: person}
        if nameless is not None:
            # What stood for the device stands for its owner: nobody's name leads to another name.
            aliases |= dict.fromkeys(await _names(state, nameless), person)
            # Done half before, if the device is theirs already: see `merging.merge`.
            merging.merge(
                record,
                nameless,
                is_again=device_id in record.devices,
                now_ms=now_ms,
                told=told,
                is_vouched=may_join,
            )
        record.devices.setdefault(device_id, -1)
        record.take_push(token)
        changed = Change(record, next_due_ms(record, book))
        await state.commit(
            Commit(
                op_id=uuid4().hex,
                changes=(changed,),
                aliases=aliases,
                drop_people={} if nameless is None else {device_id: nameless.version},
                now_ms=now_ms,
            )
        )
        return Outcome(changes=[changed])

    return await until_agreed(once)


async def _take_token(
    state: State, book: Book, owner: str, device_id: str, taken: Record, now_ms: int
) -> None:
    """Take where push reaches a device out of its owner's record: they reach it no more."""

    def change(record: Record) -> Amended:
        if device_id not in record.push_tokens:
            return Amended(is_nothing=True)
        taken.push_tokens[device_id] = record.push_tokens[device_id]
        if device_id in record.push_since_ms:
            taken.push_since_ms[device_id] = record.push_since_ms[device_id]
        record.drop_push(device_id)
        return Amended()

    await amend(state, book, owner, change, now_ms)


async def decisions(state: State, person_id: str, limit: int) -> list[Decision]:
    """The decisions about a person, newest first; also those from when a device was nobody's."""
    names = [person_id, *await _names(state, await _record(state, person_id))]
    found = [one for name in names for one in await state.decisions(name, limit)]
    return sorted(found, key=lambda one: -one.at_ms)[:limit]


async def facts(state: State, person_id: str, limit: int) -> list[Fact]:
    """What happened to a person, newest first; also when a device was nobody's."""
    names = [person_id, *await _names(state, await _record(state, person_id))]
    found = [one for name in names for one in await state.facts(name, limit)]
    return sorted(found, key=lambda one: -one.at_ms)[:limit]


async def sends(state: State, person_id: str, limit: int) -> list[SentRow]:
    """The messages to a person, newest first; also those begun when a device was nobody's."""
    found = [
        row for name in await names(state, person_id) for row in await state.sends_of(name, limit)
    ]
    return sorted(found, key=lambda row: -row.send.created_ms)[:limit]


async def erase(state: State, person_id: str, now_ms: int) -> bool:
    """Forget a person, and what their devices left while they were nobody's; whether there was
    anything.
    """
    # The person last: without them nobody knows the names any more.
    names = [*await _names(state, await _record(state, person_id)), person_id]
    return any([await state.erase(name, now_ms) for name in names])


async def names(state: State, person_id: str) -> list[str]:
    """Everything a person is called: their own name, and those of devices that stand for them. A
    message that was begun before a device became theirs is under the device's name still.
    """
    return [person_id, *await _names(state, await _record(state, person_id))]


async def _record(state: State, person_id: str) -> Record:
    return (await state.load([person_id])).get(person_id) or Record(person_id)


async def _names(state: State, record: Record) -> list[str]:
    """Devices and beacons that stand for a person, but not the person's own name."""
    names = list(dict.fromkeys((*record.devices, *record.beacons)))
    owners = await state.owners(names) if names else []
    pairs = zip(names, owners, strict=True)
    return [name for name, owner in pairs if owner == record.person_id != name]
