"""Who is inside: the table, how a fix is weighed, and the deadlines.

What may live here: the step from (what we remember, what one fix says) to (what we remember,
what happened). No geometry, no rules, no I/O, no clock.

Theory of operation
-------------------
Evidence is weighed before the table sees it. A fix at signed distance ``edge_m`` from the edge,
with standard deviation sigma along one axis, lies inside a circle of radius R with probability
Phi((R - sqrt(d^2 + sigma^2)) / sigma), d = R + edge_m; for a polygon the signed distance stands
for R - d. (Both: DESIGN, "Presence"; good to 0.02 where R >= 2 sigma.) For somebody inside, the
zone counts as larger by a moat, ``max(buffer_m, buffer_per_accuracy * accuracy)``. That gives one
of five signs, and the table does the rest:

==========  ========  ==========  =======  =========  =======
was         SURE_OUT  LIKELY_OUT  EDGE     LIKELY_IN  SURE_IN
==========  ========  ==========  =======  =========  =======
OUTSIDE     OUTSIDE   OUTSIDE     OUTSIDE  ENTERING   INSIDE
ENTERING    OUTSIDE   OUTSIDE     OUTSIDE  INSIDE     INSIDE
INSIDE      OUTSIDE   LEAVING     INSIDE   INSIDE     INSIDE
LEAVING     OUTSIDE   OUTSIDE     INSIDE   INSIDE     INSIDE
==========  ========  ==========  =======  =========  =======

What a phone's own geofencing tells with a fix is SURE_IN or SURE_OUT, unless the fix itself says
the other at least likely: the system has watched more fixes than it has sent.

ENTER is a step into INSIDE from OUTSIDE or ENTERING; EXIT is a step out of INSIDE or LEAVING.
"Two running" means two: an EDGE between two likely fixes starts the count anew.

Deadlines run in the time of the fixes, and fall due on our clock later by the person's lag, the
time the latest fix took to reach us. So a trace that arrives late, or in pieces, gives what it
would have given live: a phone that uploads an hour of fixes is not silent for that hour.

Invariants
----------
1. ENTER and EXIT alternate for a person and zone; DWELL falls between them, once.
2. A fix never changes a visit that another device opened.
3. A fix older than the last one of its device, or than a closing by its silence, makes no
   transition.
4. Extra deadlines passes change nothing: each deadline is judged at its own moment.
"""

from __future__ import annotations

from enum import IntEnum

from msgspec import structs

from geoengine.core.book import Book
from geoengine.core.ids import digest
from geoengine.core.look.weigh import Sign, is_coarse, weigh
from geoengine.core.record import Presence, Record, Transition
from geoengine.core.units import SECOND_MS
from geoengine.core.visiting.visits import Fix, dwell, enter, leave


class Stand(IntEnum):
    """Where a person stands towards a zone."""

    OUTSIDE = 0
    ENTERING = 1  # one likely fix inside, waiting for a second
    INSIDE = 2
    LEAVING = 3  # one likely fix outside, waiting for a second


_O, _E, _I, _L = Stand
#        SURE_OUT  LIKELY_OUT  EDGE  LIKELY_IN  SURE_IN
NEXT = (
    (_O, _O, _O, _E, _I),  # was OUTSIDE
    (_O, _O, _O, _I, _I),  # was ENTERING
    (_O, _L, _I, _I, _I),  # was INSIDE
    (_O, _O, _I, _I, _I),  # was LEAVING
)


def stand_of(presence: Presence | None) -> Stand:
    """Where the person stands, from what is remembered."""
    if presence is None:
        return _O
    if not presence.is_inside:
        return _E
    return _I if presence.pending_ms < 0 else _L


def observe_fix(record: Record, fix: Fix, book: Book) -> list[Transition]:
    """What one fix changes: ``record`` is updated, the transitions are returned.

    Deadlines that passed before the fix must have been dealt with (`deadlines`).
    """
    known_ms = record.devices.get(fix.device_id, -1)
    if fix.is_late or fix.fix_ms <= known_ms:
        _repair(record, fix, book)
        return []
    if 0 <= fix.previous_ms < known_ms:  # its silence was noted after the fix before
        fix = structs.replace(fix, previous_ms=known_ms)
    record.lag_ms = max(0, fix.recv_ms - fix.fix_ms)
    record.devices[fix.device_id] = fix.fix_ms
    transitions = []
    for zone_ix in _zones_of(record, fix, book):
        transition = _judge_zone(record, fix, zone_ix, book)
        if transition is not None:
            transitions.append(transition)
    return transitions + _crossed(record, fix, book) if fix.crossed else transitions


def newly_coarse(record: Record, fix: Fix, book: Book) -> list[int]:
    """Zones the fix lies in, too coarsely to let its person in, where the fix before was not.

    Nothing happens there, and somebody may ask why: once for a run of coarse fixes.
    """
    if fix.is_late:
        return []
    return [
        zone_ix
        for zone_ix in fix.edges
        if is_coarse(book.radius_m(zone_ix), fix.accuracy_m)
        and not is_coarse(book.radius_m(zone_ix), fix.previous_accuracy_m)
        and book.zones.ids[zone_ix] not in record.presences
    ]


def _zones_of(record: Record, fix: Fix, book: Book) -> list[int]:
    """Zones this fix may change: those it lies in or tells of, and those its device stands in."""
    zones = [*fix.edges, *(zone_ix for zone_ix in fix.told if zone_ix not in fix.edges)]
    for zone_id in record.presences:
        zone_ix = book.zone_ix_of[zone_id]
        if zone_ix not in zones and not book.is_place(zone_ix):
            zones.append(zone_ix)
    if len(zones) > 1:
        zones.sort()
    return zones


