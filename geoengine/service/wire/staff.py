"""The devices of stores as they go over the wire."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

from geoengine.service.http.wire import Locale


class StoreDeviceBody(Struct, forbid_unknown_fields=True):
    """Where a store's tablet or phone is reached. Told again, the last word counts."""

    push_token: Annotated[str, Meta(min_length=1, max_length=1_000)]
    platform: Literal["ios", "android", "web"]
    locale: Annotated[Locale, Meta(description="The language of what it shows: fr-FR.")] | None = (
        None
    )


class StoreDevice(Struct):
    """A device of a store; its token is not told again."""

    store_id: str
    device_id: str
    platform: str
    locale: str
    registered_at: str


class StoreDevices(Struct):
    """All devices of a store, by their ids."""

    devices: list[StoreDevice]


class StoreDeviceGone(Struct):
    """A device that is taken away, and whether it was there."""

    store_id: str
    device_id: str
    was_there: bool
