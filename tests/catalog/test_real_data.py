"""Real stores: British chains, French fuel stations, post offices, out-of-town furniture."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from geoengine.catalog import read
from geoengine.catalog.hours import problem
from tests.catalog.writing import write

DATA = Path(__file__).parents[3] / "shared" / "data"
pytestmark = pytest.mark.skipif(not DATA.exists(), reason="the shared real data is not here")
DAYS = {"Lundi": "Mo", "Mardi": "Tu", "Mercredi": "We", "Jeudi": "Th", "Vendredi": "Fr"}
DAYS |= {"Samedi": "Sa", "Dimanche": "Su"}


def test_6404_british_stores_load_as_city(tmp_path: Path):
    imports = "".join(
        f"  - import: {DATA}/stores/uk_{chain}.json\n"
        f"    defaults: {{setting: city, tags: [{chain}]}}\n"
        for chain in ("tesco", "greggs", "sainsburys")
    )
    found = read(write(tmp_path, {"a.yaml": "stores:\n" + imports}))
    book = found.book
    assert (len(book.stores), found.skipped_count) == (6404, 0)
    assert len({store.id for store in book.stores}) == 6404
    assert {store.setting for store in book.stores} == {"city"}
    assert {store.country for store in book.stores} <= {"GB", "IE", "IM", "JE", "GG"}
    assert set(book.zones.radius_m.tolist()) == {300.0}


def fuel_rows() -> list[dict[str, str]]:
    """Fuel stations with their hours as OSM writes them; days left blank are not closed."""
    with (DATA / "stores/fr_fuel_stations.csv").open(encoding="utf-8", newline="") as file:
        stations = list(csv.DictReader(file))
    spans: dict[str, list[str]] = {}
    with (DATA / "stores/fr_fuel_hours.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            if row["ferme"] != "1" and row["ouverture"] and row["fermeture"]:
                start, end = (row[key].replace(".", ":")[:5] for key in ("ouverture", "fermeture"))
                spans.setdefault(row["station_id"], []).append(f"{DAYS[row['nom']]} {start}-{end}")
    for station in stations:
        station["hours"] = "; ".join(spans.get(station["id"], []))
    return stations


def test_fuel_stations_without_a_place_or_with_impossible_hours_are_left_out(tmp_path: Path):
    stations = fuel_rows()
    lost = {s["id"] for s in stations if not s["latitude"] or not s["longitude"]}
    impossible = {s["id"] for s in stations if s["hours"] and problem(s["hours"])} - lost
    with (tmp_path / "s.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(stations[0]))
        writer.writeheader()
        writer.writerows(stations)
    text = (
        "stores:\n  - import: s.csv\n"
        "    columns: {lat: latitude, lon: longitude, name: adresse}\n"
        "    defaults: {country: FR}\n"
    )
    found = read(write(tmp_path, {"a.yaml": text}))
    whats = [warning.what for warning in found.warnings]
    assert (len(stations), len(lost), len(impossible)) == (5984, 32, 88)
    assert sum("lacks `location`" in what for what in whats) == 32
    assert sum(what.startswith("hours `") for what in whats) == 88
    assert {store.id for store in found.book.stores} == (
        {station["id"] for station in stations} - lost - impossible
    )
    strangers = [store for store in found.book.stores if store.time_zone != "Europe/Paris"]
    assert len(strangers) <= 1  # one a street from Geneva, where the zones' shapes are simplified


def test_hours_of_the_french_post_parse():
    lines = (DATA / "stores/fr_laposte_opening_hours.psv").read_text(encoding="utf-8").splitlines()
    expressions = [line.split("|")[2] for line in lines if line.count("|") == 2]
    bad = [text for text in expressions if problem(text) is not None]
    assert len(expressions) > 8_000
    assert len(bad) < 0.01 * len(expressions), bad[:5]


def test_shops_of_a_town_with_odd_hours_are_reported_one_by_one(tmp_path: Path):
    text = (
        f"stores:\n  - import: {DATA}/stores/osm_shops_newport.geojson\n"
        "    columns: {hours: opening_hours}\n"
    )
    found = read(write(tmp_path, {"a.yaml": text}))
    features = json.loads((DATA / "stores/osm_shops_newport.geojson").read_text())["features"]
    named = sum(bool(feature["properties"].get("name")) for feature in features)
    assert found.skipped_count + len(found.book.stores) == len(features) == 1140
    assert 0.9 * named < len(found.book.stores) <= named
    assert all(warning.line > 0 for warning in found.warnings)
