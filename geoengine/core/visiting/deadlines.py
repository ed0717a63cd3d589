"""What time alone changes: dwells fall due, silence closes visits, faint signs are forgotten.

Theory of operation: the page of `presence`. Deadlines are values; nobody waits in here.
"""

from __future__ import annotations

from geoengine.core.book import Book
from geoengine.core.consent import endings
from geoengine.core.consent.lapsing import next_lapse_ms
from geoengine.core.offers.reminders import FORGET, forget, next_moment
from geoengine.core.places.policy import Policy
from geoengine.core.record import Presence, Record, Transition
from geoengine.core.visiting.visits import When, close, dwell, leave

HEARD_KEPT_MS = 60_000  # signal strengths older than this say nothing of where somebody is


Deadline = tuple[int, str, str]  # when, in the fixes' time; what; of which zone, trigger ...


def _deadline(presence: Presence, policy: Policy, is_place: bool) -> tuple[int, str]:
    """What falls due next for one presence: its dwell, its closing, or its being forgotten."""
    silence_ms = presence.seen_ms + (policy.beacon_silence_ms if is_place else policy.silence_ms)
    if not presence.is_inside:
        return silence_ms, "forget"
    # A dwell waits for a sign of life when the person was last heard of long before it.
    is_fresh = presence.dwell_ms - presence.seen_ms <= policy.fresh_ms
    if 0 <= presence.dwell_ms <= silence_ms and is_fresh:
        return presence.dwell_ms, "dwell"
    return silence_ms, "silence"


def next_deadline(record: Record, book: Book) -> Deadline | None:
    """The first thing to fall due for a person; None for nothing."""
    soonest: Deadline | None = None
    for zone_id, presence in record.presences.items():
        zone_ix = book.zone_ix_of.get(zone_id)
        if zone_ix is not None:
            at_ms, what = _deadline(presence, book.policy(zone_ix), book.is_place(zone_ix))
            soonest = min(soonest, (at_ms, what, zone_id)) if soonest else (at_ms, what, zone_id)
    for zone_id, heard in record.heard.items():
        due = (heard.seen_ms[-1] + HEARD_KEPT_MS, "unhear", zone_id)
        soonest = min(soonest, due) if soonest else due
    if (record.timed or record.orders) and (end := endings.next_end(record)) is not None:
        due = (end[0] - record.lag_ms, *end[1:])
        soonest = min(soonest, due) if soonest else due
    if record.coupons and (moment := next_moment(record, book)) is not None:
        due = (moment[0] - record.lag_ms, *moment[1:])
        soonest = min(soonest, due) if soonest else due
    return soonest


def next_due_ms(record: Record, book: Book) -> int | None:
    """When, on our clock, the person's next deadline falls due; None for none."""
    lapse_ms = next_lapse_ms(record, book.consent_terms)
    return due_ms(record, next_deadline(record, book), lapse_ms)


def due_ms(record: Record, deadline: Deadline | None, lapse_ms: int | None) -> int | None:
    """When, on our clock, this deadline falls due, or the first of the person's consents ends."""
    told_ms = None if deadline is None else deadline[0] + record.lag_ms
    if told_ms is None or lapse_ms is None:
        return lapse_ms if told_ms is None else told_ms
    return min(told_ms, lapse_ms)


def fall_due(record: Record, due: Deadline, book: Book, when: When) -> Transition | None:
    """Let one deadline happen, the first; it is to be judged before the next is asked for."""
    _, what, zone_id = due
    if what == "dwell":
        return dwell(record, zone_id, book, when)
    if what == "silence":
        return _fall_silent(record, zone_id, book, when)
    if what in endings.KINDS:
        endings.end(record, what, zone_id)
        return None
    if what == FORGET:
        forget(record, zone_id)
        return None
    del (record.presences if what == "forget" else record.heard)[zone_id]
    return None


def _fall_silent(record: Record, zone_id: str, book: Book, when: When) -> Transition:
    """Close a visit of which nothing was heard for so long: it lasted until the last sign."""
    presence = record.presences[zone_id]
    is_place = book.is_place(book.zone_ix_of[zone_id])
    if not is_place and presence.device_id in record.devices:
        record.devices[presence.device_id] = when.at_ms  # what comes from before can only repair
    return leave(record, zone_id, book, when, until_ms=presence.seen_ms, reason="silence")


def close_strange(record: Record, book: Book, now_ms: int) -> list[Transition]:
    """Close visits to zones that vanished or changed shape; forget half-confirmed signs of them."""
    moments = []
    for zone_id, presence in list(record.presences.items()):
        zone_ix = book.zone_ix_of.get(zone_id, -1)
        if zone_ix >= 0 and book.zones.prints[zone_ix] == presence.zone_print:
            continue
        if not presence.is_inside:
            del record.presences[zone_id]
            continue
        moments.append(close(record, zone_id, book, now_ms, "zone_changed"))
    return moments
