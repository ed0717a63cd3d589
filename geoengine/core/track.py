"""Order and plausibility: which fixes of a batch count, which are late, which are suspect.

A fix not newer than the last accepted one of its device is *late*. One that would need more than
70 m/s from there, both accuracies subtracted, is *suspect*: held until the next one agrees with
it; the third in a row begins a new track. Devices whose fixes are all plausible, nearly all of
them, are dealt with in columns; the others one fix at a time by `_Walker`, the definition.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from geoengine.core.columns import Bools, Fixes, Floats, Ints, Known, LastFixes, Longs, nowhere
from geoengine.core.units import SECOND_MS, SPEED_MAX_MPS, SUSPECTS_TO_RESET, WGS84_A_M

ACCEPTED, LATE, SUSPECT = 0, 1, 2
# A device that first appears with a fix this coarse has not shown where it is: the next one still
# counts as its first, so that a cold start inside a zone does not look like somebody walking in.
# The same goes for the fix that begins a new track after a row of impossible ones. A phone that
# never gets better is taken at its word after a few.
APPEARS_WITHIN_M = 100.0
VAGUE_FIXES_MAX = 5
APPEARED_VAGUELY = -1  # in place of a count of suspects: -2 after the second vague fix, and so on


@dataclass(frozen=True, slots=True)
class Track:
    """The fixes of a batch in order of device, post and time, each with its fate, P rows.

    ``row_ix`` points into the fixes given. The ``previous_*`` columns hold the accepted fix
    before: ``previous_ms`` is -1 for a device that first appears, positions are NaN where unknown.
    """

    row_ix: Longs
    device_ix: Longs  # rows of one device share a number
    fate: Ints
    at_ms: Longs
    previous_ms: Longs
    previous_lon_deg: Floats
    previous_lat_deg: Floats
    previous_accuracy_m: Floats
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
    codes = {device_id: code for code, device_id in enumerate(dict.fromkeys(fixes.device_ids))}
    device_ix = np.fromiter(map(codes.__getitem__, fixes.device_ids), np.int64, len(fixes))
    row_ix = np.lexsort((fixes.fix_ms, fixes.post_ix, device_ix))
    run = _Run.of(fixes, known, row_ix, device_ix)
    strange = run.strange_devices(len(codes))
    for device in np.flatnonzero(strange).tolist():
        run.walk(int(run.starts[device]), int(run.ends[device]))
    last = run.last_fixes(list(codes), strange)
    return Track(
        row_ix=row_ix,
        device_ix=device_ix[row_ix],
        fate=run.fate,
        at_ms=run.at_ms,
        previous_ms=run.previous_ms,
        previous_lon_deg=run.previous_lon,
        previous_lat_deg=run.previous_lat,
        previous_accuracy_m=run.previous_accuracy,
        last=last,
    )


@dataclass(slots=True)
class _Run:
    """The batch in order, with the state of each device as it goes."""

    lon: Floats
    lat: Floats
    accuracy: Floats
    at_ms: Longs
    starts: Longs  # by device: its first row
    ends: Longs  # by device: the row after its last
    known: Known  # by device
    fate: Ints
    previous_ms: Longs
    previous_lon: Floats
    previous_lat: Floats
    previous_accuracy: Floats
    walked: dict[int, _Walker]  # by first row, for devices walked one fix at a time

    @classmethod
    def of(cls, fixes: Fixes, known: Known, row_ix: Longs, device_ix: Longs) -> _Run:
        device = device_ix[row_ix]
        is_first = np.ones(len(row_ix), bool)
        is_first[1:] = device[1:] != device[:-1]
        starts = np.flatnonzero(is_first)
        ends = np.append(starts[1:], len(row_ix))
        by_device = known.take(row_ix[starts])

        def shifted(column: Floats | Longs, before: Floats | Longs) -> Floats:
            previous = np.empty_like(column)
            previous[1:] = column[:-1]
            previous[starts] = before
            return previous  # type: ignore[return-value]

        lon, lat = fixes.lon_deg[row_ix], fixes.lat_deg[row_ix]
        accuracy, at_ms = fixes.accuracy_m[row_ix], fixes.fix_ms[row_ix]
        return cls(
            lon=lon,
            lat=lat,
            accuracy=accuracy,
            at_ms=at_ms,
            starts=starts,
            ends=ends,
            known=by_device,
            fate=np.full(len(row_ix), ACCEPTED, np.int32),
            previous_ms=shifted(at_ms, by_device.fix_ms),  # type: ignore[arg-type]
            previous_lon=shifted(lon, by_device.lon_deg),
            previous_lat=shifted(lat, by_device.lat_deg),
            previous_accuracy=shifted(accuracy, by_device.accuracy_m),
            walked={},
        )

    def strange_devices(self, device_count: int) -> Bools:
        """Devices with a fix that is late, suspect, first and coarse, or after such a one."""
        if not len(self.at_ms):
            return np.zeros(device_count, bool)
        gap_ms = self.at_ms - self.previous_ms
        reach_m = np.maximum(gap_ms / SECOND_MS, 1.0) * SPEED_MAX_MPS
        far_m = distance_m(self.previous_lon, self.previous_lat, self.lon, self.lat)
        # A NaN, where there is no position before, compares false: nothing to hold against it.
        is_strange = (gap_ms <= 0) | (far_m - self.accuracy - self.previous_accuracy > reach_m)
        is_strange[self.starts] |= (self.known.suspect_count != 0) | (
            (self.known.fix_ms < 0) & (self.accuracy[self.starts] > APPEARS_WITHIN_M)
        )
        return np.logical_or.reduceat(is_strange, self.starts)

    def walk(self, start: int, end: int) -> None:
        """One device, one fix at a time."""
        walker = _Walker.of(self.known, int(np.searchsorted(self.starts, start)))
        for row in range(start, end):
            fix = _Spot(
                float(self.lon[row]),
                float(self.lat[row]),
                float(self.accuracy[row]),
                int(self.at_ms[row]),
            )
            self.fate[row], previous = walker.take(fix)
            self.previous_ms[row] = previous.at_ms
            self.previous_lon[row], self.previous_lat[row] = previous.lon, previous.lat
            self.previous_accuracy[row] = previous.accuracy
        self.walked[start] = walker

    def last_fixes(self, device_ids: list[str], strange: Bools) -> LastFixes:
        """What each device leaves behind."""
        final = self.ends - 1
        last = LastFixes(
            device_ids=device_ids,
            **nowhere(self.at_ms[final])  # type: ignore[arg-type]
            | {
                "lon_deg": self.lon[final],
                "lat_deg": self.lat[final],
                "accuracy_m": self.accuracy[final],
            },
        )
        for device in np.flatnonzero(strange).tolist():
            self.walked[int(self.starts[device])].write(last, device)
        return last


@dataclass(frozen=True, slots=True)
class _Spot:
    lon: float
    lat: float
    accuracy: float
    at_ms: int


_NOWHERE = _Spot(np.nan, np.nan, np.nan, -1)


@dataclass(slots=True)
class _Walker:
    """One device's track: the last accepted fix, and the suspect after it."""

    last: _Spot
    suspect: _Spot
    suspect_count: int

    @classmethod
    def of(cls, known: Known, ix: int) -> _Walker:
        return cls(
            last=_Spot(
                float(known.lon_deg[ix]),
                float(known.lat_deg[ix]),
                float(known.accuracy_m[ix]),
                int(known.fix_ms[ix]),
            ),
            suspect=_Spot(
                float(known.suspect_lon_deg[ix]),
                float(known.suspect_lat_deg[ix]),
                float(known.suspect_accuracy_m[ix]),
                int(known.suspect_ms[ix]),
            ),
            suspect_count=int(known.suspect_count[ix]),
        )

    def take(self, fix: _Spot) -> tuple[int, _Spot]:
        """The fate of the next fix, and the accepted one before it."""
        last = self.last
        if fix.at_ms <= last.at_ms:
            return LATE, last
        if last.at_ms < 0:
            return self._accept(fix, _NOWHERE, self._vagueness(fix))
        if _is_plausible(last, fix):
            if self.suspect_count < 0:
                return self._accept(fix, _NOWHERE, self._vagueness(fix))
            return self._accept(fix, last)
        if self.suspect_count > 0:
            if fix.at_ms == self.suspect.at_ms:
                return LATE, last  # the suspect itself, posted again, agrees with nothing
            if fix.at_ms > self.suspect.at_ms and _is_plausible(self.suspect, fix):
                return self._accept(fix, self.suspect)
        self.suspect_count = max(self.suspect_count, 0) + 1
        if self.suspect_count >= SUSPECTS_TO_RESET:
            # The new track begins here, but only a next fix that agrees says anything of a zone.
            self._accept(fix, _NOWHERE, APPEARED_VAGUELY)
            return SUSPECT, last
        self.suspect = fix
        return SUSPECT, last

    def _vagueness(self, fix: _Spot) -> int:
        is_vague = fix.accuracy > APPEARS_WITHIN_M and self.suspect_count > -VAGUE_FIXES_MAX
        return min(self.suspect_count, 0) + APPEARED_VAGUELY if is_vague else 0

    def _accept(self, fix: _Spot, previous: _Spot, count: int = 0) -> tuple[int, _Spot]:
        self.last, self.suspect, self.suspect_count = fix, _NOWHERE, count
        return ACCEPTED, previous

    def write(self, last: LastFixes, ix: int) -> None:
        """Leave the state in row ``ix`` of the columns."""
        last.lon_deg[ix], last.lat_deg[ix] = self.last.lon, self.last.lat
        last.accuracy_m[ix], last.fix_ms[ix] = self.last.accuracy, self.last.at_ms
        last.suspect_count[ix] = self.suspect_count
        last.suspect_lon_deg[ix], last.suspect_lat_deg[ix] = self.suspect.lon, self.suspect.lat
        last.suspect_accuracy_m[ix] = self.suspect.accuracy
        last.suspect_ms[ix] = self.suspect.at_ms


def _is_plausible(before: _Spot, after: _Spot) -> bool:
    seconds = max((after.at_ms - before.at_ms) / SECOND_MS, 1.0)
    far_m = distance_m(*(np.array([x]) for x in (before.lon, before.lat, after.lon, after.lat)))
    return not float(far_m[0]) - before.accuracy - after.accuracy > SPEED_MAX_MPS * seconds
