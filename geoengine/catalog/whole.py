"""Files that are there whole or not at all, for whoever opens them and after a power cut."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, Final

UNFINISHED: Final = ".new"  # the end of the hidden name of a file on its way
FOR_ALL: Final = 0o644  # a service under another name reads what an operator has added
FOR_OWNER: Final = 0o600  # what is in force in a shop is nobody else's business


@contextmanager
def replacing(path: Path, mode: int = FOR_ALL) -> Iterator[BinaryIO]:
    """A file to write, which takes the place of another once all is on the disk; on an error
    nothing has changed.
    """
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".", suffix=UNFINISHED)
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.chmod(name, mode)
        os.replace(name, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(name)
        raise
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    """The new name reaches the disk too, where the file system can be asked for it."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
