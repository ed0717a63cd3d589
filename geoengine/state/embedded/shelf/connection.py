"""The connection to the file: SQLite through apsw, used by one thread.

Nothing else imports apsw. It brings its own SQLite. The one of Debian 12 (3.40.1) has the WAL-reset
bug, which can corrupt a database that two connections write; here there is one connection, and it
holds the file exclusively, so a second engine on it is refused.

SQLite's errors leave here as ours.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

import apsw

from geoengine.core.errors import StateError, StateLocked, StateUnavailable
from geoengine.state.embedded.writes import Broken, DiskFull

T = TypeVar("T")
Values = Sequence[Any] | dict[str, Any]


def as_table(numbers: Iterable[int]) -> Any:
    """Whole numbers to be given for the ? of ``carray(?)``."""
    return apsw.carray(array("q", numbers))


class Connection:
    """One file and its log, held exclusively from `open` to `close`."""

    def __init__(self, path: Path, vfs: str, synchronous: str, log_limit_bytes: int) -> None:
        self.is_broken = False  # the disk has failed us: nobody knows what it holds
        self._path = path
        self._vfs = vfs
        self._synchronous = synchronous
        self._log_limit_bytes = log_limit_bytes
        self._log_pages = 0

    def open(self) -> None:
        """Take hold of the file, which may be empty. Raises `StateLocked`, `StateUnavailable`."""
        with self._translated():
            self._db = apsw.Connection(str(self._path), vfs=self._vfs or None)
        try:
            with self._translated():
                self._take_hold()
        except BaseException:
            self.abandon()
            raise

    def _take_hold(self) -> None:
        run = self._db.execute
        run("PRAGMA locking_mode = EXCLUSIVE")
        run("PRAGMA journal_mode = WAL")
        run(f"PRAGMA synchronous = {self._synchronous}")
        run(f"PRAGMA journal_size_limit = {self._log_limit_bytes}")
        run("PRAGMA secure_delete = ON")
        run("PRAGMA mmap_size = 0")
        run("PRAGMA temp_store = MEMORY")
        # Checkpoints are run by `checkpoint`, after the commits are answered: the built-in ones
        # make a commit wait and swallow their errors.
        self._db.wal_autocheckpoint(0)
        run("BEGIN IMMEDIATE; COMMIT")

    def abandon(self) -> None:
        """Close a file that could not be opened properly; why it could not is told already."""
        with suppress(apsw.Error):
            self._db.close()

    def close(self) -> None:
        """Let go; the log is copied into the file and removed, unless the disk has failed us."""
        with self._translated():
            if self.is_broken:
                self._db.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
            self._db.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All of what follows or none of it, on the disk at the end."""
        self._refuse_if_broken()
        with self._translated():
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._db.execute("COMMIT")
            except BaseException:
                # A full disk has rolled back already; rolling back twice is an error.
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise

    def run(self, statement: str, values: Values = ()) -> int:
        """A statement without an answer; how many rows it changed."""
        self._refuse_if_broken()
        with self._translated():
            self._db.execute(statement, values)
            return int(self._db.changes())

    def run_many(self, statement: str, rows: Iterable[Values]) -> None:
        """The statement for each row."""
        with self._translated():
            self._db.executemany(statement, rows)

    def alter(self, statement: str, values: Values = ()) -> int:
        """One statement in a transaction of its own; how many rows it changed."""
        with self.transaction():
            return self.run(statement, values)

    def rows(self, make: Callable[..., T], query: str, values: Values = ()) -> Iterator[T]:
        """What is found, made of each row's columns."""
        with self._translated():
            for columns in self._db.execute(query, values):
                yield make(*columns)

    def value(self, query: str) -> Any:
        """The only column of the only row."""
        with self._translated():
            return self._db.execute(query).get

    def checkpoint(self, pages: int) -> None:
        """Copy the log into the file, once so many pages have gone to it."""
        with self._translated():
            written, _ = self._db.status(apsw.SQLITE_DBSTATUS_CACHE_WRITE, True)
            self._log_pages += written
            if self._log_pages >= pages:
                self._log_pages = 0
                self._db.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)

    def empty_log(self) -> None:
        """Copy all of the log into the file and cut it to nothing."""
        with self._translated():
            self._db.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)

    def _refuse_if_broken(self) -> None:
        """After a failed sync a later one may succeed and yet keep nothing."""
        if self.is_broken:
            raise Broken(f"{self._path} can no longer be trusted")

    @contextmanager
    def _translated(self) -> Iterator[None]:
        """SQLite's errors as ours."""
        try:
            yield
        except apsw.Error as error:
            ours = _translation(error, self._path)
            self.is_broken = self.is_broken or isinstance(ours, Broken)
            raise ours from error


def _translation(error: apsw.Error, path: Path) -> StateError:
    if isinstance(error, apsw.BusyError):
        return StateLocked(
            f"{path} is held by another engine; stop it, or give this one a state of its own"
        )
    if isinstance(error, apsw.FullError):
        return DiskFull(f"no room left for {path}")
    if isinstance(error, apsw.NotADBError):
        return StateUnavailable(f"{path} is not a geoengine database")
    if isinstance(error, apsw.CantOpenError | apsw.ReadOnlyError | apsw.PermissionsError):
        return StateUnavailable(f"cannot write {path}: {error}")
    if isinstance(error, apsw.NoMemError):
        return StateUnavailable(f"no memory to write {path}")
    return Broken(f"{path} can no longer be trusted: {error}")
