"""Which decoder reads which kind of message.

A kind is a family of clients or gateways, under the name that its messages are known by; where our
route to it is named otherwise, that name will do too. A decoder is loaded with the first message
of its kind: a service that hears one family does not carry the others.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import Final

from geoengine.ingest.reports import Decoded, Decoder, Origin

_MODULES: Final = {
    "owntracks": "clients.owntracks",
    "overland": "clients.overland",
    "traccar_client": "clients.osmand",
    "osmand": "clients.osmand",
    "transistorsoft": "clients.bgeo",
    "bgeo": "clients.bgeo",
    "gpslogger": "clients.gpslogger",
    "minew_g1": "gateways.minew",
    "minew": "gateways.minew",
    "ingics": "gateways.ingics",
    "theengs_omg": "gateways.theengs",
    "theengs": "gateways.theengs",
    "espresense": "gateways.espresense",
    "ruuvi": "gateways.ruuvi",
    "moko": "gateways.moko",
    "meraki": "gateways.meraki",
    "room_assistant": "gateways.room_assistant",
    "april_brother": "gateways.april_brother",
    "blukii": "gateways.blukii",
    "cassia": "gateways.cassia",
    "aruba": "gateways.aruba",
    "kontakt": "gateways.kontakt",
    "mongoose_kiwi": "gateways.mongoose",
    "raw_adv": "gateways.raw_adv",
}


@cache
def _loaded(module: str) -> Decoder:
    decode: Decoder = import_module(f"geoengine.ingest.{module}").decode
    return decode


def _decoder(module: str) -> Decoder:
    def decode(body: bytes, origin: Origin) -> Decoded:
        return _loaded(module)(body, origin)

    return decode


KINDS: Final[dict[str, Decoder]] = {kind: _decoder(module) for kind, module in _MODULES.items()}
