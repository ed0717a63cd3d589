"""Europe by cells of 1 km: people, or the degree of urbanisation, of the grid in EPSG:3035.

Cells are named by their south-west corner (INSPIRE, D2.8.I.2): CRS3035RES1000mN2683000E4285000 in
Eurostat's census grid of 2021 (columns GRD_ID, T, ...), 1kmN2683E4285 in the GEOSTAT grids of 2006
and 2011 (GRD_ID, TOT_P) and JRC's of 2018 (TOT_P_2018). National census files have a country in
front, and one row a statistic (SPATIAL, STAT, OBS_VALUE): those of STAT T are the people. The
French Filosofi by 1 km (idcar_1km, ind) are named alike.

A degree is the code of level 2 (30, 23, 22, 21, 13, 12, 11, 10) or, poorer, the class of level 1
(1 city, 2 town or suburb, 3 rural).
"""

from __future__ import annotations

import re
from array import array
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from geoengine.catalog.density.grid import (
    DEGREE_OF_CODE,
    DISPERSED,
    SUBURBAN,
    URBAN_CENTRE,
    Degrees,
)
from geoengine.catalog.density.lattice import Squares
from geoengine.catalog.density.reading.plain import plain
from geoengine.catalog.density.reading.population import (
    Origin,
    added_up,
    keep_cells,
    keep_population,
    labelled,
)
from geoengine.catalog.density.reading.tables import ENDINGS, Role, Tally, pick, tables, year_in
from geoengine.catalog.reading.sources import Progress
from geoengine.core.columns import Floats, Longs
from geoengine.core.errors import DataError

KIND = "eurostat"
LATTICE = Squares("EPSG:3035", 0.0, 0.0, 1_000.0, 1_000.0, 10_000, 10_000)

CELL = Role(
    "the cell's id (GRD_ID, SPATIAL, CELLCODE, idcar_1km)",
    r"grd_(new)?id|spatial|cell_?(code|id)|id_?car(r?_?1km)?|gitter_id_1km",
)
PEOPLE = Role(
    "the people (TOT_P, TOT_P_2021, T, OBS_VALUE, population, ind)",
    r"tot_p(op)?(_?\d{4})?|t|obs_value(_t)?|pop(ulation)?(_?\d{4})?|ind",
    is_needed=False,
)
DEGREE = Role(
    "the degree of urbanisation (DGURBA, DEGURBA, SMOD)",
    r"d(e?)gur(ba)?(_?(cla|l2|l1|lvl2|level2|2))?(_?\d{4})?|smod(_?\w*)?",
    is_needed=False,
)
STATISTIC = Role("the statistic (STAT)", "stat", is_needed=False)
TOTAL = "T"

DEGREE_OF_CLASS = {1: URBAN_CENTRE, 2: SUBURBAN, 3: DISPERSED}

# What stands for "withheld": the census grid has -9999, or nothing.
WITHHELD = frozenset({"", "-9999", "None"})

_LONG = re.compile(r"(?:^|_)CRS3035RES1000mN(\d{4})000E(\d{4})000$")
_SHORT = re.compile(r"(?:^|_)1kmN(\d{4})E(\d{4})$")


class _Read(NamedTuple):
    keys: Longs
    people: Floats  # NaN where the file has none
    degree: Degrees  # 0 where the file has none
    label: str
    notes: list[str]


def add(files: Sequence[Path], data: Path, tell: Progress) -> list[str]:
    """Convert files of cells, all together one grid; returns lines to print."""
    read = [_read(path, data, tell) for path in files]
    keys, people, degree = (
        np.concatenate(columns)
        for columns in zip(*((one.keys, one.people, one.degree) for one in read), strict=True)
    )
    origin = Origin(files, KIND, read[0].label)
    if degree.any():
        line = _keep_degrees(data, origin, keys, people, degree)
    else:
        line = keep_population(data, origin, LATTICE, *added_up(keys, people))
    return [line, *(note for one in read for note in one.notes)]


def _keep_degrees(data: Path, origin: Origin, keys: Longs, people: Floats, degree: Degrees) -> str:
    """Keep the degree as published; of a cell named twice, the first."""
    once, first, back = np.unique(keys, return_index=True, return_inverse=True)
    total = None
    if not np.isnan(people).all():
        total = np.bincount(back, np.nan_to_num(people), len(once)).astype(np.float64)
    return keep_cells(data, origin, LATTICE, once, total, degree[first])


def _read(path: Path, data: Path, tell: Progress) -> _Read:
    with plain(path, ENDINGS, data, tell) as file:
        table, names = pick(file, tables(file), (CELL, PEOPLE, DEGREE, STATISTIC))
        if names[1] is None and names[2] is None:
            raise DataError(
                f"{path}: expected a column of {PEOPLE.what}, or of {DEGREE.what}; found "
                f"{', '.join(table.columns[:20])}"
            )
        tally = Tally(path, table.unit)
        picked = [name for name in names if name]
        places = [picked.index(name) if name else None for name in names]
        rows = (
            (at, [_cell(row, place) for place in places]) for at, row in table.rows(picked, tell)
        )
        return _gathered(path, rows, tally, names)


def _cell(row: tuple[Any, ...], place: int | None) -> str | None:
    return None if place is None else str(row[place]).strip()


def _gathered(
    path: Path, rows: Iterator[tuple[int, list[str | None]]], tally: Tally, names: list[str | None]
) -> _Read:
    keys, people, degree = array("q"), array("d"), array("b")
    withheld_count = 0
    for at, (cell, count, code, statistic) in rows:
        if statistic not in (None, TOTAL):
            continue
        if code is None and count in WITHHELD:
            withheld_count += 1
            continue
        try:
            key, number, its_degree = _key(cell or ""), _people(count), _degree(code, count)
        except ValueError as error:
            tally.add(at, str(error))
            continue
        keys.append(key)
        people.append(number)
        degree.append(its_degree)
    tally.check(len(keys))
    notes = [f"{withheld_count:,} cells whose people are withheld left out"] * bool(withheld_count)
    whose = "INSEE Filosofi" if "car" in (names[0] or "").lower() else "Eurostat"
    label = labelled(whose, year_in(names[1], names[2], path.name))
    return _Read(
        np.frombuffer(keys, np.int64),
        np.frombuffer(people, np.float64),
        np.frombuffer(degree, np.int8),
        label,
        tally.lines() + notes,
    )


def _key(cell: str) -> int:
    found = _LONG.search(cell) or _SHORT.search(cell)
    if found is None:
        raise ValueError(f"expected a cell such as CRS3035RES1000mN2683000E4285000, found {cell!r}")
    return int(found[1]) * LATTICE.width + int(found[2])


def _people(count: str | None) -> float:
    if count is None or count in WITHHELD:
        return float("nan")
    people = float(count)
    if not 0 <= people < 1e7:
        raise ValueError(f"expected a number of people, found {count}")
    return people


def _degree(code: str | None, count: str | None) -> int:
    """The degree of a code; of a class of level 1 only where there are no people to tell more."""
    if code is None:
        return 0
    value = int(float(code)) if code else 0
    if value in DEGREE_OF_CLASS:
        return DEGREE_OF_CLASS[value] if count is None else 0
    if value not in DEGREE_OF_CODE:
        raise ValueError(
            f"expected a degree of 30, 23, 22, 21, 13, 12, 11, 10 or 1 to 3, found {code!r}"
        )
    return DEGREE_OF_CODE[value]
