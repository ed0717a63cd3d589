"""Withdrawal through one process against a send by another: whole dispatchers on both sides."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

import pytest

from geoengine.core.record import Event, Send
from geoengine.levers.base import Receipt
from geoengine.service.dispatcher import Dispatcher
from geoengine.service.sending.ending.settler import Hooks
from geoengine.state import amending
from geoengine.state.redis import RedisState
from geoengine.state.shared.served.leases import BEAT_S, SILENT_MS
from tests.core.world import NOON_MS
from tests.servers.shared import server
from tests.service.dispatching import DELIVERED, a_book, a_row
from tests.state.samples import commit_of
from tests.state.sharing import SERVERS, a_state_of, died, processes, serving, shared_out, until

BOOK = a_book()
NOW_MS = NOON_MS + 1_000
PATIENCE_S = 20.0  # as the service has
SEED = 20_261_122
ROUNDS, AT_ONCE = 300, 20


@dataclass
class Held:
    """A lever that begins, and ends when it is let go."""

    name: str = "log"
    timeout_s: float = 15.0
    begun: list[str] = field(default_factory=list)
    is_let_go: asyncio.Event = field(default_factory=asyncio.Event)

    async def send(self, send: Send, now_ms: int) -> Receipt:
        """Begin, and wait."""
        self.begun.append(send.send_id)
        await self.is_let_go.wait()
        return DELIVERED

    async def close(self) -> None:
        """Nothing is held."""

    async def has_begun(self, *send_ids: str) -> None:
        """Wait for these."""
        await until(lambda: _in_time(set(self.begun) >= set(send_ids)))


async def _in_time(holds: bool) -> bool:
    return holds


@dataclass
class Process:
    """A state, a dispatcher, its lever, and what it told."""

    state: RedisState
    dispatcher: Dispatcher
    lever: Held
    told: list[Event]


@asynccontextmanager
async def running(state: RedisState, owner: str, lever: Held, width: int = 16):
    """A dispatcher at work on a state."""
    told: list[Event] = []

    async def on_event(event: Event) -> None:
        told.append(event)

    dispatcher = Dispatcher(
        state,
        lambda: BOOK,
        {lever.name: lever},
        lambda: NOW_MS,
        random.Random(SEED),
        owner,
        hooks=Hooks(on_event=on_event),
        width=width,
    )
    work = asyncio.create_task(dispatcher.run())
    try:
        yield Process(state, dispatcher, lever, told)
    finally:
        await dispatcher.stop(0.0)
        await work


@pytest.fixture(params=[SERVERS["valkey"], SERVERS["cluster"]], ids=["valkey", "cluster"])
async def two(request: pytest.FixtureRequest) -> AsyncIterator[list[RedisState]]:
    """Two processes that have shared the partitions out."""
    async with processes(a_state_of(request.param())) as both:
        await until(lambda: shared_out(both))
        yield both


def sides(two: list[RedisState], person: str) -> tuple[RedisState, RedisState]:
    """The process that the person writes to, and the one that serves them."""
    b = serving(two, person)
    return next(state for state in two if state is not b), b


async def fired(state: RedisState, *people: str) -> None:
    """Each has agreed, and has a message waiting."""
    for person in people:
        await amending.grant(state, BOOK, person, "location", {}, NOON_MS)
    rows = (a_row(f"to {person}", person_id=person) for person in people)
    await state.commit(commit_of(sends=tuple(rows)))


async def withdrawn(process: Process, person: str) -> bool:
    """As the service does it: commit, then wait; whether nobody had to be cut off."""
    await amending.withdraw(process.state, BOOK, person, "location", {}, NOW_MS)
    return await process.dispatcher.quiesce(person, PATIENCE_S)


async def ends(state: RedisState) -> dict[str, tuple[str, str]]:
    """How each row stands."""
    return {row.send.send_id: (row.status, row.reason) for row in await state.sends()}


async def test_a_row_that_another_holds_and_has_not_begun_is_refused_and_not_waited_for(
    two: list[RedisState],
) -> None:
    a, b = sides(two, "ann")
    other = next(f"eve{i}" for i in range(99) if serving(two, f"eve{i}") is b)
    async with AsyncExitStack() as stack:
        one = await stack.enter_async_context(running(a, "a", Held()))
        them = await stack.enter_async_context(running(b, "b", Held(), width=1))
        await fired(a, other)
        await them.lever.has_begun(f"to {other}")
        await fired(a, "ann")
        await until(lambda: _is_leased(a, "to ann"))
        assert await asyncio.wait_for(withdrawn(one, "ann"), 2.0)
        them.lever.is_let_go.set()
        await until(lambda: _is_over(a, f"to {other}"))
        await until(lambda: _is_over(a, "to ann"))
        assert (await ends(a))["to ann"][0] == "refused"
        assert them.lever.begun == [f"to {other}"] and one.lever.begun == []


async def _is_leased(state: RedisState, send_id: str) -> bool:
    return (await ends(state)).get(send_id, ("", ""))[0] == "leased"


async def _is_over(state: RedisState, send_id: str) -> bool:
    return (await ends(state))[send_id][0] not in ("pending", "leased")


@pytest.mark.parametrize("is_erasure", [False, True])
async def test_who_withdraws_waits_for_what_another_process_has_begun(
    two: list[RedisState], is_erasure: bool
) -> None:
    a, b = sides(two, "ann")
    async with AsyncExitStack() as stack:
        one = await stack.enter_async_context(running(a, "a", Held()))
        them = await stack.enter_async_context(running(b, "b", Held()))
        await fired(a, "ann")
        await them.lever.has_begun("to ann")
        ask = a.erase("ann", NOW_MS) if is_erasure else withdrawn(one, "ann")
        answer = asyncio.ensure_future(ask)
        for _ in range(20):  # asked again and again, it is still being sent
            assert await a.is_begun("ann", "a", NOW_MS)
        assert not answer.done()
        them.lever.is_let_go.set()
        assert await answer is True
        assert not await a.is_begun("ann", "a", NOW_MS)
        if is_erasure:
            assert await a.sends() == [] and await a.load(["ann"]) == {}
        else:
            assert (await ends(a))["to ann"][0] in ("delivered", "refused")


async def test_nobody_waits_for_a_process_that_is_no_more() -> None:
    async with processes(a_state_of(server("valkey").url)) as two:
        await until(lambda: shared_out(two))
        a, b = two
        ann, bob = (
            next(f"{n}{i}" for i in range(99) if serving(two, f"{n}{i}") is b) for n in ("a", "b")
        )
        async with AsyncExitStack() as stack:
            one = await stack.enter_async_context(running(a, "a", Held()))
            them = await stack.enter_async_context(running(b, "b", Held()))
            await fired(a, ann, bob)
            await them.lever.has_begun(f"to {ann}", f"to {bob}")
            died(b)
            began_s = time.monotonic()
            answers = await asyncio.gather(withdrawn(one, ann), a.erase(bob, NOW_MS))
            after_s = time.monotonic() - began_s
            assert answers == [True, True]
            assert SILENT_MS / 1_000 - BEAT_S < after_s < 10.0
            assert one.lever.begun == []  # it was not sent again to who has withdrawn
            them.lever.is_let_go.set()


# --- many at once -------------------------------------------------------------------------------


@dataclass
class Slow(Held):
    """A lever that takes its time before it really starts."""

    acknowledged: set[str] = field(default_factory=set)
    started: list[str] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    rng: random.Random = field(default_factory=lambda: random.Random(SEED))

    async def send(self, send: Send, now_ms: int) -> Receipt:
        """Connect, start, wait for an answer."""
        await asyncio.sleep(self.rng.uniform(0, 0.002))
        self.started.append(send.send_id)
        if send.person_id in self.acknowledged:
            self.broken.append(send.person_id)
        await asyncio.sleep(self.rng.uniform(0, 0.002))
        return DELIVERED


async def test_no_send_starts_anywhere_after_a_withdrawal_was_acknowledged(
    two: list[RedisState],
) -> None:
    rng, lever = random.Random(SEED), Slow()
    async with AsyncExitStack() as stack:
        both = [
            await stack.enter_async_context(running(state, name, lever))
            for state, name in zip(two, ("a", "b"), strict=True)
        ]

        async def play(person: str) -> None:
            await fired(rng.choice(two), person)
            for process in both:
                process.dispatcher.wake()
            await asyncio.sleep(rng.uniform(0, 0.02))
            await withdrawn(rng.choice(both), person)
            lever.acknowledged.add(person)

        for first in range(0, ROUNDS, AT_ONCE):
            await asyncio.gather(*(play(f"p{first + nth}") for nth in range(AT_ONCE)))
        await until(lambda: _is_empty(two[0]))
    assert lever.broken == [], f"seed {SEED}"
    assert len(lever.started) == len(set(lever.started))  # nothing was sent twice
    assert ROUNDS * 0.05 < len(lever.started) < ROUNDS * 0.95


async def _is_empty(state: RedisState) -> bool:
    return (await state.stats()).pending_count == 0
