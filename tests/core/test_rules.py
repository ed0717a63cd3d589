"""The rules: every reason, and the order in which they are asked."""

from dataclasses import replace

import numpy as np
import pytest

from geoengine.core.calendar import FOREVER_MS
from geoengine.core.columns import Fixes
from geoengine.core.consent.people import grant, withdraw
from geoengine.core.judging.questions import QUESTIONS
from geoengine.core.model import Cap, Coupon, EngineSpec, Window
from geoengine.core.rules import may_send
from tests.core.world import NOON_MS, Walk, World, a_campaign, a_store, bare, spot

FAR = (0, 2000)
HOUR_S, DAY_S = 3600, 86_400
SMS = {"levers": ["sms"]}


def walk(*campaigns: dict, **world: object) -> Walk:
    made = [a_campaign(**{"campaign_id": f"c{i}"} | facts) for i, facts in enumerate(campaigns)]
    return Walk(World(campaigns=made, **world).book())  # type: ignore[arg-type]


async def enter(ann: Walk, at_s: float = 60, **more: object) -> list[str]:
    """Come from afar and walk in; the reasons that this gave."""
    before = len(ann.reasons())
    await ann.post((at_s - 60, 2000), (at_s, 0), **more)  # type: ignore[arg-type]
    return ann.reasons()[before:]


async def leave_and_enter(ann: Walk, at_s: float) -> list[str]:
    await ann.post((at_s - 120, 2000))
    return await enter(ann, at_s)


async def test_a_fix_too_coarse_to_be_an_entry_is_told_once_a_run():
    ann = walk({}, {"on": "dwell"})
    await ann.post(FAR, (60, 0, 200), (75, 0, 200), (90, 5, 200))
    assert ann.reasons() == ["accuracy"]
    await ann.post((200, 0, 10))
    assert ann.reasons() == ["accuracy", "ok"]
    await ann.post((300, 0, 200), (1000, 3000, 10), (1100, 0, 300))
    assert ann.reasons() == ["accuracy", "ok", "arbitration:c0", "accuracy"]
    newest, *_ = await ann.state.decisions("ann")
    assert (newest.reason, newest.campaign_id, newest.outcome) == ("accuracy", "c0", "suppressed")


async def test_a_campaign_fires_once_for_an_entry():
    ann = walk({})
    assert await enter(ann) == ["ok"]
    (fired,) = [e for e in ann.events if e.type == "trigger.fired"]
    assert fired.data["message"]["body"] == "Hello from Shop"
    assert fired.data["call_to_action"]["url"].startswith("https://www.google.com/maps/dir/")
    assert "travelmode=walking" in fired.data["call_to_action"]["url"]
    (leased,) = await ann.state.lease(NOON_MS + 61_000, 10, "me", 1_000)
    assert leased.send.send_id == fired.id


@pytest.mark.parametrize(
    ("on", "reasons"), [("enter", 1), ("dwell", 1), ("exit", 1), ("crossed", 0)]
)
async def test_a_campaign_waits_for_its_own_kind_of_transition(on: str, reasons: int):
    ann = walk({"on": on})
    await ann.post(FAR, (60, 0), (200, 0), (300, 2000))
    assert len(ann.reasons()) == reasons


async def test_a_crossing_can_fire():
    ann = walk({"on": "crossed"})
    await ann.post((0, 1000), (60, -1000))
    assert ann.reasons() == ["ok"]


async def test_not_live_yet_or_any_more():
    ann = walk({}, {})
    first, second = ann.book.campaigns
    ann.book = replace(
        ann.book,
        campaigns=(
            replace(first, live_from_ms=FOREVER_MS),
            replace(second, live_until_ms=NOON_MS),
        ),
    )
    assert await enter(ann) == ["not_live", "not_live"]


async def test_already_inside_is_asked_for_or_ignored():
    ann = walk({}, {"initial": True})
    await ann.post((0, 0))
    assert ann.reasons() == ["initial", "ok"]


async def test_a_faked_location_fires_only_where_allowed():
    ann = walk({}, {"mocked": True})
    places = [spot(2000), spot(0)]
    fixes = Fixes.of(
        ["ann", "ann"],
        np.array([lon for lon, _ in places]),
        np.array([lat for _, lat in places]),
        np.array([NOON_MS, NOON_MS + 60_000]),
        is_mocked=np.array([False, True]),
    )
    await ann.run(fixes=fixes, now_ms=NOON_MS + 60_000)
    assert ann.reasons() == ["mocked", "ok"]


