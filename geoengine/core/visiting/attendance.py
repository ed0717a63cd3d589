"""Visits to shops: which stays in zones are proof of one, and when it is over.

A campaign's reach is no proof: who lives in it has not come. Three kinds of zones are, each with a
confidence of its own, `WITNESSES`. A shop may have several of them, and somebody walks from one to
the other: all that they tell of one store, with no gap longer than `engine.visit_group`, is one
visit. It is told when it is over, as facts stand once they are written; what it tells of is when it
began, and a late fix that moved the beginning has been heard by then.

Only transitions count here. So a visit is the same however a trace is cut into batches.
"""

from __future__ import annotations

from typing import NamedTuple

from geoengine.core.book import Book
from geoengine.core.calendar import duration_ms
from geoengine.core.ids import digest
from geoengine.core.judging.standing import came
from geoengine.core.record import Attended, Fact, Json, Record, Transition
from geoengine.core.units import SECOND_MS

PURPOSE = "measurement"
BEACON, OUTLINE, DOOR = "beacon", "outline", "door"
# How sure each is that its person was in the shop.
#
# A place of beacons lets in after three sightings within ten seconds, or a tap, which nobody hears
# outside: 0.95 is what a single one of its decisions is held to (DESIGN, "Presence"). Too high, and
# reports that ask for sure visits count walkers-by that a loud beacon was heard of through glass.
# An outline lets in at 95 % too, but of two fixes running 75 % are enough, and both may be wrong by
# the same wall: 0.9. What is near a door may be next door: how much that is worth depends on the
# street, so it is a setting, `engine.measure.door.confidence`.
WITNESSES = {BEACON: 0.95, OUTLINE: 0.90, DOOR: 0.60}
PATH_MAX = 64  # places of one visit that are remembered; who walks on is still there
_SURENESS = (DOOR, OUTLINE, BEACON)


class Visit(NamedTuple):
    """One visit to one shop, over."""

    store_id: str
    attended: Attended


class _Stay(NamedTuple):
    """A stay in one zone that proves a visit."""

    store_id: str
    by: str
    since_ms: int
    until_ms: int
    is_initial: bool
    place: str  # "" for none


def attend(record: Record, moment: list[Transition], book: Book) -> list[Visit]:
    """The visits that are over with these transitions of one moment; notes what has begun."""
    over: list[Visit] = []
    for transition in moment:
        stay = _witnessed(transition, book) if transition.kind == "exit" else None
        if stay is not None:
            over += _join(record, stay, book.engine.visit_group_ms)
    if record.attended:
        over += _ended(record, moment[-1].at_ms, book)
    return over


def visit_fact(record: Record, visit: Visit, book: Book) -> Fact:
    """The visit as reports count it."""
    attended = visit.attended
    data: Json = {
        "by": attended.by,
        "confidence": confidence(attended.by, book),
        "duration_s": (attended.until_ms - attended.since_ms) / SECOND_MS,
        "initial": attended.is_initial,
        "path": [[place, (until - since) / SECOND_MS] for place, since, until in attended.path],
    }
    visit_id = digest("attended", record.person_id, visit.store_id, attended.since_ms)
    return Fact(
        id=visit_id,
        kind="visit",
        person_id=record.person_id,
        at_ms=attended.since_ms,
        store_id=visit.store_id,
        visit_id=visit_id,
        data=data,
    )


def confidence(by: str, book: Book) -> float:
    """How sure a visit is that such a zone told of."""
    return book.engine.spec.measure.door.confidence if by == DOOR else WITNESSES[by]


def witness(zone_ix: int, book: Book) -> str:
    """How a zone proves a visit to its store: beacon, outline or door; "" for not at all.

    A door is a zone around the store, its reach or one drawn for it, small enough.
    """
    if book.store_of(zone_ix) is None:
        return ""
    if book.is_place(zone_ix):
        return BEACON
    if zone_ix in book.zones.places:
        return OUTLINE
    is_small = book.radius_m(zone_ix) <= book.engine.spec.measure.door.radius_m
    return DOOR if is_small and _is_around_store(zone_ix, book) else ""


def _is_around_store(zone_ix: int, book: Book) -> bool:
    store = book.store_of(zone_ix)
    assert store is not None
    spot = store.location
    return book.index.edge_m_one(zone_ix, spot.lon, spot.lat) <= 0


