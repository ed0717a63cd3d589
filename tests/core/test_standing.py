"""What audiences may ask of visits and baskets, and orders that lie ready."""

from __future__ import annotations

import pytest

from geoengine.core.consent.people import withdraw
from geoengine.core.judging.audience import Audience
from geoengine.core.judging.standing import FACTS, VISITED_MAX, came, standing
from geoengine.core.model import Cap, EngineSpec
from geoengine.core.record import Order, Record, Timed, Visited
from geoengine.core.rules import may_send
from geoengine.core.units import DAY_MS, MINUTE_MS
from tests.core.world import NOON_MS, Walk, World, a_campaign, a_store

DAY_S = 86_400
READY = {"A17": Order("shop", NOON_MS - 1, NOON_MS + 30 * DAY_MS)}


def fired(walk: Walk, campaign_id: str = "hello") -> list[float]:
    """When a campaign fired, in days since noon."""
    return [
        (one.at_ms - NOON_MS) / DAY_MS // 0.1 / 10
        for outcome in walk.outcomes
        for one in outcome.decisions
        if one.outcome == "fired" and one.campaign_id == campaign_id
    ]


async def visit(walk: Walk, at_s: float) -> None:
    """Walk to the shop, be heard at its door for a while, and go."""
    await walk.post((at_s, 2000), (at_s + 60, 0))
    for second in (100, 102, 104, 130):
        await walk.hear((at_s + second, 1, -60.0))
    await walk.post((at_s + 900, 2000), (at_s + 960, 2100))
    await walk.tick(at_s + 8_000)


def world(**campaign: object) -> Walk:
    spec = a_campaign(when_closed=True, **campaign)
    return Walk(World([a_store()], campaigns=[spec], places=[("shop", "door")]).book())


# --- visits -------------------------------------------------------------------------------------


async def test_a_welcome_is_for_who_has_never_been_in_the_shop():
    ann = world(audience="is_first_visit")
    for day in (0, 2, 4):
        await visit(ann, day * DAY_S)
    assert fired(ann) == [0.0]
    record = (await ann.state.load(["ann"]))["ann"]
    assert record.visited["shop"].visit_count == 3


async def test_we_miss_you_is_said_after_so_many_days_without_a_visit():
    ann = world(audience="days_since_visit > 30")
    for day in (0, 10, 50, 60, 95):
        await visit(ann, day * DAY_S)
    assert fired(ann) == [50.0, 95.0]


async def test_who_only_passes_by_has_not_visited():
    ann = world(audience="visits == 0")
    for day in (0, 2):
        await ann.post((day * DAY_S, 2000), (day * DAY_S + 60, 0), (day * DAY_S + 400, 2000))
    assert fired(ann) == [0.0, 2.0]


async def test_visits_are_forgotten_with_the_consent_to_be_located():
    ann = world()
    await visit(ann, 0)
    record = (await ann.state.load(["ann"]))["ann"]
    assert record.visited
    withdraw(record, "location", {}, ann.book, NOON_MS + DAY_MS)
    assert not record.visited


def test_a_store_is_not_any_store():
    record = Record("ann", visited={"a": Visited(2, NOON_MS - 9 * DAY_MS, NOON_MS - 3 * DAY_MS)})
    known = standing(record, "b", NOON_MS)
    assert (known["visits"], known["is_first_visit"], known["days_since_visit"]) == (0, True, None)
    assert (known["visits_anywhere"], known["is_first_visit_anywhere"]) == (2, False)
    assert (known["days_since_visit_anywhere"], known["first_visit_days_ago_anywhere"]) == (3, 9)


def test_what_an_expression_does_not_ask_for_is_not_worked_out():
    record = Record("ann", attributes={"status": "premium"}, visited={"a": Visited(1, 0, 0)})
    assert standing(record, "a", NOON_MS, Audience('status == "x"').asks) is record.attributes
    assert standing(record, "a", NOON_MS, Audience("$abs(visits) == 1").asks).keys() >= FACTS


