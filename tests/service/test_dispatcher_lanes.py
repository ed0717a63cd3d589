"""Each provider or endpoint of a lever has a gate of its own: width, rate, and being left alone."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import structlog

from geoengine.core.model import WebhookSpec
from geoengine.core.record import Send
from geoengine.core.units import HOUR_MS, SECOND_MS
from geoengine.levers.base import Lane, Limits, Receipt
from geoengine.levers.webhook import Endpoint, WebhookLever
from geoengine.service.dispatcher import LEASE_MS
from geoengine.service.sending.pacing.gate import WAITING_MAX, Gate
from geoengine.state.base import Leased
from tests.core.world import NOON_MS
from tests.levers.receivers import receiving, says
from tests.levers.sending import SECRET, Opened
from tests.service.dispatching import DELIVERED, DOWN, Post, a_post, a_row, answers, changed


@dataclass
class Roads:
    """A lever with several lanes; a message's address is its lane."""

    limits: dict[str, Limits] = field(default_factory=dict)
    receipts: dict[str, Receipt] = field(default_factory=dict)
    name: str = "webhook"
    timeout_s: float = 15.0
    started: list[tuple[int, str]] = field(default_factory=list)
    at_once: int = 0
    most_at_once: int = 0

    def lane(self, send: Send) -> Lane:
        """By its address."""
        return Lane(send.address, self.limits.get(send.address, Limits()))

    async def send(self, send: Send, now_ms: int) -> Receipt:
        """Take a few turns of the loop, and answer as the lane does."""
        self.started.append((now_ms, send.address))
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        for _ in range(3):
            await asyncio.sleep(0)
        self.at_once -= 1
        return self.receipts.get(send.address, DELIVERED)

    async def close(self) -> None:
        """Nothing is held."""

    def count(self, lane: str) -> int:
        """How many messages started on a lane."""
        return sum(address == lane for _at_ms, address in self.started)


def rows(lane: str, count: int) -> list[Send]:
    """Events for one lane."""
    return [
        a_row(f"{lane}{ix:03}", kind="event", campaign_id="", lever="webhook", address=lane)
        for ix in range(count)
    ]


async def seconds_pass(post: Post, seconds: float, step_ms: int = 10) -> None:
    """Time passes in small steps, with a round of the dispatcher in each."""
    for _ in range(round(seconds * SECOND_MS / step_ms)):
        await post.dispatcher.step()
        post.clock.now_ms += step_ms


async def test_a_lane_that_fails_is_left_alone_and_the_others_are_not():
    lever = Roads(receipts={"dead": DOWN})
    async with a_post([lever]) as post:
        await post.put(*rows("dead", 40), *rows("alive", 40))
        await seconds_pass(post, 0.5)
        ends = await post.ends()
    assert lever.count("alive") == 40
    assert {ends[row.send_id] for row in rows("alive", 40)} == {("delivered", "")}
    assert lever.count("dead") <= Limits().width + 1


async def test_retry_after_keeps_one_lane_quiet_and_no_other():
    busy = Receipt("retry", "http_429", retry_after_ms=60_000)
    lever = Roads(receipts={"busy": busy})
    async with a_post([lever]) as post:
        await post.put(*rows("busy", 1))
        await post.dispatcher.step()
        await post.put(*rows("other", 3), *(row for row in rows("busy", 4)))
        await seconds_pass(post, 2.0)
    assert (lever.count("busy"), lever.count("other")) == (1, 3)


async def test_a_device_that_is_to_be_left_alone_keeps_no_other_waiting():
    busy = Receipt("retry", "quota_exceeded", retry_after_ms=60_000, is_of_one=True)
    lever = answers(busy, DELIVERED)
    async with a_post([lever]) as post:
        await post.put(a_row("busy"))
        await post.dispatcher.step()
        await post.put(*(a_row(f"s{ix}") for ix in range(4)))
        await seconds_pass(post, 1.0)
        assert sorted(lever.ids) == ["busy", "s0", "s1", "s2", "s3"]
        await post.until_over()
        assert {status for status, _ in (await post.ends()).values()} == {"delivered"}
    assert lever.started[-1][1] == "busy" and lever.started[-1][0] >= NOON_MS + 60_000


