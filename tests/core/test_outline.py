"""The shop's own outline: who walked in, told by GPS, beside the reach and the beacons."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from geoengine.catalog import load
from geoengine.cli import main
from geoengine.core.book import Book
from geoengine.core.calendar import rfc3339
from geoengine.core.places.regions import advise
from geoengine.state.local import LocalState
from tests.catalog.osm import degrees, rectangle
from tests.catalog.writing import write
from tests.core.roads import DEFINITION, Road, on_every_road, remembered
from tests.core.test_stays import posts
from tests.core.world import LAT, LON, NOON_MS, Walk, spot

# A shop of 40 by 30 metres in a reach of 300, a door with a beacon, and two who have something to
# say: the reach to whoever comes near, the outline to whoever walks in.
YAML = """
stores:
  - id: shop
    name: Shop
    location: {lat: LAT, lon: LON}
    reach: {radius_m: 300}
    footprint: {polygon: FLOOR}
    beacons:
      - {id: a, uuid: f7826da6-4fa2-4e98-8024-bc5b71e0893e, major: 1, minor: 1, place: door}
campaigns:
  - {id: near, on: enter, levers: [log], message: {en: Near}, when_closed: true}
  - {id: within, on: enter, zones: {place: inside}, levers: [log], message: {en: In},
     when_closed: true, priority: 5}
  - {id: stayed, on: dwell, zones: {place: inside}, levers: [log], message: {en: Stayed},
     when_closed: true, priority: 7}
