"""`geoengine data add buildings FILE`: take in the outlines of buildings."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

from geoengine.catalog.buildings import geojson, osm
from geoengine.catalog.buildings.kept import described, load, save
from geoengine.catalog.buildings.outlines import Outlines, merged
from geoengine.catalog.reading.sources import Progress, Sources
from geoengine.core.errors import DataError

# Read whole whenever a catalogue is compiled that asks for one: five million are 310 MB, 5 s to
# read and 7 s to find those of 10,000 stores (measured, on a busy machine). Beyond this a check
# takes too long; a country has more: cut it around the stores first.
BUILDINGS_MAX: Final = 5_000_000
FORMATS: Final = (*osm.SUFFIXES, *geojson.SUFFIXES)

Reader = Callable[[Path], Iterator[tuple[Outlines, int]]]
_READERS: Final[tuple[tuple[tuple[str, ...], Reader], ...]] = (
    (osm.SUFFIXES, osm.read),
    (geojson.SUFFIXES, geojson.read),
)


def add(files: Sequence[Path], data: Path, tell: Progress) -> list[str]:
    """Add the buildings of these files to those kept in ``data``; what to say of it, in lines.

    A building given again replaces the one before. ``tell(file, read_bytes, all_bytes)`` hears of
    the progress. Raises `DataError`.
    """
    for path in files:
        _reader(path)
    kept = load(data, Sources())
    lines = []
    for path in files:
        found, without_count = _all_of(path, tell)
        lines.append(f"{path}: {len(found):,} buildings{_left_out(without_count)}")
        kept = found if kept is None else merged([kept, found])
        _check_count(len(kept))
    if kept is not None:
        path = save(data, kept)
        lines.append(f"{path.stem}: {described(path)}")
    return lines


def _reader(path: Path) -> Reader:
    for suffixes, read in _READERS:
        if path.name.lower().endswith(suffixes):
            return read
    raise DataError(f"{path}: expected an extract of OpenStreetMap's, {', '.join(FORMATS)}")


def _all_of(path: Path, tell: Progress) -> tuple[Outlines, int]:
    """The buildings of a file, and how many in it have no outline."""
    try:
        size_bytes = path.stat().st_size
        tell(str(path), 0, size_bytes)
        found: list[Outlines] = []
        without_count = 0
        for some, some_without in _reader(path)(path):
            found.append(some)
            without_count += some_without
            _check_count(sum(map(len, found)))
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}") from error
    if not any(found):
        raise DataError(f"{path} holds no building: expected ways or relations tagged `building`")
    tell(str(path), size_bytes, size_bytes)
    return merged(found), without_count


def _left_out(count: int) -> str:
    """What is cut by an extract's edge has no whole outline; of OpenStreetMap all have an id."""
    return f" ({count:,} left out: without a whole outline, or an id)" if count > 0 else ""


def _check_count(count: int) -> None:
    if count > BUILDINGS_MAX:
        raise DataError(
            f"more than {BUILDINGS_MAX:,} buildings: expected an extract of where the stores are; "
            "docs/footprint.md says how to cut one"
        )
