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

from dataclasses import dataclass, field
from enum import IntEnum
from functools import lru_cache
from math import sqrt
from statistics import NormalDist

from geoengine.core.book import Book, Policy
from geoengine.core.ids import digest
from geoengine.core.record import Group, Presence, Record, Transition
from geoengine.core.units import SECOND_MS, sigma_m
from geoengine.core.zones import CIRCLE, PLACE

HEARD_KEPT_MS = 60_000  # signal strengths older than this say nothing of where somebody is
COARSE_SIGMAS = 2.0  # below R = 2 sigma even the centre is inside with only 87 %


class Sign(IntEnum):
    """What one fix says of one zone, weighed."""

    SURE_OUT = 0
    LIKELY_OUT = 1
    EDGE = 2
    LIKELY_IN = 3
    SURE_IN = 4


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


@dataclass(frozen=True, slots=True)
class Fix:
    """One accepted fix of somebody worth a closer look, and what the index says of it."""

    device_id: str
    lon_deg: float
    lat_deg: float
    accuracy_m: float
    fix_ms: int
    recv_ms: int
    is_mocked: bool = False
    previous_ms: int = -1  # the device's fix before; -1 for a device that first appears
    post_ix: int = -1
    is_late: bool = False
    edges: dict[int, float] = field(default_factory=dict)  # zone_ix -> edge_m, where inside
    crossed: tuple[tuple[int, float, float], ...] = ()  # zone_ix, fractions into and out of it


@lru_cache(maxsize=4_096)
def quantile(probability: float) -> float:
    """The standard normal quantile; thresholds on P become thresholds on z."""
    return NormalDist().inv_cdf(min(max(probability, 1e-12), 1 - 1e-12))


def z_inside(edge_m: float, radius_m: float, sigma: float, is_circle: bool) -> float:
    """How sure a fix is to be inside, as a standard normal quantile: P(inside) = Phi(z).

    Metres throughout; ``radius_m`` matters for circles only. See the page above for the source.
    """
    if not is_circle:
        return -edge_m / sigma
    distance_m = radius_m + edge_m
    return (radius_m - sqrt(distance_m * distance_m + sigma * sigma)) / sigma


def weigh(
    edge_m: float,
    radius_m: float,
    accuracy_m: float,
    policy: Policy,
    *,
    is_circle: bool,
    is_inside: bool,
) -> Sign:
    """The sign of a fix for a zone, towards somebody inside or outside of it."""
    sigma = sigma_m(accuracy_m)
    if not is_inside:
        if radius_m < COARSE_SIGMAS * sigma:
            return Sign.EDGE
        z = z_inside(edge_m, radius_m, sigma, is_circle)
        if z >= quantile(policy.enter_p):
            return Sign.SURE_IN
        return Sign.LIKELY_IN if z >= quantile(policy.confirm_enter_p) else Sign.EDGE
    moat_m = max(policy.buffer_m, policy.buffer_per_accuracy * accuracy_m)
    z = z_inside(edge_m - moat_m, radius_m + moat_m, sigma, is_circle)
    if z <= quantile(policy.leave_p):
        return Sign.SURE_OUT
    return Sign.LIKELY_OUT if z <= quantile(policy.confirm_leave_p) else Sign.EDGE


def stand_of(presence: Presence | None) -> Stand:
    """Where the person stands, from what is remembered."""
    if presence is None:
        return Stand.OUTSIDE
    if not presence.is_inside:
        return Stand.ENTERING
    return Stand.INSIDE if presence.pending_ms < 0 else Stand.LEAVING


# --- fixes --------------------------------------------------------------------------------------


def observe_fix(record: Record, fix: Fix, book: Book) -> list[Transition]:
    """What one fix changes: ``record`` is updated, the transitions are returned.

    Deadlines that passed before the fix must have been dealt with (`pass_deadlines`).
    """
    if fix.is_late or fix.fix_ms <= record.devices.get(fix.device_id, -1):
        _repair(record, fix, book)
        return []
    record.lag_ms = max(0, fix.recv_ms - fix.fix_ms)
    record.devices[fix.device_id] = fix.fix_ms
    found = [_judge_zone(record, fix, zone_ix, book) for zone_ix in _zones_of(record, fix, book)]
    transitions = [transition for transition in found if transition is not None]
    return [*transitions, *_crossed(record, fix, book)]


