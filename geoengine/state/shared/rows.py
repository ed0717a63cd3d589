"""Rows as the servers keep them: of devices, of people, of sends.

A device's row has a part that its fixes write, and a part that its person's record writes: so a
fix that changes nothing else is read and written with no record in sight. Numbers are
little-endian; rows of many devices come and go as one piece of bytes.
"""

from __future__ import annotations

from struct import Struct as Layout
from typing import Any, Final

import msgspec
import numpy as np
from msgspec import Raw
from msgspec.structs import replace

from geoengine.core.columns import STAYS_MAX, Known, LastFixes, Rests, Spot, Stays, keys_of
from geoengine.core.record import Change, Decision, Record, Send
from geoengine.core.stays import heard_again, settled
from geoengine.core.units import MINUTE_MS
from geoengine.state.base import SentRow
from geoengine.state.flags import HAS_REFUSED, IS_LOCATED, IS_OBSERVED, flags_of

FIX_BYTES: Final = 40
FIX = np.dtype(
    [
        ("turn", "<u4"), ("suspects", "i1"), ("free", "V3"), ("fix_ms", "<i8"),
        ("lon_deg", "<f8"), ("lat_deg", "<f8"), ("accuracy_m", "<f8"),
    ]
)  # fmt: skip
ROW = np.dtype(
    [
        *FIX.descr,
        ("flags", "u1"), ("free2", "V3"), ("kept_s", "<u4"), ("lag_ms", "<i4"), ("free3", "V4"),
        ("dwell_ms", "<i8"), ("prints", "<i8", (STAYS_MAX,)),
    ]
)  # fmt: skip
ANY_TURN: Final = 0xFFFF_FFFF  # in place of a turn: whatever is there
# A stay is put into the record by the first fix after so long: after a crash of the servers, which
# keep last fixes in memory only, a visit may fall silent that much too early.
KEPT_MS: Final = 5 * MINUTE_MS

_SPOT = Layout("<dddq")
_HEAD = Layout("<QBB")
_STANDING = Layout(f"<B3xIi4xq{STAYS_MAX}q")
_ENTRY = Layout("<dI")
LAG = Layout("<i")
TURN = Layout("<I")

pack = msgspec.msgpack.Encoder().encode
_unpack_record = msgspec.msgpack.Decoder(Record).decode
_unpack_decision = msgspec.msgpack.Decoder(Decision).decode
_unpack_send = msgspec.msgpack.Decoder(Send).decode
_unpack = msgspec.msgpack.Decoder().decode


def binary(value: bytes) -> Raw:
    """Bytes for a request: as a string, for the functions' msgpack knows no other."""
    size = len(value)
    if size < 32:
        return Raw(bytes((0xA0 | size,)) + value)
    if size < 1 << 8:
        return Raw(bytes((0xD9, size)) + value)
    return Raw(b"\xdb" + size.to_bytes(4, "big") + value)


assert FIX.itemsize == FIX_BYTES and ROW.itemsize == FIX_BYTES + _STANDING.size


# --- devices ------------------------------------------------------------------------------------


def known_of(
    device_ids: list[str],
    person_ids: list[str],
    rows: bytes,
    suspects: dict[int, bytes],
    times: dict[int, int],
) -> Known:
    """What is known of the senders.

    Parameters
    ----------
    device_ids, person_ids : list, length P
    rows : bytes
        P rows of `ROW`.
    suspects
        By row: a suspect fix.
    times
        By row: up to when the record knows of a device that has no row.
    """
    table = np.frombuffer(rows, ROW)
    keys, flags = keys_of(device_ids), table["flags"]
    fix_ms = table["fix_ms"].astype(np.int64)
    for ix, at_ms in times.items():
        fix_ms[ix] = at_ms
    # What the record should be told of soon goes the way of the record.
    stays = (table["prints"][:, 0] != 0) & (fix_ms - 1_000 * table["kept_s"] < KEPT_MS)
    standing = table[stays]
    stay_ix = np.full(len(table), -1, np.int32)
    stay_ix[stays] = np.arange(len(standing))
    return Known(
        person_ids=person_ids,
        device_keys=keys,
        slot_ix=table["turn"].astype(np.int64),
        is_located=(flags & IS_LOCATED).astype(bool),
        has_refused=(flags & HAS_REFUSED).astype(bool),
        has_record=(flags & IS_OBSERVED).astype(bool),
        lon_deg=table["lon_deg"].astype(float),
        lat_deg=table["lat_deg"].astype(float),
        accuracy_m=table["accuracy_m"].astype(float),
        fix_ms=fix_ms,
        suspect_count=table["suspects"].astype(np.int32),
        suspects={int(keys[ix]): Spot(*_SPOT.unpack(packed)) for ix, packed in suspects.items()},
        stay_ix=stay_ix,
        stays=Stays(
            zone_prints=standing["prints"].astype(np.int64),
            dwell_ms=standing["dwell_ms"].astype(np.int64),
            lag_ms=standing["lag_ms"].astype(np.int64),
            turn=standing["turn"].astype(np.int64),
        ),
    )


