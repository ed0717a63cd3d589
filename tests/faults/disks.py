"""Disks that misbehave: layers under SQLite through which every byte of the state goes.

``kill -9`` does not test durability: the kernel still writes what it was given. What a power cut
loses is what was written and not yet synced; only a layer that knows the difference can lose it.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import apsw

Mode = Literal["dropped", "torn"]
SECTOR_BYTES = 512


class Platter:
    """A file as the disk has it, and the writes that have not been synced yet."""

    def __init__(self) -> None:
        self.durable = bytearray()
        self.unsynced: list[tuple[int, bytes | None]] = []  # offset and data; None truncates

    def sync(self) -> None:
        for offset, data in self.unsynced:
            _put(self.durable, offset, data)
        self.unsynced.clear()

    def after_power_cut(self, rng: random.Random, mode: Mode) -> bytes:
        """What is found later: any of the unsynced writes may have made it, in whole or in part."""
        left = bytearray(self.durable)
        share = rng.choice((0.0, 0.5, 0.9))
        for offset, data in self.unsynced:
            if rng.random() >= share:
                continue
            if data is not None and mode == "torn" and rng.random() < 0.5:
                offset, data = _torn(rng, offset, data)
            _put(left, offset, data)
        return bytes(left)


def _put(image: bytearray, offset: int, data: bytes | None) -> None:
    if data is None:
        del image[offset:]
        image.extend(bytes(max(0, offset - len(image))))
        return
    image.extend(bytes(max(0, offset - len(image))))
    image[offset : offset + len(data)] = data


def _torn(rng: random.Random, offset: int, data: bytes) -> tuple[int, bytes]:
    """Only the first or only the last sectors of a write."""
    cut = SECTOR_BYTES * rng.randrange(0, len(data) // SECTOR_BYTES + 1)
    return (offset, data[:cut]) if rng.random() < 0.5 else (offset + cut, data[cut:])


class Disk(apsw.VFS):
    """The operating system's files, with a word to say at each operation on them.

    ``before`` is called with the operation's name and the number of bytes, and may raise.
    """

    def __init__(self, name: str, before: Callable[[str, int], None]) -> None:
        self.name = name
        self.before = before
        self.platters: dict[str, Platter] = {}
        super().__init__(name, "")

    def excepthook(self, *_: object) -> bool:
        """Errors raised here are meant for SQLite, not for the terminal."""
        return True

    def xOpen(self, name: str | apsw.URIFilename | None, flags: list[int]) -> _File:
        file_name = name.filename() if isinstance(name, apsw.URIFilename) else str(name)
        platter = self.platters.setdefault(Path(file_name).name, Platter())
        return _File(self, platter, name, flags)

    def xDelete(self, filename: str, syncdir: bool) -> None:
        self.before("delete", 0)
        super().xDelete(filename, syncdir)
        self.platters.pop(Path(filename).name, None)

    def found_after_power_cut(self, directory: Path, rng: random.Random, mode: Mode) -> None:
        """Lay out in a directory what is left of the files."""
        directory.mkdir()
        for name, platter in self.platters.items():
            (directory / name).write_bytes(platter.after_power_cut(rng, mode))


class _File(apsw.VFSFile):
    def __init__(
        self,
        disk: Disk,
        platter: Platter,
        name: str | apsw.URIFilename | None,
        flags: list[int],
    ) -> None:
        self._disk = disk
        self._platter = platter
        super().__init__("", name, flags)

    def excepthook(self, *_: object) -> bool:
        return True

    def xRead(self, amount: int, offset: int) -> bytes:
        self._disk.before("read", amount)
        return super().xRead(amount, offset)

    def xWrite(self, data: bytes, offset: int) -> None:
        self._disk.before("write", len(data))
        super().xWrite(data, offset)
        self._platter.unsynced.append((offset, bytes(data)))

    def xTruncate(self, newsize: int) -> None:
        self._disk.before("truncate", newsize)
        super().xTruncate(newsize)
        self._platter.unsynced.append((newsize, None))

    def xSync(self, flags: int) -> None:
        self._disk.before("sync", flags)
        self._platter.sync()


class Countdown:
    """Lets so many operations pass; then the power is gone for good."""

    def __init__(self, operations: int) -> None:
        self.left = operations

    def __call__(self, what: str, size: int) -> None:
        self.left -= 1
        if self.left < 0:
            raise apsw.IOError("the power is gone")


class FailingSync:
    """Fails one sync, at the moment it is told to; afterwards everything works again."""

    is_armed = False

    def __call__(self, what: str, size: int) -> None:
        if what == "sync" and self.is_armed:
            self.is_armed = False
            raise apsw.IOError("the disk could not keep what it was given")


class Quota:
    """A disk of so many bytes, on which a directory lives: writing beyond it fails."""

    def __init__(self, directory: Path, limit_bytes: int) -> None:
        self._directory = directory
        self.limit_bytes = limit_bytes

    def __call__(self, what: str, size: int) -> None:
        if what != "write":
            return
        used = sum(file.stat().st_size for file in self._directory.iterdir())
        if used + size > self.limit_bytes:
            raise apsw.FullError("no space left on device")