def _zones_of(record: Record, fix: Fix, book: Book) -> list[int]:
    """Zones this fix may change: those it lies in, and those its device stands in."""
    known = (book.zone_ix_of[zone_id] for zone_id in record.presences)
    areas = (zone_ix for zone_ix in known if book.zones.kind[zone_ix] != PLACE)
    return sorted({*fix.edges, *areas})


def _judge_zone(record: Record, fix: Fix, zone_ix: int, book: Book) -> Transition | None:
    zone_id = book.zones.ids[zone_ix]
    presence = record.presences.get(zone_id)
    if presence is not None and presence.device_id != fix.device_id:
        if not presence.is_inside:
            presence = None if zone_ix in fix.edges else presence
        elif presence.device_id not in record.devices:
            presence.device_id = fix.device_id  # a beacon opened the visit: the phone takes it on
        if presence is not None and presence.device_id != fix.device_id:
            return None  # the visit, or the first sign, is another device's
    before = stand_of(presence)
    after = NEXT[before][_sign(record, fix, zone_ix, before, book)]
    if after is Stand.OUTSIDE:
        return _to_outside(record, presence, fix, zone_ix, before)
    if after is Stand.ENTERING:
        record.presences[zone_id] = Presence(
            is_inside=False,
            zone_print=int(book.zones.prints[zone_ix]),
            device_id=fix.device_id,
            since_ms=fix.fix_ms,
            seen_ms=fix.fix_ms,
            after_ms=fix.previous_ms,
        )
        return None
    if before in (Stand.OUTSIDE, Stand.ENTERING):
        return enter(record, fix, zone_ix, book)
    assert presence is not None
    presence.seen_ms = fix.fix_ms
    presence.pending_ms = fix.fix_ms if after is Stand.LEAVING else -1
    if after is Stand.INSIDE and 0 <= presence.dwell_ms < fix.fix_ms:
        return _dwell(record, presence, zone_id, book, fix.fix_ms, fix.recv_ms, fix.post_ix)
    return None


def _sign(record: Record, fix: Fix, zone_ix: int, before: Stand, book: Book) -> Sign:
    is_inside = before in (Stand.INSIDE, Stand.LEAVING)
    if is_inside and _is_held_by_beacon(record, zone_ix, book):
        return Sign.SURE_IN
    edge_m = fix.edges.get(zone_ix)
    if edge_m is None:
        edge_m = book.index.edge_m_one(zone_ix, fix.lon_deg, fix.lat_deg)
    return weigh(
        edge_m,
        float(book.zones.radius_m[zone_ix]),
        fix.accuracy_m,
        book.policy(zone_ix),
        is_circle=book.zones.kind[zone_ix] == CIRCLE,
        is_inside=is_inside,
    )


def _is_held_by_beacon(record: Record, zone_ix: int, book: Book) -> bool:
    """Whether a beacon of the zone's store says that the person is there: beacons outrank GPS."""
    store_ix = book.zones.store_ix[zone_ix]
    return store_ix >= 0 and any(
        presence.is_inside
        and book.zones.kind[place_ix := book.zone_ix_of[zone_id]] == PLACE
        and book.zones.store_ix[place_ix] == store_ix
        for zone_id, presence in record.presences.items()
    )


def _to_outside(
    record: Record, presence: Presence | None, fix: Fix, zone_ix: int, before: Stand
) -> Transition | None:
    if presence is None:
        return None
    zone_id = next(key for key, value in record.presences.items() if value is presence)
    if before is Stand.ENTERING:
        del record.presences[zone_id]
        return None
    return leave(
        record,
        zone_id,
        zone_ix,
        at_ms=fix.fix_ms,
        until_ms=fix.fix_ms,
        now_ms=fix.recv_ms,
        reason="left",
        post_ix=fix.post_ix,
    )


