"""What becomes of messages where a lever, the state or a holder fails."""

from __future__ import annotations

import asyncio

import pytest
import structlog
from hypothesis import given, settings
from hypothesis import strategies as st

from geoengine.core.errors import StateUnavailable
from geoengine.core.record import Event, Record, Send
from geoengine.core.units import HOUR_MS, MINUTE_MS, SECOND_MS
from geoengine.levers.base import Receipt
from geoengine.service.dispatcher import BUSY_MS, LEASE_MS, Hooks
from geoengine.state.base import Leased, Settlement
from geoengine.state.local import LocalState
from tests.core.world import NOON_MS
from tests.service.dispatching import (
    DELIVERED,
    DOWN,
    ENDS,
    a_post,
    a_row,
    answers,
)


async def test_what_its_holder_did_not_settle_is_sent_again_under_the_same_id():
    lever = answers(DELIVERED)
    async with a_post([lever]) as post:
        await post.put(a_row())
        [row] = await post.state.lease(NOON_MS, 10, "somebody who dies", LEASE_MS)
        await lever.send(row.send, NOON_MS)
        await post.until_over()
        assert await post.ends() == {"s1": ("delivered", "")}
    assert lever.ids == ["s1", "s1"]


async def test_an_attempt_of_unknown_fate_that_may_not_be_repeated_is_dead():
    lever = answers(Receipt("ambiguous", "timeout"), name="sms")
    async with a_post([lever]) as post:
        await post.consent("ada", "sms", True)
        await post.put(a_row(lever="sms", consent_epoch=1))
        await post.until_over()
        assert await post.ends() == {"s1": ("dead", "timeout")}
    assert len(lever.started) == 1
    assert post.unsent == []


class Broken:
    """A lever with a fault of our own in it."""

    name = "log"
    timeout_s = 1.0

    async def send(self, send: Send, now_ms: int) -> Receipt:
        """Fail."""
        raise KeyError("nobody expects this")

    async def close(self) -> None:
        """Nothing is held."""


async def test_a_fault_in_a_lever_ends_the_message_and_not_the_dispatcher():
    with structlog.testing.capture_logs() as logs:
        async with a_post([Broken()]) as post:
            await post.put(a_row(kind="event", campaign_id=""))
            await post.until_over()
            assert await post.ends() == {"s1": ("dead", "lever_error:KeyError")}
    assert {entry["event"] for entry in logs} == {"lever_failed"}


async def test_a_message_whose_check_fails_ends_dead_and_the_others_go():
    def may_send(send: Send, *_: object) -> str:
        if send.send_id == "poison":
            raise ZeroDivisionError
        return ""

    lever = answers(DELIVERED)
    with structlog.testing.capture_logs() as logs:
        async with a_post([lever], may_send=may_send) as post:
            await post.put(a_row("poison", kind="event"), a_row("sound"))
            await post.until_over()
            ends = await post.ends()
    assert ends == {"poison": ("dead", "fault:ZeroDivisionError"), "sound": ("delivered", "")}
    assert {entry["event"] for entry in logs} == {"check_failed"}
    assert lever.ids == ["sound"]


class Flaky(LocalState):
    """A state that cannot be written the first two times."""

    failures = 2

    async def settle(self, settlements: list[Settlement], owner: str, now_ms: int) -> list[str]:
        """Fail, and then do it."""
        if self.failures:
            self.failures -= 1
            raise StateUnavailable("disk full")
        return await super().settle(settlements, owner, now_ms)


async def test_a_settlement_that_cannot_be_written_is_written_later_without_another_send():
    lever = answers(DELIVERED)
    async with a_post([lever], state=Flaky(None), settle_again_s=0.0) as post:
        await post.put(a_row())
        await post.dispatcher.step()
        assert await post.ends() == {"s1": ("delivered", "")}
    assert lever.ids == ["s1"]


