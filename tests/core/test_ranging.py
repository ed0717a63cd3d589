"""Beacons, as transcripts of (seconds, minor, strength)."""

from geoengine.core.model import Gateway
from geoengine.core.record import Record
from geoengine.state.base import Commit
from geoengine.state.loop import withdraw
from tests.core.world import NOON_MS, UUID, Walk, World, a_store

PLACES = [("shop", "entrance"), ("shop", "shoes")]


def walk(**world: object) -> Walk:
    return Walk(World(places=PLACES, **world).book())  # type: ignore[arg-type]


def places(story: Walk) -> list[tuple[str, str]]:
    return [(e.type, e.data["zone_id"]) for e in story.events if e.type.startswith("beacon")]


async def test_three_sightings_within_ten_seconds_are_an_entry():
    ann = walk()
    await ann.hear((0, 1, -60), (4, 1, -60))
    assert ann.events == []
    await ann.hear((8, 1, -60))
    assert ann.told("beacon.entered") == [("beacon.entered", 8)]


async def test_three_sightings_spread_over_a_minute_are_not():
    ann = walk()
    await ann.hear((0, 1, -60), (20, 1, -60), (40, 1, -60))
    assert ann.events == []


async def test_thirty_seconds_after_the_last_sighting_one_is_out():
    ann = walk()
    await ann.hear((0, 1, -60), (1, 1, -60), (2, 1, -60))
    await ann.tick(31)
    assert ann.told("beacon.exited") == []
    await ann.tick(32)
    assert ann.told("beacon.exited") == [("beacon.exited", 32)]


async def test_a_place_takes_over_only_when_it_is_louder_by_the_margin():
    ann = walk()
    await ann.hear((0, 1, -70), (1, 1, -70), (2, 1, -70))
    await ann.hear(*[(s, m, -70 if m == 1 else -68) for s in range(3, 9) for m in (1, 2)])
    assert places(ann) == [("beacon.entered", "shop/entrance")]
    await ann.hear(*[(s, m, -75 if m == 1 else -60) for s in range(9, 16) for m in (1, 2)])
    assert places(ann) == [
        ("beacon.entered", "shop/entrance"),
        ("beacon.exited", "shop/entrance"),
        ("beacon.entered", "shop/shoes"),
    ]


async def test_a_beacon_lets_into_the_zone_of_its_store():
    ann = walk()
    await ann.hear((0, 1, -60), (1, 1, -60), (2, 1, -60))
    assert [(e.type, e.data["zone_id"]) for e in ann.events] == [
        ("zone.entered", "shop"),
        ("beacon.entered", "shop/entrance"),
    ]


async def test_a_beacon_outranks_gps_for_its_store():
    ann = walk()
    await ann.hear((0, 1, -60), (1, 1, -60), (2, 1, -60))
    await ann.post((5, 300), (10, 300))
    assert ann.told("zone.exited") == []
    await ann.post((60, 300), (70, 300))
    assert ann.told("zone.exited") == [("zone.exited", 60)]


async def test_several_gateways_hearing_one_person_are_one_sighting():
    gateways = [Gateway(id=f"box-{i}", store="shop", place="entrance") for i in (1, 2, 3)]
    ann = walk(gateways=gateways)
    name = f"{UUID}:7:9"
    await ann.open()
    await ann.state.commit(Commit("bind", aliases={name: "ann"}))
    for box in ("box-1", "box-2", "box-3"):
        await ann.hear((0, 9, -60), gateway=box, device=None, major=7)
    assert ann.events == []
    for second in (3, 6):
        await ann.hear((second, 9, -60), gateway="box-1", device=None, major=7)
    assert [e.person_id for e in ann.events] == ["ann", "ann"]


async def test_a_strange_beacon_is_counted_and_ignored():
    ann = walk()
    await ann.hear((0, 99, -60), (1, 99, -60), (2, 99, -60))
    assert ann.events == []
    assert ann.outcomes[-1].counts["unknown_beacon"] == 3
    assert await ann.state.load(["ann"]) == {}


async def test_a_tag_that_belongs_to_nobody_is_dropped_at_the_door():
    ann = walk(gateways=[Gateway(id="box", store="shop", place="entrance")])
    await ann.hear((0, 9, -60), (1, 9, -60), (2, 9, -60), gateway="box", device=None, major=7)
    assert ann.events == []
    assert (await ann.state.stats()).record_count == 0


async def test_sightings_of_those_who_did_not_agree_are_dropped():
    ann = walk()
    ann.assumed = frozenset()
    await ann.hear((0, 1, -60), (1, 1, -60), (2, 1, -60))
    assert ann.events == []
    assert ann.outcomes[-1].counts["no_consent"] == 3
    assert await ann.state.load(["ann"]) == {}


async def test_a_refusal_holds_for_sightings_where_consent_is_assumed():
    ann = walk()
    await ann.open()
    await withdraw(ann.state, ann.book, "ann", "location", {}, NOON_MS)
    await ann.hear((0, 1, -60), (1, 1, -60), (2, 1, -60))
    assert ann.events == []
    assert ann.outcomes[-1].counts["no_consent"] == 3


async def test_faint_strengths_are_forgotten():
    ann = walk()
    await ann.hear((0, 1, -60))
    assert isinstance((await ann.state.load(["ann"]))["ann"], Record)
    await ann.tick(61)
    assert await ann.state.load(["ann"]) == {}


async def test_beacons_of_two_stores_are_two_places():
    ann = Walk(
        World(
            stores=[a_store("shop"), a_store("other", 5000)],
            places=[("shop", "entrance"), ("other", "entrance")],
        ).book()
    )
    await ann.hear((0, 1, -60), (1, 1, -60), (2, 1, -60))
    await ann.hear((10, 2, -50), (11, 2, -50), (12, 2, -50))
    assert places(ann)[-1] == ("beacon.entered", "other/entrance")
