"""People and their devices: facts, consents, decisions, export and erasure."""

from __future__ import annotations

from typing import Final

import msgspec

from geoengine.core.calendar import rfc3339
from geoengine.core.consent import proof
from geoengine.core.consent.people import is_minor
from geoengine.core.record import Decision, Fact, Json, Record
from geoengine.ingest.names import is_name
from geoengine.service.consent.belongings import belongings, named
from geoengine.service.consent.erasing import erase
from geoengine.service.consent.identity import identify
from geoengine.service.context import Call, Context
from geoengine.service.http.problems import Problem
from geoengine.service.http.wire import (
    DecisionOut,
    DecisionsOut,
    Device,
    DeviceBody,
    Erased,
    Limit,
    PersonBody,
    PersonOut,
)
from geoengine.service.routes.persons.consents import recorded_by
from geoengine.service.routes.persons.facts import Change, holds_back, new_names, registered, told
from geoengine.service.routes.persons.naming import name_in, owner_of, record_of
from geoengine.service.routes.rows import message_out
from geoengine.service.routes.table import SERVER
from geoengine.service.wallet.ending import keep_one
from geoengine.service.wire.consents import IdentifiedOut, IdentifyBody
from geoengine.state import amending

# Of each kind, the newest. Of messages, kept for a week, that is some 140 a day with webhooks; more
# would be megabytes in one answer.
EXPORTED_MAX: Final = 1_000


async def put_device(context: Context, call: Call) -> Device:
    """Register a device: its push token, and the person it belongs to."""
    device_id, body = name_in(call, "device_id"), call.read(DeviceBody)
    if body.person_id:
        if not is_name(body.person_id):
            raise Problem("malformed", "person_id holds control characters.")
        told = {"because": "device", "by": call.caller.name}
        now_ms, may_join = context.clock(), call.caller.kind == SERVER
        done = await amending.identify(
            context.state, context.book, device_id, body.person_id, now_ms, told, may_join=may_join
        )
        if done.counts[amending.NOT_A_DEVICE]:
            what = "POST /v1/people/{id}/identify with a server key makes two people one."
            raise Problem("forbidden", f"{device_id} is a person and no device. {what}")
        await keep_one(context, body.person_id)
        context.sender.wake()
    (person_id,) = await context.state.owners([device_id])
    if body.push_token is not msgspec.UNSET:
        await _amend(context, person_id, registered(device_id, body, context.clock()))
    return Device(device_id, person_id)


async def put_person(context: Context, call: Call) -> PersonOut:
    """Tell facts of a person: what audiences ask about, where levers reach, when to be quiet."""
    person_id, body = await owner_of(context, call), call.read(PersonBody)
    change = told(body, context.book, context.clock())
    news = {kind: value for kind, value in new_names(body).items() if value is not None}
    record = await record_of(context, person_id)
    before = record.identifiers | record.addresses
    for kind, value in news.items():
        await context.suppression.learn(person_id, kind, value)
    await _amend(context, person_id, change)
    for kind in new_names(body):
        if kind in before and before[kind] != news.get(kind):
            await context.suppression.forget(person_id, kind, before[kind])
    if holds_back(body):  # what is on its way started before it was asked for
        await context.quiesce(person_id)
    return await _export(context, person_id)


async def post_identify(context: Context, call: Call) -> IdentifiedOut:
    """Say what else a person is known by; records of the same person become one."""
    person_id, body = await owner_of(context, call), call.read(IdentifyBody)
    known = {
        kind: value
        for kind, value in (("loyalty", body.loyalty), ("sms", body.phone), ("email", body.email))
        if value is not msgspec.UNSET
    }
    devices = [] if body.devices is msgspec.UNSET else body.devices
    if not all(map(is_name, devices)):
        raise Problem("malformed", "A device's name holds control characters - at `$.devices`")
    found = await identify(context, person_id, known, devices, call.caller.name)
    context.sender.wake()
    return IdentifiedOut(person_id, *found)


async def get_person(context: Context, call: Call) -> PersonOut:
    """Everything that is known about a person."""
    return await _export(context, await owner_of(context, call))


async def delete_person(context: Context, call: Call) -> Erased:
    """Forget a person, everywhere; the answer is the receipt. What the law asks to be kept of their
    consents is kept under a hash.
    """
    person_id, now_ms = await owner_of(context, call), context.clock()
    state, book = context.state, context.book
    asked, names = recorded_by(call), await amending.names(state, person_id)
    receipt = await erase(state, context.suppression, book, person_id, asked, now_ms)
    context.hub.forget(person_id)
    await context.quiesce(person_id, names)
    await amending.erase(state, person_id, now_ms)  # what was on its way has left its traces by now
    until = rfc3339(receipt.proof_until_ms) if receipt.proof else ""
    return Erased(
        person_id, receipt.was_there, rfc3339(now_ms), receipt.proof, receipt.proof_head, until
    )


async def get_decisions(context: Context, call: Call) -> DecisionsOut:
    """Why each trigger did or did not fire, newest first."""
    person_id = await owner_of(context, call)
    found = await amending.decisions(context.state, person_id, call.ask(Limit).limit)
    return DecisionsOut([_decision_out(decision) for decision in found])


async def _amend(context: Context, person_id: str, change: Change) -> None:
    """Change one record and commit."""
    await amending.amend(context.state, context.book, person_id, change, context.clock())
    context.sender.wake()


async def _export(context: Context, person_id: str) -> PersonOut:
    state, limit = context.state, EXPORTED_MAX + 1
    record = (await state.load([person_id])).get(person_id)
    decisions = await amending.decisions(state, person_id, limit)
    cards = await belongings(state, person_id)
    sends = await amending.sends(state, person_id, limit)
    if record is None and not decisions and not cards and not sends:
        raise Problem("not_found", "Nothing is known of this person.")
    facts = await amending.facts(state, person_id, limit)
    told = exported(
        record or Record(person_id),
        decisions[:EXPORTED_MAX],
        facts[:EXPORTED_MAX],
        context.clock(),
    )
    told.cards = cards
    told.messages = [message_out(row) for row in sends[:EXPORTED_MAX]]
    rows = {"decisions": len(decisions), "facts": len(facts), "messages": len(sends)}
    told.cut = [kind for kind, count in rows.items() if count > EXPORTED_MAX]
    return told


def exported(
    record: Record, decisions: list[Decision], facts: list[Fact], now_ms: int
) -> PersonOut:
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
        identifiers=record.identifiers,
        minor=is_minor(record, now_ms),
        paused_until=rfc3339(record.paused_until_ms) if record.paused_until_ms else None,
        ledger=[proof.told(packed) for packed in record.ledger],
        merges=record.merges,
        visited={store: named(one) for store, one in record.visited.items()},
        timed={name: named(one) for name, one in record.timed.items()},
        orders={name: named(one) for name, one in record.orders.items()},
        coupons=[named(one) for one in record.coupons],
        attended={store: named(one) for store, one in record.attended.items()},
        withheld={campaign: named(one) for campaign, one in record.withheld.items()},
        fired_total=record.fired_total,
        push_since={device: rfc3339(at_ms) for device, at_ms in record.push_since_ms.items()},
        facts=[named(fact) for fact in facts],
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
