"""What routers draw becomes zones: whole, small, at the store, and no larger than can be."""

from __future__ import annotations

import numpy as np
import pytest
import shapely
from shapely.geometry import (
    GeometryCollection,
    LineString,
    MultiPolygon,
    Point,
    Polygon,
    box,
)
from shapely.geometry.base import BaseGeometry

from geoengine.core.errors import NoWay
from geoengine.core.model import Mode
from geoengine.roads.base import Question
from geoengine.roads.isochrone import (
    COARSEST_SHARE,
    CORNERS,
    CUT_OFF,
    ROUNDED_SHARE,
    TOLERANCE_M,
    Area,
    judge,
    rounded,
    thinned,
)
from geoengine.roads.plane import plane_at

LON_DEG, LAT_DEG = 9.52, 47.14
STORE = Point(LON_DEG, LAT_DEG)
PLANE = plane_at(LON_DEG, LAT_DEG)


def asked(mode: Mode = "drive", minutes: float = 5.0) -> Question:
    return Question(LON_DEG, LAT_DEG, mode, minutes)


def around(geometry: BaseGeometry) -> BaseGeometry:
    """Drawn in metres around the store, told in degrees as routers do."""
    found: BaseGeometry = PLANE.round(geometry)
    return found


def disc(east_m: float, north_m: float, radius_m: float) -> Polygon:
    return Point(east_m, north_m).buffer(radius_m, quad_segs=32)


def square_m(area: BaseGeometry) -> float:
    return float(PLANE.flat(area).area)


def likeness(one: BaseGeometry, other: BaseGeometry) -> float:
    return float(one.intersection(other).area / one.union(other).area)


def test_an_area_stays_what_it_is():
    drawn = around(disc(0, 0, 2000))
    found = judge(asked(), drawn)
    assert found.doubts == ()
    assert isinstance(found.area, Polygon)
    assert likeness(found.area, drawn) > 0.99


def test_specks_and_small_holes_are_left_out_and_large_ones_stay():
    lake, pond, speck = disc(900, 0, 500), disc(-900, 0, 60), disc(2600, 0, 40)
    drawn = disc(0, 0, 2000).difference(lake).difference(pond).union(speck)
    found = judge(asked(), around(drawn))
    assert isinstance(found.area, Polygon)
    assert len(found.area.interiors) == 1
    assert not found.area.contains(Point(around(Point(900, 0))))
    assert found.area.contains(Point(around(Point(-900, 0))))


def test_a_part_beyond_a_river_stays_if_it_is_large():
    drawn = MultiPolygon([disc(0, 0, 1000), disc(2500, 0, 700)])
    found = judge(asked(), around(drawn))
    assert isinstance(found.area, MultiPolygon)
    assert len(found.area.geoms) == 2


def test_the_part_at_the_store_stays_however_small_it_is():
    drawn = MultiPolygon([disc(0, 0, 100), disc(2500, 0, 1000)])
    found = judge(asked(), around(drawn))
    assert found.area.contains(STORE)


def test_a_ring_that_cuts_itself_is_mended():
    bow_tie = Polygon([(-500, -500), (500, 500), (500, -500), (-500, 500)])
    found = judge(asked(), around(bow_tie))
    assert found.area.is_valid
    assert square_m(found.area) == pytest.approx(500_000, rel=0.02)


def test_lines_and_points_among_the_areas_do_not_count():
    drawn = GeometryCollection([disc(0, 0, 1000), LineString([(0, 0), (9000, 0)]), Point(5, 5)])
    assert square_m(judge(asked(), around(drawn)).area) == pytest.approx(3.14e6, rel=0.01)


def test_a_ragged_outline_gets_few_corners_and_keeps_its_area():
    """Cells of 30 m, as Valhalla draws them."""
    cells = [box(x, y, x + 30, y + 30) for x in range(-1500, 1500, 30) for y in range(-600, 600, 30)
             if (x * 7 + y * 13) % 11 or abs(x) + abs(y) < 900]  # fmt: skip
    drawn = shapely.union_all(cells)
    found = judge(asked(), around(drawn))
    assert shapely.get_num_coordinates(drawn) > 3 * CORNERS
    assert shapely.get_num_coordinates(found.area) <= 2 * CORNERS
    assert likeness(PLANE.flat(found.area), drawn) > 0.9


def ragged(radius_m: float, deep_m: float, corners: int) -> Polygon:
    """A disc whose edge goes in and out, seeded."""
    turn = np.linspace(0, 2 * np.pi, corners, endpoint=False)
    away_m = radius_m + deep_m * np.random.default_rng(7).uniform(-1, 1, corners)
    return Polygon(np.column_stack([away_m * np.cos(turn), away_m * np.sin(turn)]))


def moved_m(found: Area, drawn: BaseGeometry) -> float:
    return float(shapely.hausdorff_distance(found.boundary, drawn.boundary, densify=0.05))


@pytest.mark.parametrize(("mode", "radius_m"), [("walk", 300), ("bike", 900), ("drive", 2500)])
def test_the_outline_moves_by_no_more_than_the_tolerance(mode: Mode, radius_m: float):
    """Less the share by which the router may have moved it, and 0.1 m of rounding."""
    left_m = (1 - ROUNDED_SHARE) * TOLERANCE_M[mode]
    drawn = ragged(radius_m, 0.6 * left_m, 900)
    found = PLANE.flat(judge(asked(mode), around(drawn)).area)
    assert shapely.get_num_coordinates(found) <= CORNERS
    assert 0.2 * left_m < moved_m(found, drawn) <= left_m + 0.1


