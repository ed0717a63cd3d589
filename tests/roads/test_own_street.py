"""The street that a store stands in is drawn as far as one comes along it in time."""

from __future__ import annotations

import pytest
from shapely.geometry import LineString, Point
from shapely.geometry.base import BaseGeometry

from geoengine.roads.own_street import Street, Way, mended
from geoengine.roads.plane import plane_at

PLANE = plane_at(9.52, 47.14)
AROUND = Point(0.0, 0.0).buffer(3000.0)  # what Valhalla drew: all of the street
SECONDS = 100.0


def street(*ways: Way) -> Street:
    """Two kilometres from west to east, the store in their middle."""
    line: LineString = PLANE.round(LineString([(-1000.0, 0.0), (1000.0, 0.0)]))
    return Street(line, list(ways))


def found(*streets: Street) -> BaseGeometry:
    area: BaseGeometry = mended(AROUND, list(streets), PLANE, SECONDS)
    return area


def test_a_street_that_is_in_time_from_both_ends_stays_as_drawn():
    assert found(street(Way(True, 0.5, 20.0), Way(False, 0.5, 20.0))) is AROUND


@pytest.mark.parametrize("late_m", [40.0, 200.0])
def test_the_end_of_a_street_that_is_late_is_cut_off_unless_it_is_a_cell(late_m: float):
    speed_mps = (1000.0 - late_m) / SECONDS
    area = found(street(Way(True, 0.5, speed_mps), Way(False, 0.5, 20.0)))
    assert area.contains(Point(late_m - 990.0, 0.0))
    assert area.contains(Point(-999.0, 0.0)) == (late_m < 50.0)


def test_in_a_one_way_street_nobody_comes_from_behind_the_store():
    area = found(street(Way(True, 0.5, 20.0)))
    assert area.contains(Point(-900.0, 0.0))
    assert not area.contains(Point(900.0, 0.0))


def test_what_one_way_along_a_street_leaves_late_another_may_have_in_time():
    """A store at a crossing stands in two streets that share a stretch."""
    slow = street(Way(True, 0.5, 2.0), Way(False, 0.5, 2.0))
    assert not found(slow).contains(Point(500.0, 0.0))
    both = found(slow, street(Way(True, 0.5, 20.0), Way(False, 0.5, 20.0)))
    assert both is AROUND
