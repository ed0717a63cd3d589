"""What many ask for in one turn of the loop is asked once."""

from __future__ import annotations

import asyncio

import pytest

from geoengine.state.shared.served.gathering import Gathering


class Oracle:
    """Answers with what it was asked, once it may."""

    def __init__(self) -> None:
        self.asked: asyncio.Queue[list[str]] = asyncio.Queue()
        self.may_answer = asyncio.Event()
        self.fault: Exception | None = None

    async def ask(self, items: list[str]) -> frozenset[str]:
        self.asked.put_nowait(items)
        await self.may_answer.wait()
        if self.fault:
            raise self.fault
        return frozenset(items)


async def test_those_who_ask_in_one_turn_are_answered_together():
    oracle = Oracle()
    oracle.may_answer.set()
    gathering = Gathering(oracle.ask)
    found = await asyncio.gather(gathering.of(["a"]), gathering.of(["b", "c"]))
    assert found == [frozenset("abc"), frozenset("abc")]
    assert oracle.asked.get_nowait() == ["a", "b", "c"]
    assert oracle.asked.empty()


async def test_who_asks_while_others_wait_does_not_wait_for_them():
    oracle = Oracle()
    gathering = Gathering(oracle.ask)
    first = asyncio.create_task(gathering.of(["a"]))
    await oracle.asked.get()
    second = asyncio.create_task(gathering.of(["b"]))
    await oracle.asked.get()
    oracle.may_answer.set()
    assert await first == frozenset("a")
    assert await second == frozenset("b")


async def test_what_asking_raises_is_raised_to_all():
    oracle = Oracle()
    oracle.fault = OSError("gone")
    oracle.may_answer.set()
    gathering = Gathering(oracle.ask)
    found = await asyncio.gather(gathering.of(["a"]), gathering.of(["b"]), return_exceptions=True)
    assert found == [oracle.fault, oracle.fault]


async def test_who_is_cut_off_takes_nobody_along():
    oracle = Oracle()
    gathering = Gathering(oracle.ask)
    cut, other = (asyncio.create_task(gathering.of([name])) for name in "ab")
    await oracle.asked.get()
    cut.cancel()
    with pytest.raises(asyncio.CancelledError):
        await cut
    oracle.may_answer.set()
    assert await other == frozenset("ab")


async def test_a_fault_that_nobody_waits_for_any_more_is_no_warning():
    oracle = Oracle()
    oracle.fault = OSError("gone")
    gathering = Gathering(oracle.ask)
    cut = asyncio.create_task(gathering.of(["a"]))
    await oracle.asked.get()
    cut.cancel()
    with pytest.raises(asyncio.CancelledError):
        await cut
    oracle.may_answer.set()
    await asyncio.sleep(0)
