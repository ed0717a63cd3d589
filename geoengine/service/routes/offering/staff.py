"""A store's own devices: who at the counter hears that somebody comes for an order."""

from __future__ import annotations

from typing import Final

from geoengine.core.calendar import rfc3339
from geoengine.core.telling.staff import DEVICES_MAX, Device
from geoengine.service.context import Call, Context
from geoengine.service.http.problems import Problem
from geoengine.service.routes.persons.naming import name_in
from geoengine.service.routes.table import GATEWAY, SERVER, Route
from geoengine.service.sending.rosters import register, take_away
from geoengine.service.wire.staff import (
    StoreDevice,
    StoreDeviceBody,
    StoreDeviceGone,
    StoreDevices,
)
from geoengine.state.staffing import devices_of

STAFF: Final = frozenset({GATEWAY, SERVER})


async def put_device(context: Context, call: Call) -> StoreDevice:
    """Register a device of a store for what its staff is told; again, to change its token."""
    store_id, device_id, body = _store(call), name_in(call, "device_id"), call.read(StoreDeviceBody)
    if store_id not in context.book.store_ix_of:
        raise Problem("not_found", f"No store `{store_id}`.")
    now_ms = context.clock()
    device = Device(body.platform, body.push_token, body.locale or "", now_ms)
    if not await register(context.state, store_id, device_id, device, now_ms):
        what = f"{DEVICES_MAX} devices: take one away first (DELETE)."
        raise Problem("too_many_devices", what)
    return _told(store_id, device_id, device)


async def delete_device(context: Context, call: Call) -> StoreDeviceGone:
    """Take a device away from a store: nothing more is begun to be sent to it."""
    store_id, device_id = _store(call), name_in(call, "device_id")
    was_there = await take_away(context.state, store_id, device_id, context.clock())
    return StoreDeviceGone(store_id, device_id, was_there)


async def get_devices(context: Context, call: Call) -> StoreDevices:
    """The devices of a store."""
    store_id = _store(call)
    devices = await devices_of(context.state, store_id)
    return StoreDevices([_told(store_id, name, one) for name, one in sorted(devices.items())])


def _store(call: Call) -> str:
    """The store in the path; a gateway's key speaks for the store that it is bound to."""
    store_id, caller = name_in(call, "store_id"), call.caller
    if caller.kind == GATEWAY and caller.store_id != store_id:
        expected = f"the store {caller.store_id}" if caller.store_id else "no store: STORE=KEY"
        raise Problem("forbidden", f"This key is bound to {expected}.")
    return store_id


def _told(store_id: str, device_id: str, device: Device) -> StoreDevice:
    return StoreDevice(
        store_id, device_id, device.platform, device.locale, rfc3339(device.since_ms)
    )


_STATE: Final = frozenset({503})
_DEVICES: Final = "/v1/stores/{store_id}/devices"
ROUTES_STAFF: tuple[Route, ...] = (
    Route("GET", _DEVICES, get_devices, STAFF, gives=StoreDevices, problems=_STATE),
    Route(
        "PUT", _DEVICES + "/{device_id}", put_device, STAFF,
        takes=StoreDeviceBody, gives=StoreDevice, problems=_STATE | {404, 409},
    ),
    Route(
        "DELETE", _DEVICES + "/{device_id}", delete_device, STAFF,
        gives=StoreDeviceGone, problems=_STATE,
    ),
)  # fmt: skip
