"""Writes how rows of the outbox ended, and then tells whoever wants to hear."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol
from uuid import uuid4

from geoengine.core.errors import StateUnavailable
from geoengine.core.record import Event, Fact, Send
from geoengine.levers.base import Receipt
from geoengine.service.sending.ending.counting import facts_of
from geoengine.service.sending.ending.settling import is_over, is_unsent, lifecycle
from geoengine.service.sending.together import Together
from geoengine.state.base import Commit, Leased, Outbox, Records, Settlement

SETTLE_AGAIN_S = 0.5  # between two tries to settle while the state is not to be had
COUNT_TRIES = 20  # ten seconds: longer, and what waits to be counted grows without bound


async def _nothing(_: object) -> None:
    """Nobody is listening."""


def _uncounted(_send: Send, _settlement: Settlement, _took_ms: int) -> None:
    """Nobody counts."""


async def _unheard(_send: Send, _receipt: Receipt) -> None:
    """Nobody acts on it."""


class Mail(Records, Outbox, Protocol):
    """What sending needs of the state."""

    look_again_s: float


@dataclass(frozen=True, slots=True)
class Hooks:
    """Who wants to hear. Each is called once the settlement is in the state, and must not raise:
    what it raises ends the dispatcher.

    ``on_gone`` hears of a message as it left and of its receipt ``gone``, whose reason says what is
    gone: ``token_dead`` (a push token or a pass), ``opted_out`` (the provider says that this
    address said STOP), ``endpoint_gone`` (a webhook's). None of that person's sends waits for it.
    """

    on_unsent: Callable[[Send], Awaitable[None]] = _nothing  # its place under the caps is free
    on_event: Callable[[Event], Awaitable[None]] = _nothing  # trigger.sent, delivered, ...
    on_settled: Callable[[Send, Settlement, int], None] = _uncounted  # with milliseconds taken
    on_gone: Callable[[Send, Receipt], Awaitable[None]] = _unheard


@dataclass(frozen=True, slots=True)
class Ended:
    """A row in hand and what is to become of it."""

    row: Leased
    settlement: Settlement
    receipt: Receipt | None = None  # of an attempt; None where none was made
    sent: Send | None = None  # the message as it left
    took_ms: int = 0

    @property
    def is_news(self) -> bool:
        """Whether there was an attempt or an end, and not only a wait."""
        return self.settlement.attempts > self.row.send.attempts or is_over(self.settlement)

    @property
    def has_left(self) -> bool:
        """Whether anything can have reached the provider this time."""
        return self.receipt is not None and self.receipt.has_left


class Settler:
    """The last step of every row in hand. Rows that end together are written together."""

    def __init__(
        self,
        state: Mail,
        clock: Callable[[], int],
        owner: str,
        hooks: Hooks,
        lease_ms: int,
        again_s: float = SETTLE_AGAIN_S,
    ) -> None:
        self.is_stopping = False  # then a state that is not to be had is not waited for
        self._state = state
        self._clock = clock
        self._owner = owner
        self._hooks = hooks
        self._lease_ms = lease_ms
        self._again_s = again_s
        self._started_ms = clock()
        self._writing = Together(self._write)
        self._counting = Together(self._count)

    async def settle(self, ended: list[Ended]) -> list[Ended]:
        """Write how rows ended, then tell; what cannot be written comes back with its lease.

        Returns those of which somebody is gone, for `act`.
        """
        settled = await self._writing.ask(ended)
        news = [one for one in ended if one.settlement.send_id in settled and one.is_news]
        for one in news:
            self._hooks.on_settled(one.row.send, one.settlement, one.took_ms)
        if facts := [fact for one in news for fact in self._facts(one)]:
            await self._counting.ask(facts)
        telling = [self._tell(one) for one in news if one.row.send.kind == "trigger"]
        if telling:
            await asyncio.gather(*telling)
        return [one for one in news if one.receipt is not None and _tells_of_gone(one.receipt)]

    async def act(self, gone: list[Ended]) -> None:
        """Have done what follows from somebody being gone: it may wait for their other sends."""
        for one in gone:
            assert one.receipt is not None
            await self._hooks.on_gone(one.sent or one.row.send, one.receipt)

    async def _write(self, lots: list[list[Ended]]) -> frozenset[str]:
        ended = [one for lot in lots for one in lot]
        settlements = [one.settlement for one in ended]
        until_ms = max(one.row.until_ms for one in ended)
        while True:
            now_ms = self._clock()
            try:
                return frozenset(await self._state.settle(settlements, self._owner, now_ms))
            except StateUnavailable:
                if now_ms >= until_ms or self.is_stopping:
                    return frozenset()
            await asyncio.sleep(self._again_s)

    async def _count(self, lots: list[list[Fact]]) -> None:
        """Keep what reports count. What cannot be kept now is lost to the reports, and nothing
        else: who settles must not wait for it.
        """
        facts = [fact for lot in lots for fact in lot]
        op_id = f"facts:{uuid4().hex}"
        people = list(dict.fromkeys(fact.person_id for fact in facts))
        for _ in range(COUNT_TRIES):
            try:
                there = await self._state.load(people)  # not who was erased meanwhile
                kept = tuple(fact for fact in facts if fact.person_id in there)
                if kept:
                    await self._state.commit(Commit(op_id, facts=kept, now_ms=self._clock()))
                break
            except StateUnavailable:
                if self.is_stopping:
                    break
            await asyncio.sleep(self._again_s)

    def _facts(self, one: Ended) -> list[Fact]:
        send = one.sent or one.row.send
        return facts_of(send, one.settlement, one.receipt, self._clock())

    async def _tell(self, ended: Ended) -> None:
        send, settlement = ended.row.send, ended.settlement
        for event in lifecycle(send, settlement, self._clock()):
            await self._hooks.on_event(event)
        if self._is_free(ended):
            await self._hooks.on_unsent(send)

    def _is_free(self, ended: Ended) -> bool:
        """Whether the row ended with nothing of it having reached anybody."""
        return (
            is_over(ended.settlement)
            and ended.row.send.kind == "trigger"
            and not ended.has_left
            and is_unsent(ended.row, self._lease_ms, self._started_ms)
        )


def _tells_of_gone(receipt: Receipt) -> bool:
    return receipt.status == "gone" or bool(receipt.dead)
