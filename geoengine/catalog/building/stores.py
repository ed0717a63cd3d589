"""Stores made whole: checked, and with setting, time zone, country and reach decided."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from sys import intern
from typing import TypeVar

import numpy as np
from msgspec.structs import replace

import geoengine.catalog.hours as hours
import geoengine.catalog.places as places
import geoengine.catalog.polygons as polygons
from geoengine.catalog.building.settings import settings
from geoengine.catalog.reach.circle import Extent, reach
from geoengine.catalog.reading.report import Items, suggestion
from geoengine.catalog.setting.decide import Verdict
from geoengine.core.columns import Floats
from geoengine.core.model import Campaign, Decided, Location, Reach, Store, Zone

RADIUS_DOUBTFUL_M = 100.0  # Android: a circle below 100 m is missed by many phones
_TIMED = ("minutes", "at", "speed_mps", "detour")
_BY_CIRCLE = ("speed_mps", "detour")
N = TypeVar("N", Store, Zone, Campaign)
Found = list[tuple[int, Store]]


@dataclass(frozen=True, slots=True)
class Shops:
    """The S stores without a fault, made whole, and the reach of each, row by row."""

    stores: list[Store] = field(default_factory=list)
    item_ix: list[int] = field(default_factory=list)  # where each was written
    extents: list[Extent] = field(default_factory=list)
    because: list[str] = field(default_factory=list)  # why each has its setting
    areas: dict[int, polygons.Area] = field(default_factory=dict)  # of reaches no circle, by row
    centres: dict[int, tuple[float, float]] = field(default_factory=dict)  # of the areas


def complete(items: Items[Store], data: Path) -> Shops:
    """Check all stores and make whole those without a fault; the faults go to their report.

    ``data`` is the folder of what was added for it: density grids, reaches on real streets.
    """
    check_ids(items, {}, "store")
    found = list(items)
    lon_deg, lat_deg = positions(store.location for _ix, store in found)
    zone_names = _zone_names(items, found, lon_deg, lat_deg)
    plain = Reach()
    areas: dict[int, polygons.Area] = {}
    for ix, store in found:
        if store.country is not None and store.country not in places.countries():
            items.wrong(ix, f"country `{store.country}` is not in ISO 3166-1", "country")
        if store.reach != plain:
            _check_reach(items, ix, store, areas)
        if store.hours is not None:
            _check_hours(items, ix, store.hours, zone_names[ix])
    return _whole(items, found, zone_names, areas, settings(items, found, lon_deg, lat_deg, data))


def check_ids(items: Items[N], taken: dict[str, str], noun: str) -> None:
    """Report every id that is taken already; whoever had it first keeps it."""
    for ix, item in items:
        if item.id in taken:
            first = taken[item.id]
            items.wrong(ix, f"id `{item.id}` is taken by the {first}: expected another", "id")
        else:
            taken[item.id] = noun if items.is_row(ix) else _where(items, ix, noun)


def _where(items: Items[N], ix: int, noun: str) -> str:
    at = items.place(ix, "")
    return f"{noun} at {at.file}:{at.line}"


def positions(locations: Iterable[Location]) -> tuple[Floats, Floats]:
    """Longitudes and latitudes, degrees, as columns."""
    table = np.array([(at.lon, at.lat) for at in locations], float).reshape(-1, 2)
    return table[:, 0].copy(), table[:, 1].copy()


def _zone_names(
    items: Items[Store], found: Found, lon_deg: Floats, lat_deg: Floats
) -> dict[int, str]:
    """The time zone of each store, by its place in the items; reports what cannot be."""
    at_place = [
        intern(places.time_zone_at(lon, lat))
        for lon, lat in zip(lon_deg.tolist(), lat_deg.tolist(), strict=True)
    ]
    trusted = {row for row, (_ix, store) in enumerate(found) if store.time_zone is not None}
    for row, why in places.implausible(lon_deg, lat_deg, at_place).items():
        if row not in trusted or why == places.ISLAND:
            items.wrong(found[row][0], why, "location")
    names = {}
    for row, (ix, store) in enumerate(found):
        names[ix] = store.time_zone or at_place[row]
        if row in trusted:
            check_time_zone(items, ix, names[ix])
        elif at_place[row].startswith(places.SEA) and ix not in items.left_out:
            items.doubtful(ix, f"{store.id} lies at sea, in time zone {at_place[row]}", "location")
    return names


def check_time_zone(items: Items[Store] | Items[Zone], ix: int, name: str) -> None:
    """Report a time zone that does not exist."""
    known = places.time_zones()
    if name not in known:
        guess = suggestion(name, known) or ": expected an IANA name, as Europe/Paris"
        items.wrong(ix, f"time zone `{name}` does not exist{guess}", "time_zone")


def _check_reach(
    items: Items[Store], ix: int, store: Store, areas: dict[int, polygons.Area]
) -> None:
    spec = store.reach
    given = [key for key in ("minutes", "radius_m", "polygon") if getattr(spec, key) is not None]
    timed = [key for key in _TIMED if getattr(spec, key) is not None]
    if len(given) > 1 or (given != ["minutes"] and given and timed):
        both = " and ".join(dict.fromkeys([*given, *timed]))
        what = f"reach has {both}: expected minutes (with speed and detour), radius_m or polygon"
        items.wrong(ix, what, "reach", given[-1])
    elif spec.at is not None and any(getattr(spec, key) is not None for key in _BY_CIRCLE):
        what = "reach has at, and a speed or detour: expected at for roads, or these for a circle"
        items.wrong(ix, what, "reach", "at")
    elif spec.polygon is not None:
        draw(items, ix, areas, spec.polygon, "reach", "polygon")
    elif spec.radius_m is not None and spec.radius_m < RADIUS_DOUBTFUL_M:
        warn_small(items, ix, spec.radius_m, "reach", "radius_m")


def warn_small(items: Items[Store] | Items[Zone], ix: int, radius_m: float, *path: str) -> None:
    """Warn of a circle that phones will miss."""
    what = f"radius_m is {radius_m:g}: phones miss circles under {RADIUS_DOUBTFUL_M:g} m"
    items.doubtful(ix, what, *path)


def draw(
    items: Items[Store] | Items[Zone],
    ix: int,
    areas: dict[int, polygons.Area],
    written: str | dict[str, object],
    *path: str,
) -> None:
    """Read a polygon into the areas, or report what is wrong with it."""
    folder = Path(items.file_of(ix)).parent
    try:
        areas[ix] = polygons.area_of(written, folder, items.report.sources)
    except polygons.PolygonError as error:
        items.wrong(ix, f"polygon of `{items.values[ix].id}`: {error}", *path)


def _check_hours(items: Items[Store], ix: int, expression: str, zone_name: str) -> None:
    why = hours.problem(expression)
    if why is not None:
        items.wrong(ix, f"hours {why}", "hours")
    elif not hours.opens_ever(expression, "UTC", ""):
        items.doubtful(ix, f"`{items.values[ix].id}` is never open: hours `{expression}`", "hours")


def _whole(
    items: Items[Store],
    found: Found,
    zone_names: dict[int, str],
    areas: dict[int, polygons.Area],
    verdicts: list[Verdict],
) -> Shops:
    shops = Shops()
    for row, (ix, store) in enumerate(found):
        if ix in items.left_out:
            continue
        decided, because = verdicts[row].setting, verdicts[row].why
        extent = _extent(store, decided, because, areas.get(ix))
        if ix in areas:
            shops.areas[len(shops.stores)] = areas[ix]
            shops.centres[len(shops.stores)] = polygons.centre_of(areas[ix])
        country = store.country or places.country_of(zone_names[ix])
        whole = replace(store, setting=decided, time_zone=zone_names[ix], country=country)
        items.values[ix] = whole  # lets go of the first one: of a million there is no room for two
        shops.stores.append(whole)
        shops.item_ix.append(ix)
        shops.extents.append(extent)
        shops.because.append(because)
    return shops


def _extent(store: Store, decided: Decided, because: str, area: polygons.Area | None) -> Extent:
    if area is None:
        return _circle(store.reach, decided, because)
    by_setting = reach(Reach(mode=store.reach.mode), decided)
    radius_m = polygons.equal_radius_m(area)
    return Extent(radius_m, by_setting.mode, None, f"drawn polygon; {because}")


@lru_cache(maxsize=65_536)
def _circle(spec: Reach, decided: Decided, because: str) -> Extent:
    """The circle with both its reasons; shared by all stores that have the same."""
    circle = reach(spec, decided)
    return circle._replace(why=f"{circle.why}; {because}")
