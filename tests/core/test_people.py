"""Consents, and whose device it is."""

from __future__ import annotations

import numpy as np

from geoengine.core.columns import Fixes
from geoengine.core.consent.merging import merge
from geoengine.core.model import Cap, EngineSpec, WebhookSpec
from geoengine.core.record import Consent, Fired, Presence, Record
from geoengine.core.rules import may_send
from geoengine.state.amending import grant, identify, withdraw
from tests.core.world import NOON_MS, Walk, World, a_campaign, spot

FAR = (0, 2000)


def walk(**world: object) -> Walk:
    return Walk(World(**world).book())  # type: ignore[arg-type]


def inside(since_ms: int, *, is_inside: bool = True) -> Presence:
    return Presence(is_inside, 1, "phone", since_ms, since_ms, visit_id=f"v{since_ms}")


async def test_withdrawing_location_closes_visits_and_tells_so():
    ann = walk()
    await ann.post(FAR, (60, 0))
    outcome = await withdraw(ann.state, ann.book, "ann", "location", {}, NOON_MS + 70_000)
    assert [(e.type, e.data.get("reason")) for e in outcome.events] == [
        ("consent.changed", "withdrawn"),
        ("zone.exited", "consent_withdrawn"),
        ("visit.closed", "consent_withdrawn"),
    ]
    assert (await ann.state.load(["ann"]))["ann"].presences == {}


async def test_withdrawing_a_lever_leaves_visits_open_and_empties_its_queue():
    campaigns = [a_campaign(levers=["push"])]
    ann = walk(campaigns=campaigns)
    ann.assumed |= {"push"}
    await ann.post(FAR, (60, 0))
    assert [row.status for row in await ann.state.sends()] == ["pending"]
    await withdraw(ann.state, ann.book, "ann", "push", {}, NOON_MS + 70_000)
    assert [row.status for row in await ann.state.sends()] == ["refused"]
    assert (await ann.state.load(["ann"]))["ann"].presences["shop"].is_inside


async def test_location_withdrawn_empties_the_whole_outbox():
    ann = walk(campaigns=[a_campaign()])
    await ann.post(FAR, (60, 0))
    await withdraw(ann.state, ann.book, "ann", "location", {}, NOON_MS + 70_000)
    assert [row.status for row in await ann.state.sends()] == ["refused"]


async def test_the_retailers_systems_hear_of_the_withdrawal_and_of_nothing_queued_before():
    hook = WebhookSpec(
        url="https://crm.example", events=["geoengine.zone.entered", "geoengine.consent.changed"]
    )
    ann = walk(engine=EngineSpec(webhook=hook))
    await ann.post(FAR, (60, 0))
    await withdraw(ann.state, ann.book, "ann", "location", {}, NOON_MS + 70_000)
    rows = {row.send.event["type"]: row for row in await ann.state.sends()}
    assert rows["geoengine.zone.entered"].status == "refused"
    news = rows["geoengine.consent.changed"]
    record = (await ann.state.load(["ann"]))["ann"]
    assert news.status == "pending"
    assert may_send(news.send, record, ann.book, NOON_MS + 80_000) == ""
    await grant(ann.state, ann.book, "ann", "location", {}, NOON_MS + 90_000)
    record = (await ann.state.load(["ann"]))["ann"]
    assert may_send(news.send, record, ann.book, NOON_MS + 95_000) != ""


async def test_the_last_fix_is_forgotten_with_the_consent():
    ann = walk()
    await ann.post((0, 500))
    await withdraw(ann.state, ann.book, "ann", "location", {}, NOON_MS + 10_000)
    await grant(ann.state, ann.book, "ann", "location", {}, NOON_MS + 20_000)
    await ann.post((60, 0))
    assert [e.data["initial"] for e in ann.events] == [True], "as if never seen before"


async def test_each_change_of_a_consent_has_an_epoch_and_an_event_of_its_own():
    ann = walk()
    await ann.open()
    ids, epochs = set(), []
    for change in (grant, withdraw, grant):
        outcome = await change(ann.state, ann.book, "ann", "sms", {"source": "till"}, NOON_MS)
        ids |= {event.id for event in outcome.events}
        epochs += [event.data["epoch"] for event in outcome.events]
    assert (len(ids), epochs) == (3, [1, 2, 3])


