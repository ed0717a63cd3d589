"""Many commits at once: one wins, the others hear of it, nothing is done twice."""

from __future__ import annotations

import asyncio

import pytest

from geoengine.core.errors import StateConflict
from geoengine.core.record import Record
from geoengine.state.base import Commit, Settlement, State
from tests.state.backends import World
from tests.state.samples import change, commit_of, decision, last, one, op, send, write

RACERS = 100


async def outcome_of(state: State, commit: Commit) -> bool:
    """Whether the commit went through rather than lost."""
    try:
        await state.commit(commit)
    except StateConflict:
        return False
    return True


async def test_of_a_hundred_commits_of_one_version_exactly_one_wins(busy_world: World) -> None:
    state = busy_world.state
    await write(state, Record("ann"))
    for version in range(1, 6):
        racers = (
            commit_of(change(Record("ann", version, locale=str(i)), is_durable=i % 3 > 0))
            for i in range(RACERS)
        )
        won = await asyncio.gather(*(outcome_of(state, racer) for racer in racers))
        assert sum(won) == 1
        record = await one(state, "ann")
        assert (record.version, record.locale) == (version + 1, str(won.index(True)))


async def test_a_hundred_who_load_add_one_and_commit_until_agreed_add_a_hundred(
    busy_world: World,
) -> None:
    state = busy_world.state
    await write(state, Record("ann", attributes={"points": 0}))

    async def add_one(is_durable: bool) -> None:
        is_done = False
        while not is_done:
            record = await one(state, "ann")
            record.attributes["points"] += 1
            commit = commit_of(change(record, is_durable=is_durable))
            is_done = await outcome_of(state, commit)

    await asyncio.gather(*(add_one(i % 2 == 0) for i in range(RACERS)))
    record = await one(state, "ann")
    assert (record.attributes["points"], record.version) == (RACERS, RACERS + 1)


async def test_commits_on_crossing_people_agree_on_who_was_first(busy_world: World) -> None:
    state = busy_world.state
    names = [f"p{i}" for i in range(8)]
    await write(state, *(Record(name) for name in names))
    pairs = [(a, b) for a in names for b in names if a != b]

    async def race(a: str, b: str) -> list[str]:
        """Whom of the two the commit won."""
        commit = commit_of(*(change(Record(n, 1, locale=f"{a} {b}")) for n in (a, b)))
        try:
            await state.commit(commit)
        except StateConflict as conflict:
            return [n for n in (a, b) if n not in conflict.people]
        return [a, b]

    won = await asyncio.gather(*(race(a, b) for a, b in pairs))
    winners = {n: f"{a} {b}" for (a, b), mine in zip(pairs, won, strict=True) for n in mine}
    assert sorted(n for mine in won for n in mine) == names
    records = await state.load(names)
    assert {n: records[n].locale for n in names} == winners
    assert all(records[n].version == 2 for n in names)


async def test_the_same_operation_many_times_at_once_has_one_effect(busy_world: World) -> None:
    state = busy_world.state
    same = commit_of(change(Record("ann")), sends=(send("s1"),), decisions=(decision("ann", 1),))
    await asyncio.gather(*(state.commit(same) for _ in range(20)))
    await state.commit(same)
    assert (await one(state, "ann")).version == 1
    assert len(await state.decisions("ann")) == 1


async def test_the_same_losing_operation_at_once_loses_every_time(busy_world: World) -> None:
    state = busy_world.state
    await write(state, Record("ann"))
    same = commit_of(change(Record("ann", version=5)))
    won = await asyncio.gather(*(outcome_of(state, same) for _ in range(5)))
    assert won == [False] * 5


@pytest.mark.parametrize("way", ["erased", "gone"])
async def test_a_commit_on_somebody_forgotten_does_not_land_on_who_is_written_anew(
    busy_world: World, way: str
) -> None:
    state = busy_world.state
    await write(state, Record("ann", locale="before"))
    stale = await one(state, "ann")
    if way == "erased":
        await state.erase("ann", now_ms=1)
    else:
        await state.commit(commit_of(change(stale, is_gone=True)))
    await write(state, Record("ann", locale="anew"))
    assert (await one(state, "ann")).version > stale.version
    with pytest.raises(StateConflict):
        await state.commit(commit_of(change(stale)))
    assert (await one(state, "ann")).locale == "anew"


