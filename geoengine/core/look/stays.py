"""People who stand where they stood: told from columns, with no record loaded.

Most fixes of somebody inside a zone say that they are still there. Such a fix changes three times
in the record, when the device, the visit and the delay were last heard of, and nothing else; so it
is enough to note them beside the last fix of the device, and to put them into the record when
somebody asks for it. What may rest this way is decided here, and only where `presence` and
`deadlines` would surely find nothing else to do: same zones, still held by each, no deadline in
between, nothing late or strange. Everybody else is looked at one by one.
"""

from __future__ import annotations

from collections.abc import Set
from typing import NamedTuple

import numpy as np

from geoengine.core.book import Book
from geoengine.core.columns import (
    NEVER_MS,
    STAYS_MAX,
    Bools,
    Evidence,
    Ints,
    Longs,
    Rests,
    Stays,
    rows_where,
)
from geoengine.core.look.track import ACCEPTED, Track
from geoengine.core.look.weigh import Sign, hold, weigh
from geoengine.core.places.policy import Limits
from geoengine.core.places.zones import CIRCLE
from geoengine.core.record import Record
from geoengine.core.visiting.visits import is_of_beacons

LAG_MAX_MS = (1 << 31) - 1  # 24 days: what reached us later than that is for the record


class Settled(NamedTuple):
    """One row of `Stays`, and the device whose visits these are."""

    device_id: str
    zone_prints: tuple[int, ...]
    dwell_ms: int
    lag_ms: int
    is_alone: bool  # no other device of the person has ever been heard of


def settled(record: Record) -> Settled | None:
    """What the columns need to know of a person who only stands in zones; None for all others."""
    presences = record.presences
    if not 0 < len(presences) <= STAYS_MAX or record.heard or record.lag_ms > LAG_MAX_MS:
        return None
    device_id, dwell_ms, prints = "", NEVER_MS, []
    for zone_id, presence in presences.items():
        device_id = device_id or presence.device_id
        is_plain = presence.is_inside and presence.pending_ms < 0 and presence.zone_print != 0
        if not is_plain or presence.device_id != device_id or is_of_beacons(zone_id, presence):
            return None
        if presence.seen_ms != record.devices.get(device_id):
            return None
        if 0 <= presence.dwell_ms < dwell_ms:
            dwell_ms = presence.dwell_ms
        prints.append(presence.zone_print)
    return Settled(
        device_id, tuple(prints), dwell_ms, record.lag_ms, is_alone=len(record.devices) == 1
    )


def heard_again(record: Record, fix_ms: int, lag_ms: int) -> None:
    """Put into the record what the columns have noted since it was written."""
    record.lag_ms = lag_ms
    for presence in record.presences.values():
        presence.seen_ms = fix_ms
        record.devices[presence.device_id] = fix_ms


Pair = tuple[int, float, bool]  # a zone a fix lies in, edge_m, whether that is news: `Look.is_news`


class Seen(NamedTuple):
    """One fix, and what it says of zones."""

    at_ms: int
    recv_ms: int
    accuracy_m: float
    before_ms: int  # the device's accepted fix before
    pairs: list[Pair]


class Look(NamedTuple):
    """What a batch's fixes say of zones, as far as it has been looked at."""

    track: Track  # P rows
    found: Evidence  # all pairs of a fix that is not suspect and a zone it lies in, M rows
    is_news: Bools  # of a pair: lets in who is outside, or is too coarse to where that is new
    crossing_ix: Ints  # rows of the track whose way cuts through a zone
    now_ms: int  # our clock: what falls due by then is not for the columns
    busy: Set[str]  # people who will be looked at anyway


def resting(look: Look, book: Book) -> tuple[Bools, Rests | None]:
    """Whose fixes change nothing but when they were last heard of.

    Returns
    -------
    is_resting : bool, shape (P,)
        All rows of such a device.
    rests : Rests or None
        What there is to note.

    Notes
    -----
    `goes_on` says the same of one fix by itself: tests/core/test_few.py.
    """
    track = look.track
    known = track.known
    is_settled = known.stay_ix >= 0
    rows = rows_where(is_settled)
    if not len(rows):
        return np.zeros(len(known), bool), None
    # Of somebody with several devices only one stands here; what the others say is for the record.
    others = rows_where(known.has_record & ~is_settled).tolist()
    busy = look.busy | {known.person_ids[row] for row in others}
    stay_ix = known.stay_ix[rows]
    fits = _fits(track, rows, stay_ix, book.limits, look.now_ms)
    fits &= _same_zones(look, rows, stay_ix, book)
    if len(look.crossing_ix):
        is_crossing = np.zeros(len(known), bool)
        is_crossing[look.crossing_ix] = True
        fits &= ~is_crossing[rows]
    if busy:
        person_ids = known.person_ids
        fits &= np.array([person_ids[row] not in busy for row in rows.tolist()], bool)
    return _noted(track, rows, fits)


# --- one by one ---------------------------------------------------------------------------------


