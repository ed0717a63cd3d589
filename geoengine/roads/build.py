"""Asking a road network about all stores: several at once, and every answer kept as it comes.

A question to which there is no way is answered for good, and its store stays a circle. A router
that fails a question gets it again later, after the others: one that fails a few in a row on every
line is down, and the build ends with what it has. Asked again, it goes on from there.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterator
from dataclasses import dataclass, field
from typing import Final

from geoengine.catalog.reach.journal import Journal
from geoengine.catalog.reach.kept import answered, refused
from geoengine.catalog.reach.question import Question
from geoengine.core.errors import NoWay, RouterDown
from geoengine.roads.base import Router

# Waits after a failure, seconds; longer the longer nothing was answered. A router that is started
# again loads its tiles within them. Shorter, and a restart ends the build; longer, and somebody
# waits for a router that is gone.
PAUSES_S: Final = (1.0, 4.0, 10.0)
TURNS: Final = len(PAUSES_S) + 1  # so many times a question is asked before it is given up for now

Tell = Callable[[int, int], None]  # answered so far, of how many
Pause = Callable[[float], Awaitable[None]]


@dataclass(slots=True)
class Built:
    """What became of a build's questions."""

    network: str
    known_count: int  # answered by this network before
    answered_count: int = 0  # with an area
    refused: dict[Question, str] = field(default_factory=dict)  # no way, and why
    failed: dict[Question, str] = field(default_factory=dict)  # no answer for now, and why

    @property
    def settled_count(self) -> int:
        """Questions that need not be asked again."""
        return self.answered_count + len(self.refused)


async def build(
    router: Router,
    questions: Collection[Question],
    journal: Journal,
    *,
    is_again: bool = False,
    at_once: int = 0,
    tell: Tell = lambda done, total: None,
    pause: Pause = asyncio.sleep,
) -> Built:
    """Ask what is not known of this network; ``is_again``, everything.

    ``at_once`` is how many questions are under way at a time; 0 leaves it to the router. Raises
    `RouterDown` when it stops answering.
    """
    network = await router.version()
    known = set() if is_again else journal.answered(network)
    waiting = [question for question in questions if question not in known]
    built = Built(network, len(questions) - len(waiting))
    lines = min(at_once or router.at_once, len(waiting))
    asking = _Asking(router, journal, built, len(waiting), lines, tell, pause)
    for _turn in range(TURNS):
        if not waiting:
            break
        waiting = await asking.turn(waiting)
    return built


@dataclass(slots=True)
class _Asking:
    router: Router
    journal: Journal
    built: Built
    total: int
    lines: int
    tell: Tell
    pause: Pause
    failures: int = 0  # since the last answer

    async def turn(self, waiting: list[Question]) -> list[Question]:
        """Ask each once; those that failed."""
        self.built.failed.clear()
        left = iter(waiting)
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(self.lines):
                    group.create_task(self._line(left))
        except BaseExceptionGroup as errors:
            raise errors.exceptions[0] from None
        return list(self.built.failed)

    async def _line(self, left: Iterator[Question]) -> None:
        for question in left:
            try:
                await self._ask(question)
            except RouterDown as error:
                self.built.failed[question] = str(error)
                await self._wait(error)

    async def _ask(self, question: Question) -> None:
        network = self.built.network
        try:
            area, doubts = await self.router.ask(question)
        except NoWay as why:
            self.built.refused[question] = str(why)
            self.journal.put(refused(question, network, str(why)))
        else:
            self.built.answered_count += 1
            self.journal.put(answered(question, network, area, doubts))
        self.failures = 0
        self.tell(self.built.settled_count, self.total)

    async def _wait(self, error: RouterDown) -> None:
        longest = len(PAUSES_S) - 1
        if self.failures > self.lines * longest:
            raise error
        pause_s = PAUSES_S[min(self.failures // self.lines, longest)]
        self.failures += 1
        await self.pause(pause_s)
