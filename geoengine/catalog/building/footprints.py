"""The shops' own outlines, for who walked in: checked, found among buildings, put into rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import shapely
from shapely.geometry import Point

import geoengine.catalog.polygons as polygons
from geoengine.catalog.building.policies import Policies
from geoengine.catalog.building.stores import Shops, draw, positions
from geoengine.catalog.building.zone_rows import Rows
from geoengine.catalog.buildings.around import in_metres, nearest
from geoengine.catalog.buildings.kept import load
from geoengine.catalog.buildings.outlines import Outlines, key_of, name_of
from geoengine.catalog.reading.report import Items
from geoengine.core.book import MODES
from geoengine.core.columns import Floats
from geoengine.core.errors import DataError
from geoengine.core.model import WHOLE_STORE, Footprint, Store
from geoengine.core.places.policy import Policy
from geoengine.core.places.zones import POLYGON
from geoengine.core.units import ACCURACY_MIN_M, ACCURACY_PER_SIGMA, COARSE_SIGMAS

# OpenStreetMap's mappers put shops on the pavement, geocoders at the kerb: half a street's width
# and the pavement. More, and the store is given the house next door.
BESIDE_MAX_M: Final = 30.0
# A location may be that of the car park or of the address, not of another shop. Without a bound, a
# file mixed up with another's makes people walk into a shop in another town.
FAR_MAX_M: Final = 200.0
# An iPhone in a town's streets was 7 to 13 m off on average (Merry and Bettinger 2019,
# doi:10.1371/journal.pone.0219890). Who needs less than this lets hardly anybody in.
ACCURACY_ORDINARY_M: Final = 10.0
LISTED_MAX: Final = 20  # stores named for one kind of doubt; of an import every one may have it
_MIDDLE_WITHIN_M: Final = 0.1  # how well the middle is known; a tenth of this takes twice as long
_Z_LEAST: Final = 1e-9  # who lets in at even odds needs no middle at all
_ADD: Final = "`geoengine data add buildings FILE.osm.pbf`"


class Outline(NamedTuple):
    """A shop's outline, measured, and where it is from."""

    area: polygons.Area
    why: str
    away_m: float  # from the store's location; 0 where it lies inside
    radius_m: float  # of the circle of the same area
    middle_m: float  # of the largest circle inside


Outlined = dict[int, Outline]  # by the store's place in the items
_Found = dict[int, tuple[polygons.Area, str]]  # the same before it is measured
_Asked = list[tuple[int, Store, Footprint]]


def check(items: Items[Store], data: Path) -> Outlined:
    """The outlines of all stores that say where theirs is; the faults go to their report.

    ``data`` is the folder of what `geoengine data add` was given.
    """
    asked = [(ix, store, store.footprint) for ix, store in items if store.footprint is not None]
    asked = [one for one in asked if _is_sound(items, *one)]
    found = _drawn(items, [one for one in asked if one[2].polygon is not None])
    buildings = [one for one in asked if one[2].building is not None]
    if buildings:
        found |= _built(items, buildings, data)
    found = dict(sorted(found.items()))
    places = positions(items.values[ix].location for ix in found)
    measures = measured([area for area, _why in found.values()], *places)
    outlined = {ix: Outline(*found[ix], *sizes) for ix, sizes in zip(found, measures, strict=True)}
    return {ix: outline for ix, outline in outlined.items() if _is_near(items, ix, outline)}


