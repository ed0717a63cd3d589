"""Records: versions, all or nothing, deadlines."""

from __future__ import annotations

import pytest

from geoengine.core.errors import StateConflict
from geoengine.core.record import Record
from tests.state.backends import World
from tests.state.samples import (
    change,
    commit_of,
    decision,
    everybody,
    fixes,
    last,
    one,
    op,
    send,
    write,
)


async def test_a_record_comes_back_as_it_was_committed_one_version_on(world: World) -> None:
    record = Record("ann", attributes={"points": 3, "tags": ["a"]}, locale="fr", devices={"d": 5})
    await write(world.state, record)
    assert record.version == 0
    record.version = 1
    assert await one(world.state, "ann") == record


async def test_people_without_a_record_are_left_out(world: World) -> None:
    await write(world.state, Record("ann"))
    assert set(await world.state.load(["ann", "bob"])) == {"ann"}


async def test_a_loaded_record_is_a_copy(busy_world: World) -> None:
    state = busy_world.state
    await write(state, Record("ann", attributes={"points": 1}))
    (await one(state, "ann")).attributes["points"] = 99
    assert (await one(state, "ann")).attributes == {"points": 1}


async def test_the_version_goes_up_by_one_at_each_commit_durable_or_not(world: World) -> None:
    for is_durable in (True, False, False, True, False):
        record = (await world.state.load(["ann"])).get("ann") or Record("ann")
        await world.state.commit(commit_of(change(record, is_durable=is_durable)))
    assert (await one(world.state, "ann")).version == 5


@pytest.mark.parametrize("is_durable", [True, False])
async def test_a_commit_of_an_old_version_raises_and_changes_nothing(
    world: World, is_durable: bool
) -> None:
    await write(world.state, Record("ann", locale="fr"))
    stale = await one(world.state, "ann")
    await write(world.state, await one(world.state, "ann"))
    stale.locale = "de"
    with pytest.raises(StateConflict) as caught:
        await world.state.commit(commit_of(change(stale, is_durable=is_durable)))
    assert caught.value.people == ["ann"]
    assert (await one(world.state, "ann")).locale == "fr"


async def test_a_version_of_nobody_raises(world: World) -> None:
    with pytest.raises(StateConflict):
        await write(world.state, Record("ann", version=3))
    assert await world.state.load(["ann"]) == {}


async def test_a_conflict_undoes_that_persons_part_and_nobody_elses(world: World) -> None:
    state = world.state
    await write(state, Record("ann"), Record("bob"))
    await write(state, await one(state, "bob"))
    await state.commit(commit_of(sends=(send("b0", "bob", due_ms=0),)))
    commit = commit_of(
        change(Record("ann", version=1, locale="fr"), due_ms=5),
        change(Record("bob", version=1, locale="fr"), due_ms=6),
        change(Record("cleo"), due_ms=7),
        sends=(send("a1", "ann"), send("b1", "bob")),
        decisions=(decision("ann", 1), decision("bob", 1)),
        last=last(9, "ann", "bob", "stranger"),
        cancel_sends_of=(("bob", ""),),
    )
    with pytest.raises(StateConflict) as caught:
        await state.commit(commit)
    assert caught.value.people == ["bob"]
    people = await state.load(["ann", "bob", "cleo"])
    told = {name: (record.version, record.locale) for name, record in people.items()}
    assert told == {"ann": (2, "fr"), "bob": (2, ""), "cleo": (1, "")}
    assert await state.due(10) == ["ann", "cleo"]
    rows = {row.send.send_id: row.status for row in await state.sends()}
    assert rows == {"a1": "pending", "b0": "pending"}
    assert len(await state.decisions("ann")) == 1 and await state.decisions("bob") == []
    known = await state.known(fixes("ann", "bob", "stranger"))
    assert known.fix_ms.tolist() == [9, -1, 9]


async def test_a_conflict_undoes_the_whole_of_a_commit_that_binds_a_name(world: World) -> None:
    state = world.state
    await write(state, Record("ann"), Record("phone"))
    await write(state, await one(state, "ann"))
    commit = commit_of(
        change(Record("ann", version=1, locale="fr"), due_ms=5),
        aliases={"phone": "ann"},
        drop_people={"phone": 1},
    )
    with pytest.raises(StateConflict) as caught:
        await state.commit(commit)
    assert caught.value.people == ["ann"]
    assert set(await state.load(["ann", "phone"])) == {"ann", "phone"}
    assert await state.owners(["phone"]) == ["phone"]


async def test_who_became_somebody_elses_device_gets_no_record_of_their_own(world: World) -> None:
    state = world.state
    await state.commit(commit_of(change(Record("ann")), aliases={"phone": "ann"}))
    with pytest.raises(StateConflict) as caught:
        await write(state, Record("phone"))
    assert caught.value.people == ["phone"]


async def test_a_commit_refused_for_conflict_may_come_again_under_its_own_id(world: World) -> None:
    await write(world.state, Record("ann"))
    commit = commit_of(change(Record("ann", locale="fr")), op_id=op())
    with pytest.raises(StateConflict):
        await world.state.commit(commit)
    again = commit_of(change(Record("ann", version=1, locale="fr")), op_id=commit.op_id)
    await world.state.commit(again)
    assert (await one(world.state, "ann")).locale == "fr"


