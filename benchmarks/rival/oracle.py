"""The slow truth about circular zones: every fix against every zone that could hold it.

The plain rule that most engines follow is a difference of sets: a device is told to enter a zone
when its fix lies inside and the one before did not, and to leave it the other way round.
"""

from __future__ import annotations

from collections import defaultdict

import numpy as np
from pyproj import Geod

from geoengine.core.columns import Fixes, Floats, Longs
from geoengine.core.places.zones import Zones

from .told import Told, gathered

DEGREE_M = 110_000.0  # of latitude, at the least: a degree is 110.57 km at the equator, and more
SPHERE_M = 6_371_000.0
# The sphere is wrong by up to 0.6 % of a distance; nearer to the edge the ellipsoid is asked.
DOUBT = 0.01
BLOCK = 512

_GEOD = Geod(ellps="WGS84")


def inside(zones: Zones, fixes: Fixes, *, is_sphere: bool) -> tuple[Longs, Longs]:
    """Which fix lies inside which circle.

    ``is_sphere`` measures on a sphere of 6,371 km, else on the ellipsoid of WGS 84.

    Returns
    -------
    fix_ix, zone_ix : int64, shape (M,)
        Row i pairs fix_ix[i] with zone_ix[i]; in no order.
    """
    by_lat = np.argsort(fixes.lat_deg)
    zone_by_lat = np.argsort(zones.lat_deg)
    zone_lat = zones.lat_deg[zone_by_lat]
    reach_deg = zones.radius_m.max(initial=0.0) * (1 + DOUBT) / DEGREE_M
    found = []
    for start in range(0, len(by_lat), BLOCK):
        fix_ix = by_lat[start : start + BLOCK]
        lowest, highest = fixes.lat_deg[fix_ix[0]], fixes.lat_deg[fix_ix[-1]]
        near = slice(
            np.searchsorted(zone_lat, lowest - reach_deg),
            np.searchsorted(zone_lat, highest + reach_deg, "right"),
        )
        found.append(_held(zones, fixes, fix_ix, zone_by_lat[near], is_sphere))
    fix, zone = zip(*found, strict=True) if found else ([np.empty(0, int)], [np.empty(0, int)])
    return np.concatenate(fix), np.concatenate(zone)


def _held(
    zones: Zones, fixes: Fixes, fix_ix: Longs, zone_ix: Longs, is_sphere: bool
) -> tuple[Longs, Longs]:
    """The pairs of a block of fixes and its zones where the circle holds the fix."""
    distance_m = sphere_m(
        fixes.lat_deg[fix_ix][:, None],
        fixes.lon_deg[fix_ix][:, None],
        zones.lat_deg[zone_ix][None, :],
        zones.lon_deg[zone_ix][None, :],
    )
    radius_m = zones.radius_m[zone_ix][None, :]
    holds = distance_m <= radius_m
    if not is_sphere:
        row, column = np.nonzero(np.abs(distance_m - radius_m) <= DOUBT * radius_m)
        ends = (fix_ix[row], zone_ix[column])
        holds[row, column] = _geodesic_m(fixes, zones, *ends) <= zones.radius_m[ends[1]]
    row, column = np.nonzero(holds)
    return fix_ix[row], zone_ix[column]


def sphere_m(lat0: Floats, lon0: Floats, lat1: Floats, lon1: Floats) -> Floats:
    """Distances on the sphere by haversines; any shapes that broadcast."""
    phi0, phi1 = np.radians(lat0), np.radians(lat1)
    half = np.sin((phi1 - phi0) / 2) ** 2
    half = half + np.cos(phi0) * np.cos(phi1) * np.sin(np.radians(lon1 - lon0) / 2) ** 2
    return np.asarray(2 * SPHERE_M * np.arcsin(np.sqrt(half)))


def _geodesic_m(fixes: Fixes, zones: Zones, fix_ix: Longs, zone_ix: Longs) -> Floats:
    ends = (
        fixes.lon_deg[fix_ix], fixes.lat_deg[fix_ix], zones.lon_deg[zone_ix], zones.lat_deg[zone_ix]
    )  # fmt: skip
    return np.asarray(_GEOD.inv(*ends)[2])


def set_difference(zones: Zones, fixes: Fixes, *, is_sphere: bool) -> Told:
    """What the plain rule tells of fixes that come in the order given."""
    zones_of: dict[int, set[int]] = defaultdict(set)
    for fix, zone in zip(
        *(ix.tolist() for ix in inside(zones, fixes, is_sphere=is_sphere)), strict=True
    ):
        zones_of[fix].add(zone)
    was: dict[str, set[int]] = {}
    events = []
    for fix, device_id in enumerate(fixes.device_ids):
        now, before = zones_of.get(fix, set()), was.get(device_id, set())
        events += [(device_id, zones.ids[zone], "exit") for zone in sorted(before - now)]
        events += [(device_id, zones.ids[zone], "enter") for zone in sorted(now - before)]
        was[device_id] = now
    return gathered(events)
