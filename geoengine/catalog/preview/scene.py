"""What there is to see: each area's reach, the circle it would be, its people, its neighbours."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import shapely
from numpy.typing import NDArray

from geoengine.catalog.building.compile import Reading
from geoengine.catalog.density.kept import Grid
from geoengine.catalog.geojson import circle_rings
from geoengine.catalog.preview.overlaps import Overlaps, overlaps_of
from geoengine.catalog.preview.people import people_in
from geoengine.catalog.preview.towns import towns_around
from geoengine.catalog.reach.circle import reach
from geoengine.catalog.setting.fallback import Places
from geoengine.core.book import MODES, Book
from geoengine.core.columns import Bools, Floats
from geoengine.core.model import Mode, Store
from geoengine.core.places.zones import CIRCLE, PLACE

ALONE = "alone"  # an area of no store has no setting
SETTINGS: tuple[str, ...] = ("city", "suburb", "countryside", ALONE)
WARNINGS_SHOWN = 1_000  # a page is no log; the rest is counted

Shapes = NDArray[np.object_]


@dataclass(frozen=True, slots=True)
class Scene:
    """All areas to be drawn, A rows: the reaches in force, and beside each the circle.

    Where there are stores on both sides of the antimeridian, longitudes run on past 180 degrees.
    """

    version: str
    ids: list[str]
    names: list[str]
    store_ids: list[str]  # "" for an area of no store
    settings: list[str]  # of SETTINGS
    modes: list[Mode | None]
    minutes: Floats  # NaN where the reach is not by time
    why: list[str]
    lon_deg: Floats  # of a reach the store, of a drawn area its centre
    lat_deg: Floats
    shapes: Shapes  # the reach in force
    is_circle: Bools  # whether that is a circle
    radius_m: Floats  # of the reach in force; of a polygon that of the circle of its area
    circle_m: Floats  # radius of the circle that stands in for roads; NaN for a drawn polygon
    agreement: Floats  # of reach and circle, intersection over union; NaN where they are one
    people: Floats  # who live in it; NaN where nobody counted
    overlaps: Overlaps
    towns: Places  # around them
    warnings: list[str]
    unshown_count: int  # of warnings

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def area_km2(self) -> Floats:
        """The size of each reach in force."""
        size: Floats = np.pi * (self.radius_m / 1_000) ** 2
        return size


class _Row(NamedTuple):
    """One area, in words and at its place."""

    zone_ix: int
    zone_id: str
    name: str
    store_id: str
    setting: str
    lon_deg: float
    lat_deg: float
    circle_m: float


def scene_of(
    reading: Reading, store_ids: Collection[str] = (), grids: Sequence[Grid] = ()
) -> Scene:
    """The scene of a catalogue; where stores are named, of their areas only.

    ``grids`` are the density grids that were added, the best first; without any nobody is counted.
    """
    book = reading.book
    rows = _rows(book, store_ids)
    zone_ix = np.array([row.zone_ix for row in rows], int)
    lon_deg = unrolled(np.array([row.lon_deg for row in rows], float))
    lat_deg = np.array([row.lat_deg for row in rows], float)
    radius_m = book.zones.radius_m[zone_ix]
    circle_m = np.array([row.circle_m for row in rows], float)
    is_circle = book.zones.kind[zone_ix] == CIRCLE
    shapes = _shapes(book, zone_ix, lon_deg, lat_deg)
    shown = reading.warnings[:WARNINGS_SHOWN]
    return Scene(
        version=book.version,
        ids=[row.zone_id for row in rows],
        names=[row.name for row in rows],
        store_ids=[row.store_id for row in rows],
        settings=[row.setting for row in rows],
        modes=[MODES[mode] for mode in book.zones.mode[zone_ix].tolist()],
        minutes=book.zones.minutes[zone_ix],
        why=[book.zones.why[ix] for ix in zone_ix.tolist()],
        lon_deg=lon_deg,
        lat_deg=lat_deg,
        shapes=shapes,
        is_circle=is_circle,
        radius_m=radius_m,
        circle_m=circle_m,
        agreement=_agreement(shapes, ~is_circle, lon_deg, lat_deg, circle_m),
        people=people_in(shapes, lon_deg, lat_deg, radius_m, grids),
        overlaps=_overlaps(book, zone_ix, shapes, lon_deg, lat_deg),
        towns=towns_around(lon_deg, lat_deg),
        warnings=[f"{one.file}:{one.line}:{one.column}: {one.what}" for one in shown],
        unshown_count=len(reading.warnings) - len(shown),
    )


def _overlaps(
    book: Book, zone_ix: NDArray[np.int_], shapes: Shapes, lon_deg: Floats, lat_deg: Floats
) -> Overlaps:
    """Those of reaches and drawn areas; a shop's own outline calls nobody who comes near."""
    row = np.flatnonzero(~np.isin(zone_ix, book.outlines)).astype(np.int32)
    zones, kept = book.zones, zone_ix[row]
    places = (lon_deg[row], lat_deg[row], zones.radius_m[kept], zones.store_ix[kept])
    found = overlaps_of(shapes[row], *places)
    return found._replace(first_ix=row[found.first_ix], second_ix=row[found.second_ix])


