"""The stores' reaches and the zones drawn by hand: checked, and put into rows."""

from __future__ import annotations

import geoengine.catalog.places as places
import geoengine.catalog.polygons as polygons
from geoengine.catalog.building.policies import Policies
from geoengine.catalog.building.stores import (
    RADIUS_DOUBTFUL_M,
    Shops,
    check_ids,
    check_time_zone,
    draw,
    positions,
    warn_small,
)
from geoengine.catalog.building.zone_rows import Rows
from geoengine.catalog.reading.report import Items, suggestion
from geoengine.core.book import MODES
from geoengine.core.model import Store, Zone
from geoengine.core.places.zones import CIRCLE, POLYGON


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
    elif zone.radius_m is not None and zone.radius_m < RADIUS_DOUBTFUL_M:
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
        at = shops.centres.get(store_ix, (store.location.lon, store.location.lat))
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
