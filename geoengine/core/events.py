"""Events that outsiders read: CloudEvents 1.0, the same id whenever the same thing is told again.

No event carries a person's position.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from geoengine.core.book import Book
from geoengine.core.calendar import rfc3339
from geoengine.core.ids import digest
from geoengine.core.record import Decision, Event, Transition

SOURCE = "/geoengine"
PREFIX = "geoengine."
_VERBS = {"enter": "entered", "dwell": "dwelled", "exit": "exited", "crossed": "crossed"}
# At one instant people first leave, then come; what follows from it comes after.
_RANKS = {"exited": 0, "closed": 1, "entered": 2, "dwelled": 3, "crossed": 4}
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

    def key(event: Event) -> tuple[int, str, int, str, str]:
        noun, _, verb = event.type.partition(".")
        rank = _RANKS.get(verb, 9) if noun in ("zone", "beacon", "visit") else 9
        return event.at_ms, event.person_id, rank, str(event.data.get("zone_id", "")), event.id

    return sorted(events, key=key)


def transition_events(transition: Transition, book: Book) -> list[Event]:
    """What a transition tells: itself, and for an exit the visit that it closed."""
    store = book.store_of(transition.zone_ix) if transition.zone_ix >= 0 else None
    noun = "beacon" if transition.is_beacon else "zone"
    data: dict[str, Any] = {
        "person_id": transition.person_id,
        "device_id": transition.device_id,
        "store_id": store.id if store else None,
        "zone_id": transition.zone_id,
        "visit_id": transition.visit_id,
    }
    if transition.kind == "enter":
        data["initial"] = transition.is_initial
    else:
        data["duration_s"] = transition.duration_s
    if transition.kind == "exit":
        data["reason"] = transition.reason
    told = [_event(f"{noun}.{_VERBS[transition.kind]}", transition, data)]
    if transition.kind == "exit" and not transition.is_beacon:
        told.append(_event("visit.closed", transition, data))
    return told


def _event(kind: str, transition: Transition, data: dict[str, Any]) -> Event:
    return Event(
        id=digest(kind, transition.visit_id, transition.at_ms),
        type=kind,
        at_ms=transition.at_ms,
        person_id=transition.person_id,
        data=data,
        post_ix=transition.post_ix,
    )


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
        data |= {"trigger_id": decision.trigger_id, "lever": decision.lever, **said}
    return Event(
        id=digest(
            "trigger", decision.outcome, decision.campaign_id, decision.visit_id, transition.kind
        ),
        type=f"trigger.{decision.outcome}",
        at_ms=decision.at_ms,
        person_id=decision.person_id,
        data=data,
        post_ix=transition.post_ix,
    )
