"""Two records that turn out to be one person's: what becomes of both, the stricter of each.

Who is told of twice must not be able to hear more than who is told of once. So a purpose withdrawn
on either side stays withdrawn, triggers of both count under the caps, the caps and quiet hours of
both hold, the longer pause, and who is a minor on one side is one. What was stricter is noted, for
whoever asks why.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import TypeVar

from geoengine.core.consent import ledger
from geoengine.core.consent.people import begin_ledger
from geoengine.core.judging import withheld
from geoengine.core.record import Consent, Json, Presence, Record, Timed, Visited
from geoengine.core.visiting import attendance

MERGES_MAX = 64  # merges that are told of; a device a week for a year is somebody's mistake
FORMER = "former "  # begins the names of identifiers that gave way in a merge
_OF_AN_ADDRESS = ("sms", "email")  # purposes that mean one number or address, and no device
_Value = TypeVar("_Value")


def merge(
    into: Record,
    other: Record,
    *,
    is_again: bool = False,
    now_ms: int = 0,
    told: Json | None = None,
    is_vouched: bool = True,
) -> None:
    """Take another record over into its owner's; where the two differ, the stricter holds.

    ``is_again`` when an earlier try was cut short and the owner may have all of it but what came
    since: nothing is counted twice. ``told`` says who found out, and by what. Where only an app
    says so (not ``is_vouched``), a yes that was given without a number or an address is none for
    those of the person: whoever holds the app could give it in anybody's name.
    """
    unmeant = () if is_vouched else _OF_AN_ADDRESS
    stricter = _consents(into, other, unmeant, is_again=is_again, now_ms=now_ms)
    stricter += _restraint(into, other)
    _whereabouts(into, other)
    _facts(into, other, is_again=is_again)
    _counted(into, other, is_again=is_again)
    if told is not None and not is_again:
        note = {"at_ms": now_ms, "person_id": other.person_id} | told | {"stricter": stricter}
        into.merges = [*into.merges, *other.merges, note][-MERGES_MAX:]


def is_somebody(record: Record) -> bool:
    """Whether a record is a person's and no nameless device's: it has a device beside itself, or
    what only a server's key tells. Of a person who has neither there is nothing to tell it by. A
    pass is no such thing: one takes it on a phone, whether or not one has signed in there.
    """
    others = (record.devices.keys() | record.push_tokens.keys()) - {record.person_id}
    told = record.addresses.keys() - {"wallet"}
    return bool(others or told or record.identifiers or record.beacons)


def _consents(
    into: Record, other: Record, unmeant: tuple[str, ...], *, is_again: bool, now_ms: int
) -> list[str]:
    """Consents and their ledgers; which were made stricter."""
    if (other.consents or other.ledger) and not is_again:
        begin_ledger(into)
        begin_ledger(other)
        ledger.carry(into.ledger, other.ledger, now_ms)
    stricter = []
    for purpose, theirs in sorted(other.consents.items()):
        ours = into.consents.get(purpose)
        if ours is None and theirs.is_granted and purpose in unmeant:
            stricter.append(f"consent:{purpose}")
        elif ours is None:
            into.consents[purpose] = theirs
        elif ours.is_granted and not theirs.is_granted:
            epoch = max(ours.epoch, theirs.epoch) + 1
            into.consents[purpose] = Consent(False, epoch, theirs.at_ms, theirs.evidence)
            begin_ledger(into)
            ledger.append(into.ledger, purpose, "withdrawn", {"source": "merge"}, now_ms)
            stricter.append(f"consent:{purpose}")
        elif theirs.is_granted != ours.is_granted:
            stricter.append(f"consent:{purpose}")
    return stricter


def _restraint(into: Record, other: Record) -> list[str]:
    """Age, pause, quiet hours, cadence; which were made stricter."""
    before = (into.is_minor, into.paused_until_ms, into.quiet_hours, list(into.caps))
    into.is_minor = into.is_minor or other.is_minor
    into.paused_until_ms = max(into.paused_until_ms, other.paused_until_ms)
    into.quiet_hours = _both_hours(into.quiet_hours, other.quiet_hours)
    into.caps = [*into.caps, *(cap for cap in other.caps if cap not in into.caps)]
    after = (into.is_minor, into.paused_until_ms, into.quiet_hours, into.caps)
    names = ("minor", "pause", "quiet_hours", "caps")
    return [name for name, was, now in zip(names, before, after, strict=True) if was != now]


def _both_hours(ours: str, theirs: str) -> str:
    """Hours that hold when either does: rules after a comma add to those before it.

    >>> _both_hours("22:00-07:00", "12:00-14:00"), _both_hours("", "12:00-14:00")
    ('22:00-07:00, 12:00-14:00', '12:00-14:00')
    """
    if theirs in ("", ours) or theirs in ours.split(", "):
        return ours
    return f"{ours}, {theirs}" if ours else theirs


def _whereabouts(into: Record, other: Record) -> None:
    for zone_id, presence in other.presences.items():
        into.presences[zone_id] = _longer(into.presences.get(zone_id), presence)
    into.devices = other.devices | into.devices
    into.heard = other.heard | into.heard
    had = {group.group_id for group in into.groups}
    into.groups += [group for group in other.groups if group.group_id not in had]
    into.beacons = [*into.beacons, *(key for key in other.beacons if key not in into.beacons)]
    into.lag_ms = max(into.lag_ms, other.lag_ms)
    into.attended = _joined(into.attended, other.attended, attendance.joined)


def _longer(ours: Presence | None, theirs: Presence) -> Presence:
    if ours is None:
        return theirs
    return min((ours, theirs), key=lambda presence: (not presence.is_inside, presence.since_ms))


def _facts(into: Record, other: Record, *, is_again: bool) -> None:
    """What is known of them: what the person's own record says stands before the other's."""
    _keep_former(into, other)
    into.addresses = other.addresses | into.addresses
    into.take_push(other)
    into.attributes = other.attributes | into.attributes
    theirs = {name: one for name, one in other.identifiers.items() if not name.startswith(FORMER)}
    into.identifiers = theirs | into.identifiers
    into.locale = into.locale or other.locale
    into.time_zone = into.time_zone or other.time_zone
    into.orders = other.orders | into.orders
    into.timed = _joined(into.timed, other.timed, _later)
    both = _seen_twice if is_again else _seen_by_both
    into.visited = _joined(into.visited, other.visited, both)
    held = {coupon.trigger_id for coupon in into.coupons}
    into.coupons += [one for one in other.coupons if one.trigger_id not in held]


def _keep_former(into: Record, other: Record) -> None:
    """Note the addresses and numbers of the other that give way to the person's own."""
    for name, value in [*other.addresses.items(), *other.identifiers.items()]:
        kind = kind_of(name)
        if name.startswith(FORMER) or kind in into.addresses or kind in into.identifiers:
            keep_former(into, kind, value)


