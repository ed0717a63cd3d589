"""Rows counted by the cell they are in."""

from __future__ import annotations

from typing import Final

import numpy as np

from geoengine.core.attribution import each_once, pair
from geoengine.core.columns import Floats, Longs
from geoengine.service.reports.hiding import Crowds

_TABLE_MAX: Final = 4_000_000  # cells' numbers, 32 MB of positions; above, they are searched for


class Tally:
    """C cells, each a number from 0 on; rows name theirs, which is one of them."""

    def __init__(self, *cells: Longs) -> None:
        self.cells: Longs = each_once(np.concatenate(cells))  # shape (C,), ascending
        self._ix_of: Longs | None = None
        if len(self.cells) and self.cells[-1] < _TABLE_MAX:
            self._ix_of = np.zeros(int(self.cells[-1]) + 1, np.int64)
            self._ix_of[self.cells] = np.arange(len(self.cells))

    def __len__(self) -> int:
        return len(self.cells)

    def ix(self, cells: Longs) -> Longs:
        """The position of the cell of each row."""
        return np.searchsorted(self.cells, cells) if self._ix_of is None else self._ix_of[cells]

    def count(self, cells: Longs) -> list[int]:
        """How many rows are in each cell."""
        found: list[int] = np.bincount(self.ix(cells), minlength=len(self)).tolist()
        return found

    def total(self, cells: Longs, amount: Floats) -> list[float]:
        """What the rows of each cell come to."""
        return np.bincount(self.ix(cells), amount, len(self)).tolist()  # type: ignore[no-any-return]

    def distinct(self, cells: Longs, who: Longs) -> Longs:
        """How many different ones are in each cell."""
        ix = self.ix(cells)
        _pairs, first = np.unique(pair(who, ix), return_index=True)
        found: Longs = np.bincount(ix[first], minlength=len(self)).astype(np.int64)
        return found

    def crowds(self, cells: Longs, who: Longs) -> Crowds:
        """Who is in each cell."""
        return Crowds.of(self.ix(cells), who, len(self))

    def by(self, cells: Longs, what: Longs, names: list[str]) -> list[dict[str, int]]:
        """How many rows of each cell are of each kind; kinds are positions of names."""
        totals = self.totals_by(cells, what, np.ones(len(cells)), names)
        return [{name: round(total) for name, total in one.items()} for one in totals]

    def totals_by(
        self, cells: Longs, what: Longs, amount: Floats, names: list[str]
    ) -> list[dict[str, float]]:
        """What the rows of each cell and kind come to; rows of no kind (-1) are left out."""
        kept = np.flatnonzero(what >= 0)
        keys, inverse = np.unique(
            self.ix(cells[kept]) * (len(names) + 1) + what[kept], return_inverse=True
        )
        totals = np.bincount(inverse, amount[kept], len(keys))
        found: list[dict[str, float]] = [{} for _ in range(len(self))]
        for key, total in zip(keys.tolist(), totals.tolist(), strict=True):
            cell_ix, name_ix = divmod(key, len(names) + 1)
            found[cell_ix][names[name_ix]] = round(total, 6)  # sums of cents end in dust
        return [dict(sorted(one.items())) for one in found]
