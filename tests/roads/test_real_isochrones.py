"""Valhalla's areas of real towns, made by somebody else, against what we make of the same roads."""

from __future__ import annotations

import json
from pathlib import Path
from statistics import median
from typing import Any

import pytest
import shapely
from shapely.geometry import Point, shape
from shapely.geometry.base import BaseGeometry

from geoengine.core.model import Mode, RoadsSpec
from geoengine.roads import tiles
from geoengine.roads.base import Question, Router
from geoengine.roads.isochrone import judge
from geoengine.roads.opening import open_router
from tests.servers.valhalla import PROGRAMS, Valhalla, programs

SHARED = Path(__file__).parents[3] / "shared" / "data"
pytestmark = pytest.mark.skipif(not SHARED.exists(), reason="the shared real data is not here")
MODES: dict[str, Mode] = {"pedestrian": "walk", "auto": "drive"}


def references() -> list[dict[str, Any]]:
    features = json.loads((SHARED / "isochrones/valhalla_5min.geojson").read_text())["features"]
    return [one for one in features if one["properties"].get("contains_store")]


def question_of(reference: dict[str, Any]) -> Question:
    told = reference["properties"]
    return Question(told["lon"], told["lat"], MODES[told["mode"]], 5.0)


def likeness(one: BaseGeometry, other: BaseGeometry) -> float:
    return float(one.intersection(other).area / one.union(other).area)


def test_simplifying_costs_one_per_cent_of_the_area():
    likenesses, corners = [], []
    for reference in references():
        drawn = shapely.make_valid(shape(reference["geometry"]))
        found = judge(question_of(reference), drawn).area
        likenesses.append(likeness(found, drawn))
        corners.append(shapely.get_num_coordinates(found))
        assert found.contains(Point(*question_of(reference)[:2]))
    assert len(likenesses) == 10
    assert median(likenesses) > 0.99
    assert min(likenesses) > 0.97
    assert median(corners) <= 256


async def test_areas_towards_the_store_are_like_those_of_the_reference(tmp_path: Path):
    """The reference leads outwards; on one-way streets and hills the way there is another."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(PROGRAMS, str(programs()))
        extracts = [SHARED / f"osm/{name}.osm.pbf" for name in ("newport", "liechtenstein")]
        tiles.add(extracts, tmp_path / "data", lambda *_: None)
    folder, _network = tiles.opened(tmp_path / "data/roads")
    with Valhalla(directory=tmp_path / "v", tiles=folder) as server:
        router = open_router(RoadsSpec(router="valhalla", url=server.url), {})
        found = [await _likeness(router, reference) for reference in references()]
        await router.close()
    walked = found[::2]
    assert min(walked) > 0.98
    assert median(found) > 0.95


async def _likeness(router: Router, reference: dict[str, Any]) -> float:
    answer = await router.ask(question_of(reference))
    return likeness(answer.area, shapely.make_valid(shape(reference["geometry"])))
