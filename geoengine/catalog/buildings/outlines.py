"""Outlines of buildings in columns: made of geometries, and geometries again where one is asked
for.

A building is some 75 bytes here and 700 as an object of shapely's; a town has tens of thousands of
which a catalogue asks for a few.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np
import shapely
from numpy.typing import NDArray

from geoengine.core.columns import Floats, Ints, Longs

# OpenStreetMap's own precision (libosmium: osmium::Location): 1.1 cm at the equator. Coarser, and
# small shops change their shape.
STEPS_PER_DEGREE: Final = 10_000_000
FIRST, OUTER, HOLE = 0, 1, 2  # a ring begins a building, begins another part of it, or is a hole
_BEYOND: Final = np.iinfo(np.int64).max  # no building's key
_KEY: Final = re.compile(r"(way|relation)/([0-9]{1,18})")

Bytes = NDArray[np.uint8]


@dataclass(frozen=True)
class Outlines:
    """B buildings of R rings with C corners, by key."""

    keys: Longs  # shape (B,), ascending: see `key_of`
    ring_kind: Bytes  # shape (R,): FIRST, OUTER or HOLE
    ring_ends: Ints  # shape (R,): where each ring's corners end
    corners: NDArray[np.int32]  # shape (C, 2): longitude and latitude, STEPS_PER_DEGREE

    def __len__(self) -> int:
        return len(self.keys)

    def find(self, keys: Sequence[int]) -> Longs:
        """The row of each building, shape of the keys; -1 where it is not here."""
        wanted = np.array(keys, np.int64)
        ix = np.searchsorted(self.keys, wanted)
        is_here = np.isin(wanted, self.keys)
        found: Longs = np.where(is_here, ix, -1)
        return found

    def areas(self, ix: Longs) -> NDArray[Any]:
        """The outlines of these rows in degrees, courtyards left out; objects, shape of ``ix``."""
        some = _taken(self, ix)
        ring = np.repeat(np.arange(len(some.ring_kind)), np.diff(some.ring_ends, prepend=0))
        rings = shapely.linearrings(some.corners / STEPS_PER_DEGREE, indices=ring)
        is_part = some.ring_kind != HOLE
        parts = shapely.polygons(rings, indices=np.cumsum(is_part) - 1)
        is_first = some.ring_kind[is_part] == FIRST
        owner = np.cumsum(is_first) - 1
        found: NDArray[Any] = parts[is_first]
        is_several = np.bincount(owner, minlength=len(found)) > 1
        whole = shapely.multipolygons(parts, indices=owner)
        found[is_several] = whole[is_several]
        return found

    @cached_property
    def boxes_deg(self) -> Floats:
        """The box of each building: west, south, east, north in degrees, shape (B, 4)."""
        if not len(self):
            return np.empty((0, 4))
        starts = self._ring_starts[self._starts_and_ends[0]]
        low = np.minimum.reduceat(self.corners, starts)
        high = np.maximum.reduceat(self.corners, starts)
        boxes: Floats = np.hstack([low, high]) / STEPS_PER_DEGREE
        return boxes

    @cached_property
    def _ring_starts(self) -> Longs:
        return np.concatenate([[0], self.ring_ends[:-1]]).astype(np.int64)

    @cached_property
    def _starts_and_ends(self) -> tuple[Longs, Longs]:
        """Where the rings of each building begin and end."""
        starts = np.flatnonzero(self.ring_kind == FIRST)
        return starts, np.append(starts[1:], len(self.ring_kind))[: len(starts)]


def key_of(name: str) -> int | None:
    """A building's key, of what OpenStreetMap calls it; ids alone, a way and a relation may share.

    >>> key_of("way/123"), key_of("relation/123"), key_of("node/123")
    (246, 247, None)
    """
    found = _KEY.fullmatch(name)
    return None if found is None else 2 * int(found[2]) + (found[1] == "relation")


def name_of(key: int) -> str:
    """What OpenStreetMap calls a building.

    >>> name_of(247)
    'relation/123'
    """
    return f"{'relation' if key % 2 else 'way'}/{key // 2}"


def outlines_of(keys: Sequence[int], areas: NDArray[Any]) -> Outlines:
    """Polygons and multipolygons as columns; of one key given twice the last.

    Parameters
    ----------
    keys : B integers
    areas : objects of shapely, shape (B,)
        Valid, and none of them empty.
    """
    parts, owner = shapely.get_parts(areas, return_index=True)
    rings, part = shapely.get_rings(parts, return_index=True)
    places, ring = shapely.get_coordinates(rings, return_index=True)
    kind = np.where(_begins(part), OUTER, HOLE)
    kind[_begins(owner[part])] = FIRST
    return _in_order(
        Outlines(
            keys=np.array(keys, np.int64),
            ring_kind=kind.astype(np.uint8),
            ring_ends=np.cumsum(np.bincount(ring, minlength=len(rings))).astype(np.int32),
            corners=np.rint(places * STEPS_PER_DEGREE).astype(np.int32),
        )
    )


def merged(several: Sequence[Outlines]) -> Outlines:
    """The buildings of all of them, at least one; of a building given again the last outline."""
    starts = np.cumsum([0, *(len(one.corners) for one in several)])
    ends = [one.ring_ends + start for one, start in zip(several, starts[:-1], strict=True)]
    return _in_order(
        Outlines(
            np.concatenate([one.keys for one in several]),
            np.concatenate([one.ring_kind for one in several]),
            np.concatenate(ends).astype(np.int32),
            np.concatenate([one.corners for one in several]),
        )
    )


def _in_order(outlines: Outlines) -> Outlines:
    """The rows by key, and of several with one key the last."""
    order = np.argsort(outlines.keys, kind="stable")
    is_last = np.diff(outlines.keys[order], append=_BEYOND) != 0
    return _taken(outlines, order[is_last])


def _taken(outlines: Outlines, ix: Longs) -> Outlines:
    """These rows, in this order."""
    starts, ends = outlines._starts_and_ends
    ring_ix = ranges(starts[ix], ends[ix])
    starts = outlines._ring_starts[ring_ix]
    ends = outlines.ring_ends[ring_ix].astype(np.int64)
    return Outlines(
        outlines.keys[ix],
        outlines.ring_kind[ring_ix],
        np.cumsum(ends - starts).astype(np.int32),
        outlines.corners[ranges(starts, ends)],
    )


def _begins(groups: NDArray[Any]) -> NDArray[np.bool_]:
    """Where another group begins, the first included."""
    begins: NDArray[np.bool_] = np.diff(groups, prepend=-1) != 0
    return begins


def ranges(starts: Longs, ends: Longs) -> Longs:
    """All the integers from each start to each end, one after the other."""
    sizes = ends - starts
    before = np.cumsum(sizes) - sizes
    found: Longs = np.arange(sizes.sum()) + np.repeat(starts - before, sizes)
    return found
