"""What apps, CRM and operators change about a person: consents, facts, identity.

Each function changes a record (a copy that the caller loaded) and returns what else follows.
"""

from __future__ import annotations

from collections import Counter

from geoengine.core.book import Book
from geoengine.core.events import transition_events
from geoengine.core.ids import digest
from geoengine.core.model import PURPOSES
from geoengine.core.record import Consent, Event, Json, Presence, Record
from geoengine.core.visits import close


def grant(record: Record, purpose: str, evidence: Json, now_ms: int) -> list[Event]:
    """Record consent for a purpose, with what proves it."""
    return _change_consent(record, purpose, True, evidence, now_ms)


def withdraw(record: Record, purpose: str, evidence: Json, book: Book, now_ms: int) -> list[Event]:
    """Record that consent is withdrawn; without `location` nobody is inside anywhere any more."""
    told = _change_consent(record, purpose, False, evidence, now_ms)
    if purpose == "location":
        told += close_all(record, book, now_ms, "consent_withdrawn")
        record.heard.clear()
        record.devices = dict.fromkeys(record.devices, -1)
        record.groups.clear()
        record.attended.clear()
        record.lag_ms = 0
    return told


def _change_consent(
    record: Record, purpose: str, is_granted: bool, evidence: Json, now_ms: int
) -> list[Event]:
    assert purpose in PURPOSES, purpose
    epoch = record.epoch(purpose) + 1
    record.consents[purpose] = Consent(is_granted, epoch, now_ms, evidence)
    return [
        Event(
            id=digest("consent", record.person_id, purpose, epoch),
            type="consent.changed",
            at_ms=now_ms,
            person_id=record.person_id,
            data={
                "person_id": record.person_id,
                "purpose": purpose,
                "granted": is_granted,
                "epoch": epoch,
            },
        )
    ]


def close_all(record: Record, book: Book, now_ms: int, reason: str) -> list[Event]:
    """Close every visit, and forget every half-confirmed sign of one."""
    told: list[Event] = []
    for zone_id, presence in list(record.presences.items()):
        if presence.is_inside:
            told += transition_events(close(record, zone_id, book, now_ms, reason), book)
        else:
            del record.presences[zone_id]
    return told


def merge(into: Record, device: Record, *, is_again: bool = False) -> None:
    """Take a device's record over into its owner's; where the two differ, the stricter holds.

    A purpose withdrawn on either side stays withdrawn; triggers of both count under the caps; of
    two presences in one zone the longer stay remains. ``is_again`` when an earlier try was cut
    short and the owner may have all of it but what came since: nothing is counted twice.
    """
    for purpose, theirs in device.consents.items():
        ours = into.consents.get(purpose)
        if ours is None:
            into.consents[purpose] = theirs
        elif ours.is_granted and not theirs.is_granted:
            into.consents[purpose] = Consent(
                False, max(ours.epoch, theirs.epoch) + 1, theirs.at_ms, theirs.evidence
            )
    for zone_id, presence in device.presences.items():
        into.presences[zone_id] = _longer(into.presences.get(zone_id), presence)
    into.addresses = device.addresses | into.addresses
    into.push_tokens = device.push_tokens | into.push_tokens
    into.attributes = device.attributes | into.attributes
    into.devices = device.devices | into.devices
    into.heard = device.heard | into.heard
    had = {group.group_id for group in into.groups}
    into.groups += [group for group in device.groups if group.group_id not in had]
    into.caps = into.caps or device.caps
    into.locale = into.locale or device.locale
    into.time_zone = into.time_zone or device.time_zone
    into.quiet_hours = into.quiet_hours or device.quiet_hours
    into.lag_ms = max(into.lag_ms, device.lag_ms)
    into.attended = device.attended | into.attended
    into.withheld = device.withheld | into.withheld
    known = {fired.trigger_id for fired in into.fired}
    news = [fired for fired in device.fired if fired.trigger_id not in known]
    into.fired = sorted([*into.fired, *news], key=lambda fired: fired.at_ms)
    counted = Counter(fired.campaign_id for fired in news) if is_again else device.fired_total
    for campaign_id, count in counted.items():
        into.fired_total[campaign_id] = into.fired_total.get(campaign_id, 0) + count


def _longer(ours: Presence | None, theirs: Presence) -> Presence:
    if ours is None:
        return theirs
    return min((ours, theirs), key=lambda presence: (not presence.is_inside, presence.since_ms))
