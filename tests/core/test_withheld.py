"""Hold-outs: the same people always, and counted at the moments at which others are spoken to."""

import pytest

from geoengine.core.ids import share_of
from geoengine.core.judging.withheld import joined
from geoengine.core.model import Cap
from geoengine.core.model.measure import MeasureSpec
from geoengine.core.record import Decision, Withheld
from tests.core.world import Walk, World, a_campaign, bare

DAY_S = 86_400
AGREED = frozenset({"location", "measurement"})


def is_held(campaign_id: str, person_id: str, share: float) -> bool:
    return share_of("holdout", campaign_id, person_id) < share


HELD = next(f"p{i}" for i in range(100) if is_held("hello", f"p{i}", 0.5))
SPOKEN_TO = next(f"p{i}" for i in range(100) if not is_held("hello", f"p{i}", 0.5))


def walk(hold_out_globally: str = "0%", **campaign: object) -> Walk:
    book = World(campaigns=[a_campaign(hold_out="50%", **campaign)]).book()
    measure = MeasureSpec(hold_out=hold_out_globally)
    return Walk(bare(book, measure=measure), assumed=AGREED)


async def come_daily(walk: Walk, person: str, days: int = 1, times: int = 1) -> None:
    """Walk in and out so many times a day."""
    for day in range(days):
        for time in range(times):
            begin_s = day * DAY_S + time * 3600
            await walk.post(
                (begin_s, 2000), (begin_s + 60, 0), (begin_s + 200, 2000), device=person
            )


def told(walk: Walk) -> list[Decision]:
    return [decision for outcome in walk.outcomes for decision in outcome.decisions]


def moments(walk: Walk) -> list[int]:
    """When somebody was spoken to, or would have been."""
    return [decision.at_ms for decision in told(walk) if decision.trigger_id]


async def test_who_is_held_out_is_counted_when_others_are_spoken_to():
    for caps in ([], [Cap(max=1, per="day")], [Cap(max=2, per="week")], [Cap(max=3, per="total")]):
        held, spoken_to = walk(caps=caps), walk(caps=caps)
        await come_daily(held, HELD, days=9, times=3)
        await come_daily(spoken_to, SPOKEN_TO, days=9, times=3)
        assert {d.reason for d in told(held)} == {"holdout"}
        assert moments(held) == moments(spoken_to) != []


async def test_a_cool_down_binds_those_held_out_too():
    held, spoken_to = walk(cooldown="5h"), walk(cooldown="5h")
    await come_daily(held, HELD, days=3, times=9)
    await come_daily(spoken_to, SPOKEN_TO, days=3, times=9)
    assert moments(held) == moments(spoken_to) != []


@pytest.mark.parametrize("also", [{"levers": ["sms"]}, {"window": None, "levers": ["push"]}])
async def test_a_hold_out_that_would_not_have_been_reached_counts_for_nothing(also: dict):
    held = walk(**also)
    await come_daily(held, HELD)
    assert [(d.reason, d.trigger_id) for d in told(held)] == [("holdout", "")]


async def test_who_is_held_out_has_heard_nothing():
    held = walk(caps=[Cap(max=1, per="day")])
    await come_daily(held, HELD)
    record = (await held.state.load([HELD]))[HELD]
    assert record.fired == [] and record.fired_total == {}
    assert record.withheld["hello"].count == 1
    assert [outcome.sends for outcome in held.outcomes] == [[]] * len(held.outcomes)


async def test_another_campaign_speaks_to_who_is_held_out_from_one():
    campaigns = [a_campaign(hold_out="100%", priority=5), a_campaign("other")]
    ann = Walk(World(campaigns=campaigns).book(), assumed=AGREED)
    await come_daily(ann, "ann")
    assert [(d.campaign_id, d.reason) for d in told(ann)] == [("hello", "holdout"), ("other", "ok")]


async def test_who_would_have_lost_to_another_campaign_is_not_counted_as_held_out():
    campaigns = [a_campaign("other", priority=5), a_campaign(hold_out="100%")]
    ann = Walk(World(campaigns=campaigns).book(), assumed=AGREED)
    await come_daily(ann, "ann")
    assert [(d.reason, bool(d.trigger_id)) for d in told(ann)] == [("ok", True), ("holdout", False)]


async def test_some_hear_of_no_campaign_at_all():
    crowd = walk(hold_out_globally="30%")
    people = [f"p{i}" for i in range(300)]
    await crowd.post(*[(p, 0, 2000) for p in people], *[(p, 60, 0) for p in people])
    reasons = {d.person_id: d.reason for d in told(crowd)}
    held = {person for person, reason in reasons.items() if reason == "holdout:global"}
    assert held == {person for person in people if share_of("holdout:global", person) < 0.3}
    assert 60 < len(held) < 120
    assert {"ok", "holdout"} <= set(reasons.values())


async def test_a_decision_says_whether_its_person_may_be_measured():
    ann = walk()
    ann.assumed = frozenset({"location"})
    await come_daily(ann, SPOKEN_TO)
    await ann.agree("p-agreed", "measurement")
    await come_daily(ann, "p-agreed")
    assert [(d.person_id, d.is_measured) for d in told(ann)] == [
        (SPOKEN_TO, False),
        ("p-agreed", True),
    ]


def test_what_two_records_withheld_is_joined_once():
    one, other = Withheld(5, [10, 20]), Withheld(2, [20, 30])
    both = joined(one, other)
    assert both == Withheld(5, [10, 20, 30])
    assert joined(both, other) == joined(other, one) == both
