"""`geoengine data`: add, list, remove, and the words for what went wrong."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from geoengine.cli import main
from geoengine.cli.catalogue.data import KINDS
from tests.catalog.density.making import csv_file, geojson_file, long_id, square
from tests.catalog.osm import Extract, rectangle

CELLS = [{"GRD_ID": long_id(2600, 4300 + n), "T": 600} for n in range(30)]


def run(folder: Path, *words: object, ok: bool = True) -> Result:
    """The command's result; it must succeed unless told otherwise."""
    result = CliRunner().invoke(main, ["data", *map(str, words), "--data", str(folder)])
    assert (result.exit_code == 0) is ok, result.output
    assert result.exception is None or isinstance(result.exception, SystemExit)
    return result


@pytest.fixture
def cells(tmp_path: Path) -> Path:
    """A file as Eurostat publishes them."""
    return csv_file(tmp_path / "census_2021.csv", CELLS)


def test_what_was_added_is_listed_until_it_is_removed(tmp_path: Path, cells: Path):
    data = tmp_path / "data"
    added = run(data, "add", "eurostat", cells).stdout
    assert added.startswith("eurostat-census_2021: Eurostat 2021, 30 inhabited cells, 0.0 MB, ")
    assert run(data, "list").stdout == added
    assert run(data, "remove", "eurostat-census_2021").stdout == "removed eurostat-census_2021\n"
    assert "nothing kept" in run(data, "list").stdout


def test_buildings_are_a_kind_of_data_too(tmp_path: Path):
    file = Extract().way(7, rectangle(0, 0, 20, 10)).save(tmp_path / "town.osm")
    added = run(tmp_path, "add", "buildings", file).stdout.splitlines()
    listed = run(tmp_path, "list").stdout
    assert [f"{file}: 1 buildings", listed.rstrip()] == added
    assert listed == "buildings: outlines of 1 buildings, 0.0 MB; for `footprint`\n"
    file.write_text("no extract")
    assert "OpenStreetMap data" in run(tmp_path, "add", "buildings", file, ok=False).output
    assert run(tmp_path, "remove", "buildings").stdout == "removed buildings\n"


def test_the_folder_is_the_one_of_the_catalogue_unless_told(tmp_path: Path, cells, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(main, ["data", "add", "eurostat", str(cells)])
    assert result.exit_code == 0
    assert [path.name for path in tmp_path.glob("var/data/density/*")] == [
        "eurostat-census_2021.npz"
    ]


def test_rows_left_out_are_told(tmp_path: Path):
    features = [({"code": str(n), "dens7": n % 8}, square(n / 10, 46)) for n in range(1, 26)]
    features[7][0]["dens7"] = 1
    features[15][0]["dens7"] = 1
    features[23][0]["dens7"] = 0
    file = geojson_file(tmp_path / "c.geojson", features)
    assert "1 rows left out; feature 24" in run(tmp_path, "add", "insee", file).stdout


def test_an_unknown_kind_is_told_with_the_one_that_was_meant(tmp_path: Path, cells: Path):
    said = run(tmp_path, "add", "euorstat", cells, ok=False).output
    assert "did you mean eurostat?" in said
    assert all(kind in said for kind in KINDS)


def test_a_file_that_cannot_be_used_is_told_in_one_sentence(tmp_path: Path):
    file = csv_file(tmp_path / "a.csv", [{"x": 1}])
    result = run(tmp_path, "add", "h3", file, ok=False)
    assert result.exit_code == 1
    assert result.output.startswith(f"Error: {file}: expected a column of the cell (h3")
    assert "found x" in result.output
    assert "is no file" in run(tmp_path, "add", "h3", tmp_path / "b.csv", ok=False).output


def test_a_damaged_grid_is_listed_and_can_be_removed(tmp_path: Path, cells: Path):
    run(tmp_path, "add", "eurostat", cells)
    (tmp_path / "density" / "eurostat-census_2021.npz").write_bytes(b"spoilt")
    assert "eurostat-census_2021: damaged: " in run(tmp_path, "list").stdout
    run(tmp_path, "remove", "eurostat-census_2021")
    assert "nothing kept" in run(tmp_path, "list").stdout


def test_a_name_that_is_not_kept_removes_nothing(tmp_path: Path, cells: Path):
    run(tmp_path, "add", "eurostat", cells)
    said = run(tmp_path, "remove", "eurostat-census_2021", "eurostat-census", ok=False).output
    assert "did you mean eurostat-census_2021?" in said
    assert "eurostat-census_2021" in run(tmp_path, "list").stdout


def test_help_tells_every_kind_and_its_files():
    said = CliRunner().invoke(main, ["data", "add", "--help"]).output
    for name, kind in KINDS.items():
        assert name in said
        assert kind.what in said
        assert kind.formats in said


def test_every_kind_is_documented():
    docs = (Path(__file__).parents[2] / "docs" / "data.md").read_text(encoding="utf-8")
    for name in KINDS:
        assert f"geoengine data add {name} " in docs
