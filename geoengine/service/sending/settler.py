"""Writes how rows of the outbox ended, and then tells whoever wants to hear."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from geoengine.core.errors import StateUnavailable
from geoengine.core.record import Event, Send
from geoengine.service.sending.settling import is_over, is_unsent, lifecycle
from geoengine.state.base import Leased, Outbox, Settlement

SETTLE_AGAIN_S = 0.5  # between two tries to settle while the state is not to be had


async def _nothing(_: object) -> None:
    """Nobody is listening."""


def _uncounted(_send: Send, _settlement: Settlement, _took_ms: int) -> None:
    """Nobody counts."""


@dataclass(frozen=True, slots=True)
class Hooks:
    """Who wants to hear. Each is called once the settlement is in the state, and must not raise:
    what it raises ends the dispatcher.
    """

    on_unsent: Callable[[Send], Awaitable[None]] = _nothing  # its place under the caps is free
    on_event: Callable[[Event], Awaitable[None]] = _nothing  # trigger.sent, delivered, ...
    on_settled: Callable[[Send, Settlement, int], None] = _uncounted  # with milliseconds taken


@dataclass(frozen=True, slots=True)
class Ended:
    """A row in hand and what is to become of it."""

    row: Leased
    settlement: Settlement
    has_left: bool = False  # whether anything can have reached the provider this time
    took_ms: int = 0

    @property
    def is_news(self) -> bool:
        """Whether there was an attempt or an end, and not only a wait."""
        return self.settlement.attempts > self.row.send.attempts or is_over(self.settlement)


class Settler:
    """The last step of every row in hand."""

    def __init__(
        self,
        state: Outbox,
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

    async def settle(self, ended: list[Ended]) -> None:
        """Write how rows ended, then tell; what cannot be written comes back with its lease."""
        settled = await self._write([one.settlement for one in ended], ended[0].row.until_ms)
        for one in ended:
            if one.settlement.send_id in settled and one.is_news:
                await self._tell(one)

    async def _write(self, settlements: list[Settlement], until_ms: int) -> frozenset[str]:
        while True:
            now_ms = self._clock()
            try:
                return frozenset(await self._state.settle(settlements, self._owner, now_ms))
            except StateUnavailable:
                if now_ms >= until_ms or self.is_stopping:
                    return frozenset()
            await asyncio.sleep(self._again_s)

    async def _tell(self, ended: Ended) -> None:
        send, settlement = ended.row.send, ended.settlement
        self._hooks.on_settled(send, settlement, ended.took_ms)
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
