"""The roads that a fix may take, and ground of all kinds to take them on.

What a fix means is defined by `track`, `match`, `scan` and `stays`, in columns. The compiled pass
ahead of them and the look at a few fixes one by one must not be told from it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterator, Sequence, Set
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache
from math import cos, pi, sin, sqrt

import msgspec
import numpy as np
import pytest
from shapely.geometry import Polygon

from geoengine.core import quiet
from geoengine.core.book import Book
from geoengine.core.columns import Fixes, Known, Longs, Stays
from geoengine.core.look import scan
from geoengine.core.model import Campaign, Location, Store
from geoengine.core.places.policy import Policy
from geoengine.core.places.zones import CIRCLE, PLACE, POLYGON, Zones
from geoengine.core.record import Record
from geoengine.state.local import LocalState
from tests.core.world import GEOD, World
from tests.state.samples import everybody

COMPILED = pytest.mark.skipif(not quiet.IS_COMPILED, reason="the pass is not compiled here")


class Watchful(LocalState):
    """A state that counts the fixes its pass takes, and the records it is asked for."""

    taken_count = 0
    loaded_count = 0

    async def note_quiet(
        self, fixes: Fixes, book: Book, busy: Set[str], *, is_assumed: bool, now_ms: int
    ) -> Longs:
        left = await super().note_quiet(fixes, book, busy, is_assumed=is_assumed, now_ms=now_ms)
        self.taken_count += len(fixes) - len(left)
        return left

    async def load(self, person_ids: list[str]) -> dict[str, Record]:
        self.loaded_count += len(person_ids)
        return await super().load(person_ids)


class Unhurried(Watchful):
    """A state without the pass: every fix is looked at."""

    async def note_quiet(
        self, fixes: Fixes, book: Book, busy: Set[str], *, is_assumed: bool, now_ms: int
    ) -> Longs:
        return np.arange(len(fixes))


class Forgetful(Unhurried):
    """A state that tells nothing of stays either: whoever stands somewhere is looked at."""

    async def known(self, fixes: Fixes) -> Known:
        known = await super().known(fixes)
        return replace(known, stay_ix=np.full(len(fixes), -1, np.int32), stays=Stays.none())


@dataclass(frozen=True)
class Road:
    """Whether fixes that change nothing are noted first; and how many are few."""

    has_pass: bool
    few: int
    is_forgetful: bool = False

    def state(self) -> Watchful:
        """An embedded state, in memory only."""
        kind = Watchful if self.has_pass else Forgetful if self.is_forgetful else Unhurried
        return kind(None)

    @contextmanager
    def taken(self) -> Iterator[None]:
        """Within, so many fixes are few."""
        before, scan.FEW = scan.FEW, self.few
        try:
            yield
        finally:
            scan.FEW = before

    def run(self, law: Coroutine[object, object, object]) -> None:
        """Run a law to its end on this road."""
        with self.taken():
            asyncio.run(law)


DEFINITION = Road(has_pass=False, few=0, is_forgetful=True)
ROADS = [
    pytest.param(Road(has_pass=True, few=6), id="pass-few", marks=COMPILED),
    pytest.param(Road(has_pass=True, few=0), id="pass-columns", marks=COMPILED),
    pytest.param(Road(has_pass=False, few=6), id="few"),
    pytest.param(Road(has_pass=False, few=0), id="columns"),
]
on_every_road = pytest.mark.parametrize("road", ROADS)


# --- ground -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Shape:
    """A zone so many metres from its ground's point: a circle, or a star of so many points."""

    east_m: float
    north_m: float
    radius_m: float
    policy_ix: int = 0
    points: int = 0


@dataclass(frozen=True)
class Ground:
    """A Book of zones about a point, and the way to places on it."""

    lon_deg: float
    lat_deg: float
    shapes: tuple[Shape, ...]
    book: Book

    @classmethod
    def of(
        cls,
        lon_deg: float,
        lat_deg: float,
        shapes: Sequence[Shape],
        policies: Sequence[Policy] = (Policy(),),
        places: Sequence[str] = (),
        campaigns: Sequence[Campaign] = (),
    ) -> Ground:
        """Zones ``z0``, ``z1`` ..., and places of beacons in the first of their stores."""
        spots = [away(lon_deg, lat_deg, shape.east_m, shape.north_m) for shape in shapes]
        stores = [_store(f"z{ix}", *spot) for ix, spot in enumerate(spots)]
        world = World(stores=stores, campaigns=[*campaigns], places=[("z0", p) for p in places])
        book = world.book()
        zones = _shaped(book.zones, shapes, spots)
        return cls(lon_deg, lat_deg, (*shapes,), replace(book, zones=zones, policies=(*policies,)))

    def spot(self, zone_ix: int, share: float, turn: float) -> tuple[float, float]:
        """A place so many radii from a zone's middle, in a direction given in parts of a turn."""
        shape = self.shapes[zone_ix]
        out_m = share * shape.radius_m
        east_m, north_m = out_m * cos(2 * pi * turn), out_m * sin(2 * pi * turn)
        lon, lat = away(self.lon_deg, self.lat_deg, shape.east_m, shape.north_m)
        return away(lon, lat, east_m, north_m)


