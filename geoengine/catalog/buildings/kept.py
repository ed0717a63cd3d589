"""The outlines that `geoengine data add buildings` was given, in one file of the data folder."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from geoengine.catalog.buildings.outlines import Outlines
from geoengine.catalog.keeping import container
from geoengine.catalog.reading.sources import Sources
from geoengine.catalog.whole import FOR_ALL
from geoengine.core.errors import DataError

FOLDER: Final = "buildings"  # below the data folder
FILE: Final = Path(FOLDER) / "buildings.bin"


def load(data: Path, sources: Sources) -> Outlines | None:
    """What was added; None where nothing was. Raises `DataError` for a file that is damaged."""
    return _read(data / FILE, sources)


def described(path: Path) -> str:
    """The file in one line. Raises `DataError`."""
    found = _read(path, Sources())
    count = 0 if found is None else len(found)
    return f"outlines of {count:,} buildings, {path.stat().st_size / 1e6:,.1f} MB; for `footprint`"


def save(data: Path, outlines: Outlines) -> Path:
    """Put the outlines down, whole or not at all; where they are."""
    path = data / FILE
    path.parent.mkdir(parents=True, exist_ok=True)
    container.write(
        path,
        {
            "keys": outlines.keys,
            "ring_kind": outlines.ring_kind,
            "ring_ends": outlines.ring_ends,
            "corners": outlines.corners.reshape(-1),
        },
        FOR_ALL,
    )
    return path


def _read(path: Path, sources: Sources) -> Outlines | None:
    try:
        parts = container.unpacked(path, sources.read_bytes(path))
        return Outlines(
            parts["keys"],
            parts["ring_kind"],
            parts["ring_ends"],
            parts["corners"].reshape(-1, 2),
        )
    except OSError:
        sources.lack(path)
        return None
    except (container.Damaged, KeyError, ValueError) as error:
        sources.lack(path)
        what = f"{path} is damaged: expected it to be removed and the buildings added again"
        raise DataError(what) from error
