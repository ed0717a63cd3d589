"""Visits to shops: what proves one, when it is over, and that it is told once."""

from collections.abc import Sequence

import numpy as np
import pytest

from geoengine.core.columns import Fixes
from geoengine.core.model import Store
from geoengine.core.model.measure import DoorSpec, MeasureSpec
from geoengine.core.record import Attended, Fact
from geoengine.core.visiting.attendance import joined
from geoengine.state import amending
from tests.core.world import NOON_MS, Walk, World, a_store, bare, spot

MEASURED = frozenset({"location", "measurement"})
DOOR_M = 40.0
HEARD_DBM = -60.0


def at_the_door(**world: object) -> Walk:
    """A shop whose reach is no larger than its door."""
    return Walk(World(radius_m=DOOR_M, **world).book(), assumed=MEASURED)  # type: ignore[arg-type]


def in_the_shop(*places: str, assumed: frozenset[str] = MEASURED) -> Walk:
    """A shop with beacon places in a reach of 100 m."""
    return Walk(World(places=[("shop", place) for place in places]).book(), assumed=assumed)


def visits(walk: Walk) -> list[Fact]:
    return [fact for outcome in walk.outcomes for fact in outcome.facts]


def begun_and_lasted(facts: Sequence[Fact]) -> list[tuple[float, float]]:
    return [((fact.at_ms - NOON_MS) / 1000, fact.data["duration_s"]) for fact in facts]


def every(step_s: int, from_s: int, until_s: int, east_m: float) -> list[tuple[float, float]]:
    return [(s, east_m) for s in range(from_s, until_s + 1, step_s)]


def heard(minor: int, from_s: int, until_s: int) -> list[tuple[float, int, float]]:
    return [(s, minor, HEARD_DBM) for s in range(from_s, until_s + 1, 3)]


async def test_who_stays_at_the_door_has_visited():
    ann = at_the_door()
    await ann.post((0, 2000), *every(30, 60, 360, 0), (420, 2000))
    (visit,) = visits(ann)
    assert (visit.kind, visit.person_id, visit.store_id) == ("visit", "ann", "shop")
    assert visit.data == {
        "by": "door", "confidence": 0.6, "duration_s": 360.0, "initial": False, "path": []
    }  # fmt: skip
    assert begun_and_lasted(visits(ann)) == [(60, 360)]


@pytest.mark.parametrize("speed_mps", [0.8, 1.3, 5.0])
async def test_who_passes_the_door_has_not_visited(speed_mps: float):
    ann = at_the_door()
    walk_s = range(0, round(400 / speed_mps), 5)
    await ann.post(*[(s, s * speed_mps - 200) for s in walk_s], (walk_s[-1] + 60, 2000))
    assert len(ann.told("zone.entered")) == 1
    assert visits(ann) == []


async def test_a_whole_reach_proves_nothing():
    ann = Walk(World(radius_m=300).book(), assumed=MEASURED)
    await ann.post((0, 2000), *every(60, 60, 3600, 0), (3660, 2000))
    assert len(ann.told("zone.exited")) == 1
    assert visits(ann) == []


async def test_how_long_and_how_near_is_the_operators_to_say():
    door = DoorSpec(radius_m=300, stay="10m", confidence=0.4)
    far = Walk(bare(World(radius_m=300).book(), measure=MeasureSpec(door=door)), assumed=MEASURED)
    await far.post((0, 2000), *every(60, 60, 540, 0), (600, 2000))
    assert visits(far) == []
    await far.post(*every(60, 3660, 4500, 0), (4560, 2000))
    assert [visit.data["confidence"] for visit in visits(far)] == [0.4]


async def test_a_walk_through_the_places_of_a_shop_is_one_visit():
    ann = in_the_shop("door", "shoes")
    await ann.post((0, 2000), (60, 0))
    await ann.hear(*heard(1, 60, 120))
    await ann.hear(*heard(2, 160, 280))
    await ann.hear(*heard(1, 300, 330))
    assert visits(ann) == []
    await ann.post((420, 2000))
    (visit,) = visits(ann)
    assert (visit.data["by"], visit.data["confidence"]) == ("beacon", 0.95)
    assert [place for place, _s in visit.data["path"]] == ["door", "shoes", "door"]
    assert begun_and_lasted([visit]) == [(66, 264)]


async def test_who_comes_back_later_has_visited_twice():
    ann = in_the_shop("door")
    await ann.post((0, 2000), *every(600, 60, 7260, 20))
    for begin_s in (60, 3660):
        await ann.hear(*heard(1, begin_s, begin_s + 90))
    await ann.post((7320, 2000))
    assert begun_and_lasted(visits(ann)) == [(66, 84), (3666, 84)]


async def test_a_visit_ends_by_silence_too():
    ann = in_the_shop("door")
    await ann.hear(*heard(1, 60, 120))
    await ann.tick(4000)
    assert begun_and_lasted(visits(ann)) == [(66, 54)]


