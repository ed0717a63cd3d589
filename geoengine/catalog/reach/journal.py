"""Answers of a road network as they come in: written down one by one, published all at once.

While a build runs, every answer is appended to a journal, so a build that is killed begins again
where it was. At the end the journal and what was kept before become one file, which takes the
place of the earlier in one step: whoever reads the reaches meanwhile finds the ones of before.
One build at a time may do so in a folder; a lock that dies with the process sees to it.
"""

from __future__ import annotations

import fcntl
import mmap
import os
from collections.abc import Container, Iterator
from pathlib import Path
from types import TracebackType
from typing import Final

from geoengine.catalog.reach.kept import (
    FOLDER,
    MAGIC,
    Answer,
    Record,
    Scan,
    packed,
    path_in,
)
from geoengine.catalog.reach.question import Question
from geoengine.catalog.whole import replacing
from geoengine.core.errors import DataError

JOURNAL: Final = "reaches.journal"
LOCK: Final = "reaches.lock"
_SYNCED_EACH: Final = 64  # answers; a power cut loses as many, a second or two of asking


class Journal:
    """The one writer of a folder of reaches, from entering to leaving it.

    Raises `DataError` when entered while somebody else is in, and `OSError` where the folder
    cannot be written.
    """

    def __init__(self, data: Path) -> None:
        self.kept_path = path_in(data)
        self.journal_path = data / FOLDER / JOURNAL
        self.was_damaged = False  # part of what was kept cannot be read
        self._networks: dict[Question, str] = {}  # which answered last
        self._lock = -1
        self._file = -1
        self._new_count = 0  # answers in the journal

    def __enter__(self) -> Journal:
        self.kept_path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = _locked(self.kept_path.with_name(LOCK))
        try:
            self._take_stock()
            self._file = os.open(self.journal_path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
            self._mend_journal()
        except BaseException:
            self._close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._close()

    def answered(self, network: str) -> set[Question]:
        """The questions to which this network had answered when the journal was opened."""
        return {question for question, by in self._networks.items() if by == network}

    def put(self, answer: Answer) -> None:
        """Write an answer down."""
        content = memoryview(packed(answer))
        while content:
            content = content[os.write(self._file, content) :]
        self._new_count += 1
        if self._new_count % _SYNCED_EACH == 0:
            os.fsync(self._file)

    def publish(self, wanted: Container[Question] | None = None) -> int:
        """Make one file of all answers, of those wanted only; how many there are then.

        Nothing is written where nothing would be another.
        """
        before, new = _content(self.kept_path), _content(self.journal_path)
        chosen = _chosen(before, new, wanted)
        old_count = sum(1 for _ in Scan(before))
        if self._new_count or self.was_damaged or len(chosen) < old_count:
            pieces = ((new if is_new else before)[a:b] for is_new, (a, b) in chosen)
            _replace(self.kept_path, pieces)
        self._empty()
        return len(chosen)

    def _take_stock(self) -> None:
        for path in (self.kept_path, self.journal_path):
            scan = Scan(_content(path))
            self._networks.update((answer.question, answer.network) for _at, answer in scan)
            if path == self.kept_path:
                self.was_damaged = scan.end < scan.size

    def _mend_journal(self) -> None:
        """Cut off what a killed build left half written, and go on behind the rest."""
        scan = Scan(_content(self.journal_path))
        self._new_count = sum(1 for _ in scan)
        if scan.end == 0:
            self._empty()
        else:
            os.ftruncate(self._file, scan.end)
            os.lseek(self._file, 0, os.SEEK_END)

    def _empty(self) -> None:
        os.ftruncate(self._file, 0)
        os.lseek(self._file, 0, os.SEEK_SET)
        os.write(self._file, MAGIC)
        self._new_count = 0

    def _close(self) -> None:
        for handle in (self._file, self._lock):
            if handle >= 0:
                os.close(handle)
        self._file = self._lock = -1


def _locked(path: Path) -> int:
    """A lock that ends with this process; the process that has it says so in the file."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        holder = os.read(handle, 20).decode(errors="replace").strip() or "unknown"
        os.close(handle)
        raise DataError(
            f"{path.parent} is being built by process {holder}: expected one build at a time"
        ) from error
    os.ftruncate(handle, 0)
    os.write(handle, f"{os.getpid()}\n".encode())
    return handle


def _content(path: Path) -> memoryview:
    """The bytes of a file, not all in memory; none where there is no file."""
    try:
        with path.open("rb") as file:
            if os.fstat(file.fileno()).st_size == 0:
                return memoryview(b"")
            return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    except FileNotFoundError:
        return memoryview(b"")


def _chosen(
    before: memoryview, new: memoryview, wanted: Container[Question] | None
) -> list[tuple[bool, Record]]:
    """The latest record of every question, and whether it is a new one."""
    latest: dict[Question, tuple[bool, Record]] = {}
    for is_new, content in ((False, before), (True, new)):
        for record, answer in Scan(content):
            if wanted is None or answer.question in wanted:
                latest[answer.question] = is_new, record
    return list(latest.values())


def _replace(path: Path, pieces: Iterator[memoryview]) -> None:
    """Put a file of these records in the place of another."""
    with replacing(path) as file:
        file.write(MAGIC)
        file.writelines(pieces)
