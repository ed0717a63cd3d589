"""What is asked of a road network, and what answers."""

from __future__ import annotations

from typing import NamedTuple, Protocol

from shapely.geometry import MultiPolygon, Polygon

from geoengine.core.model import Mode


class Question(NamedTuple):
    """From where one is in time at this place: WGS 84 degrees, by this mode, in these minutes."""

    lon_deg: float
    lat_deg: float
    mode: Mode
    minutes: float
    at: str | None = None  # a weekday and local time of arrival: Fr 17:30


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
