"""Mongoose OS's Kiwi: one advertisement and its scan response in each message."""

from __future__ import annotations

from geoengine.ingest.gateways.hearing import NO_JSON, NOT_ONE_OF_THESE, Hearing, read_json
from geoengine.ingest.reports import Decoded, Origin


def decode(body: bytes, origin: Origin) -> Decoded:
    """What a Kiwi published."""
    hearing = Hearing(origin)
    message = read_json(body)
    if not isinstance(message, dict):
        hearing.drop(NO_JSON if message is None else NOT_ONE_OF_THESE)
    elif "adv" not in message and "scan" not in message:
        hearing.drop(NOT_ONE_OF_THESE)
    else:
        hearing.hexes(
            message.get("adv"),
            message.get("rssi"),
            response=message.get("scan"),
            gateway=message.get("gw"),
        )
    return hearing.decoded
