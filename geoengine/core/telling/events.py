"""Events that outsiders read: CloudEvents 1.0, the same id whenever the same thing is told again.

No event carries a person's position.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from geoengine.core.book import Book
from geoengine.core.calendar import rfc3339
from geoengine.core.ids import BETWEEN, Names
from geoengine.core.record import Decision, Event, Transition

SOURCE = "/geoengine"
PREFIX = "geoengine."
# kind of transition -> types of the events it tells; at zones, and at beacon places
_AT_ZONES = {
    "enter": ("zone.entered",),
    "dwell": ("zone.dwelled",),
    "exit": ("zone.exited", "visit.closed"),
    "crossed": ("zone.crossed",),
}
_AT_PLACES = {
    "enter": ("beacon.entered",),
    "dwell": ("beacon.dwelled",),
    "exit": ("beacon.exited",),
}
_TRIGGER = "trigger."
# At one instant people first leave, then come; what follows from it comes after.
_RANKS = {
    "zone.exited": 0, "beacon.exited": 0, "visit.closed": 1, "zone.entered": 2,
    "beacon.entered": 2, "zone.dwelled": 3, "beacon.dwelled": 3, "zone.crossed": 4,
}  # fmt: skip
_RANK_OF_OTHERS = 9
_NAMES = {type_: Names(type_) for type_ in _RANKS}
_NAMES_OF_OUTCOMES = {outcome: Names("trigger", outcome) for outcome in ("fired", "suppressed")}
_ENCODER = msgspec.json.Encoder()


def cloud_event(event: Event) -> dict[str, Any]:
    """The event as a CloudEvent, structured mode."""
    return {
        "specversion": "1.0",
        "id": event.id,
        "source": SOURCE,
        "type": PREFIX + event.type,
        "time": rfc3339(event.at_ms),
        "datacontenttype": "application/json",
        "data": event.data,
    }


def encode_event(event: Event) -> bytes:
    """The CloudEvent as one line of JSON, without the newline."""
    return _ENCODER.encode(cloud_event(event))


def in_order(events: Iterable[Event]) -> list[Event]:
    """Events by time; at the same instant by person, exits before entries, then by id."""
    return sorted(events, key=_place)


def _place(event: Event) -> tuple[int, str, int, str, str]:
    rank = _RANKS.get(event.type, _RANK_OF_OTHERS)
    return event.at_ms, event.person_id, rank, str(event.data.get("zone_id", "")), event.id


def transition_events(transition: Transition, book: Book) -> list[Event]:
    """What a transition tells: itself, and for an exit the visit that it closed."""
    kind = transition.kind
    store = book.store_of(transition.zone_ix) if transition.zone_ix >= 0 else None
    data: dict[str, Any] = {
        "person_id": transition.person_id,
        "device_id": transition.device_id,
        "store_id": store.id if store else None,
        "zone_id": transition.zone_id,
        "visit_id": transition.visit_id,
    }
    if kind == "enter":
        data["initial"] = transition.is_initial
    else:
        data["duration_s"] = transition.duration_s
    if kind == "exit":
        data["reason"] = transition.reason
    at_ms = transition.at_ms
    rest = f"{transition.visit_id}{BETWEEN}{at_ms}"
    return [
        Event(
            id=_NAMES[type_].of(rest),
            type=type_,
            at_ms=at_ms,
            person_id=transition.person_id,
            data=data,
            post_ix=transition.post_ix,
        )
        for type_ in (_AT_PLACES if transition.is_beacon else _AT_ZONES)[kind]
    ]


def decision_event(
    decision: Decision, transition: Transition, said: dict[str, Any] | None = None
) -> Event:
    """A trigger that fired, with what it says, or was suppressed, with the reason."""
    data: dict[str, Any] = {
        "person_id": decision.person_id,
        "device_id": transition.device_id,
        "store_id": decision.store_id or None,
        "zone_id": decision.zone_id,
        "visit_id": decision.visit_id,
        "campaign_id": decision.campaign_id,
        "on": transition.kind,
        "reason": decision.reason,
    }
    if said is not None:
        data["trigger_id"] = decision.trigger_id
        data["lever"] = decision.lever
        data.update(said)
    rest = f"{decision.campaign_id}{BETWEEN}{decision.visit_id}{BETWEEN}{transition.kind}"
    return Event(
        id=_NAMES_OF_OUTCOMES[decision.outcome].of(rest),
        type=_TRIGGER + decision.outcome,
        at_ms=decision.at_ms,
        person_id=decision.person_id,
        data=data,
        post_ix=transition.post_ix,
    )
