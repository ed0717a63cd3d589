"""Laws of areas, whatever a router draws: refused with a reason, or fit to be a zone."""

from __future__ import annotations

import msgspec
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st
from shapely.geometry import MultiPolygon, Point, Polygon

from geoengine.core.errors import NoWay, RoadsError
from geoengine.roads.base import Question
from geoengine.roads.isochrone import SLIVER_SHARE, judge
from geoengine.roads.own_street import decoded, read
from geoengine.roads.plane import plane_at
from geoengine.roads.valhalla_router import read_area

metres = st.floats(-3000, 3000)
rings = st.lists(st.tuples(metres, metres), min_size=3, max_size=12).map(Polygon)
latitudes = st.floats(-75, 75)


@given(st.lists(rings, min_size=1, max_size=4), latitudes)
def test_what_is_not_refused_is_whole_and_holds_the_store(parts: list[Polygon], lat_deg: float):
    """Rings that cut themselves, overlap, or have no area are what routers draw, too."""
    question, plane = Question(10.0, lat_deg, "drive", 5.0), plane_at(10.0, lat_deg)
    try:
        area = judge(question, plane.round(MultiPolygon(parts))).area
    except NoWay:
        return
    assert area.is_valid
    assert area.contains(Point(10.0, lat_deg))
    found = list(getattr(area, "geoms", [area]))
    assert len(found) <= 1 + 1 / SLIVER_SHARE
    assert sum(len(part.interiors) for part in found) <= 2 + 1 / SLIVER_SHARE


@given(rings.filter(lambda ring: ring.is_valid and ring.area > 250_000))
def test_simplifying_keeps_the_area(ring: Polygon):
    plane = plane_at(10.0, 50.0)
    try:
        area = judge(Question(10.0, 50.0, "walk", 30.0), plane.round(ring)).area
    except NoWay:
        return
    assert plane.flat(area).symmetric_difference(ring).area < 0.03 * ring.area


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_answers_of_any_bytes_are_told_to_be_none(answer: bytes):
    with pytest.raises(RoadsError):
        read_area(answer)


JSON = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
)


@given(JSON, JSON)
def test_answers_of_any_shape_are_told_to_be_none(coordinates: object, properties: object):
    feature = {
        "geometry": {"type": "Polygon", "coordinates": coordinates},
        "properties": {"contour": 5, "more": properties},
    }
    try:
        found = read_area(msgspec.json.encode({"features": [feature]}))
    except RoadsError:
        return
    assert shapely.is_geometry(found)


@given(st.text(max_size=40), st.floats(), st.booleans())
def test_streets_of_any_shape_are_told_to_be_none(line: str, along: float, forward: bool):
    edge = {"forward": forward, "speeds": {"default": 50}}
    found = {"edge": edge, "edge_info": {"shape": line}, "percent_along": along}
    try:
        read(msgspec.json.encode([{"edges": [found]}]), "drive")
    except msgspec.DecodeError:
        return
    assert len(decoded(line)) > 1
