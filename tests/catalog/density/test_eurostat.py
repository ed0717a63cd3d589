"""Europe's cells of 1 km: the names publishers use, people, degrees, and what is refused."""

from __future__ import annotations

import gzip
import zipfile
from pathlib import Path

import numpy as np
import pytest

from geoengine.catalog.density import kept
from geoengine.catalog.density.reading import eurostat
from geoengine.core.errors import DataError
from tests.catalog.density.making import (
    csv_file,
    geojson_file,
    gpkg_file,
    long_id,
    nobody,
    place,
    square,
    told,
)

CITY = [(2600 + n, 4300 + e) for n in range(6) for e in range(6)]  # at 2,000 a km2: 72,000


def add(data: Path, *files: Path) -> list[str]:
    return eurostat.add(files, data, nobody)


def only(data: Path) -> kept.Grid:
    (grid,) = kept.load(data)
    return grid


def census(people: int = 2_000) -> list[dict[str, object]]:
    return [{"GRD_ID": long_id(*at), "T": people, "M": 1, "LAND_SURFACE": 1.0} for at in CITY]


def test_people_and_the_degree_that_follows_from_them(tmp_path: Path):
    (line,) = add(tmp_path, csv_file(tmp_path / "ESTAT_Census_2021_V2.csv", census()))
    assert line.startswith("eurostat-ESTAT_Census_2021_V2: Eurostat 2021, 36 inhabited cells, ")
    degree, people = told(only(tmp_path), *place(2603.0, 4303.0))
    assert degree == 1
    assert people == pytest.approx(2_000 * np.pi, rel=0.01)
    assert told(only(tmp_path), *place(2610.0, 4310.0))[0] == 0


def national() -> list[dict[str, object]]:
    rows = [{"STAT": "T", "SPATIAL": f"MT_{long_id(*at)}", "OBS_VALUE": 2_000} for at in CITY]
    return rows + [{**row, "STAT": "M", "OBS_VALUE": 1_000} for row in rows]


@pytest.mark.parametrize(
    "rows",
    [
        [{"TOT_P": 2_000, "GRD_ID": f"1kmN{n}E{e}", "YEAR": 2011} for n, e in CITY],
        [{"GRD_ID": f"1kmN{n}E{e}", "TOT_P_2006": 1, "TOT_P_2018": 2_000} for n, e in CITY],
        [{"idcar_1km": long_id(*at), "ind": "2000.0"} for at in CITY],
        [{"GITTER_ID_1km": long_id(*at), "population": 2_000} for at in CITY],
        national(),
    ],
    ids=["geostat 2011", "jrc 2018", "filosofi", "zensus", "national"],
)
def test_cells_are_read_under_every_name_they_are_published_by(tmp_path: Path, rows):
    add(tmp_path, csv_file(tmp_path / "cells.csv", rows, delimiter=";"))
    degree, people = told(only(tmp_path), *place(2603.0, 4303.0))
    assert degree == 1
    assert people == pytest.approx(2_000 * np.pi, rel=0.01)


def test_csv_geopackage_geojson_and_packed_files_give_the_same(tmp_path: Path):
    plain = csv_file(tmp_path / "a.csv", census())
    packed = tmp_path / "b.csv.gz"
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    archive = tmp_path / "c.zip"
    with zipfile.ZipFile(archive, "w") as file:
        file.write(plain, "inside/a.csv")
        file.writestr("readme.txt", "hello")
    table = gpkg_file(tmp_path / "d.gpkg", census(), "census2021")
    lines = tmp_path / "e.geojson"
    geojson_file(lines, [(row, square(0, 0)) for row in census()])
    at = place(2603.2, 4304.1)
    answers = set()
    for number, source in enumerate((plain, packed, archive, table, lines)):
        add(tmp_path / str(number), source)
        answers.add(told(only(tmp_path / str(number)), *at))
    assert len(answers) == 1
    assert list(tmp_path.rglob(".unpack*")) == []


