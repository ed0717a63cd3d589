"""Doing for many at once what many ask for one by one."""

from __future__ import annotations

import asyncio

import pytest

from geoengine.service.sending.together import Together


class Slow:
    """Something that is done for a lot when it is told to."""

    def __init__(self) -> None:
        self.lots: list[list[int]] = []
        self.may_go = asyncio.Event()

    async def do(self, lot: list[int]) -> int:
        """Wait, then add them up."""
        self.lots.append(lot)
        await self.may_go.wait()
        if 13 in lot:
            raise ValueError("unlucky")
        return sum(lot)


async def turns(count: int = 5) -> None:
    """Let others run."""
    for _ in range(count):
        await asyncio.sleep(0)


async def test_who_asks_at_the_same_moment_is_served_together():
    slow = Slow()
    slow.may_go.set()
    together = Together(slow.do)
    assert await asyncio.gather(*(together.ask(one) for one in (1, 2, 3))) == [6, 6, 6]
    assert slow.lots == [[1, 2, 3]]


async def test_who_asks_while_it_is_being_done_goes_with_the_next_lot():
    slow = Slow()
    together = Together(slow.do)
    first = asyncio.create_task(together.ask(1))
    await turns()
    later = [asyncio.create_task(together.ask(one)) for one in (2, 3)]
    await turns()
    assert slow.lots == [[1]]
    slow.may_go.set()
    assert await asyncio.gather(first, *later) == [1, 5, 5]
    assert slow.lots == [[1], [2, 3]]


async def test_what_goes_wrong_with_a_lot_goes_wrong_for_all_of_it_and_not_for_the_next():
    slow = Slow()
    slow.may_go.set()
    together = Together(slow.do)
    told = await asyncio.gather(*(together.ask(one) for one in (1, 13)), return_exceptions=True)
    assert [str(one) for one in told] == ["unlucky", "unlucky"]
    assert await together.ask(2) == 2


async def test_who_stops_waiting_takes_nobody_along():
    slow = Slow()
    together = Together(slow.do)
    leaving, staying = (asyncio.create_task(together.ask(one)) for one in (1, 2))
    await turns()
    leaving.cancel()
    slow.may_go.set()
    assert await staying == 3
    with pytest.raises(asyncio.CancelledError):
        await leaving