async def test_no_more_messages_are_on_a_lane_at_once_than_it_bears():
    lever = Roads(limits={"narrow": Limits(width=3)})
    async with a_post([lever]) as post:
        await post.put(*rows("narrow", 30))
        await post.until_over()
    assert (lever.most_at_once, lever.count("narrow")) == (3, 30)


async def test_a_lane_takes_as_many_a_second_as_it_bears_and_all_arrive():
    lever = Roads(limits={"slow": Limits(per_s=10, burst=5)})
    async with a_post([lever]) as post:
        await post.put(*rows("slow", 100))
        await seconds_pass(post, 14.0)
        assert {status for status, _ in (await post.ends()).values()} == {"delivered"}
    times_ms = [at_ms for at_ms, _lane in lever.started]
    assert len(times_ms) == 100
    for first_ms in times_ms:
        in_a_second = sum(first_ms <= at_ms < first_ms + SECOND_MS for at_ms in times_ms)
        assert in_a_second <= 10 + 5
    assert times_ms[-1] - times_ms[0] >= 9_000


async def test_what_may_not_be_sent_takes_nothing_of_a_lanes_rate():
    lever = Roads(limits={"slow": Limits(per_s=1, burst=1)})

    def may_send(send: Send, *_more: object) -> str:
        return "" if send.send_id == "order" else "paused:engine"

    async with a_post([lever], may_send=may_send) as post:
        held = [changed(row, late_send="hold") for row in rows("slow", 2)]
        await post.put(*held)
        await post.put(
            changed(held[0], send_id="order", created_ms=NOON_MS + 1, due_ms=NOON_MS + 1)
        )
        await seconds_pass(post, 0.5)
        assert (await post.ends())["order"] == ("delivered", "")


async def test_a_lane_with_a_rate_does_not_hold_up_those_without():
    lever = Roads(limits={"slow": Limits(per_s=1, burst=1)})
    async with a_post([lever]) as post:
        await post.put(*rows("slow", 300), *rows("fast", 50))
        await seconds_pass(post, 0.2)
    assert lever.count("fast") == 50
    assert lever.count("slow") <= 2


async def test_a_running_dispatcher_wakes_up_when_a_rate_allows_the_next_message():
    lever = Roads(limits={"slow": Limits(per_s=200, burst=1)})
    async with a_post([lever]) as post:
        await post.put(*rows("slow", 8))
        running = asyncio.create_task(post.dispatcher.run())
        async with asyncio.timeout(5):  # more than a second's rests for each would take
            while lever.count("slow") < 8:
                post.clock.now_ms += 1
                await asyncio.sleep(0.001)
        await post.dispatcher.stop(1.0)
        await running


async def test_levers_that_are_replaced_give_back_what_waited_for_them():
    before = Roads(limits={"slow": Limits(per_s=1, burst=1)})
    after = Roads()
    async with a_post([before]) as post:
        await post.put(*rows("slow", 3))
        await post.dispatcher.step()
        post.dispatcher.use({"webhook": after})
        await seconds_pass(post, 6.0)
        assert {status for status, _ in (await post.ends()).values()} == {"delivered"}
    assert (before.count("slow"), after.count("slow")) == (1, 2)


def test_what_is_turned_away_comes_back_one_behind_the_other():
    gate = Gate(answers(DELIVERED), Lane("", Limits(per_s=10)), 256)
    back_ms = [gate.back_ms(NOON_MS) for _ in range(50)]
    assert back_ms == sorted(back_ms)
    assert back_ms[-1] - back_ms[0] == 49 * 100
    assert back_ms[0] > NOON_MS


