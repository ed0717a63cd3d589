"""From a catalogue to zones on the streets of a town on paper, with a real Valhalla."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from shapely.geometry import Point, shape

from geoengine.cli import main
from tests.roads import town
from tests.servers.valhalla import Valhalla

MIDDLE, QUAY, FIELD = town.place(-5, -5), town.place(-5, 2), town.place(0, 30)


def run(*words: str) -> Result:
    return CliRunner().invoke(main, list(words))


@pytest.fixture
def config(tmp_path: Path, server: Valhalla) -> Path:
    """Three shops, one of them on no street."""
    shops = "".join(
        f"  - {{id: {name}, name: {name}, location: {{lat: {lat}, lon: {lon}}}, setting: city}}\n"
        for name, (lon, lat) in (("middle", MIDDLE), ("quay", QUAY), ("field", FIELD))
    )
    engine = f"  data: {tmp_path / 'data'}\n  roads: {{router: valhalla, url: '{server.url}'}}\n"
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "a.yaml").write_text(f"stores:\n{shops}engine:\n{engine}")
    return tmp_path / "config"


def test_the_zones_of_a_catalogue_follow_the_streets(config: Path):
    before = run("check", str(config)).output
    assert "3 stores are reached by a circle: run `geoengine zones build`" in before
    done = run("zones", "build", str(config))
    assert done.exit_code == 0
    assert "2 answered, 1 without a way, 0 failed, 0 known before" in done.output
    assert (
        "  field  no way on the roads, no road within 350 m: its reach is a circle" in done.output
    )
    zones = json.loads(run("zones", str(config)).output)["features"]
    areas = {zone["id"]: shape(zone["geometry"]) for zone in zones}
    why = {zone["id"]: zone["properties"]["why"] for zone in zones}
    assert areas["quay"].contains(Point(town.place(-5, 0)))
    assert not areas["quay"].contains(Point(town.place(-5, 4.5))), "over the river"
    assert why["quay"].startswith("5 min on foot on the roads (valhalla 3.")
    assert "(circle: no way on the roads, no road within 350 m)" in why["field"]


def test_a_second_build_asks_nothing_and_needs_the_router_only_for_its_version(config: Path):
    run("zones", "build", str(config))
    again = run("zones", "build", str(config))
    assert again.exit_code == 0
    assert "asked about 0 places" in again.output
    assert "0 failed, 3 known before" in again.output


def test_without_its_router_a_build_fails_and_the_catalogue_stays_as_it_was(
    config: Path, server: Valhalla
):
    run("zones", "build", str(config))
    before = run("zones", str(config)).output
    text = (config / "a.yaml").read_text()
    (config / "a.yaml").write_text(text.replace(server.url, "http://127.0.0.1:9"))
    gone = run("zones", "build", str(config))
    assert gone.exit_code == 1
    assert "geoengine: the router does not answer" in gone.output
    assert run("zones", str(config)).output == before