def unrolled(lon_deg: Floats) -> Floats:
    """Longitudes cut open where nobody is: at the middle of the widest gap between them.

    Parameters
    ----------
    lon_deg : float64, shape (A,)

    Returns
    -------
    lon_deg : float64, shape (A,)
        The same places, some of them 360 degrees on, so that neighbours over the antimeridian
        are neighbours.

    >>> unrolled(np.array([179.9, -179.9, 178.0])).tolist()
    [179.9, 180.1, 178.0]
    """
    if not len(lon_deg) or np.ptp(lon_deg) <= 180:
        return lon_deg
    ordered = np.sort(lon_deg)
    gaps = np.diff(ordered, append=ordered[0] + 360)
    widest = int(np.argmax(gaps))
    west = ordered[widest + 1] if widest + 1 < len(ordered) else ordered[0]
    return np.where(lon_deg < west, lon_deg + 360, lon_deg)


def _rows(book: Book, store_ids: Collection[str]) -> list[_Row]:
    wanted = frozenset(store_ids)
    rows = []
    for zone_ix in np.flatnonzero(book.zones.kind != PLACE).tolist():
        store = book.store_of(zone_ix)
        if not wanted or (store is not None and store.id in wanted):
            rows.append(_row(book, zone_ix, store))
    return rows


def _row(book: Book, zone_ix: int, store: Store | None) -> _Row:
    zones = book.zones
    zone_id = zones.ids[zone_ix]
    is_reach = store is not None and store.id == zone_id
    at = store.location if store is not None and is_reach else None
    return _Row(
        zone_ix=zone_ix,
        zone_id=zone_id,
        name=store.name if store and is_reach else zones.names.get(zone_ix, zone_id),
        store_id=store.id if store else "",
        setting=store.setting if store else ALONE,
        lon_deg=at.lon if at else float(zones.lon_deg[zone_ix]),
        lat_deg=at.lat if at else float(zones.lat_deg[zone_ix]),
        circle_m=_circle_m(book, zone_ix, store),
    )


def _circle_m(book: Book, zone_ix: int, store: Store | None) -> float:
    """The radius that the reach has, or would have without roads; NaN where it is drawn."""
    if book.is_circle(zone_ix):
        return book.radius_m(zone_ix)
    if store is None or store.setting == "auto" or np.isnan(book.zones.minutes[zone_ix]):
        return np.nan
    return reach(store.reach, store.setting).radius_m


def _shapes(book: Book, zone_ix: NDArray[np.int_], lon_deg: Floats, lat_deg: Floats) -> Shapes:
    """The reaches in force, each where its longitude has it."""
    zones = book.zones
    shapes = circles(lon_deg, lat_deg, zones.radius_m[zone_ix])
    for row, ix in enumerate(zone_ix.tolist()):
        if ix in zones.polygons:
            shapes[row] = zones.polygons[ix]
    return _beside(shapes, lon_deg)


def circles(lon_deg: Floats, lat_deg: Floats, radius_m: Floats) -> Shapes:
    """Circles as polygons, shape (A,)."""
    shapes: Shapes = shapely.polygons(circle_rings(lon_deg, lat_deg, radius_m))
    return shapes


def _beside(shapes: Shapes, lon_deg: Floats) -> Shapes:
    """The shapes, each corner within half the globe of its own longitude.

    An area that GeoJSON had to cut at the antimeridian is whole again.
    """
    corners, row = shapely.get_coordinates(shapes, return_index=True)
    turns = np.round((lon_deg[row] - corners[:, 0]) / 360)
    turned = np.unique(row[turns != 0])
    if len(turned):
        corners[:, 0] += 360 * turns
        shapes = shapely.set_coordinates(shapes.copy(), corners)
        shapes[turned] = [shapely.unary_union(shapes[ix]) for ix in turned.tolist()]
    return shapes


def _agreement(
    shapes: Shapes, is_polygon: Bools, lon_deg: Floats, lat_deg: Floats, circle_m: Floats
) -> Floats:
    """Intersection over union of reach and circle; degrees will do, for both shrink alike."""
    found = np.full(len(shapes), np.nan)
    rows = np.flatnonzero(is_polygon & ~np.isnan(circle_m))
    beside = circles(lon_deg[rows], lat_deg[rows], circle_m[rows])
    common = shapely.area(shapely.intersection(shapes[rows], beside))
    found[rows] = common / (shapely.area(shapes[rows]) + shapely.area(beside) - common)
    return found
