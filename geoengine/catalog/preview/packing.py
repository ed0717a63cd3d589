"""Outlines as short text: what 10,000 reaches on real streets take in a page.

Corners are whole steps of 1e-5 degrees, each told as its difference from the one before, in the
variable-length base 64 of source maps (ECMA-426): a sign in the lowest bit, five bits a digit, the
sixth says that more follow. A corner of a street outline takes four digits where GeoJSON takes
twenty.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import shapely
from numpy.typing import NDArray

from geoengine.core.columns import Floats, Longs

STEPS = 100_000  # a degree of latitude: 1.1 m each, a tenth of what a drawing shows
DIGITS = np.frombuffer(
    b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/", np.uint8
)
DIGITS_MAX = 6  # of a number: 2**29, four times round the globe and more
RING_END = " "


def packed(shapes: NDArray[np.object_], lon_deg: Floats, lat_deg: Floats) -> list[str]:
    """The rings of each shape, told from its own place on; parted by `RING_END`.

    Parameters
    ----------
    shapes : Polygon or MultiPolygon, shape (A,)
    lon_deg, lat_deg : float64, shape (A,)

    Returns
    -------
    texts : A of them
        Outlines and holes alike: even-odd filling finds out which is which.
    """
    parts, shape_of_part = shapely.get_parts(shapes, return_index=True)
    rings, part_of_ring = shapely.get_rings(parts, return_index=True)
    shape_of_ring = shape_of_part[part_of_ring]
    corners, ring = shapely.get_coordinates(rings, return_index=True)
    origin = steps(np.stack([lon_deg, lat_deg], axis=1))[shape_of_ring[ring]]
    differences, ring = _differences(steps(corners), ring, origin)
    text, ends = digits(differences.ravel())
    texts = _cut(text, ends[1::2], ring, len(rings))
    found: list[list[str]] = [[] for _ in range(len(shapes))]
    for shape_ix, ring_text in zip(shape_of_ring.tolist(), texts, strict=True):
        found[shape_ix].append(ring_text)
    return [RING_END.join(one) for one in found]


def steps(degrees: Floats) -> Longs:
    """Degrees as whole steps."""
    return np.round(degrees * STEPS).astype(np.int64)


def digits(numbers: Longs) -> tuple[str, Longs]:
    """Numbers as text, one after the other, and where each ends: shape (N,).

    >>> digits(np.array([0, 1, -1, 16, -123]))[0]
    'ACDgB3H'
    """
    left = np.abs(numbers) * 2 + (numbers < 0)
    place = np.arange(DIGITS_MAX)
    table = (left[:, None] >> 5 * place & 31).astype(np.uint8)
    lengths = 1 + np.sum(left[:, None] >= 32 ** place[1:], axis=1)
    is_followed = place < lengths[:, None] - 1
    text = DIGITS[(table + 32 * is_followed)[place < lengths[:, None]]].tobytes().decode("ascii")
    return text, np.cumsum(lengths)


def _differences(corners: Longs, ring: Longs, origin: Longs) -> tuple[Longs, Longs]:
    """Each corner less the one before, the first of a ring less its origin; no corner twice.

    The last corner of a ring is its first, and goes without saying.
    """
    is_first = np.diff(ring, prepend=-1) != 0
    is_last = np.diff(ring, append=-1) != 0
    is_new = np.any(np.diff(corners, axis=0, prepend=corners[:1] - 1) != 0, axis=1)
    kept = (is_first | is_new) & ~is_last
    corners, ring, origin, is_first = corners[kept], ring[kept], origin[kept], is_first[kept]
    before = np.where(is_first[:, None], origin, np.roll(corners, 1, axis=0))
    return corners - before, ring


def _cut(text: str, ends: Longs, ring: Longs, count: int) -> list[str]:
    """The text of each ring, given where each corner ends and whose it is."""
    last = np.searchsorted(ring, np.arange(count), side="right")
    cuts = np.concatenate([[0], np.concatenate([[0], ends])[last]]).tolist()
    return [text[start:end] for start, end in pairwise(cuts)]
