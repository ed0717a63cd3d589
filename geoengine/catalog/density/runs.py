"""A degree for every cell of a raster, kept as runs: neighbours in a row mostly have the same."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from geoengine.catalog.density.grid import NOT_COVERED, Degrees, Found
from geoengine.catalog.density.lattice import NO_CELL, Squares
from geoengine.catalog.density.packed import About, Parts, from_steps, steps_of
from geoengine.core.columns import Floats, Longs


@dataclass(frozen=True)
class Runs:
    """The degree from each start up to the next, N runs; the first starts at 0."""

    kind: str
    label: str
    lattice: Squares
    starts: Longs
    degree: Degrees

    def look_up(self, lon_deg: Floats, lat_deg: Floats) -> Found:
        """The degree at each position, shape (P,). People are not known."""
        keys = self.lattice.keys_at(lon_deg, lat_deg)
        run_ix = np.searchsorted(self.starts, keys, side="right") - 1
        degree = np.where(keys == NO_CELL, NOT_COVERED, self.degree[run_ix]).astype(np.int8)
        return Found(degree, np.full(len(lon_deg), np.nan))


def in_runs(blocks: Iterable[Degrees]) -> tuple[Longs, Degrees]:
    """Blocks of a raster, end to end in rows, as starts and degrees of runs."""
    starts: list[Longs] = []
    degrees: list[Degrees] = []
    begin, last = 0, None
    for block in blocks:
        flat = block.ravel()
        is_new = np.empty(len(flat), bool)
        is_new[0], is_new[1:] = flat[0] != last, flat[1:] != flat[:-1]
        at = np.flatnonzero(is_new)
        starts.append(at + begin)
        degrees.append(flat[at])
        begin, last = begin + len(flat), flat[-1]
    return np.concatenate(starts), np.concatenate(degrees)


def parts_of(starts: Longs, degree: Degrees) -> Parts:
    """The columns to keep."""
    return {"steps": steps_of(starts), "degree": degree}


def from_parts(about: About, parts: dict[str, Any]) -> Runs:
    """The grid of kept columns."""
    if not isinstance(about.lattice, Squares) or not len(parts["steps"]):
        raise ValueError("runs without a raster, or none")
    starts = from_steps(parts["steps"])
    return Runs(about.kind, about.label, about.lattice, starts, parts["degree"])
