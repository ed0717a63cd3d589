"""Doing for many at once what many ask for one by one."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


class Together(Generic[Item, Result]):
    """Does something for all who asked while it was last being done; no timer adds latency.

    Each is answered with the result of its lot, or with what doing it raised. One who stops waiting
    leaves the lot as it is.
    """

    __slots__ = ("_do", "_task", "_waiting")

    def __init__(self, do: Callable[[list[Item]], Awaitable[Result]]) -> None:
        self._do = do
        self._waiting: list[tuple[Item, asyncio.Future[Result]]] = []
        self._task: asyncio.Task[None] | None = None

    async def ask(self, item: Item) -> Result:
        """The result of the lot that this one was part of."""
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Result] = loop.create_future()
        self._waiting.append((item, answer))
        if self._task is None:
            self._task = loop.create_task(self._run())
        return await answer

    async def _run(self) -> None:
        try:
            while self._waiting:
                lot, self._waiting = self._waiting, []
                await self._serve(lot)
        finally:
            self._task = None

    async def _serve(self, lot: list[tuple[Item, asyncio.Future[Result]]]) -> None:
        try:
            result = await self._do([item for item, _answer in lot])
        except Exception as error:
            for _item, answer in lot:
                if not answer.done():
                    answer.set_exception(error)
            return
        for _item, answer in lot:
            if not answer.done():
                answer.set_result(result)
