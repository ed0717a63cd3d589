"""A router whose roads go everywhere alike: it answers with geometry, and fails when told to."""

from __future__ import annotations

import asyncio
from collections import Counter

from geoengine.catalog.reach.question import Question
from geoengine.core.errors import NoWay, RouterDown
from geoengine.roads.base import Isochrone
from tests.catalog.reach.answering import area

SPEED_MPS = {"walk": 1.0, "bike": 3.0, "drive": 8.0, "transit": 1.0}


class Discs:
    """Answers with a disc less a quarter, a little faster the faster one goes."""

    name = "discs"

    def __init__(self, *, at_once: int = 4, network: str = "1") -> None:
        self.at_once = at_once
        self.network = network
        self.asked: list[Question] = []
        self.busiest = 0  # most questions that were under way at a time
        self.no_way: dict[Question, str] = {}
        self.fails: Counter[Question] = Counter()  # so many times it has no answer for now
        self.down_after: int | None = None  # questions, after which it answers no more
        self.is_closed = False
        self._under_way = 0

    async def version(self) -> str:
        return f"discs {self.network}"

    async def ask(self, question: Question) -> Isochrone:
        self.asked.append(question)
        is_down = self.down_after is not None and len(self.asked) > self.down_after
        self._under_way += 1
        self.busiest = max(self.busiest, self._under_way)
        await asyncio.sleep(0)  # others get their turn, as over a socket
        self._under_way -= 1
        if is_down:
            raise RouterDown("connection refused")
        if self.fails[question] > 0:
            self.fails[question] -= 1
            raise RouterDown("answered 503")
        if question in self.no_way:
            raise NoWay(self.no_way[question])
        radius_m = SPEED_MPS[question.mode] * question.minutes * 60
        return Isochrone(area(question, radius_m), ("near the edge",) if question.at else ())

    async def close(self) -> None:
        self.is_closed = True