def _least_ms(by: str, book: Book) -> int:
    """How long a stay must last to be proof: longer than it takes to walk by.

    Of a door: who walks through a circle of 50 m at 1.3 m/s, and out of the moat of 30 m around
    it, is in it for 100 s, the slowest (0.8 m/s) for 160 s; of 777 doors that real phones and buses
    passed, three minutes take none for visited (benchmarks/results/visits.md). Of an outline, a fix
    or two that were thrown over the wall. Beacons take their time before they let in, and a tap has
    no length.
    """
    measure = book.engine.spec.measure
    return {BEACON: 0, OUTLINE: duration_ms(measure.outline_stay)}.get(
        by, duration_ms(measure.door.stay)
    )


def _witnessed(transition: Transition, book: Book) -> _Stay | None:
    """The stay that an exit closes, if it proves a visit."""
    zone_ix = transition.zone_ix
    if zone_ix < 0 or transition.is_mocked or not (by := witness(zone_ix, book)):
        return None
    lasted_ms = round(transition.duration_s * SECOND_MS)
    if lasted_ms < _least_ms(by, book):
        return None
    store = book.store_of(zone_ix)
    assert store is not None
    return _Stay(
        store.id,
        by,
        transition.since_ms,
        transition.since_ms + lasted_ms,
        transition.is_initial,
        book.zones.places.get(zone_ix, ""),
    )


def _join(record: Record, stay: _Stay, gap_ms: int) -> list[Visit]:
    """Add a stay to the visit it belongs to; the one before, if it begins another."""
    step = [(stay.place, stay.since_ms, stay.until_ms)] if stay.place else []
    told = Attended(stay.since_ms, stay.until_ms, stay.by, stay.is_initial, step)
    known = record.attended.get(stay.store_id)
    if known is None or stay.since_ms > known.until_ms + gap_ms:
        record.attended[stay.store_id] = told
        return [] if known is None else [Visit(stay.store_id, known)]
    record.attended[stay.store_id] = joined(known, told)
    return []


def joined(ours: Attended, theirs: Attended) -> Attended:
    """What two have told of one visit; the same told again adds nothing."""
    path = {(place, since_ms, until_ms) for place, since_ms, until_ms in ours.path + theirs.path}
    return Attended(
        since_ms=min(ours.since_ms, theirs.since_ms),
        until_ms=max(ours.until_ms, theirs.until_ms),
        by=max(ours.by, theirs.by, key=_SURENESS.index),
        is_initial=(ours if ours.since_ms <= theirs.since_ms else theirs).is_initial,
        path=sorted(path, key=lambda step: (*step[1:], step[0]))[:PATH_MAX],
    )


def _ended(record: Record, at_ms: int, book: Book) -> list[Visit]:
    """The visits that nothing can be added to any more."""
    over = [
        store_id
        for store_id, attended in record.attended.items()
        if not _goes_on(
            store_id, attended.until_ms + book.engine.visit_group_ms, at_ms, record, book
        )
    ]
    return [Visit(store_id, record.attended.pop(store_id)) for store_id in over]


def _goes_on(store_id: str, until_ms: int, at_ms: int, record: Record, book: Book) -> bool:
    """Whether the person is still somewhere in the store's zones, and may be in the shop again by
    ``until_ms``, or was.
    """
    for zone_id, presence in record.presences.items():
        zone_ix = book.zone_ix_of.get(zone_id, -1)
        store = book.store_of(zone_ix) if zone_ix >= 0 and presence.is_inside else None
        if store is not None and store.id == store_id:
            came_ms = presence.since_ms if witness(zone_ix, book) else at_ms
            if came_ms <= until_ms:
                return True
    return False


def facts_of(
    record: Record, moment: list[Transition], book: Book, assumed: frozenset[str]
) -> list[Fact]:
    """The facts of the visits that are over; of who did not agree to be measured none."""
    visits = attend(record, moment, book)
    for visit in visits:
        came(record, visit.store_id, visit.attended.since_ms)
    if not visits or not record.agrees(PURPOSE, assumed):
        return []
    return [visit_fact(record, visit, book) for visit in visits]
