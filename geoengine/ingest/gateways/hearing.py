"""What all gateways have in common: adverts heard, made into sightings or dropped with a reason.

The address of whoever advertises gets no further than the adapter that has read it: it is in no
sighting and in no reason. Reasons are a few constants, because nearly all adverts are strangers'.
"""

from __future__ import annotations

import json
import math
import re
from datetime import UTC
from functools import lru_cache
from typing import Any, Final

import msgspec

from geoengine.ingest.adverts import (
    NO_BEACON,
    Beacon,
    Scheme,
    dashed,
    hex_bytes,
    parse_advert,
    why_not,
)
from geoengine.ingest.names import NAME_MAX, is_name
from geoengine.ingest.reports import Decoded, Json, Origin, Sighted
from geoengine.ingest.sightings import uuid_key
from geoengine.ingest.times import time_ms

NO_SIGNAL: Final = "no signal strength"
NOT_HEX: Final = "not hex digits"
NO_JSON: Final = "no JSON"
NOT_ONE_OF_THESE: Final = "not a message of this gateway"
STATUS: Final = "about the gateway"

_DBM_MIN: Final = -128
_U16_MAX: Final = 65_535
_UUID_MAX: Final = 64  # characters of a uuid, however it is set
_NUMBER_MAX: Final = 32  # characters of any number here
# 2010: a clock that nobody has set counts from 1970 or 2000, or from when the box was switched on.
_CLOCK_IS_SET_MS: Final = 1_262_304_000_000
_YEAR_10000_MS: Final = 253_402_300_800_000  # no calendar that we write times with goes on

_ADDRESS = re.compile(r"[0-9a-f]{12}", re.ASCII)
_HEX_TEXT = re.compile(rb"\s*[0-9A-Fa-f][0-9A-Fa-f\s:-]*", re.ASCII)

_FAILURES: Final = (ValueError, RecursionError)


class Hearing:
    """What one message says that its gateway heard.

    The gateway is the one that the credential stands for; else the one that the message names.
    """

    __slots__ = ("_gateway_id", "_recv_ms", "decoded")

    def __init__(self, origin: Origin) -> None:
        self.decoded = Decoded()
        self._gateway_id = origin.gateway_id
        self._recv_ms = origin.recv_ms

    def drop(self, reason: str) -> None:
        """Leave something out, and say why."""
        self.decoded.drops.append(reason)

    def hexes(
        self,
        advert: object,
        rssi: object,
        *,
        response: object = None,
        gateway: object = None,
        seen: object = None,
    ) -> None:
        """An advertisement in hex digits, and what was answered when it was asked for more."""
        data = b"" if advert is None else hex_bytes(advert)
        more = b"" if response is None else hex_bytes(response)
        if data is None and not more:
            self.drop(NOT_HEX)
        else:
            self.advert(data or b"", rssi, response=more or b"", gateway=gateway, seen=seen)

    def advert(
        self,
        data: bytes,
        rssi: object,
        *,
        response: bytes = b"",
        gateway: object = None,
        seen: object = None,
    ) -> None:
        """An advertisement, and what was answered when it was asked for more."""
        beacon = parse_advert(data) or (parse_advert(response) if response else None)
        if beacon is None:
            self.drop(why_not(data or response))
        else:
            self.beacon(beacon, rssi, gateway=gateway, seen=seen)

    def beacon(
        self,
        beacon: Beacon,
        rssi: object,
        *,
        gateway: object = None,
        seen: object = None,
        battery_pct: float | None = None,
    ) -> None:
        """A beacon, unless it is not said how well it was heard."""
        rssi_dbm = power_dbm(rssi)
        if rssi_dbm is None:
            self.drop(NO_SIGNAL)
        else:
            self._sighted(beacon, rssi_dbm, gateway, seen, battery_pct)

    def unmeasured(
        self, beacon: Beacon, *, gateway: object = None, battery_pct: float | None = None
    ) -> None:
        """A beacon of a message that cannot say how well it was heard; nothing comes of it but
        that somebody who looks into the message sees it.
        """
        self._sighted(beacon, None, gateway, None, battery_pct)

    def tag(
        self, name: str, rssi: object, power: object, *, gateway: object = None, seen: object = None
    ) -> None:
        """A tag that has a name and no uuid: for whoever looks into the message, as no zone is
        entered by a name. An address is no name.
        """
        rssi_dbm = power_dbm(rssi)
        if not is_name(name) or is_address(name):
            self.drop(NO_BEACON)
        elif rssi_dbm is None:
            self.drop(NO_SIGNAL)
        else:
            sighted = Sighted(
                device_id=name,
                rssi_dbm=rssi_dbm,
                tx_power_dbm=power_dbm(power),
                seen_time=seen_ms(seen, self._recv_ms),
                gateway_id=self._gateway_id or gateway_name(gateway),
            )
            self.decoded.reports.append(sighted)

    def _sighted(
        self,
        beacon: Beacon,
        rssi_dbm: float | None,
        gateway: object,
        seen: object,
        battery_pct: float | None,
    ) -> None:
        sighted = Sighted(
            uuid=beacon.uuid,
            major=beacon.major,
            minor=beacon.minor,
            rssi_dbm=rssi_dbm,
            tx_power_dbm=beacon.tx_power_dbm,
            seen_time=seen_ms(seen, self._recv_ms),
            gateway_id=self._gateway_id or gateway_name(gateway),
            scheme=beacon.scheme,
            battery_pct=battery_pct,
        )
        self.decoded.reports.append(sighted)


