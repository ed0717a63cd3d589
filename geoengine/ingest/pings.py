"""Pings: location reports of an app, decoded into columns and rejects.

Nothing here is done per ping that can be done per batch: types are checked by the decoder, ranges
by column, and only a row that failed is looked at on its own, to say why.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from msgspec import Struct

from geoengine.core.columns import Bools, Fixes, Floats, Longs, Told
from geoengine.core.units import (
    ACCURACY_MAX_M,
    ACCURACY_MISSING_M,
    CLOCK_AHEAD_MS,
    FIX_TIME_MIN_MS,
)
from geoengine.ingest.names import are_names, is_name
from geoengine.ingest.numbers import floats
from geoengine.ingest.times import BAD_MS, MISSING_MS, times_ms
from geoengine.ingest.wire import Malformed, Reject, Wire


class Ping(Struct, gc=False):
    """One location report, as an app posts it; keys that are not here are ignored.

    Speed, heading and altitude are read so that their types are checked; nothing is decided on
    them. ``entered`` and ``left`` name a zone that the phone's own geofencing says so of.
    """

    device_id: str | None = None
    lat: float | None = None
    lon: float | None = None
    fix_time: int | float | str | None = None
    accuracy_m: float | None = None
    speed_mps: float | None = None
    heading_deg: float | None = None
    altitude_m: float | None = None
    mocked: bool | None = None
    person_id: str | None = None
    entered: str | None = None
    left: str | None = None

    @property
    def told(self) -> tuple[Told, ...]:
        """What the phone's own geofencing says."""
        entered = (Told(self.entered, True),) if self.entered else ()
        return (*entered, Told(self.left, False)) if self.left else entered


@dataclass(frozen=True, slots=True)
class Pings:
    """What a body held: P good fixes as columns, the rejects, and how many rows there were.

    ``row_ix``, shape (P,), is the position of each fix in the body; fixes keep that order.
    """

    fixes: Fixes
    rejects: list[Reject]
    count: int
    row_ix: Longs


_WIRE = Wire(Ping)
_FEW: Final = 8  # below so many, asking each costs less than asking the columns

read_pings = _WIRE.rows
"""The rows of a body whose types are right, not yet checked further: `columns_of` does that."""
read_ping_lines = _WIRE.lines
"""The same for a part of a body that has one row a line."""


def decode_pings(body: bytes, *, recv_ms: int, post_ix: int = 0) -> Pings | Malformed:
    """The pings of a body: one JSON object, an array of them, or NDJSON.

    Parameters
    ----------
    body : bytes
        Whatever was posted; judged by content.
    recv_ms : int
        When it was heard of, milliseconds since the epoch: a phone's clock may be no more than
        `CLOCK_AHEAD_MS` ahead of it.
    post_ix : int
        Goes into every row, to tell posts apart in a micro-batch.

    Returns
    -------
    Pings or Malformed
        Never raises.
    """
    rows = read_pings(body)
    if isinstance(rows, Malformed):
        return rows
    pings = columns_of(rows.items, recv_ms=recv_ms, post_ix=post_ix)
    rejects = rows.rejects_with(pings.rejects)
    if rows.row_ix is None:
        return pings
    return Pings(pings.fixes, rejects, rows.count, np.array(rows.row_ix, np.int64)[pings.row_ix])


def columns_of(
    pings: Sequence[Ping],
    *,
    recv_ms: int | Longs | None,
    post_ix: int | Longs = 0,
    fix_ms: Longs | None = None,
) -> Pings:
    """Check typed pings and lay the good ones out as columns.

    Parameters
    ----------
    pings : P rows
        Of one post, or of all posts of a micro-batch: what is done per batch costs a post nothing.
    recv_ms : int, or int64 of shape (P,)
        None says that each was heard of when it happened, as in a recorded trace.
    post_ix : int, or int64 of shape (P,)
    fix_ms : int64, shape (P,)
        Given where the times were read elsewhere.
    """
    if fix_ms is None:
        fix_ms = times_ms([ping.fix_time for ping in pings])
    table = _Table.of(pings, fix_ms, fix_ms if recv_ms is None else recv_ms)
    suspect_ix = range(len(pings)) if len(pings) < _FEW else np.flatnonzero(~table.good()).tolist()
    rejects = [
        Reject(ix, reason)
        for ix in suspect_ix
        if (reason := _reason(pings[ix], int(fix_ms[ix]), int(table.recv_ms[ix])))
    ]
    row_ix, post = np.arange(len(pings)), _filled(post_ix, len(pings))
    if not rejects:
        return Pings(table.fixes(post), [], len(pings), row_ix)
    row_ix = np.delete(row_ix, [reject.index for reject in rejects])
    kept = _Table.of([pings[ix] for ix in row_ix.tolist()], fix_ms[row_ix], table.recv_ms[row_ix])
    return Pings(kept.fixes(post[row_ix]), rejects, len(pings), row_ix)


