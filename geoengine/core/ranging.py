"""Beacon signal strengths -> who is at which place in a store.

A sighting is one advertisement heard; the places of a store are zones of kind PLACE. Strengths
are averaged over a few seconds because single ones are worth little: a body in the way costs as
much as three times the distance. They are compared as if all beacons were equally strong at a
metre. A place takes over from another only when it is louder by a margin, and for long enough.
Sources and measurements: DESIGN, "Presence", last sentence.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from geoengine.core.book import Book
from geoengine.core.places.policy import Policy
from geoengine.core.record import Heard, Record, Transition
from geoengine.core.units import SECOND_MS
from geoengine.core.visiting.visits import Fix, When, enter, leave

TRIM_FROM_COUNT = 10  # so many samples, and the loudest and the faintest tenth are left out
SAMPLES_MAX = 64
NOT_HEARD_DBM = -200.0
TOUCH_DBM = 0.0  # no radio is that loud: a tap, a scan, a sound of the room; one of them is proof
LEAVING_MARGINS = 3.0  # so many margins fainter than what lets in, and one is no longer near
# A challenger's lead over the place somebody is in grows by as many decibels a second as it is
# louder by beyond the margin, and shrinks by as many as it is not. It takes over with a lead of so
# much for each square decibel that the two fluctuate by: steady signals at once, real ones within a
# minute. That is Page's cumulative sum, whose false alarms are as rare as the exponential of
# threshold by variance. Measured: benchmarks/results/ranging.md.
LEAD_PER_UNREST = 8.0
UNREST_LEAST_DB2 = 6.0  # of two that are heard: some seconds of calm prove nothing
AHEAD_MAX_DB = 20.0  # counted at most: one moment decides nothing
TX_POWER_DBM = -59.0  # at a metre, of a beacon that does not say or says what cannot be
TX_POWERS_DBM = (-100.0, -20.0)  # what can be


@dataclass(frozen=True, slots=True)
class Sighting:
    """One registered beacon place, heard once on behalf of a person."""

    device_id: str
    zone_ix: int
    rssi_dbm: float
    seen_ms: int
    recv_ms: int
    post_ix: int = -1


def observe_sighting(record: Record, sighting: Sighting, book: Book) -> list[Transition]:
    """What one sighting changes: ``record`` is updated, the transitions are returned."""
    zone_id, policy = book.zones.ids[sighting.zone_ix], book.policy(sighting.zone_ix)
    heard = record.heard.setdefault(zone_id, Heard([], []))
    before_ms = heard.seen_ms[-1] if heard.seen_ms else sighting.seen_ms
    if not _remember(heard, sighting, policy):
        return []
    record.lag_ms = max(0, sighting.recv_ms - sighting.seen_ms)
    strength_dbm = smoothed_dbm(heard, sighting.seen_ms, policy.beacon_smooth_s)
    presence = record.presences.get(zone_id)
    if presence is not None:
        if strength_dbm >= policy.beacon_near_dbm - LEAVING_MARGINS * policy.beacon_margin_db:
            presence.seen_ms = max(presence.seen_ms, sighting.seen_ms)
            _keep_store_alive(record, sighting, book)
        return []
    rivals = _rivals(record, book)
    if sighting.rssi_dbm < TOUCH_DBM:
        lasted_s = (sighting.seen_ms - before_ms) / SECOND_MS
        if rivals and not _leads(record, sighting, rivals, heard, strength_dbm, lasted_s, book):
            return []
        if not _is_near(heard, sighting, policy) or not _is_confirmed(heard, sighting, policy):
            return []
    left = [_leave_place(record, rival_ix, sighting, book) for rival_ix in rivals]
    for other in record.heard.values():
        other.lead_dbs = 0.0  # over another place than now
    return [*left, *_arrive(record, sighting, book)]


def _leads(
    record: Record, sighting: Sighting, rivals: list[int], heard: Heard, strength_dbm: float,
    lasted_s: float, book: Book,
) -> bool:  # fmt: skip
    """Whether a place has been louder than the one its person stands in, by enough for long enough;
    its lead goes on by the time since it was heard last.
    """
    policy = book.policy(sighting.zone_ix)
    rival_dbm = max(_rival_dbm(record, rival_ix, sighting, book) for rival_ix in rivals)
    ahead_db = min(strength_dbm - rival_dbm, AHEAD_MAX_DB) - policy.beacon_margin_db
    counted_s = min(lasted_s, policy.beacon_smooth_s)
    heard.lead_dbs = max(0.0, heard.lead_dbs + ahead_db * counted_s)
    least_db2 = UNREST_LEAST_DB2 if rival_dbm > NOT_HEARD_DBM else 0.0
    unrest = max(least_db2, _unrest_db2(record, rivals, heard, book))
    return ahead_db >= 0 and heard.lead_dbs >= LEAD_PER_UNREST * unrest


def loudness_dbm(rssi_dbm: float, tx_power_dbm: float) -> float:
    """A strength as it would be of a beacon with `TX_POWER_DBM` at a metre; NaN is not told.

    >>> loudness_dbm(-70.0, -69.0), loudness_dbm(-70.0, 12.0)
    (-60.0, -70.0)
    """
    least_dbm, most_dbm = TX_POWERS_DBM
    if not least_dbm <= tx_power_dbm <= most_dbm:
        return rssi_dbm
    return rssi_dbm - tx_power_dbm + TX_POWER_DBM


def _unrest_db2(record: Record, rivals: list[int], heard: Heard, book: Book) -> float:
    """How much a challenger and the place it is held against fluctuate together."""
    others = [record.heard.get(book.zones.ids[rival_ix]) for rival_ix in rivals]
    unrest = [unrest_db2(other) for other in others if other is not None]
    return unrest_db2(heard) + max(unrest, default=0.0)


def unrest_db2(heard: Heard) -> float:
    """How much strengths fluctuate: half the mean square of their steps (von Neumann), which a
    change of place does not add to as it does to their variance.
    """
    steps = [after - before for before, after in pairwise(heard.rssi_dbm)]
    return sum(step * step for step in steps) / (2 * len(steps)) if steps else 0.0


def _rival_dbm(record: Record, rival_ix: int, sighting: Sighting, book: Book) -> float:
    """How loud the place is that somebody stands in; one not heard of lately is the faintest."""
    heard = record.heard.get(book.zones.ids[rival_ix])
    if heard is None:
        return NOT_HEARD_DBM
    return smoothed_dbm(heard, sighting.seen_ms, book.policy(rival_ix).beacon_smooth_s)


def _remember(heard: Heard, sighting: Sighting, policy: Policy) -> bool:
    """Add a sample; several within one second are one, the loudest. False for one too late."""
    newest_ms = heard.seen_ms[-1] if heard.seen_ms else -1
    if sighting.seen_ms // SECOND_MS == newest_ms // SECOND_MS:
        heard.rssi_dbm[-1] = max(heard.rssi_dbm[-1], sighting.rssi_dbm)
        return True
    if sighting.seen_ms < newest_ms:
        return False
    heard.seen_ms.append(sighting.seen_ms)
    heard.rssi_dbm.append(sighting.rssi_dbm)
    span_s = max(policy.beacon_within_s, policy.beacon_smooth_s, policy.beacon_silence_s)
    fresh = [
        i for i, at_ms in enumerate(heard.seen_ms) if at_ms >= sighting.seen_ms - span_s * SECOND_MS
    ]
    keep_from = max(fresh[0], len(heard.seen_ms) - SAMPLES_MAX)
    del heard.seen_ms[:keep_from], heard.rssi_dbm[:keep_from]
    return True


def smoothed_dbm(heard: Heard, at_ms: int, over_s: float) -> float:
    """Mean strength over the last so many seconds, trimmed when there are many samples."""
    since_ms = at_ms - over_s * SECOND_MS
    recent = sorted(
        dbm
        for seen_ms, dbm in zip(heard.seen_ms, heard.rssi_dbm, strict=True)
        if seen_ms >= since_ms
    )
    if not recent:
        return NOT_HEARD_DBM
    if len(recent) >= TRIM_FROM_COUNT:
        cut = len(recent) // 10
        recent = recent[cut : len(recent) - cut]
    return sum(recent) / len(recent)


def _is_near(heard: Heard, sighting: Sighting, policy: Policy) -> bool:
    """Loud enough now, and over all of the time in which a place is confirmed."""
    return all(
        smoothed_dbm(heard, sighting.seen_ms, over_s) >= policy.beacon_near_dbm
        for over_s in (policy.beacon_smooth_s, policy.beacon_within_s)
    )


def _is_confirmed(heard: Heard, sighting: Sighting, policy: Policy) -> bool:
    """By count and time: so many within a while, or as many running of a box that reports so rarely
    that they never are.
    """
    latest = heard.seen_ms[-policy.beacon_sightings :]
    if len(latest) < policy.beacon_sightings:
        return False
    if latest[0] >= sighting.seen_ms - policy.beacon_within_s * SECOND_MS:
        return True
    return all(after - before <= policy.beacon_silence_ms / 2 for before, after in pairwise(latest))


def _rivals(record: Record, book: Book) -> list[int]:
    """Beacon places the person stands in: one can be in one place at a time."""
    found = (book.zone_ix_of[zone_id] for zone_id, p in record.presences.items() if p.is_inside)
    return sorted(zone_ix for zone_ix in found if book.is_place(zone_ix))


def _as_fix(sighting: Sighting, previous_ms: int) -> Fix:
    return Fix(
        device_id=sighting.device_id,
        lon_deg=0.0,
        lat_deg=0.0,
        accuracy_m=0.0,
        fix_ms=sighting.seen_ms,
        recv_ms=sighting.recv_ms,
        previous_ms=previous_ms,
        post_ix=sighting.post_ix,
    )


def _leave_place(record: Record, zone_ix: int, sighting: Sighting, book: Book) -> Transition:
    zone_id = book.zones.ids[zone_ix]
    when = When(sighting.seen_ms, sighting.recv_ms, sighting.post_ix)
    until_ms = record.presences[zone_id].seen_ms
    return leave(record, zone_id, book, when, until_ms=until_ms, reason="left")


def _arrive(record: Record, sighting: Sighting, book: Book) -> list[Transition]:
    """Enter the place, and its store's zones around it: a beacon says more than GPS does."""
    previous_ms = record.devices.get(sighting.device_id, -1)
    fix = _as_fix(sighting, previous_ms)
    arrivals = [enter(record, fix, sighting.zone_ix, book, is_initial=False)]
    for area_ix in _areas_around(sighting.zone_ix, book):
        presence = record.presences.get(book.zones.ids[area_ix])
        if presence is None or not presence.is_inside:
            arrivals.append(enter(record, fix, area_ix, book))
    _keep_store_alive(record, sighting, book)
    return arrivals


def _areas_around(place_ix: int, book: Book) -> list[int]:
    """The zones of the place's store that the store itself stands in, and its outline."""
    store_ix = int(book.zones.store_ix[place_ix])
    spot = book.stores[store_ix].location
    return [
        area_ix
        for area_ix in book.areas_of_store(store_ix)
        if area_ix in book.zones.places or book.index.edge_m_one(area_ix, spot.lon, spot.lat) <= 0
    ]


def _keep_store_alive(record: Record, sighting: Sighting, book: Book) -> None:
    """Being heard at a place is a sign of life in all zones of its store."""
    for area_ix in book.areas_of_store(int(book.zones.store_ix[sighting.zone_ix])):
        presence = record.presences.get(book.zones.ids[area_ix])
        if presence is not None and presence.is_inside:
            presence.seen_ms = max(presence.seen_ms, sighting.seen_ms)