def enter(
    record: Record, fix: Fix, zone_ix: int, book: Book, *, is_initial: bool | None = None
) -> Transition:
    """Open a visit at the time of the fix."""
    zone_id, policy = book.zones.ids[zone_ix], book.policy(zone_ix)
    pending = record.presences.get(zone_id)
    after_ms = fix.previous_ms if pending is None else pending.after_ms
    if is_initial is None:
        is_initial = after_ms < book.zones.born_ms[zone_ix] or after_ms < 0
    visit_id = digest("visit", record.person_id, zone_id, fix.device_id, fix.fix_ms)
    presence = Presence(
        is_inside=True,
        zone_print=int(book.zones.prints[zone_ix]),
        device_id=fix.device_id,
        since_ms=fix.fix_ms,
        seen_ms=fix.fix_ms,
        visit_id=visit_id,
        group_id=_join_group(record, visit_id, fix.fix_ms, book),
        is_initial=bool(is_initial),
        dwell_ms=fix.fix_ms + round(policy.dwell_s * SECOND_MS),
        is_mocked=fix.is_mocked,
        after_ms=after_ms,
    )
    record.presences[zone_id] = presence
    return Transition(
        kind="enter",
        person_id=record.person_id,
        device_id=fix.device_id,
        zone_id=zone_id,
        zone_ix=zone_ix,
        visit_id=visit_id,
        group_id=presence.group_id,
        at_ms=fix.fix_ms,
        now_ms=fix.recv_ms,
        is_initial=presence.is_initial,
        is_mocked=fix.is_mocked,
        is_beacon=book.zones.kind[zone_ix] == PLACE,
        post_ix=fix.post_ix,
    )


def leave(
    record: Record,
    zone_id: str,
    zone_ix: int,
    *,
    at_ms: int,
    until_ms: int,
    now_ms: int,
    reason: str,
    post_ix: int = -1,
    is_beacon: bool = False,
) -> Transition:
    """Close a visit: it lasted until ``until_ms`` and is known to have ended at ``at_ms``."""
    presence = record.presences.pop(zone_id)
    return Transition(
        kind="exit",
        person_id=record.person_id,
        device_id=presence.device_id,
        zone_id=zone_id,
        zone_ix=zone_ix,
        visit_id=presence.visit_id,
        group_id=presence.group_id,
        at_ms=at_ms,
        now_ms=now_ms,
        is_initial=presence.is_initial,
        is_mocked=presence.is_mocked,
        is_beacon=is_beacon,
        duration_s=max(0, until_ms - presence.since_ms) / SECOND_MS,
        reason=reason,
        post_ix=post_ix,
    )


def _join_group(record: Record, visit_id: str, at_ms: int, book: Book) -> str:
    """The group of the visits still open that began recently, else a new one."""
    open_ids = {p.group_id for p in record.presences.values() if p.is_inside}
    record.groups = [group for group in record.groups if group.group_id in open_ids]
    for group in reversed(record.groups):
        if 0 <= at_ms - group.opened_ms <= book.engine.visit_group_ms:
            group.opened_ms = at_ms
            return group.group_id
    record.groups.append(Group(group_id=visit_id, opened_ms=at_ms))
    return visit_id


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
        sign = weigh(
            edge_m,
            float(book.zones.radius_m[zone_ix]),
            fix.accuracy_m,
            book.policy(zone_ix),
            is_circle=book.zones.kind[zone_ix] == CIRCLE,
            is_inside=False,
        )
        if sign is Sign.SURE_IN and presence.after_ms < fix.fix_ms < presence.since_ms:
            presence.since_ms = fix.fix_ms


# --- deadlines ----------------------------------------------------------------------------------


def _deadlines(presence: Presence, policy: Policy, is_place: bool) -> list[tuple[int, str]]:
    """When a visit dwells and when silence closes it, in the time of its fixes."""
    silence_s = policy.beacon_silence_s if is_place else policy.silence_s
    silence_ms = presence.seen_ms + round(silence_s * SECOND_MS)
    if not presence.is_inside:
        return [(silence_ms, "forget")]
    due = [(silence_ms, "silence")]
    if presence.dwell_ms >= 0 and _is_fresh(presence, policy):
        due.append((presence.dwell_ms, "dwell"))
    return due


