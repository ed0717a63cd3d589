"""Rows by the group they belong to, without an object per group."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from geoengine.core.columns import Ints, Longs


@dataclass(frozen=True, slots=True)
class Groups:
    """N rows in G groups: the rows of a group stand side by side."""

    rows: Ints  # shape (N,), by group, within a group ascending
    starts: Longs  # shape (G + 1,): those of group g are rows[starts[g] : starts[g + 1]]

    @classmethod
    def of(cls, group_ix: Ints, group_count: int) -> Groups:
        """Rows by the group each names; a negative one names none.

        >>> Groups.of(np.array([1, 0, -1, 1], np.int32), 2).members(1)
        [0, 3]
        """
        rows = np.argsort(group_ix, kind="stable").astype(np.int32)
        return cls(rows, np.searchsorted(group_ix[rows], np.arange(group_count + 1)))

    def members(self, group: int) -> list[int]:
        """The rows of a group; of a negative one none."""
        if group < 0:
            return []
        found: list[int] = self.rows[self.starts[group] : self.starts[group + 1]].tolist()
        return found
