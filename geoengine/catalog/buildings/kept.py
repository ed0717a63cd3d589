"""The outlines that `geoengine data add buildings` was given, in one file of the data folder."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from geoengine.catalog.buildings.outlines import Outlines
from geoengine.catalog.keeping import container
from geoengine.catalog.reading.sources import Sources
from geoengine.core.errors import DataError

FILE: Final = Path("buildings") / "outlines.bin"  # below the data folder


def load(data: Path, sources: Sources) -> Outlines | None:
    """What was added; None where nothing was. Raises `DataError` for a file that is damaged."""
    path = data / FILE
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
        raise DataError(f"{path} is damaged: delete it and add the buildings again") from error


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
    )
    return path
