"""Against INSEE's grid of seven levels, with the real communes and fuel stations of France."""

from __future__ import annotations

import csv
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from geoengine.catalog.density import kept
from geoengine.catalog.density.grid import Grid
from geoengine.catalog.density.reading import insee
from geoengine.catalog.setting.decide import Verdict, decide
from tests.catalog.setting.grids import tell_nobody

DATA = Path(__file__).parents[4] / "shared" / "data"
pytestmark = pytest.mark.skipif(not DATA.exists(), reason="the shared real data is not here")
OUTLINES = DATA / "urban" / "fr_communes_dens7_simplified.geojson.gz"


@pytest.fixture(scope="module")
def outlines(tmp_path_factory: pytest.TempPathFactory) -> list[Grid]:
    folder = tmp_path_factory.mktemp("insee")
    insee.add([OUTLINES], folder, tell_nobody)
    return kept.load(folder)


def columns(path: Path, *names: str, needed: int) -> list[np.ndarray]:
    """Columns of numbers of a CSV; rows in which one of the first few is empty are left out."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if all(row[name] for name in names[:needed])]
    return [np.array([float(row[name] or 0) for row in rows]) for name in names]


@cache
def stations() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Longitudes, latitudes, and which stand on a motorway."""
    with (DATA / "stores/fr_fuel_stations.csv").open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["latitude"] and row["longitude"]]
    lon_deg, lat_deg = (
        np.array([float(r[key]) for r in rows]) for key in ("longitude", "latitude")
    )
    return lon_deg, lat_deg, np.array([row["pop"] == "A" for row in rows])


def verdicts(grids: list[Grid]) -> list[Verdict]:
    lon_deg, lat_deg, _is_motorway = stations()
    return decide(lon_deg, lat_deg, ["auto"] * len(lon_deg), grids)


def is_city(found: list[Verdict]) -> np.ndarray:
    return np.array([verdict.setting == "city" for verdict in found])


def is_doubted(found: list[Verdict]) -> np.ndarray:
    return np.array([bool(verdict.doubts) for verdict in found])


def test_the_packaged_places_agree_at_most_communes_and_with_most_people():
    names = ("lon_rep", "lat_rep", "dens7", "pop2019")
    lon_deg, lat_deg, level, people = columns(
        DATA / "urban/fr_communes_dens7.csv", *names, needed=3
    )
    agrees = is_city(decide(lon_deg, lat_deg, ["auto"] * len(level), [])) == (level <= 2)
    assert agrees.mean() > 0.975
    assert (people * agrees).sum() / people.sum() > 0.89


def test_the_packaged_places_agree_at_most_fuel_stations(outlines: list[Grid]):
    lon_deg, lat_deg, _is_motorway = stations()
    degree = outlines[0].look_up(lon_deg, lat_deg).degree
    agrees = (is_city(verdicts([])) == (degree <= 2))[degree > 0]
    assert len(agrees) > 5_900
    assert agrees.mean() > 0.88


def test_few_stores_are_doubted():
    assert is_doubted(verdicts([])).mean() < 0.07


def test_few_stores_are_doubted_with_the_outlines(outlines: list[Grid]):
    assert is_doubted(verdicts(outlines)).mean() < 0.05


def test_a_fifth_of_motorway_stations_in_dense_communes_is_doubted(outlines: list[Grid]):
    found, (_lon, _lat, is_motorway) = verdicts(outlines), stations()
    in_dense = is_motorway & is_city(found)
    assert in_dense.sum() < 0.15 * is_motorway.sum()
    assert is_doubted(found)[in_dense].mean() > 0.2
