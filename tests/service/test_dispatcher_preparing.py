"""What is done about a message between the first question and the last, before each attempt."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import structlog

from geoengine.core.errors import StateUnavailable
from geoengine.core.model import Window
from geoengine.core.record import Record, Send
from geoengine.levers.base import Receipt
from geoengine.service.dispatcher import BUSY_MS
from geoengine.service.sending.preparing import Prepared
from tests.service.dispatching import (
    DELIVERED,
    DOWN,
    Clock,
    a_book,
    a_post,
    a_row,
    answers,
    changed,
)
from tests.service.test_consent_race import ROUNDS, SEED, History, Slow, assert_kept, breathe


@dataclass
class Does:
    """A preparer that does as it is told and notes whom it was asked about."""

    what: Callable[[Send], Prepared]
    asked: list[str] = field(default_factory=list)

    async def prepare(self, send: Send, record: Record, now_ms: int) -> Prepared:
        """Do it."""
        self.asked.append(send.send_id)
        await asyncio.sleep(0)
        return self.what(send)


def says(body: str) -> Does:
    """Adds to what the message says."""

    def what(send: Send) -> Prepared:
        return Prepared(changed(send, address=send.address + body))

    return Does(what)


def stops(reason: str) -> Does:
    """Stops everything."""
    return Does(lambda send: Prepared(send, reason))


@dataclass
class Reads:
    """A lever that notes where it was told to send."""

    receipt: Receipt = DELIVERED
    name: str = "log"
    timeout_s: float = 15.0
    addresses: list[str] = field(default_factory=list)

    async def send(self, send: Send, now_ms: int) -> Receipt:
        """Note it."""
        self.addresses.append(send.address)
        return self.receipt

    async def close(self) -> None:
        """Nothing is held."""


async def test_preparers_are_asked_in_order_and_each_sees_what_the_one_before_made():
    lever = Reads()
    async with a_post([lever], preparers=[says("a"), says("b")]) as post:
        await post.put(a_row())
        await post.dispatcher.step()
        assert await post.ends() == {"s1": ("delivered", "")}
    assert lever.addresses == ["ab"]


async def test_what_was_prepared_is_not_what_is_kept_and_is_made_again_for_each_attempt():
    lever, preparer = Reads(DOWN), says("a")
    async with a_post([lever], preparers=[preparer]) as post:
        await post.put(a_row())
        await post.until_over()
    assert set(lever.addresses) == {"a"}
    assert len(preparer.asked) == len(lever.addresses) > 1


async def test_a_reason_of_a_preparer_refuses_the_message_and_frees_its_place():
    lever, after = Reads(), says("a")
    async with a_post([lever], preparers=[stops("suppressed"), after]) as post:
        await post.put(a_row())
        await post.dispatcher.step()
        assert await post.ends() == {"s1": ("refused", "suppressed")}
    assert (lever.addresses, after.asked, post.unsent) == ([], [], ["s1"])


async def test_what_the_rules_stop_is_not_prepared():
    preparer = says("a")
    evening = Window(days="Tu", hours="17:30-18:00")  # it is Tuesday, 14:00 in Paris
    async with a_post([Reads()], a_book(window=evening), preparers=[preparer]) as post:
        await post.put(a_row())
        await post.dispatcher.step()
        assert await post.ends() == {"s1": ("refused", "window")}
    assert preparer.asked == []


async def test_time_that_passes_while_it_is_prepared_counts_for_the_rules():
    clock = Clock()

    def what(send: Send) -> Prepared:
        clock.now_ms = send.expires_ms
        return Prepared(send)

    lever = Reads()
    async with a_post([lever], clock=clock, preparers=[Does(what)]) as post:
        await post.put(a_row())
        await post.dispatcher.step()
        [(status, _reason)] = (await post.ends()).values()
        await post.until_over()
        assert await post.ends() == {"s1": ("expired", "expired")}
    assert status in ("pending", "expired")
    assert lever.addresses == []


async def test_a_message_that_cannot_be_prepared_just_now_is_put_back_unattempted():
    failures = [1]

    def what(send: Send) -> Prepared:
        if failures:
            failures.pop()
            raise StateUnavailable("no answer")
        return Prepared(send)

    lever = Reads()
    async with a_post([lever], preparers=[Does(what)]) as post:
        await post.put(a_row())
        await post.dispatcher.step()
        [row] = (await post.rows()).values()
        assert (row.status, row.send.attempts, row.send.last_error) == ("pending", 0, "busy")
        assert not await post.state.is_begun("ada", "another", post.clock())
        post.clock.now_ms += BUSY_MS
        await post.dispatcher.step()
        assert await post.ends() == {"s1": ("delivered", "")}


async def test_a_message_that_took_too_long_to_prepare_is_put_back_and_not_sent():
    lever = Reads()
    async with a_post([lever], preparers=[says("a")], fresh_s=0.0) as post:
        await post.put(a_row())
        await post.dispatcher.step()
        [row] = (await post.rows()).values()
        assert (row.status, row.send.attempts, row.send.last_error) == ("pending", 0, "busy")
    assert lever.addresses == []


async def test_a_fault_in_a_preparer_ends_its_message_and_no_other():
    def what(send: Send) -> Prepared:
        if send.send_id == "poison":
            raise ZeroDivisionError
        return Prepared(send)

    with structlog.testing.capture_logs() as logs:
        async with a_post([Reads()], preparers=[Does(what)]) as post:
            await post.put(a_row("poison"), a_row("sound"))
            await post.until_over()
            ends = await post.ends()
    assert ends["sound"] == ("delivered", "")
    assert ends["poison"][1] == "fault:ZeroDivisionError"
    assert {entry["event"] for entry in logs} == {"check_failed"}


async def test_who_is_gone_is_told_with_the_message_as_it_left():
    lever = answers(Receipt("gone", "token_dead", detail="UNREGISTERED"))
    async with a_post([lever], preparers=[says("token-1")]) as post:
        await post.put(a_row())
        await post.dispatcher.step()
        [(status, reason)] = (await post.ends()).values()
    assert (status, reason.partition(" ")[0]) == ("refused", "token_dead")
    assert post.gone == [("s1", "token-1", "token_dead")]


async def test_what_a_provider_said_stays_with_the_operator_and_leaves_in_no_event():
    lever = answers(Receipt("refused", "bad_address", detail="+33612345678 is no number"))
    async with a_post([lever]) as post:
        await post.put(a_row())
        await post.dispatcher.step()
        [(_status, reason)] = (await post.ends()).values()
    assert reason == "bad_address (+33612345678 is no number)"
    assert post.events[-1].data["reason"] == "bad_address"


# --- a suppression list against a send in flight ------------------------------------------------


class Suppressed:
    """A preparer that reads who said STOP, from somewhere that takes its time to answer."""

    def __init__(self) -> None:
        self.people: set[str] = set()
        self._rng = random.Random(SEED + 3)

    async def prepare(self, send: Send, record: Record, now_ms: int) -> Prepared:
        """Look, and take a while before and after."""
        await breathe(self._rng.randrange(20))
        is_stopped = send.person_id in self.people
        await breathe(self._rng.randrange(20))
        return Prepared(send, "suppressed" if is_stopped else "")


async def stop_rounds(history: History, **options: Any) -> None:
    """Many people; each says STOP at some moment, which is answered after `quiesce`."""
    rng, list_ = random.Random(SEED), Suppressed()
    patience_s = options.pop("patience_s")

    async def play(person_id: str) -> None:
        await post.consent(person_id, "location", True)
        await post.put(a_row(f"send {person_id}", person_id=person_id, lever="webhook"))
        post.dispatcher.wake()
        await breathe(rng.randrange(90))
        list_.people.add(person_id)
        if patience_s is not None:
            await post.dispatcher.quiesce(person_id, patience_s)
        history.acknowledged.add(person_id)

    async with a_post([Slow(history)], preparers=[list_], **options) as post:
        running = asyncio.create_task(post.dispatcher.run())
        for first in range(0, ROUNDS, 20):
            await asyncio.gather(*(play(f"p{first + i}") for i in range(20)))
        await breathe(200)
        await post.dispatcher.stop(5.0)
        await running


async def test_no_send_starts_after_a_stop_that_a_preparer_reads_was_acknowledged():
    history = History()
    await stop_rounds(history, patience_s=10.0)
    assert_kept(history)


async def test_nor_one_that_nobody_had_the_patience_to_wait_for():
    history = History()
    await stop_rounds(history, patience_s=0.0)
    assert_kept(history)


async def test_without_quiescing_a_stop_would_come_too_late():
    history = History()
    await stop_rounds(history, patience_s=None)
    assert history.broken
