"""A real Valhalla over a town on paper: over HTTP, and embedded in processes of its own."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.request import urlopen

import pytest
from shapely.geometry import Point

from geoengine.core.errors import NoWay, RouterDown
from geoengine.core.model import Mode, RoadsSpec
from geoengine.roads import tiles
from geoengine.roads.base import Question, Router
from geoengine.roads.isochrone import CUT_OFF
from geoengine.roads.opening import open_router
from geoengine.roads.valhalla_http import HttpLine
from geoengine.roads.valhalla_router import NO_TIMETABLE, ValhallaRouter
from tests.roads import town
from tests.servers.valhalla import Valhalla


@pytest.fixture(params=["http", "embedded"])
async def router(request: pytest.FixtureRequest, data: Path) -> AsyncIterator[Router]:
    if request.param == "http":
        spec = RoadsSpec(router="valhalla", url=request.getfixturevalue("server").url)
        opened = open_router(spec, {})
    else:
        spec = RoadsSpec(router="valhalla", tiles=str(data / "roads"))
        opened = open_router(spec, request.getfixturevalue("environ"))
    yield opened
    await opened.close()


def at(east: float, north: float, mode: Mode = "walk", minutes: float = 5.0) -> Question:
    return Question(*town.place(east, north), mode, minutes)


def point(east: float, north: float) -> Point:
    return Point(*town.place(east, north))


async def test_five_minutes_on_foot_are_390_m_of_street_in_each_direction(router: Router):
    """Along streets, so a diamond with its tips 390 m away, and what lies between the blocks."""
    found = await router.ask(at(-5, -5))
    assert found.doubts == ()
    assert found.area.contains(point(-5, -5))
    for tip in ((3.5, 0), (0, 3.5), (-3.5, 0), (0, -3.5), (1.7, 1.7)):
        assert found.area.contains(point(-5 + tip[0], -5 + tip[1])), tip
    for beyond in ((4.6, 0), (0, 4.6), (3, 3)):
        assert not found.area.contains(point(-5 + beyond[0], -5 + beyond[1])), beyond


async def test_a_river_without_a_bridge_is_not_crossed(router: Router):
    """Row 4 is 200 m from row 2 as the crow flies, and 1.5 km by the bridge of column 5."""
    found = await router.ask(at(-5, 2))
    assert found.area.contains(point(-5, 0))
    assert not found.area.contains(point(-5, 4.5))


async def test_a_bridge_is_used(router: Router):
    found = await router.ask(at(5, 2))
    assert found.area.contains(point(5, 4))


async def test_the_area_is_that_from_which_one_comes_not_to_which_one_goes(router: Router):
    """In the one-way street a driver comes from the west in a minute, from the east all around."""
    found = await router.ask(at(0, town.ONE_WAY, "drive", 0.5))
    assert found.area.contains(point(-1.5, town.ONE_WAY))
    assert not found.area.contains(point(1.5, town.ONE_WAY))


async def test_a_driver_on_the_country_road_comes_from_farther_than_one_in_town(router: Router):
    found = await router.ask(at(12, town.OUT, "drive", 3))
    assert found.area.contains(point(40, town.OUT))
    assert found.area.contains(point(5, town.OUT))
    assert not found.area.contains(point(-8, town.OUT))


@pytest.mark.parametrize("mode", ["walk", "bike", "drive"])
async def test_a_store_on_a_long_road_without_crossings_is_reached_from_both_sides(
    router: Router, mode: Mode
):
    """12 km without a crossing: 3 min are 234 m on foot, 800 m by bicycle, 4.5 km by car."""
    blocks = {"walk": 2.3, "bike": 8.0, "drive": 45.0}[mode]
    found = await router.ask(at(70, town.OUT, mode, 3))
    for side in (-1, 1):
        assert found.area.contains(point(70 + side * 0.9 * blocks, town.OUT))
        assert not found.area.contains(point(70 + side * (1.1 * blocks + 1.5), town.OUT))


async def test_a_bicycle_lies_between_foot_and_car(router: Router):
    areas = [(await router.ask(at(-5, -5, mode))).area.area for mode in ("walk", "bike", "drive")]
    assert areas == sorted(areas)
    assert areas[0] * 3 < areas[1]


async def test_a_place_far_from_any_road_has_no_way(router: Router):
    with pytest.raises(NoWay, match="no road within 350 m"):
        await router.ask(at(0, 30, "drive"))


async def test_a_store_some_metres_from_its_street_is_inside_its_area(router: Router):
    found = await router.ask(at(-5.4, -10.9, "drive"))
    assert found.area.contains(point(-5.4, -10.9))


async def test_more_minutes_than_valhalla_takes_have_no_way_and_its_reason(router: Router):
    with pytest.raises(NoWay, match="Exceeded max time"):
        await router.ask(at(0, 0, "walk", 600))


async def test_without_a_timetable_one_walks_and_is_told(router: Router):
    question = at(-5, -5, "transit")
    found, walked = await router.ask(question), await router.ask(at(-5, -5))
    assert found.doubts == (NO_TIMETABLE,)
    assert found.area.equals(walked.area)


async def test_a_time_of_arrival_is_taken(router: Router):
    question = at(-5, -5, "drive")
    with_time = await router.ask(question._replace(at="Fr 17:30"))
    assert with_time.area.equals((await router.ask(question)).area)  # no traffic is known here


async def test_the_same_roads_are_the_same_version(router: Router):
    version = await router.version()
    assert version == await router.version()
    assert version.startswith("valhalla 3.")


async def test_http_and_embedded_answer_alike(
    data: Path, server: Valhalla, environ: dict[str, str]
):
    over_http = open_router(RoadsSpec(router="valhalla", url=server.url), {})
    embedded = open_router(RoadsSpec(router="valhalla", tiles=str(data / "roads")), environ)
    question = at(3, -2, "drive", 1)
    assert (await over_http.ask(question)).area.equals((await embedded.ask(question)).area)
    await over_http.close()
    await embedded.close()


async def test_who_is_inside_drives_to_the_store_in_time_and_who_is_outside_does_not(
    server: Valhalla,
):
    """Valhalla's own times from every crossing to the store, each 15 s from the line left out."""
    crossings = [(x, y) for x in range(-10, 11, 2) for y in range(-10, 11, 2)]
    router = open_router(RoadsSpec(router="valhalla", url=server.url), {})
    for store in ((0.3, town.ONE_WAY), (5, 3.5), (-9.5, 9)):
        area = (await router.ask(at(*store, "drive", 2))).area
        seconds = times_to(server, store, crossings)
        times = zip(crossings, seconds, strict=True)
        clear = [(place, s) for place, s in times if abs(s - 120) > 15]
        agree = [area.contains(point(*place)) == (s < 120) for place, s in clear]
        assert 10 < sum(s < 120 for _place, s in clear) < len(clear) - 10
        assert sum(agree) > 0.97 * len(agree), store
    await router.close()