def keep_former(record: Record, kind: str, value: str) -> None:
    """Note an address or number that gives way to another: it is how somebody is looked up, and it
    goes when they are erased.
    """
    known = [record.addresses.get(kind), *_named(record.identifiers, kind)]
    if value not in known:
        count = sum(name.startswith(f"{FORMER}{kind} ") for name in record.identifiers)
        record.identifiers[f"{FORMER}{kind} {count + 1}"] = value


def _named(identifiers: dict[str, str], kind: str) -> list[str]:
    return [value for name, value in identifiers.items() if kind_of(name) == kind]


def kind_of(name: str) -> str:
    """What an identifier is, also a former one.

    >>> kind_of("loyalty"), kind_of("former sms 2")
    ('loyalty', 'sms')
    """
    return name.removeprefix(FORMER).split(" ")[0]


def _joined(
    ours: dict[str, _Value], theirs: dict[str, _Value], of_both: Callable[[_Value, _Value], _Value]
) -> dict[str, _Value]:
    shared = {key: of_both(ours[key], theirs[key]) for key in ours.keys() & theirs.keys()}
    return theirs | ours | shared


def _later(ours: Timed, theirs: Timed) -> Timed:
    return max(ours, theirs, key=lambda timed: timed.until_ms)


def _seen_by_both(ours: Visited, theirs: Visited) -> Visited:
    count = ours.visit_count + theirs.visit_count
    return Visited(count, min(ours.first_ms, theirs.first_ms), max(ours.last_ms, theirs.last_ms))


def _seen_twice(ours: Visited, theirs: Visited) -> Visited:
    return max(ours, theirs, key=lambda visited: visited.visit_count)


def _counted(into: Record, other: Record, *, is_again: bool) -> None:
    """Triggers of both, each once."""
    into.withheld = _joined(into.withheld, other.withheld, withheld.joined)
    known = {fired.trigger_id for fired in into.fired}
    news = [fired for fired in other.fired if fired.trigger_id not in known]
    into.fired = sorted([*into.fired, *news], key=lambda fired: fired.at_ms)
    counted = Counter(fired.campaign_id for fired in news) if is_again else other.fired_total
    for campaign_id, count in counted.items():
        into.fired_total[campaign_id] = into.fired_total.get(campaign_id, 0) + count
