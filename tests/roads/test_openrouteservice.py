"""openrouteservice as its documentation and its issues show it, spoken by a server of ours."""

from __future__ import annotations

from typing import Any

import pytest
from shapely.geometry import Point, box, mapping

from geoengine.core.errors import NoWay, RouterDown
from geoengine.core.model import Mode
from geoengine.roads.base import Question
from geoengine.roads.openrouteservice import NO_TIME, NO_TIMETABLE, OpenRouteService
from tests.roads.doubles import Pauses, Says, saying

QUESTION = Question(8.68, 49.41, "drive", 5.0)
INFO = {"engine": {"version": "9.5.0", "build_date": "2025-10-31T12:33:09Z"}, "timestamp": 1}
AREA = box(8.67, 49.40, 8.69, 49.42)


def answer(area: Any = AREA) -> Says:
    """Its `properties` and `metadata` say more than is needed."""
    feature = {
        "type": "Feature",
        "properties": {"group_index": 0, "value": 300.0, "center": [8.6799, 49.4101]},
        "geometry": mapping(area),
    }
    return Says(200, {"type": "FeatureCollection", "features": [feature], "metadata": INFO})


def refused(status: int, code: int, why: str, **engine: str) -> Says:
    info = {**INFO, "engine": {**INFO["engine"], **engine}}  # type: ignore[dict-item]
    return Says(status, {"error": {"code": code, "message": why}, "info": info})


async def test_it_is_asked_towards_the_store_in_seconds_with_its_key():
    async with saying(answer()) as double:
        router = OpenRouteService(f"{double.url}/ors/", "5b3ce3")
        found = await router.ask(QUESTION)
        await router.close()
    path, headers, body = double.requests[0]
    assert path == "/ors/v2/isochrones/driving-car"
    assert headers["authorization"] == "5b3ce3"
    assert body["locations"] == [[8.68, 49.41]]
    assert body["range"] == [300]
    assert body["location_type"] == "destination"
    assert found.area.contains(Point(8.68, 49.41))
    assert found.doubts == ()


@pytest.mark.parametrize(
    ("mode", "profile"),
    [("walk", "foot-walking"), ("drive", "driving-car"), ("bike", "cycling-regular")],
)
async def test_each_mode_has_a_profile(mode: Mode, profile: str):
    small = box(8.6785, 49.4090, 8.6815, 49.4110)
    async with saying(answer(small)) as double:
        router = OpenRouteService(double.url)
        await router.ask(QUESTION._replace(mode=mode))
        await router.close()
    assert double.requests[0][0] == f"/v2/isochrones/{profile}"
    assert "authorization" not in double.requests[0][1]


async def test_it_knows_no_timetable_and_no_time_of_day_and_that_is_told():
    small = box(8.6785, 49.4090, 8.6815, 49.4110)
    async with saying(answer(small)) as double:
        router = OpenRouteService(double.url)
        found = await router.ask(QUESTION._replace(mode="transit", at="Fr 17:30"))
        await router.close()
    assert found.doubts == (NO_TIMETABLE, NO_TIME)


async def test_a_place_far_from_roads_is_its_500_that_stays():
    pauses = Pauses()
    async with saying(refused(500, 3099, "Unable to build an isochrone map.")) as double:
        router = OpenRouteService(double.url, pause=pauses)
        with pytest.raises(NoWay, match="Unable to build an isochrone map"):
            await router.ask(QUESTION)
        await router.close()
    assert pauses.taken_s == []


async def test_a_refused_range_has_its_reason():
    async with saying(refused(400, 3004, "Parameter 'range=7200.0' is out of range")) as double:
        router = OpenRouteService(double.url)
        with pytest.raises(NoWay, match="out of range"):
            await router.ask(QUESTION)
        await router.close()


async def test_the_quota_of_the_minute_is_waited_for():
    pauses = Pauses()
    over = Says(429, {"error": "Rate Limit Exceeded"}, "31")
    async with saying(over, answer()) as double:
        router = OpenRouteService(double.url, pause=pauses)
        await router.ask(QUESTION)
        await router.close()
    assert pauses.taken_s == [31.0]


@pytest.mark.parametrize(
    ("reply", "told"),
    [
        (Says(403, {"error": "Quota exceeded"}), "quota of the day"),
        (Says(401, {"error": "Authorization field missing"}), "it wants a key"),
        (Says(404, b"<html>"), "expected an address like"),
        (refused(404, 2099, "Endpoint 'isochrones' not supported."), "expected an address like"),
        (Says(500, b"oops"), "it cannot answer now"),
        (Says(429, {"error": "Rate Limit Exceeded"}), "quota of the minute"),
        (Says(200, b"<html>"), "not openrouteservice's"),
    ],
)
async def test_what_the_operator_must_mend_is_told_and_costs_no_store_its_reach(
    reply: Says, told: str
):
    async with saying(reply) as double:
        router = OpenRouteService(double.url, pause=Pauses())
        with pytest.raises(RouterDown, match=told):
            await router.ask(QUESTION)
        await router.close()


async def test_its_refusals_tell_its_version():
    graph = {"graph_date": "2026-03-02T19:01:20Z", "osm_date": "2026-02-16T01:00:01Z"}
    async with saying(refused(400, 3001, "Parameter 'locations' is required.", **graph)) as double:
        router = OpenRouteService(double.url)
        version = await router.version()
        await router.close()
    assert version == "openrouteservice 9.5.0 2026-03-02T19:01:20Z 2026-02-16T01:00:01Z"


async def test_what_has_no_engine_is_down():
    async with saying(Says(403, {"error": "Quota exceeded"})) as double:
        router = OpenRouteService(double.url)
        with pytest.raises(RouterDown, match="quota of the day"):
            await router.version()
        await router.close()
