"""Kontakt.io's cloud: telemetry of its own tags, under the names that they have there.

No uuid is said, so nothing can be made of it but that somebody who looks sees it. The time is the
cloud's: the tag's own clock is in ``beaconTimestamp`` and was never set by anybody.
"""

from __future__ import annotations

from geoengine.ingest.gateways.hearing import NO_JSON, NOT_ONE_OF_THESE, Hearing, read_json
from geoengine.ingest.reports import Decoded, Origin


def decode(body: bytes, origin: Origin) -> Decoded:
    """The tags of one message, or of an array of them."""
    hearing = Hearing(origin)
    value = read_json(body)
    messages = value if isinstance(value, list) and value else [value]
    for message in messages:
        if not isinstance(message, dict) or "trackingId" not in message:
            hearing.drop(NO_JSON if value is None else NOT_ONE_OF_THESE)
            continue
        name = message["trackingId"]
        hearing.tag(
            name if isinstance(name, str) else "",
            message.get("rssi"),
            None,
            gateway=message.get("sourceId"),
            seen=message.get("timestamp"),
        )
    return hearing.decoded
