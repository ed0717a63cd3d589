"""What a report says of campaigns, told of stories small enough to count by hand."""

from __future__ import annotations

from typing import Any

import pytest

from geoengine.core.book import Book
from geoengine.core.model.measure import MeasureSpec
from geoengine.core.record import Fact
from geoengine.core.units import DAY_MS
from geoengine.service.reports.desk import Desk
from geoengine.service.reports.gather import TooMuch, gather
from geoengine.service.wire.reports import CampaignReport, CampaignsQuery, CampaignsReport, Figures
from tests.core.world import World, a_store, bare
from tests.service.reports.past import MONDAY_MS, OnPaper, at, crowd

NOW_MS = MONDAY_MS + 30 * DAY_MS
WEEK = {"from_": "2026-11-02", "to": "2026-11-08"}


def book(people_min: int = 1) -> Book:
    shops = [a_store("shop"), a_store("other", 5_000)]
    return bare(World(stores=shops).book(), measure=MeasureSpec(people_min=people_min))


async def reported(past: OnPaper, people_min: int = 1, **query: Any) -> CampaignsReport:
    asked = CampaignsQuery(**(WEEK | query))
    return await Desk().campaigns(past, book(people_min), asked, NOW_MS)


async def figures(past: OnPaper, **query: Any) -> Figures:
    (campaign,) = (await reported(past, **query)).campaigns
    assert campaign.figures is not None
    return campaign.figures


def cells(campaign: CampaignReport) -> dict[str, Figures | None]:
    return {cell.cell: cell.figures for cell in campaign.cells}


async def test_the_way_of_a_campaign_from_entries_to_clicks():
    past = OnPaper()
    for person in crowd(5):
        trigger = past.fire(person, at(0))
        past.happen("sent", trigger, at(0), cost=0.05, currency="EUR")
        if person != "p4":
            past.happen("delivered", trigger, at(0))
    past.happen("failed", trigger, at(0), status="dead", reason="http_500")
    for minute in (1, 2):
        past.happen("clicked", past.items[0].trigger_id, at(0, 12, minute))
    past.happen("opened", past.items[0].trigger_id, at(0, 13))
    past.stop("q", at(0), "audience")
    past.stop("q", at(1), "cap:day 2/2")
    past.stop("q", at(2), "arbitration:other")
    found = await figures(past)
    assert (found.people, found.entries, found.eligible, found.fired) == (6, 8, 7, 5)
    assert found.suppressed == {"arbitration": 1, "audience": 1, "cap:day": 1}
    assert (found.sent, found.delivered, found.failed) == (5, 4, 1)
    assert (found.opened, found.clicked) == (1, 1)
    assert found.cost == {"EUR": pytest.approx(0.25)}


async def test_a_visit_within_the_window_is_credited_and_no_other():
    past = OnPaper()
    for person, store, day in (
        ("in-time", "shop", 7),
        ("late", "shop", 8),
        ("elsewhere", "other", 1),
        ("before", "shop", -1),
    ):
        past.fire(person, at(0))
        past.visit(person, at(day), store=store)
    assert (await figures(past)).visits == 1
    assert (await figures(past, window="9d")).visits == 2


async def test_visits_that_are_not_sure_enough_are_left_out():
    past = OnPaper()
    past.fire("p", at(0))
    past.visit("p", at(1), confidence=0.6)
    assert (await figures(past, confidence=0.6)).visits == 1
    assert (await figures(past, confidence=0.61)).visits == 0


@pytest.mark.parametrize(("rule", "earned"), [("last", 1.0), ("first", 0.0), ("even", 0.5)])
async def test_of_two_messages_the_rule_decides_also_where_one_is_outside_the_period(
    rule: str, earned: float
):
    past = OnPaper()
    past.fire("p", at(-1), campaign="earlier")
    past.fire("p", at(0))
    past.visit("p", at(2))
    assert (await figures(past, credit=rule)).visits == earned


async def test_a_message_that_never_arrived_brought_nobody():
    past = OnPaper()
    past.happen("failed", past.fire("p", at(0)), at(0), status="refused", reason="token_dead")
    past.visit("p", at(1))
    assert (await figures(past)).visits == 0


