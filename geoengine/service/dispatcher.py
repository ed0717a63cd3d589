"""The dispatcher: takes rows from the outbox, asks once more whether each may go, sends, settles.

Promises kept here
------------------
*Consent* (I1). A person counts as in flight from before the record is read until the lever has
answered. Between the check and the start of the send nothing else runs. A withdrawal commits, then
calls `quiesce`: whoever read the record before the commit is waited for, or cancelled; whoever
reads it after sees the withdrawal. Other processes are seen through the state: a row is begun there
in the same stroke as the record is read, and what was read too long ago is not acted upon.
*Preparers* run in between, on the record as it was read, and may read more (who is suppressed).
Whatever they read, they read while the row is begun: whoever writes a suppression and then calls
`quiesce` waits for those that read before, as with a withdrawal. `FRESH_S` counts from before the
row was begun to the start of the send, with the preparers' time in it.

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
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from typing import Any

import structlog

from geoengine.core import rules
from geoengine.core.book import Book
from geoengine.core.errors import StateUnavailable
from geoengine.core.model import PERSON_LEVERS
from geoengine.core.record import Record, Send
from geoengine.core.units import SECOND_MS
from geoengine.levers.base import TIMEOUT_MAX_S, Lever, Receipt
from geoengine.service.sending.gate import Gate
from geoengine.service.sending.preparing import Prepared, Preparer
from geoengine.service.sending.settler import SETTLE_AGAIN_S, Ended, Hooks, Mail, Settler
from geoengine.service.sending.settling import (
    MaySend,
    attempted,
    next_lawful_ms,
    passes,
    put_back,
    ran_out,
    stopped,
)
from geoengine.service.sending.together import Together
from geoengine.state.base import Leased, Settlement

__all__ = ["Dispatcher", "Hooks"]

LEASE_MS = 60_000  # over twice the longest attempt: a row is not leased twice while it is sent
WIDTH = 16  # messages on one lever at once
BATCH = 256  # rows taken at once
BUSY_MS = 1_000  # how long a row is left alone that found a full queue before its lever
REST_MIN_S = 0.005  # between two looks at rows that are due and cannot be had
OVERRUN_S = 1.0  # a lever keeps its own time; past this it is cut off
# What was read longer ago than this does not count: this process was asleep, and whoever withdrew
# may have stopped waiting for it. The longest send and this are less than a withdrawal waits.
FRESH_S = 2.0
ASK_AGAIN_S = 0.02  # while another process is sending to somebody who has withdrawn


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
        preparers: Sequence[Preparer] = (),
        may_send: MaySend = rules.may_send,
        width: int = WIDTH,
        settle_again_s: float = SETTLE_AGAIN_S,
        fresh_s: float = FRESH_S,
    ) -> None:
        self._state = state
        self._book_of = book_of
        self._width = width
        self._woken = asyncio.Event()
        self._levers = dict(levers)
        self._gates = {name: Gate(width) for name in levers}
        self._clock = clock
        self._rng = rng
        self._owner = owner
        self._may_send = may_send
        self._preparers = tuple(preparers)
        self._fresh_s = fresh_s
        self._beginning = Together(state.begin)
        self._settler = Settler(state, clock, owner, hooks or Hooks(), LEASE_MS, settle_again_s)
        self._tasks: set[asyncio.Task[None]] = set()
        self._sends_of: dict[str, set[asyncio.Task[Ended]]] = {}
        self._failure: BaseException | None = None
        self._is_stopping = False
        self._log = structlog.get_logger("geoengine.dispatcher")

    # -- the outside ------------------------------------------------------------------------------

    def wake(self) -> None:
        """Say that the outbox has something new."""
        self._woken.set()

    def use(self, levers: Mapping[str, Lever]) -> None:
        """Take these levers from now on; sends under way end on the ones they started on."""
        before = self._gates
        self._levers = dict(levers)
        self._gates = {name: Gate(self._width) for name in levers}
        for gate in before.values():
            self._empty(gate)
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
                rest_s = self._state.look_again_s
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
        themselves. Those of other processes cannot be cut off, but end with their levers' timeouts.
        """
        ended, others_ended = await asyncio.gather(
            _end(self._sends_of.get(person_id, ()), timeout_s),
            self._others_end(person_id, timeout_s),
        )
        return ended and others_ended

    async def _others_end(self, person_id: str, timeout_s: float) -> bool:
        """Wait until no other process is sending to a person; whether there was time enough."""
        try:
            async with asyncio.timeout(timeout_s):
                # Nothing here tells when it is over: another process knows.
                while await self._is_begun_elsewhere(person_id):  # noqa: ASYNC110
                    await asyncio.sleep(ASK_AGAIN_S)
        except TimeoutError:
            return False
        return True

    async def _is_begun_elsewhere(self, person_id: str) -> bool:
        return await self._state.is_begun(person_id, self._owner, self._clock())

    async def stop(self, timeout_s: float) -> bool:
        """Take nothing more, let what is in flight end, settle; whether all ended in time."""
        self._is_stopping = self._settler.is_stopping = True
        self.wake()
        for gate in self._gates.values():
            self._empty(gate)
        sends = [send for sends in self._sends_of.values() for send in sends]
        is_clean = await _end(sends, timeout_s)
        await self._drain()
        return is_clean

    # -- the loop ---------------------------------------------------------------------------------

    async def _pull(self) -> bool:
        """Lease what is due and start it; whether more may be waiting."""
        now_ms = self._clock()
        rows = await self._state.lease(now_ms, BATCH, self._owner, LEASE_MS)
        turned_away = [row for row in rows if not self._queue(row, now_ms)]
        if turned_away:
            self._spawn(self._settler.settle([self._turn_away(row, now_ms) for row in turned_away]))
        for name, gate in self._gates.items():
            self._fill(name, gate)
        return len(rows) == BATCH

    async def _until_due_s(self) -> float:
        due_ms = await self._state.next_due()
        look_again_s = self._state.look_again_s
        if due_ms is None:
            return look_again_s
        return min(max((due_ms - self._clock()) / SECOND_MS, REST_MIN_S), look_again_s)

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

    def _queue(self, row: Leased, now_ms: int) -> bool:
        """Line a row up before its lever, unless it needs none or the lever takes none."""
        gate = self._gates.get(row.send.lever)
        is_late = now_ms >= row.send.expires_ms
        if self._is_stopping or is_late or gate is None or not gate.takes(now_ms):
            return False
        gate.waiting.append(row)
        return True

    def _fill(self, name: str, gate: Gate) -> None:
        """Start what waits before a lever, as far as there is room; none if it has closed."""
        now_ms = self._clock()
        if now_ms < gate.open_ms:
            self._empty(gate)
        while gate.waiting and gate.room(now_ms):
            self._start(gate.waiting.popleft(), self._levers[name], gate)

    def _empty(self, gate: Gate) -> None:
        """Give back what waits before a lever."""
        now_ms = self._clock()
        if gate.waiting:
            rows = [self._turn_away(row, now_ms) for row in gate.waiting]
            gate.waiting.clear()
            self._spawn(self._settler.settle(rows))

    def _start(self, row: Leased, lever: Lever, gate: Gate) -> None:
        gate.in_hand += 1
        attempt = asyncio.get_running_loop().create_task(self._attempt(row, lever, gate))
        self._sends_of.setdefault(row.send.person_id, set()).add(attempt)
        self._spawn(self._carry(row, attempt, gate))

    def _turn_away(self, row: Leased, now_ms: int) -> Ended:
        """What becomes of a row that is not attempted now."""
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

    async def _carry(self, row: Leased, attempt: asyncio.Task[Ended], gate: Gate) -> None:
        """See an attempt to its end and settle it; cut off before it began, it was none."""
        await asyncio.wait((attempt,))
        gate.in_hand -= 1
        self._forget(row.send.person_id, attempt)
        if self._gates.get(row.send.lever) is gate:
            self._fill(row.send.lever, gate)
        if attempt.cancelled():
            await self._settler.settle([self._interrupted(row)])
        elif (error := attempt.exception()) is not None:
            await self._settler.settle([self._faulty(row, error)])
        else:
            await self._settler.settle([attempt.result()])

    def _forget(self, person_id: str, attempt: asyncio.Task[Ended]) -> None:
        sends = self._sends_of[person_id]
        sends.discard(attempt)
        if not sends:
            del self._sends_of[person_id]

    def _interrupted(self, row: Leased) -> Ended:
        return Ended(row, put_back(row.send, "interrupted", self._clock()))

    def _faulty(self, row: Leased, error: BaseException) -> Ended:
        """A row whose check failed by a fault of ours: it ends like others, and stops nobody."""
        self._log.error("check_failed", send_id=row.send.send_id, exc_info=error)
        receipt = Receipt("retry", f"fault:{type(error).__name__}", has_left=False)
        return Ended(row, attempted(row.send, receipt, self._clock(), self._rng))

    async def _attempt(self, row: Leased, lever: Lever, gate: Gate) -> Ended:
        """Check, prepare and send."""
        send, began_s = row.send, asyncio.get_running_loop().time()
        try:
            records = await self._beginning.ask(row)
            record = records.get(send.person_id)
            sent, why_not = await self._prepared(send, record)
        except StateUnavailable:
            # It may have begun there, and while it is in hand a withdrawal waits for it.
            return Ended(row, put_back(send, "busy", self._clock() + BUSY_MS))
        now_ms = self._clock()
        if self._is_late(row, lever, began_s, now_ms):
            return Ended(row, put_back(send, "busy", now_ms))
        if why_not := why_not or self._may_send(sent, record, self._book_of(), now_ms):
            return Ended(row, self._stopped(send, record, why_not, now_ms))
        receipt = await self._try(lever, sent, now_ms)  # starts at once: nothing runs in between
        return self._judged(row, sent, receipt, gate, now_ms)

    def _is_late(self, row: Leased, lever: Lever, began_s: float, now_ms: int) -> bool:
        """Whether what was read is too old to act upon, or another may hold the row before we are
        done with it.
        """
        longest_ms = round((_most_s(lever) + OVERRUN_S) * SECOND_MS)
        is_stale = asyncio.get_running_loop().time() >= began_s + self._fresh_s
        return is_stale or now_ms + longest_ms >= row.until_ms

    async def _prepared(self, send: Send, record: Record | None) -> Prepared:
        """The message as it may leave; what the rules stop anyway is not prepared."""
        if not self._preparers or self._may_send(send, record, self._book_of(), self._clock()):
            return Prepared(send)
        record = record or Record(send.person_id)
        for preparer in self._preparers:
            send, why_not = await preparer.prepare(send, record, self._clock())
            if why_not:
                return Prepared(send, why_not)
        return Prepared(send)

    def _stopped(self, send: Send, record: Record | None, reason: str, now_ms: int) -> Settlement:
        lawful_ms = None
        if passes(reason):
            lawful_ms = next_lawful_ms(send, record, self._book_of(), now_ms, self._may_send)
        return stopped(send, reason, lawful_ms)

    async def _try(self, lever: Lever, send: Send, now_ms: int) -> Receipt:
        """One attempt, whatever happens to it."""
        try:
            async with asyncio.timeout(_most_s(lever) + OVERRUN_S):
                return await lever.send(send, now_ms)
        except (TimeoutError, asyncio.CancelledError):
            return _unknown(send, "cut_off")
        except Exception as error:
            self._log.exception("lever_failed", lever=lever.name, send_id=send.send_id)
            return _unknown(send, f"lever_error:{type(error).__name__}")

    def _judged(
        self, row: Leased, sent: Send, receipt: Receipt, gate: Gate, began_ms: int
    ) -> Ended:
        now_ms = self._clock()
        if receipt.status == "retry":
            gate.failed(now_ms, receipt.retry_after_ms)
        else:
            gate.succeeded()
        settlement = attempted(row.send, receipt, now_ms, self._rng)
        return Ended(row, settlement, receipt, sent, now_ms - began_ms)


def _most_s(lever: Lever) -> float:
    """How long an attempt on a lever may take."""
    return min(lever.timeout_s, TIMEOUT_MAX_S)


def _unknown(send: Send, reason: str) -> Receipt:
    """An attempt whose fate is unknown: systems know a message by its id, people do not."""
    return Receipt("ambiguous" if send.lever in PERSON_LEVERS else "retry", reason)


async def _end(sends: Iterable[asyncio.Task[Ended]], timeout_s: float) -> bool:
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
