"""Small readers of what clients write into forms, queries and JSON: each to a value, or None.

What stands for "unknown" in their words (an accuracy of 0, a speed of -1, an empty text) becomes
None here, once. No reader raises, whatever it is given.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC
from hashlib import blake2b
from typing import Any, Final, TypeVar
from urllib.parse import parse_qsl

import msgspec

from geoengine.ingest.names import is_name
from geoengine.ingest.reports import Decoded, Json, Report
from geoengine.ingest.times import time_ms

T = TypeVar("T")
Outcome = Report | str
"""What became of a message: a report, or the reason why it was dropped."""

KNOT_MPS: Final = 1852 / 3600  # an international nautical mile, 1852 m, an hour
KMH_MPS: Final = 1 / 3.6

# Why a message is dropped. Counted by these texts: they stay as they are.
EMPTY: Final = "empty"
NO_JSON: Final = "no JSON"
NO_OBJECT: Final = "not an object"
NO_ID: Final = "no id"
NO_FIX: Final = "no fix"
NO_TIME: Final = "no time"
OFF_EARTH: Final = "position out of range"

_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d{1,3})?", re.ASCII)
_BLANK_OFFSET = re.compile(r"(:\d\d(?:[.,]\d+)?) (\d\d:?\d\d)", re.ASCII)
_LAST_MS: Final = 32_503_680_000_000  # the year 3000: Apple says 4001 where it means never
_FORM_MAX: Final = 16_384  # characters of a form; the longest template makes some 700
_TOKEN_MAX: Final = 512  # characters, as where apps post theirs
_INTEGER_MAX: Final = 1 << 63


def is_json(body: bytes) -> bool:
    """Whether a body means to be JSON, whatever its content type says."""
    return _bare(body)[:1] in (b"{", b"[")


def value_of(body: bytes) -> Any:
    """The value that a body of JSON holds; None where it is none.

    Python's own parser also takes what msgspec refuses and some programs write: NaN, Infinity and
    numbers beyond every float. One such number costs itself then, and not the batch.
    """
    for parse in (msgspec.json.decode, json.loads):
        try:
            return parse(_bare(body))
        except (ValueError, RecursionError):
            continue
    return None


def form(text: str | bytes) -> Json:
    """The fields of a query, a form or a URL that ends in a query; names in lower case.

    Fields that say nothing are left out; of repeated ones the first is kept.

    >>> form("/log?ID=7&lat=52.5&desc=&cell=262,2&cell=262,3")
    {'id': '7', 'lat': '52.5', 'cell': '262,2'}
    """
    line = _bare(text).decode("utf-8", "replace") if isinstance(text, bytes) else text.strip()
    before, mark, after = line.partition("?")
    query = after if mark and "=" not in before else line
    fields: Json = {}
    for key, value in parse_qsl(query[:_FORM_MAX]):
        if value.strip():
            fields.setdefault(key.strip().lower(), value.strip())
    return fields


def mapping(value: object) -> Json:
    """A JSON object, or an empty one in the place of anything else."""
    return value if isinstance(value, dict) else {}


def lowered(fields: Mapping[str, Any]) -> Json:
    """The same fields with their names in lower case, without those that say nothing."""
    return {key.lower(): value for key, value in fields.items() if not _is_blank(value)}


def first(read: Callable[[object], T | None], fields: Mapping[str, Any], *keys: str) -> T | None:
    """What the first of the fields that says anything to this reader says."""
    found = (read(fields[key]) for key in keys if key in fields)
    return next((value for value in found if value is not None), None)


def number(value: object) -> float | None:
    """A finite number, also as text.

    >>> number("7.5"), number(7), number("nan"), number(True)
    (7.5, 7.0, None, None)
    """
    if isinstance(value, str):
        value = value.strip()  # of more than `float` would strip
        if _NUMBER.fullmatch(value) is None:
            return None
    elif type(value) not in (int, float):
        return None
    try:
        found = float(value)  # type: ignore[arg-type]
    except OverflowError:  # a whole number beyond every float
        return None
    return found if math.isfinite(found) else None


def positive(value: object) -> float | None:
    """A number above zero, of things of which 0 and -1 say that they are not known."""
    found = number(value)
    return found if found is not None and found > 0 else None


def speed(value: object) -> float | None:
    """A speed in whatever unit; below zero it is not known."""
    found = number(value)
    return found if found is not None and found >= 0 else None


def heading_deg(value: object) -> float | None:
    found = number(value)
    return found if found is not None and 0 <= found <= 360 else None


def percent(value: object) -> float | None:
    """A battery level in percent; 0 is what is said where it is not known."""
    found = number(value)
    return found if found is not None and 0 < found <= 100 else None


def share_pct(value: object) -> float | None:
    """A battery level from 0 to 1 in percent; -1 is not known, above 1 it is percent already.

    >>> share_pct(0.55), share_pct(0), share_pct(-1), share_pct(80)
    (55.0, 0.0, None, 80.0)
    """
    found = number(value)
    if found is None or not 0 <= found <= 100:
        return None
    return round(found * 100, 2) if found <= 1 else found


def flag(value: object) -> bool | None:
    """Yes or no, also as text."""
    if isinstance(value, bool):
        return value
    text = value.strip().lower() if isinstance(value, str) else ""
    return {"true": True, "1": True, "false": False, "0": False}.get(text)


def name(value: object) -> str | None:
    """A text or a whole number that may be an id."""
    if type(value) is int and abs(value) < _INTEGER_MAX:
        return str(value)
    text = value.strip() if isinstance(value, str) else ""
    return text if is_name(text) else None


def push_token(value: object) -> str | None:
    text = value.strip() if isinstance(value, str) else ""
    return text if 0 < len(text) <= _TOKEN_MAX and text.isprintable() else None


def instant_ms(value: object) -> int | None:
    """A time between 1970 and 3000; a text without an offset is in UTC.

    A blank before the offset was a plus that nobody escaped.

    >>> instant_ms("2014-06-04 09:10:11") == instant_ms("2014-06-04T11:10:11 02:00")
    True
    """
    read = _BLANK_OFFSET.sub(r"\1+\2", value) if isinstance(value, str) else number(value)
    at_ms = time_ms(read, zone=UTC)
    return at_ms if 0 <= at_ms < _LAST_MS else None


def fix_ms_of(fields: Mapping[str, Any], keys: Sequence[str], recv_ms: int) -> int | None:
    """When a fix was: the first of these fields that is a time; arrival, where none says anything.

    None where something is said and none of it is a time.
    """
    if all(_is_blank(fields.get(key)) for key in keys):
        return recv_ms
    return first(instant_ms, fields, *keys)


def place_of(lat: object, lon: object) -> tuple[float, float] | str:
    """Latitude and longitude in degrees, or why there is no such place."""
    lat_deg, lon_deg = number(lat), number(lon)
    if lat_deg is None or lon_deg is None:
        return NO_FIX
    if abs(lat_deg) > 90 or abs(lon_deg) > 180:
        return OFF_EARTH
    return lat_deg, lon_deg


def key_of(
    device_id: str | None, fix_ms: int, place: tuple[float, float], event: str | None = None
) -> str:
    """What is the same when the same report is sent again, of clients that give it no id."""
    lat, lon = place
    text = f"{device_id}|{fix_ms}|{lat}|{lon}|{event}"
    return blake2b(text.encode("utf-8", "replace"), digest_size=12).hexdigest()


def gathered(outcomes: Iterable[Outcome]) -> Decoded:
    """The reports, and the reasons of what was dropped, each in their order."""
    decoded = Decoded()
    for outcome in outcomes:
        if isinstance(outcome, str):
            decoded.drops.append(outcome)
        else:
            decoded.reports.append(outcome)
    return decoded


def _bare(body: bytes) -> bytes:
    return body.removeprefix(b"\xef\xbb\xbf").strip()


def _is_blank(value: object) -> bool:
    return value is None or value == ""