def add_footprints(
    rows: Rows, items: Items[Store], outlined: Outlined, shops: Shops, policies: Policies
) -> None:
    """One zone, STORE/PLACE, for each outline; it speaks only for campaigns that name it."""
    small: dict[int, str] = {}
    for store_ix, ix in enumerate(shops.item_ix if outlined else ()):
        if ix not in outlined:
            continue
        outline, store, extent = outlined[ix], shops.stores[store_ix], shops.extents[store_ix]
        assert store.footprint is not None
        policy_ix, mode = policies.ix(store.presence), MODES.index(extent.mode)
        accuracy_m = accuracy_needed_m(outline, policies.values[policy_ix])
        zone_id, why = f"{store.id}/{store.footprint.place}", _why(outline, accuracy_m)
        at = polygons.centre_of(outline.area)
        zone_ix = rows.add(zone_id, at, outline.radius_m, store_ix, policy_ix, mode, why, POLYGON)
        rows.polygons[zone_ix] = outline.area
        rows.places[zone_ix] = store.footprint.place
        if accuracy_m < ACCURACY_ORDINARY_M:
            small[ix] = _small(store, accuracy_m)
        if outline.radius_m > extent.radius_m:
            what = f"the outline of `{store.id}` is larger than its reach"
            items.doubtful(ix, what, "footprint")
    _doubt(items, small)
    _warn_shared(items, outlined)


def measured(
    areas: Sequence[polygons.Area], lon_deg: Floats, lat_deg: Floats
) -> Iterator[tuple[float, float, float]]:
    """``away_m``, ``radius_m`` and ``middle_m`` of areas, each on a flat map around its store."""
    column = np.empty(len(areas), object)
    column[:] = areas
    flat = in_metres(column, lon_deg, lat_deg)
    return zip(
        shapely.distance(flat, Point(0, 0)).tolist(),
        np.sqrt(shapely.area(flat) / np.pi).tolist(),
        shapely.length(shapely.maximum_inscribed_circle(flat, _MIDDLE_WITHIN_M)).tolist(),
        strict=True,
    )


def accuracy_needed_m(outline: Outline, policy: Policy) -> float:
    """The coarsest accuracy, in metres, with which a fix can let anybody in; 0 where none can.

    An area is entered by fixes whose sigma is at most half the radius of its equal circle
    (DESIGN, "Presence"), and which even in its very middle, two running, are sure enough.
    """
    sure_m = outline.middle_m / max(policy.confirm_enter_z, _Z_LEAST)
    sigma_m = min(outline.radius_m / COARSE_SIGMAS, sure_m)
    accuracy_m = sigma_m * ACCURACY_PER_SIGMA
    return accuracy_m if accuracy_m >= ACCURACY_MIN_M else 0.0


def _is_sound(items: Items[Store], ix: int, store: Store, footprint: Footprint) -> bool:
    """Whether what is written makes one zone; else the fault is reported."""
    both = (footprint.polygon is not None) + (footprint.building is not None)
    if both != 1:
        what = f"footprint of `{store.id}`: expected polygon or building, one of the two"
        items.wrong(ix, what, "footprint")
    elif footprint.place in {WHOLE_STORE, *(beacon.place for beacon in store.beacons)}:
        what = (
            f"place `{footprint.place}` of `{store.id}` is one of beacons: expected another name "
            "for the outline"
        )
        items.wrong(ix, what, "footprint", "place")
    return ix not in items.left_out


def _drawn(items: Items[Store], asked: _Asked) -> _Found:
    areas: dict[int, polygons.Area] = {}
    for ix, _store, footprint in asked:
        assert footprint.polygon is not None
        draw(items, ix, areas, footprint.polygon, "footprint", "polygon")
    return {ix: (area, "drawn outline") for ix, area in areas.items()}


def _built(items: Items[Store], asked: _Asked, data: Path) -> _Found:
    by_place = [one for one in asked if one[2].building == "auto"]
    by_name = [one for one in asked if one[2].building != "auto"]
    try:
        buildings = load(data, items.report.sources)
        lack = f"no buildings are in {data}: expected {_ADD}"
    except DataError as error:
        buildings, lack = None, str(error)
    if buildings is not None:
        return _named(items, by_name, buildings) | _around(items, by_place, buildings)
    for ix, store, footprint in by_name:
        what = f"building {footprint.building} of `{store.id}` is not known: {lack}"
        items.wrong(ix, what, "footprint", "building")
    _doubt(items, {ix: f"`{store.id}` has no outline: {lack}" for ix, store, _spec in by_place})
    return {}


