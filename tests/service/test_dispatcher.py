"""What becomes of messages in the outbox."""

from __future__ import annotations

import pytest

from geoengine.core.model import EngineSpec, Window
from geoengine.core.units import HOUR_MS, MINUTE_MS, SECOND_MS
from geoengine.levers.base import Receipt
from geoengine.service.dispatcher import LEASE_MS
from tests.core.world import NOON_MS, World, a_campaign, a_store
from tests.levers.receivers import receiving, says, says_in_turn
from tests.levers.sending import lever_for
from tests.service.dispatching import (
    DELIVERED,
    DOWN,
    Clock,
    a_book,
    a_post,
    a_row,
    answers,
)

EVENING = Window(days="Tu", hours="17:30-18:00")  # it is Tuesday, 14:00 in Paris


async def test_a_committed_trigger_is_sent_once_and_settled():
    lever = answers(DELIVERED)
    async with a_post([lever]) as post:
        await post.put(a_row())
        await post.dispatcher.step()
        await post.dispatcher.step()
        assert await post.ends() == {"s1": ("delivered", "")}
    assert lever.started == [(NOON_MS, "s1")]
    assert post.told() == ["trigger.sent", "trigger.delivered"]
    assert post.unsent == []


async def test_a_webhook_goes_all_the_way_to_a_receiver_and_is_tried_again_under_the_same_id():
    async with (
        receiving(says_in_turn(500, 502, 200)) as receiver,
        lever_for(receiver.url) as lever,
        a_post([lever]) as post,
    ):
        await post.put(a_row(lever="webhook"))
        await post.until_over()
        assert await post.ends() == {"s1": ("delivered", "")}
    assert receiver.ids == ["s1", "s1", "s1"]
    assert post.told() == ["trigger.sent", "trigger.delivered"]


async def test_a_trigger_nobody_takes_is_tried_several_times_and_ends_before_its_end():
    lever = answers(DOWN)
    async with a_post([lever]) as post:
        await post.put(a_row())
        await post.until_over()
        [(status, reason)] = (await post.ends()).values()
    assert status in ("dead", "expired")
    assert reason == "http_503"
    assert 5 <= len(lever.started) <= 9
    assert max(at_ms for at_ms, _ in lever.started) < NOON_MS + 15 * MINUTE_MS
    assert post.unsent == []
    assert post.told()[0] == "trigger.sent"
    assert post.told()[1:] == [{"dead": "trigger.failed", "expired": "trigger.expired"}[status]]


async def test_an_event_that_runs_out_of_time_is_dead_and_can_be_revived():
    lever = answers(DOWN)
    async with a_post([lever]) as post:
        await post.put(a_row(kind="event", campaign_id="", expires_ms=NOON_MS + 20 * SECOND_MS))
        await post.until_over()
        assert await post.ends() == {"s1": ("dead", "http_503")}
        lever.receipts = [DELIVERED]
        now_ms = post.clock.now_ms
        assert await post.state.revive(["s1"], now_ms, now_ms + HOUR_MS) == ["s1"]
        await post.until_over()
        assert await post.ends() == {"s1": ("delivered", "")}
    assert post.events == []


async def test_a_day_without_a_receiver_loses_no_event_of_three_days():
    lever = answers(DOWN)
    async with a_post([lever]) as post:
        rows = [
            a_row(f"s{i}", kind="event", campaign_id="", expires_ms=NOON_MS + 96 * HOUR_MS)
            for i in range(20)
        ]
        await post.put(*rows)
        await post.until_over(24 * HOUR_MS)
        lever.receipts = [DELIVERED]
        await post.until_over()
        assert {status for status, _ in (await post.ends()).values()} == {"delivered"}


async def test_retry_after_keeps_the_whole_lever_quiet_for_that_long():
    lever = answers(Receipt("retry", "http_429", retry_after_ms=90_000), DELIVERED)
    async with a_post([lever]) as post:
        await post.put(a_row())
        await post.dispatcher.step()
        await post.put(a_row("s2"))
        await post.until_over()
        assert {status for status, _ in (await post.ends()).values()} == {"delivered"}
    assert all(at_ms >= NOON_MS + 90_000 for at_ms, _ in lever.started[1:])
    assert sorted(lever.ids) == ["s1", "s1", "s2"]


async def test_what_410_switched_off_refuses_all_that_follows():
    async with (
        receiving(says(410)) as receiver,
        lever_for(receiver.url) as lever,
        a_post([lever]) as post,
    ):
        await post.put(a_row(lever="webhook"))
        await post.dispatcher.step()
        await post.put(a_row("s2", lever="webhook"))
        await post.dispatcher.step()
        ends = await post.ends()
    assert {name: status for name, (status, _) in ends.items()} == {
        "s1": "refused",
        "s2": "refused",
    }
    assert all(reason.startswith("endpoint_gone") for _, reason in ends.values())
    assert receiver.ids == ["s1"]
    assert post.unsent == ["s2"]  # the first has reached somebody, and counts


