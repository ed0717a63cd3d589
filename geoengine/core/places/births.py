"""Since when each zone has had its shape: what one Book hands on to the next.

Somebody inside a zone that is new did not walk in, and a zone that is gone closes its visits. Both
are asked of a million zones at once while the service runs, so a zone is one number here, and the
zones of a Book are two sorted columns: no object per zone, and all comparing is numpy's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b

import numpy as np

from geoengine.core.columns import Bools, Longs

_ODD = np.int64(-7046029254386353131)  # 2^64 over the golden ratio: other prints, other marks


def marks(ids: Sequence[str], prints: Longs) -> Longs:
    """One number for each zone's name and shape, int64, shape (Z,); the same on every machine.

    Of a million zones two share one with a chance of 1 in 37 million.
    """
    packed = b"".join([blake2b(name.encode(), digest_size=8).digest() for name in ids])
    mixed: Longs = np.frombuffer(packed, "<i8") ^ (prints * _ODD)
    return mixed


@dataclass(frozen=True, slots=True)
class Births:
    """The zones of a Book, in order of their marks, and since when each has had its shape."""

    marks: Longs  # shape (Z,), ascending
    born_ms: Longs  # shape (Z,)

    @classmethod
    def of(cls, marks: Longs, born_ms: Longs) -> Births:
        """Those of zones in any order."""
        order = np.argsort(marks)
        return cls(marks[order], born_ms[order])

    def born_ms_of(self, marks: Longs, otherwise_ms: int) -> Longs:
        """When zones of these marks, int64 of shape (N,), were born; those not known otherwise."""
        at, is_known = self._find(marks)
        born_ms = np.full(len(marks), otherwise_ms, np.int64)
        born_ms[is_known] = self.born_ms[at[is_known]]
        return born_ms

    def has_all(self, marks: Longs) -> bool:
        """Whether every one of these marks is known."""
        return bool(self._find(marks)[1].all())

    def _find(self, marks: Longs) -> tuple[Longs, Bools]:
        """Where each mark would stand, and whether it does."""
        # Sought in order of size: a million one after the other, not all over the memory.
        order = np.argsort(marks)
        at = np.empty(len(marks), np.int64)
        at[order] = np.searchsorted(self.marks, marks[order])
        is_known = at < len(self.marks)
        is_known[is_known] = self.marks[at[is_known]] == marks[is_known]
        return at, is_known
