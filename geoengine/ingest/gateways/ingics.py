"""Ingics iGS01, iGS02 and iGS03: lines of text, bare or in a JSON list.

One message may hold what several gateways have heard.
"""

from __future__ import annotations

from typing import Final

from geoengine.ingest.adverts import TRUNCATED
from geoengine.ingest.gateways.hearing import NOT_ONE_OF_THESE, STATUS, Hearing, read_json
from geoengine.ingest.reports import Decoded, Origin

_HEARD: Final = frozenset({"$GPRP", "$RSPR", "$LRAD", "$LRSR", "$1MAD", "$1MSR"})
_STATUSES: Final = frozenset({"$GPSR", "$HBRP"})
_FIELDS: Final = 5  # kind, the tag's address, the gateway's, signal strength, advertisement


def decode(body: bytes, origin: Origin) -> Decoded:
    """What an Ingics gateway posted, published, or wrote to a socket."""
    hearing = Hearing(origin)
    for line in _lines(body):
        if isinstance(line, str) and (text := line.strip()):
            _hear(text.split(","), hearing)
        elif not isinstance(line, str):
            hearing.drop(NOT_ONE_OF_THESE)
    return hearing.decoded


def _lines(body: bytes) -> list[object]:
    value = read_json(body) if body.lstrip()[:1] in (b"{", b"[") else None
    if isinstance(value, dict):
        value = value.get("data")
    if isinstance(value, list):
        return value
    return list(body.decode("latin-1").splitlines())


def _hear(fields: list[str], hearing: Hearing) -> None:
    if fields[0] not in _HEARD:
        hearing.drop(STATUS if fields[0] in _STATUSES else NOT_ONE_OF_THESE)
    elif len(fields) < _FIELDS:
        hearing.drop(TRUNCATED)
    else:
        seen = fields[_FIELDS] if len(fields) > _FIELDS else None
        hearing.hexes(fields[4], fields[3], gateway=fields[2], seen=seen)
