"""Lists of Python numbers made into columns."""

from __future__ import annotations

import struct
from collections.abc import Sequence

import numpy as np

from geoengine.core.columns import Floats


def floats(values: Sequence[float | None]) -> Floats:
    """A column of numbers; NaN where there is none."""
    try:
        return packed(values)
    except struct.error:  # a None among them, which only the slower way takes
        return np.array(values, np.float64)


def packed(values: Sequence[float | None]) -> Floats:
    """A column of numbers; raises `struct.error` where one is none, not even a text of one.

    Less than half of what `np.fromiter` costs. Raises `OverflowError` for a whole number beyond
    every float.
    """
    column = np.empty(len(values))
    struct.pack_into(f"{len(values)}d", column.data, 0, *values)
    return column