@pytest.mark.parametrize(
    ("kinds", "status", "expected"),
    [
        (("delivered", "failed"), "undelivered", (0, 1, 0)),
        (("failed", "delivered"), "undelivered", (0, 1, 0)),  # its words overtook one another
        (("delivered", "failed"), "dead", (0, 1, 0)),
        (("failed", "delivered"), "dead", (1, 0, 1)),  # given up, and tried again by hand
        (("failed", "clicked"), "dead", (0, 0, 1)),
        (("failed", "clicked"), "undelivered", (0, 0, 1)),
    ],
)
async def test_a_message_either_reached_somebody_or_failed(
    kinds: tuple[str, str], status: str, expected: tuple[int, int, float]
):
    past = OnPaper()
    trigger = past.fire("p", at(0))
    for minute, kind in enumerate(kinds):
        data = {"status": status} if kind == "failed" else {}
        past.happen(kind, trigger, at(0, 13, minute), **data)
    past.visit("p", at(1))
    found = await figures(past)
    assert (found.delivered, found.failed, found.visits) == expected


async def test_redemptions_count_for_their_trigger_and_shared_codes_for_their_campaign():
    past = OnPaper()
    for person in crowd(3):
        trigger = past.fire(person, at(0))
        past.happen("redeemed", trigger, at(1), amount=10.0, currency="EUR")
    past.happen("redeemed", past.fire("x", at(1)), at(2), amount=7, currency="CHF")
    (shared,) = past.items[-1:]
    past.items.append(type(shared)("lone", "redeemed", "y", at(3), "shop", "hello", "", "", {}))
    found = await figures(past)
    assert found.redemptions == 5
    assert found.revenue == {"CHF": 7.0, "EUR": 30.0}
    assert found.people == 5


@pytest.mark.parametrize(
    ("minute", "store", "seen"),
    [(5, "shop", 1), (24, "shop", 1), (26, "shop", 0), (-14, "shop", 1), (-16, "shop", 0),
     (5, "other", 0)],
)  # fmt: skip
async def test_a_redemption_is_joined_to_the_visit_it_was_made_on(
    minute: int, store: str, seen: int
):
    past = OnPaper()
    trigger = past.fire("p", at(0))
    past.visit("p", at(0, 18), store=store, duration_s=600.0)
    past.happen("redeemed", trigger, at(0, 18, minute), amount=5.0, currency="EUR")
    found = await figures(past)
    assert (found.redemptions, found.redemptions_seen) == (1, seen)


async def test_a_redemption_taken_back_counts_nowhere():
    past = OnPaper()
    for person in crowd(3):
        trigger = past.fire(person, at(0))
        past.visit(person, at(1))
        past.happen("redeemed", trigger, at(1), amount=10.0, currency="EUR")
    bought = past.items[-1]
    assert isinstance(bought, Fact)
    past.happen("taken_back", trigger, at(1), amount=10.0, currency="EUR", redeemed=bought.id)
    found = await figures(past)
    assert (found.redemptions, found.redemptions_seen) == (2, 2)
    assert found.revenue == {"EUR": 20.0}


async def test_who_leaves_within_a_day_of_a_message_by_that_lever_left_because_of_it():
    past = OnPaper()
    for person, lever, hours in (("a", "push", 23), ("b", "push", 25), ("c", "sms", 1)):
        past.fire(person, at(0, 0))
        past.items.append(_opted_out(person, lever, at(0, hours)))
    assert (await figures(past)).opt_outs == 1


def _opted_out(person: str, lever: str, at_ms: int) -> Any:
    past = OnPaper()
    past.happen("opted_out", past.fire(person, at_ms), at_ms, lever=lever)
    fact: Any = past.items[-1]
    return type(fact)(fact.id, "opted_out", person, at_ms, data={"lever": lever, "source": "app"})


async def test_by_hour_and_weekday_is_the_clock_of_the_store():
    past = OnPaper()
    for person in crowd(4):
        past.fire(person, at(0, 0, 30))  # half past midnight on Monday in Paris, Sunday in UTC
    past.fire("late", at(5, 23, 30))
    (by_hour,) = (await reported(past, by="hour")).campaigns
    (by_weekday,) = (await reported(past, by="weekday")).campaigns
    assert {cell: one.fired for cell, one in cells(by_hour).items() if one} == {"00": 4, "23": 1}
    assert {cell: one.fired for cell, one in cells(by_weekday).items() if one} == {"Mo": 4, "Sa": 1}


