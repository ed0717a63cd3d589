"""The rounds that a crowd's phones go."""

from __future__ import annotations

import math
from itertools import pairwise
from random import Random

import pytest

from benchmarks.crowd.walks import DRIVE_MPS, SHOP_STOP, WALK_MPS, Place, round_of

SHOP = Place(48.8583, 2.3470)
SPEEDS = {"city": WALK_MPS, "countryside": DRIVE_MPS}


def away_m(place: Place) -> float:
    return math.hypot(*SHOP.offset_m(place))


@pytest.mark.parametrize("setting", SPEEDS)
def test_nobody_moves_faster_than_they_can(setting: str):
    for seed in range(20):
        walk = round_of(SHOP, setting, Random(seed))
        places = [walk.at(10.0 * step).place for step in range(2_000)]
        ways = (math.hypot(*here.offset_m(there)) for here, there in pairwise(places))
        # Metres of longitude change along a way of kilometres.
        assert max(ways) <= 10.0 * SPEEDS[setting] * 1.005


def test_in_the_shop_they_are_in_the_shop_and_at_home_far_from_it():
    for seed in range(20):
        walk = round_of(SHOP, "city", Random(seed))
        moments = [walk.at(walk.round_s * share / 500) for share in range(500)]
        assert all(away_m(moment.place) <= 31 for moment in moments if moment.stop_ix == SHOP_STOP)
        assert all(away_m(moment.place) > 590 for moment in moments if moment.stop_ix == 0)
        assert {moment.stop_ix for moment in moments} == {-1, 0, 1, 2}


def test_a_round_begins_again_where_it_ended():
    walk = round_of(SHOP, "city", Random(1))
    for at_s in (0.0, 100.0, 5_000.0):
        here, again = walk.at(at_s).place, walk.at(at_s + walk.round_s).place
        assert math.hypot(*here.offset_m(again)) < 0.01


def test_a_tenth_of_a_crowd_is_in_the_shop():
    crowd = [round_of(SHOP, "city", Random(seed)) for seed in range(1_000)]
    inside = sum(walk.at(0.0).stop_ix == SHOP_STOP for walk in crowd)
    assert 40 <= inside <= 150