async def test_a_lever_nobody_configured_is_a_refusal_that_frees_the_place_under_the_cap():
    async with a_post([answers(DELIVERED)]) as post:
        await post.put(a_row(lever="push"))
        await post.dispatcher.step()
        assert await post.ends() == {"s1": ("refused", "no_sender:push")}
    assert post.unsent == ["s1"]
    assert post.told() == ["trigger.failed"]


@pytest.mark.parametrize("purpose", ["location", "sms"])
async def test_what_was_queued_before_a_withdrawal_is_refused(purpose):
    lever = answers(DELIVERED, name="sms")
    async with a_post([lever]) as post:
        await post.consent("ada", "sms", True)
        await post.put(a_row(lever="sms", consent_epoch=1))
        await post.consent("ada", purpose, False)
        await post.dispatcher.step()
        assert await post.ends() == {"s1": ("refused", f"consent_withdrawn:{purpose}")}
    assert lever.started == []
    assert post.unsent == ["s1"]


async def test_given_withdrawn_given_does_not_revive_what_was_queued():
    lever = answers(DELIVERED)
    async with a_post([lever]) as post:
        await post.put(a_row())
        await post.consent("ada", "location", False)
        await post.consent("ada", "location", True)
        await post.dispatcher.step()
        assert await post.ends() == {"s1": ("refused", "consent_withdrawn:location")}
    assert lever.started == []


async def test_a_withdrawal_between_two_attempts_stops_the_next_one():
    lever = answers(DOWN)
    async with a_post([lever]) as post:
        await post.put(a_row())
        await post.dispatcher.step()
        await post.consent("ada", "location", False)
        await post.until_over()
        assert await post.ends() == {"s1": ("refused", "consent_withdrawn:location")}
    assert len(lever.started) == 1
    assert post.unsent == []  # the first attempt may have arrived


async def test_outside_its_window_a_message_is_dropped():
    lever = answers(DELIVERED)
    async with a_post([lever], a_book(window=EVENING)) as post:
        await post.put(a_row())
        await post.dispatcher.step()
        assert await post.ends() == {"s1": ("refused", "window")}
    assert lever.started == []


async def test_a_message_that_holds_waits_for_its_window_and_goes_then():
    lever = answers(DELIVERED)
    async with a_post([lever], a_book(window=EVENING)) as post:
        await post.put(a_row(late_send="hold", expires_ms=NOON_MS + 6 * HOUR_MS))
        await post.until_over()
        assert await post.ends() == {"s1": ("delivered", "")}
    [(at_ms, _)] = lever.started
    opens_ms = NOON_MS + 210 * MINUTE_MS  # 17:30 in Paris
    assert opens_ms <= at_ms <= opens_ms + SECOND_MS


async def test_a_message_that_holds_but_expires_before_its_window_is_refused():
    async with a_post([answers(DELIVERED)], a_book(window=EVENING)) as post:
        await post.put(a_row(late_send="hold", expires_ms=NOON_MS + HOUR_MS))
        await post.dispatcher.step()
        assert await post.ends() == {"s1": ("refused", "window")}
    assert post.unsent == ["s1"]


async def test_lawful_hours_that_end_between_two_attempts_end_the_message():
    lever = answers(DOWN, name="sms")
    engine = EngineSpec(lawful_hours={"sms": "Mo-Su 08:00-14:05"})
    book = World([a_store()], campaigns=[a_campaign()], engine=engine).book()
    async with a_post([lever], book) as post:
        await post.consent("ada", "sms", True)
        await post.put(a_row(lever="sms", consent_epoch=1))
        await post.until_over()
        assert await post.ends() == {"s1": ("refused", "lawful_hours:sms")}
    assert lever.started
    assert all(at_ms < NOON_MS + 5 * MINUTE_MS for at_ms, _ in lever.started)


async def test_a_message_found_too_late_is_expired_without_being_sent():
    lever, clock = answers(DELIVERED), Clock()
    async with a_post([lever], clock=clock) as post:
        await post.put(a_row(due_ms=NOON_MS + 899_000))
        clock.now_ms = NOON_MS + 900_000
        await post.dispatcher.step()
        assert await post.ends() == {"s1": ("expired", "expired")}
    assert lever.started == []
    assert post.unsent == ["s1"]
    assert post.told() == ["trigger.expired"]


async def test_a_row_that_somebody_before_us_may_have_sent_keeps_its_place_under_the_cap():
    clock = Clock(NOON_MS + 1)  # this process started after the row fell due
    async with a_post([], clock=clock) as post:
        await post.put(a_row())
        await post.dispatcher.step()
        assert await post.ends() == {"s1": ("refused", "no_sender:log")}
    assert post.unsent == []


async def test_a_row_whose_first_lease_ran_out_keeps_its_place_under_the_cap():
    async with a_post([]) as post:
        await post.put(a_row())
        await post.state.lease(NOON_MS, 10, "somebody who dies", LEASE_MS)
        post.clock.now_ms += LEASE_MS + 1
        await post.dispatcher.step()
        assert await post.ends() == {"s1": ("refused", "no_sender:log")}
    assert post.unsent == []