"""
FLOOR = rectangle(-20, -15, 40, 30)
AROUND_THE_CORNER = rectangle(25, -15, 40, 30)  # beside the point where the store is said to be


def yaml(ring: list[tuple[float, float]] = FLOOR) -> str:
    geometry = {"type": "Polygon", "coordinates": [degrees(ring)]}
    there = YAML.replace("LAT", str(LAT)).replace("LON", str(LON))
    return there.replace("FLOOR", json.dumps(geometry))


@pytest.fixture(scope="module")
def book(tmp_path_factory: pytest.TempPathFactory) -> Book:
    return load(write(tmp_path_factory.mktemp("shop"), {"a.yaml": yaml()}))


def told(walk: Walk) -> list[tuple[str, str, float]]:
    """Who came and went, where and when."""
    return [
        (event.type, event.data["zone_id"], (event.at_ms - NOON_MS) / 1000)
        for event in walk.events
        if event.type.split(".")[0] in ("zone", "beacon")
    ]


async def test_coming_near_and_walking_in_are_two_things(book: Book):
    ann = Walk(book)
    await ann.post((0, -900), (60, -200), (120, -35), (190, 2), (370, 3), (420, -120), (480, -900))
    assert told(ann) == [
        ("zone.entered", "shop", 60),
        ("zone.dwelled", "shop", 180),
        ("zone.entered", "shop/inside", 190),
        ("zone.dwelled", "shop/inside", 310),
        ("zone.exited", "shop/inside", 420),
        ("zone.exited", "shop", 480),
    ]


async def test_a_fix_too_coarse_for_the_shop_lets_nobody_in_and_says_so(book: Book):
    ann = Walk(book)
    await ann.post((0, -900, 20), (60, -200, 8), (120, 0, 20), (180, 0, 20))
    assert told(ann)[0] == ("zone.entered", "shop", 60)
    assert not any(zone_id == "shop/inside" for _type, zone_id, _at in told(ann))
    assert "accuracy" in ann.reasons()
    await ann.post((240, 0, 10), (250, 0, 10))
    assert ("zone.entered", "shop/inside", 240) in told(ann)


async def test_standing_at_the_shop_window_is_not_walking_in(book: Book):
    ann = Walk(book)
    await ann.post((0, -900), *((60 + 30 * i, -24 - i % 3, 8) for i in range(40)))
    assert {zone_id for _type, zone_id, _at in told(ann)} == {"shop"}


def fired(walk: Walk) -> list[tuple[str, str]]:
    decisions = [d for outcome in walk.outcomes for d in outcome.decisions]
    return [(d.campaign_id, d.reason if d.outcome == "suppressed" else "fired") for d in decisions]


async def test_one_message_a_visit_though_there_are_two_zones(book: Book):
    ann = Walk(book)
    await ann.post((0, -900), (60, -200), (90, 0))
    assert fired(ann)[0] == ("near", "fired")
    assert [said for said in fired(ann) if said[1] == "fired"] == [("near", "fired")]
    assert fired(ann)[1][0] == "within"
    assert fired(ann)[1][1].startswith("arbitration")


async def test_of_both_at_one_fix_the_higher_priority_speaks(book: Book):
    ann = Walk(book)
    await ann.post((0, -900), (90, 0))
    assert [(e.type, e.data["zone_id"]) for e in ann.events if e.type == "zone.entered"] == [
        ("zone.entered", "shop"),
        ("zone.entered", "shop/inside"),
    ]
    assert [said for said in fired(ann) if said[1] == "fired"] == [("within", "fired")]


def test_replay_tells_of_it_end_to_end(tmp_path: Path):
    write(tmp_path / "config", {"a.yaml": yaml()})
    pings = []
    for seconds, east_m in ((0, -900), (60, -200), (120, 0), (130, 2), (300, 1), (400, -900)):
        lon, lat = spot(east_m)
        fix_time = rfc3339(NOON_MS + seconds * 1000)
        pings.append(
            {"device_id": "ann", "lat": lat, "lon": lon, "accuracy_m": 8, "fix_time": fix_time}
        )
    (tmp_path / "walk.ndjson").write_text("".join(json.dumps(ping) + "\n" for ping in pings))
    words = ["replay", "--config", str(tmp_path / "config"), str(tmp_path / "walk.ndjson")]
    result = CliRunner().invoke(main, words)
    assert result.exit_code == 0, result.output
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    said = [(line["type"].removeprefix("geoengine."), line["data"]["zone_id"]) for line in lines]
    assert said == [
        ("zone.entered", "shop"),
        ("trigger.fired", "shop"),
        ("zone.entered", "shop/inside"),
        ("trigger.suppressed", "shop/inside"),
        ("zone.dwelled", "shop"),
        ("zone.dwelled", "shop/inside"),
        ("trigger.suppressed", "shop/inside"),
        ("zone.exited", "shop"),
        ("zone.exited", "shop/inside"),
        ("visit.closed", "shop"),
        ("visit.closed", "shop/inside"),
    ]


def test_a_phone_is_not_told_to_watch_it(book: Book):
    for east_m in (0.0, 250.0, 90_000.0):
        lon, lat = spot(east_m)
        assert [region.zone_id for region in advise(book, lat, lon).regions] == ["shop"]


async def test_what_a_phones_own_geofencing_says_of_it_is_as_if_unsaid(book: Book):
    ann = Walk(book)
    await ann.post((0, -900))
    await ann.post((60, -35, 10), entered="shop/inside")
    assert told(ann) == [("zone.entered", "shop", 60)]


@pytest.mark.parametrize("ring", [FLOOR, AROUND_THE_CORNER])
async def test_who_is_heard_at_a_beacon_of_the_shop_is_in_its_outline(
    tmp_path: Path, ring: list[tuple[float, float]]
):
    ann = Walk(load(write(tmp_path, {"a.yaml": yaml(ring)})))
    await ann.hear((0, 1, -60), (2, 1, -60), (4, 1, -60))
    assert told(ann) == [
        ("zone.entered", "shop", 4),
        ("beacon.entered", "shop/door", 4),
        ("zone.entered", "shop/inside", 4),
    ]
    await ann.post((10, -200, 60))
    assert len(told(ann)) == 3


async def test_an_outline_that_goes_closes_its_visits_as_a_zone(tmp_path: Path, book: Book):
    ann = Walk(book)
    await ann.post((0, -900), (60, -200), (90, 0))
    without = yaml().replace("footprint:", "app_link: a:b  #")
    after = load(write(tmp_path, {"a.yaml": without.split("campaigns")[0]}))
    ann.book = after.succeeding(book.births(), NOON_MS + 100_000)
    before_count = len(ann.events)
    await ann.run(now_ms=NOON_MS + 100_000)
    await ann.post((120, 0))
    assert [(e.type, e.data["zone_id"]) for e in ann.events[before_count:]] == [
        ("zone.exited", "shop/inside"),
        ("visit.closed", "shop/inside"),
    ]


@on_every_road
def test_nobody_asks_for_the_record_of_who_only_stands_in_the_shop(road: Road, book: Book):
    async def law() -> None:
        state = road.state()
        walk = Walk(book, state=state)
        await walk.post((0, -400), (60, 0), (120, 2), (200, 0))
        before = state.loaded_count
        for minute in range(4, 20):
            await walk.post((60 * minute, minute % 3))
        assert state.loaded_count == before
        assert len((await state.load(["ann"]))["ann"].presences) == 2

    road.run(law())


@on_every_road
@settings(max_examples=20, deadline=None)
@given(posts, st.booleans())
def test_every_road_tells_the_same_of_outlines(
    road: Road, book: Book, story: list, is_virtual: bool
):
    async def lived(state: LocalState) -> Walk:
        walk = Walk(book, state=state, is_virtual=is_virtual)
        at = 0
        for rows, lag, _pause in story:
            placed = []
            for device, seconds, east, accuracy in rows:
                at = max(at + seconds, 2)
                placed.append((device, at, east / 3, accuracy))
            await walk.post(*placed, lag_s=lag)
        return walk

    async def law() -> None:
        mine, theirs = road.state(), DEFINITION.state()
        by_road = await lived(mine)
        with DEFINITION.taken():
            by_definition = await lived(theirs)
        assert by_road.events == by_definition.events
        assert await remembered(mine) == await remembered(theirs)

    road.run(law())