async def test_old_news_fires_nothing():
    ann = walk({}, {"max_age": "2h"})
    assert await enter(ann, lag_s=HOUR_S) == ["stale", "ok"]
    assert ann.told("zone.entered") == [("zone.entered", 60)]


async def test_a_closed_store_says_nothing():
    ann = walk({}, {"when_closed": True}, stores=[a_store(hours="Mo-Su 15:00-20:00")])
    assert await enter(ann) == ["store_closed", "ok"]


async def test_a_store_that_closes_before_one_arrives_says_nothing():
    shut_at_two = [a_store(hours="Mo-Su 08:00-14:04")]
    ann = walk({}, stores=shut_at_two, minutes=5)
    assert await enter(ann) == ["store_closing"]
    assert await enter(walk({}, stores=shut_at_two, minutes=2)) == ["ok"]


async def test_outside_the_window_nothing_is_said():
    evening = Window(days="Mo-Fr", hours="17:30-18:00")
    assert await enter(walk({"window": evening})) == ["window"]
    assert await enter(walk({"window": evening}), 3.75 * HOUR_S) == ["ok"]


async def test_a_window_over_midnight_belongs_to_the_evening_it_began():
    night = Window(days="Fr", hours="22:00-02:00")
    saturday_one = (3 * 24 + 11) * HOUR_S  # Paris is two hours ahead of noon UTC on Tuesday
    assert await enter(walk({"window": night}), saturday_one) == ["ok"]
    assert await enter(walk({"window": night}), saturday_one + DAY_S) == ["window"]


async def test_the_audience_is_asked_of_the_persons_attributes():
    for attributes, reason in (
        ({"status": "premium", "points": 300}, "ok"),
        ({"status": "premium", "points": 299}, "audience"),
        ({}, "audience"),
    ):
        ann = walk({"audience": 'status == "premium" and points >= 300'})
        await ann.agree("ann", attributes=attributes)
        assert await enter(ann) == [reason]


async def test_a_hold_out_keeps_its_share_and_always_the_same_people():
    ann = walk({"hold_out": "30%"})
    devices = [f"d{i}" for i in range(400)]
    await ann.post(*[(d, 0, 2000) for d in devices], *[(d, 60, 0) for d in devices])
    held = {d.person_id for d in ann.outcomes[-1].decisions if d.reason == "holdout"}
    assert 0.22 < len(held) / 400 < 0.38
    again = walk({"hold_out": "30%"})
    await again.post(*[(d, 0, 2000) for d in devices], *[(d, 60, 0) for d in devices])
    assert {d.person_id for d in again.outcomes[-1].decisions if d.reason == "holdout"} == held


async def test_without_consent_for_the_lever_nothing_is_said():
    ann = walk(SMS)
    assert await enter(ann) == ["no_consent:sms"]
    await ann.agree("ann", "sms")
    assert await leave_and_enter(ann, HOUR_S) == ["no_address:sms"]
    await ann.agree("ann", addresses={"sms": "+33600000000"})
    assert await leave_and_enter(ann, 2 * HOUR_S) == ["ok"]


async def test_the_first_lever_with_consent_and_an_address_is_taken():
    ann = walk({"levers": ["push", "email", "log"]})
    await ann.agree("ann", "push", "email", addresses={"email": "ann@example.org"})
    await enter(ann)
    assert [d.lever for d in ann.outcomes[-1].decisions] == ["email"]


async def test_systems_need_no_consent_of_their_own():
    assert await enter(walk({"levers": ["webhook"]})) == ["ok"]


async def test_unlawful_hours_of_the_lever():
    engine = EngineSpec(lawful_hours={"sms": "Mo-Sa 08:00-12:00; PH off"})
    ann = walk(SMS, {"levers": ["log"]}, engine=engine)
    ann.assumed |= {"sms"}
    assert await enter(ann) == ["lawful_hours:sms", "ok"]


async def test_no_marketing_by_sms_on_a_public_holiday():
    first_of_may = 17 * DAY_S
    ann = walk(SMS)
    ann.assumed |= {"sms"}
    assert await enter(ann, first_of_may) == ["lawful_hours:sms"]
    assert await leave_and_enter(ann, first_of_may + DAY_S) == ["ok"]


