"""The arrays of something built, by name: whoever keeps these need not know what they mean."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, TypeAlias

from numpy.typing import NDArray

Arrays: TypeAlias = Mapping[str, NDArray[Any]]  # each one-dimensional
NOTHING: Final[Arrays] = {}


def named(owner: str, arrays: Arrays) -> dict[str, NDArray[Any]]:
    """The arrays under their owner's name.

    >>> named("grid", {"start": 1})
    {'grid.start': 1}
    """
    return {f"{owner}.{name}": array for name, array in arrays.items()}


def named_of(owner: str, arrays: Arrays) -> dict[str, NDArray[Any]]:
    """Those of one owner, under the names it knows.

    >>> named_of("grid", {"grid.start": 1, "edges.leaves": 2})
    {'start': 1}
    """
    begin = f"{owner}."
    return {name[len(begin) :]: array for name, array in arrays.items() if name.startswith(begin)}