async def test_two_devices_of_one_person_are_one_visit():
    ann = in_the_shop("door", "shoes")
    await ann.open()
    for device in ("phone", "watch"):
        await amending.identify(ann.state, ann.book, device, "ann", NOON_MS)
    await ann.agree("ann", "location")
    await ann.hear(*heard(1, 60, 120), device="phone")
    await ann.hear(*heard(2, 90, 180), device="watch")
    await ann.tick(4000)
    assert [visit.person_id for visit in visits(ann)] == ["ann"]


async def test_a_late_fix_moves_the_beginning_of_what_is_told():
    ann = at_the_door()
    await ann.post((0, 2000), (100, 300))
    await ann.post(*every(60, 200, 500, 0))
    await ann.post((160, 0))
    await ann.post((560, 2000))
    assert begun_and_lasted(visits(ann)) == [(160, 400)]


@pytest.mark.parametrize(
    ("agreed", "spec", "counted"),
    [
        (("location",), MeasureSpec(), 0),
        (("location", "measurement"), MeasureSpec(), 1),
        (("location",), MeasureSpec(consent="location"), 1),
        (("measurement",), MeasureSpec(consent="location"), 0),
    ],
)
async def test_nobody_is_counted_without_consent(
    agreed: tuple[str, ...], spec: MeasureSpec, counted: int
):
    ann = Walk(bare(World(radius_m=DOOR_M).book(), measure=spec), assumed=frozenset())
    await ann.agree("ann", *agreed)
    await ann.post((0, 2000), *every(30, 60, 360, 0), (420, 2000))
    assert len(visits(ann)) == counted


async def test_a_faked_location_is_no_visit():
    ann = at_the_door()
    await ann.open()
    seconds = [0, *range(60, 361, 30), 420]
    places = [spot(2000), *[spot(0)] * 11, spot(2000)]
    fixes = Fixes.of(
        ["ann"] * len(seconds),
        np.array([lon for lon, _ in places]),
        np.array([lat for _, lat in places]),
        np.array([NOON_MS + s * 1000 for s in seconds]),
        accuracy_m=np.full(len(seconds), 10.0),
        is_mocked=np.ones(len(seconds), bool),
    )
    await ann.run(fixes=fixes, now_ms=NOON_MS + 420_000)
    assert len(ann.told("zone.exited")) == 1
    assert visits(ann) == []


async def test_the_batch_boundary_changes_no_visit():
    rows = [(0, 2000), *every(30, 60, 360, 0), (420, 2000), *every(30, 4000, 4400, 5), (4500, 2000)]
    whole, cut = at_the_door(), at_the_door()
    await whole.post(*rows)
    for row in rows:
        await cut.post(row)
    assert visits(whole) == visits(cut) != []


async def test_visits_are_kept_apart_by_store():
    shops: list[Store] = [a_store("east", 500), a_store("west", -500)]
    ann = Walk(World(stores=shops, radius_m=DOOR_M).book(), assumed=MEASURED)
    await ann.post((0, 2000), *every(30, 60, 360, 500), *every(30, 660, 960, -500), (1020, 2000))
    assert [visit.store_id for visit in visits(ann)] == ["east", "west"]
    assert len({visit.id for visit in visits(ann)}) == 2


async def test_withdrawing_location_forgets_what_was_going_on():
    ann = in_the_shop("door")
    await ann.agree("ann", "location", "measurement")
    await ann.hear(*heard(1, 60, 120))
    await ann.tick(200)
    await amending.withdraw(ann.state, ann.book, "ann", "location", {}, NOON_MS + 210_000)
    record = (await ann.state.load(["ann"]))["ann"]
    assert record.attended == {}


async def test_a_visit_that_two_records_told_of_is_one_when_they_are_one_persons():
    ann = in_the_shop("door", "shoes")
    await ann.hear(*heard(1, 60, 120), device="phone")
    await ann.hear(*heard(2, 90, 180), device="watch")
    await ann.tick(250)
    for device in ("phone", "watch"):
        await amending.identify(ann.state, ann.book, device, "ann", NOON_MS + 260_000)
    await ann.tick(4000)
    (visit,) = visits(ann)
    assert (visit.person_id, visit.data["duration_s"]) == ("ann", 114.0)
    assert [place for place, _s in visit.data["path"]] == ["door", "shoes"]


def test_what_is_told_again_adds_nothing():
    one = Attended(10, 20, "door", True, [("a", 10, 20)])
    other = Attended(15, 40, "beacon", False, [("b", 15, 40)])
    both = joined(one, other)
    assert both == Attended(10, 40, "beacon", True, [("a", 10, 20), ("b", 15, 40)])
    assert joined(both, other) == joined(both, one) == joined(other, one) == both