@cache
def away(lon_deg: float, lat_deg: float, east_m: float, north_m: float) -> tuple[float, float]:
    """The place so many metres east, then north of another."""
    lon, lat, _ = GEOD.fwd(lon_deg, lat_deg, 90 if east_m >= 0 else 270, abs(east_m))
    lon, lat, _ = GEOD.fwd(lon, lat, 0 if north_m >= 0 else 180, abs(north_m))
    return -180.0 if lon >= 180.0 else float(lon), float(lat)


def _store(store_id: str, lon_deg: float, lat_deg: float) -> Store:
    where = Location(lat=lat_deg, lon=lon_deg)
    return Store(id=store_id, name=store_id, location=where, time_zone="Europe/Paris", country="FR")


def _shaped(zones: Zones, shapes: Sequence[Shape], spots: list[tuple[float, float]]) -> Zones:
    """The zones of a Book of circles in these shapes; places of beacons stay what they are."""
    n, count = len(zones), len(shapes)
    kind = [POLYGON if shape.points else CIRCLE for shape in shapes] + [PLACE] * (n - count)
    radius_m = np.zeros(n)
    radius_m[:count] = [shape.radius_m for shape in shapes]
    policy_ix = np.zeros(n, np.int32)
    policy_ix[:count] = [shape.policy_ix for shape in shapes]
    polygons = {
        ix: _star(*spot, shape)
        for ix, (shape, spot) in enumerate(zip(shapes, spots, strict=True))
        if shape.points
    }
    for ix, polygon in polygons.items():
        radius_m[ix] = sqrt(abs(GEOD.geometry_area_perimeter(polygon)[0]) / pi)
    return replace(
        zones,
        kind=np.array(kind, np.int8),
        radius_m=radius_m,
        policy_ix=policy_ix,
        prints=np.arange(n) * 1_000_003 + 17,
        polygons=polygons,
    )


def _star(lon_deg: float, lat_deg: float, shape: Shape) -> Polygon:
    """A star whose points are ``radius_m`` from the middle, and the hollows half of that."""
    corners = 2 * shape.points
    out_m = [shape.radius_m * (0.5 if nth % 2 else 1.0) for nth in range(corners)]
    turns = [2 * pi * nth / corners for nth in range(corners)]
    return Polygon(
        away(lon_deg, lat_deg, m * cos(turn), m * sin(turn))
        for m, turn in zip(out_m, turns, strict=True)
    )


# --- what is left behind ------------------------------------------------------------------------


async def remembered(state: LocalState) -> dict[str, Record]:
    """All records, less how often they were written, and less when those were last heard of who
    stand nowhere: a record that nobody has loaded does not know, the last-fix table does.
    """
    records = await state.load(await everybody(state))
    return {person_id: _remembered(record) for person_id, record in records.items()}


def _remembered(record: Record) -> Record:
    if record.presences or record.heard:
        return msgspec.structs.replace(record, version=0)
    return msgspec.structs.replace(record, version=0, devices={}, lag_ms=0)


async def whereabouts(state: LocalState, device_ids: list[str]) -> dict[str, tuple]:
    """What the state knows of each device's last fix, and of whose it is; NaN told as None."""
    none = np.zeros(len(device_ids))
    known = await state.known(Fixes.of(device_ids, none, none, none.astype(np.int64)))
    columns = (
        known.person_ids,
        known.lon_deg.tolist(),
        known.lat_deg.tolist(),
        known.accuracy_m.tolist(),
        known.fix_ms.tolist(),
        known.suspect_count.tolist(),
        known.is_located.tolist(),
        known.has_refused.tolist(),
        known.has_record.tolist(),
        [known.suspects.get(key) for key in known.device_keys.tolist()],
    )
    return {
        device_id: tuple(None if value != value else value for value in row)
        for device_id, *row in zip(device_ids, *columns, strict=True)
    }