async def test_by_variant_is_what_the_facts_say():
    past = OnPaper()
    for person, variant in (("a", "short"), ("b", "long"), ("c", "long")):
        past.happen("sent", past.fire(person, at(0)), at(0), variant=variant)
    past.fire("d", at(0))
    (campaign,) = (await reported(past, by="variant")).campaigns
    assert {cell: one.fired for cell, one in cells(campaign).items() if one} == {
        "": 1, "long": 2, "short": 1
    }  # fmt: skip


async def test_a_part_about_few_people_is_hidden_and_so_is_what_would_tell_it():
    past = OnPaper()
    for store, count in (("a", 5), ("b", 25), ("c", 40), ("d", 60)):
        for person in crowd(count, store):
            past.fire(person, at(0), store=store)
    (campaign,) = (await reported(past, people_min=20, by="store")).campaigns
    assert campaign.figures is not None and campaign.figures.people == 130
    assert [cell for cell, one in cells(campaign).items() if one is None] == ["a", "b"]


async def test_a_campaign_about_few_people_is_hidden_whole():
    past = OnPaper()
    for person in crowd(19):
        past.fire(person, at(0))
    (campaign,) = (await reported(past, people_min=20, by="store")).campaigns
    assert campaign.figures is None
    assert [cell.figures for cell in campaign.cells] == [None]


async def test_what_few_people_paid_is_not_told():
    past = OnPaper()
    for person in crowd(30):
        trigger = past.fire(person, at(0))
        if person in ("p1", "p2"):
            past.happen("redeemed", trigger, at(1), amount=99.5, currency="EUR")
    found = await figures(past, people_min=20)
    assert (found.redemptions, found.revenue) == (2, None)


async def test_what_few_people_paid_cannot_be_worked_out_from_the_whole():
    past = OnPaper()
    for store, payers in (("a", 3), ("b", 25), ("c", 40)):
        for ix, person in enumerate(crowd(50, store)):
            trigger = past.fire(person, at(0), store=store)
            if ix < payers:
                past.happen("redeemed", trigger, at(1), amount=10.0, currency="EUR")
    (campaign,) = (await reported(past, people_min=20, by="store")).campaigns
    assert campaign.figures is not None and campaign.figures.revenue == {"EUR": 680.0}
    paid = {cell: one.revenue for cell, one in cells(campaign).items() if one}
    assert paid == {"a": None, "b": None, "c": {"EUR": 400.0}}


async def test_what_one_paid_in_another_currency_is_not_told():
    past = OnPaper()
    for ix, person in enumerate(crowd(30)):
        currency = "CHF" if ix == 0 else "EUR"
        past.happen("redeemed", past.fire(person, at(0)), at(1), amount=10.0, currency=currency)
    found = await figures(past, people_min=20)
    assert (found.redemptions, found.revenue) == (30, None)


def told_and_held(past: OnPaper, reason: str, *, came: int, came_anyway: int) -> None:
    """A hundred of each, so many of whom come."""
    for ix, person in enumerate(crowd(100, "told")):
        past.fire(person, at(0))
        if ix < came:
            past.visit(person, at(1))
            past.visit(person, at(2))
    for ix, person in enumerate(crowd(100, "held")):
        past.stop(person, at(0), reason)
        if ix < came_anyway:
            past.visit(person, at(1))


async def test_lift_compares_people_and_not_visits():
    past = OnPaper()
    told_and_held(past, "holdout", came=40, came_anyway=20)
    lift = (await figures(past, people_min=20)).lift
    assert lift is not None
    assert (lift.treated.people, lift.treated.value) == (100, 0.4)
    assert (lift.held_out.people, lift.held_out.value) == (100, 0.2)
    assert (lift.difference, lift.ratio, lift.verdict) == (0.2, 2.0, "more")
    assert lift.low is not None and 0.05 < lift.low < 0.2


async def test_no_lift_is_claimed_where_the_interval_contains_zero():
    past = OnPaper()
    told_and_held(past, "holdout", came=22, came_anyway=20)
    lift = (await figures(past)).lift
    assert lift is not None and lift.low is not None and lift.high is not None
    assert lift.low < 0 < lift.high and lift.verdict == "not_shown"


async def test_who_is_held_out_counts_only_where_nothing_else_stood_against_it():
    past = OnPaper()
    told_and_held(past, "holdout", came=40, came_anyway=20)
    for person in crowd(50, "unreachable"):
        past.stop(person, at(0), "holdout", is_only=False)
    lift = (await figures(past)).lift
    assert lift is not None and lift.held_out.people == 100


