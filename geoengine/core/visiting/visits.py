"""Visits: how one opens, dwells and closes, whoever says so, GPS, a beacon or a deadline."""

from __future__ import annotations

from math import nan

from msgspec import Struct

from geoengine.core.book import Book
from geoengine.core.ids import digest
from geoengine.core.record import Group, Kind, Presence, Record, Transition
from geoengine.core.units import SECOND_MS


class When(Struct, frozen=True, gc=False):
    """When something happened: by the fixes' time, by our clock, and in which post."""

    at_ms: int
    now_ms: int
    post_ix: int = -1  # -1 for a deadline


class Fix(Struct, frozen=True, gc=False):
    """One accepted fix of somebody worth a closer look, and what the index says of it."""

    device_id: str
    lon_deg: float
    lat_deg: float
    accuracy_m: float
    fix_ms: int
    recv_ms: int
    is_mocked: bool = False
    previous_ms: int = -1  # the device's fix before; -1 for a device that first appears
    previous_accuracy_m: float = nan  # of that fix, where known
    post_ix: int = -1
    is_late: bool = False
    edges: dict[int, float] = {}  # zone_ix -> edge_m, where inside
    crossed: tuple[tuple[int, float, float], ...] = ()  # zone_ix, fractions into and out of it
    told: dict[int, bool] = {}  # zone_ix -> whether the phone's own geofencing says it is inside

    @property
    def when(self) -> When:
        """When the fix was, and when it became known."""
        return When(self.fix_ms, self.recv_ms, self.post_ix)


def enter(
    record: Record, fix: Fix, zone_ix: int, book: Book, *, is_initial: bool | None = None
) -> Transition:
    """Open a visit at the time of the fix."""
    zone_id, policy = book.zones.ids[zone_ix], book.policy(zone_ix)
    pending = record.presences.get(zone_id)
    is_ours = pending is not None and pending.device_id == fix.device_id
    after_ms = pending.after_ms if pending is not None and is_ours else fix.previous_ms
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
        is_outline=zone_ix in book.zones.places and not book.is_place(zone_ix),
    )
    record.presences[zone_id] = presence
    return _told("enter", record, presence, zone_id, book, fix.when)


def is_of_beacons(zone_id: str, presence: Presence) -> bool:
    """Whether beacons told of the visit, also where the zone is gone.

    Only places in a store, STORE/PLACE, have a stroke in their name: of beacons, and its outline.
    """
    return "/" in zone_id and not presence.is_outline


def not_an_entry(record: Record, fix: Fix, zone_ix: int, book: Book) -> Transition:
    """What an entry with this fix would have been, for telling why it was none."""
    imagined = Record(record.person_id)
    return enter(imagined, fix, zone_ix, book)


def _join_group(record: Record, visit_id: str, at_ms: int, book: Book) -> str:
    """The group of the visits still open that began recently, else a new one."""
    open_ids = {p.group_id for p in record.presences.values() if p.is_inside}
    for group in reversed(record.groups):
        if group.group_id in open_ids and at_ms - group.opened_ms <= book.engine.visit_group_ms:
            group.opened_ms = max(group.opened_ms, at_ms)
            return group.group_id
    record.groups.append(Group(group_id=visit_id, opened_ms=at_ms))
    return visit_id


def drop_closed_groups(record: Record) -> None:
    """Forget the groups of which no visit is open, once their last moment has been judged."""
    open_ids = {p.group_id for p in record.presences.values() if p.is_inside}
    record.groups = [group for group in record.groups if group.group_id in open_ids]


def dwell(record: Record, zone_id: str, book: Book, when: When) -> Transition:
    """Note that a visit has lasted; once a visit."""
    presence = record.presences[zone_id]
    presence.is_dwelled = True
    presence.dwell_ms = -1
    lasted_ms = when.at_ms - presence.since_ms
    return _told("dwell", record, presence, zone_id, book, when, lasted_ms=lasted_ms)


def leave(
    record: Record, zone_id: str, book: Book, when: When, *, until_ms: int, reason: str
) -> Transition:
    """Close a visit: it lasted until ``until_ms`` and is known to have ended at ``when``."""
    presence = record.presences.pop(zone_id)
    lasted_ms = max(0, until_ms - presence.since_ms)
    return _told("exit", record, presence, zone_id, book, when, lasted_ms=lasted_ms, reason=reason)


def close(record: Record, zone_id: str, book: Book, now_ms: int, reason: str) -> Transition:
    """Close a visit from outside the flow of fixes, now; it lasted until last heard of."""
    seen_ms = record.presences[zone_id].seen_ms
    when = When(max(seen_ms, now_ms - record.lag_ms), now_ms)
    return leave(record, zone_id, book, when, until_ms=seen_ms, reason=reason)


def _told(
    kind: Kind,
    record: Record,
    presence: Presence,
    zone_id: str,
    book: Book,
    when: When,
    *,
    lasted_ms: int = 0,
    reason: str = "",
) -> Transition:
    zone_ix = book.zone_ix_of.get(zone_id, -1)
    return Transition(
        kind=kind,
        person_id=record.person_id,
        device_id=presence.device_id,
        zone_id=zone_id,
        zone_ix=zone_ix,
        visit_id=presence.visit_id,
        group_id=presence.group_id,
        at_ms=when.at_ms,
        now_ms=when.now_ms,
        is_initial=presence.is_initial,
        is_mocked=presence.is_mocked,
        is_beacon=book.is_place(zone_ix) if zone_ix >= 0 else is_of_beacons(zone_id, presence),
        duration_s=lasted_ms / SECOND_MS,
        reason=reason,
        post_ix=when.post_ix,
        since_ms=presence.since_ms,
    )
