"""What lies in a data folder for catalogues, told apart from what lay there before."""

from __future__ import annotations

from pathlib import Path

from geoengine.catalog.reach.kept import path_in
from geoengine.catalog.reading.sources import added_to

Stamp = frozenset[tuple[str, int, int, int]]


def stamp_of(data: Path) -> Stamp:
    """Names, dates, sizes and places on the disk: others when something was added or replaced.

    What is put there takes its place whole, under a new number of its own; so a look at the
    folder tells a change without reading the files. Their bytes decide whether it matters.
    """
    found = []
    for path in paths_in(data):
        try:
            about = path.stat()
        except OSError:  # not there, or gone meanwhile
            continue
        found.append((str(path), about.st_mtime_ns, about.st_size, about.st_ino))
    return frozenset(found)


def size_of(data: Path) -> int:
    """Bytes of all files that a catalogue may read there."""
    return sum(path.stat().st_size for path in paths_in(data) if path.is_file())


def paths_in(data: Path) -> list[Path]:
    """The folders and files, there or not."""
    return [*added_to(data), path_in(data)]
