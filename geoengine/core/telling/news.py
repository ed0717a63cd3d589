"""News for the retailer's systems: an event becomes a row of the outbox for each that takes it."""

from __future__ import annotations

from msgspec.structs import replace

from geoengine.core.book import Book
from geoengine.core.ids import digest
from geoengine.core.record import Event, Record, Send
from geoengine.core.telling.endpoints import SOLE
from geoengine.core.telling.events import cloud_event
from geoengine.core.units import HOUR_MS

EVENT_EXPIRES_MS = 76 * HOUR_MS  # as long as Standard Webhooks' example schedule keeps trying
LEVER = "webhook"


def news(event: Event, record: Record, book: Book, said_by: Send | None = None) -> list[Send]:
    """The rows that tell of an event; ``said_by`` is the message that the event is about.

    A message by the lever `webhook` is itself what its first taker hears. The others get it as news
    that is worth nothing after the message's end.
    """
    takers = book.endpoints.takers(event)
    if not takers:
        return []
    expires_ms = event.at_ms + EVENT_EXPIRES_MS
    if said_by is not None and said_by.lever == LEVER:
        takers = [id_ for id_ in takers if id_ != said_by.address]
        expires_ms = said_by.expires_ms
    return [_row(event, record, id_, expires_ms) for id_ in takers]


def addressed(send: Send, event: Event, book: Book) -> Send:
    """A message by the lever `webhook` with the endpoint it goes to: the first that takes what
    fired; where none does, the first there is.
    """
    if send.lever != LEVER:
        return send
    first = next(iter([*book.endpoints.takers(event), *book.endpoints]), SOLE)
    return send if first == send.address else replace(send, address=first)


def _row(event: Event, record: Record, endpoint_id: str, expires_ms: int) -> Send:
    return Send(
        send_id=event.id if endpoint_id == SOLE else digest(event.id, "to", endpoint_id),
        kind="event",
        person_id=record.person_id,
        lever=LEVER,
        created_ms=event.at_ms,
        expires_ms=expires_ms,
        due_ms=event.at_ms,
        event=cloud_event(event),
        address=endpoint_id,
        location_epoch=record.epoch("location"),
    )
