"""Withdrawal against send: whoever is told that it is withdrawn hears nothing any more."""

from __future__ import annotations

import asyncio
import random
from collections import Counter

from aiohttp import web

from geoengine.core.record import Record, Send
from geoengine.levers.base import Receipt
from geoengine.state.base import Change, Commit
from tests.levers.receivers import receiving
from tests.levers.sending import lever_for
from tests.service.dispatching import DELIVERED, Post, a_post, a_row

SEED = 20_261_121
ROUNDS, AT_ONCE = 600, 20


class History:
    """What happened, in order: sends that started and withdrawals that were acknowledged."""

    def __init__(self) -> None:
        self.acknowledged: set[str] = set()
        self.started: Counter[str] = Counter()
        self.broken: list[str] = []

    def start(self, person_id: str) -> None:
        """A send to a person has begun."""
        self.started[person_id] += 1
        if person_id in self.acknowledged:
            self.broken.append(person_id)


async def breathe(count: int) -> None:
    """Let others run so many times."""
    for _ in range(count):
        await asyncio.sleep(0)


async def withdraw(post: Post, person_id: str, cancels: bool) -> None:
    """As the service does: commit, then quiesce, then answer."""
    record: Record = (await post.state.load([person_id]))[person_id]
    consent = record.consents["location"]
    consent.is_granted, consent.epoch = False, consent.epoch + 1
    cancelled = ((person_id, ""),) if cancels else ()
    changes = (Change(record, None),)
    await post.state.commit(
        Commit(f"withdraw {person_id}", changes=changes, cancel_sends_of=cancelled)
    )


async def play(
    post: Post, history: History, rng: random.Random, person_id: str, patience_s: float | None
) -> None:
    """One person: agreed, a message fired, and at some moment the consent withdrawn."""
    await post.consent(person_id, "location", True)
    await post.put(a_row(f"send {person_id}", person_id=person_id, lever="webhook"))
    post.dispatcher.wake()
    await breathe(rng.randrange(60))
    await withdraw(post, person_id, cancels=rng.random() < 0.5)
    if patience_s is not None:
        await post.dispatcher.quiesce(person_id, patience_s)
    history.acknowledged.add(person_id)
    post.dispatcher.wake()


async def race(post: Post, history: History, patience_s: float | None) -> None:
    """Many people, some at a time, each with another interleaving."""
    rng = random.Random(SEED)
    running = asyncio.create_task(post.dispatcher.run())
    for first in range(0, ROUNDS, AT_ONCE):
        people = (f"p{first + i}" for i in range(AT_ONCE))
        await asyncio.gather(*(play(post, history, rng, name, patience_s) for name in people))
    await breathe(100)
    await post.dispatcher.stop(5.0)
    await running


def assert_kept(history: History) -> None:
    """The promise held, and the race was one: withdrawals won some rounds and lost others."""
    assert history.broken == [], f"seed {SEED}"
    assert len(history.acknowledged) == ROUNDS
    assert ROUNDS * 0.05 < len(history.started) < ROUNDS * 0.95


async def test_no_send_reaches_a_receiver_after_the_withdrawal_was_acknowledged():
    history = History()
    rng = random.Random(SEED + 1)

    async def answer(request: web.Request) -> web.StreamResponse:
        history.start(request.headers["webhook-id"].removeprefix("send "))
        await breathe(rng.randrange(5))
        return web.Response(status=rng.choice([200] * 9 + [500]))

    async with (
        receiving(answer) as receiver,
        lever_for(receiver.url) as lever,
        a_post([lever]) as post,
    ):
        await race(post, history, patience_s=10.0)
    assert_kept(history)


class Slow:
    """A lever that takes its time before it really starts, as one that has to connect first."""

    name = "webhook"
    timeout_s = 15.0

    def __init__(self, history: History) -> None:
        self._history = history
        self._rng = random.Random(SEED + 2)

    async def send(self, send: Send, now_ms: int) -> Receipt:
        """Connect, start, wait for an answer."""
        await breathe(self._rng.randrange(20))
        self._history.start(send.person_id)
        await breathe(self._rng.randrange(20))
        return DELIVERED

    async def close(self) -> None:
        """Nothing is held."""


async def test_nor_does_one_start_that_the_withdrawal_had_no_patience_to_wait_for():
    history = History()
    async with a_post([Slow(history)]) as post:
        await race(post, history, patience_s=0.0)
    assert_kept(history)


async def test_without_quiescing_the_promise_would_be_broken():
    history = History()
    async with a_post([Slow(history)]) as post:
        await race(post, history, patience_s=None)
    assert history.broken
