"""Theengs Gateway and OpenMQTTGateway: one message for each advertisement heard.

They decode iBeacons themselves; what they do not know they hand on as hex, without the head of the
structure that it was in. Which gateway heard it is said by the topic alone,
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
from geoengine.ingest.gateways.values import (
    NO_SIGNAL,
    NOT_JSON,
    dbm,
    heard_by,
    ibeacon,
    json_of,
    share,
    sighted,
)
from geoengine.ingest.reports import Decoded, Json, Origin

_LEVEL: Final = "BTtoMQTT"  # the one after the gateway's; what stands before is the user's choice
_EDDYSTONE: Final = "feaa"
_SHORT: Final = slice(4, 8)  # where a service's 16 bits stand in its 128


def decode(body: bytes, origin: Origin) -> Decoded:
    """The beacon of one message, if it is about one."""
    message = json_of(body)
    if not isinstance(message, dict):
        return Decoded(drops=[NOT_JSON])
    beacon = _decoded(message) or _undecoded(message)
    if beacon is None:
        return Decoded(drops=[NO_BEACON])
    rssi_dbm = dbm(message.get("rssi"))
    if rssi_dbm is None:
        return Decoded(drops=[NO_SIGNAL])
    return Decoded(
        [
            sighted(
                beacon,
                gateway_id=origin.gateway_id or _gateway(origin.topic),
                rssi_dbm=rssi_dbm,
                at_ms=origin.recv_ms,
                battery_pct=share(message.get("batt")),
            )
        ]
    )


def _decoded(message: Json) -> Beacon | None:
    """The iBeacon in their own words; its uuid may stand where the address usually does."""
    return ibeacon(
        message.get("uuid") or message.get("id"),
        message.get("major"),
        message.get("minor"),
        _tx_power(message),
    )


def _tx_power(message: Json) -> Any:
    """The power at 1 m.

    Where that byte is none, they take it for a battery's voltage and say ``volt``; a ``txpower``
    beside it is then the radio's output, which is something else.
    """
    if "volt" in message and message.get("model_id") == "IBEACON":
        return None
    return message.get("txpower", message.get("power"))


def _undecoded(message: Json) -> Beacon | None:
    held = hex_bytes(message.get("manufacturerdata"))
    if held is not None and (beacon := parse_manufacturer(held)) is not None:
        return beacon
    held = hex_bytes(message.get("servicedata"))
    if held is None or not _is_eddystone(message.get("servicedatauuid")):
        return None
    return parse_service(b"\xaa\xfe" + held)


def _is_eddystone(service: Any) -> bool:
    if not isinstance(service, str):
        return False
    number = service.lower().removeprefix("0x")
    return (number[_SHORT] if len(number) > 4 else number) == _EDDYSTONE


def _gateway(topic: str) -> str | None:
    levels = topic.split("/")
    if _LEVEL not in levels[1:]:
        return None
    return heard_by(levels[levels.index(_LEVEL, 1) - 1])
