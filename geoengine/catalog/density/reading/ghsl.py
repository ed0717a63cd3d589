"""The Global Human Settlement Layer of the Joint Research Centre, as GeoTIFF of 1 km.

GHS-SMOD: the degree of urbanisation, level 2, as codes 30, 23, 22, 21, 13, 12, 11 and 10 (water),
-200 where there is no data. GHS-POP: people by cell, with fractions. Both in Mollweide
(ESRI:54009, 1 km) and in EPSG:4326 (30 seconds of arc), of the whole world or by tile, for 1975 to
2030: GHS_SMOD_E2020_GLOBE_R2023A_54009_1000_V2_0.tif (GHSL Data Package 2023).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoengine.catalog.density import kept, runs
from geoengine.catalog.density.grid import DEGREE_OF_CODE, NOT_COVERED, Degrees
from geoengine.catalog.density.packed import About, digest_of
from geoengine.catalog.density.reading.geotiff import ENDINGS, Raster, opened
from geoengine.catalog.density.reading.plain import plain
from geoengine.catalog.density.reading.population import (
    PEOPLE_MIN,
    Origin,
    keep_population,
    labelled,
)
from geoengine.catalog.density.reading.tables import year_in
from geoengine.catalog.reading.sources import Progress
from geoengine.core.errors import DataError

DEGREE_KIND, PEOPLE_KIND = "ghsl-smod", "ghsl-pop"
NO_DATA = -200  # what both products write, also where the file does not say so

_UNKNOWN = -1
_DEGREE_BY_CODE = np.array([DEGREE_OF_CODE.get(code, _UNKNOWN) for code in range(31)], np.int8)


def add(files: Sequence[Path], data: Path, tell: Progress) -> list[str]:
    """Convert rasters, each into a grid of its own; returns lines to print."""
    return [_added(path, data, tell) for path in files]


def _added(path: Path, data: Path, tell: Progress) -> str:
    with plain(path, ENDINGS, data, tell) as file, opened(file) as raster:
        keep = _keep_degrees if _is_degrees(path, raster) else _keep_people
        return keep(path, data, raster, tell)


def _is_degrees(path: Path, raster: Raster) -> bool:
    """Whether it is GHS-SMOD; by its name, else by whether it holds whole numbers."""
    name = path.name.lower()
    return "smod" in name or ("pop" not in name and raster.is_whole_numbers)


def _keep_degrees(path: Path, data: Path, raster: Raster, tell: Progress) -> str:
    bands = (_degrees(path, raster, row, band) for row, band in raster.bands(tell))
    starts, degree = runs.in_runs(bands)
    if not degree.any():
        raise DataError(f"{path}: holds no data")
    about = About(
        kind=DEGREE_KIND,
        form="runs",
        label=labelled("GHSL", year_in(path.name)),
        origin=[path.name],
        digest=digest_of([path]),
        box=_box(raster),
        row_count=len(starts),
        lattice=raster.lattice,
    )
    return kept.keep(data, about, runs.parts_of(starts, degree))


def _degrees(path: Path, raster: Raster, row: int, band: NDArray[Any]) -> Degrees:
    is_mute = band == (NO_DATA if raster.nodata is None else raster.nodata)
    is_code = (band >= 0) & (band < len(_DEGREE_BY_CODE))
    degree = _DEGREE_BY_CODE[np.where(is_code, band, 0).astype(np.intp)]
    degree[is_mute | (band == NO_DATA)] = NOT_COVERED
    if (degree == _UNKNOWN).any():
        raise DataError(
            f"{path}: expected the codes 30, 23, 22, 21, 13, 12, 11, 10 of GHS-SMOD, found "
            f"{band[degree == _UNKNOWN][0]} within rows {row} to {row + len(band) - 1}"
        )
    return degree


def _keep_people(path: Path, data: Path, raster: Raster, tell: Progress) -> str:
    pieces = list(_inhabited(path, raster, tell))
    keys = np.concatenate([keys for keys, _ in pieces])
    people = np.concatenate([people for _, people in pieces])
    if not len(keys):
        raise DataError(f"{path}: nobody lives in it")
    origin = Origin([path], PEOPLE_KIND, labelled("GHS-POP", year_in(path.name)))
    return keep_population(data, origin, raster.lattice, keys, people)


def _inhabited(path: Path, raster: Raster, tell: Progress) -> Iterator[tuple[Any, Any]]:
    for row, band in raster.bands(tell):
        people = np.where(band == raster.nodata, 0, band).astype(np.float64).ravel()
        is_wrong = ((people < 0) & (people != NO_DATA)) | (people > 1e7)
        if is_wrong.any():
            raise DataError(
                f"{path}: expected people by cell, found {people[is_wrong][0]:g} within rows "
                f"{row} to {row + len(band) - 1}"
            )
        at = np.flatnonzero(people >= PEOPLE_MIN)
        yield at + row * raster.lattice.width, people[at]


def _box(raster: Raster) -> tuple[float, float, float, float]:
    """What the corners and sides of a raster lie within; beyond the map's edge nothing counts."""
    lattice = raster.lattice
    sizes = (lattice.height, lattice.width)
    rows, columns = (np.linspace(0, size - 1, 65).astype(np.int64) for size in sizes)
    return lattice.box((rows[:, None] * lattice.width + columns).ravel())
