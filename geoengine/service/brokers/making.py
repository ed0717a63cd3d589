"""The subscribers that an operator asked for."""

from __future__ import annotations

import os
from importlib.util import find_spec
from typing import TYPE_CHECKING

from geoengine.service.brokers.address import Address, addresses_of
from geoengine.service.context import Context
from geoengine.service.settings import Settings, SettingsError

if TYPE_CHECKING:
    from geoengine.service.brokers.subscriber import Subscriber


def wanted(settings: Settings) -> list[Address]:
    """The brokers of the settings. Raises `SettingsError` where they cannot be used."""
    addresses = addresses_of(settings.mqtt)
    if addresses and find_spec("aiomqtt") is None:
        raise SettingsError("--mqtt needs a library: pip install 'geoengine[mqtt]'")
    texts = [address.text for address in addresses]
    if len(set(texts)) < len(texts):
        raise SettingsError("GEOENGINE_MQTT: a broker is named twice")
    return addresses


def subscribers(context: Context, port: int) -> list[Subscriber]:
    """One for each broker, not yet connected; ``port`` is where this service listens."""
    addresses = wanted(context.settings)
    if not addresses:
        return []
    from geoengine.service.brokers.subscriber import Subscriber  # an optional extra

    return [
        Subscriber(context, address, client_id(context, address, port)) for address in addresses
    ]


def client_id(context: Context, address: Address, port: int) -> str:
    """The name that the broker keeps our session under.

    The same after a restart, and no other process's: the broker hangs up on the first of two.
    """
    name = address.options.client_id or f"geoengine-{os.uname().nodename}-{port}"
    return name if context.siblings is None else f"{name}-{context.siblings.berth.number}"