def _named(items: Items[Store], asked: _Asked, buildings: Outlines) -> _Found:
    names = [footprint.building or "" for _ix, _store, footprint in asked]
    found = buildings.find([key_of(name) or -1 for name in names])
    areas = iter(buildings.areas(found[found >= 0]))
    named: _Found = {}
    for (ix, store, _footprint), name, row in zip(asked, names, found.tolist(), strict=True):
        if row >= 0:
            named[ix] = (next(areas), f"building {name}")
            continue
        what = f"building {name} of `{store.id}` is not in what was added: expected {_ADD} with it"
        items.wrong(ix, what, "footprint", "building")
    return named


def _around(items: Items[Store], asked: _Asked, buildings: Outlines) -> _Found:
    lon_deg, lat_deg = positions(store.location for _ix, store, _footprint in asked)
    found = nearest(lon_deg, lat_deg, buildings, BESIDE_MAX_M)
    around: _Found = {}
    without: dict[int, str] = {}
    for (ix, store, _footprint), building in zip(asked, found, strict=True):
        if building is None:
            lack = f"no building is within {BESIDE_MAX_M:.0f} m"
            without[ix] = f"`{store.id}` has no outline: {lack}"
            continue
        where = f", {building.away_m:.0f} m from the store" if building.away_m > 0 else ""
        around[ix] = (building.area, f"building {name_of(building.key)}{where}")
    _doubt(items, without)
    return around


def _is_near(items: Items[Store], ix: int, outline: Outline) -> bool:
    away_m = outline.away_m
    if away_m <= FAR_MAX_M:
        return True
    how_far = f"{away_m:,.0f} m" if away_m < 1_000 else f"{away_m / 1_000:,.0f} km"
    what = (
        f"the outline of `{items.values[ix].id}` lies {how_far} from its location: expected within "
        f"{FAR_MAX_M:.0f} m"
    )
    items.wrong(ix, what, "footprint")
    return False


def _why(outline: Outline, accuracy_m: float) -> str:
    size = f"as large as a circle of {outline.radius_m:,.0f} m"
    entered = f"entered by GPS accurate to {accuracy_m:,.0f} m" if accuracy_m else "not for GPS"
    return f"{outline.why}; {size}, {entered}"


def _small(store: Store, accuracy_m: float) -> str:
    """What to say of an outline that phones are seldom accurate enough for."""
    if not accuracy_m:
        return f"the outline of `{store.id}` is too small for GPS to let anybody in: hang beacons"
    return (
        f"the outline of `{store.id}` is small: GPS lets people in when accurate to "
        f"{accuracy_m:,.0f} m, and in streets it is some {ACCURACY_ORDINARY_M:.0f} m off"
    )


def _warn_shared(items: Items[Store], outlined: Outlined) -> None:
    """Warn of stores in one outline: who walks into one of them walks into all."""
    first: dict[bytes, int] = {}
    owner = {ix: first.setdefault(polygons.print_of(o.area), ix) for ix, o in outlined.items()}
    stores = items.values
    shared = {
        ix: f"`{stores[ix].id}` has the same outline as `{stores[one].id}`: who walks into one "
        "walks into both"
        for ix, one in owner.items()
        if one != ix
    }
    _doubt(items, shared)


def _doubt(items: Items[Store], whats: Mapping[int, str]) -> None:
    """Warn of the first of them, with the last of these saying how many there are more."""
    for row, (ix, what) in enumerate(whats.items(), 1):
        more_count = len(whats) - row
        if row == LISTED_MAX and more_count:
            items.doubtful(ix, f"{what}; and so with {more_count:,} stores more", "footprint")
            return
        items.doubtful(ix, what, "footprint")
