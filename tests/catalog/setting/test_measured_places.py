"""The places whose isochrones were measured: a town's middle is walked to, a village driven to."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.catalog.setting.grids import verdict

FILE = Path(__file__).parents[4] / "shared" / "data" / "isochrones" / "valhalla_5min.geojson"
pytestmark = pytest.mark.skipif(not FILE.exists(), reason="the shared real data is not here")
SETTING_OF = {"city": "city", "rural": "countryside"}  # towns and edges are neither for certain


def places() -> dict[str, tuple[float, float, str]]:
    """Latitude, longitude and kind of each place, by name."""
    features = json.loads(FILE.read_text(encoding="utf-8"))["features"]
    return {
        found["place"]: (found["lat"], found["lon"], found["kind"])
        for found in (feature["properties"] for feature in features)
        if "lat" in found
    }


def test_middles_of_cities_and_villages_are_told_apart():
    certain = {name: row for name, row in places().items() if row[2] in SETTING_OF}
    assert {kind for _lat, _lon, kind in certain.values()} == set(SETTING_OF)
    told = {name: verdict(lat, lon).setting for name, (lat, lon, _kind) in certain.items()}
    assert told == {name: SETTING_OF[kind] for name, (_lat, _lon, kind) in certain.items()}


def test_a_small_capital_is_driven_to():
    lat, lon, _kind = places()["Vaduz Staedtle"]
    assert verdict(lat, lon).setting == "countryside"  # 5,200 people in a valley of villages
