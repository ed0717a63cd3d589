"""Ways and near circles in a plane: which pairs are worth the geodesic; no only where it is sure.

The plane has the scale of the circle's centre and its radius for unit. It moves a position at
distance p by no more than e p, where e grows with p in degrees of longitude: by 0.0175 a degree for
the change of the scale to the north, and by 0.009 for the meridians' convergence. The slack,
4 e p2, is more than that does to any of the comparisons.
"""

from __future__ import annotations

from math import sqrt
from typing import Final

import numpy as np
from numpy.typing import NDArray

from geoengine.core.columns import Bools
from geoengine.core.space.grid import Indices
from geoengine.core.space.near import A0, B0, LAT, LON, NearCircles
from geoengine.core.space.ways import Segments, Way

PLANE_DEG: Final = 0.5  # ways longer than this are not judged in a plane
_SLACK, _SLACK_PER_DEG = 0.002, 0.12
_FAR_AWAY: Final = 3.0  # (1 + length)2 is at most 2 (1 + length2)
_TOO_FAR_NORTH: Final = 1.3  # a squared difference of latitude that no slack makes up for

# Constants as arrays: numpy takes half as long over them.
_ZERO, _ONE, _THREE = np.array(0.0), np.array(1.0), np.array(_FAR_AWAY)
_BASE, _PER_DEG = np.array(_SLACK), np.array(_SLACK_PER_DEG)


def may_cut(segments: Segments, segment_ix: Indices, rows: NDArray[np.float64]) -> Bools:
    """Which of paired ways and near circles are worth the geodesic; no only where it is sure."""
    by_east, by_north = rows[:, B0], rows[:, A0]
    dx, dy = segments.east_deg.take(segment_ix), segments.north_deg.take(segment_ix)
    x, y = segments.lon0_deg.take(segment_ix), segments.lat0_deg.take(segment_ix)
    x -= rows[:, LON]
    y -= rows[:, LAT]
    if np.abs(x).max(initial=0.0) > 180.0:
        x -= 360.0 * np.rint(x / 360.0)
    scaled_x, scaled_y = by_east * x, by_north * y
    first2 = scaled_x * x + scaled_y * y
    away = scaled_x * dx + scaled_y * dy
    length2 = by_east * dx * dx + by_north * dy * dy
    last2 = first2 + away + away + length2
    far2 = np.maximum(first2, last2)
    slack = far2 * (_BASE + np.sqrt(far2 / by_east) * _PER_DEG)
    # Hashes collide: most pairs are from elsewhere altogether.
    is_worth: Bools = first2 <= (length2 + _ONE) * _THREE
    is_worth &= np.minimum(first2, last2) + slack >= _ONE  # both ends outside
    is_worth &= away <= slack  # and the nearest point between them ...
    is_worth &= away + length2 + slack >= _ZERO
    is_worth &= first2 * length2 - away * away <= (slack + _ONE) * length2  # ... inside
    is_long = segments.extent2_deg > PLANE_DEG**2
    if is_long.any():
        is_worth |= is_long.take(segment_ix)
    return is_worth


def circles_near_one(way: Way, near: NearCircles) -> list[int] | None:
    """The near circles that one way is worth asking about; None if it has too many cells."""
    row_ixs = near.grid.items_in(way.box)
    if row_ixs is None:
        return None
    flat, found = near.flat, []
    x0, y0, dx, dy = way.lon0_deg, way.lat0_deg, way.east_deg, way.north_deg
    south, north = way.box[1], way.box[3]
    for row_ix in row_ixs:
        at = 8 * row_ix
        lat, by_north = flat[at + LAT], flat[at + A0]
        gap = lat - north if lat > north else south - lat if lat < south else 0.0
        if gap * gap * by_north > _TOO_FAR_NORTH:
            continue
        if _may_cut_one(x0 - flat[at + LON], y0 - lat, dx, dy, flat[at + B0], by_north):
            found.append(near.circle_of(row_ix))
    return found


def _may_cut_one(x: float, y: float, dx: float, dy: float, by_east: float, by_north: float) -> bool:
    """`may_cut` of one pair."""
    scaled_x, scaled_y = by_east * x, by_north * y
    first2 = scaled_x * x + scaled_y * y
    length2 = by_east * dx * dx + by_north * dy * dy
    if first2 > (length2 + 1.0) * _FAR_AWAY:
        return False
    away = scaled_x * dx + scaled_y * dy
    last2 = first2 + away + away + length2
    far2 = max(first2, last2)
    slack = far2 * (_SLACK + sqrt(far2 / by_east) * _SLACK_PER_DEG)
    return (
        min(first2, last2) + slack >= 1.0
        and away <= slack
        and away + length2 + slack >= 0.0
        and first2 * length2 - away * away <= (slack + 1.0) * length2
    )
