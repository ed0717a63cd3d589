"""From people by cell to what is kept of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from geoengine.catalog.density import cells, kept
from geoengine.catalog.density.degree import degrees
from geoengine.catalog.density.grid import Degrees
from geoengine.catalog.density.lattice import Lattice
from geoengine.catalog.density.packed import About, digest_of
from geoengine.core.columns import Floats, Longs

PEOPLE_MIN = 0.5  # estimates spread a tenth of a person over deserts; below it nobody lives there


def added_up(keys: Longs, people: Floats) -> tuple[Longs, Floats]:
    """Each cell once, ascending: on a border two countries each count theirs."""
    once, back = np.unique(keys, return_inverse=True)
    total = np.bincount(back, people, len(once)).astype(np.float64)
    is_inhabited = total >= PEOPLE_MIN
    return once[is_inhabited], total[is_inhabited]


class Origin(NamedTuple):
    """What cells come from."""

    files: Sequence[Path]
    kind: str
    label: str


def keep_population(
    data: Path, origin: Origin, lattice: Lattice, keys: Longs, people: Floats
) -> str:
    """Keep people by cell, with the degree that follows from them. Returns a line to print."""
    return keep_cells(data, origin, lattice, *degrees(lattice, keys, people))


def keep_cells(
    data: Path,
    origin: Origin,
    lattice: Lattice,
    keys: Longs,
    people: Floats | None,
    degree: Degrees,
) -> str:
    """Keep degree, and people where known, by cell; keys ascending. Returns a line to print."""
    about = About(
        kind=origin.kind,
        form="cells",
        label=origin.label,
        origin=[path.name for path in origin.files],
        digest=digest_of(origin.files),
        box=lattice.box(keys),
        row_count=len(keys),
        lattice=lattice,
    )
    whole = None if people is None else np.rint(people).astype(np.int32)
    return kept.keep(data, about, cells.parts_of(keys, whole, degree))


def labelled(whose: str, year: int | None) -> str:
    """Whose data and of when."""
    return f"{whose} {year}" if year else whose
