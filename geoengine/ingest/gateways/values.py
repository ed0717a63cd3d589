"""The values in gateways' JSON: read whatever they are, and None where they say nothing.

A gateway's firmware writes a number as a text, an address in any of four ways, and what it does not
know as a number that cannot be. None of that is worth an exception.
"""

from __future__ import annotations

import math
import re
from typing import Any, Final

import msgspec

from geoengine.ingest.adverts import Beacon, dashed
from geoengine.ingest.reports import Decoded, Json, Sighted
from geoengine.ingest.sightings import uuid_key
from geoengine.ingest.times import MISSING_MS, time_ms

NOT_JSON: Final = "not a JSON object"
NO_SIGNAL: Final = "no signal strength"
BAD_TIME: Final = "a time that cannot be read"

_DBM_MIN: Final = -128.0  # a radio reports signal strength as a signed byte
_MAX_U16: Final = 65_535
_UUID_MAX: Final = 36  # characters, dashes included
_ADDRESS = re.compile(r"[0-9A-Fa-f]{2}([:\- ]?[0-9A-Fa-f]{2}){5}", re.ASCII)
_HIGH_WORD: Final = 1 << 32


def json_of(body: bytes) -> Any:
    """The JSON value that a body is; None if it is none."""
    try:
        return msgspec.json.decode(body.removeprefix(b"\xef\xbb\xbf"))
    except (ValueError, RecursionError):
        return None


def entries(value: Any) -> list[Json]:
    """The objects in a list; what else is in it, or is no list, does not count."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def inner(value: Any) -> Json:
    """An object, or an empty one in place of anything else."""
    return value if isinstance(value, dict) else {}


def text_of(value: Any) -> str | None:
    """A text with something in it."""
    return value.strip() or None if isinstance(value, str) else None


def number(value: Any) -> float | None:
    """A number, or a text of one.

    >>> number("-71"), number(True), number("soon")
    (-71.0, None, None)
    """
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        found = float(value)
    except (ValueError, OverflowError):
        return None
    return found if math.isfinite(found) else None


def dbm(value: Any) -> float | None:
    """A power as a radio reports it; 0 and above is how one says that it has none."""
    found = number(value)
    return found if found is not None and _DBM_MIN <= found < 0 else None


def share(value: Any) -> float | None:
    """A battery's charge in percent; 0 is how a beacon says that it does not measure it."""
    found = number(value)
    return found if found is not None and 0 < found <= 100 else None


def u16(value: Any) -> int | None:
    """A major or a minor."""
    found = number(value)
    return int(found) if found is not None and 0 <= found <= _MAX_U16 and found % 1 == 0 else None


def seen_ms(value: Any, recv_ms: int) -> int | None:
    """When something was heard: arrival where nothing is said, None where it cannot be read."""
    if isinstance(value, dict):  # 64 bits, as JavaScript holds them
        low, high = number(value.get("low")), number(value.get("high"))
        value = None if low is None else int(low) % _HIGH_WORD + int(high or 0) * _HIGH_WORD
    if isinstance(value, bool) or not isinstance(value, int | float | str | None):
        return None
    found = time_ms(value)
    if found == MISSING_MS:
        return recv_ms
    return found if found > MISSING_MS else None


def is_address(text: str) -> bool:
    """Whether a text is a radio's address, which is nobody's name."""
    return _ADDRESS.fullmatch(text) is not None


def heard_by(value: Any) -> str | None:
    """A gateway's id; an address is written in one way: lower case, with colons.

    >>> heard_by("AC233FC03641"), heard_by("kitchen")
    ('ac:23:3f:c0:36:41', 'kitchen')
    """
    text = text_of(value)
    if text is None or not is_address(text):
        return text
    digits = re.sub(r"[:\- ]", "", text).lower()
    return ":".join(digits[ix : ix + 2] for ix in range(0, 12, 2))


def ibeacon(uuid: Any, major: Any, minor: Any, tx_power_dbm: Any) -> Beacon | None:
    """The iBeacon that a gateway has decoded itself; None unless all three names are there."""
    key = uuid_key(uuid) if isinstance(uuid, str) and len(uuid) <= _UUID_MAX else ""
    found_major, found_minor = u16(major), u16(minor)
    if not key or found_major is None or found_minor is None:
        return None
    return Beacon("ibeacon", dashed(key), found_major, found_minor, dbm(tx_power_dbm))


def joined_ibeacon(name: str, tx_power_dbm: Any) -> Beacon | None:
    """The iBeacon of its three names joined by dashes; the uuid may have its own."""
    rest, _, minor = name.rpartition("-")
    uuid, _, major = rest.rpartition("-")
    return ibeacon(uuid, major, minor, tx_power_dbm)


def sighted(
    beacon: Beacon,
    *,
    gateway_id: str | None,
    rssi_dbm: float,
    at_ms: int,
    battery_pct: float | None = None,
) -> Sighted:
    """The report of one beacon heard by a gateway."""
    return Sighted(
        uuid=beacon.uuid,
        major=beacon.major,
        minor=beacon.minor,
        rssi_dbm=rssi_dbm,
        tx_power_dbm=beacon.tx_power_dbm,
        seen_time=at_ms,
        gateway_id=gateway_id,
        scheme=beacon.scheme,
        battery_pct=battery_pct,
    )


def named(
    name: str,
    *,
    gateway_id: str | None,
    rssi_dbm: float,
    tx_power_dbm: float | None,
    at_ms: int,
) -> Sighted | None:
    """The report of a tag that has a name and no uuid; None where it has none but its address.

    It says nothing that a zone could be entered by: it is for whoever looks at what a gateway says.
    """
    if not name or is_address(name):
        return None
    return Sighted(
        device_id=name,
        rssi_dbm=rssi_dbm,
        tx_power_dbm=tx_power_dbm,
        seen_time=at_ms,
        gateway_id=gateway_id,
    )


def put(found: Decoded, told: Sighted | str) -> None:
    """Add a report, or the reason why there is none."""
    if isinstance(told, str):
        found.drops.append(told)
    else:
        found.reports.append(told)
