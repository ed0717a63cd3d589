"""What a Valhalla server refuses, and when it is merely away; the words are those of 3.9.1."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from shapely.geometry import Point, box, mapping

from geoengine.core.errors import NoWay, RoadsError, RouterDown
from geoengine.roads import http
from geoengine.roads.base import Question
from geoengine.roads.isochrone import CUT_OFF
from geoengine.roads.valhalla_http import HttpLine
from geoengine.roads.valhalla_router import (
    NO_FURTHER,
    NO_TIMETABLE,
    OUTWARDS,
    Network,
    ValhallaRouter,
)
from tests.roads.doubles import Pauses, Says, saying

QUESTION = Question(2.0, 48.0, "walk", 5.0)
MADE_S = 1_767_225_600  # 2026-01-01, a Thursday


def status(**more: Any) -> Says:
    return Says(200, {"version": "3.9.1", "tileset_last_modified": MADE_S, **more})


def drawn(half_deg: float, snapped: bool = True) -> Says:
    """A square around the place, as Valhalla says it."""
    area = mapping(box(2.0 - half_deg, 48.0 - half_deg, 2.0 + half_deg, 48.0 + half_deg))
    places = {"type": "MultiPoint", "coordinates": [[2.0, 48.0]] if snapped else []}
    features = [
        {"type": "Feature", "geometry": area, "properties": {"contour": 5.0, "metric": "time"}},
        {"type": "Feature", "geometry": places, "properties": {"type": "snapped"}},
        {"type": "Feature", "geometry": mapping(Point(2, 48)), "properties": {"type": "input"}},
    ]
    return Says(200, {"type": "FeatureCollection", "features": features})


def refused(http_status: int, code: int, why: str) -> Says:
    return Says(http_status, {"error_code": code, "error": why, "status_code": http_status})


BUSY = Says(503, b"busy")


async def test_what_may_pass_is_waited_for():
    pauses = Pauses()
    async with saying(status(), BUSY, Says(502, b"<html>"), drawn(0.002)) as double:
        router = ValhallaRouter(HttpLine(double.url, pauses))
        assert (await router.ask(QUESTION)).area.contains(Point(2, 48))
        assert pauses.taken_s == [0.5, 2.0]
        await router.close()


async def test_a_server_that_stays_busy_is_down_and_says_what_it_said():
    pauses = Pauses()
    async with saying(status(), BUSY) as double:
        router = ValhallaRouter(HttpLine(double.url, pauses))
        with pytest.raises(RouterDown, match="answered 503: busy"):
            await router.ask(QUESTION)
        assert pauses.taken_s == list(http.AGAIN_S)
        await router.close()


async def test_a_server_says_how_long_to_stay_away():
    pauses = Pauses()
    async with saying(status(), Says(429, b"slower", "20"), drawn(0.002)) as double:
        router = ValhallaRouter(HttpLine(double.url, pauses))
        await router.ask(QUESTION)
        assert pauses.taken_s == [20.0]
        await router.close()


async def test_a_server_that_wants_to_be_left_alone_for_hours_is_down_at_once():
    pauses = Pauses()
    async with saying(status(), Says(429, b"tomorrow", "36000")) as double:
        router = ValhallaRouter(HttpLine(double.url, pauses))
        with pytest.raises(RouterDown, match="429: tomorrow"):
            await router.ask(QUESTION)
        assert pauses.taken_s == []
        await router.close()


@pytest.mark.parametrize(
    "refusal",
    [
        refused(400, 171, "No suitable edges near location"),
        refused(400, 442, "No path could be found for input"),
        refused(400, 151, "Exceeded max time: 120"),
        refused(501, 142, "Arrive by not implemented for isochrones"),
    ],
)
async def test_a_refusal_of_the_place_is_final_and_gives_its_reason(refusal: Says):
    pauses = Pauses()
    async with saying(status(), refusal) as double:
        router = ValhallaRouter(HttpLine(double.url, pauses))
        with pytest.raises(NoWay, match=refusal.body["error"]):
            await router.ask(QUESTION)
        assert pauses.taken_s == []
        await router.close()


@pytest.mark.parametrize(
    "refusal",
    [
        refused(404, 106, "Try any of: '/locate' '/route' "),
        refused(400, 199, "Unknown"),
        refused(400, 100, "Failed to parse json request"),
        Says(404, b"<html>no such page</html>"),
        Says(302, b""),
        Says(200, b"<html>hello</html>"),
        Says(200, {"features": "none"}),
        Says(200, {"features": [{"geometry": {"type": "Blob"}, "properties": {"contour": 5}}]}),
    ],
)
async def test_a_wrong_address_costs_no_store_its_reach(refusal: Says):
    """It would be taken for stores without a way, and be kept as such."""
    async with saying(status(), refusal) as double:
        router = ValhallaRouter(HttpLine(double.url, Pauses()))
        with pytest.raises(RouterDown):
            await router.ask(QUESTION)
        await router.close()


async def test_what_is_no_valhalla_at_all_is_down():
    async with saying(Says(200, b"<html>hello</html>")) as double:
        router = ValhallaRouter(HttpLine(double.url, Pauses()))
        with pytest.raises(RouterDown, match="its status is not Valhalla's"):
            await router.version()
        await router.close()


async def test_an_endless_answer_is_cut_off(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(http, "ANSWER_MAX_BYTES", 1000)
    async with saying(status(), Says(200, b"x" * 5000)) as double:
        router = ValhallaRouter(HttpLine(double.url, Pauses()))
        with pytest.raises(RouterDown, match="larger than"):
            await router.ask(QUESTION)
        await router.close()


async def test_a_speck_around_a_place_on_no_road_is_no_answer():
    async with saying(status(), drawn(0.0008, snapped=False)) as double:
        router = ValhallaRouter(HttpLine(double.url, Pauses()))
        with pytest.raises(NoWay, match="no road within 350 m"):
            await router.ask(QUESTION)
        await router.close()


async def test_by_car_it_is_asked_towards_the_store_and_for_a_day_of_the_week():
    async with saying(status(), drawn(0.01)) as double:
        router = ValhallaRouter(HttpLine(double.url, Pauses()))
        await router.ask(Question(2.0, 48.0, "drive", 5.0, "Fr 17:30"))
        await router.close()
    path, _headers, body = double.requests[-1]
    assert path == "/isochrone"
    assert body["costing"] == "auto"
    assert body["reverse"] is True
    assert body["contours"] == [{"time": 5.0}]
    assert body["date_time"] == {"type": 1, "value": "2026-01-02T17:30"}


async def test_on_foot_it_is_asked_at_the_pace_of_the_circle_and_without_a_day():
    async with saying(status(), drawn(0.002)) as double:
        router = ValhallaRouter(HttpLine(double.url, Pauses()))
        await router.ask(QUESTION)
        await router.close()
    body = double.requests[-1][2]
    assert body["costing_options"]["pedestrian"] == {"walking_speed": 4.68}
    assert "date_time" not in body


async def test_other_roads_are_another_version():
    async with saying(status()) as double:
        router = ValhallaRouter(HttpLine(double.url, Pauses()))
        assert await router.version() == "valhalla 3.9.1, roads of 2026-01-01 00:00:00"
        ours = ValhallaRouter(HttpLine(double.url, Pauses()), Network(version="0a1b2c"))
        assert await ours.version() == "valhalla 3.9.1, roads 0a1b2c"
        await router.close()
        await ours.close()


async def test_where_the_tiles_end_an_area_is_doubted():
    outline = {"geometry": mapping(box(1.9, 47.9, 2.0025, 48.1)), "type": "Feature"}
    async with saying(status(bbox={"features": [outline]}), drawn(0.002)) as double:
        router = ValhallaRouter(HttpLine(double.url, Pauses()))
        assert (await router.ask(QUESTION)).doubts == (CUT_OFF,)
        await router.close()


@pytest.mark.parametrize(
    ("ridden_deg", "doubt", "is_larger"), [(0.00201, NO_FURTHER, False), (0.004, OUTWARDS, True)]
)
async def test_buses_count_where_one_gets_further_with_them(
    ridden_deg: float, doubt: str, is_larger: bool
):
    replies = (status(has_transit_tiles=True), drawn(0.002), drawn(ridden_deg))
    async with saying(*replies) as double:
        router = ValhallaRouter(HttpLine(double.url, Pauses()), Network(since=date(2023, 6, 5)))
        found = await router.ask(Question(2.0, 48.0, "transit", 5.0, "We 08:30"))
        await router.close()
    assert found.doubts == (doubt,)
    assert found.area.contains(Point(2.003, 48.0)) == is_larger
    assert double.requests[-1][2]["costing"] == "multimodal"
    assert double.requests[-1][2]["date_time"] == {"type": 1, "value": "2023-06-07T08:30"}


async def test_without_a_timetable_nobody_is_asked_for_buses():
    async with saying(status(has_transit_tiles=False), drawn(0.002)) as double:
        router = ValhallaRouter(HttpLine(double.url, Pauses()))
        found = await router.ask(Question(2.0, 48.0, "transit", 5.0))
        await router.close()
    assert found.doubts == (NO_TIMETABLE,)
    assert [path for path, _headers, _body in double.requests] == ["/status", "/isochrone"]


@pytest.mark.parametrize("url", ["valhalla:8002", "ftp://x", "http://", "http://x/?key=1"])
def test_an_address_that_is_none_is_told(url: str):
    with pytest.raises(RoadsError, match="expected http"):
        HttpLine(url)
