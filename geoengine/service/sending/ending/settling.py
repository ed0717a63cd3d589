"""What becomes of an outbox row: pure judgements, so that the dispatcher only does.

Every row ends in exactly one of four ways.

=========  =======================================================================================
delivered  the provider has it
expired    a trigger, or word to staff, whose moment passed, tried or not
refused    it must not go, or its provider will never take it: the reason says which
dead       it should have gone and could not: attempts used up, an event that ran out of time, or
           an attempt whose fate is unknown and that may not be repeated
=========  =======================================================================================
"""

from __future__ import annotations

import random
from collections.abc import Callable

import msgspec

from geoengine.core.book import Book
from geoengine.core.ids import digest
from geoengine.core.judging import pausing
from geoengine.core.record import Event, Record, Send
from geoengine.core.telling import staff
from geoengine.core.units import MINUTE_MS, SECOND_MS
from geoengine.levers.backoff import next_attempt_ms, schedule_ms
from geoengine.levers.base import Receipt
from geoengine.state.base import Leased, Settlement

MaySend = Callable[[Send, Record | None, Book, int], str]

EXPIRED = "expired"
# Reasons that pass with the hour; the part before a colon counts.
HOLDABLE = frozenset({"window", "quiet_hours", "lawful_hours", "store_closed"})
PAUSES = frozenset({pausing.ENGINE, pausing.CAMPAIGN})
# How often what holds is looked at in a pause: sixty times in what is left of its life, and not
# within a minute. More often, and many of them keep a slow lane busy that transactional messages
# share; more seldom, and so much later it goes out once the pause has ended.
PAUSE_LOOKS, PAUSE_LOOK_MIN_MS = 60, MINUTE_MS
# How finely the next lawful moment is looked for: rows that hold may wait for days.
PROBES_MAX = 2_016
PROBE_MIN_MS = MINUTE_MS


def ran_out(send: Send, reason: str = EXPIRED) -> Settlement:
    """A row whose time is over: a trigger expires, and word to staff with the arrival; an event
    should have arrived, and is dead.
    """
    status = "expired" if send.kind == "trigger" or send.lever == staff.LEVER else "dead"
    return Settlement(send.send_id, status, reason, attempts=send.attempts)


def stopped(send: Send, reason: str, lawful_ms: int | None) -> Settlement:
    """A row that may not go now: refused, or put back until it may."""
    if reason == EXPIRED:
        return ran_out(send)
    if lawful_ms is None:
        return Settlement(send.send_id, "refused", reason, attempts=send.attempts)
    return put_back(send, reason, lawful_ms)


def put_back(send: Send, reason: str, due_ms: int) -> Settlement:
    """A row that was not attempted and waits, but not past its end."""
    due_ms = min(due_ms, send.expires_ms)
    return Settlement(send.send_id, "retry", reason, due_ms, send.attempts)


def attempted(send: Send, receipt: Receipt, now_ms: int, rng: random.Random) -> Settlement:
    """What one attempt's receipt makes of the row."""
    tries = send.attempts + 1
    match receipt.status:
        case "delivered":
            return Settlement(send.send_id, "delivered", receipt.reason, attempts=tries)
        case "refused" | "gone":
            return Settlement(send.send_id, "refused", receipt.text, attempts=tries)
        case "ambiguous":
            return Settlement(send.send_id, "dead", receipt.text, attempts=tries)
        case "retry":
            return _again(msgspec.structs.replace(send, attempts=tries), receipt, now_ms, rng)


def _again(send: Send, receipt: Receipt, now_ms: int, rng: random.Random) -> Settlement:
    life_ms = (send.created_ms, send.expires_ms)
    due_ms = next_attempt_ms(now_ms, life_ms, send.attempts, receipt.retry_after_ms, rng)
    if due_ms is not None:
        return Settlement(send.send_id, "retry", receipt.text, due_ms, send.attempts)
    if send.attempts > len(schedule_ms(send.expires_ms - send.created_ms)):
        return Settlement(send.send_id, "dead", receipt.text, attempts=send.attempts)
    return ran_out(send, receipt.text)


