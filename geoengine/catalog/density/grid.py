"""What every density grid answers, whatever it was made of."""

from __future__ import annotations

from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from geoengine.core.columns import Floats

Degrees = NDArray[np.int8]

AROUND_M = 1_000.0  # the disc whose people are counted; another one and thresholds mean nothing

# Degree of urbanisation, level 2, numbered as in INSEE's grid of seven levels: from 1, the densest.
# The words are those of Eurostat's manual (Applying the Degree of Urbanisation, 2021).
NOT_COVERED = 0
DEGREE_NAMES = (
    "not covered",
    "urban centre",
    "dense town",
    "semi-dense town",
    "suburban or peri-urban",
    "village",
    "dispersed rural",
    "mostly uninhabited",
)
URBAN_CENTRE, DENSE_TOWN, SEMI_DENSE_TOWN, SUBURBAN, VILLAGE, DISPERSED, UNINHABITED = range(1, 8)

# The codes of level 2 in GHS-SMOD and in Eurostat's files (GHSL Data Package 2023). 10 is water.
DEGREE_OF_CODE = {
    30: URBAN_CENTRE,
    23: DENSE_TOWN,
    22: SEMI_DENSE_TOWN,
    21: SUBURBAN,
    13: VILLAGE,
    12: DISPERSED,
    11: UNINHABITED,
    10: UNINHABITED,
}


class Found(NamedTuple):
    """What a grid knows of P positions."""

    degree: Degrees  # (P,): 0 where the grid does not cover, else 1 to 7
    people: Floats  # (P,): within `AROUND_M`; NaN where the grid has no count


class Grid(Protocol):
    """A density grid that can be asked."""

    @property
    def kind(self) -> str:
        """What it was added as: insee, eurostat, ghsl, h3."""

    @property
    def label(self) -> str:
        """Whose data and of when, for words: "GHSL 2020"."""

    def look_up(self, lon_deg: Floats, lat_deg: Floats) -> Found:
        """Degree and people at each position; float64, shape (P,), WGS 84."""