def goes_on(stays: Stays, stay: int, seen: Seen, now_ms: int, book: Book) -> bool:
    """Whether an accepted fix of the device of this stay, the only one in its batch, changes
    nothing: it finds the person where they stood, before any deadline.
    """
    at_ms, recv_ms, before_ms = seen.at_ms, seen.recv_ms, seen.before_ms
    dwell_ms, lag_before_ms = int(stays.dwell_ms[stay]), int(stays.lag_ms[stay])
    lag_ms = max(recv_ms - at_ms, 0)
    # As `engine` lets deadlines pass: up to the fix, or to when it reached us, before it; and up
    # to now after it.
    until_ms = max(at_ms, recv_ms - lag_before_ms, now_ms - lag_ms + 1)
    if dwell_ms < until_ms or before_ms + book.limits.silence_min_ms < until_ms:
        return False
    if lag_ms > LAG_MAX_MS:
        return False
    # A deadline must not come nearer on our clock than it is known to be: nobody would wake us.
    if dwell_ms != NEVER_MS and lag_ms < lag_before_ms:
        return False
    if at_ms + lag_ms < before_ms + lag_before_ms:
        return False
    # Nor may one come about: a dwell falls due only on somebody heard of lately.
    limits = book.limits
    if before_ms + limits.fresh_min_ms < dwell_ms <= at_ms + limits.fresh_max_ms:
        return False
    stood_in: list[int] = stays.zone_prints[stay].tolist()
    held_count, stood_count = 0, sum(zone_print != 0 for zone_print in stood_in)
    for zone_ix, edge_m, is_news in seen.pairs:
        if int(book.zones.prints[zone_ix]) in stood_in:
            held_count += _is_held(zone_ix, edge_m, seen.accuracy_m, book)
        elif is_news:
            return False
    return held_count == stood_count


def _is_held(zone_ix: int, edge_m: float, accuracy_m: float, book: Book) -> bool:
    """Whether a fix does not count towards throwing out of the zone who is inside."""
    sign = weigh(
        edge_m,
        book.radius_m(zone_ix),
        accuracy_m,
        book.policy(zone_ix),
        is_circle=book.is_circle(zone_ix),
        is_inside=True,
    )
    return sign is Sign.EDGE


# --- in columns ---------------------------------------------------------------------------------


def _fits(track: Track, rows: Longs, stay_ix: Ints, limits: Limits, now_ms: int) -> Bools:
    """Which of these rows come in time: before any deadline, and after what was known."""
    fixes, stays = track.fixes, track.known.stays
    at_ms, before_ms = fixes.fix_ms[rows], track.previous_ms[rows]
    recv_ms, dwell_ms = fixes.recv_ms[rows], stays.dwell_ms[stay_ix]
    lag_ms = np.maximum(recv_ms - at_ms, 0)
    lag_before_ms, until_now_ms = stays.lag_ms[stay_ix], now_ms - lag_ms + 1
    if len(track.last) < len(fixes):
        again = rows_where(track.device_ix[rows[1:]] == track.device_ix[rows[:-1]]) + 1
        lag_before_ms[again] = lag_ms[again - 1]
        until_now_ms[again - 1] = 0
    # As `engine` lets deadlines pass: up to the fix, or to when it reached us, before it; and up
    # to now after the last.
    until_ms = np.maximum(np.maximum(at_ms, recv_ms - lag_before_ms), until_now_ms)
    fits: Bools = (track.fate[rows] == ACCEPTED) & ~track.is_strange[rows]
    fits &= (dwell_ms >= until_ms) & (before_ms + limits.silence_min_ms >= until_ms)
    # A deadline must not come nearer on our clock than it is known to be: nobody would wake us.
    fits &= (dwell_ms == NEVER_MS) | (lag_ms >= lag_before_ms)
    fits &= (at_ms + lag_ms >= before_ms + lag_before_ms) & (lag_ms <= LAG_MAX_MS)
    # Nor may one come about: a dwell falls due only on somebody heard of lately.
    fits &= (dwell_ms <= before_ms + limits.fresh_min_ms) | (dwell_ms > at_ms + limits.fresh_max_ms)
    return fits


def _same_zones(look: Look, rows: Longs, stay_ix: Ints, book: Book) -> Bools:
    """Which of these rows lie in just the zones that the person stands in, held by each."""
    known, zones = look.track.known, book.zones
    of_pair = known.stay_ix[look.found.fix_ix]
    asked = rows_where(of_pair >= 0)
    pairs = look.found.take(asked)
    row_ix, zone_ix = pairs.fix_ix, pairs.zone_ix
    is_held = hold(
        pairs.edge_m,
        zones.radius_m[zone_ix],
        look.track.fixes.accuracy_m[row_ix],
        zones.kind[zone_ix] == CIRCLE,
        zones.policy_ix[zone_ix],
        book.limits,
    )
    stood_in = known.stays.zone_prints[of_pair[asked]]
    is_own = (stood_in == zones.prints[zone_ix, None]).any(axis=1)
    found = np.bincount(row_ix[is_own & is_held], minlength=len(known))
    found[row_ix[~is_own & look.is_news[asked]]] = -1
    wanted = (known.stays.zone_prints != 0).sum(axis=1)
    same: Bools = found[rows] == wanted[stay_ix]
    return same


def _noted(track: Track, rows: Longs, fits: Bools) -> tuple[Bools, Rests | None]:
    """The devices all of whose rows fit, and what is noted of them."""
    device_ix = track.device_ix[rows]
    is_resting = np.zeros(len(track.last), bool)
    is_resting[device_ix] = True
    is_resting[device_ix[~fits]] = False
    is_last = np.ones(len(rows), bool)
    np.not_equal(device_ix[1:], device_ix[:-1], out=is_last[:-1])
    last = rows_where(is_last & is_resting[device_ix])
    known, fixes, final = track.known, track.fixes, rows[last]
    rests = Rests(
        last_ix=device_ix[last],
        lag_ms=np.maximum(fixes.recv_ms[final] - fixes.fix_ms[final], 0),
        turn=known.stays.turn[known.stay_ix[final]],
    )
    return is_resting[track.device_ix], rests if len(last) else None
