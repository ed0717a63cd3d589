"""Consents that run out by themselves, children, and a pause."""

from __future__ import annotations

from geoengine.core.consent import lapsing, ledger
from geoengine.core.consent.people import UNTIL_OF_AGE
from geoengine.core.model import Cap, ConsentSpec, EngineSpec, WebhookSpec
from geoengine.core.record import Consent, Record, Timed
from geoengine.core.rules import may_send
from geoengine.core.units import DAY_MS
from geoengine.state.amending import grant
from tests.core.world import NOON_MS, Walk, World, a_campaign

FAR = (0, 2000)
TEN_DAYS = ConsentSpec(expires="10d", notice="2d")


def walk(consent: ConsentSpec = TEN_DAYS, **world: object) -> Walk:
    engine = EngineSpec(consent=consent, **world.pop("engine", {}))  # type: ignore[arg-type]
    return Walk(World(engine=engine, **world).book(), is_virtual=False)  # type: ignore[arg-type]


async def agreed(consent: ConsentSpec = TEN_DAYS, *purposes: str, **world: object) -> Walk:
    ann = walk(consent, **world)
    await ann.open()
    for purpose in purposes:
        await grant(ann.state, ann.book, "ann", purpose, {"source": "till"}, NOON_MS)
    return ann


def told(ann: Walk) -> list[tuple[str, str, str]]:
    """Consent events so far: type, purpose, how."""
    return [
        (event.type, event.data["purpose"], event.data.get("reason", ""))
        for event in ann.events
        if event.type.startswith("consent.")
    ]


async def record_of(ann: Walk, person_id: str = "ann") -> Record:
    return (await ann.state.load([person_id]))[person_id]


async def test_a_consent_is_told_to_end_and_ends_at_its_time():
    ann = await agreed(TEN_DAYS, "sms")
    await ann.tick(8 * 86_400 - 1)
    assert told(ann) == []
    await ann.tick(8 * 86_400)
    assert told(ann) == [("consent.expiring", "sms", "")]
    await ann.tick(9 * 86_400)
    assert len(told(ann)) == 1, "once is enough"
    await ann.tick(10 * 86_400)
    assert told(ann)[1:] == [("consent.changed", "sms", "expired")]
    record = await record_of(ann)
    assert not record.allows("sms")
    assert [entry.what for entry in ledger.entries(record.ledger)] == ["granted", "expired"]
    assert await ann.state.due(NOON_MS + 99 * DAY_MS) == []


async def test_without_location_nobody_is_inside_any_more_and_the_queue_is_empty():
    ann = await agreed(TEN_DAYS, "location", campaigns=[a_campaign()])
    late_s = 10 * 86_400 - 100
    await ann.post((late_s - 60, 2000), (late_s, 0))
    assert [row.status for row in await ann.state.sends()] == ["pending"]
    await ann.tick(10 * 86_400)
    assert ("zone.exited", "consent_withdrawn") in [
        (event.type, event.data.get("reason")) for event in ann.events
    ]
    assert [row.status for row in await ann.state.sends()] == ["refused"]
    assert (await record_of(ann)).presences == {}


async def test_consent_given_anew_stops_nothing_and_stands_its_whole_time():
    ann = await agreed(TEN_DAYS, "location", campaigns=[a_campaign()])
    await ann.post((86_400, 2000), (86_460, 0))
    (row,) = await ann.state.sends()
    await grant(ann.state, ann.book, "ann", "location", {}, NOON_MS + 9 * DAY_MS)
    why = may_send(row.send, await record_of(ann), ann.book, row.send.created_ms + 1_000)
    assert why == ""
    await ann.tick(18 * 86_400)
    assert (await record_of(ann)).allows("location")


async def test_a_purpose_may_stand_for_another_time_and_none_for_ever():
    spec = ConsentSpec(expires="0s", expires_by_purpose={"sms": "5d"}, notice="0s")
    ann = await agreed(spec, "sms", "email")
    await ann.tick(6 * 86_400)
    record = await record_of(ann)
    assert (record.allows("sms"), record.allows("email")) == (False, True)
    assert [type_ for type_, _, _ in told(ann)] == ["consent.changed"]


async def test_the_retailers_systems_hear_that_a_consent_ends():
    hook = WebhookSpec(url="https://crm.example", events=["geoengine.consent.expiring"])
    ann = await agreed(TEN_DAYS, "sms", engine={"webhook": hook})
    await ann.tick(8 * 86_400)
    assert [row.send.event["type"] for row in await ann.state.sends()] == [
        "geoengine.consent.expiring"
    ]


def test_a_consent_of_nobody_knows_when_does_not_end_by_itself():
    record = Record("ann", consents={"sms": Consent(True, 1, 0)})
    terms = lapsing.terms_of(TEN_DAYS)
    assert lapsing.next_lapse_ms(record, terms) is None
    assert not lapsing.is_over(record, "sms", terms, NOON_MS)


async def test_no_message_starts_after_the_end_even_before_anybody_has_noted_it():
    ann = await agreed(TEN_DAYS, "location", campaigns=[a_campaign(expires="30d")])
    await ann.post((86_400, 2000), (86_460, 0))
    (row,) = await ann.state.sends()
    record = await record_of(ann)
    assert may_send(row.send, record, ann.book, NOON_MS + 10 * DAY_MS - 1) == ""
    why = may_send(row.send, record, ann.book, NOON_MS + 10 * DAY_MS)
    assert why == "consent_expired:location"


async def test_children_and_who_asked_for_a_pause_hear_nothing():
    of_age = {UNTIL_OF_AGE: Timed(True, NOON_MS + DAY_MS)}
    cases = {
        "child": ({"is_minor": True}, "minor"),
        "young": ({"timed": of_age}, "minor"),
        "tired": ({"paused_until_ms": NOON_MS + DAY_MS}, "paused"),
        "rested": ({"paused_until_ms": NOON_MS}, "ok"),
        "grown": ({"timed": {UNTIL_OF_AGE: Timed(True, NOON_MS)}}, "ok"),
    }
    for person_id, (facts, reason) in cases.items():
        who = walk(campaigns=[a_campaign()])
        await who.agree(person_id, "location", **facts)
        await who.post(FAR, (60, 0), device=person_id)
        assert who.reasons() == [reason], person_id


async def test_a_pause_holds_back_what_was_queued_before_it():
    ann = await agreed(TEN_DAYS, "location", campaigns=[a_campaign()])
    await ann.post(FAR, (60, 0))
    (row,) = await ann.state.sends()
    record = await record_of(ann)
    record.paused_until_ms = NOON_MS + DAY_MS
    assert may_send(row.send, record, ann.book, NOON_MS + 61_000) == "paused"
    record.paused_until_ms, record.is_minor = 0, True
    assert may_send(row.send, record, ann.book, NOON_MS + 61_000) == "minor"


async def test_the_cadence_somebody_chose_is_a_cap_of_its_own():
    ann = walk(campaigns=[a_campaign()])
    await ann.agree("ann", "location", caps=[Cap(max=1, per="week")])
    await ann.post(FAR, (60, 0), (4_000, 2_000), (4_060, 2_000), (9_000, 0))
    assert ann.reasons() == ["ok", "cap:person:week 1/1"]
