"""Beacons, as transcripts of (seconds, minor, strength)."""

import random

import pytest

from geoengine.core.book import Book
from geoengine.core.model import Gateway
from geoengine.core.places.policy import Policy
from geoengine.core.ranging import Sighting, loudness_dbm, observe_sighting
from geoengine.core.record import Record, Transition
from geoengine.core.visiting.deadlines import fall_due, next_deadline
from geoengine.core.visiting.visits import When
from geoengine.state.amending import withdraw
from geoengine.state.base import Commit
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


def fluctuating(seed: int, mean_dbm: float, seconds: int, *, sd_db: float = 6.5) -> list[float]:
    """Strengths a second, as restless as real beacons': see benchmarks/results/ranging.md."""
    rng = random.Random(seed)
    return [mean_dbm + rng.gauss(0, sd_db) for _ in range(seconds)]


def entered(book: Book, *heard_dbm: list[float]) -> list[str]:
    """The places somebody enters who hears each of them at these strengths, a second apart."""
    record, told = Record("ann"), list[Transition]()
    for second, strengths in enumerate(zip(*heard_dbm, strict=True)):
        at_ms = NOON_MS + second * 1_000
        while (due := next_deadline(record, book)) is not None and due[0] < at_ms:
            fallen = fall_due(record, due, book, When(due[0], due[0]))
            told += [fallen] if fallen is not None else []
        for place, dbm in enumerate(strengths, len(book.stores)):
            told += observe_sighting(record, Sighting("ann", place, dbm, at_ms, at_ms), book)
    return [one.zone_id for one in told if one.kind == "enter" and one.is_beacon]


@pytest.mark.parametrize("seed", range(5))
def test_an_hour_half_way_between_two_places_is_one_entry(seed: int) -> None:
    a, b = fluctuating(seed, -75, 3_600), fluctuating(99 + seed, -75, 3_600)
    assert len(entered(World(places=PLACES).book(), a, b)) == 1


@pytest.mark.parametrize("off_db", [2.0, 0.0, -1.5, -3.0, -4.5, -6.0, -7.5, -9.0])
@pytest.mark.parametrize("seed", range(3))
def test_an_hour_at_the_edge_of_what_counts_as_near_is_at_most_one_entry(
    off_db: float, seed: int
) -> None:
    world = World(places=PLACES[:1], policy=Policy(beacon_near_dbm=-75.0))
    assert len(entered(world.book(), fluctuating(seed, -75 + off_db, 3_600))) <= 1


async def test_who_walks_over_to_another_place_is_there_within_a_minute() -> None:
    for seed in range(5):
        ann = walk()
        near, far = fluctuating(seed, -62, 120), fluctuating(50 + seed, -80, 120)
        for second in range(120):
            here, there = (1, 2) if second < 60 else (2, 1)
            await ann.hear((second, here, near[second]), (second, there, far[second]))
        assert [place for _, place in places(ann)] == ["shop/entrance"] * 2 + ["shop/shoes"]
        ((_, left_s),) = ann.told("beacon.exited")
        assert 60 < left_s <= 120


async def test_a_box_that_reports_every_ten_seconds_lets_in_with_its_third_report() -> None:
    ann = walk()
    await ann.hear((0, 1, -60), (10, 1, -60))
    assert places(ann) == []
    await ann.hear((20, 1, -60))
    assert places(ann) == [("beacon.entered", "shop/entrance")]
    await ann.hear(*((s, 1, -60) for s in range(30, 120, 10)))
    assert len(places(ann)) == 1


@pytest.mark.parametrize(
    ("rssi_dbm", "tx_power_dbm", "loudness"),
    [
        (-70.0, -59.0, -70.0),
        (-70.0, -75.0, -54.0),
        (-70.0, float("nan"), -70.0),
        (-70.0, 0.0, -70.0),
        (-70.0, 36.0, -70.0),
        (-70.0, -127.0, -70.0),
    ],
)
def test_strengths_are_compared_at_one_power_and_an_absurd_power_is_none(
    rssi_dbm: float, tx_power_dbm: float, loudness: float
) -> None:
    assert loudness_dbm(rssi_dbm, tx_power_dbm) == loudness
