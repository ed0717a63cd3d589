"""What docs/footprint.md says holds."""

from __future__ import annotations

import json
import re
from math import pi
from pathlib import Path

import pytest

from geoengine.catalog.building.footprints import (
    ACCURACY_ORDINARY_M,
    BESIDE_MAX_M,
    FAR_MAX_M,
    Outline,
    accuracy_needed_m,
)
from geoengine.catalog.buildings.add import BUILDINGS_MAX, FORMATS
from geoengine.catalog.buildings.kept import FILE
from geoengine.catalog.polygons import area_of
from geoengine.core.model import Footprint
from geoengine.core.places.policy import Policy
from tests.catalog.osm import feature, rectangle
from tests.catalog.writing import reading

PAGE = (Path(__file__).parents[2] / "docs" / "footprint.md").read_text(encoding="utf-8")
SIZES = re.findall(r"^\| (\d+) m by (\d+) m \|.*\| ([0-9.]+) m \|$", PAGE, re.MULTILINE)


def test_its_example_is_a_catalogue_whose_campaign_waits_for_the_outline(tmp_path: Path):
    (text,) = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    drawn = json.dumps(feature(rectangle(-20, -15, 40, 30)))
    text = text.replace("{building: auto}", "{polygon: a.geojson}", 1)
    text = text.replace("{lat: 48.8566, lon: 2.3522}", "{lat: 48.8583, lon: 2.3470}")
    found = reading(tmp_path, text, a__geojson=drawn)
    assert found.zone_counts == {"welcome-in": 1}


@pytest.mark.parametrize(("width_m", "height_m", "told_m"), SIZES)
def test_its_table_of_sizes_is_what_the_engine_needs(width_m: str, height_m: str, told_m: str):
    width, height = float(width_m), float(height_m)
    area = area_of(feature(rectangle(0, 0, width, height)), Path())
    outline = Outline(area, "", 0.0, (width * height / pi) ** 0.5, min(width, height) / 2)
    assert accuracy_needed_m(outline, Policy()) == pytest.approx(float(told_m), rel=0.02)


def test_its_numbers_and_keys_are_the_current_ones():
    assert len(SIZES) == 4
    assert f"the nearest within {BESIDE_MAX_M:.0f} m" in PAGE
    assert f"farther than {FAR_MAX_M:.0f} m" in PAGE
    assert f"less than {ACCURACY_ORDINARY_M:.0f} m is needed" in PAGE
    assert BUILDINGS_MAX == 5_000_000
    assert "Up to five million are kept" in PAGE
    assert str(FILE) in PAGE
    assert all(suffix in PAGE for suffix in FORMATS if suffix != ".json")
    assert all(f"| `{key}` |" in PAGE for key in Footprint.__struct_fields__)