@pytest.mark.parametrize("text", ["visits", "$abs(visits)"])
def test_a_remembered_answer_is_the_answer_of_the_moment(text: str):
    audience = Audience(f"{text} >= 2 and status == 'x'")
    for count, belongs in ((1, False), (2, True), (1, False), (3, True)):
        record = Record("p", attributes={"status": "x"}, visited={"a": Visited(count, 0, 0)})
        assert audience.includes(standing(record, "a", NOON_MS, audience.asks)) is belongs


def test_the_shops_that_are_remembered_are_bounded():
    record = Record("courier")
    for ix in range(VISITED_MAX + 5):
        came(record, f"s{ix}", NOON_MS + ix)
    assert len(record.visited) == VISITED_MAX
    assert "s4" not in record.visited and "s5" in record.visited


# --- baskets ------------------------------------------------------------------------------------


async def test_a_basket_is_asked_about_until_it_ends_and_then_forgotten():
    ann = world(audience="basket and basket_value >= 50", message={"en": "Still yours: {basket}"})
    left = Timed({"value": 80, "url": "https://shop.example/b/1"}, NOON_MS + DAY_MS)
    await ann.agree("ann", timed={"basket": left})
    await ann.post((0, 2000), (60, 0), (400, 2000))
    await ann.post((DAY_S + 10, 2000), (DAY_S + 60, 0))
    assert fired(ann) == [0.0]
    told = next(event for event in ann.events if event.type == "trigger.fired")
    assert told.data["message"]["body"] == "Still yours: https://shop.example/b/1"
    assert (await ann.state.load(["ann"]))["ann"].timed == {}


# --- orders -------------------------------------------------------------------------------------


async def test_an_order_is_told_of_when_its_owner_comes_near_and_to_nobody_else():
    walk = world(about="order_ready", message={"en": "Order {order} is ready"})
    await walk.agree("ann", orders=READY)
    for device in ("ann", "bob"):
        await walk.post((0, 2000), (60, 0), device=device)
    told = [event for event in walk.events if event.type == "trigger.fired"]
    assert [(one.person_id, one.data["message"]["body"]) for one in told] == [
        ("ann", "Order A17 is ready")
    ]
    assert walk.reasons() == ["ok", "no_order"]


@pytest.mark.parametrize(
    "order",
    [
        Order("other", NOON_MS, NOON_MS + DAY_MS),
        Order("shop", NOON_MS + DAY_MS, NOON_MS + 2 * DAY_MS),
        Order("shop", NOON_MS - DAY_MS, NOON_MS + 1),
    ],
    ids=["elsewhere", "not ready", "over"],
)
async def test_what_does_not_lie_ready_here_is_not_told_of(order: Order):
    ann = world(about="order_ready")
    await ann.agree("ann", orders={"A17": order})
    await ann.post((0, 2000), (60, 0))
    assert ann.reasons() == ["no_order"]
    assert ann.told("order.approaching") == []


async def test_staff_hears_once_a_visit_with_an_estimate_and_no_position():
    walk = Walk(World([a_store()], minutes=5, places=[("shop", "door")]).book())
    await walk.agree("ann", orders=READY)
    await walk.post((0, 2000), (60, 50), (75, 45))
    for second in (100, 102, 104):
        await walk.hear((second, 1, -60.0))
    (told,) = [event for event in walk.events if event.type == "order.approaching"]
    assert told.data["order_id"] == "A17"
    # 50 m of a reach of 100 m that is five minutes wide
    assert told.data["arrival_s"] == pytest.approx(150, abs=2)
    assert told.data["arrival"] == "2026-04-14T12:03:30.000Z"
    assert not {"lat", "lon", "lat_deg", "lon_deg", "edge_m"} & told.data.keys()
    await walk.post((2_000, 3000), (20_000, 3000), (20_060, 0))
    assert walk.told("order.approaching") == [
        ("order.approaching", 60.0),
        ("order.approaching", 20_060.0),
    ]


