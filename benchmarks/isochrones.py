"""Real places, the isochrones towards them, and how well a circle stands for one.

A *profile* is an isochrone as a circle sees it: how far from the place each twentieth of its area
begins. Any circle's share of it, and so what the two have in common, follows without the polygon.
"""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import shapely
from shapely.geometry.base import BaseGeometry

from geoengine.catalog.setting.fallback import places, share_within
from geoengine.core.columns import Floats
from geoengine.core.errors import NoWay
from geoengine.core.model import Decided, Mode, RoadsSpec
from geoengine.core.space.geodesy import degree_m
from geoengine.roads import tiles
from geoengine.roads.base import Isochrone, Question, Router
from geoengine.roads.opening import open_router

SHARES = np.linspace(0.0, 1.0, 21)
RASTER = 160  # points across an isochrone's box, for its profile: shares good to a hundredth
APART_M = 120.0  # between places, or a shopping street would outvote all else
VISITED = {"bank", "bar", "cafe", "fast_food", "fuel", "pharmacy", "post_office", "pub"}
VISITED |= {"restaurant"}
LIVED_IN = {"city", "farm", "hamlet", "isolated_dwelling", "neighbourhood", "suburb", "town"}
LIVED_IN |= {"village"}
AROUND_M = 2_000.0  # about as far as one drives in five minutes
CITY_PER_KM2, TOWN_PER_KM2 = 1_500, 300  # degree of urbanisation: urban centre, urban cluster


class Place(NamedTuple):
    """Where an isochrone leads, and what lives around it."""

    extract: str
    name: str
    lon_deg: float
    lat_deg: float
    setting: Decided


Key: TypeAlias = tuple[Place, Mode, float]  # towards where, how, in how many minutes


class Reached(NamedTuple):
    """An isochrone's area, square metres, and its profile: metres at each of `SHARES`, (21,)."""

    place: Place
    mode: Mode
    minutes: float
    area_m2: float
    profile_m: Floats

    @property
    def key(self) -> Key:
        return self.place, self.mode, self.minutes

    @property
    def own_m(self) -> float:
        """The radius of the circle of its area."""
        return float(np.sqrt(self.area_m2 / np.pi))

    def covered(self, radius_m: Floats | float) -> Floats:
        """The share of its area that circles of these radii around the place hold."""
        return np.interp(radius_m, self.profile_m, SHARES)

    def iou(self, radius_m: Floats | float) -> Floats:
        """What it has in common with circles of these radii, over what both cover."""
        common_m2 = self.covered(radius_m) * self.area_m2
        return common_m2 / (np.pi * np.square(radius_m) + self.area_m2 - common_m2)


def profiled(place: Place, mode: Mode, minutes: float, area: BaseGeometry) -> Reached:
    """An isochrone, in degrees, seen from its place; flat metres are good to 1 % over 10 km."""
    around = flat(place, area)
    west, south, east, north = around.bounds
    x, y = np.meshgrid(np.linspace(west, east, RASTER), np.linspace(south, north, RASTER))
    shapely.prepare(around)
    inside = shapely.contains_xy(around, x, y)
    profile_m = np.quantile(np.hypot(x[inside], y[inside]), SHARES)
    profile_m[0] = 0.0
    return Reached(place, mode, minutes, around.area, profile_m)


def flat(place: Place, area: BaseGeometry) -> BaseGeometry:
    """A geometry in degrees as metres around a place."""
    across_m, along_m = (float(one[0]) for one in degree_m(np.array([place.lat_deg])))
    middle, scale = np.array([place.lon_deg, place.lat_deg]), np.array([across_m, along_m])
    moved: BaseGeometry = shapely.transform(area, lambda xy: (xy - middle) * scale)
    return moved


def common(one: BaseGeometry, other: BaseGeometry) -> float:
    """Intersection over union of two areas in degrees at one place: the scale falls out."""
    return float(shapely.intersection(one, other).area / shapely.union(one, other).area)


