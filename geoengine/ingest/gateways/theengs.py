"""Theengs Gateway and OpenMQTTGateway: one message for each advertisement heard.

They make iBeacons out by themselves; what they do not know they hand on in hex digits, without the
head of the structure that it was in. Which gateway heard it is said by the topic alone,
``home/<gateway>/BTtoMQTT/<address>``, and when is not said at all.
"""

from __future__ import annotations

from typing import Any, Final

from geoengine.ingest.adverts import (
    NO_BEACON,
    Beacon,
    hex_bytes,
    parse_manufacturer,
    parse_service,
)
from geoengine.ingest.gateways.hearing import (
    NO_JSON,
    NOT_ONE_OF_THESE,
    Hearing,
    percent,
    read_json,
    said_beacon,
)
from geoengine.ingest.reports import Decoded, Json, Origin

_LEVEL: Final = "BTtoMQTT"  # the one after the gateway's; what stands before is the user's choice
_EDDYSTONE: Final = b"\xaa\xfe"
_EDDYSTONE_DIGITS: Final = "feaa"
_SHORT: Final = slice(4, 8)  # where a service's 16 bits stand in its 128


def decode(body: bytes, origin: Origin) -> Decoded:
    """The beacon of one message, if it is about one."""
    hearing = Hearing(origin)
    message = read_json(body)
    if not isinstance(message, dict):
        hearing.drop(NO_JSON if message is None else NOT_ONE_OF_THESE)
    elif beacon := _said(message) or _undecoded(message):
        hearing.beacon(
            beacon,
            message.get("rssi"),
            gateway=_gateway(origin.topic),
            battery_pct=percent(message.get("batt")),
        )
    else:
        hearing.drop(NO_BEACON)
    return hearing.decoded


def _said(message: Json) -> Beacon | None:
    """The iBeacon in their own words; its uuid may stand where the address usually does."""
    uuid = message.get("uuid") or message.get("id")
    return said_beacon(uuid, message.get("major"), message.get("minor"), _power(message))


def _power(message: Json) -> Any:
    """The power at 1 m.

    Where that byte is none, they take it for a battery's voltage and say ``volt``; a ``txpower``
    beside it is then what the radio sends with, which is something else.
    """
    if "volt" in message and message.get("model_id") == "IBEACON":
        return None
    return message.get("txpower", message.get("power"))


def _undecoded(message: Json) -> Beacon | None:
    held = hex_bytes(message.get("manufacturerdata"))
    if held and (beacon := parse_manufacturer(held)):
        return beacon
    held = hex_bytes(message.get("servicedata"))
    if not held or not _is_eddystone(message.get("servicedatauuid")):
        return None
    return parse_service(_EDDYSTONE + held)


def _is_eddystone(service: object) -> bool:
    if not isinstance(service, str):
        return False
    digits = service.lower().removeprefix("0x")
    return (digits[_SHORT] if len(digits) > 4 else digits) == _EDDYSTONE_DIGITS


def _gateway(topic: str) -> str | None:
    levels = topic.split("/")
    return levels[levels.index(_LEVEL) - 1] if _LEVEL in levels[1:] else None