async def test_a_small_arm_is_not_shown():
    past = OnPaper()
    for person in crowd(100):
        past.fire(person, at(0))
    for person in crowd(19, "held"):
        past.stop(person, at(0), "holdout")
    lift = (await figures(past, people_min=20)).lift
    assert lift is not None
    assert (lift.verdict, lift.held_out.people, lift.low) == ("too_few_people", None, None)
    assert lift.treated.people == 100


async def test_a_small_arm_of_a_part_cannot_be_worked_out_from_the_whole():
    past = OnPaper()
    for store, held in (("a", 5), ("b", 30), ("c", 40)):
        for person in crowd(50, store):
            past.fire(person, at(0), store=store)
        for person in crowd(held, f"held-{store}"):
            past.stop(person, at(0), "holdout", store=store)
    (campaign,) = (await reported(past, people_min=20, by="store")).campaigns
    assert campaign.figures is not None and campaign.figures.lift is not None
    assert campaign.figures.lift.held_out.people == 75
    told = {
        cell: one.lift.held_out.people for cell, one in cells(campaign).items() if one and one.lift
    }
    assert told == {"a": None, "b": None, "c": 40}


async def test_who_did_not_agree_to_be_measured_is_in_no_arm():
    past = OnPaper()
    told_and_held(past, "holdout", came=40, came_anyway=20)
    for person in crowd(50, "shy"):
        past.fire(person, at(0), is_measured=False)
    found = await figures(past)
    assert found.lift is not None and found.lift.treated.people == 100
    assert found.fired == 150


async def test_all_campaigns_together_are_compared_with_who_hears_of_none():
    past = OnPaper()
    told_and_held(past, "holdout:global", came=40, came_anyway=20)
    for person in crowd(100, "told"):
        past.stop(person, at(0, 13), "holdout", campaign="second")
    told = await reported(past)
    assert told.lift is not None
    assert (told.lift.treated.people, told.lift.held_out.people) == (100, 100)
    assert told.lift.verdict == "more"
    (hello, _second) = told.campaigns
    assert hello.figures is not None and hello.figures.lift is None


async def test_lift_can_be_about_what_was_paid():
    past = OnPaper()
    for ix, person in enumerate(crowd(100, "told")):
        trigger = past.fire(person, at(0))
        past.happen("redeemed", trigger, at(1), amount=20 + ix % 2, currency="EUR")
        if ix < 30:
            past.happen("redeemed", trigger, at(2), amount=1000, currency="JPY")
    for person in crowd(100, "held"):
        past.stop(person, at(0), "holdout")
    lift = (await figures(past, outcome="revenue")).lift
    assert lift is not None
    assert (lift.difference, lift.held_out.value, lift.verdict) == (20.5, 0.0, "more")


async def test_what_few_people_paid_is_not_told_by_an_average_either():
    past = OnPaper()
    for ix, person in enumerate(crowd(100, "told")):
        trigger = past.fire(person, at(0))
        if ix < 3:
            past.happen("redeemed", trigger, at(1), amount=20, currency="EUR")
    for person in crowd(100, "held"):
        past.stop(person, at(0), "holdout")
    lift = (await figures(past, people_min=20, outcome="revenue")).lift
    assert lift is not None
    assert (lift.verdict, lift.treated.people, lift.treated.value) == ("too_few_people", 100, None)


async def test_nothing_happened_is_a_report_too():
    told = await reported(OnPaper(), by="store")
    assert (told.campaigns, told.lift) == ([], None)
    assert told.from_ == "2026-11-01T23:00:00.000Z"
    assert told.to == "2026-11-08T23:00:00.000Z"


@pytest.mark.parametrize(
    ("query", "why"),
    [
        ({"from_": "2026-11-09", "to": "2026-11-02"}, "expected a later end"),
        ({"from_": "2026-02-30"}, "day is out of range"),
        ({"window": "93d"}, "at most 92d"),
    ],
)
async def test_a_period_that_makes_no_sense_is_refused(query: dict[str, str], why: str):
    with pytest.raises(ValueError, match=why):
        await reported(OnPaper(), **query)


async def test_more_than_fits_is_refused():
    past = OnPaper()
    for person in crowd(30):
        past.fire(person, at(0))
    with pytest.raises(TooMuch, match="more than 20 rows"):
        await gather(past, at(0), at(1), rows_max=20)
