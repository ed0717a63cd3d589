"""Small density grids, made by the converters of `geoengine data add`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from pyproj import Transformer

from geoengine.catalog.density import kept
from geoengine.catalog.density.grid import Grid
from geoengine.catalog.density.reading import eurostat, insee
from geoengine.catalog.setting.decide import Verdict, decide

TO_GRID = Transformer.from_crs("EPSG:4326", "EPSG:3035", always_xy=True)


def tell_nobody(_file: str, _read_bytes: int, _all_bytes: int) -> None:
    """Nobody watches."""


def commune(lat: float, lon: float, level: int, half_deg: float = 0.05) -> dict[str, object]:
    """A square commune around a place."""
    west, east, south, north = lon - half_deg, lon + half_deg, lat - half_deg, lat + half_deg
    ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
    return {
        "type": "Feature",
        "properties": {"code": "99001", "dens7": level},
        "geometry": {"type": "Polygon", "coordinates": [ring]},
    }


def add_insee(folder: Path, *communes: dict[str, object]) -> Path:
    """INSEE's levels of these communes, added to the data folder ``folder/data``."""
    path = folder / "communes.geojson"
    folder.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"type": "FeatureCollection", "features": list(communes)}))
    insee.add([path], folder / "data", tell_nobody)
    return folder / "data"


def add_cells(folder: Path, lat: float, lon: float, people: Mapping[tuple[int, int], int]) -> Path:
    """Eurostat's cells of 1 km, by steps east and north of the cell in which a place lies."""
    east, north = (int(metres // 1_000) for metres in TO_GRID.transform(lon, lat))
    rows = "".join(
        f"CRS3035RES1000mN{north + up}000E{east + right}000,{count}\n"
        for (right, up), count in people.items()
    )
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "grid_2021.csv"
    path.write_text("GRD_ID,T\n" + rows)
    eurostat.add([path], folder / "data", tell_nobody)
    return folder / "data"


def square(half: int, people: int) -> dict[tuple[int, int], int]:
    """A square of cells, so many steps to each side, of so many people each."""
    steps = range(-half, half + 1)
    return {(right, up): people for right in steps for up in steps}


def verdict(lat: float, lon: float, data: Path | None = None, written: str = "auto") -> Verdict:
    """What one place is."""
    grids: list[Grid] = kept.load(data) if data else []
    return decide(np.array([lon]), np.array([lat]), [written], grids)[0]  # type: ignore[list-item]