def _judge_zone(record: Record, fix: Fix, zone_ix: int, book: Book) -> Transition | None:
    zone_id = book.zones.ids[zone_ix]
    presence = record.presences.get(zone_id)
    if presence is not None and presence.device_id != fix.device_id:
        if not presence.is_inside:
            presence = None if zone_ix in fix.edges or zone_ix in fix.told else presence
        elif presence.device_id not in record.devices:
            presence.device_id = fix.device_id  # a beacon opened the visit: the phone takes it on
        if presence is not None and presence.device_id != fix.device_id:
            return None  # the visit, or the first sign, is another device's
    before = stand_of(presence)
    after = NEXT[before][_sign(record, fix, zone_ix, before, book)]
    if after is _O:
        return _to_outside(record, fix, zone_id, before, book)
    if after is _E:
        record.presences[zone_id] = Presence(
            is_inside=False,
            zone_print=int(book.zones.prints[zone_ix]),
            device_id=fix.device_id,
            since_ms=fix.fix_ms,
            seen_ms=fix.fix_ms,
            after_ms=fix.previous_ms,
        )
        return None
    if before is _O or before is _E:
        return enter(record, fix, zone_ix, book)
    assert presence is not None
    presence.seen_ms = fix.fix_ms
    presence.pending_ms = fix.fix_ms if after is _L else -1
    if after is _I and 0 <= presence.dwell_ms < fix.fix_ms:
        return dwell(record, zone_id, book, fix.when)
    return None


def _sign(record: Record, fix: Fix, zone_ix: int, before: Stand, book: Book) -> Sign:
    is_inside = before is _I or before is _L
    if is_inside and _is_held_by_beacon(record, zone_ix, book):
        return Sign.SURE_IN
    edge_m = fix.edges.get(zone_ix)
    if edge_m is None:
        edge_m = book.index.edge_m_one(zone_ix, fix.lon_deg, fix.lat_deg)
    if zone_ix in fix.told and not _contradicts(fix, zone_ix, edge_m, book):
        return Sign.SURE_IN if fix.told[zone_ix] else Sign.SURE_OUT
    return _weighed(fix, zone_ix, edge_m, book, is_inside=is_inside)


def _contradicts(fix: Fix, zone_ix: int, edge_m: float, book: Book) -> bool:
    """Whether a fix speaks against what its phone tells with it: says the other at least likely,
    and where the phone says that it is inside, beyond the moat too.
    """
    if fix.told[zone_ix]:
        return _weighed(fix, zone_ix, edge_m, book, is_inside=True) <= Sign.LIKELY_OUT
    return _weighed(fix, zone_ix, edge_m, book, is_inside=False) >= Sign.LIKELY_IN


def _weighed(fix: Fix, zone_ix: int, edge_m: float, book: Book, *, is_inside: bool) -> Sign:
    return weigh(
        edge_m,
        book.radius_m(zone_ix),
        fix.accuracy_m,
        book.policy(zone_ix),
        is_circle=book.is_circle(zone_ix),
        is_inside=is_inside,
    )


def _is_held_by_beacon(record: Record, zone_ix: int, book: Book) -> bool:
    """Whether a beacon of the zone's store says that the person is there: beacons outrank GPS."""
    places = book.places_beside(zone_ix)
    return bool(places) and any(
        presence.is_inside and book.zone_ix_of[zone_id] in places
        for zone_id, presence in record.presences.items()
    )


def _to_outside(
    record: Record, fix: Fix, zone_id: str, before: Stand, book: Book
) -> Transition | None:
    if before is _O:
        return None
    if before is _E:
        del record.presences[zone_id]
        return None
    return leave(record, zone_id, book, fix.when, until_ms=fix.fix_ms, reason="left")


def _crossed(record: Record, fix: Fix, book: Book) -> list[Transition]:
    """Zones the way from the last fix cut through, with both ends outside: never a dwell."""
    gap_ms = fix.fix_ms - fix.previous_ms
    return [
        Transition(
            kind="crossed",
            person_id=record.person_id,
            device_id=fix.device_id,
            zone_id=zone_id,
            zone_ix=zone_ix,
            visit_id=(visit_id := digest("crossed", record.person_id, zone_id, fix.fix_ms)),
            group_id=visit_id,
            at_ms=fix.fix_ms,
            now_ms=fix.recv_ms,
            is_mocked=fix.is_mocked,
            duration_s=round((out_of - into) * gap_ms) / SECOND_MS,
            post_ix=fix.post_ix,
        )
        for zone_ix, into, out_of in fix.crossed
        if (zone_id := book.zones.ids[zone_ix]) not in record.presences
        and gap_ms <= book.policy(zone_ix).cross_gap_s * SECOND_MS
    ]


def _repair(record: Record, fix: Fix, book: Book) -> None:
    """A late fix surely inside moves the beginning of its visit back; nothing else."""
    for zone_ix, edge_m in fix.edges.items():
        presence = record.presences.get(book.zones.ids[zone_ix])
        if presence is None or not presence.is_inside or presence.device_id != fix.device_id:
            continue
        sign = _weighed(fix, zone_ix, edge_m, book, is_inside=False)
        if sign is Sign.SURE_IN and presence.after_ms < fix.fix_ms < presence.since_ms:
            presence.since_ms = fix.fix_ms
