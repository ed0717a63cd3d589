"""People and their devices: facts, consents, decisions, export and erasure."""

from __future__ import annotations

from typing import Any, Literal, get_args

import msgspec

from geoengine.core.calendar import rfc3339
from geoengine.core.record import Decision, Json, Record
from geoengine.ingest.names import is_name
from geoengine.service.context import Call, Context
from geoengine.service.http.problems import Problem
from geoengine.service.http.wire import (
    ConsentOut,
    DecisionOut,
    DecisionsOut,
    Device,
    DeviceBody,
    Erased,
    Limit,
    PersonBody,
    PersonOut,
    Purpose,
)
from geoengine.service.routes.facts import Change, registered, told
from geoengine.state import loop

EXPORTED_DECISIONS = 1_000


async def put_device(context: Context, call: Call) -> Device:
    """Register a device: its push token, and the person it belongs to."""
    device_id, body = _name(call, "device_id"), call.read(DeviceBody)
    if body.person_id:
        if not is_name(body.person_id):
            raise Problem("malformed", "person_id holds control characters.")
        now_ms = context.clock()
        await loop.identify(context.state, context.book, device_id, body.person_id, now_ms)
        context.sender.wake()
    (person_id,) = await context.state.owners([device_id])
    if body.push_token is not msgspec.UNSET:
        await _amend(context, person_id, registered(device_id, body))
    return Device(device_id, person_id)


async def put_person(context: Context, call: Call) -> PersonOut:
    """Tell facts of a person: what audiences ask about, where levers reach, when to be quiet."""
    person_id = await _person(context, call)
    await _amend(context, person_id, told(call.read(PersonBody)))
    return await _export(context, person_id)


async def get_person(context: Context, call: Call) -> PersonOut:
    """Everything that is known about a person."""
    return await _export(context, await _person(context, call))


async def delete_person(context: Context, call: Call) -> Erased:
    """Forget a person, everywhere."""
    person_id = await _person(context, call)
    is_erased = await loop.erase(context.state, person_id, context.clock())
    context.hub.forget(person_id)
    await context.sender.quiesce(person_id, context.settings.quiesce_s)
    return Erased(person_id, is_erased)


async def put_consent(context: Context, call: Call) -> ConsentOut:
    """Record a consent, with what proves it: at the least, that a server key said so."""
    person_id, purpose = await _person(context, call), _purpose(call)
    given = call.read(dict[str, Any]) if call.body else {}
    evidence: Json = _recorded_by(call) | given
    now_ms = context.clock()

    granted = await loop.grant(context.state, context.book, person_id, purpose, evidence, now_ms)
    context.hub.publish(granted.events)
    return _consent_out(await _record(context, person_id), purpose)


async def delete_consent(context: Context, call: Call) -> ConsentOut:
    """Withdraw a consent; once this has answered, no message starts that needed it."""
    person_id, purpose = await _person(context, call), _purpose(call)
    now_ms = context.clock()
    by = _recorded_by(call)
    withdrawn = await loop.withdraw(context.state, context.book, person_id, purpose, by, now_ms)
    context.hub.publish(withdrawn.events)
    await context.sender.quiesce(person_id, context.settings.quiesce_s)
    return _consent_out(await _record(context, person_id), purpose)


def _recorded_by(call: Call) -> Json:
    return {"source": f"api:{call.caller.kind}"}


async def get_decisions(context: Context, call: Call) -> DecisionsOut:
    """Why each trigger did or did not fire, newest first."""
    person_id = await _person(context, call)
    found = await loop.decisions(context.state, person_id, call.ask(Limit).limit)
    return DecisionsOut([_decision_out(decision) for decision in found])


async def _amend(context: Context, person_id: str, change: Change) -> None:
    """Change one record and commit."""
    await loop.amend(context.state, context.book, person_id, change, context.clock())
    context.sender.wake()


async def _record(context: Context, person_id: str) -> Record:
    loaded = await context.state.load([person_id])
    return loaded.get(person_id) or Record(person_id=person_id)


async def _person(context: Context, call: Call) -> str:
    """Whom the path names; a device that belongs to somebody stands for its owner."""
    (person_id,) = await context.state.owners([_name(call, "person_id")])
    return person_id


def _name(call: Call, parameter: str) -> str:
    name = call.path[parameter]
    if not is_name(name):
        raise Problem("bad_parameter", f"{parameter}: 1 to 128 characters, no control characters.")
    return name


def _purpose(call: Call) -> Literal["location", "push", "sms", "email", "wallet"]:
    purpose = call.path["purpose"]
    if purpose not in get_args(Purpose):
        raise Problem("not_found", f"Purposes are {', '.join(get_args(Purpose))}.")
    return purpose  # type: ignore[return-value]


async def _export(context: Context, person_id: str) -> PersonOut:
    record = (await context.state.load([person_id])).get(person_id)
    decisions = await loop.decisions(context.state, person_id, EXPORTED_DECISIONS)
    if record is None and not decisions:
        raise Problem("not_found", "Nothing is known of this person.")
    return exported(record or Record(person_id=person_id), decisions)


def exported(record: Record, decisions: list[Decision]) -> PersonOut:
    """A record and its decisions as the person may have them."""
    return PersonOut(
        person_id=record.person_id,
        attributes=record.attributes,
        locale=record.locale,
        time_zone=record.time_zone,
        quiet_hours=record.quiet_hours,
        addresses=record.addresses,
        push_tokens=record.push_tokens,
        caps=[msgspec.to_builtins(cap) for cap in record.caps],
        consents={
            purpose: {
                "granted": consent.is_granted,
                "epoch": consent.epoch,
                "at": rfc3339(consent.at_ms),
                "evidence": consent.evidence,
            }
            for purpose, consent in record.consents.items()
        },
        devices={device: rfc3339(at_ms) for device, at_ms in record.devices.items() if at_ms >= 0},
        beacons=record.beacons,
        presences=[_presence_out(zone_id, record) for zone_id in record.presences],
        triggers=[
            {"campaign_id": fired.campaign_id, "at": rfc3339(fired.at_ms), "id": fired.trigger_id}
            for fired in record.fired
        ],
        decisions=[_decision_out(decision) for decision in decisions],
    )


def _presence_out(zone_id: str, record: Record) -> Json:
    presence = record.presences[zone_id]
    return {
        "zone_id": zone_id,
        "inside": presence.is_inside,
        "visit_id": presence.visit_id,
        "since": rfc3339(presence.since_ms),
        "seen": rfc3339(presence.seen_ms),
    }


def _decision_out(decision: Decision) -> DecisionOut:
    return DecisionOut(
        at=rfc3339(decision.at_ms),
        campaign_id=decision.campaign_id,
        store_id=decision.store_id,
        zone_id=decision.zone_id,
        visit_id=decision.visit_id,
        outcome=decision.outcome,
        reason=decision.reason,
        lever=decision.lever,
    )


def _consent_out(record: Record, purpose: str) -> ConsentOut:
    consent = record.consents[purpose]
    at = rfc3339(consent.at_ms)
    return ConsentOut(record.person_id, purpose, consent.is_granted, consent.epoch, at)
