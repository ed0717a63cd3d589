"""The last fix of each device: a bounded column table, the cheapest memory we have of anybody.

It exists because late fixes, impossible speeds and crossings need the fix before, also of the many
devices about which there is nothing else to remember.

Row `UNKNOWN` stands for "never seen", so that a look-up needs no mask. Positions live here only;
they never reach a disk.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

import msgspec
import numpy as np
from numpy.typing import NDArray

from geoengine.core.columns import Fixes, Known, LastFixes, Longs, Rests, Spot, keys_of, rows_where
from geoengine.core.look.stays import Settled, heard_again
from geoengine.core.record import Record
from geoengine.state.embedded.held.device_index import FIRST_ROW, UNKNOWN, DeviceIndex, Keys, Rows
from geoengine.state.embedded.held.people import People
from geoengine.state.embedded.held.stays import StayTable
from geoengine.state.flags import HAS_REFUSED, IS_LOCATED, IS_OBSERVED

if TYPE_CHECKING:
    from geoengine.core.quiet._quiet import Ground

_FIRST_ROWS = 1_024
# Eviction looks at so many rows at a time and lets the least recently seen eighth of them go: the
# work stays under a millisecond however large the table is, and is exact below this size.
_WINDOW_ROWS = 65_536
_CHUNK_ROWS = 65_536
_NO_STAY = -1


class LastFixTable:
    """The last accepted fix of up to ``capacity`` devices; the least recently seen leave first.

    ``on_leave`` hears of people whose records do not know yet what is noted of their stays, before
    their devices leave.
    """

    def __init__(
        self, capacity: int, on_leave: Callable[[list[str]], None] = lambda person_ids: None
    ) -> None:
        self.capacity = capacity
        self._on_leave = on_leave
        self._index = DeviceIndex()
        self._stays = StayTable()
        self._ids: list[str | None] = [None] * FIRST_ROW  # by row
        self._free: list[int] = []  # rows whose device left
        self._suspects: dict[int, Spot] = {}  # by row; jumps are rare
        self._hand = FIRST_ROW  # where eviction looks next
        self._turn = 0  # raised by every update, 32 bits
        rows = min(capacity, _FIRST_ROWS) + FIRST_ROW
        # Together, so that a device's are one read from memory: lon_deg, lat_deg, accuracy_m.
        self._places = np.full((rows, 3), np.nan)
        self._fix_ms = np.full(rows, -1, np.int64)
        self._stay = np.full(rows, _NO_STAY, np.int32)  # slot in `_stays`
        self._suspect_count = np.zeros(rows, np.int8)
        self._flags = np.zeros(rows, np.uint8)
        self._seen = np.zeros(rows, np.uint32)  # the turn of the latest update
        self._mark = np.zeros(rows, np.int32)  # scratch of `note_quiet`, all zero between two

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
        keys = keys_of(device_ids)
        rows = self._index.find(keys)
        owner_of = people.owner_of
        # A copy also without aliases: the answer must not change with the caller's list.
        persons = list(map(owner_of.get, device_ids, device_ids)) if owner_of else device_ids[:]
        flags, fix_ms = self._flags.take(rows), self._fix_ms.take(rows)
        if len(people):
            for ix in rows_where(rows == UNKNOWN).tolist():
                flags[ix] = people.flags(persons[ix])
                fix_ms[ix] = _recorded_ms(people, persons[ix], device_ids[ix])
        places = self._places.take(rows, axis=0)
        stay_ix, slots = _numbered(self._stay.take(rows))
        count = self._suspect_count.take(rows)
        return Known(
            person_ids=persons,
            device_keys=keys,
            slot_ix=rows,
            is_located=(flags & IS_LOCATED).astype(bool),
            has_refused=(flags & HAS_REFUSED).astype(bool),
            has_record=(flags & IS_OBSERVED).astype(bool),
            lon_deg=places[:, 0],
            lat_deg=places[:, 1],
            accuracy_m=places[:, 2],
            fix_ms=fix_ms,
            suspect_count=count.astype(np.int32),
            suspects=self._suspects_of(keys, rows, count),
            stay_ix=stay_ix,
            stays=self._stays.take(slots),
        )

    def _suspects_of(self, keys: Keys, rows: Rows, count: NDArray[np.int8]) -> dict[int, Spot]:
        if not self._suspects:
            return {}
        held = rows_where(count > 0).tolist()
        return {int(keys[ix]): self._suspects[int(rows[ix])] for ix in held}

    def update(self, last: LastFixes, flags_of: Callable[[str], int]) -> None:
        """Remember these fixes; ``flags_of`` tells the flags of a device new to the table."""
        keys = last.device_keys
        self._turn = (self._turn + 1) & 0xFFFF_FFFF
        rows = self._rows_of(last.slot_ix, keys).copy()  # new devices get theirs below
        self._seen[rows] = self._turn  # before making room: these must not be what leaves
        new = rows_where(rows == UNKNOWN)
        if len(new):
            rows[new] = self._add(last.device_ids, keys, new, flags_of)
            self._seen[rows] = self._turn
        places = np.empty((len(rows), 3))
        places[:, 0], places[:, 1], places[:, 2] = last.lon_deg, last.lat_deg, last.accuracy_m
        self._places[rows] = places
        self._fix_ms[rows] = last.fix_ms
        self._suspect_count[rows] = last.suspect_count
        self._note_suspects(rows, last)
        self._clear_unknown()

    def note_quiet(
        self, fixes: Fixes, ground: Ground, busy: list[str], *, is_assumed: bool, now_ms: int
    ) -> Longs:
        """Remember the fixes that change nothing else; the rows of those that are left.

        Nothing of the ``busy`` devices is taken. What may be taken: `core.quiet`.
        """
        self._turn = (self._turn + 1) & 0xFFFF_FFFF
        barred = self._index.find(keys_of(busy)).tolist() if busy else []
        noted = np.zeros(len(fixes), np.int32)
        count = ground.note(
            (
                *self._index.columns,
                self._places,
                self._fix_ms,
                self._stay,
                self._suspect_count,
                self._flags,
                self._seen,
                self._mark,
            ),
            self._stays.columns,
            (
                fixes.device_ids,
                np.ascontiguousarray(fixes.lon_deg),
                np.ascontiguousarray(fixes.lat_deg),
                np.ascontiguousarray(fixes.accuracy_m),
                np.ascontiguousarray(fixes.fix_ms),
                np.ascontiguousarray(fixes.recv_ms),
                np.ascontiguousarray(fixes.post_ix),
                noted,
            ),
            barred,
            is_assumed,
            now_ms,
            self._turn,
        )
        return rows_where(noted >= 0) if count else np.arange(len(fixes))

    def _rows_of(self, rows: Longs, keys: Longs) -> Rows:
        """Where devices are now that were in these rows: they may have come, left or moved."""
        moved = rows_where(~self._index.holds(rows, keys))
        if len(moved):
            rows = rows.copy()
            rows[moved] = self._index.find(keys[moved])
        return rows

    # --- stays ----------------------------------------------------------------------------------

    def moved_on(self, last: LastFixes, rests: Rests) -> list[str]:
        """Whose records are not as they were when their rest was decided."""
        is_current = self._stays.are_current(*self._slots_of(last, rests))
        return [last.person_ids[ix] for ix in rests.last_ix[~is_current].tolist()]

    def note(self, last: LastFixes, rests: Rests) -> None:
        """These people were heard of again with the last fixes, which have been updated."""
        slots, turns = self._slots_of(last, rests)
        current = rows_where(self._stays.are_current(slots, turns))
        self._stays.note(slots[current], rests.lag_ms[current])

    def _slots_of(self, last: LastFixes, rests: Rests) -> tuple[Longs, Longs]:
        asked = rests.last_ix
        rows = self._rows_of(last.slot_ix[asked], last.device_keys[asked])
        return self._stay.take(rows).astype(np.int64), rests.turn

    def on_record(
        self, device_ids: list[str], flags: list[int], standing: list[tuple[str, Settled, int]]
    ) -> None:
        """What is on record of these devices' people is new: flags, and who only stands somewhere.

        ``standing`` holds the person, the stay, and the last fix that the record knows of.
        """
        rows = self._index.find(keys_of(device_ids))
        self._flags[rows] = flags
        self._unsettle(rows)
        if standing:
            row_of = dict(zip(device_ids, rows.tolist(), strict=True))
            self._settle([(*who, row_of[who[1].device_id]) for who in standing])
        self._clear_unknown()

    def _settle(self, standing: list[tuple[str, Settled, int, int]]) -> None:
        here = [who for who in standing if who[3] != UNKNOWN]
        if here:
            kept_ms, rows = (np.array([who[ix] for who in here], np.int64) for ix in (2, 3))
            self._stay[rows] = self._stays.place([who[:2] for who in here], kept_ms, rows)

    def _unsettle(self, rows: Rows) -> None:
        slots = self._stay.take(rows)
        held = slots != _NO_STAY
        if held.any():
            self._stays.free(list(dict.fromkeys(slots[held].tolist())))
            self._stay[rows[held]] = _NO_STAY

    def catch_up(self, records: Iterable[Record]) -> None:
        """Put into these records, fresh from their shelf, what has been noted since."""
        standing = [record for record in records if record.presences] if len(self._stays) else []
        if not standing:
            return
        devices = [next(iter(record.presences.values())).device_id for record in standing]
        rows = self._index.find(keys_of(devices))
        slots = self._stay.take(rows)
        for record, row, slot in zip(standing, rows.tolist(), slots.tolist(), strict=True):
            if slot != _NO_STAY and self._stays.person_ids[slot] == record.person_id:
                heard_again(record, int(self._fix_ms[row]), self._stays.lag_ms(slot))

    def behind(self, after_ms: int, limit: int) -> list[str]:
        """Up to so many people whose records are behind a stay's last fix by more than this."""
        slots = self._stays.overdue(self._fix_ms, after_ms)[:limit]
        self._stays.kept(slots, self._fix_ms[self._stays.rows[slots]])
        return [person_id for slot in slots.tolist() if (person_id := self._stays.person_ids[slot])]

    # --- devices --------------------------------------------------------------------------------

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

    def _note_suspects(self, rows: Rows, last: LastFixes) -> None:
        if self._suspects:
            for row in rows.tolist():
                self._suspects.pop(row, None)
        if last.suspects:
            for ix in rows_where(last.suspect_count > 0).tolist():
                self._suspects[int(rows[ix])] = last.suspects[int(last.device_keys[ix])]

    def _clear_unknown(self) -> None:
        """Devices that found no room were written to the row of the unknown."""
        self._places[UNKNOWN] = np.nan
        self._fix_ms[UNKNOWN], self._suspect_count[UNKNOWN], self._flags[UNKNOWN] = -1, 0, 0
        self._stay[UNKNOWN] = _NO_STAY
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
        self._stay[free] = _NO_STAY
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
        for name in ("_places", "_fix_ms", "_stay", "_suspect_count", "_flags", "_seen", "_mark"):
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
        leavers = oldest[age[oldest] > 0] + start
        self._on_leave(self._behind_in(leavers))
        self._vacate(leavers)
        return bool(self._free)

    def _behind_in(self, rows: Rows) -> list[str]:
        """People with a stay in one of these rows whose records do not know of its last fix."""
        slots = self._stay.take(rows)
        held = rows_where(slots != _NO_STAY)
        behind = held[self._stays.behind(slots[held], self._fix_ms[rows[held]])]
        names = (self._stays.person_ids[slot] for slot in slots[behind].tolist())
        return [person_id for person_id in names if person_id]

    def _vacate(self, rows: Rows) -> None:
        self._unsettle(rows)
        self._index.remove(rows)
        self._suspect_count[rows] = 0
        for row in rows.tolist():
            self._ids[row] = None
            self._suspects.pop(row, None)
            self._free.append(row)


def _grown(column: NDArray, rows: int) -> NDArray:  # type: ignore[type-arg]
    larger = np.zeros((rows, *column.shape[1:]), column.dtype)
    larger[: len(column)] = column
    return larger


def _recorded_ms(people: People, person_id: str, device_id: str) -> int:
    """The time of a device's last fix as its person's record has it; -1 if it has none."""
    record = people.get(person_id)
    return -1 if record is None else record.devices.get(device_id, -1)


def _numbered(slots: NDArray[np.int32]) -> tuple[NDArray[np.int32], Longs]:
    """Each slot as a position among those there are, and these in order; -1 where there is none."""
    held = rows_where(slots != _NO_STAY)
    numbers = np.full(len(slots), _NO_STAY, np.int32)
    numbers[held] = np.arange(len(held))
    return numbers, slots[held].astype(np.int64)
