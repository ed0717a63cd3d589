"""Cassia: server-sent events of a stream that we open, each line of data one advertisement.

The stream does not name its gateway; whoever has opened it knows.
"""

from __future__ import annotations

from typing import Final

from geoengine.ingest.gateways.hearing import NO_JSON, NOT_ONE_OF_THESE, Hearing, read_json
from geoengine.ingest.reports import Decoded, Origin

_DATA: Final = b"data:"
# Of an event: what is no data, and what keeps the line open, which begins with a colon.
_OTHER: Final = (b":", b"event:", b"id:", b"retry:")


def decode(body: bytes, origin: Origin) -> Decoded:
    """Whole lines of the stream, or an event's JSON without the word before it."""
    hearing = Hearing(origin)
    if body.lstrip()[:1] in (b"{", b"["):
        value = read_json(body)
        events = value if isinstance(value, list) else [value]
    else:
        events = [read_json(line) for line in _data_lines(body)]
    for event in events:
        if isinstance(event, dict):
            hearing.hexes(
                event.get("adData"),
                event.get("rssi"),
                response=event.get("scanData"),
                seen=event.get("timestamp"),
            )
        else:
            hearing.drop(NO_JSON if event is None else NOT_ONE_OF_THESE)
    return hearing.decoded


def _data_lines(body: bytes) -> list[bytes]:
    lines = [line.strip() for line in body.splitlines()]
    return [line.removeprefix(_DATA) for line in lines if line and not line.startswith(_OTHER)]