async def test_quiet_hours_are_the_persons_own_or_everybodys():
    ann = walk({"levers": ["push"]}, engine=EngineSpec(quiet_hours="21:00-08:00"))
    ann.assumed |= {"push"}
    assert await enter(ann) == ["ok"]
    assert await leave_and_enter(ann, 8 * HOUR_S) == ["quiet_hours"]
    bob = walk({"levers": ["push"]})
    bob.assumed |= {"push"}
    await bob.agree("ann", quiet_hours="13:00-15:00")
    assert await enter(bob) == ["quiet_hours"]


async def test_quiet_hours_run_in_the_persons_time_zone():
    ann = walk({"levers": ["push"]}, engine=EngineSpec(quiet_hours="21:00-08:00"))
    ann.assumed |= {"push"}
    await ann.agree("ann", time_zone="Asia/Tokyo")  # noon in UTC is nine in the evening there
    assert await enter(ann) == ["quiet_hours"]


async def test_quiet_hours_do_not_silence_systems():
    ann = walk({"levers": ["log"]}, engine=EngineSpec(quiet_hours="00:00-24:00"))
    assert await enter(ann) == ["ok"]


async def test_a_cooldown_counts_from_the_last_trigger():
    ann = walk({"cooldown": "6h"})
    assert await enter(ann) == ["ok"]
    assert await leave_and_enter(ann, 5 * HOUR_S) == ["cooldown"]
    assert await leave_and_enter(ann, 7 * HOUR_S) == ["ok"]


async def test_caps_per_day_count_local_days():
    ann = walk({"caps": [Cap(max=2, per="day")]})
    assert await enter(ann) == ["ok"]
    assert await leave_and_enter(ann, 2 * HOUR_S) == ["ok"]
    assert await leave_and_enter(ann, 4 * HOUR_S) == ["cap:day 2/2"]
    midnight_in_paris = 10 * HOUR_S
    assert await leave_and_enter(ann, midnight_in_paris + 300) == ["ok"]


async def test_a_sliding_cap_does_not_care_for_midnight():
    ann = walk({"caps": [Cap(max=1, per="24h")]})
    assert await enter(ann) == ["ok"]
    assert await leave_and_enter(ann, 23 * HOUR_S) == ["cap:24h 1/1"]
    assert await leave_and_enter(ann, 25 * HOUR_S) == ["ok"]


async def test_a_total_cap_never_runs_out():
    ann = walk({"caps": [Cap(max=1, per="total")]})
    assert await enter(ann) == ["ok"]
    assert await leave_and_enter(ann, 100 * DAY_S) == ["cap:total 1/1"]


async def test_all_campaigns_together_have_a_cap():
    ann = walk({}, {"on": "exit"}, engine=EngineSpec(caps=[Cap(max=1, per="day")]))
    await ann.post(FAR, (60, 0), (120, 2000))
    await enter(ann, HOUR_S)
    assert ann.reasons()[-1] == "cap:all:day 1/1"


async def test_the_person_may_choose_a_stricter_cap():
    ann = walk({"caps": [Cap(max=9, per="week")]})
    await ann.agree("ann", caps=[Cap(max=1, per="week")])
    assert await enter(ann) == ["ok"]
    assert await leave_and_enter(ann, 2 * DAY_S) == ["cap:person:week 1/1"]


async def test_the_highest_priority_wins_and_the_others_say_who_won():
    ann = walk({"priority": 1}, {"priority": 5}, {})
    assert await enter(ann) == ["ok", "arbitration:c1", "arbitration:c1"]
    assert [d.campaign_id for d in ann.outcomes[-1].decisions] == ["c1", "c0", "c2"]


async def test_a_visit_group_hears_one_message_also_later_in_the_visit():
    ann = walk({}, {"on": "dwell"}, stores=[a_store("one"), a_store("two", 100)])
    await ann.post(FAR, (60, 50), (200, 50))
    assert sorted(set(ann.reasons())) == ["arbitration:c0", "ok"]
    assert ann.reasons().count("ok") == 1


async def test_a_visit_hours_later_is_another_group():
    ann = walk({}, stores=[a_store("one"), a_store("two", 150)])
    await ann.post(FAR, (60, -50))
    for minute in range(1, 80):
        await ann.post((60 + 60 * minute, -50))
    await ann.post((60 + 60 * 80, 75))
    assert ann.reasons() == ["ok", "ok"]


async def test_what_another_question_stops_does_not_take_the_word():
    ann = walk({"priority": 9, "audience": "false"}, {})
    assert await enter(ann) == ["audience", "ok"]


async def test_decisions_can_be_read_newest_first():
    ann = walk({"caps": [Cap(max=1, per="day")]})
    await enter(ann)
    await leave_and_enter(ann, HOUR_S)
    reasons = [d.reason for d in await ann.state.decisions("ann")]
    assert reasons == ["cap:day 1/1", "ok"]


