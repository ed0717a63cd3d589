"""The last fix of each device: a bounded column table, the cheapest memory we have of anybody.

It exists because late fixes, impossible speeds and crossings need the fix before, also of the many
devices about which there is nothing else to remember.

Row `UNKNOWN` stands for "never seen", so that a look-up needs no mask. Positions live here only;
they never reach a disk.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import msgspec
import numpy as np
from numpy.typing import NDArray

from geoengine.core.columns import Known, LastFixes
from geoengine.state.embedded.device_index import (
    FIRST_ROW,
    UNKNOWN,
    DeviceIndex,
    Keys,
    Rows,
    keys_of,
)
from geoengine.state.embedded.people import HAS_REFUSED, IS_LOCATED, IS_OBSERVED, People

_FIRST_ROWS = 1_024
# Eviction looks at so many rows at a time and lets the least recently seen eighth of them go: the
# work stays under a millisecond however large the table is, and is exact below this size.
_WINDOW_ROWS = 65_536
_CHUNK_ROWS = 65_536

_Suspect = tuple[float, float, float, int]  # lon_deg, lat_deg, accuracy_m, fix_ms


class LastFixTable:
    """The last accepted fix of up to ``capacity`` devices; the least recently seen leave first."""

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self._index = DeviceIndex()
        self._ids: list[str | None] = [None] * FIRST_ROW  # by row
        self._free: list[int] = []  # rows whose device left
        self._suspects: dict[int, _Suspect] = {}  # by row; jumps are rare
        self._hand = FIRST_ROW  # where eviction looks next
        self._turn = 0  # raised by every update, 32 bits
        rows = min(capacity, _FIRST_ROWS) + FIRST_ROW
        self._lon_deg = np.full(rows, np.nan)
        self._lat_deg = np.full(rows, np.nan)
        self._accuracy_m = np.full(rows, np.nan)
        self._fix_ms = np.full(rows, -1, np.int64)
        self._suspect_count = np.zeros(rows, np.int8)
        self._flags = np.zeros(rows, np.uint8)
        self._seen = np.zeros(rows, np.uint32)  # the turn of the latest update

    def __len__(self) -> int:
        return len(self._ids) - FIRST_ROW - len(self._free)

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
        One hash a fix (and a dictionary look-up where there are aliases), the rest is numpy. A
        device that is not in the table but on record still has the time of its last fix there.
        """
        rows = self._index.find(keys_of(device_ids))
        owner_of = people.owner_of
        # A copy also without aliases: the answer must not change with the caller's list.
        persons = list(map(owner_of.get, device_ids, device_ids)) if owner_of else device_ids[:]
        flags, fix_ms = self._flags[rows], self._fix_ms[rows]
        if len(people):
            for ix in np.flatnonzero(rows == UNKNOWN).tolist():
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
        keys = keys_of(last.device_ids)
        self._turn = (self._turn + 1) & 0xFFFF_FFFF
        rows = self._index.find(keys)
        self._seen[rows] = self._turn  # before making room: these must not be what leaves
        new = np.flatnonzero(rows == UNKNOWN)
        if len(new):
            rows[new] = self._add(last.device_ids, keys, new, flags_of)
        self._seen[rows] = self._turn
        self._lon_deg[rows] = last.lon_deg
        self._lat_deg[rows] = last.lat_deg
        self._accuracy_m[rows] = last.accuracy_m
        self._fix_ms[rows] = last.fix_ms
        self._suspect_count[rows] = last.suspect_count
        self._note_suspects(rows, last)
        self._clear_unknown()

    def set_flags(self, device_ids: list[str], flags: list[int]) -> None:
        """What is on record of these devices' people has changed."""
        rows = self._index.find(keys_of(device_ids))
        self._flags[rows] = flags
        self._clear_unknown()

    def forget(self, device_id: str) -> bool:
        """Forget a device; whether it was there."""
        rows = self._index.find(keys_of([device_id]))
        if rows[0] == UNKNOWN:
            return False
        self._vacate(rows)
        return True

    def times(self) -> Iterator[bytes]:
        """All devices with the time of their last fix, packed in chunks; no positions."""
        for start in range(FIRST_ROW, len(self._ids), _CHUNK_ROWS):
            part = self._ids[start : start + _CHUNK_ROWS]
            rows = [start + ix for ix, device_id in enumerate(part) if device_id is not None]
            ids = [device_id for device_id in part if device_id is not None]
            yield msgspec.msgpack.encode((ids, self._fix_ms[rows].tobytes()))

    def restore(self, chunk: bytes, flags_of: Callable[[str], int]) -> None:
        """Take back one chunk of `times`."""
        ids, raw = msgspec.msgpack.decode(chunk, type=tuple[list[str], bytes])
        self.update(LastFixes.up_to(ids, np.frombuffer(raw, np.int64)), flags_of)

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

    def _clear_unknown(self) -> None:
        """Devices that found no room were written to the row of the unknown."""
        self._lon_deg[UNKNOWN] = self._lat_deg[UNKNOWN] = self._accuracy_m[UNKNOWN] = np.nan
        self._fix_ms[UNKNOWN], self._suspect_count[UNKNOWN], self._flags[UNKNOWN] = -1, 0, 0
        self._suspects.pop(UNKNOWN, None)

    def _add(
        self, device_ids: list[str], keys: Keys, new: Rows, flags_of: Callable[[str], int]
    ) -> Rows:
        """A row for each new device; `UNKNOWN` where all rows were seen in this very turn."""
        distinct, first, which = np.unique(keys[new], return_index=True, return_inverse=True)
        rows = np.full(len(distinct), UNKNOWN, np.intp)
        free = self._take_rows(len(distinct))
        rows[: len(free)] = free
        self._index.insert(distinct[: len(free)], rows[: len(free)])
        for row, ix in zip(free, new[first].tolist(), strict=False):
            self._ids[row] = device_ids[ix]
            self._flags[row] = flags_of(device_ids[ix])
        return rows[which]

    def _take_rows(self, count: int) -> list[int]:
        """Up to so many rows that are nobody's: new ones first, then those of who leaves."""
        unborn = min(count, self.capacity + FIRST_ROW - len(self._ids))
        rows = list(range(len(self._ids), len(self._ids) + unborn))
        self._ids.extend([None] * unborn)
        if len(self._ids) > len(self._seen):
            self._grow(len(self._ids))
        self._seen[rows] = self._turn  # or the next sweep would take them away again
        while len(rows) < count and (self._free or self._make_room()):
            taken = [self._free.pop() for _ in range(min(count - len(rows), len(self._free)))]
            self._seen[taken] = self._turn
            rows += taken
        return rows

    def _grow(self, rows: int) -> None:
        rows = min(max(rows, 2 * len(self._seen)), self.capacity + FIRST_ROW)
        for name in ("_lon_deg", "_lat_deg", "_accuracy_m", "_fix_ms"):
            setattr(self, name, _grown(getattr(self, name), rows))
        for name in ("_suspect_count", "_flags", "_seen"):
            setattr(self, name, _grown(getattr(self, name), rows))

    def _make_room(self) -> bool:
        """Let the least recently seen go; whether anybody could."""
        windows = -(-self.capacity // _WINDOW_ROWS)
        return any(self._sweep() for _ in range(windows + 1))

    def _sweep(self) -> bool:
        end = self.capacity + FIRST_ROW
        start = FIRST_ROW if self._hand >= end else self._hand
        stop = min(start + _WINDOW_ROWS, end)
        self._hand = stop
        age = np.uint32(self._turn) - self._seen[start:stop]  # unsigned: right over the wrap too
        leaving = max(1, len(age) // 8)
        oldest = np.argpartition(age, len(age) - leaving)[len(age) - leaving :]
        self._vacate(oldest[age[oldest] > 0] + start)
        return bool(self._free)

    def _vacate(self, rows: Rows) -> None:
        self._index.remove(rows)
        self._suspect_count[rows] = 0
        for row in rows.tolist():
            self._ids[row] = None
            self._suspects.pop(row, None)
            self._free.append(row)


def _grown(column: NDArray, rows: int) -> NDArray:  # type: ignore[type-arg]
    larger = np.zeros(rows, column.dtype)
    larger[: len(column)] = column
    return larger


def _recorded_ms(people: People, person_id: str, device_id: str) -> int:
    """The time of a device's last fix as its person's record has it; -1 if it has none."""
    record = people.get(person_id)
    return -1 if record is None else record.devices.get(device_id, -1)