def test_no_more_rows_wait_before_a_lane_than_it_takes_well_within_their_lease():
    gate = Gate(answers(DELIVERED), Lane("", Limits(per_s=10)), 256)
    taken = 0
    while gate.takes(NOON_MS) and taken <= WAITING_MAX:
        gate.waiting.append(Leased(a_row(f"s{taken}"), "me", NOON_MS + LEASE_MS))
        taken += 1
    assert 0 < taken / 10 * SECOND_MS < LEASE_MS / 10


class Poison(Roads):
    """A lever that cannot say which lane one of its messages takes."""

    def lane(self, send: Send) -> Lane:
        """Fail for one."""
        if send.address == "poison":
            raise KeyError("no such lane")
        return super().lane(send)


async def test_a_message_without_a_lane_ends_dead_and_the_others_go():
    lever = Poison()
    with structlog.testing.capture_logs() as logs:
        async with a_post([lever]) as post:
            await post.put(*rows("poison", 1), *rows("sound", 3))
            await post.until_over()
            ends = await post.ends()
    assert ends["poison000"] == ("dead", "fault:KeyError")
    assert lever.count("sound") == 3
    assert {entry["event"] for entry in logs} == {"check_failed"}


async def test_a_receiver_that_is_down_for_a_day_gets_all_that_has_not_expired_under_its_ids():
    end_ms = NOON_MS + 76 * HOUR_MS
    names = {f"day{ix:03}" for ix in range(120)}
    async with receiving(says(200)) as other, receiving(says(200)) as receiver:
        down = WebhookSpec(id="crm", url=receiver.url, allow_private=True)
        away = WebhookSpec(id="crm", url="http://127.0.0.1:1/", allow_private=True)
        beside = WebhookSpec(id="other", url=other.url, allow_private=True)
        while_down = Opened(WebhookLever([Endpoint(away, SECRET), Endpoint(beside, SECRET)]))
        back = Opened(WebhookLever([Endpoint(down, SECRET), Endpoint(beside, SECRET)]))
        async with while_down as dead, back as alive, a_post([dead]) as post:
            await a_day_passes(post, sorted(names), end_ms)
            assert receiver.ids == []
            told_ms = post.clock.now_ms
            post.dispatcher.use({"webhook": alive})
            await post.until_over()
            ends = await post.ends()
    assert told_ms - NOON_MS >= 24 * HOUR_MS
    assert {ends[name] for name in names} == {("delivered", "")}
    assert set(receiver.ids) == names
    assert len(receiver.ids) == len(names)
    assert len(other.ids) == len(set(other.ids)) == 24
    expired = {name for name, (status, _) in ends.items() if status == "expired"}
    assert expired == {f"trigger{hour}" for hour in range(24)}


async def a_day_passes(post: Post, names: list[str], end_ms: int) -> None:
    """A day without the receiver: five events an hour for it, a trigger of fifteen minutes, and
    one event an hour for the other.
    """
    for hour in range(24):
        now_ms = NOON_MS + hour * HOUR_MS
        await post.until_over(max(now_ms - post.clock(), 0))
        post.clock.now_ms = max(now_ms, post.clock())
        usual = {"lever": "webhook", "created_ms": now_ms, "due_ms": now_ms}
        news = usual | {"kind": "event", "campaign_id": "", "expires_ms": end_ms}
        await post.put(
            *(a_row(name, address="crm", **news) for name in names[hour * 5 : hour * 5 + 5]),
            a_row(f"other{hour}", address="other", **news),
            a_row(f"trigger{hour}", address="crm", **usual, expires_ms=now_ms + 900_000),
        )
        await post.dispatcher.step()
    await post.until_over(NOON_MS + 24 * HOUR_MS - post.clock())
    post.clock.now_ms = max(NOON_MS + 24 * HOUR_MS, post.clock())
