"""The nouns that flow: equal-length columns, one row a report, no object per row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from geoengine.core.units import ACCURACY_MISSING_M

Floats = NDArray[np.float64]
Longs = NDArray[np.int64]
Ints = NDArray[np.int32]
Bools = NDArray[np.bool_]


class Columns:
    """What all column sets share: a length, rows by index, and joining end to end."""

    __slots__ = ()

    def take(self, row_ix: NDArray[np.intp] | Ints | Longs) -> Self:
        """The rows at these positions, in that order."""
        picked: dict[str, Any] = {}
        for field in fields(self):  # type: ignore[arg-type]
            column = getattr(self, field.name)
            if isinstance(column, np.ndarray):
                picked[field.name] = column[row_ix]
            elif isinstance(column, list):
                picked[field.name] = [column[i] for i in row_ix.tolist()]
        return replace(self, **picked)  # type: ignore[type-var]

    @classmethod
    def concat(cls, parts: Sequence[Self]) -> Self:
        """All rows of the parts, in order; at least one part."""
        if len(parts) == 1:
            return parts[0]
        joined: dict[str, Any] = {}
        for field in fields(cls):  # type: ignore[arg-type]
            columns = [getattr(part, field.name) for part in parts]
            if isinstance(columns[0], np.ndarray):
                joined[field.name] = np.concatenate(columns)
            else:
                joined[field.name] = [value for column in columns for value in column]
        return cls(**joined)


@dataclass(frozen=True, slots=True)
class Fixes(Columns):
    """Location reports, P of them, already checked: finite, in range, times plausible.

    ``post_ix`` tells which post a row came in with. Within a post rows are put in order of time;
    posts keep the order in which they arrived, so cutting a stream into batches changes nothing.
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Whereabouts(Columns):
    """Where devices were last: the last accepted fix, and the suspect one after it if there is one.

    ``fix_ms`` is -1 for a device never seen; positions are NaN where only the time is known, as
    after a restart. ``suspect_count`` above zero says that the last report was an impossible jump,
    and the ``suspect_*`` columns hold it; below zero, that the device has only just appeared,
    vaguely.
    """

    lon_deg: Floats
    lat_deg: Floats
    accuracy_m: Floats
    fix_ms: Longs
    suspect_count: Ints
    suspect_lon_deg: Floats
    suspect_lat_deg: Floats
    suspect_accuracy_m: Floats
    suspect_ms: Longs

    def __len__(self) -> int:
        return len(self.fix_ms)


def nowhere(fix_ms: Longs) -> dict[str, Floats | Longs | Ints]:
    """The columns of `Whereabouts` for devices of which no more is known than a time, or -1."""
    n = len(fix_ms)
    unknown = ("lon_deg", "lat_deg", "accuracy_m")
    suspects = ("suspect_lon_deg", "suspect_lat_deg", "suspect_accuracy_m")
    # Each column an array of its own: a row may be written into one of them.
    return {name: np.full(n, np.nan) for name in (*unknown, *suspects)} | {
        "fix_ms": fix_ms,
        "suspect_count": np.zeros(n, np.int32),
        "suspect_ms": np.full(n, -1, np.int64),
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class Known(Whereabouts):
    """What the state knows of the sender of each fix of a batch, before it is looked at.

    Rows go with the rows of the `Fixes` asked for.
    """

    person_ids: list[str]  # whoever caps and consents belong to; the device itself if unknown
    is_located: Bools  # consent to being located is on record
    has_refused: Bools  # such a consent was given or asked for, and withdrawn: never assume it
    has_record: Bools  # there is something remembered: a presence, a half-confirmed entry ...

    @classmethod
    def nothing(cls, device_ids: list[str]) -> Known:
        """Devices never heard of, whose people agreed to be located."""
        n = len(device_ids)
        return cls(
            person_ids=list(device_ids),
            is_located=np.ones(n, bool),
            has_refused=np.zeros(n, bool),
            has_record=np.zeros(n, bool),
            **nowhere(np.full(n, -1, np.int64)),  # type: ignore[arg-type]
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class LastFixes(Whereabouts):
    """The whereabouts of each of D devices, as a step leaves them."""

    device_ids: list[str]

    @classmethod
    def up_to(cls, device_ids: list[str], fix_ms: Longs) -> LastFixes:
        """Rows that say up to when we know of each device, and forget where it was."""
        return cls(device_ids=device_ids, **nowhere(fix_ms))  # type: ignore[arg-type]
