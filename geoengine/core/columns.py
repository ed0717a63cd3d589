"""The nouns that flow: equal-length columns, one row a report, no object per row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from geoengine.core.units import ACCURACY_MISSING_M

Floats = NDArray[np.float64]
Longs = NDArray[np.int64]
Ints = NDArray[np.int32]
Bools = NDArray[np.bool_]


def rows_where(mask: Bools) -> Longs:
    """The positions at which a mask is true, ascending. A fifth of the cost of numpy's own name for
    it, where a batch is small.
    """
    return mask.nonzero()[0]


class Columns:
    """What all column sets share: a length, rows by index, and joining end to end."""

    __slots__ = ()
    __dataclass_fields__: ClassVar[dict[str, Any]]  # every set of columns is a dataclass

    def take(self, row_ix: NDArray[np.intp] | Ints | Longs) -> Self:
        """The rows at these positions, in that order."""
        picked: dict[str, Any] = {}
        for name in self.__dataclass_fields__:
            column = getattr(self, name)
            if isinstance(column, np.ndarray):
                column = column[row_ix]
            elif isinstance(column, list):
                column = [column[i] for i in row_ix.tolist()]
            picked[name] = column
        return type(self)(**picked)

    @classmethod
    def concat(cls, parts: Sequence[Self]) -> Self:
        """All rows of the parts, in order; at least one part."""
        if len(parts) == 1:
            return parts[0]
        joined: dict[str, Any] = {}
        for name in cls.__dataclass_fields__:
            columns = [getattr(part, name) for part in parts]
            if isinstance(columns[0], np.ndarray):
                joined[name] = np.concatenate(columns)
            elif isinstance(columns[0], list):
                joined[name] = [value for column in columns for value in column]
            else:
                joined[name] = {key: value for part in columns for key, value in part.items()}
        return cls(**joined)


class Told(NamedTuple):
    """What a phone's own geofencing says with a fix: that it is in a zone by now, or out of it."""

    zone_id: str
    is_inside: bool


@dataclass(frozen=True, slots=True)
class Fixes(Columns):
    """Location reports, P of them, already checked: finite, in range, times plausible.

    ``post_ix`` tells which post a row came in with. Within a post rows are put in order of time;
    posts keep the order in which they arrived, so cutting a stream into batches changes nothing.
    ``told`` holds, by device and time, the few fixes with which a phone says more than where it is;
    it may hold others' too.
    """

    device_ids: list[str]
    person_ids: list[str | None]  # the customer the app says it is, where it says so
    lon_deg: Floats
    lat_deg: Floats
    accuracy_m: Floats  # radius of 68 %
    fix_ms: Longs  # when the phone was there, by its own clock
    recv_ms: Longs  # when we heard of it, by ours
    is_mocked: Bools
    post_ix: Longs
    told: dict[tuple[str, int], tuple[Told, ...]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.device_ids)

    @classmethod
    def of(
        cls,
        device_ids: list[str],
        lon_deg: Floats,
        lat_deg: Floats,
        fix_ms: Longs,
        *,
        accuracy_m: Floats | None = None,
        recv_ms: Longs | int | None = None,
        person_ids: list[str | None] | None = None,
        is_mocked: Bools | None = None,
        post_ix: Longs | int = 0,
    ) -> Fixes:
        """Fill in what a source does not know: 30 m of accuracy, heard when it happened."""
        n = len(device_ids)
        if recv_ms is None:
            recv_ms = fix_ms
        return cls(
            device_ids=device_ids,
            person_ids=[None] * n if person_ids is None else person_ids,
            lon_deg=lon_deg,
            lat_deg=lat_deg,
            accuracy_m=np.full(n, ACCURACY_MISSING_M) if accuracy_m is None else accuracy_m,
            fix_ms=fix_ms,
            recv_ms=np.full(n, recv_ms) if isinstance(recv_ms, int) else recv_ms,
            is_mocked=np.zeros(n, bool) if is_mocked is None else is_mocked,
            post_ix=np.full(n, post_ix) if isinstance(post_ix, int) else post_ix,
        )

    @classmethod
    def empty(cls) -> Fixes:
        """No rows."""
        return cls.of([], np.empty(0), np.empty(0), np.empty(0, np.int64))


@dataclass(frozen=True, slots=True)
class Sightings(Columns):
    """Beacons heard, S of them: by a phone (``device_ids``) or by a box in a store
    (``gateway_ids``); the other of the two is None in each row.
    """

    device_ids: list[str | None]
    gateway_ids: list[str | None]
    beacon_keys: list[tuple[str, int, int]]  # uuid in lower case without dashes, major, minor
    rssi_dbm: Floats
    tx_power_dbm: Floats  # at one metre; NaN where the report does not say
    seen_ms: Longs
    recv_ms: Longs
    post_ix: Longs

    def __len__(self) -> int:
        return len(self.device_ids)

    @classmethod
    def empty(cls) -> Sightings:
        """No rows."""
        none, long = np.empty(0), np.empty(0, np.int64)
        return cls([], [], [], none, none, long, long, long)


@dataclass(frozen=True, slots=True)
class Evidence(Columns):
    """What fixes say of zones, M rows, sorted by fix, then zone.

    Row i says that fix ``fix_ix[i]`` lies ``edge_m[i]`` metres from the edge of zone
    ``zone_ix[i]``; negative is inside.
    """

    fix_ix: Ints
    zone_ix: Ints
    edge_m: Floats

    def __len__(self) -> int:
        return len(self.fix_ix)


