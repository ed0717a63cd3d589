"""GHS-SMOD and GHS-POP as GeoTIFF, in both their coordinate systems, and what is refused."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("rasterio", reason="reading a GeoTIFF takes rasterio")

from geoengine.catalog.density import kept
from geoengine.catalog.density.reading import ghsl
from geoengine.core.errors import DataError
from tests.catalog.density.making import nobody, place, raster_file, told

WEST_KM, NORTH_KM = 160, 5_800  # Mollweide, near Paris
CODES = np.array([[30, 23, 22, 21], [13, 12, 11, 10], [-200, -200, 30, 30]], np.int16)
DEGREES = [[1, 2, 3, 4], [5, 6, 7, 7], [0, 0, 1, 1]]


def add(data: Path, *files: Path) -> list[str]:
    return ghsl.add(files, data, nobody)


def only(data: Path) -> kept.Grid:
    (grid,) = kept.load(data)
    return grid


def smod(folder: Path, numbers: np.ndarray = CODES, **kwargs: object) -> Path:
    name = folder / "GHS_SMOD_E2020_GLOBE_R2023A_54009_1000_V2_0.tif"
    return raster_file(name, numbers, WEST_KM * 1e3, NORTH_KM * 1e3, **kwargs)


def mollweide(row: int, column: int) -> tuple[np.ndarray, np.ndarray]:
    return place(NORTH_KM - row - 0.5, WEST_KM + column + 0.5, "ESRI:54009")


def test_each_code_of_smod_is_a_degree(tmp_path: Path):
    (line,) = add(tmp_path, smod(tmp_path))
    assert line.startswith("ghsl-smod-GHS_SMOD_E2020_GLOBE_R2023A_54009_1000_V2_0: GHSL 2020, ")
    grid = only(tmp_path)
    assert grid.label == "GHSL 2020"
    found = [[told(grid, *mollweide(r, c))[0] for c in range(4)] for r in range(3)]
    assert found == DEGREES
    assert np.isnan(told(grid, *mollweide(0, 0))[1])


@pytest.mark.parametrize("row,column", [(-1, 0), (3, 0), (0, -1), (0, 4)])
def test_beyond_the_raster_nothing_is_known(tmp_path: Path, row, column):
    add(tmp_path, smod(tmp_path))
    assert told(only(tmp_path), *mollweide(row, column))[0] == 0


def test_smod_in_degrees_from_a_zip(tmp_path: Path):
    step = 1 / 120
    tile = raster_file(
        tmp_path / "GHS_SMOD_E2025_GLOBE_R2023A_4326_30ss_V2_0.tif", CODES, 2.0, 49.0, step,
        "EPSG:4326",
    )  # fmt: skip
    with zipfile.ZipFile(tmp_path / "tile.zip", "w") as file:
        file.write(tile, tile.name)
    add(tmp_path, tmp_path / "tile.zip")
    grid = only(tmp_path)
    found = [
        [told(grid, 2.0 + (c + 0.5) * step, 49.0 - (r + 0.5) * step)[0] for c in range(4)]
        for r in range(3)
    ]
    assert found == DEGREES


def test_a_raster_larger_than_a_piece_is_read_whole(tmp_path: Path, monkeypatch):
    from geoengine.catalog.density.reading import geotiff

    monkeypatch.setattr(geotiff, "ROWS_AT_ONCE", 7)
    rng = np.random.default_rng(3)
    codes = rng.choice(np.array([30, 21, 13, 12, 11, -200], np.int16), (40, 30))
    add(tmp_path, smod(tmp_path, codes))
    degree_of = {30: 1, 21: 4, 13: 5, 12: 6, 11: 7, -200: 0}
    rows, columns = np.divmod(np.arange(1200), 30)
    lon_deg, lat_deg = np.array([mollweide(r, c) for r, c in zip(rows, columns, strict=True)]).T[0]
    found = only(tmp_path).look_up(lon_deg, lat_deg).degree
    assert found.tolist() == [degree_of[code] for code in codes.ravel().tolist()]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_people_of_ghs_pop_and_the_degree_that_follows(tmp_path: Path, dtype):
    people = np.zeros((20, 20), dtype)
    people[4:12, 4:12] = 2_000.4
    people[0, 0] = -200
    file = raster_file(
        tmp_path / "GHS_POP_E2020_R2023A_54009_1000_V1_0_R4_C19.tif", people,
        WEST_KM * 1e3, NORTH_KM * 1e3,
    )  # fmt: skip
    (line,) = add(tmp_path, file)
    assert line.startswith("ghsl-pop-GHS_POP_E2020_R2023A_54009_1000_V1_0_R4_C19: GHS-POP 2020, 64")
    degree, found = told(only(tmp_path), *mollweide(7, 7))
    assert degree == 1
    assert found == pytest.approx(2_000 * np.pi, rel=0.01)


def test_people_by_cell_of_degrees_are_judged_by_people_a_km2(tmp_path: Path):
    people = np.full((30, 30), 600.0)  # in the north a cell of 30 seconds has 0.33 km2
    file = raster_file(
        tmp_path / "GHS_POP_E2020_4326_30ss.tif", people, 20.0, 67.0, 1 / 120, "EPSG:4326"
    )
    add(tmp_path, file)
    degree, found = told(only(tmp_path), 20.125, 66.875)
    assert degree == 1
    assert found == pytest.approx(600 / 0.336 * np.pi, rel=0.02)


# --- what is refused ----------------------------------------------------------------------------


def test_codes_of_something_else_are_refused(tmp_path: Path):
    land_cover = np.array([[30, 99]], np.int16)
    with pytest.raises(DataError, match=r"expected the codes 30, .*, found 99 within rows 0 to 0"):
        add(tmp_path, smod(tmp_path, land_cover))


def test_people_below_nothing_are_refused(tmp_path: Path):
    file = raster_file(tmp_path / "POP.tif", np.array([[-7.0, 3.0]]), 0, 5.8e6)
    with pytest.raises(DataError, match="expected people by cell, found -7"):
        add(tmp_path, file)


def test_cells_of_100_m_are_refused(tmp_path: Path):
    with pytest.raises(DataError, match=r"expected cells of 1 km .* found 100 by 100"):
        add(tmp_path, smod(tmp_path, step=100.0))


def test_a_raster_without_a_coordinate_system_is_refused(tmp_path: Path):
    with pytest.raises(DataError, match="in a coordinate system"):
        add(tmp_path, smod(tmp_path, crs=None))


def test_an_empty_raster_is_refused(tmp_path: Path):
    with pytest.raises(DataError, match="holds no data"):
        add(tmp_path, smod(tmp_path, np.full((2, 2), -200, np.int16)))
    nobody_there = raster_file(tmp_path / "POP.tif", np.zeros((2, 2)), 0, 5.8e6)
    with pytest.raises(DataError, match="nobody lives in it"):
        add(tmp_path, nobody_there)


def test_what_is_no_geotiff_is_refused(tmp_path: Path):
    (tmp_path / "SMOD.tif").write_bytes(b"II*\0 nothing")
    with pytest.raises(DataError, match="cannot be read as a GeoTIFF"):
        add(tmp_path, tmp_path / "SMOD.tif")
    assert kept.load(tmp_path) == []
