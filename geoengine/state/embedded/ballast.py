"""A reserve of disk space: on a full disk even a delete needs room to be written down."""

from __future__ import annotations

import os
from pathlib import Path

_SIZE_BYTES = 4 * 1024 * 1024  # enough log for thousands of withdrawals and a round of trimming


class Ballast:
    """A file that takes up room until the room is needed."""

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
