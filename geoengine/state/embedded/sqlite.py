"""The shelf on disk: SQLite through apsw, one connection, used by one thread.

Nothing else imports apsw. It brings its own SQLite. The one of Debian 12 (3.40.1) has the WAL-reset
bug, which can corrupt a database that two connections write; here there is one connection, and it
holds the file exclusively, so a second engine on it is refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import apsw

from geoengine.core.errors import StateError, StateLocked, StateUnavailable
from geoengine.state.embedded import schema
from geoengine.state.embedded.files import Ballast, make_file, sync_directory
from geoengine.state.embedded.scrub import scrub
from geoengine.state.embedded.writes import (
    DECISIONS_KEPT_COUNT,
    OPS_KEPT_COUNT,
    OPS_KEPT_MS,
    SETTLED_KEPT_MS,
    Broken,
    Counts,
    DiskFull,
    PersonRow,
    SendRow,
    Write,
    last_words,
    shares_of,
)


@dataclass(frozen=True, slots=True)
class Tuning:
    """How the file is written. Only the fault tests have a reason to change it."""

    synchronous: str = "FULL"  # less loses acknowledged commits in a power cut
    vfs: str = ""  # by default the operating system's
    checkpoint_pages: int = 2_000  # 8 MB: the log is copied into the file when it is this long
    journal_limit_bytes: int = 16 * 1024 * 1024


class SqliteShelf:
    """One file, its log beside it, and a reserve of space for the day the disk is full."""

    def __init__(self, path: Path, tuning: Tuning) -> None:
        self._path = path
        self._tuning = tuning
        self._ballast = Ballast(path.with_name(path.name + ".ballast"))
        self._is_broken = False
        self._log_pages = 0
        self._decision_seq = 0
        self._decision_count = 0

    def open(self) -> None:
        """Take hold of the file, making it if there is none."""
        try:
            make_file(self._path)
        except OSError as error:
            raise StateUnavailable(f"cannot write {self._path}: {error.strerror}") from error
        self._connect()
        try:
            with self._translated():
                self._check_format()
                self._read_counts()
        except BaseException:
            self._abandon()
            raise
        sync_directory(self._path.parent)
        self._ballast.restore()

    def _connect(self) -> None:
        with self._translated():
            self._db = apsw.Connection(str(self._path), vfs=self._tuning.vfs or None)
        try:
            with self._translated():
                self._take_hold()
        except BaseException:
            self._abandon()
            raise

    def _abandon(self) -> None:
        """Close a file that could not be opened properly; why it could not is told already."""
        with suppress(apsw.Error):
            self._db.close()

    def _take_hold(self) -> None:
        run = self._db.execute
        run("PRAGMA locking_mode = EXCLUSIVE")
        run("PRAGMA journal_mode = WAL")
        run(f"PRAGMA synchronous = {self._tuning.synchronous}")
        run(f"PRAGMA journal_size_limit = {self._tuning.journal_limit_bytes}")
        run("PRAGMA secure_delete = ON")
        run("PRAGMA mmap_size = 0")
        run("PRAGMA temp_store = MEMORY")
        # Checkpoints are run by `copy_log`, after the commits are answered: the built-in ones
        # make a commit wait and swallow their errors.
        self._db.set_wal_hook(self._note_log_length)
        run("BEGIN IMMEDIATE; COMMIT")

    def _check_format(self) -> None:
        application_id = self._db.pragma("application_id")
        found = self._db.pragma("user_version")
        if application_id == schema.APPLICATION_ID and found > schema.FORMAT:
            raise StateUnavailable(
                f"{self._path} has format {found}, written by a newer geoengine; "
                f"this one reads up to {schema.FORMAT}"
            )
        if application_id == schema.APPLICATION_ID:
            return
        if self._db.execute("SELECT count(*) FROM sqlite_schema").get:
            raise StateUnavailable(f"{self._path} is a database of some other program")
        with self._transaction():
            self._db.execute(schema.TABLES)
            self._db.execute(f"PRAGMA application_id = {schema.APPLICATION_ID}")
            self._db.execute(f"PRAGMA user_version = {schema.FORMAT}")

    def _read_counts(self) -> None:
        counted = self._db.execute("SELECT count(*), coalesce(max(seq), 0) FROM decisions")
        self._decision_count, self._decision_seq = next(iter(counted))

    def read_people(self) -> Iterator[PersonRow]:
        """Every record, by id."""
        query = "SELECT person_id, version, due_ms, flags, packed FROM people ORDER BY person_id"
        return self._rows(PersonRow, query)

    def read_aliases(self) -> Iterator[tuple[str, str]]:
        """Every device or beacon that belongs to somebody."""
        return self._rows(lambda *row: row, "SELECT name, person_id FROM aliases")

    def read_pending(self) -> Iterator[SendRow]:
        """Every send that has not ended, oldest first."""
        where = "WHERE status = 'pending' ORDER BY seq"
        return self._rows(SendRow, f"SELECT {schema.SEND_COLUMNS} FROM sends {where}")  # noqa: S608

    def read_ops(self) -> Iterator[tuple[bytes, int]]:
        """The operation ids remembered, oldest first."""
        query = (
            "SELECT op, at_ms FROM "
            "(SELECT seq, op, at_ms FROM ops ORDER BY seq DESC LIMIT ?) ORDER BY seq"
        )
        return self._rows(lambda *row: row, query, (OPS_KEPT_COUNT,))

    def take_last_fixes(self) -> list[bytes]:
        """The times that a graceful stop left behind; they are gone afterwards."""
        found = self._rows(lambda packed: packed, "SELECT packed FROM last_fixes ORDER BY chunk")
        chunks = list(found)
        if chunks:
            self._alter("DELETE FROM last_fixes")
        return chunks

    def leave_last_fixes(self, chunks: Iterable[bytes]) -> None:
        """Leave times for the next start."""
        with self._translated(), self._transaction():
            self._db.executemany(
                "INSERT INTO last_fixes (packed) VALUES (?)", ((c,) for c in chunks)
            )

    def read_note(self, name: str) -> bytes | None:
        """What was left under a name."""
        query = "SELECT value FROM notes WHERE name = ?"
        return next(self._rows(lambda value: value, query, (name,)), None)

    def leave_note(self, name: str, value: bytes) -> None:
        """Leave something under a name, in place of what was there."""
        self._alter(schema.PUT_NOTE, (name, value))

    def write(self, writes: list[Write]) -> list[set[str]]:
        """One transaction for all of them; returns once it is on the disk."""
        with self._translated(), self._transaction():
            return self._put_away(writes)

    def copy_log(self) -> None:
        """Checkpoint, once the log is long enough to be worth it.

        On a full disk the log goes on growing instead, until that is full too and commits fail.
        """
        if self._log_pages < self._tuning.checkpoint_pages:
            return
        self._log_pages = 0
        with suppress(DiskFull), self._translated():
            self._db.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)

    def _put_away(self, writes: list[Write]) -> list[set[str]]:
        many = self._db.executemany
        people = last_words(writes)
        many(schema.PUT_PERSON, [row for row in people.values() if row is not None])
        many(schema.DROP_PERSON, [(p,) for p, row in people.items() if row is None])
        self._put_aliases([pair for write in writes for pair in write.aliases])
        many(schema.ADD_DECISION, [row for write in writes for row in self._numbered(write)])
        many(schema.ADD_OP, [(write.op, write.now_ms) for write in writes if write.op])
        added = many(schema.ADD_SEND, [row for write in writes for row in write.sends])
        new = {send_id for (send_id,) in added}
        for write in writes:
            self._move_sends(write)
        return shares_of(new, writes)

    def _put_aliases(self, pairs: list[tuple[str, str]]) -> None:
        for name, person_id in pairs:
            if name == person_id:
                self._db.execute(schema.DROP_ALIAS, (name,))
            else:
                self._db.execute(schema.PUT_ALIAS, (name, person_id))

    def _move_sends(self, write: Write) -> None:
        """A row may be cancelled and settled within one group: order counts."""
        for again in write.postponements:
            self._db.execute(schema.POSTPONE, (again.due_ms, again.packed, again.send_id))
        for end in write.ends:
            statement = schema.CANCEL if end.is_cancellation else schema.END
            values = (end.status, end.reason, end.settled_ms, end.packed, end.send_id)
            self._db.execute(statement, values)

    def _numbered(self, write: Write) -> Iterator[tuple[str, int, int, bytes]]:
        for row in write.decisions:
            self._decision_seq += 1
            self._decision_count += 1
            yield row.person_id, row.at_ms, self._decision_seq, row.packed

    def decisions(self, person_id: str, limit: int) -> list[bytes]:
        """The packed decisions about a person, newest first."""
        return list(self._rows(lambda packed: packed, schema.DECISIONS_OF, (person_id, limit)))

    def sends(self, status: str, limit: int) -> list[SendRow]:
        """Rows of the outbox, newest first."""
        query = f"SELECT {schema.SEND_COLUMNS} FROM sends "  # noqa: S608 our own constant
        if not status:
            return list(self._rows(SendRow, query + "ORDER BY seq DESC LIMIT ?", (limit,)))
        where = "WHERE status = ? ORDER BY seq DESC LIMIT ?"
        return list(self._rows(SendRow, query + where, (status, limit)))

    def revive(self, send_ids: list[str], now_ms: int, expires_ms: int) -> list[SendRow]:
        """Make dead rows pending again."""
        query = f"SELECT {schema.SEND_COLUMNS} FROM sends WHERE send_id = ? AND status = 'dead'"  # noqa: S608
        revived = []
        with self._translated(), self._transaction():
            for send_id in send_ids:
                for row in self._rows(SendRow, query, (send_id,)):
                    row = row.revived(now_ms, expires_ms)
                    self._db.execute(schema.REVIVE, (now_ms, row.packed, send_id))
                    revived.append(row)
        return revived

    def erase(self, person_id: str) -> int:
        """Forget a person to the last byte: rows are overwritten, the log is emptied, what SQLite
        leaves in between is blanked.
        """
        with self._translated():
            with self._transaction():
                counts = [self._run(statement, (person_id,)) for statement in schema.ERASE]
            self._decision_count -= counts[-1]
            self._db.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
            self._db.close()
        self._reopen_scrubbed()
        return sum(counts)

    def _reopen_scrubbed(self) -> None:
        try:
            scrub(self._path)
            self._connect()
        except (OSError, StateError) as error:
            self._is_broken = True
            raise Broken(f"{self._path} was lost during an erasure: {error}") from error

    def trim(self, now_ms: int, decisions_before_ms: int, limit: int) -> int:
        """Drop up to ``limit`` rows of each kind that are older than they are kept."""
        self._alter(schema.TRIM_OPS, (now_ms - OPS_KEPT_MS, limit))
        self._alter(schema.TRIM_OPS_COUNT, (OPS_KEPT_COUNT,))
        dropped = self._alter(schema.TRIM_SENDS, (now_ms - SETTLED_KEPT_MS, limit))
        aged = self._alter(schema.TRIM_DECISIONS, (decisions_before_ms, limit))
        excess = min(limit, self._decision_count - aged - DECISIONS_KEPT_COUNT)
        if excess > 0:
            aged += self._alter(schema.TRIM_DECISIONS, (1 << 62, excess))
        self._decision_count -= aged
        return dropped + aged

    def counts(self) -> Counts:
        """What is held."""
        dead = self._db.execute("SELECT count(*) FROM sends WHERE status = 'dead'").get
        return Counts(dead, self._decision_count, self._disk_bytes())

    def _disk_bytes(self) -> int:
        files = (self._path, self._path.with_name(self._path.name + "-wal"), self._ballast.path)
        return sum(file.stat().st_size for file in files if file.exists())

    def relieve(self) -> bool:
        """Give up the reserve of space."""
        return self._ballast.release()

    def tidy(self) -> None:
        """Put the reserve back if there is room for it again."""
        self._ballast.restore()

    def close(self) -> None:
        """Let go; the log is copied into the file and removed, unless the disk has failed us."""
        with self._translated():
            if self._is_broken:
                self._db.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
            self._db.close()

    def _rows(self, make: Any, query: str, values: tuple[Any, ...] = ()) -> Iterator[Any]:
        with self._translated():
            for columns in self._db.execute(query, values):
                yield make(*columns)

    def _alter(self, statement: str, values: tuple[Any, ...] = ()) -> int:
        """One statement in a transaction of its own; how many rows it changed."""
        with self._translated(), self._transaction():
            return self._run(statement, values)

    def _run(self, statement: str, values: tuple[Any, ...]) -> int:
        self._db.execute(statement, values)
        return int(self._db.changes())

    def _note_log_length(self, _db: apsw.Connection, _name: str, pages: int) -> int:
        self._log_pages = pages
        return apsw.SQLITE_OK

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        counters = self._decision_seq, self._decision_count
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._db.execute("COMMIT")
        except BaseException:
            self._decision_seq, self._decision_count = counters
            # A full disk has rolled back already; rolling back twice is an error.
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise

    @contextmanager
    def _translated(self) -> Iterator[None]:
        """SQLite's errors as ours."""
        try:
            yield
        except apsw.BusyError as error:
            raise StateLocked(
                f"{self._path} is held by another engine; "
                "stop it, or give this one a state of its own"
            ) from error
        except apsw.FullError as error:
            raise DiskFull(f"no room left for {self._path}") from error
        except apsw.NotADBError as error:
            raise StateUnavailable(f"{self._path} is not a geoengine database") from error
        except (apsw.CantOpenError, apsw.ReadOnlyError, apsw.PermissionsError) as error:
            raise StateUnavailable(f"cannot write {self._path}: {error}") from error
        except apsw.NoMemError as error:
            raise StateUnavailable(f"no memory to write {self._path}") from error
        except apsw.Error as error:
            self._is_broken = True
            raise Broken(f"{self._path} can no longer be trusted: {error}") from error
