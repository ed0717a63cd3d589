"""The degree of urbanisation of cells of a population grid, level 2.

From Eurostat, FAO, UN-Habitat, OECD and World Bank, Applying the Degree of Urbanisation (2021),
in the words of the OECD's short form:

- urban centre: contiguous cells (across edges) of 1,500 people a km2 and more that hold 50,000 and
  more together; gaps and bays are filled: a cell joins when most of its neighbours are in;
- dense town: the same with 5,000 people and more;
- urban cluster: contiguous cells (corners count) of 300 a km2 and more, 5,000 and more together.
  It is a semi-dense town where it lies 2 km or more from every centre and dense town; else what is
  left of it is suburban;
- village: the same with 500 and more; dispersed rural: other cells of 50 a km2 and more; mostly
  uninhabited: the rest.

The manual is about squares of 1 km2. Hexagons of H3 at resolution 8 hold 0.74 km2 on average; they
have no corners, so contiguous is contiguous, and four of six neighbours are most. The manual counts
permanent land and built-up cells too; of these a population grid knows nothing.
"""

from __future__ import annotations

import numpy as np

from geoengine.catalog.density.clusters import clusters, sums
from geoengine.catalog.density.grid import (
    DENSE_TOWN,
    DISPERSED,
    SEMI_DENSE_TOWN,
    SUBURBAN,
    UNINHABITED,
    URBAN_CENTRE,
    VILLAGE,
    Degrees,
)
from geoengine.catalog.density.lattice import NO_CELL, Lattice
from geoengine.core.columns import Bools, Floats, Longs

# People per square kilometre, and people of a cluster. They are the definition: with others the
# word "city" means something else than in the statistics.
DENSE_PER_KM2 = 1_500.0
URBAN_PER_KM2 = 300.0
DISPERSED_PER_KM2 = 50.0
CENTRE_PEOPLE = 50_000.0
TOWN_PEOPLE = 5_000.0
VILLAGE_PEOPLE = 500.0
APART_RINGS = 2  # cells between two things 2 km apart

# Most of the neighbours of a cell, by how many it has: five of eight, as the manual says.
MOST_OF = {8: 5, 6: 4}


def degrees(lattice: Lattice, keys: Longs, people: Floats) -> tuple[Longs, Floats, Degrees]:
    """The degree of urbanisation of each cell.

    Parameters
    ----------
    keys : int64, shape (N,)
        Inhabited cells, ascending.
    people : float64, shape (N,)

    Returns
    -------
    keys, people, degree : shape (M,)
        M >= N, ascending: gaps of urban centres that were filled are added, without people.
    """
    centre = _filled(lattice, _centres(lattice, keys, people))
    keys, people = _joined(keys, people, centre)
    per_km2 = people / lattice.areas_km2(keys)
    is_centre = np.isin(keys, centre, assume_unique=True)
    is_dense = (per_km2 >= DENSE_PER_KM2) & ~is_centre
    is_dense_town = _together(lattice, keys, is_dense, True, people)[0] >= TOWN_PEOPLE
    is_near = np.isin(keys, _rings(lattice, keys[is_centre | is_dense_town]))
    is_close = (per_km2 >= URBAN_PER_KM2) | is_centre
    crowd, near_count = _together(lattice, keys, is_close, False, people, is_near)
    degree = np.select(
        [is_centre, is_dense_town, (crowd >= TOWN_PEOPLE) & (near_count == 0),
         crowd >= TOWN_PEOPLE, crowd >= VILLAGE_PEOPLE, per_km2 >= DISPERSED_PER_KM2],
        [URBAN_CENTRE, DENSE_TOWN, SEMI_DENSE_TOWN, SUBURBAN, VILLAGE, DISPERSED],
        UNINHABITED,
    )  # fmt: skip
    return keys, people, degree.astype(np.int8)


def _centres(lattice: Lattice, keys: Longs, people: Floats) -> Longs:
    is_dense = people / lattice.areas_km2(keys) >= DENSE_PER_KM2
    return keys[_together(lattice, keys, is_dense, True, people)[0] >= CENTRE_PEOPLE]


def _together(
    lattice: Lattice, keys: Longs, is_member: Bools, is_across_edges: bool, *amounts: Floats | Bools
) -> list[Floats]:
    """What the members of each cell's cluster amount to, each shape (N,); 0 for no member."""
    members = np.flatnonzero(is_member)
    cluster = clusters(lattice, keys[members], is_across_edges)
    totals = []
    for amount in amounts:
        total = np.zeros(len(keys))
        total[members] = sums(cluster, amount[members])
        totals.append(total)
    return totals


def _rings(lattice: Lattice, keys: Longs) -> Longs:
    """The cells, and those less than 2 km from them."""
    for _ in range(APART_RINGS):
        around = lattice.neighbours(keys)
        keys = np.union1d(keys, around[around != NO_CELL])
    return keys


def _filled(lattice: Lattice, centre: Longs) -> Longs:
    """Cells of which most neighbours are in a centre join it, until there is none left."""
    beside, count = np.empty(0, np.int64), np.empty(0, np.int64)
    new = centre
    while len(new):
        around = lattice.neighbours(new)
        most = MOST_OF[around.shape[1]]
        beside, count = _counted(beside, count, around[around != NO_CELL])
        new = np.setdiff1d(beside[count >= most], centre, assume_unique=True)
        centre = np.union1d(centre, new)
    return centre


def _counted(beside: Longs, count: Longs, more: Longs) -> tuple[Longs, Longs]:
    """How often each cell was named, with those named now."""
    named, often = np.unique(more, return_counts=True)
    both, back = np.unique(np.concatenate([beside, named]), return_inverse=True)
    total = np.bincount(back, np.concatenate([count, often]), len(both)).astype(np.int64)
    return both, total


def _joined(keys: Longs, people: Floats, more: Longs) -> tuple[Longs, Floats]:
    """The cells and those that are not among them, these without people; ascending."""
    new = np.setdiff1d(more, keys, assume_unique=True)
    both = np.concatenate([keys, new])
    order = np.argsort(both)
    return both[order], np.concatenate([people, np.zeros(len(new))])[order]
