"""Ruuvi Gateway: all tags of ten seconds by HTTP, or one advertisement by MQTT.

It sends other makers' beacons only after its filter by company has been switched off.
"""

from __future__ import annotations

from geoengine.ingest.gateways.hearing import (
    NO_JSON,
    NOT_ONE_OF_THESE,
    STATUS,
    Hearing,
    read_json,
)
from geoengine.ingest.reports import Decoded, Json, Origin


def decode(body: bytes, origin: Origin) -> Decoded:
    """What a Ruuvi Gateway posted or published."""
    hearing = Hearing(origin)
    message = read_json(body)
    if not isinstance(message, dict):
        hearing.drop(NO_JSON if message is None else NOT_ONE_OF_THESE)
    elif isinstance(data := message.get("data"), dict):
        _hear_tags(data, hearing)
    elif "rssi" in message or isinstance(data, str):
        gateway = message.get("gw_mac") or _of_topic(origin.topic)
        _hear(message, hearing, gateway, message.get("ts") or message.get("gwts"))
    else:
        hearing.drop(STATUS if "gw_mac" in message or "state" in message else NOT_ONE_OF_THESE)
    return hearing.decoded


def _hear_tags(data: Json, hearing: Hearing) -> None:
    tags = data.get("tags")
    if not isinstance(tags, dict):
        hearing.drop(NOT_ONE_OF_THESE)
        return
    for tag in tags.values():
        if isinstance(tag, dict):
            seen = tag.get("timestamp") or data.get("timestamp")
            _hear(tag, hearing, data.get("gw_mac"), seen)
        else:
            hearing.drop(NOT_ONE_OF_THESE)


def _hear(tag: Json, hearing: Hearing, gateway: object, seen: object) -> None:
    hearing.hexes(tag.get("data"), tag.get("rssi"), gateway=gateway, seen=seen)


def _of_topic(topic: str) -> str | None:
    """The gateway in ``ruuvi/<gateway>/<tag>``, whose first part people may change."""
    parts = topic.split("/")
    return parts[-2] if len(parts) > 2 else None
