"""Whose reaches overlap, the strongest first; against every pair, one by one."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
import shapely

from geoengine.catalog.preview.overlaps import (
    CHUNK,
    LISTED_MAX,
    MEASURED_MAX,
    SHARE_MIN,
    Overlaps,
    overlaps_of,
)
from geoengine.catalog.preview.scene import circles

KM = 1 / 111.32  # degrees


def found(east_km: list[float], radius_km: list[float], owner: list[int] | None = None) -> Overlaps:
    """Circles on the equator, by their place along it."""
    lon_deg, lat_deg = np.array(east_km) * KM, np.zeros(len(east_km))
    radius_m = np.array(radius_km) * 1_000
    owner_ix = np.array(range(len(east_km)) if owner is None else owner, np.int32)
    return overlaps_of(circles(lon_deg, lat_deg, radius_m), lon_deg, lat_deg, radius_m, owner_ix)


def pairs(overlaps: Overlaps) -> list[tuple[int, int]]:
    return list(zip(overlaps.first_ix.tolist(), overlaps.second_ix.tolist(), strict=True))


def test_the_strongest_pair_comes_first():
    overlaps = found([0.0, 1.8, 2.0, 9.0], [1.0, 1.0, 1.0, 1.0])
    assert pairs(overlaps) == [(1, 2), (0, 1)]  # 0 and 2 touch, 3 is alone
    assert overlaps.first_share[0] > 0.8 > 0.1 > overlaps.first_share[1]


def test_a_shop_wholly_in_the_reach_of_another_has_all_of_its_share():
    overlaps = found([0.0, 0.5], [3.0, 0.3])
    assert overlaps.first_share.tolist() == pytest.approx([0.01], rel=0.02)
    assert overlaps.second_share.tolist() == pytest.approx([1.0])


def test_two_areas_of_one_store_are_no_pair():
    assert pairs(found([0.0, 0.1, 0.2], [1.0, 1.0, 1.0], owner=[5, 5, 5])) == []


def test_areas_of_no_store_are_pairs_with_everybody():
    assert len(pairs(found([0.0, 0.1, 0.2], [1.0, 1.0, 1.0], owner=[-1, -1, 5]))) == 3


def test_nobody_and_one_alone_overlap_with_nobody():
    assert pairs(found([], [])) == []
    assert pairs(found([0.0], [1.0])) == []


def test_the_list_agrees_with_every_pair_measured_one_by_one():
    draw = np.random.default_rng(20261122)
    lon_deg, lat_deg = draw.uniform(0, 0.2, 80), draw.uniform(48, 48.2, 80)
    radius_m = draw.uniform(200, 2_500, 80)
    shapes = circles(lon_deg, lat_deg, radius_m)
    overlaps = overlaps_of(shapes, lon_deg, lat_deg, radius_m, np.arange(80, dtype=np.int32))
    told = {
        pair: shares
        for pair, *shares in zip(
            pairs(overlaps), overlaps.first_share, overlaps.second_share, strict=True
        )
    }
    for one, other in combinations(range(80), 2):
        common = shapely.area(shapely.intersection(shapes[one], shapes[other]))
        shares = [common / shapely.area(shapes[one]), common / shapely.area(shapes[other])]
        if max(shares) >= SHARE_MIN:
            assert told.pop((one, other)) == pytest.approx(shares)
    assert told == {}
    strength = np.maximum(overlaps.first_share, overlaps.second_share)
    assert np.all(np.diff(strength) <= 0)


def test_what_is_not_listed_and_what_is_not_measured_is_counted():
    count = CHUNK + 100
    overlaps = found(np.linspace(0, 1, count).tolist(), [1.0] * count)  # everybody with everybody
    assert len(overlaps.first_ix) == LISTED_MAX
    assert overlaps.unlisted_count == MEASURED_MAX - LISTED_MAX
    assert overlaps.unmeasured_count == count * (count - 1) // 2 - MEASURED_MAX
    apart = overlaps.second_ix - overlaps.first_ix
    assert set(apart.tolist()) == {1, 2}  # the strongest of all: next and next but one
