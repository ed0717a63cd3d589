"""Presence, as transcripts: who stands where when, and what is told."""

import math

import pytest

from geoengine.core.look.weigh import Sign, weigh, z_inside
from geoengine.core.places.policy import Policy
from geoengine.core.presence import NEXT, Stand
from geoengine.state.amending import identify, withdraw
from geoengine.state.base import Commit
from geoengine.state.local import LocalState
from tests.core.world import NOON_MS, Walk, World, a_store

FAR = (0, 2000)  # a device first appears well outside


def walk(**world: object) -> Walk:
    return Walk(World(**world).book())  # type: ignore[arg-type]


async def test_walking_in_and_out_tells_enter_dwell_and_exit():
    ann = walk()
    await ann.post(FAR, (60, 20), (100, 10), (160, 5), (200, 0), (300, 400))
    assert ann.told() == [("zone.entered", 60), ("zone.dwelled", 180), ("zone.exited", 300)]
    assert ann.events[-1].type == "visit.closed"
    assert ann.events[-1].data["duration_s"] == 240
    assert ann.events[-1].data["reason"] == "left"


async def test_one_likely_fix_is_not_enough_and_two_running_are():
    ann = walk()
    await ann.post(FAR, (60, 92, 15), (75, 300))
    assert ann.told() == []
    await ann.post((120, 92, 15), (135, 92, 15))
    assert ann.told() == [("zone.entered", 135)]


async def test_an_edge_fix_between_two_likely_ones_starts_the_count_anew():
    ann = walk()
    await ann.post(FAR, (60, 92, 15), (75, 105, 15), (90, 92, 15))
    assert ann.told() == []


async def test_the_moat_keeps_in_whoever_steps_just_outside():
    ann = walk()
    await ann.post(FAR, (60, 0), (75, 110), (90, 120), (105, 110))
    assert ann.told("zone.exited") == []


async def test_two_likely_fixes_beyond_the_moat_throw_out():
    ann = walk()
    await ann.post(FAR, (60, 0), (75, 142), (90, 142))
    assert ann.told("zone.exited") == [("zone.exited", 90)]


async def test_standing_on_the_edge_for_an_hour_enters_at_most_once():
    ann = walk()
    wobble = [
        (15 * i, 100 + 25 * math.sin(i * 2.4) + 10 * math.cos(i * 1.1)) for i in range(1, 240)
    ]
    await ann.post(FAR, *[(s + 60, e, 20) for s, e in wobble])
    assert len(ann.told("zone.entered")) <= 1
    assert len(ann.told("zone.exited")) == 0


async def test_a_fix_too_coarse_for_the_zone_lets_nobody_in():
    ann = walk()
    await ann.post(FAR, (60, 0, 200), (75, 0, 200), (90, 0, 200))
    assert ann.told() == []
    assert sum(outcome.counts["coarse"] for outcome in ann.outcomes) == 3


async def test_a_cold_start_inside_a_zone_is_initial():
    ann = walk()
    await ann.post((0, 0, 669), (5, 0, 35))
    (entered, _) = ann.events[0], None
    assert entered.type == "zone.entered"
    assert entered.data["initial"] is True


async def test_a_phone_that_never_gets_better_is_taken_at_its_word():
    ann = walk(stores=[a_store()], radius_m=1000)
    await ann.post(*[(10 * i, 5000, 300) for i in range(6)], (200, 0, 300))
    assert [e.data["initial"] for e in ann.events] == [False]


async def test_a_device_that_first_appears_inside_is_initial():
    ann = walk()
    await ann.post((0, 0))
    assert [e.data["initial"] for e in ann.events] == [True]


async def test_a_zone_that_first_appears_around_somebody_is_initial():
    ann = walk()
    await ann.post((0, 500))
    ann.book = World(radius_m=800).book().succeeding(ann.book.births(), NOON_MS + 30_000)
    await ann.post((60, 500))
    assert [e.data["initial"] for e in ann.events] == [True]


async def test_a_dwell_falls_due_without_a_new_fix():
    ann = walk()
    await ann.post(FAR, (60, 0))
    await ann.tick(179)
    assert ann.told("zone.dwelled") == []
    await ann.tick(180)
    assert ann.told("zone.dwelled") == [("zone.dwelled", 180)]


async def test_a_dwell_waits_for_a_sign_of_life_when_the_last_one_is_old():
    ann = walk(policy=Policy(dwell_s=600, fresh_s=300))
    await ann.post(FAR, (60, 0))
    await ann.tick(700)
    assert ann.told("zone.dwelled") == []
    await ann.post((900, 0))
    assert ann.told("zone.dwelled") == [("zone.dwelled", 900)]


