"""The dispatcher: takes rows from the outbox, asks once more whether each may go, sends, settles.

Promises kept here
------------------
*Consent* (I1). A person counts as in flight from before the record is read until the lever has
answered. Between the check and the start of the send nothing else runs. A withdrawal commits, then
calls `quiesce`: whoever read the record before the commit is waited for, or cancelled; whoever
reads it after sees the withdrawal.

*Delivery* (I3). A row is settled after its attempt, never before; one that could not be settled
comes back when its lease runs out, under the same id.

*Independence*. Each lever has a gate of its own. Rows that find it closed go back to the outbox,
unattempted, so that what lies behind them is reached.

It does not decide how long to wait or how a row ends: `settling` does. It reads the clock it was
given and no other.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import structlog

from geoengine.core import rules
from geoengine.core.book import Book
from geoengine.core.errors import StateUnavailable
from geoengine.core.model import PERSON_LEVERS
from geoengine.core.record import Event, Record, Send
from geoengine.core.units import SECOND_MS
from geoengine.levers.base import Lever, Receipt
from geoengine.service.gate import Gate
from geoengine.service.settling import (
    MaySend,
    attempted,
    is_over,
    is_unsent,
    lifecycle,
    next_lawful_ms,
    passes,
    put_back,
    ran_out,
    stopped,
)
from geoengine.state.base import Leased, Outbox, Records, Settlement

LEASE_MS = 60_000  # over twice the longest attempt: a row is not leased twice while it is sent
WIDTH = 16  # messages on one lever at once
SPARE = 16  # rows taken beyond what the levers can hold, to end those that need no lever
BUSY_MS = 500  # how long a row waits that found its lever's hands full
REST_MAX_S = 1.0  # the longest sleep: rows of another process, or a clock set back, are seen then
REST_MIN_S = 0.005  # between two looks at rows that are due and cannot be had
OVERRUN_S = 1.0  # a lever keeps its own time; past this it is cut off
SETTLE_AGAIN_S = 0.5  # between two tries to settle while the state is not to be had


class Mail(Records, Outbox, Protocol):
    """What the dispatcher needs of the state."""


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


class Dispatcher:
    """One process's hands on the outbox."""

    def __init__(
        self,
        state: Mail,
        book_of: Callable[[], Book],
        levers: Mapping[str, Lever],
        clock: Callable[[], int],
        rng: random.Random,
        owner: str,
        *,
        hooks: Hooks | None = None,
        may_send: MaySend = rules.may_send,
        width: int = WIDTH,
        settle_again_s: float = SETTLE_AGAIN_S,
    ) -> None:
        self._state = state
        self._book_of = book_of
        self._width = width
        self._woken = asyncio.Event()
        self.use(levers)
        self._clock = clock
        self._rng = rng
        self._owner = owner
        self._may_send = may_send
        self._hooks = hooks or Hooks()
        self._settle_again_s = settle_again_s
        self._started_ms = clock()
        self._tasks: set[asyncio.Task[None]] = set()
        self._sends_of: dict[str, set[asyncio.Task[Ended | None]]] = {}
        self._failure: BaseException | None = None
        self._is_stopping = False
        self._log = structlog.get_logger("geoengine.dispatcher")

    # -- the outside ------------------------------------------------------------------------------

    def wake(self) -> None:
        """Say that the outbox has something new."""
        self._woken.set()

    def use(self, levers: Mapping[str, Lever]) -> None:
        """Take these levers from now on; sends under way end on the ones they started on."""
        self._levers = dict(levers)
        self._gates = {name: Gate(self._width) for name in levers}
        self.wake()

    async def run(self) -> None:
        """Dispatch until `stop`. Raises what a hook or the state raised and nobody can mend."""
        while not self._is_stopping:
            self._woken.clear()
            if self._failure is not None:
                raise self._failure
            try:
                rest_s = 0.0 if await self._pull() else await self._until_due_s()
            except StateUnavailable:
                rest_s = REST_MAX_S
            await self._rest(rest_s)
        await self._drain()

    async def step(self) -> None:
        """One round: take what is due, carry it to its end, settle."""
        await self._pull()
        await self._drain()

    async def quiesce(self, person_id: str, timeout_s: float) -> bool:
        """Wait until no send of a person is in flight; cut off what still is after `timeout_s`.

        To be called after a withdrawal is committed and before it is acknowledged: from then on no
        send of that person starts that the withdrawal forbids. Returns whether all ended by
        themselves.
        """
        return await _end(self._sends_of.get(person_id, ()), timeout_s)

    async def stop(self, timeout_s: float) -> bool:
        """Take nothing more, let what is in flight end, settle; whether all ended in time."""
        self._is_stopping = True
        self.wake()
        sends = [send for sends in self._sends_of.values() for send in sends]
        is_clean = await _end(sends, timeout_s)
        await self._drain()
        return is_clean

    # -- the loop ---------------------------------------------------------------------------------

    async def _pull(self) -> bool:
        """Lease what is due and start it; whether more may be waiting."""
        now_ms = self._clock()
        limit = SPARE + sum(gate.room(now_ms) for gate in self._gates.values())
        rows = await self._state.lease(now_ms, limit, self._owner, LEASE_MS)
        turned_away = [row for row in rows if not self._start(row, now_ms)]
        if turned_away:
            self._spawn(self._settle([self._turn_away(row, now_ms) for row in turned_away]))
        return len(rows) == limit

    async def _until_due_s(self) -> float:
        due_ms = await self._state.next_due()
        if due_ms is None:
            return REST_MAX_S
        return min(max((due_ms - self._clock()) / SECOND_MS, REST_MIN_S), REST_MAX_S)

    async def _rest(self, rest_s: float) -> None:
        try:
            async with asyncio.timeout(rest_s):
                await self._woken.wait()
        except TimeoutError:
            return

    async def _drain(self) -> None:
        while self._tasks:
            await asyncio.gather(*self._tasks)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._finished)

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            self._failure = self._failure or task.exception()
        self.wake()

    # -- one row ----------------------------------------------------------------------------------

    def _start(self, row: Leased, now_ms: int) -> bool:
        """Take a row in hand, unless it needs no lever or its lever has no room."""
        send = row.send
        gate = self._gates.get(send.lever)
        if self._is_stopping or now_ms >= send.expires_ms or not (gate and gate.room(now_ms)):
            return False
        gate.in_hand += 1
        lever = self._levers[send.lever]
        attempt = asyncio.get_running_loop().create_task(self._attempt(row, lever, gate))
        self._sends_of.setdefault(send.person_id, set()).add(attempt)
        self._spawn(self._carry(row, attempt, gate))
        return True

    def _turn_away(self, row: Leased, now_ms: int) -> Ended:
        """What becomes of a row that was not taken in hand."""
        send = row.send
        gate = self._gates.get(send.lever)
        if now_ms >= send.expires_ms:
            return Ended(row, ran_out(send))
        if gate is None:
            return Ended(row, stopped(send, f"no_sender:{send.lever}", None))
        if self._is_stopping:
            return self._interrupted(row)
        wait_ms = self._rng.randint(BUSY_MS // 2, BUSY_MS)
        return Ended(row, put_back(send, "busy", max(now_ms, gate.open_ms) + wait_ms))

    async def _carry(self, row: Leased, attempt: asyncio.Task[Ended | None], gate: Gate) -> None:
        """See an attempt to its end and settle it; cut off before it began, it was none."""
        await asyncio.wait((attempt,))
        gate.in_hand -= 1
        self._forget(row.send.person_id, attempt)
        self.wake()
        if attempt.cancelled():
            await self._settle([self._interrupted(row)])
        elif (ended := attempt.result()) is not None:
            await self._settle([ended])

    def _forget(self, person_id: str, attempt: asyncio.Task[Ended | None]) -> None:
        sends = self._sends_of[person_id]
        sends.discard(attempt)
        if not sends:
            del self._sends_of[person_id]

    def _interrupted(self, row: Leased) -> Ended:
        return Ended(row, put_back(row.send, "interrupted", self._clock()))

    async def _attempt(self, row: Leased, lever: Lever, gate: Gate) -> Ended | None:
        """Check and send; None where the row is to be left until its lease has run out."""
        send = row.send
        try:
            records = await self._state.load([send.person_id])
        except StateUnavailable:
            return None
        now_ms = self._clock()
        if now_ms + round((lever.timeout_s + OVERRUN_S) * SECOND_MS) >= row.until_ms:
            return None  # loading took so long that another may hold the row before we are done
        record = records.get(send.person_id)
        if reason := self._may_send(send, record, self._book_of(), now_ms):
            return Ended(row, self._stopped(send, record, reason, now_ms))
        receipt = await self._try(lever, send, now_ms)  # starts at once: nothing runs in between
        return self._judged(row, receipt, gate, now_ms)

    def _stopped(self, send: Send, record: Record | None, reason: str, now_ms: int) -> Settlement:
        lawful_ms = None
        if passes(reason):
            lawful_ms = next_lawful_ms(send, record, self._book_of(), now_ms, self._may_send)
        return stopped(send, reason, lawful_ms)

    async def _try(self, lever: Lever, send: Send, now_ms: int) -> Receipt:
        """One attempt, whatever happens to it."""
        try:
            async with asyncio.timeout(lever.timeout_s + OVERRUN_S):
                return await lever.send(send, now_ms)
        except (TimeoutError, asyncio.CancelledError):
            return _unknown(send, "cut_off")
        except Exception as error:
            self._log.exception("lever_failed", lever=lever.name, send_id=send.send_id)
            return _unknown(send, f"lever_error:{type(error).__name__}")

    def _judged(self, row: Leased, receipt: Receipt, gate: Gate, began_ms: int) -> Ended:
        now_ms = self._clock()
        if receipt.status == "retry":
            gate.failed(now_ms, receipt.retry_after_ms)
        else:
            gate.succeeded()
        settlement = attempted(row.send, receipt, now_ms, self._rng)
        return Ended(row, settlement, receipt.has_left, now_ms - began_ms)

    # -- settling ---------------------------------------------------------------------------------

    async def _settle(self, ended: list[Ended]) -> None:
        """Write how rows ended, then tell; what cannot be written comes back with its lease."""
        settled = await self._write([one.settlement for one in ended], ended[0].row.until_ms)
        for one in ended:
            if one.settlement.send_id in settled:
                await self._tell(one)

    async def _write(self, settlements: list[Settlement], until_ms: int) -> frozenset[str]:
        while True:
            now_ms = self._clock()
            try:
                return frozenset(await self._state.settle(settlements, self._owner, now_ms))
            except StateUnavailable:
                if now_ms >= until_ms or self._is_stopping:
                    return frozenset()
            await asyncio.sleep(self._settle_again_s)

    async def _tell(self, ended: Ended) -> None:
        send, settlement = ended.row.send, ended.settlement
        if not ended.is_news:
            return
        now_ms = self._clock()
        self._hooks.on_settled(send, settlement, ended.took_ms)
        for event in lifecycle(send, settlement, now_ms):
            await self._hooks.on_event(event)
        if self._is_free(ended):
            await self._hooks.on_unsent(send)

    def _is_free(self, ended: Ended) -> bool:
        """Whether the row ended with nothing of it having reached anybody."""
        return (
            is_over(ended.settlement)
            and ended.row.send.kind == "trigger"
            and not ended.has_left
            and is_unsent(ended.row, LEASE_MS, self._started_ms)
        )


def _unknown(send: Send, reason: str) -> Receipt:
    """An attempt whose fate is unknown: systems know a message by its id, people do not."""
    return Receipt("ambiguous" if send.lever in PERSON_LEVERS else "retry", reason)


async def _end(sends: Iterable[asyncio.Task[Ended | None]], timeout_s: float) -> bool:
    """Wait for sends, then cut off the rest; whether there was no rest."""
    sends = tuple(sends)
    if not sends:
        return True
    _done, late = await asyncio.wait(sends, timeout=timeout_s)
    for send in late:
        send.cancel()
    if late:
        await asyncio.wait(late)
    return not late