def test_an_outline_of_few_corners_is_not_moved():
    drawn = ragged(300, 2, CORNERS - 1)
    assert moved_m(PLANE.flat(judge(asked("walk"), around(drawn)).area), drawn) < 0.1


def test_an_outline_of_too_many_corners_is_moved_in_steps_up_to_a_share_of_its_side():
    drawn = ragged(2500, 60, 2000)
    found = PLANE.flat(judge(asked(), around(drawn)).area)
    assert shapely.get_num_coordinates(found) < 700
    assert TOLERANCE_M["drive"] < moved_m(found, drawn) <= COARSEST_SHARE * drawn.area**0.5


def test_rings_that_would_cut_one_another_keep_apart():
    """A road of 4 m around a lake: without its bulge of 9 m the outline would be in the water."""
    bulge = Polygon([(-120, 1000), (-110, 1009), (110, 1009), (120, 1000)])
    outline, lake = box(-1000, -1000, 1000, 1000).union(bulge), box(-100, 500, 100, 1005)
    assert not outline.simplify(10.0).contains(lake)
    shore = outline.difference(lake)
    thin = thinned(shore, 10.0)
    assert thin.is_valid
    assert len(thin.interiors) == 1
    assert moved_m(thin, shore) <= 10.0


def test_a_ring_too_small_for_the_tolerance_stays_a_ring():
    thin = thinned(disc(0, 0, 1500).difference(disc(300, 0, 3)), 10.0)
    assert thin.is_valid
    assert len(thin.interiors) <= 1
    assert thin.area == pytest.approx(3.14159 * 1500**2, rel=0.01)


def test_what_would_cut_itself_when_it_is_rounded_is_mended():
    """Its notch ends 5 mm above its lower edge, and would end below, in millionths of a degree."""
    corners = np.array([(0, 0), (10, 0.8), (10, 100), (5, 0.45), (0, 100)]) * 1e-6
    notched, here = Polygon(corners), plane_at(0.0, 0.0)
    assert notched.is_valid
    assert not Polygon(corners.round(6)).is_valid
    found = rounded(here.flat(notched), here)
    assert found.is_valid
    assert found.area == pytest.approx(notched.area, rel=0.02)


def test_a_store_beside_its_area_is_joined_to_it():
    """A shop in a yard: who stands in it is five minutes away as much as who stands before it."""
    found = judge(asked("walk"), around(disc(260, 0, 200)))
    assert isinstance(found.area, Polygon)
    assert found.area.contains(STORE)
    assert square_m(found.area) == pytest.approx(3.14 * 200**2, rel=0.02)


def test_a_store_in_a_hole_is_joined_to_the_area_around_it():
    found = judge(asked(), around(disc(0, 0, 2000).difference(disc(0, 0, 340))))
    assert found.area.contains(STORE)


def test_an_area_that_begins_far_from_the_store_is_no_answer():
    with pytest.raises(NoWay, match="begins 1,000 m from the store: expected at most 350 m"):
        judge(asked(), around(disc(3000, 0, 2000)))


@pytest.mark.parametrize(
    ("mode", "radius_m"), [("walk", 1700), ("bike", 5800), ("drive", 13_000), ("transit", 13_000)]
)
def test_an_area_that_nobody_is_fast_enough_for_is_no_answer(mode: Mode, radius_m: float):
    """Seconds taken for minutes make it sixty times as long."""
    with pytest.raises(NoWay, match=r"km in 5 min: expected at most"):
        judge(asked(mode), around(disc(0, 0, radius_m)))
    assert judge(asked(mode), around(disc(0, 0, 0.6 * radius_m))).area.contains(STORE)


def test_an_answer_without_an_area_is_no_answer():
    with pytest.raises(NoWay, match="no area"):
        judge(asked(), around(LineString([(0, 0), (100, 0)])))
    with pytest.raises(NoWay, match="no area"):
        judge(asked(), Polygon())


def test_an_area_near_the_edge_of_the_data_is_doubted():
    drawn = around(disc(0, 0, 2000))
    assert judge(asked(), drawn, around(box(-4000, -4000, 4000, 4000))).doubts == ()
    assert judge(asked(), drawn, around(box(-4000, -4000, 2300, 4000))).doubts == (CUT_OFF,)
    assert judge(asked(), drawn, around(box(-4000, -4000, 1500, 4000))).doubts == (CUT_OFF,)


def test_the_edge_may_be_nearer_on_foot_than_by_car():
    drawn, edge = around(disc(0, 0, 300)), around(box(-4000, -4000, 600, 4000))
    assert judge(asked("walk"), drawn, edge).doubts == ()
    assert judge(asked("drive"), drawn, edge).doubts == (CUT_OFF,)


def test_an_area_over_the_antimeridian_is_cut_there():
    found = judge(Question(179.99, -16.8, "drive", 5), box(179.98, -16.82, 180.02, -16.78)).area
    assert found.bounds == (-180.0, -16.82, 180.0, -16.78)
    parts = sorted(part.bounds for part in found.geoms)
    assert parts == [(-180.0, -16.82, -179.98, -16.78), (179.98, -16.82, 180.0, -16.78)]