async def test_without_minutes_the_usual_pace_tells_the_arrival():
    walk = Walk(World([a_store()]).book())
    await walk.agree("ann", orders=READY)
    await walk.post((0, 2000), (60, 50))
    (told,) = [event for event in walk.events if event.type == "order.approaching"]
    assert told.data["arrival_s"] == 50


async def test_an_order_is_forgotten_when_it_is_kept_no_longer():
    walk = world()
    await walk.agree("ann", orders={"A17": Order("shop", NOON_MS, NOON_MS + MINUTE_MS)})
    await walk.post((0, 2000), (120, 0))
    assert (await walk.state.load(["ann"]))["ann"].orders == {}


# --- what is the person's own is told whatever advertising may not ------------------------------


def both(**engine: object) -> Walk:
    """An advertisement, and the word that an order lies ready, transactional."""
    ad = a_campaign("ad", priority=5, levers=["sms"])
    order = a_campaign(
        "order", about="order_ready", legal_basis="transactional", levers=["sms"],
        caps=[Cap(max=2, per="day")],
    )  # fmt: skip
    spec = EngineSpec(lawful_hours={"sms": "24/7"}, **engine)  # type: ignore[arg-type]
    return Walk(World([a_store()], campaigns=[ad, order], engine=spec).book())


async def comes(walk: Walk, at_s: float) -> dict[str, str]:
    """Somebody comes near; the reason of each campaign."""
    await walk.post((at_s - 120, 2000), (at_s, 0))
    told = {one.campaign_id: one.reason for one in walk.outcomes[-1].decisions}
    await walk.post((at_s + 500, 2000), (at_s + 600, 2100))
    return told


async def agreed(walk: Walk, *purposes: str, **facts: object) -> None:
    known = {"addresses": {"sms": "+33612345678"}, "orders": READY} | facts
    await walk.agree("ann", "location", *purposes, **known)


async def test_caps_over_all_campaigns_bind_advertising_only_and_count_it_only():
    walk = both(caps=[Cap(max=1, per="day")])
    await agreed(walk, "sms")
    assert await comes(walk, 120) == {"ad": "ok", "order": "ok"}
    assert await comes(walk, 4_000) == {"ad": "cap:all:day 1/1", "order": "ok"}
    assert await comes(walk, 8_000) == {"ad": "cap:all:day 1/1", "order": "cap:day 2/2"}
    walk = both(caps=[Cap(max=2, per="day")])
    await agreed(walk, "sms")
    assert await comes(walk, 120) == {"ad": "ok", "order": "ok"}
    assert await comes(walk, 4_000) == {"ad": "ok", "order": "ok"}


async def test_quiet_and_lawful_hours_and_hold_outs_are_of_advertising():
    walk = both(quiet_hours="00:00-24:00")
    await agreed(walk, "sms")
    assert await comes(walk, 120) == {"ad": "quiet_hours", "order": "ok"}
    (leased,) = await walk.state.lease(NOON_MS + 121_000, 10, "me", 1_000)
    record = (await walk.state.load(["ann"]))["ann"]
    assert may_send(leased.send, record, walk.book, NOON_MS + 122_000) == ""


@pytest.mark.parametrize(
    ("purposes", "facts", "reason"),
    [
        ((), {}, "no_consent:sms"),
        (("sms",), {"paused_until_ms": NOON_MS + DAY_MS}, "paused"),
        (("sms",), {"is_minor": True}, "minor"),
    ],
)
async def test_no_order_overrules_a_consent_a_pause_or_an_age(
    purposes: tuple[str, ...], facts: dict, reason: str
):
    walk = both()
    await agreed(walk, *purposes, **facts)
    assert (await comes(walk, 120))["order"] == reason