def test_who_watches_is_told_how_far_it_is_to_the_end(tmp_path: Path):
    rows = [{"GRD_ID": long_id(1000 + n // 5000, 2000 + n % 5000), "T": 1} for n in range(40_000)]
    plain = csv_file(tmp_path / "a.csv", rows)
    packed = tmp_path / "b.csv.gz"
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    for file in (plain, packed, gpkg_file(tmp_path / "c.gpkg", rows)):
        told_so: dict[str, list[tuple[int, int]]] = {}
        eurostat.add(
            [file], tmp_path, lambda name, *at, to=told_so: to.setdefault(name, []).append(at)
        )
        for steps in told_so.values():
            assert steps == sorted(steps)
            assert steps[-1][0] == steps[-1][1] > 0
        assert max(map(len, told_so.values())) >= 3
    assert list(told_so) == ["c.gpkg"]


def test_on_a_border_the_people_of_two_countries_add_up(tmp_path: Path):
    half = [{**row, "T": 1_000} for row in census()]
    add(tmp_path, csv_file(tmp_path / "de.csv", half), csv_file(tmp_path / "fr.csv", half))
    assert told(only(tmp_path), *place(2603.0, 4303.0))[0] == 1


def test_a_published_degree_is_kept_as_it_is(tmp_path: Path):
    codes = {30: 1, 23: 2, 22: 3, 21: 4, 13: 5, 12: 6, 11: 7, 10: 7}
    rows = [{"GRD_ID": long_id(2600, 4300 + n), "DGURBA": c} for n, c in enumerate(codes)]
    add(tmp_path, csv_file(tmp_path / "degurba.csv", rows))
    found = [told(only(tmp_path), *place(2600.5, 4300.5 + n)) for n in range(len(codes))]
    assert [degree for degree, _ in found] == list(codes.values())
    assert all(np.isnan(people) for _, people in found)


def test_classes_of_level_1_serve_where_there_are_no_people_to_tell_more(tmp_path: Path):
    rows = [{"GRD_ID": long_id(2600, 4300 + n), "DEGURBA": n + 1} for n in range(3)]
    add(tmp_path / "a", csv_file(tmp_path / "a.csv", rows))
    found = [told(only(tmp_path / "a"), *place(2600.5, 4300.5 + n))[0] for n in range(3)]
    assert found == [1, 4, 6]
    with_people = [{**row, "TOT_P": 10} for row in rows]
    add(tmp_path / "b", csv_file(tmp_path / "b.csv", with_people))
    assert told(only(tmp_path / "b"), *place(2600.5, 4300.5))[0] == 7


def test_withheld_and_unplaced_people_are_left_out_and_counted(tmp_path: Path):
    rows = census()
    rows[3]["T"], rows[4]["T"] = -9999, ""
    rows[5]["GRD_ID"] = "unallocated"
    lines = add(tmp_path, csv_file(tmp_path / "c.csv", rows))
    assert lines[1] == (
        "1 rows left out; line 7: expected a cell such as CRS3035RES1000mN2683000E4285000, "
        "found 'unallocated'"
    )
    assert lines[2] == "2 cells whose people are withheld left out"


# --- what is refused ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "rows,what",
    [
        ([{"id": "x", "T": 1}], r"expected a column of the cell's id .*; found id, T"),
        ([{"GRD_ID": long_id(2600, 4300), "area": 1}], "expected a column of the people"),
        ([{"GRD_ID": "CRS3035RES200mN2600000E4300000", "T": 1}], "1 of 1 rows .*RES200m"),
        ([{"GRD_ID": "CRS5490RES1000mN1600000E0700000", "T": 1}], "1 of 1 rows .*CRS5490"),
        ([{"GRD_ID": long_id(2600, 4300), "T": "many"}], "line 2: .*many"),
        ([{"GRD_ID": long_id(2600, 4300), "T": -5}], "expected a number of people, found -5"),
        ([{"GRD_ID": long_id(2600, 4300), "DGURBA": 31}], "expected a degree of 30"),
    ],
)
def test_a_file_that_is_something_else_is_refused_with_what_was_expected(tmp_path, rows, what):
    with pytest.raises(DataError, match=what):
        add(tmp_path, csv_file(tmp_path / "c.csv", rows))
    assert kept.load(tmp_path) == []


def test_files_that_cannot_be_read_at_all_are_refused(tmp_path: Path):
    def refused(name: str, content: bytes, what: str) -> None:
        file = tmp_path / name
        file.write_bytes(content)
        with pytest.raises(DataError, match=what):
            add(tmp_path, file)

    refused("a.xlsx", b"PK", r"expected a file that ends in \.csv")
    refused("a.csv", b"", "is empty")
    refused("a.csv.gz", b"no gzip", "cannot be unpacked")
    refused("b.csv.gz", gzip.compress(b"GRD_ID,T\n" * 999)[:-9], "cannot be unpacked")
    refused("a.zip", b"no zip", "cannot be unpacked")
    refused("a.gpkg", b"no database at all", "is no GeoPackage")
    refused("a.geojson", b'{"type": "Topology"}', "expected a GeoJSON FeatureCollection")
    refused("a.ndjson", b'{"GRD_ID": 1,\n', "line 1: no JSON object")


def test_a_zip_with_two_tables_is_refused(tmp_path: Path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as file:
        file.writestr("a.csv", "x")
        file.writestr("b.csv", "x")
    with pytest.raises(DataError, match=r"expected one file in it .* found 2 of 2"):
        add(tmp_path, tmp_path / "a.zip")
