"""Towns around the areas, drawn under them: what a reader orients by where no streets are drawn."""

from __future__ import annotations

import numpy as np
import shapely

from geoengine.catalog.setting.fallback import Places, places
from geoengine.core.columns import Floats, Longs
from geoengine.core.units import DEGREE_M

NEAR_M = 10_000.0  # from an area; farther ones are seen only where all is small
AROUND = 0.5  # of what the areas take up, on each side of them
SHOWN_MAX = 1_500  # the largest of those near and of all; they stand in the page, 25 bytes each


def towns_around(lon_deg: Floats, lat_deg: Floats) -> Places:
    """The packaged table's largest places among the areas, and the largest near to any of them.

    Parameters
    ----------
    lon_deg, lat_deg : float64, shape (A,)
        Longitudes may run on past 180 degrees; those of the towns do, too, then.

    Returns
    -------
    towns : Places
        As discs of the size that their people need.
    """
    table = places()
    if not len(lon_deg):
        return Places(*(column[:0] for column in table))
    middle = (lon_deg.min() + lon_deg.max()) / 2
    table = table._replace(lon_deg=middle + (table.lon_deg - middle + 180) % 360 - 180)
    near = _largest(table, _near(table, lon_deg, lat_deg))
    among = _largest(table, _among(table, lon_deg, lat_deg))
    return Places(*(column[np.union1d(near, among)] for column in table))


def _largest(table: Places, rows: Longs) -> Longs:
    largest: Longs = rows[np.argsort(-table.people[rows], kind="stable")[:SHOWN_MAX]]
    return largest


def _among(table: Places, lon_deg: Floats, lat_deg: Floats) -> Longs:
    """Rows of the table in the box around all areas, and somewhat beyond."""
    is_in = np.ones(len(table.people), bool)
    for theirs, ours in ((table.lon_deg, lon_deg), (table.lat_deg, lat_deg)):
        margin = NEAR_M / DEGREE_M + AROUND * np.ptp(ours)
        is_in &= (theirs > ours.min() - margin) & (theirs < ours.max() + margin)
    return np.flatnonzero(is_in)


def _near(table: Places, lon_deg: Floats, lat_deg: Floats) -> Longs:
    """Rows of the table within a box around any area."""
    reach_lat = NEAR_M / DEGREE_M
    reach_lon = reach_lat / np.maximum(np.cos(np.radians(lat_deg)), 0.01)
    boxes = shapely.box(
        lon_deg - reach_lon, lat_deg - reach_lat, lon_deg + reach_lon, lat_deg + reach_lat
    )
    tree = shapely.STRtree(boxes)
    rows = _among(table, lon_deg, lat_deg)
    found, _box = tree.query(shapely.points(table.lon_deg[rows], table.lat_deg[rows]))
    near: Longs = rows[np.unique(found)]
    return near
