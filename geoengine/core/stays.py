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

from geoengine.core.columns import (
    NEVER_MS,
    STAYS_MAX,
    Bools,
    Ints,
    Known,
    Longs,
    Rests,
    rows_where,
)
from geoengine.core.policy import Limits
from geoengine.core.record import Record
from geoengine.core.track import ACCEPTED, Track


class Settled(NamedTuple):
    """One row of `Stays`, and the device whose visits these are."""

    device_id: str
    zone_prints: tuple[int, ...]
    dwell_ms: int
    lag_ms: int


def settled(record: Record) -> Settled | None:
    """What the columns need to know of a person who only stands in zones; None for all others."""
    presences = record.presences
    if not 0 < len(presences) <= STAYS_MAX or record.heard:
        return None
    device_id, dwell_ms, prints = "", NEVER_MS, []
    for zone_id, presence in presences.items():
        device_id = device_id or presence.device_id
        is_plain = presence.is_inside and presence.pending_ms < 0 and presence.zone_print != 0
        if not is_plain or presence.device_id != device_id or "/" in zone_id:
            return None  # only places of beacons have a stroke in their names
        if presence.seen_ms != record.devices.get(device_id):
            return None
        if 0 <= presence.dwell_ms < dwell_ms:
            dwell_ms = presence.dwell_ms
        prints.append(presence.zone_print)
    return Settled(device_id, tuple(prints), dwell_ms, record.lag_ms)


def heard_again(record: Record, fix_ms: int, lag_ms: int) -> None:
    """Put into the record what the columns have noted since it was written."""
    record.lag_ms = lag_ms
    for presence in record.presences.values():
        presence.seen_ms = fix_ms
        record.devices[presence.device_id] = fix_ms


class Pairs(NamedTuple):
    """What the fixes of a batch say of zones, M rows; ``row_ix`` is a row of the track."""

    row_ix: Ints
    zone_prints: Longs
    is_held: Bools  # does not throw anybody out who is inside
    is_news: Bools  # would let somebody in who is outside, or is too coarse to where that is new


def resting(
    track: Track, pairs: Pairs, crossing_ix: Ints, limits: Limits, now_ms: int, busy: Set[str]
) -> tuple[Bools, Rests | None]:
    """Whose fixes change nothing but when they were last heard of.

    Parameters
    ----------
    track : P rows
    pairs : M rows
        All pairs of a fix that is not suspect and a zone it lies in.
    crossing_ix : int32, shape (K,)
        Rows of the track whose way cuts through a zone.
    now_ms
        Our clock: what falls due by then is not for the columns.
    busy
        People who will be looked at anyway.

    Returns
    -------
    is_resting : bool, shape (P,)
        All rows of such a device.
    rests : Rests or None
        What there is to note.
    """
    known = track.known
    rows = rows_where(known.stay_ix >= 0)
    if not len(rows):
        return np.zeros(len(known), bool), None
    stay_ix = known.stay_ix[rows]
    fits = _fits(track, rows, stay_ix, limits, now_ms)
    fits &= _same_zones(known, rows, stay_ix, pairs)
    if len(crossing_ix):
        is_crossing = np.zeros(len(known), bool)
        is_crossing[crossing_ix] = True
        fits &= ~is_crossing[rows]
    if busy:
        person_ids = known.person_ids
        fits &= np.array([person_ids[row] not in busy for row in rows.tolist()], bool)
    return _noted(track, rows, fits)


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
    fits &= at_ms + lag_ms >= before_ms + lag_before_ms
    return fits


def _same_zones(known: Known, rows: Longs, stay_ix: Ints, pairs: Pairs) -> Bools:
    """Which of these rows lie in just the zones that the person stands in, held by each."""
    of_pair = known.stay_ix[pairs.row_ix]
    asked = rows_where(of_pair >= 0)
    row_ix = pairs.row_ix[asked]
    stood_in = known.stays.zone_prints[of_pair[asked]]
    is_own = (stood_in == pairs.zone_prints[asked, None]).any(axis=1)
    found = np.bincount(row_ix[is_own & pairs.is_held[asked]], minlength=len(known))
    found[row_ix[~is_own & pairs.is_news[asked]]] = -1
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
