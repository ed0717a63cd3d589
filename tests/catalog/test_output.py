"""What leaves the catalogue: GeoJSON, the schema, and what the command line prints."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
from click.testing import CliRunner, Result
from pyproj import Geod
from shapely.geometry import shape

from geoengine.catalog import json_schema, load, stores_geojson, zones_geojson
from geoengine.catalog.geojson import circle_rings
from geoengine.catalog.reading.document import parse, read_document
from geoengine.catalog.reading.keys import TOLD
from geoengine.cli import main
from tests.catalog.test_compile import DESIGN_EXAMPLE, SQUARE
from tests.catalog.writing import CAMPAIGN, STORES, reading, write

CONFIG = Path(__file__).parents[2] / "config"


def run(*words: str) -> Result:
    return CliRunner().invoke(main, list(words))


def test_a_circle_is_drawn_as_a_polygon_on_the_ellipsoid():
    (ring,) = circle_rings(np.array([2.347]), np.array([48.8583]), np.array([300.0]))
    centre = np.full(len(ring), 2.347), np.full(len(ring), 48.8583)
    _there, _back, distance_m = Geod(ellps="WGS84").inv(*centre, ring[:, 0], ring[:, 1])
    np.testing.assert_allclose(distance_m, 300.0, atol=1e-6)
    assert len(ring) == 65
    assert shape({"type": "Polygon", "coordinates": [ring.tolist()]}).exterior.is_ccw


def test_a_circle_over_the_antimeridian_does_not_jump_around_the_globe():
    (ring,) = circle_rings(np.array([179.99]), np.array([-17.0]), np.array([5_000.0]))
    assert np.abs(np.diff(ring[:, 0])).max() < 0.1


def test_zones_have_the_properties_that_outsiders_read(tmp_path: Path):
    text = STORES + f"zones:\n  - {{id: square, name: Square, polygon: {SQUARE}}}\n"
    collection = zones_geojson(reading(tmp_path, text).book)
    circle, drawn = collection["features"]  # the beacon place is no area
    assert collection["type"] == "FeatureCollection"
    why = circle["properties"].pop("why")
    assert why.startswith("5 min on foot")
    assert circle["properties"] == {
        "id": "rivoli",
        "name": "Maison Rivoli",
        "kind": "circle",
        "store_id": "rivoli",
        "setting": "city",
        "mode": "walk",
        "minutes": 5.0,
        "radius_m": 300.0,
    }
    assert "radius_m" not in drawn["properties"]
    assert (drawn["properties"]["id"], drawn["properties"]["store_id"]) == ("square", None)
    assert shape(drawn["geometry"]).bounds == (2.3, 48.8, 2.4, 48.9)
    json.dumps(collection, allow_nan=False)


def test_stores_are_points_with_what_they_say_of_themselves(tmp_path: Path):
    (feature,) = stores_geojson(reading(tmp_path, STORES).book)["features"]
    assert feature["geometry"] == {"type": "Point", "coordinates": [2.347, 48.8583]}
    assert feature["properties"]["time_zone"] == "Europe/Paris"
    assert feature["properties"]["tags"] == ["fashion"]


def test_the_schema_is_valid_and_knows_imports():
    schema = json_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    good = {"stores": [{"import": "s.csv", "columns": {"lat": "y"}, "defaults": {"tags": ["a"]}}]}
    assert validator.is_valid(good)
    assert not validator.is_valid({"stores": [{"import": "s.csv", "colums": {}}]})
    assert not validator.is_valid({"stores": [{"id": "a"}]})
    assert not validator.is_valid({"store": []})


def _shapes() -> dict[str, Any]:
    schema = json_schema()
    found = {"Catalogue": schema, **schema["$defs"]}
    for kind in ("StoreImport", "ZoneImport"):
        for key in ("columns", "defaults"):
            found[f"{kind}.{key}"] = found[kind]["properties"][key]
    return found


def test_an_editor_has_something_to_say_of_every_key():
    mute = [
        f"{name}.{key}"
        for name, shape in _shapes().items()
        for key, told in shape.get("properties", {}).items()
        if not told.get("description")
    ]
    assert mute == [], "say it in the key's type, or in catalog/reading/keys.py"


def test_the_words_for_editors_are_about_keys_there_are():
    shapes = _shapes()
    gone = [
        f"{name}.{key}"
        for name, keys in TOLD.items()
        for key in keys
        if key not in shapes[name]["properties"]
    ]
    assert gone == []


def test_the_example_of_the_design_satisfies_the_schema():
    validator = jsonschema.Draft202012Validator(json_schema())
    assert list(validator.iter_errors(parse(DESIGN_EXAMPLE, "f").plain())) == []


@pytest.mark.parametrize("name", ["stores", "campaigns", "engine"])
def test_the_example_satisfies_the_schema(name: str):
    document = read_document(CONFIG / f"{name}.yaml").plain()
    validator = jsonschema.Draft202012Validator(json_schema())
    assert list(validator.iter_errors(document)) == []


def test_check_prints_every_fault_and_fails(tmp_path: Path):
    write(tmp_path, {"a.yaml": STORES + "    hourz: x\n    setting: town\n"})
    result = run("check", str(tmp_path))
    assert result.exit_code == 1
    assert f"{tmp_path}/a.yaml:8:5: `hourz` is not a key of store" in result.output
    assert f"{tmp_path}/a.yaml:9:14: setting is 'town': expected one of city" in result.output


def test_check_prints_a_summary_with_reasons(tmp_path: Path):
    write(tmp_path, {"a.yaml": STORES + CAMPAIGN})
    result = run("check", str(tmp_path))
    assert result.exit_code == 0
    assert "1 stores, 1 zones, 1 beacons, 0 gateways, 1 campaigns" in result.output
    assert "5 min on foot at 4.7 km/h, detour 1.3: 300 m; city: about" in result.output
    assert "hello  on enter, by log: 1 zones" in result.output


def test_check_says_what_is_paused_and_takes_no_other_word(tmp_path: Path):
    pause = "engine: {pause: marketing}\n"
    write(tmp_path, {"a.yaml": STORES + CAMPAIGN + "    paused: true\n" + pause})
    result = run("check", str(tmp_path))
    assert result.exit_code == 0
    assert "PAUSED: engine.pause is marketing\npaused campaigns: hello\n" in result.output
    write(tmp_path, {"a.yaml": STORES + CAMPAIGN + "engine: {pause: all}\n"})
    wrong = run("check", str(tmp_path))
    assert wrong.exit_code == 1
    assert "pause is 'all': expected one of marketing, everything (" in wrong.output


def test_check_warns_of_skipped_rows_and_succeeds(tmp_path: Path):
    rows = "id,name,lat,lon\na,A,48.85,2.35\nb,B,,\n"
    write(tmp_path, {"a.yaml": "stores:\n  - import: s.csv\n", "s.csv": rows})
    result = run("check", str(tmp_path))
    assert result.exit_code == 0
    assert f"{tmp_path}/s.csv:3:1: warning: store lacks `location`" in result.output
    assert "1 rows skipped" in result.output


def test_check_counts_many_stores_in_a_table_unless_asked_for_all(tmp_path: Path):
    rows = "".join(f"s{i},Shop,48.85,2.35\n" for i in range(100))
    text = "stores:\n  - import: s.csv\n    defaults: {setting: city}\n"
    write(tmp_path, {"a.yaml": text, "s.csv": "id,name,lat,lon\n" + rows})
    table, everything = run("check", str(tmp_path)), run("check", str(tmp_path), "--all")
    assert "FR       city              300 m        100" in table.output
    assert "s99  5 min" not in table.output
    assert "s99  5 min on foot" in everything.output


def test_zones_writes_geojson_to_a_file(tmp_path: Path):
    write(tmp_path, {"a.yaml": STORES})
    out = tmp_path / "zones.geojson"
    assert run("zones", str(tmp_path), "--out", str(out)).exit_code == 0
    assert json.loads(out.read_text())["features"][0]["id"] == "rivoli"
    assert json.loads(run("zones", str(tmp_path)).output)["type"] == "FeatureCollection"


def test_zones_of_a_bad_catalogue_are_not_written(tmp_path: Path):
    write(tmp_path, {"a.yaml": "store: []"})
    result = run("zones", str(tmp_path))
    assert result.exit_code == 1
    assert "a.yaml:1:1: `store` is not a key" in result.output


def test_schema_prints_the_schema():
    assert json.loads(run("schema").output) == json_schema()


def test_the_schema_beside_the_example_is_the_current_one():
    assert json.loads((CONFIG / "schema.json").read_text()) == json_schema()


def test_the_example_loads_without_a_warning():
    result = run("check", str(CONFIG))
    assert result.exit_code == 0
    assert "warning" not in result.output


def test_the_example_is_as_large_as_it_says():
    book = load(CONFIG)
    written = [store for store in book.stores if "corner" not in store.tags and store.id != "demo"]
    cities = {tag for store in written for tag in store.tags} & {"paris", "lyon", "toulouse"}
    villages = [store for store in written if store.setting == "countryside"]
    with_beacons = [store for store in book.stores if store.beacons]
    assert (len(written), len(cities), len(villages), len(with_beacons)) == (13, 3, 2, 2)
    assert {gateway.store for gateway in book.gateways.values()} == {"republique"}
    assert len(book.campaigns) >= 5


def test_the_example_uses_every_key_of_a_campaign():
    campaigns = [plan.spec for plan in load(CONFIG).campaigns]
    unused = {
        key
        for key in campaigns[0].__struct_fields__
        if all(
            getattr(spec, key) == default
            for spec in campaigns
            for default in [dict(zip_defaults(spec)).get(key, ...)]
        )
    }
    # Faked locations are for trying things out, a pause for when something went wrong.
    assert unused == {"mocked", "paused"}


def zip_defaults(spec) -> zip:
    """The keys of a struct that have a default, with it."""
    defaults = spec.__struct_defaults__
    return zip(spec.__struct_fields__[-len(defaults) :], defaults, strict=True)


def test_the_first_campaign_fires_at_any_hour():
    book = load(CONFIG)
    demo = book.zone_ix_of["demo"]
    (plan,) = book.plans(demo)
    assert (plan.window, plan.audience, plan.spec.levers) == (None, None, ["log"])
    assert plan.spec.when_closed
    assert book.engine.spec.consent.location == "assumed"


@pytest.mark.parametrize("store_id", ["gordes", "riquewihr"])
def test_the_villages_of_the_example_are_reached_by_car(store_id: str):
    book = load(CONFIG)
    zone_ix = book.zone_ix_of[store_id]
    assert book.zones.radius_m[zone_ix] == pytest.approx(1568.6, abs=0.1)