def places_in(extract: Path, seed: int = 1) -> list[Place]:
    """Shops, other places one visits, and names of where people live, `APART_M` apart; shuffled."""
    found = np.array(list(_sites(extract)), object)
    np.random.default_rng(seed).shuffle(found)
    lon, lat = found[:, 0].astype(float), found[:, 1].astype(float)
    across_m, along_m = degree_m(lat)
    kept: list[int] = []
    for ix in range(len(found)):
        away_m = np.hypot((lon[kept] - lon[ix]) * across_m[ix], (lat[kept] - lat[ix]) * along_m[ix])
        if away_m.min(initial=np.inf) > APART_M:
            kept.append(ix)
    settings = settings_of(lon[kept], lat[kept])
    name = extract.name.removesuffix(".osm.pbf")
    return [
        Place(name, found[ix, 2], float(lon[ix]), float(lat[ix]), setting)
        for ix, setting in zip(kept, settings, strict=True)
    ]


def settings_of(lon_deg: Floats, lat_deg: Floats) -> list[Decided]:
    """City, suburb or countryside by people a square kilometre: shape (P,) in, P out."""
    here = zip(lon_deg.tolist(), lat_deg.tolist(), strict=True)
    per_km2 = [_people_around(lon, lat) / (np.pi * (AROUND_M / 1_000) ** 2) for lon, lat in here]
    kinds: list[Decided] = ["countryside", "suburb", "city"]
    return [kinds[ix] for ix in np.searchsorted([TOWN_PER_KM2, CITY_PER_KM2], per_km2, "right")]


def _people_around(lon_deg: float, lat_deg: float) -> float:
    """Of the packaged places' people those within `AROUND_M`."""
    table = places()
    across_m, along_m = (float(one[0]) for one in degree_m(np.array([lat_deg])))
    east_m, north_m = (table.lon_deg - lon_deg) * across_m, (table.lat_deg - lat_deg) * along_m
    share = share_within(AROUND_M, np.hypot(east_m, north_m), table.radius_m)
    return float(share @ table.people)


def _sites(extract: Path) -> Any:
    import osmium  # only who measures anew needs it: of the test extra

    for thing in osmium.FileProcessor(str(extract)).with_locations():
        tags = thing.tags
        is_shop = "shop" in tags or tags.get("amenity") in VISITED
        if not is_shop and tags.get("place") not in LIVED_IN:
            continue
        corners = [thing] if thing.is_node() else list(thing.nodes) if thing.is_way() else []
        known = [(at.lon, at.lat) for at in corners if at.location.valid()]
        if known:
            yield (*known[0], tags.get("name", ""))


def asked_of(extract: Path, questions: list[Key]) -> dict[Key, Isochrone]:
    """What the roads of an extract answer; questions without an answer are left out."""
    with TemporaryDirectory() as folder:
        tiles.add([extract], Path(folder), lambda *_: None)
        spec = RoadsSpec(router="valhalla", tiles=f"{folder}/roads")
        return asyncio.run(_all(open_router(spec, os.environ), questions))


async def _all(router: Router, questions: list[Key]) -> dict[Key, Isochrone]:
    gate, found = asyncio.Semaphore(router.at_once), {}

    async def one(place: Place, mode: Mode, minutes: float) -> None:
        async with gate:
            try:
                question = Question(place.lon_deg, place.lat_deg, mode, minutes)
                found[place, mode, minutes] = await router.ask(question)
            except NoWay:
                return

    try:
        await asyncio.gather(*(one(*question) for question in questions))
    finally:
        await router.close()
    return found


def measured(extract: Path, modes: tuple[Mode, ...], minutes: tuple[float, ...]) -> list[Reached]:
    """The isochrones towards all places of an extract."""
    places = places_in(extract)
    questions = [(place, mode, m) for place in places for mode in modes for m in minutes]
    return [
        profiled(*question, answer.area)
        for question, answer in asked_of(extract, questions).items()
    ]


def read_shared(path: Path) -> list[tuple[Reached, BaseGeometry]]:
    """The isochrones of a shared file, with the polygons themselves."""
    modes: dict[str, Mode] = {"pedestrian": "walk", "auto": "drive"}
    features = json.loads(path.read_text(encoding="utf-8"))["features"]
    found = []
    for feature in features:
        told = feature["properties"]
        if "lon" not in told:
            continue
        setting = settings_of(np.array([told["lon"]]), np.array([told["lat"]]))[0]
        place = Place(told["extract"], told["place"], told["lon"], told["lat"], setting)
        area = shapely.make_valid(shapely.geometry.shape(feature["geometry"]))
        found.append((profiled(place, modes[told["mode"]], 5.0, area), area))
    return found
