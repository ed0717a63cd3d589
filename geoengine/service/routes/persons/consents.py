"""Consents: given with what proves them, taken back, and proven."""

from __future__ import annotations

from typing import Any, Final, Literal, get_args

import msgspec
from msgspec import UNSET

from geoengine.core.calendar import rfc3339
from geoengine.core.consent import ledger, proof
from geoengine.core.consent.lapsing import end_ms
from geoengine.core.record import Json, Record
from geoengine.core.units import CLOCK_AHEAD_MS
from geoengine.ingest.times import time_ms
from geoengine.service.consent.erasing import kept_proof
from geoengine.service.consent.withdrawing import take_back
from geoengine.service.context import Call, Context
from geoengine.service.http.problems import Problem
from geoengine.service.http.wire import ConsentOut, Purpose
from geoengine.service.routes.persons.naming import owner_of, record_of
from geoengine.service.wire.consents import ConsentBody, EntryOut, ProofOut
from geoengine.state import amending

EVIDENCE_BYTES: Final = 4_096  # packed; a screenshot belongs elsewhere, its hash here


async def put_consent(context: Context, call: Call) -> ConsentOut:
    """Record a consent, with what proves it: at the least, that a server key said so."""
    person_id, purpose = await owner_of(context, call), _purpose(call)
    body = call.read(ConsentBody) if call.body else ConsentBody()
    given = call.read(dict[str, Any]) if call.body else {}
    now_ms = context.clock()
    said_ms = _said_ms(body, now_ms)
    evidence = recorded_by(call) | _evidence(body, given)
    life_ms = context.book.consent_terms.life_ms.get(purpose)
    if said_ms is not None and life_ms is not None and said_ms + life_ms <= now_ms:
        raise Problem("outdated", f"A consent given at {rfc3339(said_ms)} has run out by now.")

    granted = await amending.grant(
        context.state, context.book, person_id, purpose, evidence, now_ms, said_ms
    )
    record = await record_of(context, person_id)
    if not granted.events and not record.allows(purpose):
        raise Problem("outdated", f"{purpose} was withdrawn after {rfc3339(said_ms or now_ms)}.")
    context.hub.publish(granted.events)
    return consent_out(record, purpose)


async def delete_consent(context: Context, call: Call) -> ConsentOut:
    """Withdraw a consent; once this has answered, no message starts that needed it."""
    person_id, purpose = await owner_of(context, call), _purpose(call)
    await take_back(context, person_id, purpose, recorded_by(call))
    return consent_out(await record_of(context, person_id), purpose)


async def get_consents(context: Context, call: Call) -> ProofOut:
    """Everything a person agreed to and took back, as proof; also of somebody erased."""
    person_id = await owner_of(context, call)
    found = (await context.state.load([person_id])).get(person_id)
    if found is None:
        return await _kept(context, person_id)
    consents = {
        purpose: {
            "granted": consent.is_granted,
            "epoch": consent.epoch,
            "at": rfc3339(consent.at_ms),
            "ends": None if end is None else rfc3339(end),
        }
        for purpose, consent in sorted(found.consents.items())
        for end in [end_ms(consent, purpose, context.book.consent_terms)]
    }
    return _proof(person_id, found.ledger, context.clock(), consents)


async def _kept(context: Context, person_id: str) -> ProofOut:
    """What is kept of somebody who was erased."""
    kept = await kept_proof(context.state, person_id)
    if not kept:
        raise Problem("not_found", "Nothing is known of this person.")
    told = _proof(person_id, kept, context.clock(), {})
    told.erased = True
    return told


def _proof(person_id: str, packed: list[bytes], now_ms: int, consents: Json) -> ProofOut:
    return ProofOut(
        person_id=person_id,
        made=rfc3339(now_ms),
        consents=consents,
        entries=[msgspec.convert(proof.told(one), EntryOut) for one in packed],
        head=ledger.head(packed),
        whole=ledger.is_whole(packed),
        broken=ledger.broken(packed),
    )


def recorded_by(call: Call) -> Json:
    """Who wrote it down, and over which road, unless something better is told."""
    return {"source": f"api:{call.caller.kind}", "by": call.caller.name}


def _evidence(body: ConsentBody, given: Json) -> Json:
    """What proves it: the fields, and whatever else was told; of a text its hash."""
    told = {name: value for name, value in given.items() if name not in ("at", "evidence", "text")}
    told.pop("by", None)  # who wrote it down is for us to say
    if body.evidence is not UNSET:
        told = body.evidence | told
    if body.text is not UNSET:
        found = ledger.text_hash(body.text)
        if body.text_hash not in (UNSET, found):
            raise Problem("malformed", "text_hash is not the SHA-256 of text - at `$.text_hash`")
        told["text_hash"] = found
    try:
        size = len(msgspec.msgpack.encode(told))
    except UnicodeEncodeError:  # half a surrogate pair, as JSON may carry
        raise Problem("malformed", "Evidence holds what is no text.") from None
    if size > EVIDENCE_BYTES:
        raise Problem("malformed", f"Evidence takes up to {EVIDENCE_BYTES} bytes, packed.")
    return told


def _said_ms(body: ConsentBody, now_ms: int) -> int | None:
    """When the person said so; None for now."""
    if body.at is UNSET:
        return None
    said_ms = time_ms(body.at)
    if said_ms <= 0 or said_ms > now_ms + CLOCK_AHEAD_MS:
        raise Problem("malformed", "at is no time, or one to come - at `$.at`")
    return min(said_ms, now_ms)


def _purpose(call: Call) -> Literal["location", "push", "sms", "email", "wallet", "measurement"]:
    purpose = call.path["purpose"]
    if purpose not in get_args(Purpose):
        raise Problem("not_found", f"Purposes are {', '.join(get_args(Purpose))}.")
    return purpose  # type: ignore[return-value]


def consent_out(record: Record, purpose: str) -> ConsentOut:
    """Where one consent stands."""
    consent = record.consents[purpose]
    at = rfc3339(consent.at_ms)
    return ConsentOut(record.person_id, purpose, consent.is_granted, consent.epoch, at)