async def test_a_unique_coupon_is_the_triggers_own_and_cannot_be_told_without_the_key():
    coupon = Coupon(kind="unique", valid="2h")
    codes = set()
    for key in (b"one key", b"another"):
        ann = walk({"coupon": coupon, "message": {"en": "Use {code}"}})
        ann.book = replace(ann.book, coupon_key=key)
        await enter(ann)
        (fired,) = [e for e in ann.events if e.type == "trigger.fired"]
        codes.add(fired.data["coupon"]["code"])
        assert fired.data["message"]["body"] == f"Use {fired.data['coupon']['code']}"
        assert fired.data["coupon"]["valid_until"] == "2026-04-14T14:01:00.000Z"
    assert len(codes) == 2


async def test_the_message_speaks_the_persons_language():
    for locale, body in (("fr-FR", "Bonjour"), ("de", "Hello"), ("", "Hello")):
        ann = walk({"message": {"en": "Hello", "fr": "Bonjour"}})
        await ann.agree("ann", locale=locale)
        await enter(ann)
        (fired,) = [e for e in ann.events if e.type == "trigger.fired"]
        assert fired.data["message"]["body"] == body


async def test_no_event_carries_a_persons_position():
    ann = walk({})
    await ann.post(FAR, (60, 33, 10, 44), (200, 33, 10, 44), (400, 2000))
    for event in ann.events:
        assert not {"lat", "lon", "lat_deg", "lon_deg"} & set(event.data)


# --- before the send ----------------------------------------------------------------------------


async def a_send(**campaign: object):
    ann = walk({"levers": ["push"]} | campaign, stores=[a_store(hours="Mo-Su 08:00-15:00")])
    await ann.agree("ann", "location", "push", push_tokens={"ann": ["ios", "token"]})
    await enter(ann)
    (leased,) = await ann.state.lease(NOON_MS + 61_000, 10, "me", 1_000)
    record = (await ann.state.load(["ann"]))["ann"]
    return ann, leased.send, record


async def test_what_was_decided_may_be_sent():
    ann, send, record = await a_send()
    assert may_send(send, record, ann.book, NOON_MS + 62_000) == ""


async def test_a_send_that_comes_too_late_expires():
    ann, send, record = await a_send()
    assert may_send(send, record, ann.book, NOON_MS + 60_000 + 15 * 60_000) == "expired"


async def test_given_withdrawn_given_does_not_revive_what_was_queued():
    for purpose in ("push", "location"):
        ann, send, record = await a_send()
        withdraw(record, purpose, {}, ann.book, NOON_MS)
        assert may_send(send, record, ann.book, NOON_MS + 62_000) == f"consent_withdrawn:{purpose}"
        grant(record, purpose, {}, NOON_MS)
        assert may_send(send, record, ann.book, NOON_MS + 62_000) == f"consent_withdrawn:{purpose}"


async def test_somebody_erased_meanwhile_hears_nothing():
    ann, send, _record = await a_send()
    assert may_send(send, None, ann.book, NOON_MS + 62_000) == "consent_withdrawn:location"


async def test_a_store_that_closed_meanwhile_says_nothing():
    ann, send, record = await a_send(expires="12h")
    assert may_send(send, record, ann.book, NOON_MS + 2 * 3_600_000) == "store_closed"


async def test_quiet_hours_that_began_meanwhile_hold_also_for_retries():
    ann, send, record = await a_send(expires="12h", when_closed=True)
    book = bare(ann.book, quiet_hours="16:00-08:00")
    assert may_send(send, record, book, NOON_MS + 3_600_000) == ""
    assert may_send(send, record, book, NOON_MS + 3 * 3_600_000) == "quiet_hours"


async def test_a_campaign_that_is_gone_sends_nothing_more():
    ann, send, record = await a_send()
    assert may_send(send, record, replace(ann.book, campaigns=()), NOON_MS + 62_000) == "not_live"


def test_the_questions_stand_in_the_order_of_the_design():
    assert [ask.__name__ for ask in QUESTIONS] == [
        "_live",
        "_paused",
        "_initial",
        "_mocked",
        "_stale",
        "_open",
        "_window",
        "_audience",
        "_order",
        "_coupon_left",
        "_left_alone",
        "_hold_out",
        "_consent",
        "_lawful",
        "_cooldown",
        "_caps",
    ]
