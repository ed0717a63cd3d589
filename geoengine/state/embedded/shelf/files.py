"""The files of the embedded state: private ones, durable names, and a reserve of disk space."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

# Enough log for thousands of withdrawals, a round of trimming, and to bring into the tables what
# still stands in the journal (`Tuning.backlog_bytes`), which an erasure needs first.
_SIZE_BYTES = 16 * 1024 * 1024


class Ballast:
    """A file that takes up room until the room is needed.

    On a full disk even a delete needs room to be written down.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def release(self) -> bool:
        """Delete the file; whether there was one."""
        try:
            self.path.unlink()
        except FileNotFoundError:
            return False
        return True

    def restore(self) -> None:
        """Make the file again, where twice its size is free: not to fill the disk by itself."""
        if self.path.exists() or _free_bytes(self.path.parent) < 2 * _SIZE_BYTES:
            return
        handle = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.posix_fallocate(handle, 0, _SIZE_BYTES)
        except OSError:
            self.path.unlink(missing_ok=True)
        finally:
            os.close(handle)


def _free_bytes(directory: Path) -> int:
    info = os.statvfs(directory)
    return info.f_bavail * info.f_frsize


def make_file(path: Path) -> None:
    """An empty file only its owner can read: it will hold personal data.

    A file that exists is left alone: closing a second handle on it would drop the locks that this
    process may hold on it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))


def sync_directory(directory: Path) -> None:
    """Make the file's name durable; SQLite does this for its log only."""
    handle = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
