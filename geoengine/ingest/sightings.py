"""Sightings: iBeacons heard by phones and by gateways, decoded into columns and rejects."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import tzinfo
from functools import lru_cache
from typing import Final, TypeVar

import numpy as np
from msgspec import Struct

from geoengine.core.columns import Longs, Sightings
from geoengine.core.ids import touch_key
from geoengine.core.model import TOUCH_KINDS
from geoengine.core.ranging import TOUCH_DBM
from geoengine.ingest.names import is_name
from geoengine.ingest.pings import time_reason
from geoengine.ingest.times import MISSING_MS, times_ms
from geoengine.ingest.wire import Malformed, Reject, Rows, Wire

_UUID = re.compile(r"[0-9a-f]{32}", re.ASCII)
_MAX_U16: Final = 65_535
_CODE_MAX: Final = 512  # characters
# A radio reports signal strength as a signed byte; 0 and above, and 127, are its words for none.
_DBM_MIN: Final = -128.0


class Sighting(Struct, gc=False):
    """One beacon heard once, or of another ``kind`` a ``code`` that was tapped, scanned or heard;
    keys that are not here are ignored.
    """

    uuid: str | None = None
    major: int | None = None
    minor: int | None = None
    rssi_dbm: float | None = None
    tx_power_dbm: float | None = None
    seen_time: int | float | str | None = None
    device_id: str | None = None
    gateway_id: str | None = None
    kind: str | None = None
    code: str | None = None


@dataclass(frozen=True, slots=True)
class Heard:
    """What a body held: S good sightings as columns, the rejects, and how many rows there were.

    ``row_ix``, shape (S,), is the position of each sighting in the body.
    """

    sightings: Sightings
    rejects: list[Reject]
    count: int
    row_ix: Longs


S = TypeVar("S", bound=Sighting)
_WIRE = Wire(Sighting)

read_sighting_lines = _WIRE.lines
"""The rows of a part of a body that has one a line, for `heard_of`."""


def decode_sightings(body: bytes, *, recv_ms: int, post_ix: int = 0) -> Heard | Malformed:
    """The sightings of a body: one JSON object, an array of them, or NDJSON.

    Parameters as for `geoengine.ingest.pings.decode_pings`. Never raises.
    """
    rows = _WIRE.rows(body)
    if isinstance(rows, Malformed):
        return rows
    return heard_of(rows, recv_ms=recv_ms, post_ix=post_ix)


def heard_of(
    rows: Rows[S],
    *,
    recv_ms: int | Longs | None,
    post_ix: int = 0,
    zone: tzinfo | None = None,
    start_ms: int | None = None,
) -> Heard:
    """Check typed sightings and lay the good ones out as columns.

    ``recv_ms`` None, or `MISSING_MS` in a row of it, says that a sighting was heard of when it
    happened, as in a recorded trace. ``zone`` and ``start_ms`` as in `times_ms`.
    """
    place = range(rows.count) if rows.row_ix is None else rows.row_ix
    seen_ms = times_ms([item.seen_time for item in rows.items], zone=zone, start_ms=start_ms)
    recv = np.broadcast_to(MISSING_MS if recv_ms is None else recv_ms, seen_ms.shape)
    recv = np.where(recv > MISSING_MS, recv, seen_ms)
    rejects, good = list(rows.rejects), []
    for ix, item in enumerate(rows.items):
        reason = _reason(item, int(seen_ms[ix]), int(recv[ix]))
        if reason:
            rejects.append(Reject(place[ix], reason))
        else:
            good.append(ix)
    rejects.sort(key=lambda reject: reject.index)
    good_ix = np.array(good, np.int64)
    kept = [rows.items[ix] for ix in good]
    sightings = _columns(kept, seen_ms[good_ix], recv[good_ix], post_ix)
    return Heard(sightings, rejects, rows.count, np.array(place, np.int64)[good_ix])


def _columns(items: Sequence[Sighting], seen_ms: Longs, recv_ms: Longs, post_ix: int) -> Sightings:
    tx_power_dbm = np.array([item.tx_power_dbm for item in items], np.float64)
    is_sound = (tx_power_dbm < 0) & (tx_power_dbm >= _DBM_MIN)
    return Sightings(
        device_ids=[item.device_id for item in items],
        gateway_ids=[item.gateway_id for item in items],
        beacon_keys=[key_of(item) for item in items],
        rssi_dbm=np.array(
            [TOUCH_DBM if _is_touch(item) else item.rssi_dbm for item in items], np.float64
        ),
        tx_power_dbm=np.where(is_sound, tx_power_dbm, np.nan),
        seen_ms=seen_ms,
        recv_ms=recv_ms,
        post_ix=np.full(len(items), post_ix),
    )


def key_of(item: Sighting) -> tuple[str, int, int]:
    """What a beacon is known by in the Book."""
    if _is_touch(item):
        return touch_key(item.kind or "", item.code or "")
    return uuid_key(item.uuid or ""), item.major or 0, item.minor or 0


def _is_touch(item: Sighting) -> bool:
    return item.kind in TOUCH_KINDS


@lru_cache(maxsize=4_096)
def uuid_key(text: str) -> str:
    """A uuid in lower case without dashes; "" if it is none.

    >>> uuid_key("F7826DA6-4FA2-4E98-8024-BC5B71E0893E")
    'f7826da64fa24e988024bc5b71e0893e'
    """
    key = text.replace("-", "").lower()
    return key if _UUID.fullmatch(key) else ""


def _reason(item: Sighting, seen_ms: int, recv_ms: int) -> str:
    """The first thing wrong with a sighting; "" if nothing is."""
    heard_by = item.gateway_id if item.device_id is None else item.device_id
    said = _touch_reasons(item) if _is_touch(item) else _radio_reasons(item)
    checks = (
        ("kind_bad", item.kind not in (None, "ibeacon", *TOUCH_KINDS)),
        *said,
        ("heard_by_missing", heard_by is None),
        ("heard_by_both", item.device_id is not None and item.gateway_id is not None),
        ("device_id_bad", item.device_id is not None and not is_name(item.device_id)),
        ("gateway_id_bad", item.gateway_id is not None and not is_name(item.gateway_id)),
    )
    wrong = next((why for why, holds in checks if holds), "")
    return wrong or time_reason("seen_time", seen_ms, recv_ms)


def _touch_reasons(item: Sighting) -> tuple[tuple[str, bool], ...]:
    return (
        ("code_missing", not item.code),
        ("code_bad", len(item.code or "") > _CODE_MAX),
        ("device_id_missing", item.device_id is None),  # it is a phone that is held there
    )


def _radio_reasons(item: Sighting) -> tuple[tuple[str, bool], ...]:
    return (
        ("uuid_missing", item.uuid is None),
        ("uuid_bad", not uuid_key(item.uuid or "")),
        ("major_missing", item.major is None),
        ("major_bad", not 0 <= (item.major or 0) <= _MAX_U16),
        ("minor_missing", item.minor is None),
        ("minor_bad", not 0 <= (item.minor or 0) <= _MAX_U16),
        ("rssi_missing", item.rssi_dbm is None),
        ("rssi_bad", not _DBM_MIN <= (item.rssi_dbm or 0) < 0),
    )
