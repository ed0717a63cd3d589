"""Values of a client's JSON as it writes them: numbers as text, words for "unknown", any time.

Whatever cannot be read is None: a client that gets one key wrong has still told the others.
"""

from __future__ import annotations

import hashlib
import math
from datetime import UTC
from typing import Any, Final

import msgspec

from geoengine.ingest.times import time_ms

_BLANK: Final = b" \t\r\n\x00"
_BOM: Final = b"\xef\xbb\xbf"
_NUMBER_MAX: Final = 40  # characters of a number written as text
_TEXT_MAX: Final = 256  # characters of a name that somebody chose; longer is no name
_LAST_MS: Final = 253_402_300_800_000  # the year 10000, which no calendar of ours can write


def stripped(body: bytes) -> bytes:
    """A body without what editors and C programs leave around it."""
    return body.removeprefix(_BOM).strip(_BLANK)


def parsed(body: bytes) -> Any:
    """The JSON value of a body; raises `Unreadable`."""
    if not body:
        raise Unreadable("empty")
    try:
        return msgspec.json.decode(body)
    except RecursionError:
        raise Unreadable("too_deep") from None
    except ValueError:  # also of bytes that are no text
        raise Unreadable("malformed_json") from None


class Unreadable(Exception):
    """A body that is no JSON; the argument is the reason for the drop."""


def number(value: Any, low: float = -math.inf, high: float = math.inf) -> float | None:
    """A finite number within bounds, also one written as text.

    >>> number("12.5"), number(-1, 0), number(True)
    (12.5, None, None)
    """
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    if isinstance(value, str) and len(value) > _NUMBER_MAX:
        return None
    try:
        found = float(value)
    except (ValueError, OverflowError):
        return None
    return found if math.isfinite(found) and low <= found <= high else None


def above_zero(value: Any) -> float | None:
    """A number above 0: of accuracies and radii, where 0 and -1 say that there is none."""
    found = number(value)
    return found if found is not None and found > 0 else None


def whole(value: Any, low: int, high: int) -> int | None:
    """A whole number within bounds."""
    found = number(value, low, high)
    return int(found) if found is not None and found.is_integer() else None


def text(value: Any) -> str | None:
    """A text that is not empty and not longer than any name."""
    return value if isinstance(value, str) and 0 < len(value) <= _TEXT_MAX else None


def moment_ms(value: Any) -> int | None:
    """A time in milliseconds since the epoch; texts without an offset are UTC.

    >>> moment_ms("2024-02-27T12:30:03Z"), moment_ms(1709037003), moment_ms("1709037003000")
    (1709037003000, 1709037003000, 1709037003000)
    """
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    if isinstance(value, float) and not math.isfinite(value):
        return None
    found = time_ms(value, zone=UTC)
    return found if 0 < found < _LAST_MS else None


def why_no_time(value: Any) -> str:
    """The reason of a report that has no time."""
    return "fix_time_missing" if value is None or value == "" else "fix_time_bad"


def place(lat: Any, lon: Any) -> tuple[float, float] | str:
    """Latitude and longitude, or what is wrong with them."""
    lat_deg, lon_deg = number(lat, -90, 90), number(lon, -180, 180)
    if lat_deg is None:
        return "lat_missing" if lat is None else "lat_out_of_range"
    if lon_deg is None:
        return "lon_missing" if lon is None else "lon_out_of_range"
    return lat_deg, lon_deg


def report_id(*parts: object) -> str:
    """The same for the same report sent again, where the format has no id of its own.

    >>> report_id("phone", 1, 48.85, None) == report_id("phone", 1, 48.85, None)
    True
    """
    told = "\n".join(map(repr, parts)).encode(errors="replace")
    return hashlib.blake2b(told, digest_size=12).hexdigest()