async def test_a_commit_repeated_with_its_id_changes_nothing(world: World) -> None:
    commit = commit_of(change(Record("ann")), sends=(send("s1"),), decisions=(decision("ann", 1),))
    for _ in range(3):
        await world.state.commit(commit)
    assert (await one(world.state, "ann")).version == 1
    assert len(await world.state.sends()) == 1
    assert len(await world.state.decisions("ann")) == 1


async def test_a_record_with_nothing_left_is_dropped_after_its_version_was_compared(
    world: World,
) -> None:
    state = world.state
    for is_durable in (True, False):
        await write(state, Record("ann"))
        with pytest.raises(StateConflict):
            await state.commit(
                commit_of(change(Record("ann", version=7), is_durable=is_durable, is_gone=True))
            )
        gone = change(await one(state, "ann"), due_ms=5, is_durable=is_durable, is_gone=True)
        await state.commit(commit_of(gone))
        assert await state.load(["ann"]) == {}
        assert await state.due(10) == []
        assert await everybody(state) == []
    await write(state, Record("ann"))
    assert (await one(state, "ann")).version > 0


async def test_a_record_that_merged_into_another_is_dropped_at_the_version_that_did(
    world: World,
) -> None:
    state = world.state
    await write(state, Record("phone"))
    await write(state, await one(state, "phone"))
    early = commit_of(change(Record("eve")), aliases={"phone": "eve"}, drop_people={"phone": 1})
    with pytest.raises(StateConflict) as caught:
        await state.commit(early)
    assert caught.value.people == ["phone"]
    assert await state.owners(["phone"]) == ["phone"]
    await state.commit(
        commit_of(change(Record("ann")), aliases={"phone": "ann"}, drop_people={"phone": 2})
    )
    assert set(await state.load(["ann", "phone"])) == {"ann"}
    assert await state.owners(["phone", "other", "ann"]) == ["ann", "other", "ann"]


async def test_a_device_can_change_hands_and_go_back_to_itself(world: World) -> None:
    state = world.state
    for owner in ("ann", "bob", "phone"):
        await state.commit(commit_of(aliases={"phone": owner}))
        assert await state.owners(["phone"]) == [owner]


async def test_deadlines_that_passed_come_longest_overdue_first(world: World) -> None:
    state = world.state
    for person_id, due_ms in (("ann", 30), ("bob", 10), ("cleo", 20), ("dan", None), ("eve", 99)):
        await state.commit(commit_of(change(Record(person_id), due_ms)))
    assert await state.due(30) == ["bob", "cleo", "ann"]
    assert await state.due(30, limit=2) == ["bob", "cleo"]
    assert await state.due(9) == []


async def test_a_deadline_moves_with_the_record_and_goes_with_it(world: World) -> None:
    state = world.state
    await state.commit(commit_of(change(Record("ann"), 10)))
    for due_ms, expected in ((50, []), (5, ["ann"]), (None, [])):
        moved = change(await one(state, "ann"), due_ms, is_durable=False)
        await state.commit(commit_of(moved))
        assert await state.due(20) == expected
    await state.commit(commit_of(change(await one(state, "ann"), 10)))
    await state.commit(commit_of(drop_people={"ann": 5}))
    assert await state.due(20) == []


async def test_people_are_listed_page_by_page(world: World) -> None:
    state = world.state
    names = [f"person {ix}" for ix in range(40)] + ["élise", "zoë"]
    await write(state, *(Record(name) for name in names))
    for limit in (1, 3, 1_000):
        assert await everybody(state, limit) == sorted(names)
    assert await state.people(limit=1_000) == (await state.people(limit=1_000))


async def test_who_stays_is_listed_whoever_comes_and_goes_between_two_pages(world: World) -> None:
    state = world.state
    names = [f"person {ix}" for ix in range(40)]
    await write(state, *(Record(name) for name in names))
    seen: set[str] = set()
    page = await state.people(limit=5)
    for turn in range(1_000):
        seen.update(page.names)
        if not page.next:
            break
        await state.commit(commit_of(drop_people={f"person {turn}": 1} if turn < 20 else {}))
        await write(state, Record(f"new {turn}"))
        page = await state.people(page.next, limit=5)
    assert seen >= set(names[20:])


async def test_decisions_are_read_newest_first_and_by_person(world: World) -> None:
    state = world.state
    for at_ms, campaign_id in ((10, "a"), (30, "b"), (20, "c"), (30, "d")):
        await state.commit(commit_of(decisions=(decision("ann", at_ms, campaign_id),)))
    await state.commit(commit_of(decisions=(decision("bob", 99),)))
    found = await state.decisions("ann")
    assert [d.campaign_id for d in found] == ["d", "b", "c", "a"]
    assert found[-1] == decision("ann", 10, "a")
    assert [d.campaign_id for d in await state.decisions("ann", limit=1)] == ["d"]
    assert await state.decisions("cleo") == []


async def test_trimming_drops_what_is_older_than_it_is_kept(world: World) -> None:
    state = world.state
    await state.commit(commit_of(decisions=tuple(decision("ann", at_ms) for at_ms in range(10))))
    assert await state.trim(1_000, decisions_before_ms=7) == 7
    assert [d.at_ms for d in await state.decisions("ann")] == [9, 8, 7]
    assert (await state.stats()).decision_count == 3
