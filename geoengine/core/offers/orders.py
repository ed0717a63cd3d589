"""Click and collect: what lies ready for somebody, and telling its shop that they come.

An order is the person's own, in their record, until it is collected, called off, or kept no longer.
The shop's staff is told once a visit, by the event ``order.approaching``: who was told of, which
order, and when they may be there. It says nothing of where they are.
"""

from __future__ import annotations

from typing import Final

from geoengine.core.book import MODES, Book
from geoengine.core.calendar import rfc3339
from geoengine.core.ids import digest
from geoengine.core.model import Mode
from geoengine.core.record import Event, Order, Record, Transition
from geoengine.core.space.geodesy import geodesic_one_m
from geoengine.core.units import MINUTE_MS, SECOND_MS
from geoengine.core.visiting.visits import Fix

APPROACHING: Final = "order.approaching"
ORDERS_MAX: Final = 50  # of one person at once; more are a shop's own, and a record stays small
# As the crow flies, metres a second, where the zone's own minutes do not tell: speed by detour, as
# the circles of `catalog.reach` have them in a city. Off by half, and staff waits or is late by
# two minutes of five.
_PACE_MPS: Final[dict[Mode | None, float]] = {
    None: 1.3 / 1.3,
    "walk": 1.3 / 1.3,
    "transit": 1.3 / 1.3,
    "bike": 15 / 3.6 / 1.5,
    "drive": 42 / 3.6 / 1.7,
}


def ready(record: Record, store_id: str, now_ms: int) -> dict[str, Order]:
    """What lies ready for somebody at a store just now, by the order's id."""
    return {
        order_id: order
        for order_id, order in record.orders.items()
        if order.store_id == store_id and order.ready_ms <= now_ms < order.until_ms
    }


def approaching(record: Record, transition: Transition, book: Book, fix: Fix | None) -> list[Event]:
    """What staff is to be told of somebody who comes into a zone of their store: once a visit.

    ``fix`` is where they were seen; None for who was heard by a beacon, and is there.
    """
    store = book.store_of(transition.zone_ix) if transition.zone_ix >= 0 else None
    is_late = transition.now_ms - transition.at_ms > book.engine.max_age_ms
    if store is None or transition.kind != "enter" or transition.is_mocked or is_late:
        return []
    told = []
    for order_id, order in ready(record, store.id, transition.now_ms).items():
        if order.group_id != transition.group_id:
            order.group_id, order.told_ms = transition.group_id, transition.now_ms
            told.append(_event(order_id, transition, book, arrival_s(transition, book, fix)))
    return told


def arrival_s(transition: Transition, book: Book, fix: Fix | None) -> int:
    """In how many seconds somebody may be at the store whose zone they came into.

    The zone's own minutes are the way from its edge, on its own streets where they were asked; so
    the way left takes its share of them. Elsewhere the usual pace of the zone's mode counts.
    """
    if fix is None or transition.is_beacon:
        return 0
    zone_ix, zones = transition.zone_ix, book.zones
    store = book.store_of(zone_ix)
    assert store is not None
    spot = store.location
    left_m = geodesic_one_m(fix.lon_deg, fix.lat_deg, spot.lon, spot.lat)
    minutes: float = zones.minutes.item(zone_ix)
    if minutes == minutes and book.radius_m(zone_ix) > 0:
        return round(minutes * MINUTE_MS / SECOND_MS * left_m / book.radius_m(zone_ix))
    return round(left_m / _PACE_MPS[MODES[zones.mode.item(zone_ix)]])


def _event(order_id: str, transition: Transition, book: Book, left_s: int) -> Event:
    store = book.store_of(transition.zone_ix)
    assert store is not None
    return Event(
        id=digest(APPROACHING, order_id, transition.group_id),
        type=APPROACHING,
        at_ms=transition.at_ms,
        person_id=transition.person_id,
        data={
            "person_id": transition.person_id,
            "store_id": store.id,
            "visit_id": transition.visit_id,
            "order_id": order_id,
            "arrival_s": left_s,
            "arrival": rfc3339(transition.at_ms + left_s * SECOND_MS),
        },
        post_ix=transition.post_ix,
    )