async def test_a_dwell_is_told_once_a_visit():
    ann = walk()
    await ann.post(FAR, *[(60 + 30 * i, 0) for i in range(20)])
    await ann.tick(700)
    assert len(ann.told("zone.dwelled")) == 1


async def test_leaving_at_the_very_moment_of_the_dwell_is_no_dwell():
    ann = walk()
    await ann.post(FAR, (60, 0), (180, 1000))
    assert ann.told() == [("zone.entered", 60), ("zone.exited", 180)]


async def test_silence_closes_the_visit_and_its_length_is_what_was_heard():
    ann = walk()
    await ann.post(FAR, (60, 0), (360, 0))
    await ann.tick(360 + 1799)
    assert ann.told("zone.exited") == []
    await ann.tick(360 + 1800)
    assert ann.told("zone.exited") == [("zone.exited", 2160)]
    closed = ann.events[-1]
    assert (closed.data["reason"], closed.data["duration_s"]) == ("silence", 300)


async def test_a_device_that_comes_and_falls_silent_within_one_batch_is_remembered_once():
    noted: list[str] = []

    class Watched(LocalState):
        async def commit(self, commit: Commit) -> None:
            noted.extend(commit.last.device_ids if commit.last else ())
            await super().commit(commit)

    ann = Walk(World().book(), state=Watched(None))
    await ann.post(("ann", 0, 2000), ("ann", 60, 0), ("bob", 5000, 9000))
    assert sorted(noted) == ["ann", "bob"]
    assert (await ann.state.stats()).device_count == 2
    await ann.post(("ann", 600, 0))
    assert ann.told("zone.entered") == [("zone.entered", 60)]


async def test_what_arrives_from_before_a_closing_by_silence_opens_nothing():
    ann = walk()
    await ann.post(FAR, (60, 0))
    await ann.tick(5000)
    before = list(ann.told())
    await ann.post((600, 0), (900, 2000))
    assert ann.told() == before


async def test_a_trace_that_arrives_late_in_pieces_is_not_silent_meanwhile():
    day_s = 86_400
    ann = walk()
    ann.is_virtual = False
    await ann.post(FAR, (60, 0), lag_s=day_s)
    await ann.tick(day_s + 70)
    await ann.post((120, 0), (200, 0), lag_s=day_s)
    assert ann.told() == [("zone.entered", 60), ("zone.dwelled", 180)]
    await ann.tick(day_s + 200 + 1800)
    assert ann.told("zone.exited") == [("zone.exited", 2000)]


async def test_a_late_fix_never_makes_a_transition():
    ann = walk()
    await ann.post(FAR, (300, 1500))
    await ann.post((200, 0), (250, 0))
    assert ann.told() == []
    assert ann.outcomes[-1].counts["late"] == 2


async def test_a_late_fix_moves_the_beginning_of_its_visit_back():
    ann = walk()
    await ann.post(FAR, (300, 0))
    await ann.post((200, 0))
    await ann.post((600, 2000))
    assert ann.told() == [("zone.entered", 300), ("zone.dwelled", 420), ("zone.exited", 600)]
    assert ann.events[-1].data["duration_s"] == 400


async def test_posting_everything_twice_tells_nothing_more():
    trace = [FAR, (60, 0), (100, 10), (160, 5), (300, 400), (400, 0), (900, 900)]
    once, twice = walk(), walk()
    await once.post(*trace)
    await twice.post(*trace)
    await twice.post(*trace)
    assert twice.told() == once.told()


async def test_a_post_in_any_order_is_put_in_order():
    trace = [FAR, (60, 0), (100, 10), (300, 400)]
    forward, backward = walk(), walk()
    await forward.post(*trace)
    await backward.post(*reversed(trace))
    assert backward.events == forward.events


async def test_a_jump_is_held_until_the_next_fix_agrees():
    ann = walk()
    await ann.post((0, 9000), (10, 0), (20, 9100), (30, 9200))
    assert ann.told() == []
    assert ann.outcomes[-1].counts["suspect"] == 1
    await ann.post((40, 0))
    assert ann.told() == []
    await ann.post((50, 5))
    assert ann.told() == [("zone.entered", 50)]


async def test_the_third_impossible_fix_running_begins_a_new_track_and_enters_nothing():
    ann = walk()
    await ann.post((0, 9000), (10, 40_000), (20, -40_000), (30, 0))
    assert ann.outcomes[-1].counts["suspect"] == 3
    assert ann.told() == []
    await ann.post((40, 5))
    assert [e.data["initial"] for e in ann.events] == [True]


async def test_a_suspect_posted_again_does_not_confirm_itself():
    ann = walk()
    await ann.post((0, 9000), (10, 0))
    await ann.post((10, 0))
    await ann.post((10, 0))
    assert ann.told() == []


