"""Beacon places: one zone for each place in a store where beacons hang, and who leads there."""

from __future__ import annotations

from geoengine.catalog.building.policies import Policies
from geoengine.catalog.building.stores import Shops
from geoengine.catalog.building.zone_rows import BeaconKey, Rows
from geoengine.catalog.reading.report import Items
from geoengine.core.book import MODES
from geoengine.core.model import Beacon, Store
from geoengine.core.zones import PLACE


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
