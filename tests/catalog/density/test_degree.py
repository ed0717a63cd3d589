"""The degree of urbanisation of a population grid, against its definition."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from geoengine.catalog.density.degree import degrees
from geoengine.catalog.density.grid import (
    DENSE_TOWN,
    DISPERSED,
    SEMI_DENSE_TOWN,
    SUBURBAN,
    UNINHABITED,
    URBAN_CENTRE,
    VILLAGE,
)
from geoengine.catalog.density.lattice import Hexagons, Squares
from geoengine.core.space.cells import cells_around, cells_at

SIDE = 24
LATTICE = Squares("EPSG:3035", 4e6, 3e6, 1_000.0, 1_000.0, SIDE, SIDE)
Place = tuple[int, int]


def judged(people: dict[Place, float]) -> dict[Place, int]:
    """The degree of each cell, by row and column."""
    places = sorted(people)
    keys = np.array([row * SIDE + column for row, column in places], np.int64)
    found, _people, degree = degrees(LATTICE, keys, np.array([people[p] for p in places], float))
    return {
        (key // SIDE, key % SIDE): d for key, d in zip(found.tolist(), degree.tolist(), strict=True)
    }


def block(row: int, column: int, high: int, wide: int, people: float) -> dict[Place, float]:
    """A block of cells, each with so many people."""
    return {(row + r, column + c): people for r in range(high) for c in range(wide)}


# --- the definition, class by class -------------------------------------------------------------


def test_fifty_thousand_people_at_fifteen_hundred_a_km2_make_an_urban_centre():
    assert set(judged(block(2, 2, 5, 5, 2_000)).values()) == {URBAN_CENTRE}
    assert set(judged(block(2, 2, 5, 5, 1_999)).values()) == {DENSE_TOWN}


def test_a_centre_hangs_together_across_edges_only():
    corner_to_corner = block(0, 0, 4, 4, 1_600) | block(4, 4, 4, 4, 1_600)
    assert set(judged(corner_to_corner).values()) == {DENSE_TOWN}
    joined = corner_to_corner | {(4, 3): 1_600}
    assert URBAN_CENTRE in judged(joined).values()


def test_an_empty_park_inside_a_city_is_city():
    ring = block(2, 2, 7, 7, 3_000)
    for hole in block(4, 4, 3, 3, 0):
        del ring[hole]
    found = judged(ring)
    assert found[(5, 5)] == URBAN_CENTRE
    assert len(found) == 49


def test_a_town_of_three_hundred_a_km2_far_from_any_other_is_semi_dense():
    assert set(judged(block(2, 2, 3, 3, 600)).values()) == {SEMI_DENSE_TOWN}


def test_the_same_town_within_2_km_of_a_city_is_suburban():
    def beside(gap: int) -> int:
        city = block(0, 0, 5, 5, 2_500)
        return judged(city | block(0, 5 + gap, 3, 3, 600))[(1, 6 + gap)]

    assert [beside(gap) for gap in (0, 1, 2, 3)] == [SUBURBAN, SUBURBAN, SEMI_DENSE_TOWN,
                                                    SEMI_DENSE_TOWN]  # fmt: skip


def test_five_hundred_people_close_together_are_a_village_and_fewer_are_not():
    assert judged({(3, 3): 500}) == {(3, 3): VILLAGE}
    assert judged({(3, 3): 499}) == {(3, 3): DISPERSED}


def test_a_village_hangs_together_across_corners():
    assert set(judged({(3, 3): 300, (4, 4): 300}).values()) == {VILLAGE}


def test_fifty_a_km2_part_dispersed_from_uninhabited():
    assert judged({(3, 3): 50, (9, 9): 49}) == {(3, 3): DISPERSED, (9, 9): UNINHABITED}


# --- against a slow reading of the same definition ----------------------------------------------


def flood(members: set[Place], steps: Iterable[Place]) -> list[set[Place]]:
    steps, left, found = list(steps), set(members), []
    while left:
        cluster, waiting = set(), [left.pop()]
        while waiting:
            row, column = waiting.pop()
            cluster.add((row, column))
            for r, c in steps:
                if (row + r, column + c) in left:
                    left.remove((row + r, column + c))
                    waiting.append((row + r, column + c))
        found.append(cluster)
    return found


ALL = [(r, c) for r in (-1, 0, 1) for c in (-1, 0, 1) if (r, c) != (0, 0)]
EDGES = [(r, c) for r, c in ALL if r * c == 0]


def slowly(people: dict[Place, float]) -> dict[Place, int]:
    """The definition, cell by cell."""

    def count(cells: set[Place]) -> float:
        return sum(people.get(cell, 0) for cell in cells)

    def clusters(members: set[Place], steps: list[Place], least: float) -> list[set[Place]]:
        return [cluster for cluster in flood(members, steps) if count(cluster) >= least]

    def cells(test: Callable[[float], bool]) -> set[Place]:
        return {cell for cell, number in people.items() if test(number)}

    dense = cells(lambda n: n >= 1_500)
    centre = set().union(*clusters(dense, EDGES, 50_000))
    inside = {(r, c) for r in range(SIDE) for c in range(SIDE)}
    while joining := {
        (r, c) for r, c in inside - centre if sum((r + dr, c + dc) in centre for dr, dc in ALL) >= 5
    }:
        centre |= joining
    town = set().union(*clusters(dense - centre, EDGES, 5_000))
    close = cells(lambda n: n >= 300) | centre
    near = {
        (r + dr, c + dc) for r, c in centre | town for dr in range(-2, 3) for dc in range(-2, 3)
    }
    found = dict.fromkeys(set(people) | centre, UNINHABITED)
    found |= dict.fromkeys(cells(lambda n: n >= 50), DISPERSED)
    for cluster in clusters(close, ALL, 500):
        is_town = count(cluster) >= 5_000
        degree = (SUBURBAN if cluster & near else SEMI_DENSE_TOWN) if is_town else VILLAGE
        found |= dict.fromkeys(cluster, degree)
    return found | dict.fromkeys(town, DENSE_TOWN) | dict.fromkeys(centre, URBAN_CENTRE)


numbers = st.sampled_from([0, 20, 60, 320, 700, 1_600, 6_000])
grids = st.dictionaries(st.tuples(st.integers(0, 13), st.integers(0, 13)), numbers, min_size=1)


@given(grids)
@settings(max_examples=200, deadline=None)
def test_the_fast_way_agrees_with_the_definition(people):
    assert judged(people) == slowly(people)


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=30, deadline=None)
def test_the_fast_way_agrees_on_crowded_grids(seed):
    rng = np.random.default_rng(seed)
    drawn = rng.lognormal(6, 1.5, (SIDE, SIDE)).round()
    people = {(r, c): float(drawn[r, c]) for r in range(SIDE) for c in range(SIDE)}
    assert judged(people) == slowly(people)


# --- hexagons -----------------------------------------------------------------------------------


def test_hexagons_are_judged_by_people_a_km2():
    lattice = Hexagons(8)
    middle = cells_at(np.array([2.35]), np.array([48.85]), 8)
    cells = np.unique(np.concatenate([middle, cells_around(middle).ravel()]))
    area = lattice.areas_km2(cells)
    assert set(degrees(lattice, cells, area * 12_000)[2].tolist()) == {URBAN_CENTRE}  # 55,000
    assert set(degrees(lattice, cells, area * 1_501)[2].tolist()) == {DENSE_TOWN}  # 6,900
    assert set(degrees(lattice, cells, area * 1_400)[2].tolist()) == {SEMI_DENSE_TOWN}
    assert set(degrees(lattice, cells, area * 301)[2].tolist()) == {VILLAGE}


def test_a_hole_in_a_city_of_hexagons_is_filled():
    lattice = Hexagons(8)
    middle = cells_at(np.array([2.35]), np.array([48.85]), 8)
    ring = np.sort(cells_around(middle).ravel())
    keys, people, degree = degrees(lattice, ring, np.full(6, 10_000.0))
    assert keys.tolist() == np.sort(np.append(ring, middle)).tolist()
    assert (people[keys == middle], degree[keys == middle]) == (0, URBAN_CENTRE)
