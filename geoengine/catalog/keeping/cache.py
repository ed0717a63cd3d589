"""A directory of compiled catalogues: found while nothing they were made from has changed.

A catalogue goes by a name made of its YAML files' paths and bytes and of what compiled them. The
rest of what was read (imported rows, polygons) is listed inside with digests. Both are checked by
reading the files, not by their dates: sixty megabytes take a tenth of a second. So what is found
here is what compiling would make. What is not found, damaged or of another version is compiled
again; nothing here is needed, everything may be deleted at any time. The folder is its owner's
alone: checksums find damage, not malice, and compiled code takes an index at its word.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import Final

from geoengine.catalog.building.compile import Reading
from geoengine.catalog.keeping import columns, container
from geoengine.catalog.keeping.columns import Origin
from geoengine.catalog.keeping.identity import fingerprint
from geoengine.catalog.reach.journal import JOURNAL, LOCK
from geoengine.catalog.reading.gather import files_of
from geoengine.catalog.reading.sources import digest_of
from geoengine.catalog.whole import UNFINISHED

SUFFIX: Final = ".book"
# The ends of names of what we write ourselves, and that is no change of anybody's catalogue.
_OURS: Final = (SUFFIX, UNFINISHED, JOURNAL, LOCK)
KEPT_PATTERNS: Final = tuple(re.escape(end) + "$" for end in _OURS)
KEPT_MAX: Final = 8  # files, and bytes; a million circles take 220 MB, 10,000 isochrones 320
KEPT_MAX_BYTES: Final = 2_000_000_000
_ABANDONED_NS: Final = 3_600_000_000_000  # an hour; writing takes seconds
_OWNER_ONLY: Final = 0o700  # what is in force in a shop is nobody else's business


def default_folder(environ: Mapping[str, str]) -> Path:
    """Where compiled catalogues go unless told otherwise: ``$XDG_CACHE_HOME/geoengine``.

    >>> str(default_folder({"XDG_CACHE_HOME": "/var/cache"}))
    '/var/cache/geoengine'
    """
    base = environ.get("XDG_CACHE_HOME", "")
    if not os.path.isabs(base):
        home = os.path.expanduser("~")
        # Who has no home keeps nothing: a shared folder of a known name could be somebody else's.
        base = os.path.join(home, ".cache") if os.path.isabs(home) else os.devnull
    return Path(base) / "geoengine"


@dataclass(frozen=True, slots=True)
class Cache:
    """A directory of compiled catalogues."""

    folder: Path
    made_by: bytes = field(default_factory=fingerprint)

    def find(self, directory: Path) -> Reading | None:
        """What a directory compiled to, if nothing has changed since. Raises `Damaged`."""
        documents = {str(path): digest_of(path) for path in files_of(directory)}
        path = self.folder / self._name(directory, documents.items())
        try:
            parts = container.read(path)
        except OSError:
            return None
        if not _is_current(columns.origin_of(parts), documents):
            return None
        with suppress(OSError):
            os.utime(path)  # the latest used are kept
        return columns.unpack(parts)

    def keep(self, directory: Path, reading: Reading, is_indexed: bool = True) -> Path:
        """Put a compiled catalogue down, with its index; where it is. Raises `OSError`."""
        self.folder.mkdir(mode=_OWNER_ONLY, parents=True, exist_ok=True)
        documents = ((path, reading.digests[path]) for path in reading.documents)
        path = self.folder / self._name(directory, documents)
        container.write(path, columns.pack(reading, is_indexed))
        _drop_oldest(self.folder)
        return path

    def _name(self, directory: Path, documents: Iterable[tuple[str, str]]) -> str:
        digest = blake2b(self.made_by, digest_size=20)
        for part in (str(directory), *(f"{path}\0{found}" for path, found in documents)):
            digest.update(f"{part}\0".encode(errors="surrogateescape"))
        return digest.hexdigest() + SUFFIX


def load(path: Path) -> Reading:
    """A compiled catalogue by its file. Raises `Damaged` and `OSError`."""
    return columns.unpack(container.read(path))


def _is_current(origin: Origin, documents: Mapping[str, str]) -> bool:
    """Whether all that was read is there as it was; the documents' digests are known already."""
    return origin.documents == tuple(documents) and all(
        digest == (documents[path] if path in documents else digest_of(Path(path)))
        for path, digest in origin.digests.items()
    )


def _drop_oldest(folder: Path) -> None:
    """Keep the latest used, and nothing half written by who was killed long before them."""
    with suppress(OSError):  # somebody else may be dropping the same ones
        by_age = sorted(folder.glob(f"*{SUFFIX}"), key=_used_ns)
        room_bytes = KEPT_MAX_BYTES
        for nth, path in enumerate(reversed(by_age)):
            room_bytes -= path.stat().st_size
            if nth >= KEPT_MAX or (nth and room_bytes < 0):
                path.unlink()
        for path in folder.glob(f".*{UNFINISHED}"):
            if _used_ns(path) < _used_ns(by_age[-1]) - _ABANDONED_NS:
                path.unlink()


def _used_ns(path: Path) -> int:
    return path.stat().st_mtime_ns
