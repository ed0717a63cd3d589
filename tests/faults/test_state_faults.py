"""The embedded state under power cuts, kills, full disks and disks that lie. Short forms; the long
ones are commands: ``tests.faults.power_cuts`` and ``tests.faults.kills``.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from itertools import count
from pathlib import Path

import pytest
from msgspec.structs import replace

from geoengine.core.errors import StateLocked, StateUnavailable
from geoengine.core.record import Record
from geoengine.state.base import Card, Commit, Settlement
from geoengine.state.embedded.shelf.sqlite import Tuning
from geoengine.state.local import LocalState
from tests.faults import kills
from tests.faults.disks import Countdown, Disk, FailingSync, Quota
from tests.faults.power_cuts import MODES, Mode, cut
from tests.state.samples import change, commit_of, decision, everybody, one, present, send, write

_names = count()


@pytest.fixture
def plug() -> Iterator[list[Disk]]:
    """Disks to be taken out of SQLite's list again."""
    disks: list[Disk] = []
    yield disks
    for disk in disks:
        disk.unregister()


@pytest.mark.parametrize("mode", MODES)
async def test_what_was_acknowledged_is_there_after_a_power_cut(mode: Mode) -> None:
    tally = await cut(5, seed=2026, mode=mode)
    assert tally.faults == []
    assert tally.acknowledged > 100


async def test_the_power_cuts_do_lose_what_was_never_synced() -> None:
    tally = await cut(3, seed=2026, mode="dropped", synchronous="OFF")
    assert any("lost" in fault or "malformed" in fault for fault in tally.faults)


async def test_what_was_acknowledged_is_there_after_a_kill(tmp_path: Path) -> None:
    tally = await kills.kill(3, seed=2026, directory=tmp_path)
    assert tally.faults == []
    assert tally.acknowledged > 0


async def test_after_a_failed_sync_the_state_never_says_yes_again(
    tmp_path: Path, plug: list[Disk]
) -> None:
    failing = FailingSync()
    plug.append(Disk(f"failing-sync-{next(_names)}", failing))
    state = LocalState(tmp_path / "state.db", tuning=Tuning(vfs=plug[0].name))
    await state.open()
    await write(state, Record("ann"))
    failing.is_armed = True
    answers = await asyncio.gather(
        *(write(state, Record(name)) for name in ("bob", "cleo")), return_exceptions=True
    )
    assert [type(answer) for answer in answers].count(type(None)) == 0
    assert all(isinstance(answer, StateUnavailable) for answer in answers)
    assert state.failed is not None
    # The disk works again, but nobody knows what it holds.
    with pytest.raises(StateUnavailable, match="failed"):
        await write(state, Record("dan"))
    with pytest.raises(StateUnavailable):
        await state.lease(0, 1, "w", 1)
    with pytest.raises(StateUnavailable):
        await state.erase("ann", 0)
    assert set(await state.load(["ann", "bob", "cleo", "dan"])) == {"ann"}
    await state.close()


@pytest.fixture
async def small_disk(tmp_path: Path, plug: list[Disk]) -> AsyncIterator[tuple[LocalState, Quota]]:
    """A state on a disk with room for its reserve and little more."""
    directory = tmp_path / "disk"
    quota = Quota(directory, 1 << 40)
    plug.append(Disk(f"small-{next(_names)}", quota))
    tuning = Tuning(vfs=plug[0].name, checkpoint_pages=1 << 30)
    state = LocalState(directory / "state.db", tuning=tuning)
    await state.open()
    quota.limit_bytes = (await state.stats()).disk_bytes + 300_000
    yield state, quota
    quota.limit_bytes = 1 << 40
    await state.close()


async def fill(state: LocalState) -> int:
    """Commit until there is no room; how many commits went through."""
    for number in count():
        notes = {"note": "x" * 20_000}
        try:
            await write(
                state, Record(f"p{number}", attributes=notes), decisions=(decision("p", 1),)
            )
        except StateUnavailable:
            return number
    raise AssertionError


async def test_a_full_disk_refuses_commits_whole_and_recovers_with_room(
    small_disk: tuple[LocalState, Quota],
) -> None:
    state, quota = small_disk
    stored = await fill(state)
    assert stored > 1
    assert state.failed is None
    assert len(await everybody(state)) == stored
    assert len(await state.decisions("p")) == stored
    quota.limit_bytes += 1_000_000
    await write(state, Record("latecomer"))
    assert (await one(state, "latecomer")).version == 1