async def test_an_identified_device_takes_its_visit_along():
    ann = walk()
    await ann.post(("phone", 0, 2000), ("phone", 60, 0))
    await identify(ann.state, ann.book, "phone", "ann", NOON_MS + 70_000)
    await ann.post(("phone", 300, 2000))
    assert [(e.type, e.person_id) for e in ann.events if e.type.startswith("zone")] == [
        ("zone.entered", "phone"),
        ("zone.dwelled", "ann"),
        ("zone.exited", "ann"),
    ]
    assert await ann.state.load(["phone"]) == {}


async def test_a_ping_may_say_whose_device_it_is():
    ann = walk()
    places = [spot(2000), spot(0)]
    fixes = Fixes.of(
        ["phone"] * 2,
        np.array([lon for lon, _ in places]),
        np.array([lat for _, lat in places]),
        np.array([NOON_MS, NOON_MS + 60_000]),
        person_ids=["ann", "ann"],
    )
    await ann.run(fixes=fixes, now_ms=NOON_MS + 60_000)
    assert {event.person_id for event in ann.events} == {"ann"}
    assert await ann.state.owners(["phone"]) == ["ann"]


async def test_a_cap_is_the_persons_over_all_devices():
    ann = walk(campaigns=[a_campaign(caps=[Cap(max=1, per="day")])])
    await ann.post(("phone", 0, 2000), ("tablet", 0, 2000))
    for device in ("phone", "tablet"):
        await identify(ann.state, ann.book, device, "ann", NOON_MS)
    await ann.post(("phone", 60, 0), ("phone", 200, 2000), ("tablet", 300, 0))
    assert ann.reasons() == ["ok", "cap:day 1/1"]


async def test_identifying_twice_changes_nothing():
    ann = walk()
    await ann.post(("phone", 0, 2000), ("phone", 60, 0))
    await identify(ann.state, ann.book, "phone", "ann", NOON_MS)
    before = await ann.state.load(["ann"])
    await identify(ann.state, ann.book, "phone", "ann", NOON_MS)
    assert await ann.state.load(["ann"]) == before


def test_of_two_consents_the_stricter_holds():
    given, taken = Consent(True, 1, 0), Consent(False, 4, 9)
    for ours, theirs in ((given, taken), (taken, given)):
        into = Record("ann", consents={"sms": ours})
        merge(into, Record("phone", consents={"sms": theirs, "push": given}))
        assert not into.allows("sms")
        assert into.allows("push")
        assert into.epoch("sms") >= 4


def test_triggers_of_both_count_and_none_twice():
    into = Record("ann", fired=[Fired("a", "hello", 5)], fired_total={"hello": 1})
    device = Record("phone", fired=[Fired("b", "hello", 2)], fired_total={"hello": 1})
    merge(into, device)
    assert [fired.trigger_id for fired in into.fired] == ["b", "a"]
    assert into.fired_total == {"hello": 2}


def test_of_two_presences_in_a_zone_the_longer_stay_remains():
    into = Record("ann", presences={"shop": inside(50), "bar": inside(10, is_inside=False)})
    merge(into, Record("phone", presences={"shop": inside(20), "bar": inside(90)}))
    assert into.presences["shop"].since_ms == 20
    assert into.presences["bar"].is_inside


def test_what_the_person_said_stands_before_what_the_device_said():
    into = Record("ann", attributes={"status": "gold"}, locale="fr")
    merge(into, Record("phone", attributes={"status": "none", "app": 3}, locale="en"))
    assert (into.attributes, into.locale) == ({"status": "gold", "app": 3}, "fr")


async def test_a_withdrawal_reaches_whom_the_device_has_become_meanwhile():
    ann = walk()
    await ann.agree("ann", "sms")
    await identify(ann.state, ann.book, "phone", "ann", NOON_MS)
    # Under the name that the caller still knows: of the device itself there is no record any more.
    await withdraw(ann.state, ann.book, "phone", "sms", {}, NOON_MS + 1)
    assert not (await ann.state.load(["ann"]))["ann"].allows("sms")