@dataclass(frozen=True, slots=True)
class _Table:
    """The columns of pings before they are checked; NaN and None stand for what is missing."""

    device_ids: list[str | None]
    person_ids: list[str | None]
    lon_deg: Floats
    lat_deg: Floats
    accuracy_m: Floats
    fix_ms: Longs
    recv_ms: Longs
    is_mocked: Bools
    told: dict[tuple[str, int], tuple[Told, ...]]

    @classmethod
    def of(cls, pings: Sequence[Ping], fix_ms: Longs, recv_ms: int | Longs) -> _Table:
        # Few apps say any of these: one look at all rows tells whether one does.
        more = [
            ping for ping in pings if ping.person_id or ping.mocked or ping.entered or ping.left
        ]
        return cls(
            device_ids=[ping.device_id for ping in pings],
            person_ids=[ping.person_id or None for ping in pings] if more else [None] * len(pings),
            lon_deg=floats([ping.lon for ping in pings]),
            lat_deg=floats([ping.lat for ping in pings]),
            accuracy_m=floats([ping.accuracy_m for ping in pings]),
            fix_ms=fix_ms,
            recv_ms=_filled(recv_ms, len(pings)),
            is_mocked=np.array([bool(ping.mocked) for ping in pings], np.bool_)
            if more
            else np.zeros(len(pings), np.bool_),
            told=_told(pings, fix_ms) if more else {},
        )

    def good(self) -> Bools:
        """Which rows no reason of `_reason` holds for."""
        good: Bools = (
            (np.abs(self.lat_deg) <= 90)
            & (np.abs(self.lon_deg) <= 180)
            & ((self.lat_deg != 0) | (self.lon_deg != 0))
            & (self.fix_ms >= FIX_TIME_MIN_MS)
            & (self.fix_ms <= self.recv_ms + CLOCK_AHEAD_MS)
            & ~(self.accuracy_m > ACCURACY_MAX_M)
        )
        if not _all_names(self.device_ids):
            good &= np.fromiter(
                (name is not None and is_name(name) for name in self.device_ids), bool, len(good)
            )
        if any(self.person_ids) and not are_names([name for name in self.person_ids if name]):
            good &= np.fromiter(
                (not name or is_name(name) for name in self.person_ids), bool, len(good)
            )
        return good

    def fixes(self, post_ix: Longs) -> Fixes:
        """The rows as fixes; all of them must be good."""
        return Fixes(
            device_ids=self.device_ids,  # type: ignore[arg-type]
            person_ids=self.person_ids,
            lon_deg=self.lon_deg,
            lat_deg=self.lat_deg,
            # No accuracy, or the 0 and -1 that phones say when they do not know.
            accuracy_m=np.where(self.accuracy_m > 0, self.accuracy_m, ACCURACY_MISSING_M),
            fix_ms=self.fix_ms,
            recv_ms=self.recv_ms,
            is_mocked=self.is_mocked,
            post_ix=post_ix,
            told=self.told,
        )


def _told(pings: Sequence[Ping], fix_ms: Longs) -> dict[tuple[str, int], tuple[Told, ...]]:
    """What phones tell beside where they are, by device and time."""
    told: dict[tuple[str, int], tuple[Told, ...]] = {}
    for ping, at_ms in zip(pings, fix_ms.tolist(), strict=True):
        if ping.told and ping.device_id:
            key = (ping.device_id, at_ms)
            told[key] = told.get(key, ()) + ping.told
    return told


def _filled(value: int | Longs, count: int) -> Longs:
    """A column of one value, or the column that is there already."""
    return np.full(count, value) if isinstance(value, int) else value


def _all_names(names: list[str | None] | list[str]) -> bool:
    try:
        return are_names(names)  # type: ignore[arg-type]
    except TypeError:
        return False  # a None among them


def _reason(ping: Ping, fix_ms: int, recv_ms: int) -> str:
    """The first thing wrong with a ping that is not good; the slow twin of `_Table.good`."""
    checks = (
        ("device_id_missing", ping.device_id is None),
        ("device_id_bad", not is_name(ping.device_id or "")),
        ("lat_missing", ping.lat is None),
        ("lon_missing", ping.lon is None),
        ("lat_out_of_range", abs(ping.lat or 0) > 90),
        ("lon_out_of_range", abs(ping.lon or 0) > 180),
        ("null_island", ping.lat == 0 and ping.lon == 0),
        ("accuracy_coarse", (ping.accuracy_m or 0) > ACCURACY_MAX_M),
        ("person_id_bad", bool(ping.person_id) and not is_name(ping.person_id or "")),
    )
    return next((why for why, holds in checks if holds), "") or time_reason(
        "fix_time", fix_ms, recv_ms
    )


def time_reason(name: str, at_ms: int, recv_ms: int) -> str:
    """What is wrong with a time, or nothing: missing, unreadable, ancient, or in the future."""
    checks = (
        ("missing", at_ms == MISSING_MS),
        ("bad", at_ms == BAD_MS),
        ("ancient", at_ms < FIX_TIME_MIN_MS),
        ("future", at_ms > recv_ms + CLOCK_AHEAD_MS),
    )
    return next((f"{name}_{why}" for why, holds in checks if holds), "")
