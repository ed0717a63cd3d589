"""The last fix of each device: a bounded column table, the cheapest memory we have of anybody.

It exists because late fixes, impossible speeds and crossings need the fix before, also of the many
devices about which there is nothing else to remember.

Row 0 stands for "never seen", so that a look-up needs no mask. Positions live here only; they
never reach a disk.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import repeat

import msgspec
import numpy as np
from numpy.typing import NDArray

from geoengine.core.columns import Known, LastFixes, Longs
from geoengine.state.embedded.people import HAS_REFUSED, IS_LOCATED, IS_OBSERVED, People

_FIRST_ROWS = 1_024
# Eviction looks at so many rows at a time and lets the least recently seen eighth of them go: the
# work stays under a millisecond however large the table is, and is exact below this size.
_WINDOW_ROWS = 65_536
_CHUNK_ROWS = 65_536

Rows = NDArray[np.intp]
_Suspect = tuple[float, float, float, int]  # lon_deg, lat_deg, accuracy_m, fix_ms


class LastFixTable:
    """The last accepted fix of up to ``capacity`` devices; the least recently seen leave first."""

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self._row_of: dict[str, int] = {}
        self._ids: list[str | None] = [None]
        self._free: list[int] = []  # rows whose device left
        self._suspects: dict[int, _Suspect] = {}  # by row; jumps are rare
        self._hand = 1  # where eviction looks next
        self._turn = 0  # raised by every update, 32 bits
        rows = min(capacity, _FIRST_ROWS) + 1
        self._lon_deg = np.full(rows, np.nan)
        self._lat_deg = np.full(rows, np.nan)
        self._accuracy_m = np.full(rows, np.nan)
        self._fix_ms = np.full(rows, -1, np.int64)
        self._suspect_count = np.zeros(rows, np.int8)
        self._flags = np.zeros(rows, np.uint8)
        self._seen = np.zeros(rows, np.uint32)  # the turn of the latest update

    def __len__(self) -> int:
        return len(self._row_of)

    @property
    def column_bytes(self) -> int:
        """Bytes of all columns, without the ids and their index."""
        columns = (self._lon_deg, self._lat_deg, self._accuracy_m, self._fix_ms)
        return sum(c.nbytes for c in (*columns, self._suspect_count, self._flags, self._seen))

    def known(self, device_ids: list[str], people: People) -> Known:
        """What is known of each sender.

        Parameters
        ----------
        device_ids : list, length P
        people
            Whom devices stand for, and what is on record of them.

        Returns
        -------
        Known, P rows
            In the order of ``device_ids``.

        Notes
        -----
        One dictionary look-up a fix (two where there are aliases), the rest is numpy. A device
        that is not in the table but on record still has the time of its last fix there.
        """
        rows = self._find(device_ids)
        owner_of = people.owner_of
        # A copy also without aliases: the answer must not change with the caller's list.
        persons = list(map(owner_of.get, device_ids, device_ids)) if owner_of else device_ids[:]
        flags, fix_ms = self._flags[rows], self._fix_ms[rows]
        if len(people):
            for ix in np.flatnonzero(rows == 0).tolist():
                flags[ix] = people.flags(persons[ix])
                fix_ms[ix] = _recorded_ms(people, persons[ix], device_ids[ix])
        count = self._suspect_count[rows].astype(np.int32)
        return Known(
            person_ids=persons,
            is_located=(flags & IS_LOCATED).astype(bool),
            has_refused=(flags & HAS_REFUSED).astype(bool),
            has_record=(flags & IS_OBSERVED).astype(bool),
            lon_deg=self._lon_deg[rows],
            lat_deg=self._lat_deg[rows],
            accuracy_m=self._accuracy_m[rows],
            fix_ms=fix_ms,
            suspect_count=count,
            **self._suspect_columns(rows, count),
        )

    def update(self, last: LastFixes, flags_of: Callable[[str], int]) -> None:
        """Remember these fixes; ``flags_of`` tells the flags of a device new to the table."""
        device_ids = last.device_ids
        self._turn = (self._turn + 1) & 0xFFFF_FFFF
        rows = self._find(device_ids)
        self._seen[rows] = self._turn  # before making room: these must not be what leaves
        new = np.flatnonzero(rows == 0)
        for ix in new.tolist():
            rows[ix] = self._add(device_ids[ix], flags_of)
        if len(self._row_of) == 0 or not len(rows):
            return
        self._seen[rows] = self._turn
        self._lon_deg[rows] = last.lon_deg
        self._lat_deg[rows] = last.lat_deg
        self._accuracy_m[rows] = last.accuracy_m
        self._fix_ms[rows] = last.fix_ms
        self._suspect_count[rows] = np.clip(last.suspect_count, -1, 127)
        self._note_suspects(rows, last)
        self._clear_row_0()

    def set_flags(self, device_id: str, flags: int) -> None:
        """What is on record of the device's person has changed."""
        row = self._row_of.get(device_id)
        if row is not None:
            self._flags[row] = flags

    def forget(self, device_id: str) -> bool:
        """Forget a device; whether it was there."""
        row = self._row_of.pop(device_id, None)
        if row is None:
            return False
        self._vacate(row)
        return True

    def times(self) -> Iterator[bytes]:
        """All devices with the time of their last fix, packed in chunks; no positions."""
        ids = list(self._row_of)
        rows = np.fromiter(self._row_of.values(), np.intp, len(ids))
        for start_ix in range(0, len(ids), _CHUNK_ROWS):
            part = slice(start_ix, start_ix + _CHUNK_ROWS)
            yield msgspec.msgpack.encode((ids[part], self._fix_ms[rows[part]].tobytes()))

    def restore(self, chunk: bytes, flags_of: Callable[[str], int]) -> None:
        """Take back one chunk of `times`."""
        ids, raw = msgspec.msgpack.decode(chunk, type=tuple[list[str], bytes])
        blank, none = np.full(len(ids), np.nan), np.zeros(len(ids), np.int32)
        fix_ms: Longs = np.frombuffer(raw, np.int64)
        columns = (ids, blank, blank, blank, fix_ms, none, blank, blank, blank, fix_ms)
        self.update(LastFixes(*columns), flags_of)

    def _find(self, device_ids: list[str]) -> Rows:
        found = map(self._row_of.get, device_ids, repeat(0))
        return np.fromiter(found, np.intp, len(device_ids))

    def _suspect_columns(self, rows: Rows, count: NDArray[np.int32]) -> dict[str, NDArray]:  # type: ignore[type-arg]
        lon_deg, lat_deg, accuracy_m = np.full((3, len(rows)), np.nan)
        suspect_ms = np.full(len(rows), -1, np.int64)
        for ix in np.flatnonzero(count > 0).tolist():
            suspect = self._suspects[int(rows[ix])]
            lon_deg[ix], lat_deg[ix], accuracy_m[ix], suspect_ms[ix] = suspect
        return {
            "suspect_lon_deg": lon_deg,
            "suspect_lat_deg": lat_deg,
            "suspect_accuracy_m": accuracy_m,
            "suspect_ms": suspect_ms,
        }

    def _note_suspects(self, rows: Rows, last: LastFixes) -> None:
        if self._suspects:
            for row in rows.tolist():
                self._suspects.pop(row, None)
        for ix in np.flatnonzero(last.suspect_count > 0).tolist():
            self._suspects[int(rows[ix])] = (
                float(last.suspect_lon_deg[ix]),
                float(last.suspect_lat_deg[ix]),
                float(last.suspect_accuracy_m[ix]),
                int(last.suspect_ms[ix]),
            )

    def _clear_row_0(self) -> None:
        """Devices that found no room were written to row 0."""
        self._lon_deg[0] = self._lat_deg[0] = self._accuracy_m[0] = np.nan
        self._fix_ms[0], self._suspect_count[0] = -1, 0
        self._suspects.pop(0, None)

    def _add(self, device_id: str, flags_of: Callable[[str], int]) -> int:
        """A row for a device; 0 if everybody in the table was seen in this very turn."""
        known = self._row_of.get(device_id)
        if known is not None:
            return known  # twice in one update: the later row of the update wins
        if not self._free and len(self._ids) > self.capacity and not self._make_room():
            return 0
        if self._free:
            row = self._free.pop()
            self._ids[row] = device_id
        else:
            row = len(self._ids)
            self._ids.append(device_id)
            if row >= len(self._seen):
                self._grow()
        self._row_of[device_id] = row
        self._seen[row] = self._turn
        self._flags[row] = flags_of(device_id)
        return row

    def _grow(self) -> None:
        rows = min(2 * len(self._seen), self.capacity + 1)
        for name in ("_lon_deg", "_lat_deg", "_accuracy_m"):
            setattr(self, name, _grown(getattr(self, name), rows))
        for name in ("_fix_ms", "_suspect_count", "_flags", "_seen"):
            setattr(self, name, _grown(getattr(self, name), rows))

    def _make_room(self) -> bool:
        """Let the least recently seen go; whether anybody could."""
        windows = -(-self.capacity // _WINDOW_ROWS)
        return any(self._sweep() for _ in range(windows + 1))

    def _sweep(self) -> bool:
        start = 1 if self._hand > self.capacity else self._hand
        stop = min(start + _WINDOW_ROWS, self.capacity + 1)
        self._hand = stop
        age = np.uint32(self._turn) - self._seen[start:stop]  # unsigned: right over the wrap too
        leaving = max(1, len(age) // 8)
        oldest = np.argpartition(age, len(age) - leaving)[len(age) - leaving :]
        victims = (oldest[age[oldest] > 0] + start).tolist()
        for row in victims:
            device_id = self._ids[row]
            if device_id is not None:
                del self._row_of[device_id]
                self._vacate(row)
        return bool(self._free)

    def _vacate(self, row: int) -> None:
        self._ids[row] = None
        self._suspects.pop(row, None)
        self._suspect_count[row] = 0
        self._free.append(row)


def _grown(column: NDArray, rows: int) -> NDArray:  # type: ignore[type-arg]
    larger = np.zeros(rows, column.dtype)
    larger[: len(column)] = column
    return larger


def _recorded_ms(people: People, person_id: str, device_id: str) -> int:
    """The time of a device's last fix as its person's record has it; -1 if it has none."""
    record = people.get(person_id)
    return -1 if record is None else record.devices.get(device_id, -1)
