"""Population by cell: sorted keys, people, and the degree of urbanisation of each cell.

People around a position are the sum over cells by the share of the disc of `AROUND_M` that each
cell holds. The shares are counted at `SAMPLES` points spread evenly over the disc. Against the
exact overlap, on squares of 1 km whose people differ as a lognormal of sigma 1 (two neighbours
differ threefold), the sum is off by 4 % (standard deviation), by a quarter at worst of a thousand;
that people live evenly within a cell is the larger assumption.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from geoengine.catalog.density.grid import AROUND_M, NOT_COVERED, UNINHABITED, Degrees, Found
from geoengine.catalog.density.lattice import Lattice
from geoengine.catalog.density.packed import About, Parts, from_steps, steps_of
from geoengine.core.columns import Bools, Floats, Ints, Longs
from geoengine.core.units import DEGREE_M

SAMPLES = 64  # with 48 off by 5 %; more are slower: a position costs as many look-ups of cells
AT_ONCE = 4_096  # positions at a time, so that a million fit in memory

# These files leave out cells where nobody lives. A position in such a cell is taken for covered
# where people are listed around it: within `SIGHT_M`, in this many of eight directions. Fewer, and
# a place across the border from a national file would be called uninhabited.
SIDES = 8
SIDES_NEEDED = 6
SIGHT_M = 5_000.0
SIGHT_STEP_M = 1_000.0

_GOLDEN_ANGLE = np.pi * (3 - np.sqrt(5))


@dataclass(frozen=True)
class Cells:
    """Inhabited cells of a lattice, N of them, ascending."""

    kind: str
    label: str
    lattice: Lattice
    keys: Longs
    people: Ints | None  # none where the source has only the degree
    degree: Degrees

    def look_up(self, lon_deg: Floats, lat_deg: Floats) -> Found:
        """Degree and people at each position, shape (P,)."""
        degree = np.empty(len(lon_deg), np.int8)
        people = np.empty(len(lon_deg))
        for start in range(0, len(lon_deg), AT_ONCE):
            part = slice(start, start + AT_ONCE)
            degree[part], people[part] = self._look_up(lon_deg[part], lat_deg[part])
        return Found(degree, people)

    def per_km2(self, lon_deg: Floats, lat_deg: Floats) -> Floats:
        """People per square kilometre of the cell at each position, shape (P,); 0 where none is
        listed. NaN all over where the source has no count.
        """
        if self.people is None:
            return np.full(len(lon_deg), np.nan)
        cell_ix, is_listed = self._find(self.lattice.keys_at(lon_deg, lat_deg))
        hit, back = np.unique(cell_ix[is_listed], return_inverse=True)
        density = np.zeros(len(cell_ix))
        density[is_listed] = (self.people[hit] / self.lattice.areas_km2(self.keys[hit]))[back]
        return density

    def _look_up(self, lon_deg: Floats, lat_deg: Floats) -> Found:
        own_ix, is_listed = self._find(self.lattice.keys_at(lon_deg, lat_deg))
        degree = np.where(is_listed, self.degree[own_ix], NOT_COVERED).astype(np.int8)
        unlisted = np.flatnonzero(~is_listed)
        is_gap = self._is_surrounded(lon_deg[unlisted], lat_deg[unlisted])
        degree[unlisted[is_gap]] = UNINHABITED
        covered = np.flatnonzero(degree != NOT_COVERED)
        people = np.full(len(lon_deg), np.nan)
        if self.people is not None:
            people[covered] = self._people_around(lon_deg[covered], lat_deg[covered])
        return Found(degree, people)

    def _people_around(self, lon_deg: Floats, lat_deg: Floats) -> Floats:
        samples = moved(lon_deg, lat_deg, *_even_over_disc(SAMPLES, AROUND_M))
        disc_km2 = np.pi * (AROUND_M / 1000) ** 2
        density = self.per_km2(*samples).reshape(len(lon_deg), SAMPLES)
        found: Floats = density.mean(axis=1) * disc_km2
        return found

    def _is_surrounded(self, lon_deg: Floats, lat_deg: Floats) -> Bools:
        away_m = np.arange(SIGHT_STEP_M, SIGHT_M + 1, SIGHT_STEP_M)
        side = np.arange(SIDES) * (2 * np.pi / SIDES)
        east_m, north_m = (np.outer(turn(side), away_m).ravel() for turn in (np.sin, np.cos))
        there = self.lattice.keys_at(*moved(lon_deg, lat_deg, east_m, north_m))
        is_listed = self._find(there)[1].reshape(len(lon_deg), SIDES, len(away_m))
        is_enough: Bools = is_listed.any(axis=2).sum(axis=1) >= SIDES_NEEDED
        return is_enough

    def _find(self, keys: Longs) -> tuple[Longs, Bools]:
        """Row of each key, and whether it has one; where not, the row means nothing."""
        row_ix = np.minimum(np.searchsorted(self.keys, keys), len(self.keys) - 1)
        return row_ix, self.keys[row_ix] == keys


def parts_of(keys: Longs, people: Ints | None, degree: Degrees) -> Parts:
    """The columns to keep; keys ascending."""
    parts = {"steps": steps_of(keys), "degree": degree}
    return parts if people is None else {**parts, "people": people}


def from_parts(about: About, parts: dict[str, Any]) -> Cells:
    """The grid of kept columns."""
    if about.lattice is None or not len(parts["steps"]):
        raise ValueError("cells without a lattice, or none")
    keys = from_steps(parts["steps"])
    people = parts.get("people")
    if not len(keys) == len(parts["degree"]) == len(keys if people is None else people):
        raise ValueError("columns of different lengths")
    return Cells(about.kind, about.label, about.lattice, keys, people, parts["degree"])


def moved(
    lon_deg: Floats, lat_deg: Floats, east_m: Floats, north_m: Floats
) -> tuple[Floats, Floats]:
    """Every position moved by every offset.

    Parameters
    ----------
    lon_deg, lat_deg : float64, shape (P,)
    east_m, north_m : float64, shape (S,)

    Returns
    -------
    lon_deg, lat_deg : float64, shape (P * S,)
        All offsets of the first position, then of the second. On a sphere: at 5 km off by 20 m.
    """
    lat = np.clip(lat_deg[:, None] + north_m / DEGREE_M, -90.0, 90.0)
    shrink = np.maximum(np.cos(np.radians(lat_deg)), 0.01)
    lon = lon_deg[:, None] + east_m / (DEGREE_M * shrink[:, None])
    return ((lon + 180.0) % 360.0 - 180.0).ravel(), lat.ravel()


def _even_over_disc(count: int, radius_m: float) -> tuple[Floats, Floats]:
    """Points that each stand for an equal part of a disc: Vogel's spiral (1979)."""
    turn = np.arange(count) * _GOLDEN_ANGLE
    away_m = radius_m * np.sqrt((np.arange(count) + 0.5) / count)
    return away_m * np.sin(turn), away_m * np.cos(turn)