def power_dbm(value: object) -> float | None:
    """A signal strength or a power at 1 m as number or text; None is what stands for unknown."""
    number = number_of(value)
    return number if number is not None and _DBM_MIN <= number < 0 else None


def number_of(value: object) -> float | None:
    """A number, also where it is a text, as older firmware has it.

    >>> number_of("-70"), number_of(-70), number_of("weak"), number_of(True)
    (-70.0, -70.0, None, None)
    """
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    if isinstance(value, str) and len(value) > _NUMBER_MAX:
        return None
    try:
        return float(value)
    except (ValueError, OverflowError):
        return None


def seen_ms(value: object, recv_ms: int) -> int:
    """When it was heard; when it arrived, if that is not said or by a clock that was never set."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return recv_ms
    if isinstance(value, float) and not math.isfinite(value):
        return recv_ms
    said_ms = time_ms(value, zone=UTC)
    return said_ms if _CLOCK_IS_SET_MS <= said_ms < _YEAR_10000_MS else recv_ms


def gateway_name(value: object) -> str | None:
    """A gateway's address with colons in lower case; another name as it is.

    >>> gateway_name("AC233FC03641"), gateway_name("AC-23-3F-C0-36-41"), gateway_name("till 1")
    ('ac:23:3f:c0:36:41', 'ac:23:3f:c0:36:41', 'till 1')
    """
    if not isinstance(value, str) or not 0 < len(value) <= NAME_MAX:
        return None
    return _named(value)


@lru_cache(maxsize=4_096)
def _named(text: str) -> str | None:
    if is_address(text):
        digits = _digits(text)
        return ":".join(digits[at : at + 2] for at in range(0, 12, 2))
    return text if is_name(text) else None


def is_address(text: str) -> bool:
    """Whether a text is a radio's address, however it is set."""
    return _ADDRESS.fullmatch(_digits(text)) is not None


def _digits(text: str) -> str:
    return text.replace(":", "").replace("-", "").lower()


def said_beacon(
    uuid: object, major: object, minor: object, power: object, scheme: Scheme = "ibeacon"
) -> Beacon | None:
    """The beacon that a gateway has made out by itself; None if it names none."""
    key = uuid_key(uuid) if isinstance(uuid, str) and len(uuid) <= _UUID_MAX else ""
    numbers = _u16(major), _u16(minor)
    if not key or numbers[0] is None or numbers[1] is None:
        return None
    return Beacon(scheme, dashed(key), numbers[0], numbers[1], power_dbm(power))


def joined_beacon(names: str, power: object) -> Beacon | None:
    """The iBeacon whose three names are joined by dashes; its uuid may have its own."""
    rest, _, minor = names.rpartition("-")
    uuid, _, major = rest.rpartition("-")
    return said_beacon(uuid, major, minor, power)


def _u16(value: object) -> int | None:
    number = number_of(value)
    if number is None or not 0 <= number <= _U16_MAX or number != int(number):
        return None
    return int(number)


def percent(value: object) -> float | None:
    """A battery's charge; 0 is what gateways say where they do not know it."""
    number = number_of(value)
    return number if number is not None and 0 < number <= 100 else None


def read_json(body: bytes) -> Any:
    """The JSON of a body; None if it is none.

    Gateways put the names of strangers' devices into it as they have heard them. One that is no
    text, or that holds control characters, does not cost the message; nor does an absurd number.
    """
    try:
        return msgspec.json.decode(body)
    except _FAILURES:
        pass
    try:
        return json.loads(body.decode("utf-8-sig", "replace"), strict=False)
    except _FAILURES:
        return None


def inner(value: object) -> Json:
    """An object, or an empty one in the place of anything else."""
    return value if isinstance(value, dict) else {}


def objects(value: object) -> list[Json]:
    """The objects in a list; none of what is no list."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def unhexed(body: bytes) -> bytes:
    """A binary message, also where somebody wrote it down in hex digits."""
    if _HEX_TEXT.fullmatch(body) is None:
        return body
    data = hex_bytes(body.decode("ascii"))
    return body if data is None else data