async def test_driving_through_between_two_fixes_is_crossed_and_never_a_dwell():
    ann = walk()
    await ann.post((0, 1000), (60, -1000))
    assert ann.told() == [("zone.crossed", 60)]
    assert ann.events[0].data["duration_s"] == pytest.approx(6.0, abs=0.1)


async def test_fixes_too_far_apart_in_time_cross_nothing():
    ann = walk()
    await ann.post((0, 1000), (301, -1000))
    assert ann.told() == []


async def test_a_cut_through_a_corner_is_too_short_to_be_a_crossing():
    ann = walk()
    await ann.post((0, 1000, 10, 98), (60, -1000, 10, 98))
    assert ann.told() == []


async def test_overlapping_zones_each_have_their_own_presence():
    ann = walk(stores=[a_store("one"), a_store("two", 100)])
    await ann.post(FAR, (60, 50), (200, -80), (400, -1000))
    told = [(e.type, e.data["zone_id"]) for e in ann.events if e.type.startswith("zone")]
    assert told == [
        ("zone.entered", "one"),
        ("zone.entered", "two"),
        ("zone.dwelled", "one"),
        ("zone.dwelled", "two"),
        ("zone.exited", "two"),
        ("zone.exited", "one"),
    ]


async def test_exits_are_told_before_entries_of_the_same_instant():
    ann = walk(stores=[a_store("two"), a_store("one", 600)])
    await ann.post(FAR, (60, 600), (90, 0))
    assert [(e.type, e.data["zone_id"]) for e in ann.events[1:]] == [
        ("zone.exited", "one"),
        ("visit.closed", "one"),
        ("zone.entered", "two"),
    ]


async def test_the_tablet_at_home_does_not_end_the_visit_of_the_phone():
    ann = walk()
    await ann.post(("phone", 0, 2000), ("tablet", 0, 3000))
    for device in ("phone", "tablet"):
        await identify(ann.state, ann.book, device, "ann", NOON_MS)
    await ann.post(("phone", 60, 0), ("tablet", 70, 3000), ("phone", 80, 0))
    assert ann.told() == [("zone.entered", 60)]
    assert ann.events[0].person_id == "ann"


async def test_a_zone_that_changes_shape_closes_its_visits():
    ann = walk()
    await ann.post(FAR, (60, 0))
    ann.book = World(radius_m=150).book().succeeding(ann.book.births(), NOON_MS + 90_000)
    await ann.run(now_ms=NOON_MS + 90_000)
    await ann.post((120, 0))
    told = [(e.type, e.data.get("reason"), e.data.get("initial")) for e in ann.events]
    assert told[1:] == [
        ("zone.exited", "zone_changed", None),
        ("visit.closed", "zone_changed", None),
        ("zone.entered", None, True),
    ]


async def test_people_who_did_not_agree_are_dropped_at_the_door():
    ann = walk()
    ann.assumed = frozenset()
    await ann.post(FAR, (60, 0), (90, 0))
    assert ann.told() == []
    assert ann.outcomes[-1].counts["no_consent"] == 3
    assert (await ann.state.stats()).device_count == 0


async def test_a_refusal_holds_where_consent_is_assumed():
    ann = walk()
    await ann.post(FAR, (60, 0))
    await withdraw(ann.state, ann.book, "ann", "location", {}, NOON_MS + 61_000)
    await ann.post((90, 0), (120, 0))
    assert ann.outcomes[-1].counts["no_consent"] == 2
    assert ann.outcomes[-1].events == []


def test_the_edge_neither_lets_in_nor_throws_out():
    assert NEXT[Stand.OUTSIDE][Sign.EDGE] is Stand.OUTSIDE
    assert NEXT[Stand.INSIDE][Sign.EDGE] is Stand.INSIDE


def test_the_probability_of_being_inside_agrees_with_a_simulation():
    import random
    from statistics import NormalDist

    rng = random.Random(7)
    for radius, distance, sigma in ((100, 60, 20), (100, 110, 30), (400, 390, 25), (60, 20, 30)):
        inside = sum(
            math.hypot(distance + rng.gauss(0, sigma), rng.gauss(0, sigma)) <= radius
            for _ in range(20_000)
        )
        z = z_inside(distance - radius, radius, sigma, True)
        assert NormalDist().cdf(z) == pytest.approx(inside / 20_000, abs=0.03)


def test_the_larger_of_metres_and_accuracy_makes_the_moat():
    def sign(accuracy_m: float, edge_m: float) -> Sign:
        return weigh(edge_m, 100, accuracy_m, Policy(), is_circle=True, is_inside=True)

    assert sign(5, 45) is Sign.SURE_OUT
    assert sign(50, 45) is Sign.EDGE
