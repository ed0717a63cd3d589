"""People by cell of H3: Kontur's files and others like them.

Kontur Population (HDX): a GeoPackage, mostly gzipped, with one table of columns h3, population and
a geometry in EPSG:3857 that is not read; cells of resolution 8, 400 m. Only inhabited cells are
listed. CSV and NDJSON of h3 and population are read alike; cells are text or numbers.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from geoengine.catalog.density.lattice import Hexagons
from geoengine.catalog.density.reading.plain import plain
from geoengine.catalog.density.reading.population import (
    Origin,
    added_up,
    keep_population,
    labelled,
)
from geoengine.catalog.density.reading.tables import ENDINGS, Role, Tally, pick, tables, year_in
from geoengine.catalog.reading.sources import Progress
from geoengine.core.columns import Floats, Longs
from geoengine.core.errors import DataError
from geoengine.core.space.cells import cell_parents, cell_resolutions

KIND = "h3"

CELL = Role("the cell (h3, h3_index, hex)", r"h3(_?(index|id|cell))?|hex(_?id)?|cell(_?id)?")
PEOPLE = Role("the people (population, pop)", r"pop(ulation)?(_?(sum|total|\d{4}))?|people")

# A cell of resolution 8 has 0.74 km2, near to the 1 km2 of the definitions; finer ones are added up
# to it. One of 7 has 5 km2 and blurs; one of 6 has 36 and says nothing of 1 km around a shop.
FINEST = 8
COARSEST = 7


def add(files: Sequence[Path], data: Path, tell: Progress) -> list[str]:
    """Convert files of cells, all together one grid; returns lines to print."""
    notes: list[str] = []
    read = [_read(path, data, tell, notes) for path in files]
    keys = np.concatenate([found for found, _ in read])
    people = np.concatenate([found for _, found in read])
    resolution = _resolution(files, keys)
    keys, people = added_up(cell_parents(keys, resolution), people)
    name = files[0].name
    whose = "Kontur" if "kontur" in name.lower() else "H3 population"
    origin = Origin(files, KIND, labelled(whose, year_in(name)))
    return [keep_population(data, origin, Hexagons(resolution), keys, people), *notes]


def _read(path: Path, data: Path, tell: Progress, notes: list[str]) -> tuple[Longs, Floats]:
    keys, people = array("q"), array("d")
    with plain(path, ENDINGS, data, tell) as file:
        table, names = pick(file, tables(file), (CELL, PEOPLE))
        tally = Tally(path, table.unit)
        for at, (cell, count) in table.rows([name for name in names if name], tell):
            try:
                key, number = _key(cell), float(count)
            except (ValueError, TypeError, OverflowError):
                tally.add(at, f"expected a cell and its people, found {cell!r} and {count!r}")
                continue
            keys.append(key)
            people.append(number)
    return _checked(np.frombuffer(keys, np.int64), np.frombuffer(people, np.float64), tally, notes)


def _key(cell: Any) -> int:
    key = cell if isinstance(cell, int) else _number(str(cell).strip())
    if not 0 < key < 1 << 63:
        raise ValueError(cell)
    return key


def _number(text: str) -> int:
    """A cell as text is hexadecimal, of 15 signs; some exports write it in decimal, of 18."""
    return int(text, 10 if len(text) > 16 else 16)


def _checked(keys: Longs, people: Floats, tally: Tally, notes: list[str]) -> tuple[Longs, Floats]:
    is_cell = cell_resolutions(keys) >= 0
    is_good = is_cell & (people >= 0) & (people < 1e7)
    for ix in np.flatnonzero(~is_good).tolist():
        tally.add(ix + 1, f"no H3 cell and number of people: {keys[ix]:x} and {people[ix]:g}")
    tally.check(int(is_good.sum()))
    notes += tally.lines()
    return keys[is_good], people[is_good]


def _resolution(files: Sequence[Path], keys: Longs) -> int:
    """The resolution to keep; all cells must be of one."""
    found = np.unique(cell_resolutions(keys)).tolist()
    names = ", ".join(path.name for path in files)
    if len(found) > 1:
        raise DataError(f"{names}: expected cells of one resolution, found {found}")
    if found[0] < COARSEST:
        raise DataError(
            f"{names}: cells of resolution {found[0]} are too large to tell a city from its "
            f"suburb; expected {COARSEST} or finer (Kontur's 400 m file has 8)"
        )
    return min(int(found[0]), FINEST)
