"""The laws of `test_laws`, in short, over a state that two processes share and take turns on."""

from __future__ import annotations

import asyncio
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from geoengine.core.record import Record
from geoengine.state.redis import RedisState
from tests.core.test_laws import BOOK, steps, told, trace_of
from tests.core.world import Walk
from tests.state.sharing import SERVERS, a_state_of, processes

FEW = settings(max_examples=8, deadline=None)


class Turns:
    """Processes of which one at a time does the work; deadlines are asked of all, and afresh: each
    knows those of its own partitions, and hears of what others put there a moment later.
    """

    def __init__(self, processes: list[RedisState]) -> None:
        self.processes = processes
        self.turn = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self.processes[self.turn % len(self.processes)], name)

    async def due(self, now_ms: int, limit: int = 1_000) -> list[str]:
        found: dict[str, None] = {}
        for process in self.processes:
            process._horizon.touch(range(process._partitions.count))
            found |= dict.fromkeys(await process.due(now_ms, limit))
        return list(found)


async def told_in_turns(*posts: list[tuple]) -> tuple[list[str], Record | None]:
    """What is told when two processes take turns, and what is remembered of Ann at last."""
    async with processes(a_state_of(SERVERS["valkey"]())) as two:
        turns = Turns(two)
        story = Walk(BOOK, state=turns, is_open=True)  # type: ignore[arg-type]
        for turns.turn, rows in enumerate(posts):
            if rows:
                await story.post(*rows)
        record = (await two[0].load(["ann"])).get("ann")
    if record is not None:
        record.version, record.devices = 0, {}  # times of fixes that nobody loaded the record for
    return told(story), record


async def told_alone(*posts: list[tuple]) -> tuple[list[str], Record | None]:
    """The same on an embedded state."""
    story = Walk(BOOK)
    for rows in posts:
        if rows:
            await story.post(*rows)
    record = (await story.state.load(["ann"])).get("ann") if story.is_open else None
    if record is not None:
        record.version, record.devices = 0, {}
    return told(story), record


@FEW
@given(steps, st.integers(0, 30))
def test_the_batch_boundary_is_invisible_also_between_processes(moves: list, cut: int):
    async def law() -> None:
        rows = trace_of(moves)
        alone = await told_alone(rows)
        assert await told_in_turns(rows) == alone
        assert await told_in_turns(rows[:cut], rows[cut:]) == alone
        assert await told_in_turns(*[[row] for row in rows]) == alone

    asyncio.run(law())


@FEW
@given(steps, st.randoms(use_true_random=False))
def test_duplicates_are_harmless_also_through_another_process(moves: list, rng: object):
    async def law() -> None:
        rows = trace_of(moves)
        plain, _ = await told_alone(rows)
        again = sorted([*rows, *rng.choices(rows, k=len(rows))])  # type: ignore[attr-defined]
        assert (await told_in_turns(again))[0] == plain
        assert (await told_in_turns(rows, rows))[0] == plain

    asyncio.run(law())
