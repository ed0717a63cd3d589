"""Fixes against zones: evidence."""

from __future__ import annotations

from typing import Final

import numpy as np

from geoengine.core.columns import Evidence, Floats
from geoengine.core.index import ZoneIndex
from geoengine.core.space.cells import cell_at

# Below this many fixes one at a time is cheaper than numpy's fixed cost of some 60 microseconds.
SCALAR_BELOW: Final = 24


def match(lon_deg: Floats, lat_deg: Floats, index: ZoneIndex) -> Evidence:
    """Pair every fix with every zone it lies in.

    Parameters
    ----------
    lon_deg, lat_deg : float64, shape (P,)
        WGS 84. Already checked finite and in range.

    Returns
    -------
    Evidence, M rows
        Sorted by fix, then zone; ``edge_m`` is at most 0. The same for any number of fixes: which
        path computed it cannot be told from the answer.
    """
    if len(lon_deg) >= SCALAR_BELOW:
        return index.match(lon_deg, lat_deg)
    fixes: list[int] = []
    zones: list[int] = []
    edges: list[float] = []
    for fix_ix, lon in enumerate(lon_deg.tolist()):
        for zone_ix, edge_m in index.match_one(lon, lat_deg.item(fix_ix)):
            fixes.append(fix_ix)
            zones.append(zone_ix)
            edges.append(edge_m)
    if not fixes:
        return _NOTHING
    return Evidence(np.array(fixes, np.int32), np.array(zones, np.int32), np.array(edges))


def coarse_cell(lon_deg: float, lat_deg: float, resolution: int) -> str:
    """The H3 cell of a position: what is kept or shown where the position itself must not be.

    Resolution 7 is about 5 square kilometres, 9 a tenth of one.

    >>> coarse_cell(2.3470, 48.8583, 7)
    '871fb4662ffffff'
    """
    return cell_at(lon_deg, lat_deg, resolution)


_NOTHING: Final = Evidence(np.empty(0, np.int32), np.empty(0, np.int32), np.empty(0))
