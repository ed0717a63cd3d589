"""Population by H3 cell: Kontur's GeoPackage, CSV, NDJSON, and what is refused."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import h3
import numpy as np
import pytest

from geoengine.catalog.density import kept
from geoengine.catalog.density.reading import h3_cells
from geoengine.core.errors import DataError
from tests.catalog.density.making import csv_file, gpkg_file, nobody, told

MIDDLE = h3.latlng_to_cell(48.85, 2.35, 8)
CITY = sorted(h3.grid_disk(MIDDLE, 4))  # 61 cells, 40 km2
LAT, LON = h3.cell_to_latlng(MIDDLE)
PER_KM2 = 3_000 / h3.cell_area(MIDDLE)


def add(data: Path, *files: Path) -> list[str]:
    return h3_cells.add(files, data, nobody)


def only(data: Path) -> kept.Grid:
    (grid,) = kept.load(data)
    return grid


def kontur() -> list[dict[str, object]]:
    return [{"h3": cell, "population": 3_000} for cell in CITY]


def test_a_gzipped_geopackage_of_kontur(tmp_path: Path):
    plain = gpkg_file(tmp_path / "kontur_population_FR_20231101.gpkg", kontur())
    packed = plain.with_suffix(".gpkg.gz")
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    (line,) = add(tmp_path, packed)
    assert line.startswith("h3-kontur_population_FR_20231101: Kontur 2023, 61 inhabited cells, ")
    degree, people = told(only(tmp_path), LON, LAT)
    assert degree == 1
    assert people == pytest.approx(PER_KM2 * np.pi, rel=0.01)


def test_csv_and_ndjson_of_text_or_numbers_give_the_same(tmp_path: Path):
    texts = csv_file(tmp_path / "a.csv", kontur())
    numbers = csv_file(
        tmp_path / "b.csv", [{"h3_index": int(c, 16), "pop": 3_000} for c in CITY], delimiter=";"
    )
    lines = tmp_path / "c.ndjson"
    lines.write_text("".join(json.dumps(row) + "\n" for row in kontur()))
    whole = tmp_path / "d.ndjson"
    whole.write_text("".join(f'{{"h3": {int(c, 16)}, "population": 3e3}}\n' for c in CITY))
    answers = set()
    for number, file in enumerate((texts, numbers, lines, whole)):
        add(tmp_path / str(number), file)
        answers.add(told(only(tmp_path / str(number)), LON + 0.01, LAT))
    assert len(answers) == 1


def test_finer_cells_are_added_up_to_those_of_a_square_kilometre(tmp_path: Path):
    rows = [
        {"h3": child, "population": 3_000 / 49}
        for cell in CITY
        for child in h3.cell_to_children(cell, 10)
    ]
    add(tmp_path, csv_file(tmp_path / "fine.csv", rows))
    degree, people = told(only(tmp_path), LON, LAT)
    assert degree == 1
    assert people == pytest.approx(PER_KM2 * np.pi, rel=0.01)


def test_a_few_bad_rows_are_left_out_and_counted(tmp_path: Path):
    rows = [*kontur(), {"h3": "8928308280", "population": 1}, {"h3": "nowhere", "population": 1}]
    lines = add(tmp_path, csv_file(tmp_path / "a.csv", rows))
    assert lines[1].startswith("2 rows left out; line 64: expected a cell and its people")


@pytest.mark.parametrize(
    "rows,what",
    [
        (
            [{"cellule": MIDDLE, "population": 1}],
            r"expected a column of the cell .*; found cellule",
        ),
        ([{"h3": MIDDLE, "price": 1}], r"expected a column of the people"),
        ([{"h3": h3.latlng_to_cell(48, 2, 6), "population": 1}], "resolution 6 are too large"),
        ([{"h3": h3.latlng_to_cell(48, 2, r), "population": 1} for r in (7, 8)], r"\[7, 8\]"),
        ([{"h3": MIDDLE, "population": -3}], "1 of 1 rows cannot be used"),
        ([{"h3": "x", "population": 3}], "expected a cell and its people, found 'x' and '3'"),
    ],
)
def test_a_file_that_is_something_else_is_refused_with_what_was_expected(tmp_path, rows, what):
    with pytest.raises(DataError, match=what):
        add(tmp_path, csv_file(tmp_path / "a.csv", rows))
    assert kept.load(tmp_path) == []


def test_a_geopackage_without_such_a_table_tells_what_it_has(tmp_path: Path):
    file = gpkg_file(tmp_path / "a.gpkg", [{"name": "x"}], "roads")
    with pytest.raises(DataError, match="found fid, geom, name"):
        add(tmp_path, file)