async def test_on_a_full_disk_withdrawals_settlements_and_trimming_still_get_through(
    small_disk: tuple[LocalState, Quota],
) -> None:
    state, _ = small_disk
    await state.commit(
        commit_of(change(present("ann")), sends=(send("s1", due_ms=0), send("s2", due_ms=9)))
    )
    await state.lease(0, 1, "w", 1_000)
    await fill(state)
    assert await state.settle([Settlement("s1", "delivered")], "w", 1) == ["s1"]
    record = await one(state, "ann")
    record.consents.clear()
    await state.commit(commit_of(change(record), cancel_sends_of=(("ann", ""),)))
    assert (await state.stats()).pending_count == 0
    assert await state.trim(0, decisions_before_ms=2) > 0
    assert await state.decisions("p") == []
    assert await state.erase("ann", 0) is True


async def test_a_full_disk_refuses_cards_whole_and_lets_them_go(
    small_disk: tuple[LocalState, Quota],
) -> None:
    state, quota = small_disk
    first = await state.put_card(Card("code/1", b"x", owner="ann", until_ms=5), 0)
    await fill(state)
    for card in (replace(first, body=b"y" * 20_000), Card("code/2", b"y" * 20_000)):
        with pytest.raises(StateUnavailable):
            await state.put_card(card, 0)
    assert await state.cards(["code/1", "code/2"]) == {"code/1": first}
    assert (await state.stats()).card_count == 1
    quota.limit_bytes += 1_000_000
    assert await state.trim(6, 0) == 1
    assert (await state.stats()).card_count == 0
    anew = await state.put_card(Card("code/1", b"y" * 20_000), 0)
    assert anew.version > first.version


async def test_a_refused_soft_change_is_written_when_there_is_room_again(
    small_disk: tuple[LocalState, Quota], tmp_path: Path
) -> None:
    state, quota = small_disk
    stored = await fill(state)
    soft = change(Record("soft", attributes={"note": "y" * 20_000}), is_durable=False)
    await state.commit(commit_of(soft))
    with pytest.raises(StateUnavailable):
        await state.checkpoint()
    with pytest.raises(StateUnavailable):
        await write(state, Record("bob", attributes={"note": "z" * 20_000}))
    quota.limit_bytes += 5_000_000
    await state.checkpoint()
    await state.close()
    again = LocalState(tmp_path / "disk" / "state.db")
    await again.open()
    assert len(await everybody(again)) == stored + 1
    assert (await one(again, "soft")).version == 1
    await again.close()


async def test_a_second_engine_on_the_same_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    first = LocalState(path)
    await first.open()
    with pytest.raises(StateLocked, match=r"state\.db is held by another engine"):
        await LocalState(path).open()
    await write(first, Record("ann"))
    await first.close()
    second = LocalState(path)
    await second.open()
    assert await everybody(second) == ["ann"]
    await second.close()


async def test_another_process_on_the_same_file_is_refused_even_after_a_try_from_within(
    tmp_path: Path,
) -> None:
    path = tmp_path / "state.db"
    first = LocalState(path)
    await first.open()
    with pytest.raises(StateLocked):
        await LocalState(path).open()
    other = await asyncio.create_subprocess_exec(
        kills.sys.executable, "-m", "tests.faults.kills", "--child", str(path),
        stderr=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    said, complaint = await other.communicate()
    assert (said, other.returncode) == (b"", 1)
    assert b"StateLocked" in complaint
    await first.close()


async def test_nothing_works_before_opening_or_after_closing(tmp_path: Path) -> None:
    state = LocalState(tmp_path / "state.db")
    with pytest.raises(StateUnavailable, match="not open"):
        await state.commit(Commit("a", changes=(change(Record("ann")),)))
    await state.open()
    await state.close()
    await state.close()
    with pytest.raises(StateUnavailable, match="not open"):
        await write(state, Record("ann"))


# SQLite shrugs off some of the failures of a file it is giving up; apsw then has nobody to tell.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("operations", range(0, 40, 3))
async def test_a_disk_that_fails_while_the_state_is_made_is_told_and_does_no_harm(
    tmp_path: Path, plug: list[Disk], operations: int
) -> None:
    path = tmp_path / "state.db"
    plug.append(Disk(f"early-{next(_names)}", Countdown(operations)))
    with pytest.raises(StateUnavailable):
        await run_until_it_fails_loudly(LocalState(path, tuning=Tuning(vfs=plug[0].name)))
    state = LocalState(path)
    await state.open()
    await write(state, Record("bob"))
    assert "bob" in await everybody(state)
    await state.close()


async def run_until_it_fails_loudly(state: LocalState) -> None:
    """Open a state and commit for as long as the disk lets it."""
    await state.open()
    try:
        for number in range(1_000):
            await write(state, Record(f"p{number}"))
    finally:
        await asyncio.gather(state.close(), return_exceptions=True)
