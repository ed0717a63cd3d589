"""The shelf on disk: what is kept where, and when it goes there.

A group of writes goes to the journal and is durable with it; the tables get it later, together with
others (`backlog`). Whoever asks the tables has all of it filed before, but for decisions, facts and
cards, which are looked up in both.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from geoengine.core.errors import StateError, StateUnavailable
from geoengine.state.embedded.shelf import schema
from geoengine.state.embedded.shelf.backlog import (
    Backlog,
    Entry,
    Filing,
    Numbered,
    key_of,
    pack_entry,
    unpack_entry,
    unpack_ops,
)
from geoengine.state.embedded.shelf.base import Counts
from geoengine.state.embedded.shelf.cards import TableBox
from geoengine.state.embedded.shelf.connection import Connection, as_table
from geoengine.state.embedded.shelf.files import Ballast, make_file, sync_directory
from geoengine.state.embedded.shelf.log import TableLog
from geoengine.state.embedded.shelf.scrub import scrub
from geoengine.state.embedded.writes import (
    OPS_KEPT_COUNT,
    OPS_KEPT_MS,
    Broken,
    CardRow,
    DiskFull,
    News,
    PersonRow,
    SendRow,
    Write,
    news_of,
)
from geoengine.state.shapes import Ages


@dataclass(frozen=True, slots=True)
class Tuning:
    """How the file is written. Only the fault tests have a reason to change it."""

    synchronous: str = "FULL"  # less loses acknowledged commits in a power cut
    vfs: str = ""  # by default the operating system's
    checkpoint_pages: int = 4_000  # 16 MB: the log is copied into the file when it is this long
    log_limit_bytes: int = 32 * 1024 * 1024  # what the log's file shrinks to
    backlog_bytes: int = 16 * 1024 * 1024  # journal before it is filed: memory, time to recover
    filed_at_once: int = 1_024  # rows: a few milliseconds, which the next group may have to wait


class SqliteShelf:
    """One file, its log beside it, and a reserve of space for the day the disk is full."""

    def __init__(self, path: Path, tuning: Tuning) -> None:
        self._path = path
        self._tuning = tuning
        self._ballast = Ballast(path.with_name(path.name + ".ballast"))
        limit_bytes = tuning.log_limit_bytes
        self._db = Connection(path, tuning.vfs, tuning.synchronous, limit_bytes)
        self._entry_seq = 0
        self._log_seq = 0
        self._dead_count = 0
        self._fresh = Backlog()  # newer than what is being filed
        self._filing = Filing()
        self.decisions = TableLog(self._db, schema.DECISIONS, self._decisions_waiting)
        self.facts = TableLog(self._db, schema.FACTS, self._facts_waiting)
        self.cards = TableBox(self._db, self._cards_waiting)

    def _decisions_waiting(self) -> tuple[list[Numbered], list[Numbered]]:
        return self._filing.backlog.decisions, self._fresh.decisions

    def _facts_waiting(self) -> tuple[list[Numbered], list[Numbered]]:
        return self._filing.backlog.facts, self._fresh.facts

    def _cards_waiting(self) -> tuple[dict[str, CardRow], dict[str, CardRow]]:
        return self._filing.backlog.cards, self._fresh.cards

    def open(self) -> None:
        """Take hold of the file, making it if there is none."""
        try:
            make_file(self._path)
        except OSError as error:
            raise StateUnavailable(f"cannot write {self._path}: {error.strerror}") from error
        self._db.open()
        try:
            self._check_format()
            self._replay_journal()
        except BaseException:
            self._db.abandon()
            raise
        sync_directory(self._path.parent)
        self._ballast.restore()

    def _check_format(self) -> None:
        application_id = self._db.value("PRAGMA application_id")
        found = self._db.value("PRAGMA user_version")
        if application_id == schema.APPLICATION_ID:
            if found > schema.FORMAT:
                raise StateUnavailable(
                    f"{self._path} has format {found}, written by a newer geoengine; "
                    f"this one reads up to {schema.FORMAT}"
                )
            if found < schema.FIRST_FORMAT:
                raise StateUnavailable(
                    f"{self._path} has format {found}, written by an older geoengine; this one "
                    f"reads formats {schema.FIRST_FORMAT} to {schema.FORMAT}: give it a new file"
                )
            self._with_reserve(self._upgrade, found)
            return
        if self._db.value("SELECT count(*) FROM sqlite_schema"):
            raise StateUnavailable(f"{self._path} is a database of some other program")
        with self._db.transaction():
            self._db.run(schema.TABLES)
            self._db.run(f"PRAGMA application_id = {schema.APPLICATION_ID}")
            self._add_formats(schema.FIRST_FORMAT)

    def _upgrade(self, found: int) -> None:
        if found < schema.FORMAT:
            with self._db.transaction():
                self._add_formats(found)

    def _add_formats(self, found: int) -> None:
        """Bring a file of this format to ours."""
        for number in range(found + 1, schema.FORMAT + 1):
            self._db.run(schema.ADDED[number])
        self._db.run(f"PRAGMA user_version = {schema.FORMAT}")

    def _replay_journal(self) -> None:
        """File what was committed before the last stop or crash and was not yet on file."""
        for entry_seq, packed in self._db.rows(_as_found, schema.ENTRIES):
            entry = unpack_entry(packed)
            self._fresh.note(entry_seq, entry, self._news_of(entry.writes), len(packed))
        self._with_reserve(self._file_all)
        self._read_counts()

    def _with_reserve(self, function: Callable[..., Any], *values: Any) -> None:
        """Do what a start needs, on a full disk too."""
        try:
            function(*values)
        except DiskFull:
            if not self.relieve():
                raise
            function(*values)

    def _read_counts(self) -> None:
        self._log_seq = max(self.decisions.read(), self.facts.read())
        self.cards.read()
        self._entry_seq = self._db.value("SELECT coalesce(max(seq), 0) FROM ops")
        self._dead_count = self._db.value(schema.DEAD)

    def read_people(self) -> Iterator[PersonRow]:
        """Every record, by id."""
        query = "SELECT person_id, version, due_ms, flags, packed FROM people ORDER BY person_id"
        return self._db.rows(PersonRow, query)

    def read_aliases(self) -> Iterator[tuple[str, str]]:
        """Every device or beacon that belongs to somebody."""
        return self._db.rows(_as_found, "SELECT name, person_id FROM aliases")

    def read_pending(self) -> Iterator[SendRow]:
        """Every send that has not ended, oldest first."""
        where = "WHERE status = 'pending' ORDER BY seq"
        return self._db.rows(SendRow, f"SELECT {schema.SEND_COLUMNS} FROM sends {where}")  # noqa: S608

    def read_ops(self) -> Iterator[tuple[bytes, int]]:
        """The operation ids remembered, oldest first."""
        for ops in self._db.rows(unpack_ops, "SELECT packed FROM ops ORDER BY seq"):
            yield from ops

    def take_last_fixes(self) -> list[bytes]:
        """The times that a graceful stop left behind; they are gone afterwards."""
        found = self._db.rows(lambda packed: packed, "SELECT packed FROM last_fixes ORDER BY chunk")
        chunks = list(found)
        if chunks:
            self._with_reserve(self._db.alter, "DELETE FROM last_fixes")
        return chunks

    def leave_last_fixes(self, chunks: Iterable[bytes]) -> None:
        """Leave times for the next start."""
        with self._db.transaction():
            self._db.run_many("INSERT INTO last_fixes (packed) VALUES (?)", ((c,) for c in chunks))

    def read_note(self, name: str) -> bytes | None:
        """What was left under a name."""
        query = "SELECT value FROM notes WHERE name = ?"
        return next(self._db.rows(lambda value: value, query, (name,)), None)

    def leave_note(self, name: str, value: bytes) -> None:
        """Leave something under a name, in place of what was there."""
        self._db.alter(schema.PUT_NOTE, (name, value))

    def write(self, writes: list[Write]) -> list[News]:
        """One row of the journal for all of them; returns once it is on the disk."""
        new, judged = self._news_of(writes), self.cards.judge(writes)
        writes = [
            replace(write, cards=cards) if write.cards else write
            for write, cards in zip(writes, judged.cards, strict=True)
        ]
        entry = Entry(self._log_seq + 1, writes)
        packed = pack_entry(entry)
        # A single statement is a transaction of its own: one call, one sync.
        self._db.run(schema.ADD_ENTRY, (self._entry_seq + 1, packed))
        self._entry_seq += 1
        self._fresh.note(self._entry_seq, entry, new, len(packed))
        self.cards.land(judged)
        for write in writes:
            self._log_seq += len(write.decisions) + len(write.facts)
            self.decisions.count += len(write.decisions)
            self.facts.count += len(write.facts)
            self._dead_count += sum(end.status == "dead" for end in write.ends)
        return list(map(News, new, judged.cards))

    def _news_of(self, writes: list[Write]) -> list[set[str]]:
        """Of each write, the send_ids that are neither on file nor on their way there."""
        send_ids = {row.send_id for write in writes for row in write.sends}
        if not send_ids:
            return [send_ids for _ in writes]
        keys = as_table(map(key_of, send_ids))
        known = set(self._db.rows(str, schema.KNOWN_SENDS, (keys,)))
        for backlog in (self._filing.backlog, self._fresh):
            known.update(backlog.sends.keys() & send_ids)
        return news_of(writes, known)

    def copy_log(self) -> None:
        """File part of the journal, and checkpoint, once there is enough to be worth it.

        What is being filed has ended before as much again waits. On a full disk journal and log go
        on growing instead, until commits fail.
        """
        with suppress(DiskFull):
            if self._filing.is_done and self._fresh.size_bytes >= self._tuning.backlog_bytes:
                self._begin_filing()
            if not self._filing.is_done:
                self._file_owed()
            self._db.checkpoint(self._tuning.checkpoint_pages)

    def _begin_filing(self) -> None:
        self._filing, self._fresh = Filing(self._fresh), Backlog()

    def _file_owed(self) -> None:
        owed = self._filing.owed(self._fresh.size_bytes)
        if owed >= min(self._tuning.filed_at_once, self._filing.rows_left):
            self._file(owed)

    def _file(self, row_count: int) -> None:
        """Bring some of the backlog into the tables; with the last of it goes its journal."""
        shares = self._filing.next(row_count)
        with self._db.transaction():
            for statement, values in chain.from_iterable(share.calls for share in shares):
                self._db.run(statement, values)
            if len(shares) == len(self._filing):
                self._db.run(schema.DROP_ENTRIES, (self._filing.backlog.entry_seq,))
        self._filing.filed(shares)

    def _file_all(self) -> None:
        """Bring all of the backlog into the tables; the log is kept short meanwhile."""
        for _ in ("what is being filed", "what is fresh"):
            while not self._filing.is_done:
                self._file(self._tuning.filed_at_once)
                self._db.checkpoint(self._tuning.checkpoint_pages)
            self._begin_filing()

    def sends(self, status: str, limit: int) -> list[SendRow]:
        """Rows of the outbox, newest first."""
        self._file_all()
        if not status:
            return list(self._db.rows(SendRow, schema.SENDS, (limit,)))
        return list(self._db.rows(SendRow, schema.SENDS_IN, (status, limit)))

    def sends_of(self, person_id: str, limit: int) -> list[SendRow]:
        """Rows of a person, newest first; those that wait in the journal are not filed for it."""
        rows = list(self._db.rows(SendRow, schema.SENDS_OF, (person_id, limit)))
        found = {row.send_id: row for row in reversed(rows)}
        for backlog in (self._filing.backlog, self._fresh):
            backlog.bring_up(person_id, found)
        return list(found.values())[::-1][:limit]

    def notes(self) -> list[tuple[str, bytes]]:
        """Everything left under a name."""
        return list(self._db.rows(_as_found, schema.NOTES))

    def sends_from(self, after: int, limit: int) -> list[tuple[int, SendRow]]:
        """Rows of the outbox in the order they were appended, each with its number."""
        self._file_all()
        return list(self._db.rows(_numbered, schema.SENDS_FROM, (after, limit)))

    def rows_kept(self) -> int:
        """How many rows there are, all of them on file."""
        self._file_all()
        sends = int(self._db.value(schema.SEND_COUNT))
        return sends + self.decisions.count + self.facts.count + self.cards.count

    def revive(self, send_ids: list[str], now_ms: int, expires_ms: int) -> list[SendRow]:
        """Make dead rows pending again."""
        revived = []
        self._file_all()
        with self._db.transaction():
            for send_id in send_ids:
                key = key_of(send_id)
                for row in self._db.rows(SendRow, schema.DEAD_SEND, (key, send_id)):
                    row = row.revived(now_ms, expires_ms)
                    self._db.run(schema.REVIVE, (now_ms, row.packed, key, send_id))
                    revived.append(row)
        self._dead_count -= len(revived)
        return revived

    def erase(self, person_id: str) -> int:
        """Forget a person to the last byte: rows are overwritten, journal and log are emptied, what
        SQLite leaves in between is blanked.
        """
        values = {"person_id": person_id}
        self._file_all()
        with self._db.transaction():
            counts = [self._db.run(statement, values) for statement in schema.ERASE]
            told = [(one, one.erase(person_id)) for one in (self.decisions, self.facts, self.cards)]
        for one, count in told:
            one.count -= count
        self._dead_count = self._db.value(schema.DEAD)
        self._reopen_scrubbed()
        return sum(counts) + sum(count for _, count in told)

    def wipe(self) -> None:
        """Forget everything, as `erase` does."""
        self._file_all()
        with self._db.transaction():
            for statement in schema.WIPE:
                self._db.run(statement)
        self._read_counts()
        self._reopen_scrubbed()

    def _reopen_scrubbed(self) -> None:
        self._db.empty_log()
        self._db.close()
        try:
            scrub(self._path)
            self._db.open()
        except (OSError, StateError) as error:
            self._db.is_broken = True
            raise Broken(f"{self._path} was lost during an erasure: {error}") from error

    def trim(self, ages: Ages, limit: int) -> int:
        """Drop up to ``limit`` rows of each kind that are older than they are kept."""
        # On a full disk trimming makes the room that filing needs.
        with suppress(DiskFull):
            self._file_all()
        self._db.alter(schema.TRIM_OPS, (ages.now_ms - OPS_KEPT_MS,))
        self._db.alter(schema.TRIM_OPS_COUNT, (OPS_KEPT_COUNT,))
        dropped = self._db.alter(schema.TRIM_SENDS, (ages.settled_before_ms, limit))
        dropped += self.decisions.trim(ages.decisions_before_ms, limit)
        dropped += self.facts.trim(ages.facts_before_ms, limit)
        dropped += self.cards.trim(ages.now_ms, limit)
        self._dead_count = self._db.value(schema.DEAD)
        return dropped

    def counts(self) -> Counts:
        """What is held."""
        return Counts(self._dead_count, self._disk_bytes())

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
        """File what is left and let go; not where the disk has failed us."""
        try:
            if not self._db.is_broken:
                with suppress(DiskFull):
                    self._file_all()
        finally:
            self._db.close()


def _as_found(*columns: Any) -> Any:
    return columns


def _numbered(seq: int, *columns: Any) -> tuple[int, SendRow]:
    return seq, SendRow(*columns)
