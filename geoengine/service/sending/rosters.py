"""The devices of shops: registered, taken away, and looked up once more before each push."""

from __future__ import annotations

from typing import Final

import msgspec
from msgspec.structs import replace

from geoengine.core.record import Record, Send
from geoengine.core.telling.staff import DEVICES_MAX, LEVER, Device
from geoengine.service.sending.preparing import Prepared
from geoengine.state.agreeing import amend_card
from geoengine.state.base import Card, Cards
from geoengine.state.staffing import card_name, devices_of, devices_on

NO_DEVICE: Final = "no_device"


class Roster:
    """Asked before each attempt: whether the shop still has the device, and where it is by now."""

    def __init__(self, state: Cards) -> None:
        self._state = state

    async def prepare(self, send: Send, record: Record, now_ms: int) -> Prepared:
        """The message to where the device is reached by now; ``no_device`` if it was taken away."""
        if send.lever != LEVER:
            return Prepared(send)
        devices = await devices_of(self._state, send.store_id)
        device = devices.get(send.event["data"]["device_id"])
        if device is None:
            return Prepared(send, NO_DEVICE)
        return Prepared(replace(send, address=device.address))


async def register(
    state: Cards, store_id: str, device_id: str, device: Device, now_ms: int
) -> bool:
    """Note a device of a store, in the place of what was noted of it; False where there are as many
    as there may be.
    """
    has_room = True

    def change(card: Card) -> Card | None:
        nonlocal has_room
        devices = devices_on(card)
        has_room = device_id in devices or len(devices) < DEVICES_MAX
        return _listing(card, devices | {device_id: device}) if has_room else None

    await amend_card(state, card_name(store_id), change, now_ms)
    return has_room


async def take_away(state: Cards, store_id: str, device_id: str, now_ms: int) -> bool:
    """The store has this device no more; whether it had."""
    was_there = False

    def change(card: Card) -> Card | None:
        nonlocal was_there
        devices = devices_on(card)
        was_there = devices.pop(device_id, None) is not None
        return _listing(card, devices) if was_there else None

    await amend_card(state, card_name(store_id), change, now_ms)
    return was_there


async def forget_address(
    state: Cards, store_id: str, address: str, now_ms: int, since_ms: int = 0
) -> None:
    """Nobody is reached there any more, ``since_ms`` where that is known. A device that has another
    address by now stays, and one that was registered again since.
    """

    def is_dead(device: Device) -> bool:
        return device.address == address and not 0 < since_ms < device.since_ms

    def change(card: Card) -> Card | None:
        devices = devices_on(card)
        left = {name: one for name, one in devices.items() if not is_dead(one)}
        return _listing(card, left) if len(left) < len(devices) else None

    await amend_card(state, card_name(store_id), change, now_ms)


def _listing(card: Card, devices: dict[str, Device]) -> Card:
    """The card with these on it; one that lists none is taken away."""
    return replace(card, body=msgspec.msgpack.encode(devices) if devices else b"")
