"""Rows as the servers keep them: of devices, of people, of sends.

A device's row has a part that its fixes write, and a part that its person's record writes: so a
fix that changes nothing else is read and written with no record in sight. Numbers are
little-endian; rows of many devices come and go as one piece of bytes.
"""

from __future__ import annotations

from collections.abc import Iterator
from struct import Struct as Layout
from typing import Any, Final

import msgspec
import numpy as np
from msgspec import Raw
from msgspec.structs import replace
from numpy.typing import NDArray

from geoengine.core.columns import (
    STAYS_MAX,
    Bools,
    Known,
    LastFixes,
    Longs,
    Rests,
    Spot,
    Stays,
    keys_of,
    rows_where,
)
from geoengine.core.look.stays import heard_again, settled
from geoengine.core.record import Change, Decision, Fact, Record, Send
from geoengine.core.units import MINUTE_MS
from geoengine.state.base import SentRow
from geoengine.state.flags import HAS_REFUSED, IS_LOCATED, IS_OBSERVED, flags_of
from geoengine.state.shared.partitions import Groups
from geoengine.state.shared.seal import Seal

FIX_BYTES: Final = 40
FIX = np.dtype(
    [
        ("turn", "<u4"), ("suspects", "i1"), ("mark", "u1"), ("free", "V2"), ("fix_ms", "<i8"),
        ("place", "<f8", (2,)), ("accuracy_m", "<f8"),  # lon, lat: sealed where there is a mark
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
LOOKED_MAX: Final = 1 << 18  # rows looked up and not yet written; a batch has some ten thousand
_LOOK_SHIFT: Final = 20  # no batch has more rows

_SPOT = Layout("<B16s7xdq")  # mark, place, accuracy, time
_HEAD = Layout("<QBB")
_STANDING = Layout(f"<B3xIi4xq{STAYS_MAX}q")
_ENTRY = Layout("<dI")

pack = msgspec.msgpack.Encoder().encode
_unpack_record = msgspec.msgpack.Decoder(Record).decode
_MANY: Final = b"\xdd"  # a list of up to 2**32 follows (MessagePack, array 32)
_unpack_decisions = msgspec.msgpack.Decoder(list[Decision]).decode
_unpack_facts = msgspec.msgpack.Decoder(list[Fact]).decode
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


Rows = NDArray[np.void]  # of `ROW`

# --- devices ------------------------------------------------------------------------------------


class Looks:
    """Rows as they were looked up, until they are written: what their fixes do not change goes back
    as it came. The oldest are forgotten, and who comes to write them is told to look again.
    """

    def __init__(self, seal: Seal) -> None:
        self.seal = seal
        self._tables: dict[int, Rows] = {}
        self._count = 0
        self._row_count = 0

    def keep(self, table: Rows) -> Longs:
        """Keep these; what to ask for each by."""
        self._count += 1
        self._tables[self._count] = table
        self._row_count += len(table)
        while self._row_count > LOOKED_MAX and len(self._tables) > 1:
            self._row_count -= len(self._tables.pop(next(iter(self._tables))))
        return (self._count << _LOOK_SHIFT) + np.arange(len(table))

    def rows(self, slots: Longs) -> tuple[Rows, Bools]:
        """Copies of rows by what `keep` said; and of which ones there is no more."""
        found, is_gone = np.zeros(len(slots), ROW), np.zeros(len(slots), bool)
        numbers = slots >> _LOOK_SHIFT
        for number in np.unique(numbers).tolist():
            mine = rows_where(numbers == number)
            if number < 0:
                continue  # never looked up
            table = self._tables.get(number)
            if table is None:
                is_gone[mine] = True
            else:
                found[mine] = table[slots[mine] & ((1 << _LOOK_SHIFT) - 1)]
        return found, is_gone


def known_of(
    device_ids: list[str],
    person_ids: list[str],
    table: Rows,
    slots: Longs,
    suspects: dict[int, bytes],
    times: dict[int, int],
    seal: Seal,
) -> Known:
    """What is known of the senders.

    Parameters
    ----------
    device_ids, person_ids : list, length P
    table : `ROW`, shape (P,)
    slots : int64, shape (P,)
        Where the table is kept: `Looks`.
    suspects
        By row: a suspect fix.
    times
        By row: up to when the record knows of a device that has no row.
    """
    keys, flags = keys_of(device_ids), table["flags"]
    places = seal.show(table["place"], table["fix_ms"], table["mark"])
    fix_ms = table["fix_ms"].astype(np.int64)
    for ix, at_ms in times.items():
        fix_ms[ix] = at_ms
    # What the record should be told of soon goes the way of the record.
    stays = (table["prints"][:, 0] != 0) & (
        fix_ms - 1_000 * table["kept_s"].astype(np.int64) < KEPT_MS
    )
    standing = table[stays]
    stay_ix = np.full(len(table), -1, np.int32)
    stay_ix[stays] = np.arange(len(standing))
    return Known(
        person_ids=person_ids,
        device_keys=keys,
        slot_ix=slots,
        is_located=(flags & IS_LOCATED).astype(bool),
        has_refused=(flags & HAS_REFUSED).astype(bool),
        has_record=(flags & IS_OBSERVED).astype(bool),
        lon_deg=places[:, 0],
        lat_deg=places[:, 1],
        accuracy_m=table["accuracy_m"].astype(float),
        fix_ms=fix_ms,
        suspect_count=table["suspects"].astype(np.int32),
        suspects={int(keys[ix]): _spot_of(packed, seal) for ix, packed in suspects.items()},
        stay_ix=stay_ix,
        stays=Stays(
            zone_prints=standing["prints"].astype(np.int64),
            dwell_ms=standing["dwell_ms"].astype(np.int64),
            lag_ms=standing["lag_ms"].astype(np.int64),
            turn=standing["turn"].astype(np.int64),
        ),
    )


def _spot_of(packed: bytes, seal: Seal) -> Spot:
    mark, place, accuracy_m, at_ms = _SPOT.unpack(packed)
    hidden = np.frombuffer(place, "<f8").reshape(1, 2)
    ((lon_deg, lat_deg),) = seal.show(hidden, np.array([at_ms]), np.array([mark], np.uint8))
    return Spot(float(lon_deg), float(lat_deg), accuracy_m, at_ms)


def _packed_spot(spot: Spot, seal: Seal) -> bytes:
    hidden = seal.hide(np.array([[spot.lon_deg, spot.lat_deg]]), np.array([spot.at_ms]))
    return _SPOT.pack(seal.mark, hidden.tobytes(), spot.accuracy_m, spot.at_ms)


def others(device_ids: list[str], person_ids: list[str]) -> list[int | str]:
    """Where devices are not people of their own: position from one, and whose it is, in turn."""
    if device_ids == person_ids:
        return []
    found: list[int | str] = []
    for nth, (device_id, person_id) in enumerate(zip(device_ids, person_ids, strict=True), 1):
        if device_id != person_id:
            found += (nth, person_id)
    return found


class Bodies:
    """The last fixes of a commit as the functions take them, share by share."""

    def __init__(self, last: LastFixes, rests: Rests | None, looks: Looks) -> None:
        self._last = last
        self._seal = seal = looks.seal
        rows, is_gone = looks.rows(last.slot_ix)
        self.lost = [last.person_ids[row] for row in rows_where(is_gone).tolist()]
        turns = np.where(last.slot_ix < 0, ANY_TURN, rows["turn"])
        rows["turn"] = np.where(turns == ANY_TURN, ANY_TURN, (turns + 1) % ANY_TURN)
        rows["suspects"] = last.suspect_count
        rows["mark"], rows["fix_ms"], rows["accuracy_m"] = seal.mark, last.fix_ms, last.accuracy_m
        places = np.stack([last.lon_deg, last.lat_deg], axis=1)
        rows["place"] = seal.hide(places, last.fix_ms)
        if rests is not None:
            rows["lag_ms"][rests.last_ix] = rests.lag_ms
        self._turns = turns.astype("<u4")
        self._rows = rows

    def shares(self, groups: Groups) -> dict[int, list[Any]]:
        """The rows by partition of their people: see ``compared`` in the functions."""
        last, order = self._last, groups.order.tolist()
        device_ids = [last.device_ids[row] for row in order]
        person_ids = [last.person_ids[row] for row in order]
        turns, rows = self._turns[groups.order].tobytes(), self._rows[groups.order].tobytes()
        return {
            number: [
                device_ids[start:end],
                others(device_ids[start:end], person_ids[start:end]),
                binary(turns[4 * start : 4 * end]),
                binary(rows[ROW.itemsize * start : ROW.itemsize * end]),
                self._suspects(order[start:end]) if last.suspects else (),
            ]
            for number, start, end in groups.spans
        }

    def _suspects(self, rows: list[int]) -> list[int | Raw]:
        last, found = self._last, list[int | Raw]()
        for nth, row in enumerate(rows, 1):
            if last.suspect_count[row] > 0:
                spot = last.suspects[int(last.device_keys[row])]
                found += (nth, binary(_packed_spot(spot, self._seal)))
        return found


# --- people -------------------------------------------------------------------------------------


def version_of(version: int) -> bytes:
    """A version as rows begin with it."""
    return version.to_bytes(8, "little")


def change_of(change: Change, *, is_forgotten: bool, is_own: bool) -> list[Any]:
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
        is_own,
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


def entry_of(one: Decision | Fact) -> bytes:
    """A decision or a fact as it stands in its person's log."""
    packed = pack(one)
    return _ENTRY.pack(one.at_ms, len(packed)) + packed


def decisions_of(log: bytes) -> list[Decision]:
    """The decisions in a person's log, first written first."""
    return _unpack_decisions(_together(log))


def facts_of(log: bytes) -> list[Fact]:
    """The facts in a person's log, first written first."""
    return _unpack_facts(_together(log))


def count_of(log: bytes) -> int:
    """How many entries a log has."""
    return sum(1 for _ in _entries(log))


def _together(log: bytes) -> bytes:
    """The entries of a log as one list: unpacked at once they take half as long as one by one."""
    entries = [log[first:end] for first, end in _entries(log)]
    return b"".join((_MANY, len(entries).to_bytes(4, "big"), *entries))


def _entries(log: bytes) -> Iterator[tuple[int, int]]:
    """Where each entry of a log begins and ends."""
    at = 0
    while at < len(log):
        _, length = _ENTRY.unpack_from(log, at)
        at += _ENTRY.size
        yield at, at + length
        at += length
