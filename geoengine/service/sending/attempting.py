"""One attempt: begin, prepare, ask once more, send. What came of it, for the settler to write."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass, field

import structlog

from geoengine.core import rules
from geoengine.core.book import Book
from geoengine.core.errors import StateUnavailable
from geoengine.core.model import PERSON_LEVERS
from geoengine.core.record import Record, Send
from geoengine.core.units import SECOND_MS
from geoengine.levers.base import TIMEOUT_MAX_S, Lever, Receipt
from geoengine.service.sending.ending.settler import Ended, Mail
from geoengine.service.sending.ending.settling import (
    PAUSES,
    MaySend,
    attempted,
    next_lawful_ms,
    next_look_ms,
    passes,
    put_back,
    stopped,
)
from geoengine.service.sending.pacing.gate import BUSY_MS, Gate
from geoengine.service.sending.preparing import Prepared, Preparer
from geoengine.service.sending.together import Together
from geoengine.state.base import Leased, Settlement

OVERRUN_S = 1.0  # a lever keeps its own time; past this it is cut off
# What was read longer ago than this does not count: this process was asleep, and whoever withdrew
# may have stopped waiting for it. The longest send and this are less than a withdrawal waits.
FRESH_S = 2.0
_LOG = structlog.get_logger("geoengine.dispatcher")


@dataclass(frozen=True)
class Way:
    """What every attempt goes by."""

    state: Mail
    book_of: Callable[[], Book]
    clock: Callable[[], int]
    rng: random.Random
    may_send: MaySend = rules.may_send
    preparers: tuple[Preparer, ...] = ()
    fresh_s: float = FRESH_S
    beginning: Together[Leased, dict[str, Record]] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "beginning", Together(self.state.begin))

    async def attempt(self, row: Leased, gate: Gate) -> Ended:
        """Check, prepare and send."""
        send, began_s = row.send, asyncio.get_running_loop().time()
        try:
            records = await self.beginning.ask(row)
            record = records.get(send.person_id)
            sent, why_not = await self._prepared(send, record)
        except StateUnavailable:
            # It may have begun there, and while it is in hand a withdrawal waits for it.
            return Ended(row, put_back(send, "busy", self.clock() + BUSY_MS))
        now_ms = self.clock()
        if self._is_late(row, gate.lever, began_s, now_ms):
            return Ended(row, put_back(send, "busy", now_ms))
        if why_not := why_not or self.may_send(sent, record, self.book_of(), now_ms):
            gate.spared()
            return Ended(row, self._stopped(send, record, why_not, now_ms))
        receipt = await _try(gate.lever, sent, now_ms)  # starts at once: nothing runs in between
        return self._judged(row, sent, receipt, gate, now_ms)

    def faulty(self, row: Leased, error: BaseException) -> Ended:
        """A row whose check failed by a fault of ours: it ends like others, and stops nobody."""
        _LOG.error("check_failed", send_id=row.send.send_id, exc_info=error)
        receipt = Receipt("retry", f"fault:{type(error).__name__}", has_left=False)
        return Ended(row, attempted(row.send, receipt, self.clock(), self.rng))

    def interrupted(self, row: Leased) -> Ended:
        """A row whose attempt was cut off before it began: it was none."""
        return Ended(row, put_back(row.send, "interrupted", self.clock()))

    async def _prepared(self, send: Send, record: Record | None) -> Prepared:
        """The message as it may leave; what the rules stop anyway is not prepared."""
        if not self.preparers or self.may_send(send, record, self.book_of(), self.clock()):
            return Prepared(send)
        record = record or Record(send.person_id)
        for preparer in self.preparers:
            send, why_not = await preparer.prepare(send, record, self.clock())
            if why_not:
                return Prepared(send, why_not)
        return Prepared(send)

    def _is_late(self, row: Leased, lever: Lever, began_s: float, now_ms: int) -> bool:
        """Whether what was read is too old to act upon, or another may hold the row before we are
        done with it.
        """
        is_stale = asyncio.get_running_loop().time() >= began_s + self.fresh_s
        return is_stale or now_ms + round(_cut_off_s(lever) * SECOND_MS) >= row.until_ms

    def _stopped(self, send: Send, record: Record | None, reason: str, now_ms: int) -> Settlement:
        lawful_ms = None
        if reason in PAUSES:
            lawful_ms = next_look_ms(send, now_ms)
        elif passes(reason):
            lawful_ms = next_lawful_ms(send, record, self.book_of(), now_ms, self.may_send)
        return stopped(send, reason, lawful_ms)

    def _judged(
        self, row: Leased, sent: Send, receipt: Receipt, gate: Gate, began_ms: int
    ) -> Ended:
        now_ms = self.clock()
        if receipt.status == "retry" and not receipt.is_of_one:
            gate.failed(now_ms, receipt.retry_after_ms)
        else:
            gate.succeeded()
        settlement = attempted(row.send, receipt, now_ms, self.rng)
        return Ended(row, settlement, receipt, sent, now_ms - began_ms)


async def _try(lever: Lever, send: Send, now_ms: int) -> Receipt:
    """One attempt, whatever happens to it."""
    try:
        async with asyncio.timeout(_cut_off_s(lever)):
            return await lever.send(send, now_ms)
    except (TimeoutError, asyncio.CancelledError):
        return _unknown(send, "cut_off")
    except Exception as error:
        _LOG.exception("lever_failed", lever=lever.name, send_id=send.send_id)
        return _unknown(send, f"lever_error:{type(error).__name__}")


def _cut_off_s(lever: Lever) -> float:
    """After how long an attempt on a lever is cut off."""
    return min(lever.timeout_s, TIMEOUT_MAX_S) + OVERRUN_S


def _unknown(send: Send, reason: str) -> Receipt:
    """An attempt whose fate is unknown: systems know a message by its id, people do not."""
    return Receipt("ambiguous" if send.lever in PERSON_LEVERS else "retry", reason)
