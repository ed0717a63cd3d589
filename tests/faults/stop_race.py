"""STOP against a message in flight: a real dispatcher, a real receiver, thousands of rounds.

In each round a message waits for somebody, and at a random moment somebody with that number says
STOP: by an answer, by the link, or because the provider says so. From the answer on the receiver
must not hear of that number again, although more messages to it are put into the outbox, for the
same person and for another one with the same number and a fresh consent.

    python -m tests.faults.stop_race --rounds 10000
    python -m tests.faults.stop_race --rounds 2000 --redis
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
from aiohttp import web

from geoengine.core.book import Book
from geoengine.core.record import Consent, Record, Send
from geoengine.levers.base import Receipt
from geoengine.service.consent.suppression import Stopper, Suppression
from geoengine.service.dispatcher import Dispatcher
from geoengine.state import amending
from geoengine.state.base import Change, Commit, State
from geoengine.state.local import LocalState
from geoengine.state.redis import RedisState
from tests.core.world import NOON_MS
from tests.levers.receivers import receiving
from tests.servers.server import Server, needed
from tests.service.dispatching import a_book, a_row

AT_ONCE = 20
NOBODYS = 0.4  # of the messages are to a phone of nobody's, which becomes a person's meanwhile
CONNECT_BREATHS_MAX = 2_000
BREATHS_MAX = 400  # turns of the loop before the message is there, and before STOP is said
TELL_EVERY = 1_000


@dataclass
class History:
    """What happened, in order: messages that reached the receiver, and STOPs that were answered."""

    answered: set[str] = field(default_factory=set)
    started: Counter[str] = field(default_factory=Counter)
    broken: list[str] = field(default_factory=list)

    def start(self, number: str) -> None:
        """The receiver hears of a number."""
        self.started[number] += 1
        if number in self.answered:
            self.broken.append(number)


class Sms:
    """A lever that posts each message to a provider over HTTP, and at times has to connect first,
    which takes it long.
    """

    name = "sms"
    timeout_s = 15.0

    def __init__(self, url: str) -> None:
        self._url = url
        self._session: aiohttp.ClientSession | None = None
        self._pace = random.Random(url)

    async def send(self, send: Send, now_ms: int) -> Receipt:
        """One request, one answer."""
        if self._session is None:
            self._session = aiohttp.ClientSession()
        if self._pace.random() < 0.3:
            await breathe(self._pace.randrange(CONNECT_BREATHS_MAX))
        async with self._session.post(self._url, data=send.address) as answer:
            return Receipt("delivered" if answer.status == 200 else "retry", str(answer.status))

    async def close(self) -> None:
        """Let go of the connections."""
        if self._session is not None:
            await self._session.close()


@dataclass
class Office:
    """One process of the service, as far as it sends: its state, dispatcher and list."""

    state: State
    dispatcher: Dispatcher
    suppression: Suppression
    book: Book

    async def stop(self, number: str, rng: random.Random) -> None:
        """Say STOP, by one of the roads; returns when it is answered."""
        told = {"source": "sms:stop"}
        if rng.random() < 0.5:
            await self.suppression.stop("sms", number, told)
            return
        marks = await self.suppression.marks()
        opened = marks.opened(marks.link("sms", marks.address("sms", number)))
        assert opened is not None
        await self.suppression.stop_mark(*opened, told)


@asynccontextmanager
async def office(
    state: State, lever: Sms, owner: str, *, is_patient: bool
) -> AsyncIterator[Office]:
    """A dispatcher at work; one that is not patient does not wait for what is on its way."""
    book = a_book(levers=["sms"], when_closed=True)
    dispatcher = Dispatcher(
        state,
        lambda: book,
        {"sms": lever},
        lambda: NOON_MS,
        random.Random(owner),
        owner,
        preparers=[Stopper(state, lambda: book)],
    )

    async def quiesce(person_id: str) -> None:
        if is_patient:
            names = await amending.names(state, person_id)
            await asyncio.gather(*(dispatcher.quiesce(name, 20.0) for name in names))

    suppression = Suppression(state, lambda: book, lambda: NOON_MS, quiesce)
    running = asyncio.create_task(dispatcher.run())
    try:
        yield Office(state, dispatcher, suppression, book)
    finally:
        await dispatcher.stop(5.0)
        await running


async def agree(office_: Office, person_id: str, number: str) -> None:
    """Somebody with a number, who agreed to be written to there."""
    await office_.suppression.learn(person_id, "sms", number)
    given = {name: Consent(True, 1, NOON_MS) for name in ("location", "sms")}
    record = Record(person_id, consents=given, addresses={"sms": number})
    await office_.state.commit(Commit(f"agree {person_id}", (Change(record, None),)))


async def put(office_: Office, send_id: str, person_id: str, number: str) -> None:
    """A message to them, into the outbox."""
    row = a_row(send_id, person_id=person_id, lever="sms", address=number, consent_epoch=1)
    await office_.state.commit(Commit(send_id, sends=(row,), now_ms=NOON_MS))


async def one_round(
    offices: list[Office], history: History, rng: random.Random, number: str
) -> None:
    """One number: a message on its way, STOP, and more messages that must not leave."""
    here, there = rng.choice(offices), rng.choice(offices)
    person_id, other_id = f"p{number}", f"q{number}"
    is_nobodys = rng.random() < NOBODYS
    sender_of = f"phone{number}" if is_nobodys else person_id
    await agree(here, sender_of, number)

    async def say() -> None:
        await breathe(rng.randrange(BREATHS_MAX))
        await put(here, f"first {number}", sender_of, number)
        wake(offices)

    async def become() -> None:
        if is_nobodys:
            await breathe(rng.randrange(BREATHS_MAX))
            await amending.identify(there.state, there.book, sender_of, person_id, NOON_MS)

    async def stop() -> None:
        await breathe(rng.randrange(BREATHS_MAX))
        await there.stop(number, rng)
        history.answered.add(number)

    await asyncio.gather(say(), become(), stop())
    await put(here, f"second {number}", person_id, number)
    await agree(here, other_id, number)
    await put(here, f"third {number}", other_id, number)
    wake(offices)


async def breathe(count: int) -> None:
    """Let others run so many times."""
    for _ in range(count):
        await asyncio.sleep(0)


def wake(offices: list[Office]) -> None:
    """There is something new, wherever it is sent from."""
    for each in offices:
        each.dispatcher.wake()


async def race(states: list[State], rounds: int, seed: int, *, is_patient: bool = True) -> History:
    """So many rounds."""
    rng, history = random.Random(seed), History()
    pace = random.Random(seed + 1)

    async def answer(request: web.Request) -> web.StreamResponse:
        history.start(await request.text())
        await breathe(pace.randrange(8))
        return web.Response(status=200)

    async with AsyncExitStack() as stack:
        receiver = await stack.enter_async_context(receiving(answer))
        offices = []
        for ix, state in enumerate(states):
            lever = Sms(receiver.url)
            stack.push_async_callback(lever.close)
            made = office(state, lever, f"here{ix}", is_patient=is_patient)
            offices.append(await stack.enter_async_context(made))
        queue = iter(range(rounds))

        async def work() -> None:
            for number in queue:
                await one_round(offices, history, rng, f"+336{number:08d}")
                if (number + 1) % TELL_EVERY == 0:
                    print(f"round {number + 1}: {len(history.broken)} broken", flush=True)

        await asyncio.gather(*(work() for _ in range(AT_ONCE)))
        while await offices[0].state.next_due() is not None:  # all that is left is refused
            wake(offices)
            await asyncio.sleep(0.01)
    return history


async def embedded(rounds: int, seed: int) -> History:
    """On an embedded state, in a file."""
    with tempfile.TemporaryDirectory() as directory:
        state = LocalState(Path(directory) / "state.db")
        await state.open()
        try:
            return await race([state], rounds, seed)
        finally:
            await state.close()


async def shared(rounds: int, seed: int) -> History:
    """Two dispatchers on one server, as two processes have; who hears STOP may not be who sends."""
    with (
        tempfile.TemporaryDirectory() as directory,
        Server(directory=Path(directory), binary=needed("valkey")) as server,
    ):
        states = [RedisState(server.url) for _ in range(2)]
        for state in states:
            await state.open()
        try:
            return await race([*states], rounds, seed)
        finally:
            for state in states:
                await state.close()


async def main(rounds: int, seed: int, *, is_shared: bool) -> bool:
    """Run the campaign; whether nothing was found."""
    print(f"seed {seed}", flush=True)
    began_s = time.monotonic()
    history = await (shared if is_shared else embedded)(rounds, seed)
    took_s, won = time.monotonic() - began_s, len(history.started)
    print(
        f"stop race: {rounds} rounds, in {won} the message was first, "
        f"{len(history.broken)} sent after the STOP was answered, {took_s:.0f} s"
    )
    return not history.broken and 0 < won < rounds


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 32))
    parser.add_argument("--redis", action="store_true")
    told = parser.parse_args()
    sys.exit(0 if asyncio.run(main(told.rounds, told.seed, is_shared=told.redis)) else 1)
