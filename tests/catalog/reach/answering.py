"""Answers of a road network for tests: discs with a bite taken out, so that none is a circle."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from shapely.geometry import Polygon

from geoengine.catalog.geojson import circle_rings
from geoengine.catalog.reach.journal import Journal
from geoengine.catalog.reach.kept import Answer, answered
from geoengine.catalog.reach.question import Question

NETWORK = "valhalla 3.9.1, test"
RIVOLI = Question(2.3470, 48.8583, "walk", 5.0)


def area(question: Question, radius_m: float = 250.0) -> Polygon:
    """A disc around the place without the quarter towards north-west."""
    place = (np.array([question.lon_deg]), np.array([question.lat_deg]))
    ring = circle_rings(*place, np.array([radius_m]))[0].tolist()
    return Polygon([place_of(question), *ring[16:]])


def place_of(question: Question) -> tuple[float, float]:
    return question.lon_deg, question.lat_deg


def answer(
    question: Question = RIVOLI,
    network: str = NETWORK,
    radius_m: float = 250.0,
    doubts: tuple[str, ...] = (),
) -> Answer:
    return answered(question, network, area(question, radius_m), doubts)


def keep(data: Path, *answers: Answer) -> Path:
    """Answers kept in a data folder, as a build that has ended leaves them."""
    with Journal(data) as journal:
        for one in answers:
            journal.put(one)
        journal.publish()
        return journal.kept_path