class Unsure(LocalState):
    """A state that cannot say the first time whether a message has begun."""

    failures = 1

    async def begin(self, rows: list[Leased]) -> dict[str, Record]:
        """Do it, and fail."""
        found = await super().begin(rows)
        if self.failures:
            self.failures -= 1
            raise StateUnavailable("no answer")
        return found


async def test_a_message_that_may_have_begun_is_given_back_and_begun_again():
    lever = answers(DELIVERED)
    async with a_post([lever], state=Unsure(None)) as post:
        await post.put(a_row())
        await post.dispatcher.step()
        assert not await post.state.is_begun("ada", "another", post.clock())
        post.clock.now_ms += BUSY_MS
        await post.dispatcher.step()
        assert await post.ends() == {"s1": ("delivered", "")}
    assert lever.ids == ["s1"]


RECEIPTS = st.sampled_from(
    [
        DELIVERED,
        DOWN,
        Receipt("retry", "unreachable", has_left=False),
        Receipt("retry", "http_429", retry_after_ms=40_000),
        Receipt("retry", "http_429", retry_after_ms=HOUR_MS),
        Receipt("refused", "forbidden_address", has_left=False),
        Receipt("ambiguous", "timeout"),
    ]
)


@given(
    st.lists(RECEIPTS, min_size=1, max_size=30),
    st.lists(st.sampled_from(["trigger", "event"]), min_size=1, max_size=20),
    st.sampled_from([SECOND_MS, 15 * MINUTE_MS, 5 * HOUR_MS]),
)
@settings(max_examples=60, deadline=None)
def test_every_row_ends_in_exactly_one_way_and_only_untouched_ones_free_their_place(
    receipts, kinds, life_ms
):
    async def scenario() -> None:
        lever = answers(*receipts)
        async with a_post([lever], width=3) as post:
            campaign = {"trigger": "hello", "event": ""}
            rows = [
                a_row(f"s{i}", kind=k, campaign_id=campaign[k], expires_ms=NOON_MS + life_ms)
                for i, k in enumerate(kinds)
            ]
            await post.put(*rows)
            await post.until_over()
            ends = await post.ends()
            assert {status for status, _ in ends.values()} <= ENDS
            assert post.count().total() == len(rows) == len(ends)
            assert await post.state.next_due() is None
            assert all(at_ms < NOON_MS + life_ms for at_ms, _ in lever.started)
            delivered = sum(status == "delivered" for status, _ in ends.values())
            assert delivered <= len(lever.started)
            assert all(ends[send_id][0] in ("expired", "refused") for send_id in post.unsent)

    asyncio.run(scenario())


class Stuck:
    """A lever whose provider takes everything and answers nothing until told to."""

    name = "webhook"
    timeout_s = 15.0

    def __init__(self) -> None:
        self.answers = asyncio.Event()
        self.is_busy = asyncio.Event()
        self.started: list[str] = []

    async def send(self, send: Send, now_ms: int) -> Receipt:
        """Wait."""
        self.started.append(send.send_id)
        self.is_busy.set()
        await self.answers.wait()
        return DELIVERED

    async def close(self) -> None:
        """Nothing is held."""


async def test_one_dead_endpoint_does_not_hold_up_the_other_levers():
    stuck, log = Stuck(), answers(DELIVERED)
    async with a_post([stuck, log]) as post:
        await post.put(*(a_row(f"w{i}", lever="webhook") for i in range(300)))
        await post.put(*(a_row(f"l{i:02}") for i in range(40)))
        running = asyncio.create_task(post.dispatcher.run())
        async with asyncio.timeout(5):
            await log.has_started(40)
        assert len(stuck.started) == 16
        assert len(set(log.ids)) == 40
        stuck.answers.set()
        await post.dispatcher.stop(5.0)
        await running