@dataclass(frozen=True, slots=True)
class Crossings(Columns):
    """Segments between two fixes of a device that cut through a zone, K rows, sorted by segment.

    ``into`` and ``out_of`` are the fractions of the segment, 0 to 1, at which it enters and
    leaves the zone; ``chord_m`` is the length between them.
    """

    segment_ix: Ints
    zone_ix: Ints
    chord_m: Floats
    into: Floats
    out_of: Floats

    def __len__(self) -> int:
        return len(self.segment_ix)


class Spot(NamedTuple):
    """A fix of a device, as far as its track is concerned; NaN and -1 stand for unknown."""

    lon_deg: float
    lat_deg: float
    accuracy_m: float
    at_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Whereabouts(Columns):
    """Where devices were last: the last accepted fix, and the suspect one after it if there is one.

    ``fix_ms`` is -1 for a device never seen; positions are NaN where only the time is known, as
    after a restart. ``suspect_count`` above zero says that the last report was an impossible jump,
    which ``suspects`` holds by the device's key; below zero, that the device has only just
    appeared, vaguely. ``slot_ix`` is where the state keeps the device, and its own business; -1
    for nowhere.
    """

    device_keys: Longs  # equal for rows of one device: `keys_of`
    slot_ix: Longs
    lon_deg: Floats
    lat_deg: Floats
    accuracy_m: Floats
    fix_ms: Longs
    suspect_count: Ints
    suspects: dict[int, Spot]

    def __len__(self) -> int:
        return len(self.fix_ms)


def keys_of(device_ids: list[str]) -> Longs:
    """A number for each device, the same for the same device in this process: Python's own hash.

    It is keyed anew in each process. Two of a million devices share one with a chance of one in
    10**7, and then share a last fix.
    """
    return np.fromiter(map(hash, device_ids), np.int64, len(device_ids))


def _nowhere(device_keys: Longs, fix_ms: Longs) -> dict[str, Any]:
    """The columns of `Whereabouts` for devices of which no more is known than a time, or -1."""
    n = len(fix_ms)
    return {
        "device_keys": device_keys,
        "slot_ix": np.full(n, -1),
        "lon_deg": np.full(n, np.nan),
        "lat_deg": np.full(n, np.nan),
        "accuracy_m": np.full(n, np.nan),
        "fix_ms": fix_ms,
        "suspect_count": np.zeros(n, np.int32),
        "suspects": {},
    }


STAYS_MAX = 3  # zones that somebody stands in at once; more are rare, and looked at one by one


@dataclass(frozen=True, slots=True, kw_only=True)
class Stays(Columns):
    """People who stand in zones with nothing pending, as their device's next fix will find them.

    K rows. Their last sign of being inside is the last fix of the device, and no other device of
    theirs has a say: a next fix that finds them in the same zones, and in no other, changes nothing
    but that time.
    """

    zone_prints: Longs  # fingerprints of the zones, shape (K, STAYS_MAX); 0 where there are fewer
    dwell_ms: Longs  # when the first dwell falls due, in the time of the fixes; NEVER_MS for none
    lag_ms: Longs  # how long the last fix took to reach us
    turn: Longs  # raised when the record is written: what was decided on an older one is void

    def __len__(self) -> int:
        return len(self.dwell_ms)

    @classmethod
    def none(cls) -> Stays:
        """Nobody."""
        long = np.empty(0, np.int64)
        return cls(zone_prints=long.reshape(0, STAYS_MAX), dwell_ms=long, lag_ms=long, turn=long)


NEVER_MS = 1 << 62


@dataclass(frozen=True, slots=True, kw_only=True)
class Known(Whereabouts):
    """What the state knows of the sender of each fix of a batch, before it is looked at.

    Rows go with the rows of the `Fixes` asked for.
    """

    person_ids: list[str]  # whoever caps and consents belong to; the device itself if unknown
    is_located: Bools  # consent to being located is on record
    has_refused: Bools  # such a consent was given or asked for, and withdrawn: never assume it
    has_record: Bools  # there is something remembered: a presence, a half-confirmed entry ...
    stay_ix: Ints  # the row of ``stays`` about the device; -1 for none
    stays: Stays

    @classmethod
    def nothing(cls, device_ids: list[str]) -> Known:
        """Devices never heard of, whose people agreed to be located."""
        n = len(device_ids)
        return cls(
            person_ids=list(device_ids),
            is_located=np.ones(n, bool),
            has_refused=np.zeros(n, bool),
            has_record=np.zeros(n, bool),
            stay_ix=np.full(n, -1, np.int32),
            stays=Stays.none(),
            **_nowhere(keys_of(device_ids), np.full(n, -1)),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class LastFixes(Whereabouts):
    """The whereabouts of each of D devices, as a step leaves them."""

    device_ids: list[str]
    person_ids: list[str]  # whose they are

    @classmethod
    def up_to(
        cls, device_ids: list[str], fix_ms: Longs, person_ids: list[str] | None = None
    ) -> LastFixes:
        """Rows that say up to when we know of each device, and forget where it was. Devices are
        people of their own unless told whose they are.
        """
        owners = device_ids if person_ids is None else person_ids
        return cls(
            device_ids=device_ids, person_ids=owners, **_nowhere(keys_of(device_ids), fix_ms)
        )


@dataclass(frozen=True, slots=True)
class Rests(Columns):
    """People whose fixes changed nothing but when they were last heard of, R rows."""

    last_ix: Longs  # the row of the step's last fixes that tells when
    lag_ms: Longs  # how long that fix took to reach us
    turn: Longs  # of the stay this was decided on

    def __len__(self) -> int:
        return len(self.last_ix)
