"""Opening a state: what a URL names, and files that are not ours to open."""

from __future__ import annotations

import stat
from pathlib import Path
from zipfile import ZipFile

import apsw
import pytest
from msgspec.structs import replace

from geoengine.core.errors import ConfigurationError, StateUnavailable
from geoengine.core.record import Fact, Record
from geoengine.state import open_state
from geoengine.state.base import Card
from geoengine.state.embedded.shelf.schema import APPLICATION_ID, FORMAT
from geoengine.state.embedded.shelf.sqlite import Tuning
from geoengine.state.local import LocalState
from tests.faults.disks import Disk, Quota
from tests.state.samples import change, commit_of, everybody, fixes, last, located, one, write


async def test_a_url_names_a_state(tmp_path: Path) -> None:
    state = open_state(f"local:{tmp_path}/deep/down/geoengine.db", last_fix_capacity=10)
    await state.open()
    await write(state, Record("ann"))
    await state.close()
    assert (tmp_path / "deep/down/geoengine.db").exists()
    await open_state("memory:").open()


@pytest.mark.parametrize(
    ("url", "complaint"),
    [
        ("redis://user:hunter2@host/no", "state:1:1"),
        ("postgres://user:hunter2@host", "expected local:PATH, memory:"),
        ("local:", "expected local:PATH"),
        ("", "expected local:PATH"),
        ("var/geoengine.db", "expected local:PATH"),
    ],
)
def test_any_other_url_is_a_fault_that_keeps_passwords_to_itself(url: str, complaint: str) -> None:
    with pytest.raises(ConfigurationError, match=complaint) as caught:
        open_state(url)
    assert "hunter2" not in str(caught.value)


async def test_a_file_that_is_no_database_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_bytes(b"dear diary, " * 1_000)
    with pytest.raises(StateUnavailable, match="not a geoengine database"):
        await LocalState(path).open()
    assert path.read_bytes() == b"dear diary, " * 1_000


async def test_another_programs_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.db"
    connection = apsw.Connection(str(path))
    connection.execute("CREATE TABLE music (title)")
    connection.close()
    with pytest.raises(StateUnavailable, match="some other program"):
        await LocalState(path).open()


async def test_a_database_of_a_newer_format_is_refused_by_its_numbers(tmp_path: Path) -> None:
    path = tmp_path / "new.db"
    connection = apsw.Connection(str(path))
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(StateUnavailable, match=f"format 99.*reads up to {FORMAT}"):
        await LocalState(path).open()


async def test_a_database_of_format_2_goes_on_with_all_it_has(tmp_path: Path) -> None:
    """Written, and cut off with something still in its journal, by the code of format 2."""
    with ZipFile(Path(__file__).with_name("format_2.zip")) as old:
        old.extractall(tmp_path)
    for _ in ("upgraded", "as upgraded"):
        state = LocalState(tmp_path / "state.db")
        await state.open()
        assert await everybody(state) == ["ann", "bob"]
        assert (await state.owners(["phone"]), await state.due(77)) == (["ann"], ["ann"])
        assert [one.at_ms for one in await state.decisions("ann")] == [2, 1]
        assert [one.at_ms for one in await state.decisions("bob")] == [3]
        assert [row.send.send_id for row in await state.sends()] == ["s3", "s2", "s1"]
        assert [row.send.send_id for row in await state.sends_of("ann")] == ["s2", "s1"]
        assert await state.noted("coupon_key") == b"secret"
        await state.commit(commit_of(change(located("bob")), op_id="second"))  # done before
        card = (await state.cards(["code/1"])).get("code/1", Card("code/1", b""))
        await state.put_card(replace(card, body=card.body + b"x"), 0)
        happened = Fact(f"visit-{len(card.body)}", "visit", "ann", 9)
        await state.commit(commit_of(facts=(happened,)))
        await state.close()
    state = LocalState(tmp_path / "state.db")
    await state.open()
    assert (await state.cards(["code/1"]))["code/1"].body == b"xx"
    assert len(await state.facts("ann")) == 2
    assert (await state.stats()).decision_count == 3
    await state.close()


