"""Which devices a shop has, on a card a store; and what staff is told, addressed to them.

The step makes a row for the shop; here, before it is committed, the rows for its devices take the
row's place. A card is read for that only in a batch in which somebody comes for an order.
"""

from __future__ import annotations

from typing import Final

import msgspec

from geoengine.core.book import Book
from geoengine.core.record import Send
from geoengine.core.telling import staff
from geoengine.core.telling.staff import Device
from geoengine.state.base import Card, Cards

_PREFIX: Final = "staff/"
_unpack = msgspec.msgpack.Decoder(dict[str, Device]).decode


def card_name(store_id: str) -> str:
    """The name of the card of a store's devices."""
    return _PREFIX + store_id


def devices_on(card: Card | None) -> dict[str, Device]:
    """The devices that a card lists, by their ids."""
    return _unpack(card.body) if card is not None and card.body else {}


async def devices_of(state: Cards, store_id: str) -> dict[str, Device]:
    """The devices of a store, by their ids."""
    name = card_name(store_id)
    return devices_on((await state.cards([name])).get(name))


async def staffed(state: Cards, sends: list[Send], book: Book) -> list[Send]:
    """These rows, with one for each device of a shop in the place of the one for the shop."""
    shops = {send.store_id for send in sends if send.lever == staff.LEVER}
    if not shops:
        return sends
    cards = await state.cards([card_name(store_id) for store_id in sorted(shops)])
    rows = []
    for send in sends:
        if send.lever == staff.LEVER:
            devices = devices_on(cards.get(card_name(send.store_id)))
            rows += staff.to_devices(send, devices, book)
        else:
            rows.append(send)
    return rows
