"""How well a circle stands for an isochrone, told from the isochrone's profile alone."""

import sys
from pathlib import Path

import numpy as np
import pytest
import shapely

sys.path.append(str(Path(__file__).parents[2] / "benchmarks"))

from isochrones import Place, flat, profiled

from geoengine.core.space.geodesy import degree_m

HERE = Place("here", "a shop", 2.347, 48.8583, "city")


def in_degrees(area: shapely.Geometry) -> shapely.Geometry:
    """An area in metres around the place."""
    across_m, along_m = (float(one[0]) for one in degree_m(np.array([HERE.lat_deg])))
    middle = (HERE.lon_deg, HERE.lat_deg)
    return shapely.transform(area, lambda xy: xy / (across_m, along_m) + middle)


STAR = shapely.union_all([shapely.box(-500, -50, 500, 50), shapely.box(-50, -500, 50, 500)])


def test_flat_metres_lead_back():
    assert flat(HERE, in_degrees(STAR)).equals_exact(STAR, 1e-6)


def test_a_round_isochrone_is_its_own_circle():
    reached = profiled(HERE, "walk", 5.0, in_degrees(shapely.Point(0, 0).buffer(300, 64)))
    assert reached.own_m == pytest.approx(300, rel=0.005)
    assert reached.iou(300.0) == pytest.approx(1.0, abs=0.03)
    assert reached.iou(390.0) == pytest.approx((300 / 390) ** 2, abs=0.01)


@pytest.mark.parametrize("radius_m", [60.0, 150.0, 300.0, 450.0, 600.0])
def test_the_profile_says_what_the_polygons_say(radius_m: float):
    reached = profiled(HERE, "drive", 5.0, in_degrees(STAR))
    circle = shapely.Point(0, 0).buffer(radius_m, 64)
    truth = circle.intersection(STAR).area / circle.union(STAR).area
    assert reached.iou(radius_m) == pytest.approx(truth, abs=0.02)
