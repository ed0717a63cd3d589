"""openrouteservice, the public one or one's own, over HTTP.

From its documentation and issues: a place far from any road is answered with status 500 and code
3099, "Unable to build an isochrone map", and will always be; 403 is a key that is not known or
whose quota of the day is used up, 429 the quota of the minute; ``/v2/status`` is closed in public,
but every refusal tells which engine speaks. It knows no timetables and no time of day.
"""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
from shapely.geometry.base import BaseGeometry

from geoengine.core.errors import NoWay, RouterDown
from geoengine.core.model import Mode
from geoengine.roads.base import Isochrone, Question
from geoengine.roads.drawn import area_in
from geoengine.roads.http import Client, Pause, Reply
from geoengine.roads.isochrone import judge

PROFILE: dict[Mode, str] = {
    "walk": "foot-walking",
    "transit": "foot-walking",
    "drive": "driving-car",
    "bike": "cycling-regular",
}
AT_ONCE = 2  # the public one counts by the minute: more would only wait there
NO_TIMETABLE = "by bus or tram: openrouteservice has no timetable, so on foot"
NO_TIME = "openrouteservice knows no time of day: asked without"

NO_MAP = 3099  # of a place far from roads; its code for what it cannot name
_ISOCHRONE_CODES = range(3000, 3100)


class Fault(msgspec.Struct, frozen=True):
    """Why there is no answer."""

    code: int = 0
    message: str = ""


class Info(msgspec.Struct, frozen=True):
    """Which engine speaks: its version, and when its roads are from."""

    engine: dict[str, Any] = {}


class Refusal(msgspec.Struct, frozen=True):
    """No answer. What stands before the service, the quota's keeper, has only text to say."""

    error: Fault | str = ""
    info: Info = Info()


class Feature(msgspec.Struct, frozen=True):
    geometry: msgspec.Raw


class Answer(msgspec.Struct, frozen=True):
    features: list[Feature]


class OpenRouteService:
    """Asks one openrouteservice, and judges what comes back."""

    name = "openrouteservice"
    at_once = AT_ONCE

    def __init__(self, url: str, key: str | None = None, pause: Pause = asyncio.sleep) -> None:
        headers = {"accept": "application/geo+json, application/json"}
        if key:
            headers["authorization"] = key
        self._client = Client(url, headers, is_final=_is_about_the_place, pause=pause)

    async def version(self) -> str:
        """As far as it tells: versions and dates of the engine and its roads."""
        reply = await self._client.post(f"/v2/isochrones/{PROFILE['drive']}", {})
        engine = _refusal(reply).info.engine
        if reply.status != 400 or not engine:
            raise RouterDown(_told(self._client.url, reply))
        told = [
            str(engine[name]) for name in ("version", "graph_date", "osm_date") if name in engine
        ]
        return " ".join(["openrouteservice", *(told or ["of unknown version"])])

    async def ask(self, question: Question) -> Isochrone:
        """The area from which the place is reached in time. Raises `NoWay` and `RouterDown`."""
        reply = await self._client.post(
            f"/v2/isochrones/{PROFILE[question.mode]}", body_of(question)
        )
        if reply.status == 200:
            found = judge(question, read_area(reply.body))
            return found._replace(doubts=(*found.doubts, *_doubts(question)))
        if _is_about_the_place(reply):
            fault = _refusal(reply).error
            raise NoWay(fault.message if isinstance(fault, Fault) else fault)
        raise RouterDown(_told(self._client.url, reply))

    async def close(self) -> None:
        await self._client.close()


def body_of(question: Question) -> dict[str, Any]:
    """What it is asked: towards the place, and as drawn, without its own smoothing."""
    return {
        "locations": [[question.lon_deg, question.lat_deg]],
        "range": [round(question.minutes * 60)],
        "range_type": "time",
        "location_type": "destination",
        "smoothing": 0,
    }


def read_area(body: bytes) -> BaseGeometry:
    """The area in an answer. Raises `RouterDown` where it is none of openrouteservice."""
    try:
        features = msgspec.json.decode(body, type=Answer).features
        drawn = [area_in(one.geometry) for one in features]
    except msgspec.DecodeError as error:
        raise RouterDown(f"its answer is not openrouteservice's: {error}") from error
    if len(drawn) != 1:
        raise NoWay(f"{len(drawn)} areas in its answer: expected one")
    return drawn[0]


def _doubts(question: Question) -> tuple[str, ...]:
    transit = (NO_TIMETABLE,) if question.mode == "transit" else ()
    return (*transit, NO_TIME) if question.at is not None else transit


def _is_about_the_place(reply: Reply) -> bool:
    """Whether asking again is of no use: a code of isochrones', which 3099 with its 500 is too."""
    fault = _refusal(reply).error
    return isinstance(fault, Fault) and reply.status != 429 and fault.code in _ISOCHRONE_CODES


def _refusal(reply: Reply) -> Refusal:
    try:
        return msgspec.json.decode(reply.body, type=Refusal)
    except msgspec.DecodeError:
        return Refusal()


def _told(url: str, reply: Reply) -> str:
    """Why there is no going on, for the operator."""
    meaning = {
        401: "it wants a key, or another one (engine.roads.key)",
        403: "the key is not known, or its quota of the day is used up: go on tomorrow",
        404: "no isochrones there: expected an address like https://api.openrouteservice.org or "
        "http://HOST:8082/ors",
        429: "its quota of the minute is used up",
    }.get(reply.status, "it cannot answer now")
    return f"{url} answered {reply.status}: {meaning}: {reply.says}"
