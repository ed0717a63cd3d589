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

*Independence*. Each provider or endpoint of a lever has a gate of its own. Rows that find it closed
go back to the outbox, unattempted, so that what lies behind them is reached.

It does not decide how long to wait or how a row ends: `settling` does. `attempting` makes one
attempt. It reads the clock it was given and no other.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

from geoengine.core import rules
from geoengine.core.book import Book
from geoengine.core.errors import StateUnavailable
from geoengine.core.units import SECOND_MS
from geoengine.levers.base import Lever
from geoengine.service.sending.attempting import FRESH_S, OVERRUN_S, Way
from geoengine.service.sending.ending.settler import SETTLE_AGAIN_S, Ended, Hooks, Mail, Settler
from geoengine.service.sending.ending.settling import MaySend, put_back, ran_out, stopped
from geoengine.service.sending.pacing.gate import BUSY_MS, Gate
from geoengine.service.sending.pacing.lanes import Lanes
from geoengine.service.sending.preparing import Preparer
from geoengine.state.base import Leased

__all__ = ["BUSY_MS", "OVERRUN_S", "Dispatcher", "Hooks"]

LEASE_MS = 60_000  # over twice the longest attempt: a row is not leased twice while it is sent
WIDTH_MAX = 256  # messages on one lane at once, whatever its provider bears
BATCH = 256  # rows taken at once
REST_MIN_S = 0.005  # between two looks at rows that are due and cannot be had
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
        width: int = WIDTH_MAX,
        settle_again_s: float = SETTLE_AGAIN_S,
        fresh_s: float = FRESH_S,
    ) -> None:
        self._state = state
        self._width = width
        self._woken = asyncio.Event()
        self._lanes = Lanes(levers, width)
        self._clock = clock
        self._owner = owner
        self._way = Way(state, book_of, clock, rng, may_send, tuple(preparers), fresh_s)
        self._settler = Settler(state, clock, owner, hooks or Hooks(), LEASE_MS, settle_again_s)
        self._tasks: set[asyncio.Task[Any]] = set()
        self._ended: list[Ended] = []  # at this moment
        self._sends_of: dict[str, set[asyncio.Task[Any]]] = {}
        self._traces_of: dict[str, set[asyncio.Task[Any]]] = {}  # being written of what was sent
        self._settling: asyncio.Task[None] | None = None
        self._failure: BaseException | None = None
        self._is_stopping = False

    # -- the outside ------------------------------------------------------------------------------

    def wake(self) -> None:
        """Say that the outbox has something new."""
        self._woken.set()

    def use(self, levers: Mapping[str, Lever]) -> None:
        """Take these levers from now on; sends under way end on the ones they started on."""
        before, self._lanes = self._lanes, Lanes(levers, self._width)
        for gate in before:
            self._empty(gate)
        self.wake()

    async def run(self) -> None:
        """Dispatch until `stop`. Raises what a hook or the state raised and nobody can mend."""
        while not self._is_stopping:
            self._woken.clear()
            self._require_sound()
            try:
                rest_s = 0.0 if await self._pull() else await self._until_due_s()
            except StateUnavailable:
                rest_s = self._state.look_again_s
            await self._rest(rest_s)
        await self._drain()
        self._require_sound()

    async def step(self) -> None:
        """One round: take what is due, carry it to its end, settle."""
        await self._pull()
        await self._drain()
        self._require_sound()

    async def quiesce(self, person_id: str, timeout_s: float) -> bool:
        """Wait until no send of a person is in flight; cut off what still is after `timeout_s`.

        To be called after a withdrawal is committed and before it is acknowledged: from then on no
        send of that person starts that the withdrawal forbids, and what was sent has left all its
        traces (facts, news), so that an erasure finds them. Returns whether all ended by
        themselves. Those of other processes cannot be cut off, but end with their levers' timeouts.
        """
        ended, others_ended = await asyncio.gather(
            _end(self._sends_of.get(person_id, ()), timeout_s),
            self._others_end(person_id, timeout_s),
        )
        if traces := self._traces_of.get(person_id):
            await asyncio.wait(tuple(traces), timeout=timeout_s)
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
        for gate in self._lanes:
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
        turned_away = [ended for row in rows if (ended := self._queue(row, now_ms)) is not None]
        if turned_away:
            self._spawn(self._give_back(turned_away))
        for gate in self._lanes:
            if gate.waiting:
                self._fill(gate)
        return len(rows) == BATCH

    async def _until_due_s(self) -> float:
        """How long until something may start, or is worth another look."""
        due_ms = await self._state.next_due()
        rest_s = self._state.look_again_s
        if due_ms is not None:
            rest_s = min(max((due_ms - self._clock()) / SECOND_MS, REST_MIN_S), rest_s)
        waits_ms = (wait_ms for gate in self._lanes if (wait_ms := gate.wait_ms()) is not None)
        return min(rest_s, min(waits_ms, default=LEASE_MS) / SECOND_MS)

    async def _rest(self, rest_s: float) -> None:
        try:
            async with asyncio.timeout(rest_s):
                await self._woken.wait()
        except TimeoutError:
            return

    async def _drain(self) -> None:
        while self._tasks:
            await asyncio.wait(self._tasks)

    def _require_sound(self) -> None:
        """Raises what a hook or the state raised and nobody can mend."""
        if self._failure is not None:
            raise self._failure

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._finished)
        return task

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            self._failure = self._failure or task.exception()
        self.wake()

    # -- one row ----------------------------------------------------------------------------------

    def _queue(self, row: Leased, now_ms: int) -> Ended | None:
        """Line a row up before its lane; what becomes of it where that is not to be."""
        send = row.send
        if now_ms >= send.expires_ms:
            return Ended(row, ran_out(send))
        try:
            gate = self._lanes.gate_of(send)
        except Exception as error:
            return self._way.faulty(row, error)
        if gate is None:
            return Ended(row, stopped(send, f"no_sender:{send.lever}", None))
        if self._is_stopping or not gate.takes(now_ms):
            return self._turned_away(row, gate, now_ms)
        gate.waiting.append(row)
        return None

    def _turned_away(self, row: Leased, gate: Gate, now_ms: int) -> Ended:
        """What becomes of a row that is not attempted now."""
        if self._is_stopping:
            return self._way.interrupted(row)
        return Ended(row, put_back(row.send, "busy", gate.back_ms(now_ms)))

    def _fill(self, gate: Gate) -> None:
        """Start what waits before a lane, as far as there is room; none if it has closed."""
        now_ms = self._clock()
        if now_ms < gate.open_ms:
            self._empty(gate)
        for _ in range(min(gate.room(now_ms), len(gate.waiting))):
            self._start(gate.start(), gate)

    def _empty(self, gate: Gate) -> None:
        """Give back what waits before a lane."""
        now_ms = self._clock()
        if gate.waiting:
            rows = [self._turned_away(row, gate, now_ms) for row in gate.waiting]
            gate.waiting.clear()
            self._spawn(self._give_back(rows))

    async def _give_back(self, rows: list[Ended]) -> None:
        await self._settler.settle(rows)

    def _start(self, row: Leased, gate: Gate) -> None:
        attempt = asyncio.get_running_loop().create_task(self._way.attempt(row, gate))
        self._tasks.add(attempt)
        _note(self._sends_of, row.send.person_id, attempt)
        attempt.add_done_callback(partial(self._attempted, row, gate))

    def _attempted(self, row: Leased, gate: Gate, attempt: asyncio.Task[Ended]) -> None:
        """An attempt is over: let the next one go, and have this one settled, together with those
        that end at the same moment. Cut off before it began, it was none.
        """
        self._tasks.discard(attempt)
        gate.in_hand -= 1
        if gate.waiting:
            self._fill(gate)
        if attempt.cancelled():
            ended = self._way.interrupted(row)
        elif (error := attempt.exception()) is not None:
            ended = self._way.faulty(row, error)
        else:
            ended = attempt.result()
        self._ended.append(ended)
        if len(self._ended) == 1:
            self._settling = self._spawn(self._settle())
        assert self._settling is not None  # of the moment at which the first one ended
        _note(self._traces_of, row.send.person_id, self._settling)

    async def _settle(self) -> None:
        """Settle what ended at one moment; then what follows from who is gone, for which nobody
        waits, since it may itself wait for that person's sends.
        """
        ended, self._ended = self._ended, []
        if gone := await self._settler.settle(ended):
            self._spawn(self._settler.act(gone))


def _note(tasks_of: dict[str, set[asyncio.Task[Any]]], name: str, task: asyncio.Task[Any]) -> None:
    """Keep a task under a name for as long as it runs."""

    def forget(_task: asyncio.Task[Any]) -> None:
        tasks = tasks_of[name]
        tasks.discard(task)
        if not tasks:
            del tasks_of[name]

    tasks = tasks_of.setdefault(name, set())
    if task not in tasks:
        tasks.add(task)
        task.add_done_callback(forget)


async def _end(sends: Iterable[asyncio.Task[Any]], timeout_s: float) -> bool:
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
