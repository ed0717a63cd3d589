"""Whose reaches overlap, and by how much: who stands in both is called by both."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import shapely
from numpy.typing import NDArray

from geoengine.core.columns import Floats, Ints, Longs
from geoengine.core.units import DEGREE_M

LISTED_MAX = 1_000  # pairs; who has more reads the strongest
MEASURED_MAX = 5_000  # pairs cut out exactly, a third of a millisecond each on real streets
CHUNK = 500  # areas looked up at a time, so that ten thousand on one spot fit in memory
SHARE_MIN = 0.001  # less is a touch


class Overlaps(NamedTuple):
    """Pairs of areas of different stores, K rows, the strongest first.

    A pair is as strong as the larger of its two shares: that much of one area is the other's, too.
    """

    first_ix: Ints  # rows of the scene
    second_ix: Ints
    first_share: Floats  # of the first area that lies in the second, 0 to 1
    second_share: Floats
    unlisted_count: int  # pairs that overlap and are not here
    unmeasured_count: int  # pairs near enough to overlap that were not looked at


def overlaps_of(
    shapes: NDArray[np.object_], lon_deg: Floats, lat_deg: Floats, radius_m: Floats, owner_ix: Ints
) -> Overlaps:
    """The pairs of areas that overlap.

    Parameters
    ----------
    shapes : polygons, shape (A,)
        In degrees.
    lon_deg, lat_deg, radius_m : float64, shape (A,)
        The circle that stands for each in a first estimate.
    owner_ix : int32, shape (A,)
        The store of each; two areas of one store are no pair. -1 is nobody, and never the same.

    Returns
    -------
    overlaps : Overlaps

    Notes
    -----
    Of more pairs than `MEASURED_MAX` those are measured whose circles overlap most.
    """
    pairs, strength = np.empty((0, 2), np.int64), np.empty(0)
    near_count = 0
    for some in _near(shapes, owner_ix):
        near_count += len(some)
        pairs = np.concatenate([pairs, some])
        strength = np.concatenate([strength, _estimate(some, lon_deg, lat_deg, radius_m)])
        if len(pairs) > MEASURED_MAX:
            best = np.argpartition(-strength, MEASURED_MAX)[:MEASURED_MAX]
            pairs, strength = pairs[best], strength[best]
    return _measured(shapes, pairs, near_count)


def _near(shapes: NDArray[np.object_], owner_ix: Ints) -> Iterator[Longs]:
    """Pairs whose boxes meet, (K, 2) at a time, each pair once."""
    tree = shapely.STRtree(shapes)
    for start in range(0, len(shapes), CHUNK):
        one, other = tree.query(shapes[start : start + CHUNK])
        one = one + start
        is_pair = (one < other) & ((owner_ix[one] != owner_ix[other]) | (owner_ix[one] < 0))
        yield np.stack([one[is_pair], other[is_pair]], axis=1)


def _estimate(pairs: Longs, lon_deg: Floats, lat_deg: Floats, radius_m: Floats) -> Floats:
    """How deep two circles lie in one another, in radii of the smaller; negative when apart."""
    one, other = pairs[:, 0], pairs[:, 1]
    shrink = np.cos(np.radians(lat_deg[one]))
    away_m = DEGREE_M * np.hypot(
        (lon_deg[one] - lon_deg[other]) * shrink, lat_deg[one] - lat_deg[other]
    )
    depth: Floats = (radius_m[one] + radius_m[other] - away_m) / np.minimum(
        radius_m[one], radius_m[other]
    )
    return depth


def _measured(shapes: NDArray[np.object_], pairs: Longs, near_count: int) -> Overlaps:
    one, other = shapes[pairs[:, 0]], shapes[pairs[:, 1]]
    common = shapely.area(shapely.intersection(one, other))
    shares = np.stack([common / shapely.area(one), common / shapely.area(other)], axis=1)
    found = np.flatnonzero(shares.max(axis=1, initial=0) >= SHARE_MIN)
    order = np.lexsort((-shares[found].min(axis=1), -shares[found].max(axis=1)))
    listed = found[order][:LISTED_MAX]
    return Overlaps(
        first_ix=pairs[listed, 0].astype(np.int32),
        second_ix=pairs[listed, 1].astype(np.int32),
        first_share=shares[listed, 0],
        second_share=shares[listed, 1],
        unlisted_count=len(found) - len(listed),
        unmeasured_count=near_count - len(pairs),
    )
