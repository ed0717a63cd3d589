"""April Brother: MessagePack of the V4 gateway, and JSON of the older receiver.

Addresses, signal strengths and advertisements stand in frames of bytes. The V4's ``time`` counts
from when it was switched on and is no time of day.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec
from msgspec import Struct

from geoengine.ingest.adverts import TRUNCATED, Beacon, dashed, hex_bytes, signed
from geoengine.ingest.gateways.hearing import (
    NO_JSON,
    NOT_HEX,
    NOT_ONE_OF_THESE,
    Hearing,
    percent,
    power_dbm,
    read_json,
    unhexed,
)
from geoengine.ingest.reports import Decoded, Json, Origin

_FRAME_HEAD: Final = 8  # kind of advertisement, address, signal strength
_KINDS: Final = 4  # the highest kind of advertisement
_RECORD_BYTES: Final = 29  # address, uuid, major, minor, power, battery, signal strength
_RAW_HEAD: Final = 9  # address, signal strength, kind of advertisement, length

# The marks before bytes and texts in MessagePack, and how long the length after them is.
_LENGTHS: Final = {0xC4: 1, 0xC5: 2, 0xC6: 4, 0xD9: 1, 0xDA: 2, 0xDB: 4}


class Message(Struct):
    """What a V4 sends; each device is left as it is, so that a bad one costs only itself."""

    devices: list[msgspec.Raw]
    mac: Any = None


_MESSAGE = msgspec.msgpack.Decoder(Message)


def decode(body: bytes, origin: Origin) -> Decoded:
    """What an April Brother gateway posted or published, or one frame of it by itself."""
    hearing = Hearing(origin)
    data = unhexed(body)
    if data.lstrip()[:1] in (b"{", b"["):
        _hear_json(data, hearing)
    elif data and data[0] <= _KINDS:
        _hear_frame(data, hearing, None)
    else:
        _hear_message(data, hearing)
    return hearing.decoded


def _hear_message(data: bytes, hearing: Hearing) -> None:
    try:
        message = _MESSAGE.decode(data)
    except (ValueError, RecursionError):
        hearing.drop(NOT_ONE_OF_THESE)
        return
    for device in message.devices:
        _hear_frame(_held(bytes(device)), hearing, message.mac)


def _held(raw: bytes) -> bytes:
    """The bytes in a value of MessagePack; older writers call them a text."""
    if 0xA0 <= raw[0] <= 0xBF:
        return raw[1:]
    length = _LENGTHS.get(raw[0])
    return b"" if length is None else raw[1 + length :]


def _hear_frame(frame: bytes, hearing: Hearing, gateway: object) -> None:
    if len(frame) < _FRAME_HEAD:
        hearing.drop(TRUNCATED)
    else:
        hearing.advert(frame[_FRAME_HEAD:], signed(frame[7]), gateway=gateway)


def _hear_json(body: bytes, hearing: Hearing) -> None:
    message = read_json(body)
    if not isinstance(message, dict):
        hearing.drop(NO_JSON if message is None else NOT_ONE_OF_THESE)
    elif isinstance(told := message.get("raw_beacons_data"), str):
        for text in told.split(";"):
            if text.strip():
                _hear_record(hex_bytes(text), hearing, message.get("id"))
    elif isinstance(devices := message.get("devices"), list):
        _hear_devices(devices, message, hearing)
    else:
        hearing.drop(NOT_ONE_OF_THESE)


def _hear_devices(devices: list[Any], message: Json, hearing: Hearing) -> None:
    """A V4 that was told to write JSON has its frames in hex digits."""
    for device in devices:
        frame = hex_bytes(device)
        if frame is None:
            hearing.drop(NOT_HEX)
        else:
            _hear_frame(frame, hearing, message.get("mac"))


def _hear_record(record: bytes | None, hearing: Hearing, gateway: object) -> None:
    """One beacon of the older receiver, which has taken its iBeacons apart, or one advertisement
    when it is in its raw mode.
    """
    if record is None:
        hearing.drop(NOT_HEX)
    elif len(record) == _RECORD_BYTES:
        _hear_taken_apart(record, hearing, gateway)
    elif len(record) > _RAW_HEAD and len(record) == _RAW_HEAD + record[8]:
        hearing.advert(record[_RAW_HEAD:], signed(record[6]), gateway=gateway)
    else:
        hearing.drop(TRUNCATED)


def _hear_taken_apart(record: bytes, hearing: Hearing, gateway: object) -> None:
    uuid, major, minor = record[6:22], record[22:24], record[24:26]
    beacon = Beacon(
        "ibeacon",
        dashed(uuid.hex()),
        int.from_bytes(major, "big"),
        int.from_bytes(minor, "big"),
        power_dbm(signed(record[26])),
    )
    rssi, battery_pct = signed(record[28]), percent(record[27])
    if power_dbm(rssi) is None:
        hearing.unmeasured(beacon, gateway=gateway, battery_pct=battery_pct)
    else:
        hearing.beacon(beacon, rssi, gateway=gateway, battery_pct=battery_pct)
