"""What is kept: the order in which sources are asked, and files that are damaged."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pytest

from geoengine.catalog.density import kept, packed
from geoengine.catalog.density.reading import eurostat, h3_cells, insee
from geoengine.core.errors import DataError
from tests.catalog.density.making import csv_file, geojson_file, long_id, nobody, square


def add_all(folder: Path) -> None:
    """One grid of three kinds."""
    outlines = geojson_file(folder / "c.geojson", [({"code": "1", "dens7": 1}, square(5, 46))])
    insee.add([outlines], folder, nobody)
    cells = csv_file(folder / "c.csv", [{"GRD_ID": long_id(2600, 4300), "T": 100}])
    eurostat.add([cells], folder, nobody)
    hexagons = csv_file(folder / "k.csv", [{"h3": "881fb46741fffff", "population": 10}])
    h3_cells.add([hexagons], folder, nobody)


def test_nothing_is_kept_where_nothing_was_added(tmp_path: Path):
    assert kept.load(tmp_path) == []
    assert kept.load(tmp_path / "nowhere") == []


def test_the_official_grid_of_a_country_comes_first_and_estimates_last(tmp_path: Path):
    add_all(tmp_path)
    assert [grid.kind for grid in kept.load(tmp_path)] == ["insee", "eurostat", "h3"]
    names = ["h3-a", "ghsl-pop-a", "other-a", "ghsl-smod-a", "insee-b", "eurostat-a", "insee-a"]
    for name in names:
        (tmp_path / "x" / kept.FOLDER).mkdir(parents=True, exist_ok=True)
        (tmp_path / "x" / kept.FOLDER / f"{name}.npz").touch()
    assert [path.stem for path in kept.names(tmp_path / "x")] == [
        "insee-a", "insee-b", "eurostat-a", "ghsl-smod-a", "h3-a", "ghsl-pop-a", "other-a",
    ]  # fmt: skip


def test_adding_the_same_file_again_replaces_it_byte_for_byte(tmp_path: Path):
    add_all(tmp_path)
    before = {path.name: path.read_bytes() for path in kept.names(tmp_path)}
    add_all(tmp_path)
    assert {path.name: path.read_bytes() for path in kept.names(tmp_path)} == before


def test_a_file_tells_what_it_was_made_of(tmp_path: Path):
    add_all(tmp_path)
    about = packed.read_about(kept.names(tmp_path)[1])
    assert about.origin == ["c.csv"]
    assert about.digest == packed.digest_of([tmp_path / "c.csv"])
    assert about.row_count == 1


def test_a_spoilt_byte_anywhere_is_told_with_the_file_and_how_to_mend_it(tmp_path: Path):
    outlines = geojson_file(tmp_path / "c.geojson", [({"code": "1", "dens7": 1}, square(5, 46))])
    insee.add([outlines], tmp_path, nobody)
    (path,) = kept.names(tmp_path)
    whole = path.read_bytes()
    for at in range(0, len(whole), 7):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 0xFF]) + whole[at + 1 :])
        try:
            (grid,) = kept.load(tmp_path)
        except DataError as error:
            assert str(path) in str(error)
            assert "add its file again" in str(error)
        else:  # a byte of the archive's book-keeping, that numpy does not need
            degree, _people = grid.look_up(np.array([5.05]), np.array([46.05]))
            assert degree.tolist() == [1]


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"no archive"])
def test_what_is_no_archive_is_told(tmp_path: Path, content):
    add_all(tmp_path)
    path = kept.names(tmp_path)[0]
    path.write_bytes(content)
    with pytest.raises(DataError, match="add its file again"):
        kept.load(tmp_path)


def test_a_file_of_another_version_is_told(tmp_path: Path):
    add_all(tmp_path)
    path = kept.names(tmp_path)[1]
    about, parts = packed.read(path)
    packed.write(path, msgspec.structs.replace(about, format=2), parts)
    with pytest.raises(DataError, match="of format 2, this version reads 1"):
        kept.load(tmp_path)


@pytest.mark.parametrize(
    "change", [{"form": "rings"}, {"lattice": None}, {"form": "runs"}, {"form": "outlines"}]
)
def test_a_file_that_does_not_hold_together_is_told(tmp_path: Path, change):
    add_all(tmp_path)
    path = kept.names(tmp_path)[2]
    about, parts = packed.read(path)
    packed.write(path, msgspec.structs.replace(about, **change), parts)
    with pytest.raises(DataError, match="add its file"):
        kept.load(tmp_path)


def test_half_written_files_are_not_taken_for_grids(tmp_path: Path):
    add_all(tmp_path)
    (tmp_path / kept.FOLDER / ".insee-x.npz").write_bytes(b"half")
    (tmp_path / kept.FOLDER / ".abc.new").write_bytes(b"half")
    assert len(kept.load(tmp_path)) == 3
