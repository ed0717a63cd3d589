"""Kontakt.io's cloud: telemetry of its own tags, under the names that they have there.

No uuid is said, so a tag is heard by name; where that is its address, it has none. Our time is the
cloud's: the tag's own clock is in ``beaconTimestamp`` and was never set by anybody.
"""

from __future__ import annotations

from geoengine.ingest.adverts import NO_BEACON
from geoengine.ingest.gateways.values import (
    BAD_TIME,
    NO_SIGNAL,
    NOT_JSON,
    dbm,
    entries,
    heard_by,
    json_of,
    named,
    put,
    seen_ms,
    text_of,
)
from geoengine.ingest.reports import Decoded, Json, Origin, Sighted


def decode(body: bytes, origin: Origin) -> Decoded:
    """The tags of one message, or of an array of them."""
    value = json_of(body)
    messages = entries([value] if isinstance(value, dict) else value)
    if not messages:
        return Decoded(drops=[NOT_JSON])
    found = Decoded()
    for message in messages:
        put(found, _told(message, origin))
    return found


def _told(message: Json, origin: Origin) -> Sighted | str:
    rssi_dbm = dbm(message.get("rssi"))
    if rssi_dbm is None:
        return NO_SIGNAL
    at_ms = seen_ms(message.get("timestamp"), origin.recv_ms)
    if at_ms is None:
        return BAD_TIME
    tag = named(
        text_of(message.get("trackingId")) or "",
        gateway_id=origin.gateway_id or heard_by(message.get("sourceId")),
        rssi_dbm=rssi_dbm,
        tx_power_dbm=None,
        at_ms=at_ms,
    )
    return tag or NO_BEACON