def times_to(
    server: Valhalla, store: tuple[float, float], places: list[tuple[int, int]]
) -> list[float]:
    """Seconds by car from each place to the store."""

    def located(place: tuple[float, float]) -> dict[str, float]:
        return dict(zip(("lon", "lat"), town.place(*place), strict=True))

    found: list[float] = []
    for start in range(0, len(places), 40):
        sources = [located(place) for place in places[start : start + 40]]
        body = {"sources": sources, "targets": [located(store)], "costing": "auto"}
        with urlopen(f"{server.url}/sources_to_targets", json.dumps(body).encode()) as answer:
            found += [row[0]["time"] for row in json.load(answer)["sources_to_targets"]]
    return found


async def test_an_area_that_ends_with_the_extract_is_doubted(data: Path, environ: dict[str, str]):
    """The road goes on for 12 km, to 130 blocks; the extract says that it ends at 133."""
    embedded = open_router(RoadsSpec(router="valhalla", tiles=str(data / "roads")), environ)
    assert (await embedded.ask(at(100, town.OUT, "drive", 3))).doubts == (CUT_OFF,)
    assert (await embedded.ask(at(50, town.OUT, "drive", 3))).doubts == ()
    await embedded.close()


async def test_a_server_that_tells_nothing_of_itself_is_asked_all_the_same(
    data: Path, tmp_path: Path
):
    with Valhalla(directory=tmp_path / "v", tiles=tiles.opened(data / "roads")[0]) as quiet:
        router = open_router(RoadsSpec(router="valhalla", url=quiet.url), {})
        assert (await router.ask(at(-5, -5))).area.contains(point(-5, -5))
        await router.close()


async def test_a_server_that_is_gone_is_down_and_not_without_a_way(data: Path, tmp_path: Path):
    pauses: list[float] = []

    async def pause(seconds: float) -> None:
        pauses.append(seconds)

    with Valhalla(directory=tmp_path / "v", tiles=tiles.opened(data / "roads")[0]) as leaving:
        router = ValhallaRouter(HttpLine(leaving.url, pause))
        await router.ask(at(-5, -5))
        leaving.kill()
        with pytest.raises(RouterDown, match="does not answer"):
            await router.ask(at(-5, -5))
        assert pauses == [0.5, 2.0, 5.0]
        leaving.start()
        assert (await router.ask(at(-5, -5))).area.contains(point(-5, -5))
        await router.close()
