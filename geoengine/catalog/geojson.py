"""Zones and stores as GeoJSON, to look at on a map."""

from __future__ import annotations

from typing import Any

import numpy as np
from pyproj import Geod
from shapely.geometry import mapping

from geoengine.core.book import MODES, Book
from geoengine.core.columns import Floats
from geoengine.core.places.zones import CIRCLE, PLACE

CORNERS = 64  # a circle of 3 km drawn with so many is nowhere 4 m off
KINDS = ("circle", "polygon", "place")
_GEOD = Geod(ellps="WGS84")

Json = dict[str, Any]


def zones_geojson(book: Book) -> Json:
    """All areas as a FeatureCollection; beacon places have none and are left out."""
    zones = book.zones
    areas = np.flatnonzero(zones.kind != PLACE)
    circles = np.flatnonzero(zones.kind == CIRCLE)
    rings = circle_rings(
        zones.lon_deg[circles], zones.lat_deg[circles], zones.radius_m[circles]
    ).round(7)
    row_of = dict(zip(circles.tolist(), range(len(circles)), strict=True))
    features = [
        _feature(
            zones.ids[ix],
            _circle(rings[row_of[ix]]) if ix in row_of else mapping(zones.polygons[ix]),
            _properties(book, ix),
        )
        for ix in areas.tolist()
    ]
    return {"type": "FeatureCollection", "features": features}


def stores_geojson(book: Book) -> Json:
    """All stores as a FeatureCollection of points."""
    features = [
        _feature(
            store.id,
            {"type": "Point", "coordinates": [store.location.lon, store.location.lat]},
            {
                "id": store.id,
                "name": store.name,
                "hours": store.hours,
                "time_zone": store.time_zone,
                "country": store.country,
                "setting": store.setting,
                "tags": store.tags,
            },
        )
        for store in book.stores
    ]
    return {"type": "FeatureCollection", "features": features}


def circle_rings(lon_deg: Floats, lat_deg: Floats, radius_m: Floats) -> Floats:
    """Geodesic circles as closed rings.

    Parameters
    ----------
    lon_deg, lat_deg, radius_m : float64, shape (Z,)

    Returns
    -------
    rings : float64, shape (Z, CORNERS + 1, 2)
        Longitude and latitude, counter-clockwise, the last corner as the first. Longitudes run
        on past 180 degrees rather than jump to the other side of the map.
    """
    count = len(lon_deg)
    azimuth_deg = np.tile(np.linspace(360.0, 0.0, CORNERS, endpoint=False), count)
    lons, lats, _back = _GEOD.fwd(
        np.repeat(lon_deg, CORNERS),
        np.repeat(lat_deg, CORNERS),
        azimuth_deg,
        np.repeat(radius_m, CORNERS),
    )
    ring = np.stack([np.asarray(lons), np.asarray(lats)], axis=-1).reshape(count, CORNERS, 2)
    ring[..., 0] = lon_deg[:, None] + (ring[..., 0] - lon_deg[:, None] + 180) % 360 - 180
    return np.concatenate([ring, ring[:, :1]], axis=1)


def _circle(ring: Floats) -> Json:
    return {"type": "Polygon", "coordinates": [ring.tolist()]}


def _feature(feature_id: str, geometry: Json, properties: Json) -> Json:
    return {"type": "Feature", "id": feature_id, "geometry": geometry, "properties": properties}


def _properties(book: Book, zone_ix: int) -> Json:
    zones, store = book.zones, book.store_of(zone_ix)
    minutes = float(zones.minutes[zone_ix])
    properties: Json = {
        "id": zones.ids[zone_ix],
        "name": store.name if store else zones.names.get(zone_ix),
        "kind": KINDS[zones.kind[zone_ix]],
        "store_id": store.id if store else None,
        "setting": store.setting if store else None,
        "mode": MODES[zones.mode[zone_ix]],
        "minutes": None if np.isnan(minutes) else minutes,
        "why": zones.why[zone_ix],
    }
    if zone_ix in zones.places:
        properties["place"] = zones.places[zone_ix]
    if zones.kind[zone_ix] == CIRCLE:
        properties["radius_m"] = round(float(zones.radius_m[zone_ix]), 1)
    return properties
