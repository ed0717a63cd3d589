"""Zones on their way to becoming columns, and the fingerprints of their shapes."""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any

import msgspec
import numpy as np

import geoengine.catalog.polygons as polygons
from geoengine.core.columns import Floats, Longs
from geoengine.core.places.zones import CIRCLE, Zones

BeaconKey = tuple[str, int, int]


@dataclass(slots=True)
class Rows:
    """Zones on their way to becoming columns."""

    ids: list[str] = field(default_factory=list)
    kind: list[int] = field(default_factory=list)
    lon_deg: list[float] = field(default_factory=list)
    lat_deg: list[float] = field(default_factory=list)
    radius_m: list[float] = field(default_factory=list)
    store_ix: list[int] = field(default_factory=list)
    policy_ix: list[int] = field(default_factory=list)
    mode: list[int] = field(default_factory=list)
    minutes: list[float] = field(default_factory=list)
    why: list[str] = field(default_factory=list)
    polygons: dict[int, polygons.Area] = field(default_factory=dict)
    places: dict[int, str] = field(default_factory=dict)
    tags: dict[int, tuple[str, ...]] = field(default_factory=dict)
    names: dict[int, str] = field(default_factory=dict)
    time_zones: dict[int, str] = field(default_factory=dict)

    def add(
        self,
        zone_id: str,
        at: tuple[float, float],
        radius_m: float,
        store_ix: int,
        policy_ix: int,
        mode: int,
        why: str,
        kind: int = CIRCLE,
        minutes: float | None = None,
    ) -> int:
        """Append a zone; its position."""
        self.ids.append(zone_id)
        self.kind.append(kind)
        self.lon_deg.append(at[0])
        self.lat_deg.append(at[1])
        self.radius_m.append(radius_m)
        self.store_ix.append(store_ix)
        self.policy_ix.append(policy_ix)
        self.mode.append(mode)
        self.minutes.append(np.nan if minutes is None else minutes)
        self.why.append(why)
        return len(self.ids) - 1


def columns(rows: Rows, keys_of: dict[int, list[BeaconKey]]) -> Zones:
    """The rows as columns, each with the fingerprint of its shape."""
    lon_deg, lat_deg = np.array(rows.lon_deg, float), np.array(rows.lat_deg, float)
    radius_m = np.array(rows.radius_m, float)
    prints = circle_prints(lon_deg, lat_deg, radius_m)
    for zone_ix, area in rows.polygons.items():
        prints[zone_ix] = _digest(polygons.print_of(area))
    for zone_ix, keys in keys_of.items():
        prints[zone_ix] = _digest(msgspec.msgpack.encode((rows.places[zone_ix], keys)))
    return Zones(
        ids=rows.ids,
        kind=np.array(rows.kind, np.int8),
        lon_deg=lon_deg,
        lat_deg=lat_deg,
        radius_m=radius_m,
        store_ix=np.array(rows.store_ix, np.int32),
        policy_ix=np.array(rows.policy_ix, np.int32),
        mode=np.array(rows.mode, np.int8),
        minutes=np.array(rows.minutes, float),
        prints=prints,
        born_ms=np.zeros(len(rows.ids), np.int64),
        why=rows.why,
        polygons=rows.polygons,
        places=rows.places,
        tags=rows.tags,
        names=rows.names,
        time_zones=rows.time_zones,
    )


def circle_prints(lon_deg: Floats, lat_deg: Floats, radius_m: Floats) -> Longs:
    """Fingerprints of circles, int64, shape (Z,): the bits of their numbers, well mixed.

    Mixing is splitmix64's (Steele, Lea, Flood 2014), which needs no table and is the same on
    every machine.
    """
    mixed = np.zeros(len(lon_deg), np.uint64)
    for column in (lon_deg, lat_deg, radius_m):
        mixed = _mix(mixed + np.uint64(0x9E3779B97F4A7C15) + (column + 0.0).view(np.uint64))
    return mixed.view(np.int64)


def _mix(bits: np.ndarray[Any, np.dtype[np.uint64]]) -> np.ndarray[Any, np.dtype[np.uint64]]:
    bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed: np.ndarray[Any, np.dtype[np.uint64]] = bits ^ (bits >> np.uint64(31))
    return mixed


def _digest(data: bytes) -> int:
    return int.from_bytes(blake2b(data, digest_size=8).digest(), "big", signed=True)
