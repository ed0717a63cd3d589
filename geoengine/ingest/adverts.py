"""Bluetooth advertisements: which beacon one of them is, if it is any.

An advertisement is a row of structures: a length, a type, and what it holds. iBeacon and AltBeacon
are manufacturer data, Eddystone-UID is service data. Nearly all that a gateway hears is strangers'
phones, watches and thermometers, so whoever carries none of three marks is not taken apart at all.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

Scheme = Literal["ibeacon", "altbeacon", "eddystone_uid"]

_MANUFACTURER: Final = 0xFF
_SERVICE: Final = 0x16  # data of a service with a number of 16 bits

# What the three begin with; a company's or a service's number comes first, its low byte first.
_APPLE: Final = b"\x4c\x00"
_PROXIMITY: Final = b"\x02\x15"  # Apple's word for an iBeacon, and that 21 bytes follow
_IBEACON: Final = _APPLE + _PROXIMITY
_ALTBEACON: Final = b"\xbe\xac"  # after any company's number
_EDDYSTONE: Final = b"\xaa\xfe"
_EDDYSTONE_UID: Final = _EDDYSTONE + b"\x00"

_BEACON_BYTES: Final = 25  # mark, uuid, major, minor, power
_UID_BYTES: Final = 20  # service, frame, power, namespace, instance; the two after may be missing
_METRE_DB: Final = 41  # what the first metre takes; Eddystone states its power at 0 m
_DBM_MIN: Final = -128

# An HCI event: an LE meta event that is an advertising report; then how many there are.
HCI_EVENT: Final = b"\x04\x3e"
_HCI_REPORT: Final = 0x02
_HCI_HEAD: Final = 5
_REPORT_HEAD: Final = 9  # kind, kind of address, address, length

EMPTY: Final = "no advertisement"
TRUNCATED: Final = "truncated"
APPLES: Final = "another frame of Apple's"
LOOK_ALIKE: Final = "another company's look-alike"
EDDYSTONES: Final = "another frame of Eddystone"
NO_BEACON: Final = "no beacon"

_NOT_HEX = str.maketrans("", "", " \t\r\n-:")


@dataclass(frozen=True, slots=True)
class Beacon:
    """Who a beacon says it is. ``uuid`` is in lower case with dashes.

    ``tx_power_dbm`` is what it is heard with at 1 m; None where what it says is no power.
    """

    scheme: Scheme
    uuid: str
    major: int
    minor: int
    tx_power_dbm: float | None


def parse_advert(data: bytes) -> Beacon | None:
    """The first beacon in an advertisement, with which its scan response may be joined.

    >>> parse_advert(bytes.fromhex("1aff4c000215 e2c56db5dffb48d2b060d0f5a71096e0 0064 0000 c5"))
    Beacon(scheme='ibeacon', uuid='e2c56db5-dffb-48d2-b060-d0f5a71096e0', major=100, minor=0, \
tx_power_dbm=-59.0)
    """
    if _IBEACON not in data and _ALTBEACON not in data and _EDDYSTONE_UID not in data:
        return None
    for kind, held in structures(data):
        beacon = None
        if kind == _MANUFACTURER:
            beacon = parse_manufacturer(held)
        elif kind == _SERVICE:
            beacon = parse_service(held)
        if beacon is not None:
            return beacon
    return None


def structures(data: bytes) -> Iterator[tuple[int, bytes]]:
    """The type of each structure and what it holds, up to one that is cut short.

    A length of 0 is padding, also between an advertisement and its scan response.
    """
    at, end = 0, len(data)
    while at < end:
        after = at + 1 + data[at]
        if after > end:
            return
        if after > at + 1:
            yield data[at + 1], data[at + 2 : after]
        at = after


def parse_manufacturer(held: bytes) -> Beacon | None:
    """The beacon in manufacturer data, which begins with the company's number."""
    if len(held) < _BEACON_BYTES:
        return None
    if held[:4] == _IBEACON:
        return _beacon("ibeacon", held[4:24], _power_dbm(held[24]))
    if held[2:4] == _ALTBEACON:
        return _beacon("altbeacon", held[4:24], _power_dbm(held[24]))
    return None


def parse_service(held: bytes) -> Beacon | None:
    """The beacon in service data, which begins with the service's number."""
    if held[:3] != _EDDYSTONE_UID or len(held) < _UID_BYTES:
        return None
    return _beacon("eddystone_uid", held[4:20] + bytes(4), _power_dbm(held[3], _METRE_DB))


def _beacon(scheme: Scheme, name: bytes, tx_power_dbm: float | None) -> Beacon:
    """A beacon of the 20 bytes that name it."""
    return Beacon(
        scheme,
        dashed(name[:16].hex()),
        name[16] << 8 | name[17],
        name[18] << 8 | name[19],
        tx_power_dbm,
    )


def dashed(digits: str) -> str:
    """The 32 digits of a uuid with its dashes."""
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def _power_dbm(byte: int, loss_db: int = 0) -> float | None:
    """A signed byte as a power at 1 m; vendors put anything into it, a battery's volts too."""
    power_dbm = signed(byte) - loss_db
    return float(power_dbm) if _DBM_MIN <= power_dbm < 0 else None


def signed(byte: int) -> int:
    """A byte read as two's complement."""
    return byte - 256 if byte > 127 else byte


def parse_hci(data: bytes) -> list[tuple[bytes, int]]:
    """Each advertisement of a dumped HCI event and its signal strength; none if it is no report."""
    if data[:2] != HCI_EVENT or len(data) < _HCI_HEAD or data[3] != _HCI_REPORT:
        return []
    found, at = [], _HCI_HEAD
    for _ in range(data[4]):
        begin = at + _REPORT_HEAD
        if begin > len(data) or (end := begin + data[begin - 1]) >= len(data):
            break
        found.append((data[begin:end], signed(data[end])))
        at = end + 1
    return found


def hex_bytes(text: object) -> bytes | None:
    """What a text of hex digits stands for; None if it is none.

    Spaces, dashes and colons between the digits do not count, nor does their case.

    >>> hex_bytes("02:01-06 1aFF")
    b'\\x02\\x01\\x06\\x1a\\xff'
    """
    if not isinstance(text, str):
        return None
    try:
        return bytes.fromhex(text)
    except ValueError:
        pass
    try:
        return bytes.fromhex(text.translate(_NOT_HEX))
    except ValueError:
        return None


def why_not(data: bytes) -> str:
    """Why an advertisement is no beacon, in one of a few constant texts."""
    if not data:
        return EMPTY
    reason = NO_BEACON
    for kind, held in structures(data):
        if kind == _MANUFACTURER:
            reason = _why_not_of_company(held) or reason
        elif kind == _SERVICE and held[:2] == _EDDYSTONE:
            reason = TRUNCATED if held[2:3] == b"\x00" else EDDYSTONES
    return TRUNCATED if reason is NO_BEACON and _is_cut(data) else reason


def _is_cut(data: bytes) -> bool:
    at, end = 0, len(data)
    while at < end:
        at += 1 + data[at]
    return at > end


def _why_not_of_company(held: bytes) -> str | None:
    if held[:4] == _IBEACON or held[2:4] == _ALTBEACON:
        return TRUNCATED
    if held[:2] == _APPLE:
        return APPLES
    return LOOK_ALIKE if held[2:4] == _PROXIMITY else None
