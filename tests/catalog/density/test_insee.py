"""INSEE's seven levels by commune: outlines, levels beside, and what is refused."""

from __future__ import annotations

import csv
import gzip
from pathlib import Path

import msgspec
import numpy as np
import pytest

from geoengine.catalog.density import kept
from geoengine.catalog.density.reading import insee
from geoengine.core.errors import DataError
from tests.catalog.density.making import csv_file, geojson_file, nobody, square, told

SHARED = Path(__file__).parents[4] / "shared" / "data" / "urban"


def add(data: Path, *files: Path) -> list[str]:
    return insee.add(files, data, nobody)


def only(data: Path) -> kept.Grid:
    (grid,) = kept.load(data)
    return grid


def test_a_place_has_the_level_of_its_commune(tmp_path: Path):
    file = geojson_file(
        tmp_path / "communes.geojson",
        [
            ({"code": "01001", "dens7": 6}, square(5.0, 46.0)),
            ({"code": "01002", "dens7": 2}, square(5.1, 46.0)),
        ],
    )
    (line,) = add(tmp_path, file)
    assert line.startswith("insee-communes: INSEE, 2 outlines, ")
    grid = only(tmp_path)
    assert (grid.kind, grid.label) == ("insee", "INSEE")
    degree, people = told(grid, 5.05, 46.05)
    assert degree == 6
    assert np.isnan(people)
    assert told(grid, 5.15, 46.05)[0] == 2
    assert told(grid, 6.0, 46.05)[0] == 0


@pytest.mark.parametrize(
    "code,level",
    [("code", "dens7"), ("INSEE_COM", "DENS"), ("codgeo", "DENS7"), ("code_insee", "densite_7")],
)
def test_columns_are_known_by_the_names_that_publishers_use(tmp_path: Path, code, level):
    file = geojson_file(tmp_path / "c.geojson", [({code: "01001", level: "3"}, square(5, 46))])
    add(tmp_path, file)
    assert told(only(tmp_path), 5.05, 46.05)[0] == 3


def test_levels_may_stand_in_a_sheet_beside_the_outlines(tmp_path: Path):
    outlines = geojson_file(
        tmp_path / "communes.geojson",
        [
            ({"insee": "2A004"}, square(8.7, 41.9)),
            ({"insee": "75101"}, square(2.3, 48.8)),
            ({"insee": "01001"}, square(5.0, 46.0)),
        ],
    )
    levels = csv_file(
        tmp_path / "grille.csv",
        [
            {"CODGEO": "2A004", "LIBGEO": "Ajaccio", "DENS": "2", "DENS7": "2"},
            {"CODGEO": "75056", "LIBGEO": "Paris", "DENS": "1", "DENS7": "1"},
            {"CODGEO": "1001", "LIBGEO": "a zero less", "DENS": "3", "DENS7": "6"},
        ],
        delimiter=";",
        title="Grille de densité\nMise en ligne le 01/05/2024\n",
    )
    add(tmp_path, outlines, levels)
    assert told(only(tmp_path), 8.75, 41.95)[0] == 2
    assert told(only(tmp_path), 5.05, 46.05)[0] == 6
    assert told(only(tmp_path), 2.35, 48.85)[0] == 1  # by arrondissement, the level of Paris


def test_a_pier_belongs_to_the_commune_beside_it_and_the_open_sea_to_none(tmp_path: Path):
    file = geojson_file(tmp_path / "c.geojson", [({"code": "1", "dens7": 1}, square(7, 43))])
    add(tmp_path, file)
    grid, deg_of_m = only(tmp_path), 1 / 111_320
    for far_m, degree in ((200, 1), (300, 0)):
        assert told(grid, 7.05, 43.0 - far_m * deg_of_m)[0] == degree
        assert told(grid, 7.1 + far_m * deg_of_m / np.cos(np.radians(43.05)), 43.05)[0] == degree


def test_on_a_common_border_the_denser_commune_holds(tmp_path: Path):
    neighbours = [({"code": "1", "dens7": 5}, square(5, 46)),
                  ({"code": "2", "dens7": 3}, square(5.1, 46)),
                  ({"code": "3", "dens7": 7}, square(5.1, 46.1))]  # fmt: skip
    add(tmp_path, geojson_file(tmp_path / "c.geojson", neighbours))
    assert told(only(tmp_path), 5.1, 46.05)[0] == 3
    assert told(only(tmp_path), 5.1, 46.1)[0] == 3


def test_communes_without_a_level_are_left_out_and_counted(tmp_path: Path):
    features = [({"code": str(n), "dens7": 6}, square(n / 10, 46)) for n in range(30)]
    features[7][0]["dens7"] = None
    lines = add(tmp_path, geojson_file(tmp_path / "c.geojson", features))
    assert lines[1] == "1 rows left out; feature 8: 00007: expected a level of 1 to 7, found None"
    assert told(only(tmp_path), 0.75, 46.05)[0] == 0


