"""Where orders are found by their number: a card each, beside the record that holds the order.

The record says what lies ready for a person, as the rules read it; the card says whose an order is.
The card is written first and taken away last, so that whoever is cut off in between can do the
same again; and it is looked at once more after the record was written, because another may have
told of the same order meanwhile. It goes with its person, and by itself when the order is kept no
longer.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import msgspec
from msgspec import Struct

from geoengine.core.ids import digest
from geoengine.core.judging.standing import BASKET
from geoengine.core.offers.orders import ORDERS_MAX
from geoengine.core.record import Order, Record
from geoengine.service.context import Context
from geoengine.service.http.problems import Problem
from geoengine.state import amending
from geoengine.state.agreeing import amend_card
from geoengine.state.amending import Amended
from geoengine.state.base import Card

PREFIX: Final = "order/"


class Filed(Struct, array_like=True):
    """What a card says of an order."""

    order_id: str
    person_id: str
    store_id: str
    ready_ms: int
    until_ms: int
    name: str = ""  # what staff is to call its owner by


def card_name(order_id: str) -> str:
    """The name of an order's card; a number that people are called up by stands in no name."""
    return PREFIX + digest("order", order_id)


def filed_in(card: Card) -> Filed:
    """What the card of an order says."""
    return msgspec.msgpack.decode(card.body, type=Filed)


async def filed(context: Context, order_id: str) -> Filed | None:
    """What is known of an order; None for nothing."""
    name = card_name(order_id)
    card = (await context.state.cards([name])).get(name)
    return None if card is None else filed_in(card)


async def place(context: Context, order: Filed) -> Order:
    """Put an order into its person's record; told again, it is what was told last."""
    before = await filed(context, order.order_id)
    if before is not None and await _owner(context, before) != order.person_id:
        await _drop(context, before)

    def changed(card: Card) -> Card:
        nonlocal before
        before = filed_in(card) if card.body else None
        return msgspec.structs.replace(
            card,
            body=msgspec.msgpack.encode(order),
            owner=order.person_id,
            until_ms=order.until_ms,
        )

    await amend_card(context.state, card_name(order.order_id), changed, context.clock())
    if before is not None and await _owner(context, before) != order.person_id:
        await _drop(context, before)  # told of since the first look
    return await _settled(context, order)


async def _settled(context: Context, order: Filed) -> Order:
    """Put an order into its person's record, as the card has it. Of several who tell of it at once
    the one whose card is the last is right, whosever record is written last.
    """
    kept = await _put(context, order)
    filed_now = await filed(context, order.order_id)
    if filed_now == order:
        return kept
    if filed_now is None or await _owner(context, filed_now) != await _owner(context, order):
        await _drop(context, order)
    if filed_now is not None:  # what we dropped before may have been theirs, told again
        await _settled(context, filed_now)
    return kept


async def _put(context: Context, order: Filed) -> Order:
    """Put an order into its person's record; what is kept of it there."""
    kept = Order(order.store_id, order.ready_ms, order.until_ms, name=order.name)

    def change(record: Record) -> None:
        nonlocal kept
        known = record.orders.get(order.order_id)
        if known is None:
            if len(record.orders) >= ORDERS_MAX:
                raise Problem("bad_parameter", f"{ORDERS_MAX} orders of one person at once.")
            record.timed.pop(BASKET, None)  # what was left there has been ordered
        elif known.store_id == order.store_id:
            kept.told_ms, kept.group_id = known.told_ms, known.group_id
        record.orders[order.order_id] = kept

    await _amend(context, order.person_id, change)
    return kept


async def close(context: Context, order_id: str) -> bool:
    """Collected, or called off: nobody is told of it any more; whether it was there."""
    known = await filed(context, order_id)
    if known is None:
        return False
    await _drop(context, known)

    def gone(card: Card) -> Card | None:
        return msgspec.structs.replace(card, body=b"") if card.body else None

    await amend_card(context.state, card_name(order_id), gone, context.clock())
    return True


async def _drop(context: Context, known: Filed) -> None:
    def change(record: Record) -> Amended | None:
        gone = record.orders.pop(known.order_id, None)
        return Amended(is_nothing=True) if gone is None else None

    await _amend(context, await _owner(context, known), change)


async def _owner(context: Context, known: Filed) -> str:
    """Whose it is by now: a device may have turned out to be somebody's."""
    (person_id,) = await context.state.owners([known.person_id])
    return person_id


async def _amend(
    context: Context, person_id: str, change: Callable[[Record], Amended | None]
) -> None:
    await amending.amend(context.state, context.book, person_id, change, context.clock())
