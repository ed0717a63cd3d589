"""Outlines that are none, and what is only worth a warning."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.catalog.writing import CAMPAIGN, campaign, faults, reading, store

SQUARE = [[2.0, 48.0], [2.1, 48.0], [2.1, 48.1], [2.0, 48.1], [2.0, 48.0]]
POLYGONS = {
    "a bow-tie": ([[[0, 0], [1, 1], [1, 0], [0, 1], [0, 0]]], "Self-intersection"),
    "a hole outside": (
        [SQUARE, [[3, 50], [3.1, 50], [3.1, 50.1], [3, 50]]],
        "Hole lies outside shell",
    ),
    "too few points": ([[[2, 48], [2.1, 48], [2, 48]]], "too few points"),
    "one point": ([[[2, 48]]], "too few points"),
    "an open ring": ([[*SQUARE[:-1], [2.0, 48.05]]], "not closed"),
    "no area": ([[[2, 48], [2.1, 48.1], [2, 48], [2, 48]]], "not a valid area"),
    "a crossing of the antimeridian": (
        [[[179, 0], [-179, 0], [-179, 1], [179, 1], [179, 0]]],
        "crosses the antimeridian: split it",
    ),
    "latitude first": ([[[48.0, 120.0], [48.1, 120.0], [48.1, 120.1], [48.0, 120.0]]], "swapped"),
    "off the Earth": ([[[200, 10], [201, 10], [201, 11], [200, 10]]], "not on the Earth"),
    "words for numbers": ([[["a", "b"], [1, 2], [2, 3], ["a", "b"]]], "not a point"),
    "no rings": ([], "rings"),
    "no list": (5, "geometry"),
}


@pytest.mark.parametrize(
    ("coordinates", "words"), [pytest.param(*row, id=name) for name, row in POLYGONS.items()]
)
def test_a_polygon_that_is_none_is_a_fault_with_its_zone(tmp_path: Path, coordinates, words):
    drawn = json.dumps({"type": "Polygon", "coordinates": coordinates})
    text = "zones:\n  - id: square\n    polygon: area.geojson\n"
    (fault,) = faults(tmp_path, text, area__geojson=drawn)
    assert fault.startswith("3:14: polygon of `square`: ")
    assert words in fault


def test_a_polygon_of_a_million_vertices_is_refused(tmp_path: Path):
    ring = ",".join(["[2,48],[3,49]"] * 500_000)
    drawn = f'{{"type": "Polygon", "coordinates": [[{ring}]]}}'
    text = "zones:\n  - id: square\n    polygon: area.geojson\n"
    (fault,) = faults(tmp_path, text, area__geojson=drawn)
    assert "1,000,000 vertices: expected at most 10,000, simplify it" in fault


def test_a_polygon_written_in_the_yaml_is_checked_too(tmp_path: Path):
    text = "zones:\n  - {id: z, polygon: {type: Polygon, coordinates: [[[2, 48]]]}}\n"
    (fault,) = faults(tmp_path, text)
    assert fault.startswith("2:22: polygon of `z`: a ring has too few points")


def test_a_polygon_file_that_is_not_there_is_a_fault(tmp_path: Path):
    (fault,) = faults(tmp_path, "zones:\n  - {id: z, polygon: nowhere.geojson}\n")
    assert "cannot be read" in fault


WARNINGS = {
    "a circle that phones miss": (store("reach: {radius_m: 50}"), "11:23", "phones miss circles"),
    "a campaign that matches no zone": (
        store("tags: [quiet]") + CAMPAIGN + "    zones: {tags: [quiet], stores: [rivoli]}\n",
        "17:12",
        "matches no zone",
    ),
    "a message longer than an SMS": (
        campaign().replace("[log]", "[sms]").replace("Bonjour", "A" * 161),
        "12:19",
        "one SMS holds 160",
    ),
    "a sign that shortens an SMS": (
        campaign().replace("[log]", "[sms]").replace("Bonjour", "ê" * 71),
        "12:19",
        "one SMS holds 70",
    ),
    "a webhook without an address": (
        campaign().replace("[log]", "[webhook]"),
        "11:13",
        "says nowhere to post",
    ),
    "a webhook for a campaign that is not there": (
        store() + "engine: {webhook: {url: 'https://a.example', campaigns: [nope]}}",
        "11:58",
        "no campaign `nope`",
    ),
    "a shop that some lack a phone of": (
        store('phone: "+33199000001"') + CAMPAIGN + "    call_to_action: call\n",
        "17:21",
        "1 store(s) lack `phone`: rivoli",
    ),
    "a coupon that nobody is told": (
        campaign("coupon: {kind: unique}"),
        "13:13",
        "in no message",
    ),
    "a shop that never opens": (store("hours: closed"), "11:12", "never open"),
    "a shop at sea": (store(location="{lat: 45, lon: -30}"), "10:15", "lies at sea"),
}


@pytest.mark.parametrize(
    ("text", "place", "words"), [pytest.param(*row, id=name) for name, row in WARNINGS.items()]
)
def test_what_is_allowed_but_hardly_meant_is_a_warning(tmp_path: Path, text, place, words):
    found = [str(fault) for fault in reading(tmp_path, text).warnings]
    assert any(f"a.yaml:{place}: " in fault and words in fault for fault in found), found
