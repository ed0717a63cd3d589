"""The journal and what is filed of it, at any moment, say what the plain shelf in memory says."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import hypothesis.strategies as st
import msgspec
import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from geoengine.core.units import DAY_MS
from geoengine.state.embedded.shelf.backlog import Backlog, Entry, Filing, key_of
from geoengine.state.embedded.shelf.base import Log, Stretch
from geoengine.state.embedded.shelf.memory import MemoryShelf
from geoengine.state.embedded.shelf.schema import ROWS_AT_ONCE
from geoengine.state.embedded.shelf.sqlite import SqliteShelf, Tuning
from geoengine.state.embedded.writes import (
    Broken,
    CardRow,
    End,
    LogRow,
    News,
    PersonRow,
    Postponement,
    SendRow,
    Write,
    pack_send,
)
from geoengine.state.shapes import Ages
from tests.faults.disks import Disk, FailingSync
from tests.state.samples import send

NAMES = st.sampled_from(("ann", "bob", "cleo", "dora"))
SEND_IDS = st.sampled_from([f"s{number}" for number in range(6)])
TIMES = st.integers(0, 5)
PACKED = st.binary(min_size=1, max_size=6)
CARDS = st.sampled_from(("code/1", "code/2", "pool/1"))


def send_row(send_id: str, person_id: str, due_ms: int) -> SendRow:
    return SendRow(send_id, person_id, "sms", due_ms, pack_send(send(send_id, person_id, due_ms)))


def end(send_id: str, status: str, settled_ms: int) -> End:
    is_cancellation = status == "refused"
    return End(send_id, status, "why", settled_ms, None, is_cancellation)


def postponement(send_id: str, due_ms: int) -> Postponement:
    return Postponement(send_id, due_ms, pack_send(send(send_id, "again", due_ms)))


def few(rows: st.SearchStrategy[object]) -> st.SearchStrategy[list[object]]:
    return st.lists(rows, max_size=3)


WRITES = st.builds(
    Write,
    op=st.binary(min_size=16, max_size=16),
    now_ms=TIMES,
    people=few(st.builds(PersonRow, NAMES, TIMES, st.none() | TIMES, TIMES, PACKED)),
    dropped=few(NAMES),
    aliases=few(st.tuples(st.sampled_from(("phone", "ann")), NAMES)),
    sends=few(st.builds(send_row, SEND_IDS, NAMES, TIMES)),
    postponements=few(st.builds(postponement, SEND_IDS, TIMES)),
    ends=few(st.builds(end, SEND_IDS, st.sampled_from(("dead", "delivered", "refused")), TIMES)),
    decisions=few(st.builds(LogRow, NAMES, TIMES, PACKED)),
    facts=few(st.builds(LogRow, NAMES, TIMES, PACKED)),
    cards=few(st.builds(CardRow, CARDS, st.integers(0, 2), TIMES, NAMES, st.binary(max_size=4))),
)


def in_time(log: Log) -> tuple[int, bytes]:
    """All of a log but what was before 1 and is from 5, a little at a time, end to end."""
    count, found, left = 0, b"", log.stretch(1, 5)
    while not left.is_empty:
        rows = log.between(1, 5, left, 3)
        count, found = count + rows.row_count, found + rows.packed
        left = Stretch(rows.upto, left.last)
    return count, found


class ShelfModel(RuleBasedStateMachine):
    """A shelf that files a little at a time, and is cut off in between; and one that cannot."""

    @initialize(backlog_bytes=st.sampled_from((0, 200, 1 << 30)), filed_at_once=st.integers(1, 90))
    def begin(self, backlog_bytes: int, filed_at_once: int) -> None:
        self.directory = Path(tempfile.mkdtemp())
        self.tuning = Tuning(backlog_bytes=backlog_bytes, filed_at_once=filed_at_once)
        self.crash_count = 0
        self.shelf = self.opened()
        self.plain = MemoryShelf()
        self.people: dict[str, PersonRow] = {}
        self.aliases: dict[str, str] = {}
        self.ops: list[tuple[bytes, int]] = []

    def opened(self) -> SqliteShelf:
        shelf = SqliteShelf(self.directory / str(self.crash_count) / "state.db", self.tuning)
        shelf.open()
        return shelf

    def teardown(self) -> None:
        if hasattr(self, "shelf"):
            self.shelf.close()
            shutil.rmtree(self.directory)

    @rule(group=st.lists(WRITES, min_size=1, max_size=4))
    def write(self, group: list[Write]) -> None:
        new = [self.write_plainly(write) for write in group]
        assert self.shelf.write(group) == new
        for write in group:
            self.people.update((row.person_id, row) for row in write.people)
            for name in write.dropped:
                self.people.pop(name, None)
            self.aliases.update(write.aliases)
            self.ops.append((write.op, write.now_ms))

    def write_plainly(self, write: Write) -> News:
        """What the plain shelf says, once nothing is left in the write that nobody could have
        written: only a row that is there is moved, and settled once, by whoever was sending it.
        """
        (new,) = self.plain.write([Write(sends=write.sends, cards=write.cards)])
        status = {row.send_id: row.status for row in self.plain.sends("", 100)}
        write.postponements = [again for again in write.postponements if again.send_id in status]
        ends, write.ends = write.ends, []
        for end in ends:
            before = status.get(end.send_id, "")
            if before and (end.is_cancellation or before in ("pending", "refused")):
                write.ends.append(end)
                status[end.send_id] = before if end.is_cancellation else end.status
        self.plain.write([msgspec.structs.replace(write, sends=[], cards=[])])
        return new

    @rule()
    def file(self) -> None:
        self.shelf.copy_log()

    @rule(is_sudden=st.booleans())
    def restart(self, is_sudden: bool) -> None:
        """Open the files as they are, or as a graceful stop leaves them."""
        before = self.directory / str(self.crash_count)
        self.crash_count += 1
        if is_sudden:
            ballast = shutil.ignore_patterns("*.ballast")
            shutil.copytree(before, self.directory / str(self.crash_count), ignore=ballast)
        self.shelf.close()
        if not is_sudden:
            before.rename(self.directory / str(self.crash_count))
        self.shelf = self.opened()
        self.plain.cards._gone_version = 0  # nobody has loaded a card before the restart
        assert list(self.shelf.read_people()) == sorted(self.people.values())
        owners = {name: owner for name, owner in self.aliases.items() if name != owner}
        assert dict(self.shelf.read_aliases()) == owners
        assert dict(self.shelf.read_ops()) == dict(self.ops)
        pending = self.plain.sends("pending", 100)[::-1]
        assert list(self.shelf.read_pending()) == pending

    @rule(person=NAMES)
    def erase(self, person: str) -> None:
        self.shelf.erase(person)
        self.plain.erase(person)
        self.people.pop(person, None)
        self.aliases = {name: owner for name, owner in self.aliases.items() if owner != person}

    @rule(horizon_ms=TIMES)
    def trim(self, horizon_ms: int) -> None:
        ages = Ages(7 * DAY_MS + horizon_ms, horizon_ms, max(horizon_ms - 1, 0), horizon_ms)
        assert self.shelf.trim(ages, 1_000) >= 0
        self.plain.trim(ages, 1_000)
        self.ops = []

    @rule(status=st.sampled_from(("", "pending", "dead")))
    def list_sends(self, status: str) -> None:
        assert self.shelf.sends(status, 100) == self.plain.sends(status, 100)

    @rule()
    def revive(self) -> None:
        send_ids = [row.send_id for row in self.plain.sends("dead", 1)]
        revived = self.plain.revive(send_ids, 9, 99)
        assert self.shelf.revive(send_ids, 9, 99) == revived

    def logs(self) -> tuple[tuple[Log, Log], ...]:
        both = self.shelf, self.plain
        return tuple(zip(*((shelf.decisions, shelf.facts) for shelf in both), strict=True))

    @invariant()
    def agrees(self) -> None:
        if hasattr(self, "shelf"):
            for name in ("ann", "bob"):
                for limit in (2, 100):
                    for found, wanted in self.logs():
                        assert found.of_person(name, limit) == wanted.of_person(name, limit)
                    assert self.shelf.sends_of(name, limit) == self.plain.sends_of(name, limit)
            for found, wanted in self.logs():
                assert found.count == wanted.count
                assert in_time(found) == in_time(wanted)
            assert self.shelf.counts().dead == self.plain.counts().dead
            boxes = self.shelf.cards, self.plain.cards
            assert boxes[0].count == boxes[1].count
            assert boxes[0].page("", "", 100) == boxes[1].page("", "", 100)
            names = ["code/2", "pool/1", "none"]
            assert boxes[0].find(names) == boxes[1].find(names)


TestShelf = ShelfModel.TestCase
TestShelf.settings = settings(
    max_examples=40,
    stateful_step_count=25,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)


@pytest.mark.parametrize("count", [1, ROWS_AT_ONCE - 1, ROWS_AT_ONCE, 3 * ROWS_AT_ONCE + 2])
def test_rows_of_any_number_are_all_filed_in_order(tmp_path: Path, count: int) -> None:
    shelf = SqliteShelf(tmp_path / "state.db", Tuning())
    shelf.open()
    rows = [PersonRow(f"p{number:04}", 1, None, 0, b"x") for number in range(count)]
    sends = [send_row(f"s{number:04}", "ann", number) for number in range(count)]
    shelf.write([Write(people=rows, sends=sends)])
    assert shelf.sends("", 10_000) == sends[::-1]
    assert list(shelf.read_people()) == rows
    shelf.close()


def test_a_person_committed_many_times_is_filed_once() -> None:
    backlog = Backlog()
    for version in range(50):
        write = Write(people=[PersonRow("ann", version, None, 0, b"x")])
        backlog.note(version, Entry(1, [write]), [set()], 10)
    (share,) = Filing(backlog).next(1_000)
    assert share.rows == [PersonRow("ann", 49, None, 0, b"x")]


def test_names_that_share_a_key_are_told_apart(tmp_path: Path) -> None:
    twins = "plumless", "buckeroo"  # the textbook collision of CRC-32
    assert key_of(twins[0]) == key_of(twins[1])
    shelf = SqliteShelf(tmp_path / "state.db", Tuning())
    shelf.open()
    first, second = (send_row(name, name, 0) for name in twins)
    decisions = [LogRow(name, 1, name.encode()) for name in twins]
    assert shelf.write([Write(sends=[first], decisions=decisions)]) == [News({twins[0]}, [])]
    assert shelf.sends("", 10) == [first]
    assert shelf.write([Write(sends=[first, second])]) == [News({twins[1]}, [])]
    shelf.write([Write(ends=[End(twins[1], "dead", "410", 1)])])
    assert [row.status for row in shelf.sends("", 10)] == ["dead", "pending"]
    assert shelf.decisions.of_person(twins[1], 10) == [b"buckeroo"]
    shelf.erase(twins[0])
    assert [row.send_id for row in shelf.sends("", 10)] == [twins[1]]
    assert shelf.decisions.of_person(twins[1], 10) == [b"buckeroo"]
    shelf.close()


def crashed(shelf_path: Path, copy: Path) -> SqliteShelf:
    """A shelf on the files as they are, as a crash would leave them."""
    shutil.copytree(shelf_path.parent, copy, ignore=shutil.ignore_patterns("*.ballast"))
    shelf = SqliteShelf(copy / shelf_path.name, Tuning())
    shelf.open()
    return shelf


def test_after_a_crash_a_journal_that_changes_no_row_is_no_obstacle(tmp_path: Path) -> None:
    path = tmp_path / "before" / "state.db"
    shelf = SqliteShelf(path, Tuning())
    shelf.open()
    known = send_row("s1", "ann", 0)
    shelf.write([Write(sends=[known])])
    shelf.sends("", 1)  # has all of it filed
    shelf.write([Write(sends=[known])])
    again = crashed(path, tmp_path / "after")
    for number in range(3):
        again.write([Write(people=[PersonRow("bob", number, None, 0, b"x")])])
    shelf.close()
    again.close()


def test_a_person_is_erased_from_a_journal_that_changes_no_row_too(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    shelf = SqliteShelf(path, Tuning())
    shelf.open()
    known = send_row("s1", "canary", 0)
    shelf.write([Write(sends=[known])])
    shelf.sends("", 1)
    shelf.write([Write(sends=[known])])
    shelf.erase("canary")
    assert [file.name for file in tmp_path.iterdir() if b"canary" in file.read_bytes()] == []
    shelf.close()


@pytest.mark.parametrize("kind", ["ends", "postponements", "people", "ops"])
def test_what_is_filed_keeps_pace_with_what_comes(tmp_path: Path, kind: str) -> None:
    tuning = Tuning(backlog_bytes=20_000, filed_at_once=128)
    shelf = SqliteShelf(tmp_path / "state.db", tuning)
    shelf.open()
    names = [f"s{number:04}" for number in range(3_000)]
    shelf.write([Write(sends=[send_row(name, "ann", 0) for name in names])])
    shelf.sends("", 1)
    for number, name in enumerate(names):
        write = {
            "ends": Write(ends=[End(name, "delivered", "", 1)]),
            "postponements": Write(postponements=[Postponement(name, 9, b"again")]),
            "people": Write(people=[PersonRow(name, 1, None, 0, b"x")]),
            "ops": Write(op=number.to_bytes(16), now_ms=number),
        }[kind]
        shelf.write([write])
        shelf.copy_log()
        waiting = [shelf._filing.backlog.size_bytes, shelf._fresh.size_bytes]
        assert max(waiting) <= tuning.backlog_bytes + 200
    shelf.close()


def test_a_state_that_has_failed_writes_nothing_more(tmp_path: Path) -> None:
    failing = FailingSync()
    disk = Disk("fails-for-good", failing)
    shelf = SqliteShelf(tmp_path / "state.db", Tuning(vfs=disk.name))
    shelf.open()
    failing.is_armed = True
    with pytest.raises(Broken):
        shelf.write([Write(people=[PersonRow("ann", 1, None, 0, b"x")])])
    for errand in (
        lambda: shelf.write([Write(people=[PersonRow("bob", 1, None, 0, b"x")])]),
        lambda: shelf.leave_note("zones", b"x"),
        lambda: shelf.erase("ann"),
        lambda: shelf.trim(Ages(0, 0, 0, 0), 10),
        lambda: shelf.leave_last_fixes([b"x"]),
    ):
        with pytest.raises(Broken):
            errand()
    shelf.close()
    disk.unregister()