async def test_a_running_dispatcher_sends_what_is_committed_when_it_is_woken():
    lever = answers(DELIVERED)
    async with a_post([lever]) as post:
        running = asyncio.create_task(post.dispatcher.run())
        for i in range(20):
            await post.put(a_row(f"s{i}"))
            post.dispatcher.wake()
            async with asyncio.timeout(0.5):  # less than the longest rest
                await lever.has_started(i + 1)
        await post.dispatcher.stop(5.0)
        await running


async def test_after_some_failures_a_lever_is_left_alone_and_then_tried_with_one_message():
    lever = answers(*[DOWN] * 5, DELIVERED)
    async with a_post([lever], width=5) as post:
        await post.put(*(a_row(f"s{i}") for i in range(30)))
        await post.dispatcher.step()
        assert len(lever.started) == 5
        await post.dispatcher.step()
        assert len(lever.started) == 5
        await post.until_over()
        assert {status for status, _ in (await post.ends()).values()} == {"delivered"}
    again_ms = min(at_ms for at_ms, _ in lever.started[5:])
    assert again_ms >= NOON_MS + SECOND_MS
    assert len(lever.started) == 5 + 30


async def test_quiesce_waits_for_a_send_under_way_and_for_nobody_elses():
    stuck = Stuck()
    async with a_post([stuck]) as post:
        await post.put(a_row(lever="webhook"))
        stepping = asyncio.create_task(post.dispatcher.step())
        await stuck.is_busy.wait()
        assert await post.dispatcher.quiesce("bob", 5.0)
        waiting = asyncio.create_task(post.dispatcher.quiesce("ada", 5.0))
        for _ in range(10):
            await asyncio.sleep(0)
        assert not waiting.done()
        stuck.answers.set()
        assert await waiting
        await stepping
        assert await post.ends() == {"s1": ("delivered", "")}


async def test_quiesce_cuts_off_what_takes_too_long_and_the_message_may_come_again():
    stuck = Stuck()
    async with a_post([stuck]) as post:
        await post.put(a_row(lever="webhook"))
        stepping = asyncio.create_task(post.dispatcher.step())
        await stuck.is_busy.wait()
        assert not await post.dispatcher.quiesce("ada", 0.0)
        await stepping
        [row] = (await post.rows()).values()
        assert (row.status, row.send.attempts, row.send.last_error) == ("pending", 1, "cut_off")


async def test_stopping_lets_what_is_under_way_end_and_takes_nothing_more():
    stuck = Stuck()
    async with a_post([stuck]) as post:
        await post.put(*(a_row(f"s{i:02}", lever="webhook") for i in range(30)))
        running = asyncio.create_task(post.dispatcher.run())
        await stuck.is_busy.wait()
        stopping = asyncio.create_task(post.dispatcher.stop(5.0))
        await asyncio.sleep(0)
        stuck.answers.set()
        assert await stopping
        await running
        ends = await post.ends()
    delivered = {name for name, (status, _) in ends.items() if status == "delivered"}
    assert delivered == set(stuck.started)
    assert {status for status, _ in ends.values()} == {"delivered", "pending"}


async def test_stopping_cuts_off_what_takes_too_long_and_leaves_it_for_the_next_start():
    stuck = Stuck()
    async with a_post([stuck]) as post:
        await post.put(a_row(lever="webhook"))
        running = asyncio.create_task(post.dispatcher.run())
        await stuck.is_busy.wait()
        assert not await post.dispatcher.stop(0.0)
        await running
        assert (await post.ends())["s1"][0] == "pending"


async def test_what_a_hook_raises_ends_the_run_and_not_the_stopping():
    async def on_event(event: Event) -> None:
        raise OSError("nobody can mend this")

    async with a_post([answers(DELIVERED)], hooks=Hooks(on_event=on_event)) as post:
        await post.put(a_row())
        with pytest.raises(OSError, match="nobody can mend"):
            await post.dispatcher.run()
        assert await post.dispatcher.stop(1.0)
        assert await post.ends() == {"s1": ("delivered", "")}
