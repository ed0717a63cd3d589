"""What is asked of a road network, and what answers."""

from __future__ import annotations

from typing import NamedTuple, Protocol

from shapely.geometry import MultiPolygon, Polygon

from geoengine.catalog.reach.question import Question as Question


class Isochrone(NamedTuple):
    """The area from which the place is reached in time: checked, simplified, in degrees."""

    area: Polygon | MultiPolygon
    doubts: tuple[str, ...] = ()  # cut off by the extract's edge, no timetable known …


class Router(Protocol):
    """A road network.

    ``ask`` raises `NoWay` where there is no answer and `RouterDown` where there may be one later.
    ``version`` says which network it is: another text, other answers.
    """

    name: str
    at_once: int  # how many questions it answers at a time

    async def version(self) -> str: ...

    async def ask(self, question: Question) -> Isochrone: ...

    async def close(self) -> None: ...
