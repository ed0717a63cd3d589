"""The files that a catalogue was read from, each with a digest of the very bytes that were read.

A compiled catalogue may be used again only while reading would find the same: the digests are
taken on the way to the parser and not from the file afterwards, which may have changed meanwhile.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from hashlib import blake2b, file_digest
from pathlib import Path
from stat import S_ISREG
from typing import Any, BinaryIO

Progress = Callable[[str, int, int], None]  # file, bytes read, bytes in all

UNREAD = ""  # the digest of what could not be read to its end
# Folders of a data folder whose files say what a catalogue compiles to, whichever they are. Of the
# reaches it is one file, of the roads none.
ADDED = ("density", "buildings")
_DIGEST_BYTES = 16
_CHUNK_BYTES = 1 << 20


class Sources:
    """What was read, by path as it was opened."""

    def __init__(self) -> None:
        self.digests: dict[str, str] = {}
        self._unsteady: set[str] = set()  # read as one thing, then as another
        self._marks: dict[str, tuple[int, ...]] = {}  # of added files, from before they were read

    def read_bytes(self, path: Path) -> bytes:
        """The bytes of a file."""
        content = path.read_bytes()
        self._learn(path, _digest(content))
        return content

    def open(self, path: Path) -> BinaryIO:
        """A file to be read in pieces; its digest is known once it was read to the end."""
        self.digests.setdefault(str(path), UNREAD)
        return io.BufferedReader(_Tapped(path, self._learn), _CHUNK_BYTES)

    def read_folders(self, data: Path) -> None:
        """Everything that was added to a data folder for catalogues, and that nothing more was.

        Asked again, only what has been touched since is read once more: a country's buildings are
        hundreds of megabytes.
        """
        for path in added_to(data):
            name, mark = str(path), _mark(path)
            if not mark or mark != self._marks.get(name):
                self._marks[name] = mark
                self._learn(path, digest_of(path))

    def lack(self, path: Path) -> None:
        """A file that could not be used, and without which the catalogue was made."""
        self._unsteady.add(str(path))
        self.digests[str(path)] = UNREAD

    def _learn(self, path: Path, digest: str) -> None:
        name = str(path)
        if self.digests.get(name, UNREAD) not in (UNREAD, digest):
            self._unsteady.add(name)
        self.digests[name] = UNREAD if name in self._unsteady else digest


def digest_of(path: Path) -> str:
    """The digest of a file, or of a folder's names, as it is now; `UNREAD` where there is none."""
    try:
        if path.is_dir():
            names = "\0".join(found.name for found in _visible(path))
            return _digest(names.encode(errors="surrogateescape"))
        with path.open("rb") as file:
            return file_digest(file, _new_digest).hexdigest()
    except OSError:
        return UNREAD


def _mark(path: Path) -> tuple[int, ...]:
    """What changes whenever a file does; nothing of a folder, whose names are asked each time."""
    try:
        told = path.stat()
    except OSError:
        return ()
    is_file = S_ISREG(told.st_mode)
    return (told.st_ino, told.st_size, told.st_mtime_ns, told.st_ctime_ns) if is_file else ()


def added_to(data: Path) -> list[Path]:
    """The folders that matter to a catalogue, there or not, and the files in them."""
    folders = [data / name for name in ADDED]
    return folders + [path for folder in folders if folder.is_dir() for path in _visible(folder)]


def _visible(folder: Path) -> list[Path]:
    """What lies in a folder, in order; hidden files are not finished."""
    return sorted(path for path in folder.iterdir() if not path.name.startswith("."))


class _Tapped(io.FileIO):
    """A file that digests what is read from it, front to back."""

    def __init__(self, path: Path, learn: Callable[[Path, str], None]) -> None:
        super().__init__(path)
        self._path = path
        self._learn = learn
        self._digest = _new_digest()

    def readinto(self, buffer: Any, /) -> int:
        count = super().readinto(buffer) or 0
        if count:
            self._digest.update(memoryview(buffer)[:count])
        else:
            self._learn(self._path, self._digest.hexdigest())
        return count


def _digest(content: bytes) -> str:
    return blake2b(content, digest_size=_DIGEST_BYTES).hexdigest()


def _new_digest() -> blake2b:
    return blake2b(digest_size=_DIGEST_BYTES)
