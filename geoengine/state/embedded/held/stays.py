"""The stays: for people who only stand in zones, what the next fix of their device is held against.

A slot a device. The last-fix table says which slot a device has, and when the person was last heard
of: that is the time of the device's last fix, so that a fix which changes nothing else is noted by
it alone. Their packed records stay behind until somebody asks for them.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from geoengine.core.columns import STAYS_MAX, Bools, Ints, Longs, Stays, rows_where
from geoengine.core.look.stays import Settled

_FIRST_SLOTS = 256


class StayTable:
    """Stays by slot; grows as needed, and is never larger than there are records."""

    def __init__(self) -> None:
        self.person_ids: list[str | None] = []  # by slot; None where it is free
        self._free: list[int] = []
        self._turn = 0  # the latest; a slot has that of when it was written
        self._zone_prints = np.zeros((_FIRST_SLOTS, STAYS_MAX), np.int64)
        self._dwell_ms = np.zeros(_FIRST_SLOTS, np.int64)
        self._lag_ms = np.zeros(_FIRST_SLOTS, np.int32)
        self._kept_ms = np.zeros(_FIRST_SLOTS, np.int64)  # the last fix that the record knows of
        self._turns = np.zeros(_FIRST_SLOTS, np.uint32)
        self._is_alone = np.zeros(_FIRST_SLOTS, bool)
        self.rows = np.zeros(_FIRST_SLOTS, np.int32)  # of the last-fix table

    def __len__(self) -> int:
        return len(self.person_ids) - len(self._free)

    @property
    def columns(self) -> tuple[Longs, Longs, Ints, Bools]:
        """By slot: zone prints, first dwell, lag, and whether the device is the person's only one.

        Only lags may be written.
        """
        return self._zone_prints, self._dwell_ms, self._lag_ms, self._is_alone

    def take(self, slots: Longs) -> Stays:
        """The stays in these slots, in order."""
        return Stays(
            zone_prints=self._zone_prints[slots],
            dwell_ms=self._dwell_ms[slots],
            lag_ms=self._lag_ms[slots].astype(np.int64),
            turn=self._turns[slots].astype(np.int64),
        )

    def place(self, settled: Sequence[tuple[str, Settled]], kept_ms: Longs, rows: Longs) -> Longs:
        """Give each person a slot; the slots, in order."""
        slots = np.array([self._slot() for _ in settled], np.int64)
        self._turn = (self._turn + 1) & 0xFFFF_FFFF
        blank = (0,) * STAYS_MAX
        self._zone_prints[slots] = [(*s.zone_prints, *blank)[:STAYS_MAX] for _, s in settled]
        self._dwell_ms[slots] = [stay.dwell_ms for _, stay in settled]
        self._lag_ms[slots] = [stay.lag_ms for _, stay in settled]
        self._kept_ms[slots] = kept_ms
        self._is_alone[slots] = [stay.is_alone for _, stay in settled]
        self._turns[slots] = self._turn
        self.rows[slots] = rows
        for slot, (person_id, _) in zip(slots.tolist(), settled, strict=True):
            self.person_ids[slot] = person_id
        return slots

    def free(self, slots: list[int]) -> None:
        """Give slots back."""
        self._turns[slots] = 0
        for slot in slots:
            self.person_ids[slot] = None
        self._free += slots

    def are_current(self, slots: Longs, turns: Longs) -> Bools:
        """Whether each slot is as it was at that turn; a negative one is no slot."""
        same: Bools = (slots >= 0) & (self._turns[slots] == turns)
        return same

    def note(self, slots: Longs, lag_ms: Longs) -> None:
        """These were heard of again."""
        self._lag_ms[slots] = lag_ms

    def kept(self, slots: Longs, fix_ms: Longs) -> None:
        """Their records know of these fixes."""
        self._kept_ms[slots] = fix_ms

    def behind(self, slots: Longs | Ints, fix_ms: Longs) -> Bools:
        """Whose record does not know of the last fix."""
        is_behind: Bools = self._kept_ms[slots] < fix_ms
        return is_behind

    def lag_ms(self, slot: int) -> int:
        """How long the last fix took to reach us."""
        return int(self._lag_ms[slot])

    def overdue(self, fix_ms_of_row: Longs, after_ms: int) -> Longs:
        """Slots whose record is behind by more than this."""
        count = len(self.person_ids)
        is_late = fix_ms_of_row[self.rows[:count]] - self._kept_ms[:count] > after_ms
        return rows_where(is_late & (self._turns[:count] > 0))

    def _slot(self) -> int:
        if self._free:
            return self._free.pop()
        self.person_ids.append(None)
        if len(self.person_ids) > len(self._turns):
            self._grow(len(self._turns) * 9 // 8)  # little to spare: there are millions
        return len(self.person_ids) - 1

    def _grow(self, count: int) -> None:
        for name in (
            "_zone_prints",
            "_dwell_ms",
            "_lag_ms",
            "_kept_ms",
            "_turns",
            "_is_alone",
            "rows",
        ):
            before = getattr(self, name)
            larger = np.zeros((count, *before.shape[1:]), before.dtype)
            larger[: len(before)] = before
            setattr(self, name, larger)
