"""The density grids that were added: all of them, best source first."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from geoengine.catalog.density import cells, outlines, packed, runs
from geoengine.catalog.density.grid import Found, Grid
from geoengine.catalog.density.packed import About, Parts
from geoengine.core.errors import DataError

__all__ = ["FOLDER", "Found", "Grid", "described", "keep", "load", "names"]

FOLDER = "density"

# Who is asked first, by how names begin: a country's own classification, the continent's count, the
# world's classification, then estimates, the finer one first. Of one kind, in order of name.
ORDER = ("insee-", "eurostat-", "ghsl-smod-", "h3-", "ghsl-pop-")

_ROWS = {"outlines": "outlines", "cells": "inhabited cells", "runs": "runs of cells"}
_USE = {
    "outlines": "gives the degree of urbanisation",
    "cells": "gives the degree of urbanisation and the people within 1 km",
    "runs": "gives the degree of urbanisation",
}

_FORMS: Mapping[str, Callable[[About, dict[str, Any]], Grid]] = {
    "outlines": outlines.from_parts,
    "cells": cells.from_parts,
    "runs": runs.from_parts,
}


def load(data: Path) -> list[Grid]:
    """The grids kept under a data folder, best first; none where nothing was added.

    Raises `DataError` for a file that is damaged or of another version.
    """
    return [_load(path) for path in names(data)]


def names(data: Path) -> list[Path]:
    """The files of the kept grids, in the order in which they are asked."""
    found = (data / FOLDER).glob(f"[!.]*{packed.SUFFIX}")
    return sorted(found, key=lambda path: (_rank(path.name), path.name))


def keep(data: Path, about: About, parts: Parts) -> str:
    """Write a grid, named by its kind and its first file; one of the same name is replaced.

    Returns a line that says what was kept.
    """
    path = data / FOLDER / f"{about.kind}-{_slug(about.origin[0])}{packed.SUFFIX}"
    packed.write(path, about, parts)
    return f"{path.stem}: {described(path)}"


def described(path: Path) -> str:
    """A kept grid in one line: label, rows, size, coverage."""
    about = packed.read_about(path)
    west, south, east, north = about.box
    return (
        f"{about.label}, {about.row_count:,} {_ROWS[about.form]}, "
        f"{path.stat().st_size / 1e6:,.1f} MB, {west:.1f} to {east:.1f} E, "
        f"{south:.1f} to {north:.1f} N; {_USE[about.form]}"
    )


def _slug(name: str) -> str:
    """The part of a file's name that tells it from others: fr_communes.geojson.gz, fr_communes."""
    stem = re.split(r"\.(?=[A-Za-z])", name, maxsplit=1)[0]
    return re.sub(r"[^A-Za-z0-9_.]+", "_", stem).strip("_.") or "unnamed"


def _load(path: Path) -> Grid:
    about, parts = packed.read(path)
    try:
        return _FORMS[about.form](about, parts)
    except (KeyError, ValueError, TypeError) as error:
        raise DataError(
            f"{path}: cannot be read as a density grid ({error!r}); remove it, or add its file "
            "again with `geoengine data add`"
        ) from error


def _rank(name: str) -> int:
    return next((rank for rank, start in enumerate(ORDER) if name.startswith(start)), len(ORDER))