def _is_fresh(presence: Presence, policy: Policy) -> bool:
    """Whether the person was heard of shortly before the dwell falls due."""
    return presence.dwell_ms - presence.seen_ms <= policy.fresh_s * SECOND_MS


def _all_deadlines(record: Record, book: Book) -> list[tuple[int, str, str]]:
    unheard = [
        (heard.seen_ms[-1] + HEARD_KEPT_MS, "unhear", zone_id)
        for zone_id, heard in record.heard.items()
    ]
    return unheard + [
        (due_ms, what, zone_id)
        for zone_id, presence in record.presences.items()
        if (zone_ix := book.zone_ix_of.get(zone_id)) is not None
        for due_ms, what in _deadlines(
            presence, book.policy(zone_ix), bool(book.zones.kind[zone_ix] == PLACE)
        )
    ]


def next_due_ms(record: Record, book: Book) -> int | None:
    """When, on our clock, the person's next deadline falls due; None for none."""
    deadlines = _all_deadlines(record, book)
    return min(deadlines)[0] + record.lag_ms if deadlines else None


def pass_deadlines(
    record: Record, book: Book, until_ms: int, now_ms: int, *, is_virtual: bool, post_ix: int = -1
) -> list[list[Transition]]:
    """Everything that fell due up to ``until_ms`` (time of the fixes, inclusive), in order.

    Each deadline is a moment of its own, hence the lists. With a virtual clock it becomes known
    exactly when due, lag added; with a real one at ``now_ms``.
    """
    moments: list[list[Transition]] = []
    while (deadlines := _all_deadlines(record, book)) and (due := min(deadlines))[0] <= until_ms:
        at_ms, what, zone_id = due
        known_ms = at_ms + record.lag_ms if is_virtual else now_ms
        if what in ("forget", "unhear"):
            del (record.presences if what == "forget" else record.heard)[zone_id]
            continue
        zone_ix, presence = book.zone_ix_of[zone_id], record.presences[zone_id]
        if what == "dwell":
            moments.append([_dwell(record, presence, zone_id, book, at_ms, known_ms, post_ix)])
            continue
        is_place = bool(book.zones.kind[zone_ix] == PLACE)
        if not is_place and presence.device_id in record.devices:
            record.devices[presence.device_id] = at_ms  # what comes from before can only repair
        moments.append(
            [
                leave(
                    record,
                    zone_id,
                    zone_ix,
                    at_ms=at_ms,
                    until_ms=presence.seen_ms,
                    now_ms=known_ms,
                    reason="silence",
                    post_ix=post_ix,
                    is_beacon=is_place,
                )
            ]
        )
    return moments


def _dwell(
    record: Record,
    presence: Presence,
    zone_id: str,
    book: Book,
    at_ms: int,
    now_ms: int,
    post_ix: int,
) -> Transition:
    presence.is_dwelled = True
    presence.dwell_ms = -1
    zone_ix = book.zone_ix_of[zone_id]
    return Transition(
        kind="dwell",
        person_id=record.person_id,
        device_id=presence.device_id,
        zone_id=zone_id,
        zone_ix=zone_ix,
        visit_id=presence.visit_id,
        group_id=presence.group_id,
        at_ms=at_ms,
        now_ms=now_ms,
        is_initial=presence.is_initial,
        is_mocked=presence.is_mocked,
        is_beacon=bool(book.zones.kind[zone_ix] == PLACE),
        duration_s=(at_ms - presence.since_ms) / SECOND_MS,
        post_ix=post_ix,
    )


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
        moments.append(close(record, zone_id, zone_ix, now_ms, "zone_changed"))
    return moments


def close(record: Record, zone_id: str, zone_ix: int, now_ms: int, reason: str) -> Transition:
    """Close a visit from outside the flow of fixes, now; it lasted until last heard of."""
    presence = record.presences[zone_id]
    at_ms = max(presence.seen_ms, now_ms - record.lag_ms)
    return leave(
        record,
        zone_id,
        zone_ix,
        at_ms=at_ms,
        until_ms=presence.seen_ms,
        now_ms=now_ms,
        reason=reason,
    )