def test_islands_and_holes_are_kept(tmp_path: Path):
    west, enclave = square(5, 46, 0.3), square(5.1, 46.1)
    ring = {"type": "Polygon", "coordinates": west["coordinates"] + enclave["coordinates"]}
    isles = {"type": "MultiPolygon",
             "coordinates": [ring["coordinates"], square(6, 46)["coordinates"]]}  # fmt: skip
    features = [({"code": "1", "dens7": 7}, isles), ({"code": "2", "dens7": 1}, enclave)]
    add(tmp_path, geojson_file(tmp_path / "c.geojson", features))
    grid = only(tmp_path)
    places = [(5.05, 46.05), (5.15, 46.15), (6.05, 46.05), (5.6, 46.05)]
    assert [told(grid, *at)[0] for at in places] == [7, 1, 7, 0]


# --- what is refused ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "features,what",
    [
        ([({"nom": "Ici", "dens7": 1}, square(5, 46))], r"expected a column of the commune's code"),
        ([({"code": "1"}, square(5, 46))], r"expected a column of the level .*; found code"),
        ([({"code": "1", "dens7": 9}, square(5, 46))], r"1 of 1 rows .* level of 1 to 7, found 9"),
        ([({"code": "1", "dens7": 1}, None)], r"1: has no outline"),
        ([({"code": "1", "dens7": 1}, square(652_381, 6_862_047))], r"EPSG:4326.*ogr2ogr"),
        ([({"code": "1", "dens7": 1}, {"type": "Point", "coordinates": [5, 46]})], "a polygon"),
    ],
)
def test_a_file_that_is_something_else_is_refused_with_what_was_expected(tmp_path, features, what):
    file = geojson_file(tmp_path / "c.geojson", features)
    with pytest.raises(DataError, match=what):
        add(tmp_path, file)
    assert kept.load(tmp_path) == []


def test_the_grid_of_three_levels_is_not_taken_for_the_one_of_seven(tmp_path: Path):
    features = [({"code": str(n), "DENS": 1 + n % 3}, square(n / 100, 46, 0.01))
                for n in range(1_000)]  # fmt: skip
    with pytest.raises(DataError, match="seven levels"):
        add(tmp_path, geojson_file(tmp_path / "c.geojson", features))


def test_levels_alone_are_refused_with_what_to_do(tmp_path: Path):
    levels = csv_file(tmp_path / "l.csv", [{"code": "01001", "dens7": 6}])
    with pytest.raises(DataError, match="outlines"):
        add(tmp_path, levels)


def test_a_file_that_is_not_there_is_no_file(tmp_path: Path):
    with pytest.raises(DataError, match="is no file"):
        add(tmp_path, tmp_path / "no.geojson")


# --- the real one -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def france(tmp_path_factory: pytest.TempPathFactory) -> kept.Grid:
    if not SHARED.exists():
        pytest.skip("the shared real data is not here")
    data = tmp_path_factory.mktemp("data")
    add(data, SHARED / "fr_communes_dens7_simplified.geojson.gz")
    (path,) = kept.names(data)
    assert path.stat().st_size < 15e6
    return only(data)


def communes() -> list[dict[str, str]]:
    with (SHARED / "fr_communes_dens7.csv").open(encoding="utf-8", newline="") as file:
        return [row for row in csv.DictReader(file) if row["dens7"] and row["lat_rep"]]


def test_500_communes_of_france_have_the_level_of_the_table(france):
    rows = communes()
    picked = np.random.default_rng(2026).choice(len(rows), 500, replace=False)
    lon_deg, lat_deg, level = (
        np.array([float(rows[ix][name]) for ix in picked])
        for name in ("lon_rep", "lat_rep", "dens7")
    )
    assert france.look_up(lon_deg, lat_deg).degree.tolist() == level.astype(int).tolist()


def test_levels_of_the_table_beside_the_outlines_give_the_same(tmp_path: Path, france):
    with gzip.open(SHARED / "fr_communes_dens7_simplified.geojson.gz") as file:
        features = msgspec.json.decode(file.read())["features"]
    paris = [f for f in features if f["properties"]["code"][:2] in ("75", "77", "92", "93", "94")]
    bare = [({"code": f["properties"]["code"]}, f["geometry"]) for f in paris]
    outlines = geojson_file(tmp_path / "communes.geojson", bare)
    add(tmp_path, outlines, SHARED / "fr_communes_dens7.csv")
    rng = np.random.default_rng(1)
    lon_deg, lat_deg = rng.uniform(2.2, 2.6, 2_000), rng.uniform(48.7, 49.0, 2_000)
    apart, whole = (grid.look_up(lon_deg, lat_deg).degree for grid in (only(tmp_path), france))
    assert (apart > 0).sum() > 1_000
    assert (apart == whole)[apart > 0].mean() > 0.99  # where Paris ends, the near side holds