async def test_one_send_appended_by_many_commits_is_one_row(busy_world: World) -> None:
    state = busy_world.state
    await asyncio.gather(
        *(state.commit(commit_of(sends=(send("same"), send(f"s{i}", f"p{i}")))) for i in range(20))
    )
    assert len(await state.sends(limit=100)) == 21
    assert len(await state.lease(5_000, 100, "w", 10)) == 21


async def test_a_row_goes_to_one_of_many_who_lease_at_once(busy_world: World) -> None:
    state = busy_world.state
    await state.commit(commit_of(sends=tuple(send(f"s{i}") for i in range(50))))
    hands = await asyncio.gather(*(state.lease(5_000, 7, f"w{i}", 10) for i in range(10)))
    leased = [row.send.send_id for hand in hands for row in hand]
    assert sorted(leased) == sorted(f"s{i}" for i in range(50))


async def test_a_withdrawal_and_a_settlement_at_once_end_each_row_once(busy_world: World) -> None:
    state = busy_world.state
    for turn in range(20):
        send_id = f"s{turn}"
        await state.commit(commit_of(sends=(send(send_id),)))
        await state.lease(5_000, 1, "w", 10)
        status = ("delivered", "retry")[turn % 2]
        settle = state.settle([Settlement(send_id, status, due_ms=1)], "w", 5_001)
        cancel = state.commit(commit_of(cancel_sends_of=(("ann", ""),), now_ms=5_001))
        await asyncio.gather(*((settle, cancel) if turn % 4 < 2 else (cancel, settle)))
        assert await state.lease(90_000, 5, "w", 10) == []
        assert (await state.sends(limit=1))[0].status in ("delivered", "refused")
    assert (await state.stats()).pending_count == 0


async def test_a_caller_who_gives_up_neither_undoes_nor_repeats_the_commit(
    busy_world: World,
) -> None:
    state = busy_world.state
    commit = commit_of(change(Record("ann")), op_id=op())
    task = asyncio.ensure_future(state.commit(commit))
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await state.commit(commit)
    assert (await one(state, "ann")).version == 1


async def test_a_soft_commit_waits_for_a_durable_one_on_the_same_person(
    busy_world: World,
) -> None:
    state = busy_world.state
    durable = state.commit(commit_of(change(Record("ann", locale="fr"))))
    soft = outcome_of(
        state, commit_of(change(Record("ann", locale="de"), is_durable=False), last=last(9, "ann"))
    )
    _, has_won = await asyncio.gather(durable, soft)
    assert not has_won
    assert (await one(state, "ann")).locale == "fr"


async def test_an_erasure_amid_commits_leaves_nothing(busy_world: World) -> None:
    state = busy_world.state
    await write(state, Record("ann"))
    record = await one(state, "ann")
    early = outcome_of(state, commit_of(change(record), sends=(send("s1"),)))
    late = outcome_of(state, commit_of(change(Record("ann", version=2)), sends=(send("s2"),)))
    _, is_erased, _ = await asyncio.gather(early, state.erase("ann", 0), late)
    assert is_erased
    assert await state.load(["ann"]) == {} and await state.sends() == []


@pytest.mark.parametrize("is_durable", [True, False])
async def test_what_a_commit_in_flight_writes_is_not_read_before_it_is_safe(
    busy_world: World, is_durable: bool
) -> None:
    state = busy_world.state
    await write(state, Record("ann", locale="old"))
    task = asyncio.ensure_future(
        state.commit(commit_of(change(Record("ann", 1, locale="new"), is_durable=is_durable)))
    )
    await asyncio.sleep(0)
    seen, was_done = (await one(state, "ann")).locale, task.done()
    await task
    assert seen == ("new" if was_done else "old")
    assert (await one(state, "ann")).locale == "new"
