"""France by commune: INSEE's grid of seven levels.

INSEE, La grille communale de densité (working paper 2022-18): 1 grands centres urbains, 2 centres
urbains intermédiaires, 3 petites villes, 4 ceintures urbaines, 5 bourgs ruraux, 6 rural à habitat
dispersé, 7 rural à habitat très dispersé. These are the classes of the degree of urbanisation,
level 2, from the densest.

Read are outlines of communes as GeoJSON (WGS 84), with the code and the level, or with the code and
a CSV of levels beside: the sheet of INSEE's workbook (CODGEO, DENS or DENS7) saved as CSV.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import shapely
from numpy.typing import NDArray

from geoengine.catalog.density import kept, outlines
from geoengine.catalog.density.grid import Degrees
from geoengine.catalog.density.packed import About, digest_of
from geoengine.catalog.density.reading.plain import plain
from geoengine.catalog.density.reading.population import labelled
from geoengine.catalog.density.reading.tables import (
    Feature,
    Features,
    Role,
    Tally,
    pick,
    tables,
    year_in,
)
from geoengine.catalog.reading.sources import Progress
from geoengine.core.errors import DataError

KIND = "insee"
OUTLINE_ENDINGS = (".geojson", ".json")
LEVEL_ENDINGS = (".csv",)

CODE = Role(
    "the commune's code (code, CODGEO, INSEE_COM, code_insee)",
    r"code(_?(insee|commune|com|geo))?|insee(_?(com|code))?|com(mune)?(_?insee)?|codgeo|depcom",
)
SEVEN = r"(niveau_?|degre_?)?dens(ite)?_?7(_niveaux)?|d7"
LEVEL = Role(
    "the level (dens7, DENS)",
    rf"{SEVEN}|dens|densite|niveau_?densite|degre_?densite|typo_degre_(de_)?densite",
)

LEVELS = range(1, 8)
# A whole country in which nothing is beyond 3, or 4, is INSEE's grid of three or four levels.
COMMUNES_OF_A_COUNTRY = 1_000
LEVELS_OF_ANOTHER_GRID = 4

# Outlines may come by arrondissement; levels are of the commune (INSEE's official code, COG).
COMMUNE_OF = {
    **{str(code): "75056" for code in range(75101, 75121)},
    **{str(code): "69123" for code in range(69381, 69390)},
    **{str(code): "13055" for code in range(13201, 13217)},
}


class _Outline(NamedTuple):
    at: int
    code: str
    level: str | None
    shape: Any


class _Commune(NamedTuple):
    level: int
    shape: Any


def add(files: Sequence[Path], data: Path, tell: Progress) -> list[str]:
    """Convert outlines of communes, and levels where these are apart; returns lines to print."""
    apart = [path for path in files if _bare(path).endswith(LEVEL_ENDINGS)]
    drawn = [path for path in files if path not in apart]
    if not drawn:
        raise DataError(
            f"{', '.join(map(str, files))}: levels need the outlines of the communes too; give "
            "their GeoJSON as well: geoengine data add insee COMMUNES.geojson LEVELS.csv"
        )
    level_of = {code: level for path in apart for code, level in _levels(path, data, tell)}
    communes: list[_Commune] = []
    notes: list[str] = []
    for path in drawn:
        found, tally = _communes(path, data, level_of, tell)
        tally.check(len(found))
        communes += found
        notes += tally.lines()
    shapes = np.array([commune.shape for commune in communes], object)
    levels = np.array([commune.level for commune in communes], np.int8)
    return [_kept(data, files, shapes, levels), *notes]


def _kept(data: Path, files: Sequence[Path], shapes: NDArray[np.object_], degree: Degrees) -> str:
    _check_grid(files, degree)
    west, south, east, north = (round(float(side), 3) for side in shapely.total_bounds(shapes))
    about = About(
        kind=KIND,
        form="outlines",
        label=labelled("INSEE", year_in(*(path.name for path in files))),
        origin=[path.name for path in files],
        digest=digest_of(files),
        box=(west, south, east, north),
        row_count=len(shapes),
    )
    return kept.keep(data, about, outlines.parts_of(shapes, degree))


def _check_grid(files: Sequence[Path], degree: Degrees) -> None:
    if len(degree) >= COMMUNES_OF_A_COUNTRY and degree.max() <= LEVELS_OF_ANOTHER_GRID:
        raise DataError(
            f"{', '.join(path.name for path in files)}: no level beyond {degree.max()} in "
            f"{len(degree):,} communes: expected INSEE's grid of seven levels (dens7)"
        )


def _communes(
    path: Path, data: Path, level_of: dict[str, str], tell: Progress
) -> tuple[list[_Commune], Tally]:
    tally = Tally(path, "feature")
    communes = []
    for outline in _outlines(path, data, tell, is_level_apart=bool(level_of)):
        level = level_of.get(COMMUNE_OF.get(outline.code, outline.code), outline.level)
        what = _wrong(outline, level)
        if what:
            tally.add(outline.at, what)
        else:
            communes.append(_Commune(int(float(level or 0)), outline.shape))
    return communes, tally


def _wrong(outline: _Outline, level: str | None) -> str:
    """What is wrong with an outline, or nothing."""
    if level is None or not _is_level(level):
        return f"{outline.code}: expected a level of 1 to 7, found {level}"
    if outline.shape is None or shapely.is_empty(outline.shape):
        return f"{outline.code}: has no outline"
    if shapely.get_type_id(outline.shape) not in outlines.AREAS:
        return f"{outline.code}: expected a polygon, found a {outline.shape.geom_type}"
    return ""


def _is_level(text: str) -> bool:
    try:
        return float(text) in LEVELS
    except ValueError:
        return False


def _outlines(path: Path, data: Path, tell: Progress, is_level_apart: bool) -> Iterator[_Outline]:
    with plain(path, OUTLINE_ENDINGS, data, tell) as file:
        level = LEVEL._replace(is_needed=not is_level_apart)
        table, (code_name, level_name) = pick(file, [Features(file)], (CODE, level))
        texts = [_text(feature) for feature in table.features]
        shapes = shapely.from_geojson(texts, on_invalid="ignore")
        _check_degrees(path, shapes)
        for at, (feature, shape) in enumerate(zip(table.features, shapes, strict=True), 1):
            cells = feature.properties or {}
            code = _code(cells.get(code_name or ""))
            level_found = cells.get(level_name or "")
            yield _Outline(at, code, None if level_found is None else str(level_found), shape)
        size = file.stat().st_size
        tell(path.name, size, size)


def _text(feature: Feature) -> str | None:
    text = bytes(feature.geometry).decode()
    return None if text == "null" else text


def _check_degrees(path: Path, shapes: NDArray[np.object_]) -> None:
    bounds = shapely.total_bounds(shapes)
    if (np.abs(bounds) > [180, 90, 180, 90]).any():  # NaN, where nothing has an outline, is not
        raise DataError(
            f"{path}: expected longitudes and latitudes (EPSG:4326), found coordinates up to "
            f"{np.abs(bounds).max():,.0f}: convert it with ogr2ogr -t_srs EPSG:4326"
        )


def _levels(path: Path, data: Path, tell: Progress) -> Iterator[tuple[str, str]]:
    with plain(path, LEVEL_ENDINGS, data, tell) as file:
        seven = LEVEL._replace(pattern=SEVEN, is_needed=False)
        table, (code, seven_name, any_name) = pick(file, tables(file), (CODE, seven, LEVEL))
        level = seven_name or any_name
        for _at, cells in table.rows([code or "", level or ""], tell):
            yield _code(cells[0]), str(cells[1]).strip()


def _code(text: Any) -> str:
    """A commune's code; spreadsheets take the zero off those of the first nine departments."""
    return str(text).strip().zfill(5)


def _bare(path: Path) -> str:
    return path.name.lower().removesuffix(".gz").removesuffix(".zip")
