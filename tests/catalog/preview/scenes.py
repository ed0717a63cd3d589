"""Catalogues to look at, two of whose stores are reached on real streets."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from shapely.affinity import scale, translate
from shapely.geometry import Polygon

from geoengine.catalog.reach.kept import Answer, answered
from geoengine.catalog.reach.question import Question
from geoengine.core.units import DEGREE_M
from tests.catalog.reach.answering import NETWORK, keep
from tests.catalog.writing import write

CORNERS = 64
RIVOLI = Question(2.3470, 48.8583, "walk", 5.0)
GORDES = Question(5.2003, 43.9115, "drive", 5.0)

# Two shops 400 m apart in Paris, a third in a village, and a yard that belongs to nobody.
SHOPS = """\
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


def streets(directory: Path, text: str = SHOPS) -> Path:
    """The catalogue above; two of its stores have reaches on streets, one of them with a hole."""
    data = directory / "data"
    star_of = (on_star(RIVOLI, 330.0, hole=0.12), on_star(GORDES, 1_200.0))
    keep(data, *star_of)
    return write(directory / "shops", {"a.yaml": text + f"engine: {{data: {data}}}\n"})


def on_star(
    question: Question, radius_m: float, hole: float = 0.0, corners: int = CORNERS
) -> Answer:
    area = star(question.lon_deg, question.lat_deg, radius_m, hole, corners)
    return answered(question, NETWORK, area, ())


def star(
    lon_deg: float, lat_deg: float, radius_m: float, hole: float = 0.0, corners: int = CORNERS
) -> Polygon:
    """A reach with seven arms, as streets make them; with a hole where one is asked for."""
    turn = np.linspace(0, 2 * np.pi, corners, endpoint=False)
    away = radius_m / DEGREE_M * (0.7 + 0.3 * np.cos(7 * turn))
    east = lon_deg + away * np.sin(turn) / np.cos(np.radians(lat_deg))
    outline = Polygon(np.stack([east, lat_deg + away * np.cos(turn)], axis=1))
    if not hole:
        return outline
    east_deg = (outline.bounds[2] - lon_deg) / 6
    cut = outline.difference(translate(scale(outline, hole, hole), east_deg, 0))
    assert isinstance(cut, Polygon) and len(cut.interiors) == 1
    return cut
