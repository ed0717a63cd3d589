"""Catalogues to look at, and reaches on streets for some of their stores."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import shapely
from shapely.affinity import scale
from shapely.geometry import MultiPolygon, Polygon

from geoengine.catalog import Reading
from geoengine.catalog.geojson import circle_rings
from geoengine.catalog.polygons import equal_radius_m
from geoengine.core.zones import POLYGON
from tests.catalog.writing import reading

# Two shops 400 m apart in Paris, a third in a village, and a yard that belongs to nobody.
YAML = """\
stores:
  - {id: rivoli, name: Maison Rivoli, location: {lat: 48.8583, lon: 2.3470}, setting: city}
  - {id: halles, name: Les Halles, location: {lat: 48.8619, lon: 2.3470}, setting: city}
  - {id: gordes, name: Gordes, location: {lat: 43.9115, lon: 5.2003}, setting: countryside}
zones:
  - id: yard
    name: The yard
    center: {lat: 48.8570, lon: 2.3600}
    radius_m: 150
"""


def on_streets(
    told: Reading, reaches: Mapping[str, Polygon | MultiPolygon], why: str = "on the roads"
) -> Reading:
    """The same catalogue, with these reaches on real streets in force."""
    zones = told.book.zones
    kind, radius_m, reasons = zones.kind.copy(), zones.radius_m.copy(), list(zones.why)
    shapes = dict(zones.polygons)
    for zone_id, area in reaches.items():
        ix = zones.ids.index(zone_id)
        kind[ix], radius_m[ix], shapes[ix] = POLYGON, equal_radius_m(area), area
        reasons[ix] = f"{why}; {reasons[ix].rpartition('; ')[2]}"
    changed = replace(zones, kind=kind, radius_m=radius_m, why=reasons, polygons=shapes)
    return replace(told, book=replace(told.book, zones=changed))


def star(lon_deg: float, lat_deg: float, radius_m: float, hole: float = 0.0) -> Polygon:
    """A reach with seven arms, as streets make them; with a hole where one is asked for."""
    (ring,) = circle_rings(np.array([lon_deg]), np.array([lat_deg]), np.array([radius_m]))
    turn = np.linspace(0, 7 * 2 * np.pi, len(ring))
    part = (0.62 + 0.38 * np.cos(turn))[:, None]
    middle = np.array([lon_deg, lat_deg])
    outline = Polygon(middle + (ring - middle) * part)
    if not hole:
        return outline
    inner = shapely.affinity.translate(scale(outline, hole, hole), radius_m / 4e5, 0)
    cut = outline.difference(inner)
    assert isinstance(cut, Polygon)
    return cut


def streets(directory: Path) -> Reading:
    """The catalogue above, two of its stores with reaches on streets."""
    reaches = {
        "rivoli": star(2.3470, 48.8583, 330.0, hole=0.2),
        "gordes": star(5.2003, 43.9115, 2_600.0),
    }
    return on_streets(reading(directory, YAML), reaches)
