"""What a shop's own devices hear of somebody who comes for an order.

Its devices are no person's and are not known to the step, which touches nothing: so a step makes
one row for the shop (`word`), and whoever commits it puts one for each device in its place
(`to_devices`). The rows are in the commit that remembers that staff was told: nobody is told of
twice in a visit, and what a 2xx answered is on its way whatever falls over. Each row has an id of
its own that comes out the same whenever it is worked out again, and is tried, and ends, by itself.

The rows are their person's as far as `location` goes: withdrawn or erased, they go with the rest.
They are no message to that person. So they go by a lever of another name than `push`, and neither
that consent nor its end, caps or hours are theirs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from msgspec.structs import replace

from geoengine.core.book import Book
from geoengine.core.calendar import local_time, time_zone
from geoengine.core.ids import digest
from geoengine.core.model import StaffSpec, Store
from geoengine.core.record import Event, Json, Packed, Record, Send
from geoengine.core.saying.templates import in_language
from geoengine.core.telling.events import cloud_event
from geoengine.core.units import MINUTE_MS, SECOND_MS

LEVER: Final = "staff"
# Of one store at once. Each order that comes near is a row of the outbox for each of them.
DEVICES_MAX: Final = 20
# How long after the arrival it is still worth saying: about what an estimate is off by
# (`offers.orders`). Shorter, and who is at the door already is told of to nobody.
GRACE_MS: Final = 2 * MINUTE_MS
PLACEHOLDERS: Final = frozenset({"order", "minutes", "arrival", "store", "name"})


class Device(Packed):
    """A tablet or phone of a store."""

    platform: str
    token: str
    locale: str = ""
    since_ms: int = 0  # when it was registered last

    @property
    def address(self) -> str:
        """Where it is reached, as the lever `push` writes addresses."""
        return f"{self.platform}:{self.token}"


def word(event: Event, name: str, record: Record, now_ms: int) -> Send:
    """The row for the shop of an event ``order.approaching``, before its devices are known.

    ``name`` is what the order says that its owner is called by; "" for nothing.
    """
    arrival_ms = event.at_ms + event.data["arrival_s"] * SECOND_MS
    told = {key: event.data[key] for key in ("order_id", "store_id", "arrival")}
    row_id = digest(event.id, LEVER)
    said = Event(row_id, event.type, event.at_ms, record.person_id, told | {"name": name})
    return Send(
        send_id=row_id,
        kind="event",
        person_id=record.person_id,
        lever=LEVER,
        created_ms=now_ms,
        expires_ms=max(arrival_ms, now_ms) + GRACE_MS,
        due_ms=now_ms,
        event=cloud_event(said),
        store_id=event.data["store_id"],
        location_epoch=record.epoch("location"),
    )


def to_devices(send: Send, devices: Mapping[str, Device], book: Book) -> list[Send]:
    """The rows for the devices of a shop, by their ids, in the place of the one for the shop."""
    store_ix = book.store_ix_of.get(send.store_id)
    if store_ix is None:
        return []
    store, told = book.stores[store_ix], dict(send.event["data"])
    name = told.pop("name")
    arrival_ms = send.expires_ms - GRACE_MS
    left_ms = arrival_ms - send.created_ms
    words = words_of(store, told["order_id"], name, arrival_ms, left_ms)
    rows = []
    for device_id, device in sorted(devices.items()):
        row_id = digest(send.send_id, device_id)
        message = spoken(book.engine.spec.orders.staff, words, device.locale)
        data = told | {"device_id": device_id, "message": message}
        event = send.event | {"id": row_id, "data": data}
        rows.append(replace(send, send_id=row_id, address=device.address, event=event))
    return rows


def words_of(
    store: Store, order_id: str, name: str, arrival_ms: int, left_ms: int
) -> dict[str, str]:
    """What the templates may ask for; ``left_ms`` is how long it is to the arrival.

    The minutes are true when it is first tried, the time of day also after that. A minute is the
    least there is.
    """
    clock = local_time(arrival_ms, time_zone(store.time_zone or "UTC"))
    return {
        "order": order_id,
        "minutes": str(max(-(-left_ms // MINUTE_MS), 1)),
        "arrival": f"{clock:%H:%M}",
        "store": store.name,
        "name": name,
    }


def spoken(spec: StaffSpec, words: Mapping[str, str], locale: str) -> Json:
    """The message, filled in, in the language of a device."""
    locale, body = in_language(spec.message, locale)
    title = in_language(spec.title, locale)[1] if spec.title else ""
    said = {"title": title, "body": body}
    return {"locale": locale} | {key: text.format_map(words).strip() for key, text in said.items()}
