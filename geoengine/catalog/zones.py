"""Zones compiled into columns: the stores' reaches, those drawn by hand, and beacon places."""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any

import msgspec
import numpy as np
from msgspec import UNSET

from geoengine.catalog import places, polygons
from geoengine.catalog.report import Items, suggestion
from geoengine.catalog.stores import Shops, check_ids, check_time_zone, draw, positions, warn_small
from geoengine.core.book import CIRCLE, MODES, PLACE, POLYGON, Policy, Zones
from geoengine.core.columns import Floats, Longs
from geoengine.core.model import Beacon, PresenceSpec, Store, Zone

BeaconKey = tuple[str, int, int]
POLICY_KEYS = tuple(Policy.__dataclass_fields__)


@dataclass(slots=True)
class Policies:
    """The presence policies in use, each kept once."""

    base: PresenceSpec
    values: list[Policy] = field(default_factory=list)
    _ix_of: dict[PresenceSpec, int] = field(default_factory=dict)

    def ix(self, spec: PresenceSpec) -> int:
        """Position of the policy of a zone: its own keys over the engine's over the defaults."""
        found = self._ix_of.get(spec)
        if found is None:
            policy = merged(self.base, spec)
            if policy not in self.values:
                self.values.append(policy)
            found = self._ix_of[spec] = self.values.index(policy)
        return found


def merged(*specs: PresenceSpec) -> Policy:
    """The policy that these make, the last one given winning.

    >>> merged(PresenceSpec(dwell_s=60), PresenceSpec(dwell_s=90, cross_m=80)).dwell_s
    90
    """
    given: dict[str, Any] = {}
    for spec in specs:
        given |= {key: value for key in POLICY_KEYS if (value := getattr(spec, key)) is not UNSET}
    return Policy(**given)


def contradiction(policy: Policy) -> str | None:
    """Why nobody could keep to such a policy; None where one can."""
    if policy.confirm_enter_p > policy.enter_p:
        return "confirm_enter_p is above enter_p: two fixes would need more than one"
    if policy.confirm_leave_p < policy.leave_p:
        return "confirm_leave_p is below leave_p: two fixes would need more than one"
    if policy.confirm_leave_p >= policy.confirm_enter_p:
        return "confirm_leave_p is not below confirm_enter_p: the same fix would let in and out"
    return None


def check_presence(items: Items[Any], base: PresenceSpec) -> None:
    """Report stores and zones whose presence settings contradict each other."""
    known: dict[PresenceSpec, str | None] = {}
    for ix, item in items:
        if item.presence not in known:
            known[item.presence] = contradiction(merged(base, item.presence))
        why = known[item.presence]
        if why is not None:
            items.wrong(ix, why, "presence")


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


def check_zones(items: Items[Zone], shops: Items[Store]) -> dict[int, polygons.Area]:
    """Check the zones drawn by hand; the areas of polygons, by their place in the items."""
    store_ids = {store.id: "store of that id" for store in shops.values}
    check_ids(items, dict(store_ids), "zone")
    areas: dict[int, polygons.Area] = {}
    for ix, zone in items:
        if zone.store is not None and zone.store not in store_ids:
            guess = suggestion(zone.store, store_ids) or ": expected the id of a store"
            items.wrong(ix, f"store `{zone.store}` does not exist{guess}", "store")
        if zone.time_zone is not None:
            check_time_zone(items, ix, zone.time_zone)
        _check_shape(items, ix, zone, areas)
    _check_centres(items)
    return areas


def _check_shape(items: Items[Zone], ix: int, zone: Zone, areas: dict[int, polygons.Area]) -> None:
    is_circle = zone.center is not None and zone.radius_m is not None
    if zone.polygon is not None and zone.center is None and zone.radius_m is None:
        draw(items, ix, areas, zone.polygon, "polygon")
    elif not is_circle or zone.polygon is not None:
        what = f"zone `{zone.id}` needs center and radius_m, or polygon: expected one of the two"
        items.wrong(ix, what)
    elif zone.radius_m is not None and zone.radius_m < 100:
        warn_small(items, ix, zone.radius_m, "radius_m")


def _check_centres(items: Items[Zone]) -> None:
    circles = [(ix, zone) for ix, zone in items if zone.center is not None]
    lon_deg, lat_deg = positions(zone.center for _ix, zone in circles if zone.center is not None)
    names = [
        places.time_zone_at(lon, lat)
        for lon, lat in zip(lon_deg.tolist(), lat_deg.tolist(), strict=True)
    ]
    for row, why in places.implausible(lon_deg, lat_deg, names).items():
        ix, zone = circles[row]
        if zone.time_zone is None or why == places.ISLAND:
            items.wrong(ix, why, "center")


