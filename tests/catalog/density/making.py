"""Files as official sources publish them, small, and made on the spot."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pyproj import Transformer

from geoengine.catalog.density.grid import Found, Grid
from geoengine.catalog.density.lattice import Squares
from geoengine.core.columns import Floats

LAEA = Squares("EPSG:3035", 0.0, 0.0, 1_000.0, 1_000.0, 10_000, 10_000)

Rows = Sequence[Mapping[str, Any]]


def nobody(_file: str, _read_bytes: int, _all_bytes: int) -> None:
    """Nobody watches."""


def key(north_km: int, east_km: int) -> int:
    """The key of a cell of Europe's grid."""
    return north_km * LAEA.width + east_km


def long_id(north_km: int, east_km: int) -> str:
    """The name of a cell of Europe's grid."""
    return f"CRS3035RES1000mN{north_km}000E{east_km}000"


def place(north_km: float, east_km: float, crs: str = "EPSG:3035") -> tuple[Floats, Floats]:
    """One position of a projection, by kilometres, as longitudes and latitudes."""
    back = Transformer.from_crs(crs, "OGC:CRS84", always_xy=True)
    lon_deg, lat_deg = back.transform(np.array([east_km * 1e3]), np.array([north_km * 1e3]))
    return lon_deg, lat_deg


def told(grid: Grid, lon_deg: float | Floats, lat_deg: float | Floats) -> tuple[int, float]:
    """Degree and people of one position."""
    found: Found = grid.look_up(np.atleast_1d(lon_deg), np.atleast_1d(lat_deg))
    return int(found.degree[0]), float(found.people[0])


def csv_file(path: Path, rows: Rows, delimiter: str = ",", title: str = "") -> Path:
    """A CSV of these rows."""
    lines = [delimiter.join(rows[0])]
    lines += [delimiter.join(str(cell) for cell in row.values()) for row in rows]
    path.write_text(title + "\n".join(lines) + "\n", encoding="utf-8")
    return path


def gpkg_file(path: Path, rows: Rows, table: str = "population") -> Path:
    """A GeoPackage with one table, geometry and all, in EPSG:3857."""
    names = ", ".join(f'"{name}"' for name in rows[0])
    marks = ", ".join("?" * len(rows[0]))
    with closing(sqlite3.connect(path)) as database:
        database.execute(
            "CREATE TABLE gpkg_contents (table_name TEXT, data_type TEXT, srs_id INTEGER)"
        )
        database.execute("INSERT INTO gpkg_contents VALUES (?, 'features', 3857)", (table,))
        database.execute(f'CREATE TABLE "{table}" (fid INTEGER PRIMARY KEY, geom BLOB, {names})')
        database.executemany(
            f'INSERT INTO "{table}" ({names}) VALUES ({marks})', [tuple(r.values()) for r in rows]
        )
        database.commit()
    return path


def geojson_file(path: Path, features: Sequence[tuple[Mapping[str, Any], Any]]) -> Path:
    """A FeatureCollection of properties and geometries."""
    path.write_text(
        json.dumps(
            {
                "type": "FeatureCollection",
                "features": [
                    {"type": "Feature", "properties": properties, "geometry": geometry}
                    for properties, geometry in features
                ],
            }
        )
    )
    return path


def square(west: float, south: float, side: float = 0.1) -> dict[str, Any]:
    """The outline of a square commune, degrees."""
    east, north = west + side, south + side
    ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
    return {"type": "Polygon", "coordinates": [ring]}


def raster_file(
    path: Path,
    numbers: NDArray[Any],
    west: float,
    north: float,
    step: float = 1_000.0,
    crs: str = "ESRI:54009",
    nodata: float | None = -200,
) -> Path:
    """A GeoTIFF of one band."""
    import rasterio

    with rasterio.open(
        path, "w", driver="GTiff", height=numbers.shape[0], width=numbers.shape[1], count=1,
        dtype=numbers.dtype, crs=crs, transform=rasterio.Affine(step, 0, west, 0, -step, north),
        nodata=nodata, compress="deflate",
    ) as file:  # fmt: skip
        file.write(numbers, 1)
    return path
