"""Order and plausibility: which fixes of a batch count, which are late, which are suspect.

A fix not newer than the last accepted one of its device is *late*. One that would need more than
70 m/s from there, both accuracies subtracted, is *suspect*: held until the next one agrees with
it; the third in a row begins a new track. Devices whose fixes are all plausible, nearly all of
them, are dealt with in columns; the others one fix at a time by `Walker`, the definition.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from geoengine.core.columns import (
    Bools,
    Fixes,
    Floats,
    Ints,
    Known,
    LastFixes,
    Longs,
    Spot,
    rows_where,
)
from geoengine.core.units import SECOND_MS, SPEED_MAX_MPS, SUSPECTS_TO_RESET, WGS84_A_M

ACCEPTED, LATE, SUSPECT = 0, 1, 2
# A device that first appears with a fix this coarse has not shown where it is: the next one still
# counts as its first, so that a cold start inside a zone does not look like somebody walking in.
# The same goes for the fix that begins a new track after a row of impossible ones. A phone that
# never gets better is taken at its word after a few.
APPEARS_WITHIN_M = 100.0
VAGUE_FIXES_MAX = 5
APPEARED_VAGUELY = -1  # in place of a count of suspects: -2 after the second vague fix, and so on
DEGREE_MAX_M = 111_700.0  # nowhere is a degree, of latitude or longitude, longer than this
NOWHERE = Spot(np.nan, np.nan, np.nan, -1)

Column = TypeVar("Column", Floats, Longs)


@dataclass(frozen=True, slots=True)
class Track:
    """The fixes of a batch, those of one device together, in order of post and time; P rows.

    ``row_ix`` points into the fixes given; ``fixes`` and ``known`` are these in the new order. The
    ``previous_*`` columns hold the accepted fix before: ``previous_ms`` is -1 for a device that
    first appears, positions are NaN where unknown.
    """

    fixes: Fixes
    known: Known
    row_ix: Longs
    device_ix: Longs  # the row of ``last`` about the device
    is_strange: Bools  # of a device with a late or suspect fix, or after one
    fate: Ints
    previous_ms: Longs
    previous_lon_deg: Floats
    previous_lat_deg: Floats
    previous_accuracy_m: Floats
    way_max_m: Floats  # no shorter than the way from the fix before; NaN where that is unknown
    last: LastFixes


def distance_m(lon0: Floats, lat0: Floats, lon1: Floats, lat1: Floats) -> Floats:
    """Great-circle distance in metres by the haversine; within 0.6 % of the geodesic.

    Good enough to judge a speed, not to decide a zone.
    """
    phi0, phi1 = np.radians(lat0), np.radians(lat1)
    half = np.sin((phi1 - phi0) / 2) ** 2
    half = half + np.cos(phi0) * np.cos(phi1) * np.sin(np.radians(lon1 - lon0) / 2) ** 2
    distances: Floats = 2 * WGS84_A_M * np.arcsin(np.sqrt(np.minimum(half, 1.0)))
    return distances


def follow(fixes: Fixes, known: Known) -> Track:
    """Put the fixes of a batch in order and say which count."""
    row_ix, starts = _order(fixes, known.device_keys)
    if len(starts) < len(fixes):
        fixes, known = fixes.take(row_ix), known.take(row_ix)
    run = _Run.of(fixes, known, starts)
    strange = run.strange_devices()
    for device in rows_where(strange).tolist():
        run.walk(device)
    return Track(
        fixes=fixes,
        known=known,
        row_ix=row_ix,
        device_ix=run.device_ix,
        is_strange=strange[run.device_ix],
        fate=run.fate,
        previous_ms=run.previous_ms,
        previous_lon_deg=run.previous_lon,
        previous_lat_deg=run.previous_lat,
        previous_accuracy_m=run.previous_accuracy,
        way_max_m=run.way_max_m,
        last=run.last_fixes(),
    )


def _order(fixes: Fixes, keys: Longs) -> tuple[Longs, Longs]:
    """The rows in order of device, post and time; and where in it each device's rows begin.

    Where every device has one row, as in nearly every post, the order is that of the rows given.
    """
    count = len(keys)
    in_order = np.sort(keys)
    if count < 2 or not (in_order[1:] == in_order[:-1]).any():
        rows = np.arange(count)
        return rows, rows
    row_ix = np.lexsort((fixes.fix_ms, fixes.post_ix, keys))
    in_order = keys[row_ix]
    is_first = np.empty(count, bool)
    is_first[0] = True
    np.not_equal(in_order[1:], in_order[:-1], out=is_first[1:])
    return row_ix, rows_where(is_first)


@dataclass(slots=True)
class _Run:
    """The batch in order, with the state of each device as it goes."""

    fixes: Fixes
    known: Known
    starts: Longs  # by device: its first row
    ends: Longs  # by device: the row after its last
    device_ix: Longs
    fate: Ints
    previous_ms: Longs
    previous_lon: Floats
    previous_lat: Floats
    previous_accuracy: Floats
    way_max_m: Floats
    walked: dict[int, Walker]  # devices walked one fix at a time

    @classmethod
    def of(cls, fixes: Fixes, known: Known, starts: Longs) -> _Run:
        count = len(fixes)
        ends, device_ix = starts + 1, starts
        if len(starts) < count:
            ends = np.append(starts[1:], count)
            device_ix = np.repeat(np.arange(len(starts)), ends - starts)
        run = cls(
            fixes=fixes,
            known=known,
            starts=starts,
            ends=ends,
            device_ix=device_ix,
            fate=np.zeros(count, np.int32),
            previous_ms=_shifted(fixes.fix_ms, known.fix_ms, starts),
            previous_lon=_shifted(fixes.lon_deg, known.lon_deg, starts),
            previous_lat=_shifted(fixes.lat_deg, known.lat_deg, starts),
            previous_accuracy=_shifted(fixes.accuracy_m, known.accuracy_m, starts),
            way_max_m=np.empty(0),
            walked={},
        )
        run.way_max_m = np.abs(fixes.lon_deg - run.previous_lon)
        run.way_max_m += np.abs(fixes.lat_deg - run.previous_lat)
        run.way_max_m *= DEGREE_MAX_M
        return run

    def strange_devices(self) -> Bools:
        """Devices with a fix that is late, suspect, first and coarse, or after such a one."""
        known, starts = self.known, self.starts
        gap_ms = self.fixes.fix_ms - self.previous_ms
        reach_m = np.maximum(gap_ms / SECOND_MS, 1.0) * SPEED_MAX_MPS
        is_strange: Bools = gap_ms <= 0
        # A NaN, where there is no position before, compares false: nothing to hold against it.
        is_strange[self._too_far(reach_m)] = True
        is_first_strange = known.suspect_count != 0
        is_first_strange |= (known.fix_ms < 0) & (self.fixes.accuracy_m > APPEARS_WITHIN_M)
        if len(starts) == len(gap_ms):
            is_strange |= is_first_strange
            return is_strange
        is_strange[starts] |= is_first_strange[starts]
        return np.logical_or.reduceat(is_strange, starts)

    def _too_far(self, reach_m: Floats) -> Longs:
        """Rows that no one could have reached from the fix before. Few ways are measured for it."""
        far = rows_where(self.way_max_m > reach_m)
        if not len(far):
            return far
        fixes = self.fixes
        way_m = distance_m(
            self.previous_lon[far], self.previous_lat[far], fixes.lon_deg[far], fixes.lat_deg[far]
        )
        way_m -= fixes.accuracy_m[far]
        way_m -= self.previous_accuracy[far]
        return far[way_m > reach_m[far]]

    def walk(self, device: int) -> None:
        """One device, one fix at a time."""
        start, end = int(self.starts[device]), int(self.ends[device])
        walker = Walker.of(self.known, start)
        fixes = self.fixes
        for row in range(start, end):
            fix = Spot(
                float(fixes.lon_deg[row]),
                float(fixes.lat_deg[row]),
                float(fixes.accuracy_m[row]),
                int(fixes.fix_ms[row]),
            )
            self.fate[row], previous = walker.take(fix)
            self.previous_ms[row] = previous.at_ms
            self.previous_lon[row], self.previous_lat[row] = previous.lon_deg, previous.lat_deg
            self.previous_accuracy[row] = previous.accuracy_m
            self.way_max_m[row] = DEGREE_MAX_M * (
                abs(fix.lon_deg - previous.lon_deg) + abs(fix.lat_deg - previous.lat_deg)
            )
        self.walked[device] = walker

    def last_fixes(self) -> LastFixes:
        """What each device leaves behind."""
        fixes, starts, is_single = self.fixes, self.starts, len(self.starts) == len(self.fixes)
        final = self.ends - 1
        ids, owners = fixes.device_ids, self.known.person_ids
        last = LastFixes(
            device_ids=ids if is_single else [ids[row] for row in final.tolist()],
            person_ids=owners if is_single else [owners[row] for row in final.tolist()],
            device_keys=self.known.device_keys[starts],
            slot_ix=self.known.slot_ix[starts],
            lon_deg=fixes.lon_deg[final],
            lat_deg=fixes.lat_deg[final],
            accuracy_m=fixes.accuracy_m[final],
            fix_ms=fixes.fix_ms[final],
            suspect_count=np.zeros(len(starts), np.int32),
            suspects={},
        )
        for device, walker in self.walked.items():
            walker.write(last, device)
        return last


def _shifted(column: Column, before: Column, starts: Longs) -> Column:
    """The value of the row before; of the first of a device what was known of it."""
    if len(starts) == len(column):
        return before.copy()
    previous = np.empty_like(column)
    previous[1:] = column[:-1]
    previous[starts] = before[starts]
    return previous


@dataclass(slots=True)
class Walker:
    """One device's track: the last accepted fix, and the suspect after it."""

    last: Spot
    suspect: Spot
    suspect_count: int

    @classmethod
    def of(cls, known: Known, row: int) -> Walker:
        return cls(
            last=Spot(
                float(known.lon_deg[row]),
                float(known.lat_deg[row]),
                float(known.accuracy_m[row]),
                int(known.fix_ms[row]),
            ),
            suspect=known.suspects.get(int(known.device_keys[row]), NOWHERE),
            suspect_count=int(known.suspect_count[row]),
        )

    def take(self, fix: Spot) -> tuple[int, Spot]:
        """The fate of the next fix, and the accepted one before it."""
        last = self.last
        if fix.at_ms <= last.at_ms:
            return LATE, last
        if last.at_ms < 0:
            return self._accept(fix, NOWHERE, self._vagueness(fix))
        if _is_plausible(last, fix):
            if self.suspect_count < 0:
                return self._accept(fix, NOWHERE, self._vagueness(fix))
            return self._accept(fix, last)
        if self.suspect_count > 0:
            if fix.at_ms == self.suspect.at_ms:
                return LATE, last  # the suspect itself, posted again, agrees with nothing
            if fix.at_ms > self.suspect.at_ms and _is_plausible(self.suspect, fix):
                return self._accept(fix, self.suspect)
        self.suspect_count = max(self.suspect_count, 0) + 1
        if self.suspect_count >= SUSPECTS_TO_RESET:
            # The new track begins here, but only a next fix that agrees says anything of a zone.
            self._accept(fix, NOWHERE, APPEARED_VAGUELY)
            return SUSPECT, last
        self.suspect = fix
        return SUSPECT, last

    def _vagueness(self, fix: Spot) -> int:
        is_vague = fix.accuracy_m > APPEARS_WITHIN_M and self.suspect_count > -VAGUE_FIXES_MAX
        return min(self.suspect_count, 0) + APPEARED_VAGUELY if is_vague else 0

    def _accept(self, fix: Spot, previous: Spot, count: int = 0) -> tuple[int, Spot]:
        self.last, self.suspect, self.suspect_count = fix, NOWHERE, count
        return ACCEPTED, previous

    def write(self, last: LastFixes, ix: int) -> None:
        """Leave the state in row ``ix`` of the columns."""
        last.lon_deg[ix], last.lat_deg[ix] = self.last.lon_deg, self.last.lat_deg
        last.accuracy_m[ix], last.fix_ms[ix] = self.last.accuracy_m, self.last.at_ms
        last.suspect_count[ix] = self.suspect_count
        if self.suspect_count > 0:
            last.suspects[int(last.device_keys[ix])] = self.suspect


def _is_plausible(before: Spot, after: Spot) -> bool:
    reach_m = max((after.at_ms - before.at_ms) / SECOND_MS, 1.0) * SPEED_MAX_MPS
    most_deg = abs(after.lon_deg - before.lon_deg) + abs(after.lat_deg - before.lat_deg)
    if most_deg * DEGREE_MAX_M <= reach_m:
        return True
    far_m = distance_m(*(np.array([x]) for x in (*before[:2], *after[:2])))
    return not float(far_m[0]) - before.accuracy_m - after.accuracy_m > reach_m