def add_reaches(rows: Rows, shops: Shops, policies: Policies) -> None:
    """One zone a store, of the store's own id."""
    policy_ix, presence = -1, None
    for store_ix, (store, extent) in enumerate(zip(shops.stores, shops.extents, strict=True)):
        if store.presence is not presence:  # most stores share the one that says nothing
            presence = store.presence
            policy_ix = policies.ix(presence)
        area = shops.areas.get(store_ix)
        at = (store.location.lon, store.location.lat) if area is None else polygons.centre_of(area)
        kind = CIRCLE if area is None else POLYGON
        mode = MODES.index(extent.mode)
        zone_ix = rows.add(
            store.id,
            at,
            extent.radius_m,
            store_ix,
            policy_ix,
            mode,
            extent.why,
            kind,
            extent.minutes,
        )
        if area is not None:
            rows.polygons[zone_ix] = area


def add_drawn(
    rows: Rows,
    items: Items[Zone],
    areas: dict[int, polygons.Area],
    shops: Shops,
    policies: Policies,
) -> None:
    """The zones drawn by hand; those of a store take its way of getting there."""
    store_ix_of = {store.id: ix for ix, store in enumerate(shops.stores)}
    for ix, zone in items:
        store_ix = -1 if zone.store is None else store_ix_of.get(zone.store, -1)
        mode = 0 if store_ix < 0 else MODES.index(shops.extents[store_ix].mode)
        area = areas.get(ix)
        at, radius_m, kind, why = _drawn(zone, area)
        policy_ix = policies.ix(zone.presence)
        zone_ix = rows.add(zone.id, at, radius_m, store_ix, policy_ix, mode, why, kind)
        if area is not None:
            rows.polygons[zone_ix] = area
        if store_ix < 0:
            rows.time_zones[zone_ix] = zone.time_zone or places.time_zone_at(*at)
        rows.tags[zone_ix] = tuple(zone.tags)
        rows.names[zone_ix] = zone.name or zone.id


def _drawn(zone: Zone, area: polygons.Area | None) -> tuple[tuple[float, float], float, int, str]:
    if area is not None:
        return polygons.centre_of(area), polygons.equal_radius_m(area), POLYGON, "drawn polygon"
    assert zone.center is not None and zone.radius_m is not None
    at = (zone.center.lon, zone.center.lat)
    return at, zone.radius_m, CIRCLE, f"drawn circle: {zone.radius_m:,.0f} m"


def add_places(
    rows: Rows, items: Items[Store], shops: Shops, policies: Policies
) -> tuple[dict[BeaconKey, int], dict[int, list[BeaconKey]]]:
    """One zone for each place in a store where beacons hang; where each beacon leads to."""
    zone_ix_of: dict[BeaconKey, int] = {}
    keys_of: dict[int, list[BeaconKey]] = {}
    seen: dict[BeaconKey, str] = {}
    for store_ix, store in enumerate(shops.stores):
        if not store.beacons:
            continue
        _check_beacons(items, shops.item_ix[store_ix], store, seen)
        policy_ix, mode = policies.ix(store.presence), MODES.index(shops.extents[store_ix].mode)
        by_place: dict[str, list[BeaconKey]] = {}
        for beacon in store.beacons:
            by_place.setdefault(beacon.place, []).append(key_of(beacon))
        for place, keys in by_place.items():
            at = (store.location.lon, store.location.lat)
            zone_id, why = f"{store.id}/{place}", f"{len(keys)} beacon(s) at {place}"
            zone_ix = rows.add(zone_id, at, 0.0, store_ix, policy_ix, mode, why, PLACE)
            rows.places[zone_ix] = place
            keys_of[zone_ix] = sorted(keys)
            zone_ix_of |= dict.fromkeys(keys, zone_ix)
    return zone_ix_of, keys_of


def key_of(beacon: Beacon) -> BeaconKey:
    """The beacon's identity: uuid in lower case without dashes, major, minor."""
    return beacon.uuid.replace("-", "").lower(), beacon.major, beacon.minor


def _check_beacons(items: Items[Store], ix: int, store: Store, seen: dict[BeaconKey, str]) -> None:
    ids: set[str] = set()
    for row, beacon in enumerate(store.beacons):
        key, name = key_of(beacon), f"{store.id}/{beacon.id}"
        if beacon.id in ids:
            what = f"beacon id `{beacon.id}` is taken in `{store.id}`: expected another"
            items.wrong(ix, what, "beacons", row, "id")
        ids.add(beacon.id)
        if key in seen:
            what = f"beacon {name} has the uuid, major and minor of {seen[key]}: expected its own"
            items.wrong(ix, what, "beacons", row)
        seen.setdefault(key, name)


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