async def test_a_database_of_an_older_format_is_refused_by_its_numbers(tmp_path: Path) -> None:
    path = tmp_path / "old.db"
    connection = apsw.Connection(str(path))
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = 1")
    connection.close()
    with pytest.raises(StateUnavailable, match=f"format 1,.*reads formats 2 to {FORMAT}"):
        await LocalState(path).open()


async def test_a_directory_that_cannot_be_made_is_refused_with_its_path(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StateUnavailable, match=r"cannot write .*file/state\.db"):
        await LocalState(tmp_path / "file" / "state.db").open()


async def test_a_directory_in_place_of_the_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StateUnavailable, match="cannot write"):
        await LocalState(tmp_path).open()


async def test_only_its_owner_can_read_the_files(tmp_path: Path) -> None:
    state = LocalState(tmp_path / "state.db")
    await state.open()
    await write(state, Record("ann"))
    modes = _modes(tmp_path)
    assert set(modes) == {"state.db", "state.db-wal", "state.db.ballast"}
    assert set(modes.values()) == {0o600}
    await state.close()


async def test_changes_that_need_not_last_reach_the_disk_with_the_next_that_must(
    tmp_path: Path,
) -> None:
    path = tmp_path / "state.db"
    state = LocalState(path)
    await state.open()
    for number in range(3):
        await state.commit(commit_of(change(Record(f"soft{number}"), 7, is_durable=False)))
    assert await _on_disk(tmp_path) == []
    await write(state, Record("hard"))
    assert await _on_disk(tmp_path) == ["hard", "soft0", "soft1", "soft2"]
    record = await one(state, "soft1")
    await state.commit(commit_of(change(record, is_durable=False, is_gone=True)))
    await state.commit(commit_of(change(Record("soft3"), is_durable=False)))
    await state.checkpoint()
    assert await _on_disk(tmp_path) == ["hard", "soft0", "soft2", "soft3"]
    await state.close()


async def test_a_change_that_need_not_last_costs_no_write(tmp_path: Path) -> None:
    state = LocalState(tmp_path / "state.db")
    await state.open()
    before = _sizes(tmp_path)
    for number in range(50):
        await state.commit(commit_of(change(Record(f"p{number}"), is_durable=False)))
    assert _sizes(tmp_path) == before
    await state.close()


def _modes(directory: Path) -> dict[str, int]:
    return {file.name: stat.S_IMODE(file.stat().st_mode) for file in directory.iterdir()}


def _sizes(directory: Path) -> dict[str, tuple[int, int]]:
    return {f.name: (f.stat().st_size, f.stat().st_mtime_ns) for f in directory.iterdir()}


async def _on_disk(directory: Path) -> list[str]:
    """Who stands in a copy of the files as they are, as a crash would leave them."""
    state = LocalState(_copied(directory) / "state.db")
    await state.open()
    names = await everybody(state)
    await state.close()
    return names


def _copied(directory: Path) -> Path:
    copy = directory.parent / f"{directory.name}-copy-{len(list(directory.parent.iterdir()))}"
    copy.mkdir()
    for file in directory.iterdir():
        (copy / file.name).write_bytes(file.read_bytes())
    return copy


async def test_a_note_is_there_again_after_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "geoengine.db"
    state = LocalState(path)
    await state.open()
    assert await state.noted("zones") is None
    await state.note("zones", b"first")
    await state.note("zones", b"second")
    await state.close()
    again = LocalState(path)
    await again.open()
    assert await again.noted("zones") == b"second"
    await again.close()


async def test_on_a_full_disk_a_state_that_was_closed_properly_still_opens(tmp_path: Path) -> None:
    quota = Quota(tmp_path, 1 << 40)
    disk = Disk("full-at-the-start", quota)
    path, tuning = tmp_path / "state.db", Tuning(vfs=disk.name)
    state = LocalState(path, tuning=tuning)
    await state.open()
    await write(state, Record("ann"), last=last(10, "phone"))
    await state.close()
    quota.limit_bytes = sum(size for size, _ in _sizes(tmp_path).values())
    again = LocalState(path, tuning=tuning)
    await again.open()
    assert (await again.known(fixes("phone"))).fix_ms.tolist() == [10]
    await again.close()
    disk.unregister()