def next_look_ms(send: Send, now_ms: int) -> int | None:
    """When a row that holds is looked at again in a pause; None for one that does not."""
    if send.late_send != "hold":
        return None
    return now_ms + max(PAUSE_LOOK_MIN_MS, (send.expires_ms - now_ms) // PAUSE_LOOKS)


def next_lawful_ms(
    send: Send, record: Record | None, book: Book, now_ms: int, may_send: MaySend
) -> int | None:
    """When a row that holds may go, before it expires; None when it never may.

    Asks the same rule at later moments, first in strides and then closer, to the second; a window
    shorter than a stride (a minute, or five where the row lives for a week) can be missed.
    """
    if send.late_send != "hold":
        return None
    stride_ms = max(PROBE_MIN_MS, (send.expires_ms - now_ms) // PROBES_MAX)
    for at_ms in range(now_ms + stride_ms, send.expires_ms, stride_ms):
        reason = may_send(send, record, book, at_ms)
        if not reason:
            return _earliest(
                at_ms - stride_ms, at_ms, lambda ms: not may_send(send, record, book, ms)
            )
        if not passes(reason):
            return None
    return None


def _earliest(no_ms: int, yes_ms: int, is_lawful: Callable[[int], bool]) -> int:
    """A lawful moment after an unlawful one, within a second of the border between them."""
    while yes_ms - no_ms > SECOND_MS:
        middle_ms = (no_ms + yes_ms) // 2
        if is_lawful(middle_ms):
            yes_ms = middle_ms
        else:
            no_ms = middle_ms
    return yes_ms


def reason_code(reason: str) -> str:
    """The stable part of a reason; behind it, in brackets, may stand what a provider said, which
    may name an address: that is for operators and leaves in no event.

    >>> reason_code("http_400 (no such number: +33 6 ...)")
    'http_400'
    """
    return reason.partition(" (")[0]


def passes(reason: str) -> bool:
    """Whether a reason against sending goes away by waiting."""
    return reason.partition(":")[0] in HOLDABLE


def is_over(settlement: Settlement) -> bool:
    """Whether the row has ended."""
    return settlement.status != "retry"


def is_unsent(row: Leased, lease_ms: int, started_ms: int) -> bool:
    """Whether nobody can have attempted this row before us, so that its cap place may be freed.

    A row without recorded attempts may still have been attempted by somebody who died before
    settling. Whoever settles moves ``due_ms``; so it is certain only where the row fell due after
    this process started, and so recently that nobody else's lease on it has run out since.
    """
    send = row.send
    is_ours = send.due_ms >= started_ms and row.until_ms - send.due_ms < 2 * lease_ms
    return send.attempts == 0 and is_ours


_TOLD = {"delivered": "trigger.delivered", "expired": "trigger.expired"}
_DATA_KEYS = ("person_id", "device_id", "store_id", "zone_id", "visit_id", "campaign_id")


def lifecycle(send: Send, settlement: Settlement, now_ms: int) -> list[Event]:
    """What outsiders hear of a trigger's row: its first attempt, and how it ended."""
    if send.kind != "trigger":
        return []
    told = []
    if send.attempts == 0 and settlement.attempts > 0:
        told.append(_event(send, "trigger.sent", "", now_ms))
    if is_over(settlement):
        kind = _TOLD.get(settlement.status, "trigger.failed")
        told.append(_event(send, kind, settlement.reason, now_ms))
    return told


def _event(send: Send, kind: str, reason: str, now_ms: int) -> Event:
    said = send.event.get("data") or {}
    data = {key: said.get(key) for key in _DATA_KEYS} | {
        "person_id": send.person_id,
        "trigger_id": send.trigger_id,
        "lever": send.lever,
        "reason": reason_code(reason),
    }
    return Event(digest(send.send_id, kind), kind, now_ms, send.person_id, data)
