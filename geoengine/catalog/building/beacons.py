"""Beacon places: one zone for each place in a store where beacons hang, and who leads there."""

from __future__ import annotations

from collections.abc import Set

from geoengine.catalog.building.policies import Policies
from geoengine.catalog.building.stores import Shops
from geoengine.catalog.building.zone_rows import BeaconKey, Rows
from geoengine.catalog.reading.report import Items
from geoengine.core.book import MODES
from geoengine.core.ids import touch_key
from geoengine.core.model import WHOLE_STORE, Beacon, Store
from geoengine.core.places.zones import PLACE


def add_places(
    rows: Rows, items: Items[Store], shops: Shops, policies: Policies, heard_whole: Set[str]
) -> tuple[dict[BeaconKey, int], dict[int, list[BeaconKey]]]:
    """One zone for each place in a store where beacons hang; where each beacon leads to.

    A store that a gateway hears as a whole (``heard_whole``) has a place for that, where beacons
    may hang or not.
    """
    zone_ix_of: dict[BeaconKey, int] = {}
    keys_of: dict[int, list[BeaconKey]] = {}
    seen: dict[BeaconKey, str] = {}
    for store_ix, store in enumerate(shops.stores):
        if not store.beacons and store.id not in heard_whole:
            continue
        _check_beacons(items, shops.item_ix[store_ix], store, seen)
        policy_ix, mode = policies.ix(store.presence), MODES.index(shops.extents[store_ix].mode)
        by_place: dict[str, list[BeaconKey]] = {}
        for beacon in store.beacons:
            by_place.setdefault(beacon.place, []).append(key_of(beacon))
        if store.id in heard_whole:
            by_place.setdefault(WHOLE_STORE, [])
        for place, keys in by_place.items():
            at = (store.location.lon, store.location.lat)
            zone_id, why = f"{store.id}/{place}", f"{len(keys)} beacon(s) at {place}"
            zone_ix = rows.add(zone_id, at, 0.0, store_ix, policy_ix, mode, why, PLACE)
            rows.places[zone_ix] = place
            keys_of[zone_ix] = sorted(keys)
            zone_ix_of |= dict.fromkeys(keys, zone_ix)
    return zone_ix_of, keys_of


def key_of(beacon: Beacon) -> BeaconKey:
    """What it is known by: uuid in lower case without dashes, major, minor; or its code."""
    if beacon.kind != "ibeacon":
        return touch_key(beacon.kind, beacon.code or "")
    return (beacon.uuid or "").replace("-", "").lower(), beacon.major or 0, beacon.minor or 0


def _check_beacons(items: Items[Store], ix: int, store: Store, seen: dict[BeaconKey, str]) -> None:
    ids: set[str] = set()
    for row, beacon in enumerate(store.beacons):
        key, name = key_of(beacon), f"{store.id}/{beacon.id}"
        if beacon.id in ids:
            what = f"beacon id `{beacon.id}` is taken in `{store.id}`: expected another"
            items.wrong(ix, what, "beacons", row, "id")
        ids.add(beacon.id)
        if what := _says_too_little(beacon):
            items.wrong(ix, f"{beacon.kind} `{beacon.id}`: expected {what}", "beacons", row)
            continue
        if key in seen:
            what = f"beacon {name} has the uuid, major and minor of {seen[key]}: expected its own"
            items.wrong(ix, what, "beacons", row)
        seen.setdefault(key, name)


def _says_too_little(beacon: Beacon) -> str:
    """What is missing of a beacon, or too much."""
    radio = (beacon.uuid, beacon.major, beacon.minor)
    if beacon.kind == "ibeacon":
        is_whole = None not in radio and beacon.code is None
        return "" if is_whole else "uuid, major and minor, and no code"
    is_whole = radio == (None, None, None) and beacon.code is not None
    return "" if is_whole else "a code, and no uuid, major or minor"