class Bodies:
    """The last fixes of a commit as the functions take them, share by share."""

    def __init__(self, last: LastFixes, rests: Rests | None) -> None:
        self._last = last
        turns = np.where(last.slot_ix < 0, ANY_TURN, last.slot_ix)
        self._lags: dict[int, bytes] = {}
        if rests is not None:
            turns[rests.last_ix] = rests.turn
            lags = zip(rests.last_ix.tolist(), rests.lag_ms.tolist(), strict=True)
            self._lags = {ix: LAG.pack(lag_ms) for ix, lag_ms in lags}
        body = np.zeros(len(last), FIX)
        is_any = turns == ANY_TURN
        body["turn"] = np.where(is_any, ANY_TURN, (turns + 1) % ANY_TURN)
        body["suspects"] = last.suspect_count
        for name in ("fix_ms", "lon_deg", "lat_deg", "accuracy_m"):
            body[name] = getattr(last, name)
        self._turns = turns.astype("<u4")
        self._body = body

    def share(self, rows: list[int]) -> list[Any]:
        """The rows of one partition: see ``compared`` in the functions."""
        last, picked = self._last, np.array(rows, np.intp)
        owners: list[int | str] = []
        lags: list[int | Raw] = []
        suspects: list[int | Raw] = []
        devices = [last.device_ids[row] for row in rows]
        for nth, row in enumerate(rows, 1):
            if (owner := last.person_ids[row]) != last.device_ids[row]:
                owners += (nth, owner)
        if self._lags:
            for nth, row in enumerate(rows, 1):
                if (lag := self._lags.get(row)) is not None:
                    lags += (nth, binary(lag))
        if last.suspects:
            for nth, row in enumerate(rows, 1):
                if last.suspect_count[row] > 0:
                    spot = last.suspects[int(last.device_keys[row])]
                    suspects += (nth, binary(_SPOT.pack(*spot)))
        return [
            devices,
            owners,
            binary(self._turns[picked].tobytes()),
            binary(self._body[picked].tobytes()),
            lags,
            suspects,
        ]


# --- people -------------------------------------------------------------------------------------


def version_of(version: int) -> bytes:
    """A version as rows begin with it."""
    return version.to_bytes(8, "little")


def change_of(change: Change, *, is_forgotten: bool) -> list[Any]:
    """A change as ``commit`` takes it."""
    record = change.record
    stay, standing, device = settled(record), b"", ""
    flags = flags_of(record)
    if stay is not None:
        device = stay.device_id
        prints = (*stay.zone_prints, *[0] * (STAYS_MAX - len(stay.zone_prints)))
        kept_s = max(record.devices[device], 0) // 1_000
        standing = _STANDING.pack(flags, kept_s, stay.lag_ms, stay.dwell_ms, *prints)
    name = device.encode()
    row = _HEAD.pack(record.version + 1, flags, len(name)) + name + pack(record)
    return [
        record.person_id,
        binary(version_of(record.version)),
        binary(b"" if change.is_gone else row),
        -1 if change.due_ms is None else change.due_ms,
        device,
        binary(standing),
        record.devices,
        is_forgotten,
    ]


def record_of(row: bytes, last: bytes | None = None) -> Record:
    """A record from its row, with what was noted since beside the last fix of its device."""
    version, _flags, length = _HEAD.unpack_from(row)
    record = _unpack_record(memoryview(row)[_HEAD.size + length :])
    record.version = version
    if last is not None and record.presences:
        seen = np.frombuffer(last, ROW, 1)[0]
        if seen["prints"][0] != 0:
            heard_again(record, int(seen["fix_ms"]), int(seen["lag_ms"]))
    return record


# --- the outbox ---------------------------------------------------------------------------------


def send_row(send: Send) -> list[Any]:
    """A new send as ``commit`` takes it."""
    return [
        send.send_id,
        send.person_id,
        send.lever,
        send.due_ms,
        send.created_ms,
        binary(pack(send)),
    ]


def send_of(row: bytes) -> Send:
    """The send of a row as it is by now."""
    length = int.from_bytes(row[:4], "little") + 4
    _, _, _, _, _, _, attempts, due_ms, expires_ms, last_error = _unpack(row[4:length])
    send = _unpack_send(row[length:])
    if expires_ms >= 0:
        send = replace(send, expires_ms=expires_ms)
    if due_ms != send.due_ms or attempts != send.attempts or last_error:
        send = replace(send, due_ms=due_ms, attempts=attempts, last_error=last_error)
    return send


def sent_row(row: bytes, *, is_held: bool) -> SentRow:
    """The row as operators see it."""
    length = int.from_bytes(row[:4], "little") + 4
    _, _, _, status, reason, settled_ms, *_ = _unpack(row[4:length])
    if status == "pending" and is_held:
        status = "leased"
    return SentRow(send_of(row), status, reason, None if settled_ms < 0 else settled_ms)


def entry_of(decision: Decision) -> bytes:
    """A decision as it stands in its person's log."""
    packed = pack(decision)
    return _ENTRY.pack(decision.at_ms, len(packed)) + packed


def decisions_of(said: bytes) -> list[Decision]:
    """The decisions in a person's log, oldest first."""
    found, at = [], 0
    while at < len(said):
        _, length = _ENTRY.unpack_from(said, at)
        at += _ENTRY.size
        found.append(_unpack_decision(said[at : at + length]))
        at += length
    return found
