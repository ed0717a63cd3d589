"""Orders that lie ready, and baskets that were left: what CRM and shops tell of people."""

from __future__ import annotations

from typing import Final

from msgspec import UNSET, UnsetType

from geoengine.core.calendar import duration_ms, rfc3339
from geoengine.core.judging.standing import BASKET
from geoengine.core.record import Order, Record, Timed
from geoengine.core.units import CLOCK_AHEAD_MS, DAY_MS
from geoengine.ingest.names import is_name
from geoengine.ingest.times import time_ms
from geoengine.service.context import Call, Context
from geoengine.service.http.problems import Problem
from geoengine.service.orders import PREFIX, Filed, close, filed_in, place
from geoengine.service.routes.persons.naming import owner_of, record_of
from geoengine.service.routes.table import Route
from geoengine.service.wire.orders import (
    BasketBody,
    BasketOut,
    Closed,
    OrderBody,
    OrderOut,
    OrdersOut,
    OrdersQuery,
)
from geoengine.state import amending
from geoengine.state.amending import Amended

KEPT_MS: Final = 7 * DAY_MS  # how long shops keep what nobody collects, where nothing is said
KEPT_MAX_MS: Final = 90 * DAY_MS
BASKET_MAX_MS: Final = 90 * DAY_MS


async def post_order(context: Context, call: Call) -> OrderOut:
    """Say that an order lies ready at a store, or will; told again, the last word counts."""
    body = call.read(OrderBody)
    if not is_name(body.order_id):
        raise Problem("malformed", "order_id holds control characters - at `$.order_id`")
    person_id = await _person(context, body.person_id)
    if body.store_id not in context.book.store_ix_of:
        raise Problem("malformed", f"No store `{body.store_id}` - at `$.store_id`")
    now_ms = context.clock()
    ready_ms = _time(body.ready_at, "ready_at", now_ms)
    until_ms = _time(body.until, "until", max(ready_ms, now_ms) + KEPT_MS)
    if not max(ready_ms, now_ms - CLOCK_AHEAD_MS) < until_ms <= now_ms + KEPT_MAX_MS:
        what = "until: expected a time after ready_at, to come, within 90 days - at `$.until`"
        raise Problem("malformed", what)
    name = "" if body.name is UNSET else body.name.strip()
    if not name.isprintable():
        raise Problem("malformed", "name holds control characters - at `$.name`")
    filed = Filed(body.order_id, person_id, body.store_id, ready_ms, until_ms, name)
    return _told(body.order_id, person_id, await place(context, filed))


async def delete_order(context: Context, call: Call) -> Closed:
    """An order was collected, or called off: nobody is told of it any more."""
    return Closed(await close(context, call.path["order_id"]))


async def get_orders(context: Context, call: Call) -> OrdersOut:
    """What lies ready: of a person, of a store, or everything."""
    query, now_ms = call.ask(OrdersQuery), context.clock()
    if query.person_id:
        person_id = await _person(context, query.person_id)
        record = await record_of(context, person_id)
        orders = [_told(order_id, person_id, order) for order_id, order in record.orders.items()]
        shown = [one for one in orders if query.store_id in ("", one.store_id)]
        return OrdersOut(shown, "")
    page = await context.state.cards_from(PREFIX, query.start, query.limit)
    every = [filed_in(card) for card in page.cards]
    asked = [one for one in every if query.store_id in ("", one.store_id) and one.until_ms > now_ms]
    return OrdersOut([await _looked_up(context, one) for one in asked], page.next)


async def post_basket(context: Context, call: Call) -> BasketOut:
    """Say that somebody left something in a basket: audiences may ask about it for a while."""
    body = call.read(BasketBody)
    person_id = await _person(context, body.person_id)
    if body.url is not UNSET and not body.url.isprintable():
        raise Problem("malformed", "url holds what no URL does - at `$.url`")
    life_ms = duration_ms(body.expires_in)
    if not 0 < life_ms <= BASKET_MAX_MS:
        raise Problem("malformed", "expires_in: expected up to 90d - at `$.expires_in`")
    until_ms = context.clock() + life_ms
    told = {"url": body.url, "value": body.value, "items": body.items}
    left = {name: value for name, value in told.items() if value is not UNSET}

    def change(record: Record) -> None:
        record.timed[BASKET] = Timed(left, until_ms)

    await amending.amend(context.state, context.book, person_id, change, context.clock())
    return BasketOut(person_id, rfc3339(until_ms))


async def delete_basket(context: Context, call: Call) -> Closed:
    """The basket was ordered, or emptied."""
    person_id, was_there = await owner_of(context, call), False

    def change(record: Record) -> Amended | None:
        nonlocal was_there
        was_there = record.timed.pop(BASKET, None) is not None
        return None if was_there else Amended(is_nothing=True)

    await amending.amend(context.state, context.book, person_id, change, context.clock())
    return Closed(was_there)


async def _looked_up(context: Context, filed: Filed) -> OrderOut:
    (person_id,) = await context.state.owners([filed.person_id])
    known = (await record_of(context, person_id)).orders.get(filed.order_id)
    order = known or Order(filed.store_id, filed.ready_ms, filed.until_ms, name=filed.name)
    return _told(filed.order_id, person_id, order)


async def _person(context: Context, name: str) -> str:
    if not is_name(name):
        raise Problem("malformed", "person_id holds control characters - at `$.person_id`")
    (person_id,) = await context.state.owners([name])
    return person_id


def _time(value: str | float | int | UnsetType, name: str, usual_ms: int) -> int:
    if value is UNSET:
        return usual_ms
    at_ms = time_ms(value)
    if at_ms <= 0:
        raise Problem("malformed", f"{name} is no time - at `$.{name}`")
    return at_ms


def _told(order_id: str, person_id: str, order: Order) -> OrderOut:
    return OrderOut(
        order_id=order_id,
        person_id=person_id,
        store_id=order.store_id,
        ready_at=rfc3339(order.ready_ms),
        until=rfc3339(order.until_ms),
        name=order.name,
        told_at=rfc3339(order.told_ms) if order.told_ms > 0 else None,
    )


_STATE: Final = frozenset({503})
ROUTES_ORDERS: tuple[Route, ...] = (
    Route("POST", "/v1/orders", post_order, takes=OrderBody, gives=OrderOut, problems=_STATE),
    Route(
        "GET", "/v1/orders", get_orders, gives=OrdersOut, query=OrdersQuery, problems=_STATE,
    ),
    Route("DELETE", "/v1/orders/{order_id}", delete_order, gives=Closed, problems=_STATE),
    Route("POST", "/v1/baskets", post_basket, takes=BasketBody, gives=BasketOut, problems=_STATE),
    Route("DELETE", "/v1/baskets/{person_id}", delete_basket, gives=Closed, problems=_STATE),
)  # fmt: skip
