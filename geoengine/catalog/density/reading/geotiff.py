"""GeoTIFF: one band of numbers on a grid of about 1 km. The one file that uses rasterio."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from numpy.typing import NDArray
from pyproj import CRS

from geoengine.catalog.density.lattice import Squares
from geoengine.catalog.reading.sources import Progress
from geoengine.core.errors import DataError

ENDINGS = (".tif", ".tiff")
ROWS_AT_ONCE = 128  # of a raster 36,000 wide: 4.6 million cells, 37 MB as float64

# The sides of a cell that is taken for 1 km, and for 30 seconds of arc. The thresholds of the
# degree of urbanisation are about 1 km2: a finer file is another product of the same name.
METRES_MIN, METRES_MAX = 900.0, 1_100.0
DEGREES_MIN, DEGREES_MAX = 0.0075, 0.0092


class Raster:
    """The band of an open GeoTIFF."""

    def __init__(self, path: Path, source: Any) -> None:
        self._path, self._source = path, source
        self.is_whole_numbers = source.dtypes[0] not in ("float32", "float64")
        self.nodata: float | None = source.nodata
        self.lattice = _lattice(path, source)

    def bands(self, tell: Progress) -> Iterator[tuple[int, NDArray[Any]]]:
        """The raster from north to south: first row of a piece, and its numbers, shape (R, W)."""
        height, size = self.lattice.height, self._path.stat().st_size
        for row in range(0, height, ROWS_AT_ONCE):
            rows = (row, min(row + ROWS_AT_ONCE, height))
            yield row, self._source.read(1, window=(rows, (0, self.lattice.width)))
            tell(self._path.name, size * rows[1] // height, size)


@contextmanager
def opened(path: Path) -> Iterator[Raster]:
    """A GeoTIFF, checked."""
    try:
        import rasterio
    except ImportError as error:
        raise DataError(
            f"{path}: reading a GeoTIFF takes rasterio: pip install 'geoengine[data]'"
        ) from error
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", rasterio.errors.NotGeoreferencedWarning)
            source = rasterio.open(path)
        with source:
            yield Raster(path, source)
    except rasterio.errors.RasterioIOError as error:
        raise DataError(f"{path}: cannot be read as a GeoTIFF: {error}") from error


def _lattice(path: Path, source: Any) -> Squares:
    if source.crs is None or source.count != 1:
        raise DataError(
            f"{path}: expected one band in a coordinate system (Mollweide ESRI:54009 or "
            f"EPSG:4326), found {source.count} in {source.crs or 'none'}"
        )
    crs = CRS.from_wkt(source.crs.to_wkt())
    step = source.transform
    low, high = (DEGREES_MIN, DEGREES_MAX) if crs.is_geographic else (METRES_MIN, METRES_MAX)
    is_north_up = step.b == 0 and step.d == 0 and step.a > 0 and step.e < 0
    if not is_north_up or not (low <= step.a <= high and low <= -step.e <= high):
        raise DataError(
            f"{path}: expected cells of 1 km or 30 seconds of arc, north up; found "
            f"{step.a:g} by {-step.e:g}"
        )
    return Squares(_named(crs), step.c, step.f, step.a, step.e, source.width, source.height)


def _named(crs: CRS) -> str:
    authority = crs.to_authority()
    return ":".join(authority) if authority else str(crs.to_wkt())
