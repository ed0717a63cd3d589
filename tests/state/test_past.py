"""Facts and the history: what happened, kept beside what was decided, read by person and time."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from geoengine.core.errors import StateConflict
from geoengine.core.record import Decision, Fact, Record
from geoengine.state.base import State
from tests.state.backends import World
from tests.state.samples import change, commit_of, decision, one, op, write


def fact(number: int, person_id: str = "ann", at_ms: int = 10, kind: str = "visit") -> Fact:
    return Fact(f"{kind}-{number}", kind, person_id, at_ms, store_id="s", data={"duration_s": 60})


async def happened(state: State, *facts: Fact, **parts: object) -> None:
    await state.commit(commit_of(facts=facts, **parts))


async def all_history(
    state: State, since_ms: int = 0, until_ms: int = 1 << 45, limit: int = 7
) -> list[Decision | Fact]:
    """Everything on every page; of a fact told twice, one."""
    found, ids, start = [], set[str](), ""
    while True:
        page = await state.history(since_ms, until_ms, start, limit)
        for item in page.items:
            if not isinstance(item, Fact):
                found.append(item)
            elif item.id not in ids:
                ids.add(item.id)
                found.append(item)
        if not (start := page.next):
            return found


def in_order(items: list[Decision | Fact]) -> list[Decision | Fact]:
    return sorted(items, key=lambda item: (item.at_ms, repr(item)))


async def test_facts_of_a_person_are_found_newest_first(world: World) -> None:
    state = world.state
    await happened(state, fact(1, at_ms=10), fact(2, at_ms=30), fact(3, "bob", 20))
    await happened(state, fact(4, at_ms=20))
    assert await state.facts("ann") == [fact(2, at_ms=30), fact(4, at_ms=20), fact(1, at_ms=10)]
    assert await state.facts("ann", limit=1) == [fact(2, at_ms=30)]
    assert await state.facts("bob") == [fact(3, "bob", 20)]
    assert await state.facts("cleo") == []


async def test_of_two_facts_with_one_id_the_first_written_counts(world: World) -> None:
    state = world.state
    await happened(state, fact(1, at_ms=10))
    await happened(state, fact(1, at_ms=99), fact(2, at_ms=50))
    assert await state.facts("ann") == [fact(2, at_ms=50), fact(1, at_ms=10)]
    assert await state.facts("ann", limit=2) == [fact(2, at_ms=50), fact(1, at_ms=10)]


async def test_facts_and_decisions_are_kept_apart(world: World) -> None:
    state = world.state
    await happened(state, fact(1), decisions=(decision("ann", 10),))
    assert await state.facts("ann") == [fact(1)]
    assert await state.decisions("ann") == [decision("ann", 10)]
    stats = await state.stats()
    assert (stats.fact_count, stats.decision_count) == (1, 1)


async def test_a_fact_is_written_with_its_record_or_not_at_all(world: World) -> None:
    state = world.state
    await write(state, Record("ann"), facts=(fact(1),))
    with pytest.raises(StateConflict):
        await write(state, Record("ann"), Record("bob"), facts=(fact(2), fact(3, "bob")))
    assert await state.facts("ann") == [fact(1)]
    assert await state.facts("bob") == [fact(3, "bob")]
    assert (await one(state, "bob")).version > 0


async def test_a_commit_of_facts_repeated_writes_them_once(world: World) -> None:
    state = world.state
    commit = commit_of(facts=(fact(1),), op_id=op())
    await state.commit(commit)
    await state.commit(commit)
    assert (await state.stats()).fact_count == 1


async def test_the_history_tells_everybodys_decisions_and_facts_of_a_time(world: World) -> None:
    state = world.state
    facts = [fact(number, f"p{number % 5}", number % 17) for number in range(60)]
    decisions = [decision(f"p{number % 7}", number % 13, f"c{number}") for number in range(40)]
    for ix in range(0, 60, 6):
        await happened(state, *facts[ix : ix + 6], decisions=tuple(decisions[ix : ix + 6]))
    told = [*facts, *decisions]
    assert in_order(await all_history(state)) == in_order(told)
    wanted = [item for item in told if 3 <= item.at_ms < 9]
    assert in_order(await all_history(state, 3, 9)) == in_order(wanted)
    assert in_order(await all_history(state, 3, 9, limit=10_000)) == in_order(wanted)
    assert await all_history(state, 400, 500) == []
    assert await all_history(state, 9, 3) == []


async def test_no_decision_is_told_twice_or_missed_while_others_write(busy_world: World) -> None:
    state = busy_world.state
    before = [decision(f"p{number}", number, f"c{number}") for number in range(80)]
    await state.commit(commit_of(decisions=tuple(before)))
    told, start, turn = Counter[str](), "", 0
    while True:
        page = await state.history(0, 1 << 45, start, 9)
        told.update(item.campaign_id for item in page.items if isinstance(item, Decision))
        turn += 1
        later = [decision(f"q{turn}-{number}", 7 * number, "later") for number in range(5)]
        await state.commit(commit_of(decisions=tuple(later)))
        if not (start := page.next) or turn > 500:
            break
    del told["later"]
    assert told == Counter(one.campaign_id for one in before)


async def test_many_who_write_facts_at_once_lose_none(busy_world: World) -> None:
    state = busy_world.state
    facts = [fact(number, f"p{number % 9}", number) for number in range(200)]
    await asyncio.gather(*(happened(state, one_of_all) for one_of_all in facts))
    assert in_order(await all_history(state, limit=50)) == in_order(list(facts))


async def test_facts_are_kept_as_long_as_decisions_or_as_they_are_told_to_be(world: World) -> None:
    state = world.state
    facts = [fact(number, at_ms=number) for number in range(10)]
    decisions = tuple(decision("ann", number) for number in range(10))
    await happened(state, *facts, decisions=decisions)
    assert await state.trim(0, decisions_before_ms=3) == 6
    assert await state.trim(0, decisions_before_ms=8, facts_before_ms=4) == 6
    assert [item.at_ms for item in await state.facts("ann")] == [9, 8, 7, 6, 5, 4]
    assert [item.at_ms for item in await state.decisions("ann")] == [9, 8]
    stats = await state.stats()
    assert (stats.fact_count, stats.decision_count) == (6, 2)
    assert len(await all_history(state)) == 8


async def test_an_erased_person_has_no_history(world: World) -> None:
    state = world.state
    await happened(state, fact(1), fact(2, "bob"), decisions=(decision("ann", 1),))
    assert await state.erase("ann", 0) is True
    assert await state.facts("ann") == []
    assert await all_history(state) == [fact(2, "bob")]
    assert (await state.stats()).fact_count == 1


async def test_facts_outlive_a_restart(busy_world: World) -> None:
    state = busy_world.state
    await state.commit(commit_of(change(Record("ann")), facts=(fact(1),)))
    await busy_world.restart()
    assert await busy_world.state.facts("ann") == [fact(1)]
    assert await all_history(busy_world.state) == [fact(1)]
