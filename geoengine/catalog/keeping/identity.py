"""What besides the marketer's files decides what they compile to: our code, and others' data."""

from __future__ import annotations

import sys
from functools import lru_cache
from hashlib import blake2b
from importlib.machinery import EXTENSION_SUFFIXES
from importlib.metadata import version
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Final

from geoengine.catalog.keeping.container import FORMAT
from geoengine.core.space.edges import IS_COMPILED

# Time zones and countries, opening hours, shapes and distances, numbers, YAML and JSON: another
# version of any of them may read the same file as something else.
_LIBRARIES: Final = (
    "tzdata",
    "tzfpy",
    "opening-hours-py",
    "rule-engine",
    "shapely",
    "pyproj",
    "numpy",
    "PyYAML",
    "msgspec",
)
# Sources, data, and what is compiled: an index is other tables with it and without it.
_ENDS: Final = (".py", ".npz", *EXTENSION_SUFFIXES)
_ROOMS: Final = ("core", "catalog")  # the catalogue's own code, and what it may import


@lru_cache(maxsize=1)
def fingerprint() -> bytes:
    """Thirty-two bytes that are others when any of it is another version."""
    digest = blake2b(f"{FORMAT} {sys.version} {IS_COMPILED}".encode(), digest_size=32)
    for name in _LIBRARIES:
        digest.update(f"{name} {version(name)}\n".encode())
    for room in _ROOMS:
        digest.update(taken_in(files("geoengine").joinpath(room)))
    return digest.digest()


def taken_in(package: Traversable) -> bytes:
    """Thirty-two bytes that are others when any code or data of a package is other."""
    digest = blake2b(digest_size=32)
    _take_in(digest, package)
    return digest.digest()


def _take_in(digest: blake2b, folder: Traversable) -> None:
    """The files of a package, and of those within it, that decide what it does."""
    for item in sorted(folder.iterdir(), key=lambda item: item.name):
        if item.is_dir():
            if item.name != "__pycache__":
                _take_in(digest, item)
        elif item.name.endswith(_ENDS):
            content = item.read_bytes()
            digest.update(f"{item.name} {len(content)}\n".encode() + content)
