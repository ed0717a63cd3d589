"""The town's tiles, made once, and a real Valhalla over them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from geoengine.roads import tiles
from tests.roads import town
from tests.servers.valhalla import PROGRAMS, Valhalla, programs, python_with_valhalla


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder to which the town's roads were added; skipped where there is no Valhalla."""
    folder = tmp_path_factory.mktemp("roads")
    extract = town.write(folder / "town.osm.pbf")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(PROGRAMS, str(programs()))
        tiles.add([extract], folder / "data", lambda *_: None)
    return folder / "data"


@pytest.fixture(scope="session")
def server(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Valhalla]:
    """Valhalla over HTTP."""
    directory = tmp_path_factory.mktemp("valhalla")
    folder, _network = tiles.opened(data / "roads")
    with Valhalla(directory=directory, tiles=folder, is_verbose=True) as running:
        yield running


@pytest.fixture(scope="session")
def environ(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """An environment with a Python that has Valhalla; skipped where there is none."""
    python = python_with_valhalla(tmp_path_factory.mktemp("interpreter"))
    return {"GEOENGINE_VALHALLA_PYTHON": python, "PATH": "/usr/bin:/bin"}
