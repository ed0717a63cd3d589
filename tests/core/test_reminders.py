"""The last day: once, asked what every campaign is asked, postponed by what passes."""

from __future__ import annotations

from geoengine.core.model import Cap, Coupon, EngineSpec, Reminder
from geoengine.core.record import Record
from geoengine.state.amending import amend
from tests.core.world import NOON_MS, Walk, World, a_campaign, a_store

HOUR_S = 3_600
NIGHT = EngineSpec(quiet_hours="20:00-08:00")


def walk(reminder: dict[str, object] | None = None, **world: object) -> Walk:
    """A coupon of 26 hours, 12:01 to 14:01 the next day in UTC, and a campaign that reminds of it
    six hours before.
    """
    gives = a_campaign(
        "gives", coupon=Coupon(kind="unique", valid="26h"), message={"en": "Use {code}"}
    )
    usual: dict[str, object] = {
        "on": "coupon_expiring",
        "reminder": Reminder(before="6h"),
        "message": {"en": "{code} at {store} ends"},
    }
    reminds = a_campaign("reminds", **usual | (reminder or {}))
    return Walk(World(campaigns=[gives, reminds], **world).book().keyed(b"k"))  # type: ignore[arg-type]


async def with_coupon(ann: Walk) -> str:
    """Walk in and out; the code."""
    await ann.post((0, 2000), (60, 0), (300, 2000))
    (fired,) = [e for e in ann.events if e.type == "trigger.fired"]
    return str(fired.data["coupon"]["code"])


def reminded(ann: Walk) -> list[tuple[float, str]]:
    """When the reminder was decided, in hours after noon, and why."""
    decisions = [d for outcome in ann.outcomes for d in outcome.decisions]
    return [
        ((d.at_ms - NOON_MS) / 3_600_000, d.reason) for d in decisions if d.campaign_id == "reminds"
    ]


async def test_a_coupon_that_is_about_to_end_is_spoken_of_once():
    ann = walk()
    code = await with_coupon(ann)
    await ann.tick(20 * HOUR_S)
    assert reminded(ann) == []
    events = await ann.tick(20 * HOUR_S + 60)
    (fired,) = [e for e in events if e.type == "trigger.fired"]
    assert fired.data["message"]["body"] == f"{code} at Shop ends"
    assert fired.data["on"] == "coupon_expiring"
    assert fired.data["coupon"]["code"] == code
    for hour in (21, 26, 27):
        await ann.tick(hour * HOUR_S)
    assert reminded(ann) == [(20 + 1 / 60, "ok")]


async def test_a_redeemed_coupon_is_not_spoken_of():
    ann = walk()
    await with_coupon(ann)

    def redeemed(record: Record) -> None:
        record.coupons[0].is_redeemed = True

    await amend(ann.state, ann.book, "ann", redeemed, NOON_MS + 500_000)
    await ann.tick(25 * HOUR_S)
    assert reminded(ann) == []


async def test_the_caps_count_it_like_the_rest():
    ann = walk(engine=EngineSpec(caps=[Cap(max=1, per="24h")]))
    await with_coupon(ann)
    await ann.tick(25 * HOUR_S)
    assert [reason for _, reason in reminded(ann)] == ["cap:all:24h 1/1"]


async def test_quiet_hours_postpone_it_to_their_end():
    ann = walk({"levers": ["push"], "reminder": Reminder(before="16h")}, engine=NIGHT)
    await ann.agree("ann", "location", "push", push_tokens={"ann": ["android", "tok"]})
    await with_coupon(ann)
    for hour in range(10, 28):
        await ann.tick(hour * HOUR_S)
    # 22:01 UTC is 00:01 in Paris, where it is quiet until 08:00, 06:00 UTC.
    assert reminded(ann) == [(10 + 1 / 60, "quiet_hours"), (18 + 1 / 60, "ok")]


async def test_what_does_not_pass_ends_it():
    ann = walk({"levers": ["push"]})
    await with_coupon(ann)
    for hour in (21, 23, 25):
        await ann.tick(hour * HOUR_S)
    assert [reason for _, reason in reminded(ann)] == ["no_consent:push"]


async def test_a_reminder_names_whose_coupons_and_about_which_stores():
    for reminder in (
        {"reminder": Reminder(before="6h", campaigns=["other"])},
        {"reminder": Reminder(before="30h")},  # longer than the coupon: it has just been given
    ):
        ann = walk(reminder)
        await with_coupon(ann)
        await ann.tick(25 * HOUR_S)
        assert reminded(ann) == []


async def test_after_a_stop_that_outlasts_the_coupon_nothing_is_said():
    ann = walk()
    ann.is_virtual = False
    await with_coupon(ann)
    await ann.tick(30 * HOUR_S)
    assert reminded(ann) == []


async def test_without_location_nothing_is_said():
    ann = walk()
    ann.assumed = frozenset()
    await ann.agree("ann", "location")
    await with_coupon(ann)

    def refuses(record: Record) -> None:
        record.consents["location"].is_granted = False

    await amend(ann.state, ann.book, "ann", refuses, NOON_MS + 500_000)
    await ann.tick(25 * HOUR_S)
    assert [reason for _, reason in reminded(ann)] == ["no_consent:location"]


async def test_a_store_that_is_gone_is_spoken_of_no_more():
    ann = walk()
    await with_coupon(ann)
    ann.book = World(
        [a_store("other", 5_000)], campaigns=[p.spec for p in ann.book.campaigns]
    ).book()
    await ann.tick(25 * HOUR_S)
    assert reminded(ann) == []
