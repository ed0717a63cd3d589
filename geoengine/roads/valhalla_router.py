"""Valhalla, embedded or far away: what it is asked, and how its answers read.

Measured with Valhalla 3.9.1 on the shared extracts, and different in part from its manual:

- ``reverse: true`` asks for the area *towards* the place; without it one gets the area outwards.
  It draws the place's own street wrong (`own_street`), so it is used for wheels only: on foot the
  way there is as long as the way back.
- Where no road is near it does not fail but draws a speck around the place itself; only
  ``show_locations`` tells, by an empty list of places on the roads.
- It knows no arrival for isochrones (error 142), with a time it takes that for the departure.
- ``multimodal`` ignores ``reverse``: buses and trams are only known from the store outwards.
- ``generalize`` unset rounds by a cell of its raster and makes rings that cut themselves.
"""

from __future__ import annotations

from datetime import UTC, date, datetime
from functools import partial
from typing import Any, Protocol

import msgspec
import shapely
from shapely.geometry import shape
from shapely.geometry.base import BaseGeometry

from geoengine.core.errors import NoWay, RouterDown
from geoengine.core.model import Mode
from geoengine.roads.at import local_time
from geoengine.roads.base import Isochrone, Question
from geoengine.roads.drawn import area_in
from geoengine.roads.isochrone import ROUNDED_SHARE, SLIVER_SHARE, SNAP_M, TOLERANCE_M, judge
from geoengine.roads.own_street import Street, mended
from geoengine.roads.own_street import read as read_streets
from geoengine.roads.plane import Plane

COSTING: dict[Mode, str] = {"walk": "pedestrian", "drive": "auto", "bike": "bicycle"}
NO_TIMETABLE = "by bus or tram: the roads have no timetable, so on foot"
NO_FURTHER = "by bus or tram one gets no further than on foot"
OUTWARDS = "by bus or tram from the store outwards: Valhalla knows no other way"

# Transit counts where it makes the area this much larger. Below it are the waits at platforms and
# the rounding of another search; at five minutes it is 0 to 4 % in Newport (measured).
FURTHER_SHARE = 0.05

# A day for networks that tell no date of their own: a Monday in no holiday, of no meaning.
SOME_DAY = date(2026, 3, 2)

# A time for timetables where none is said: shops are open, and it is not the rush.
SOME_TIME = "Tu 12:00"

# 1.3 m/s, between the 1.2 of traffic lights (MUTCD) and Valhalla's own 1.42: a fifth more of area,
# and those at its edge come late.
WALKING_KMH = 4.68
_OPTIONS = {
    "pedestrian": {"walking_speed": WALKING_KMH},
    "bicycle": {"bicycle_type": "City"},  # 16 km/h on the flat; the default rides at 18
}


class Line(Protocol):
    """Carries questions to a Valhalla, and answers back: the bytes of its JSON.

    ``call`` raises `NoWay` for a refusal that will stay and `RouterDown` for one that may not.
    """

    at_once: int

    async def call(self, action: str, body: dict[str, Any]) -> bytes: ...

    async def close(self) -> None: ...


class Network(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of the roads from elsewhere than their router."""

    version: str = ""  # of tiles we built ourselves: the print of what they were made of
    edge: BaseGeometry | None = None  # the outline of the extract, degrees
    since: date | None = None  # the timetable's first day


class Status(msgspec.Struct, frozen=True):
    """Valhalla's own account; the last two only where its configuration lets it speak."""

    version: str = "of unknown version"
    available_actions: list[str] = []
    tileset_last_modified: int = 0
    has_transit_tiles: bool | None = None
    bbox: dict[str, Any] | None = None


class Feature(msgspec.Struct, frozen=True):
    """One of an answer's: the area, the place asked, or the places on roads it was moved to."""

    geometry: msgspec.Raw
    properties: dict[str, Any] = {}


class Answer(msgspec.Struct, frozen=True):
    """To a question for an isochrone."""

    features: list[Feature]


class ValhallaRouter:
    """Asks one Valhalla over a line, and judges what comes back."""

    name = "valhalla"

    def __init__(self, line: Line, network: Network | None = None) -> None:
        self.at_once = line.at_once
        self._line = line
        self._network = network or Network()
        self._status: Status | None = None
        self._edge = self._network.edge  # of the extract where it was recorded, else of the tiles

    async def version(self) -> str:
        """Its version and that of its roads."""
        status = await self._known()
        return f"valhalla {status.version}, roads {self._network.version or _made(status)}"

    async def ask(self, question: Question) -> Isochrone:
        """The area from which the place is reached in time. Raises `NoWay` and `RouterDown`."""
        status = await self._known()
        if question.mode == "transit":
            return await self._by_transit(question, status)
        drawn = await self._drawn(question, COSTING[question.mode], status)
        if question.mode == "walk":
            return judge(question, drawn, self._edge)
        streets = await self._streets(question, status)
        return judge(question, drawn, self._edge, partial(_mended, streets, question))

    async def close(self) -> None:
        await self._line.close()

    async def _by_transit(self, question: Question, status: Status) -> Isochrone:
        """On foot, and as far as a timetable adds to it."""
        walked = await self._drawn(question, "pedestrian", status)
        if status.has_transit_tiles is False:
            return _doubted(judge(question, walked, self._edge), NO_TIMETABLE)
        ridden = await self._drawn(question, "multimodal", status)
        if ridden.area < (1 + FURTHER_SHARE) * walked.area:
            return _doubted(judge(question, walked, self._edge), NO_FURTHER)
        both = shapely.union(shapely.make_valid(walked), shapely.make_valid(ridden))
        return _doubted(judge(question, both, self._edge), OUTWARDS)

    async def _drawn(self, question: Question, costing: str, status: Status) -> BaseGeometry:
        body = body_of(question, costing, self._network.since or _day_of(status))
        return read_area(await self._line.call("isochrone", body))

    async def _streets(self, question: Question, status: Status) -> list[Street]:
        """Of the store itself; none where a server does not look them up."""
        if "locate" not in status.available_actions:
            return []
        costing = COSTING[question.mode]
        body = {"locations": [_place(question)], "costing": costing, "verbose": True}
        try:
            return read_streets(await self._line.call("locate", body), question.mode)
        except msgspec.DecodeError as error:
            raise RouterDown(f"its streets are not Valhalla's: {error}") from error

    async def _known(self) -> Status:
        """Its status, asked once: a router is opened for one build."""
        if self._status is None:
            answer = await self._line.call("status", {"verbose": True})
            try:
                self._status = msgspec.json.decode(answer, type=Status)
            except msgspec.DecodeError as error:
                raise RouterDown(f"its status is not Valhalla's: {error}") from error
            self._edge = self._edge or _outline(self._status)
        return self._status


def body_of(question: Question, costing: str, since: date) -> dict[str, Any]:
    """What Valhalla is asked; the rest of what makes its answer a zone is ours (`judge`)."""
    body: dict[str, Any] = {
        "locations": [_place(question)],
        "costing": costing,
        "costing_options": _OPTIONS,
        "contours": [{"time": question.minutes}],
        "reverse": costing in ("auto", "bicycle"),
        "polygons": True,
        "denoise": SLIVER_SHARE,
        "generalize": ROUNDED_SHARE * TOLERANCE_M[question.mode],
        "show_locations": True,
    }
    at = question.at or (SOME_TIME if costing == "multimodal" else None)
    if at is not None:
        body["date_time"] = {"type": 1, "value": local_time(at, since)}
    return body


def read_area(answer: bytes) -> BaseGeometry:
    """The area in an answer, as drawn. Raises `NoWay` where the place is on no road."""
    try:
        features = msgspec.json.decode(answer, type=Answer).features
        points = [one for one in features if one.properties.get("type") == "snapped"]
        areas = [one for one in features if "contour" in one.properties]
        if any(msgspec.json.decode(one.geometry)["coordinates"] == [] for one in points):
            raise NoWay(f"no road within {SNAP_M:.0f} m")
        drawn = [area_in(one.geometry) for one in areas]
    except (msgspec.DecodeError, KeyError, TypeError) as error:
        raise RouterDown(f"its answer is not Valhalla's: {error}") from error
    if len(drawn) != 1:
        raise NoWay(f"{len(drawn)} areas in its answer: expected one")
    return drawn[0]


def _place(question: Question) -> dict[str, float]:
    return {"lon": question.lon_deg, "lat": question.lat_deg, "search_cutoff": SNAP_M}


def _mended(
    streets: list[Street], question: Question, area: BaseGeometry, plane: Plane
) -> BaseGeometry:
    found: BaseGeometry = mended(area, streets, plane, question.minutes * 60)
    return found


def _day_of(status: Status) -> date:
    """The day its tiles were made; a day of no meaning where it does not say."""
    if status.tileset_last_modified <= 0:
        return SOME_DAY
    return datetime.fromtimestamp(status.tileset_last_modified, UTC).date()


def _made(status: Status) -> str:
    """When its tiles were made, to the second: what else they are it does not tell."""
    if status.tileset_last_modified <= 0:
        return "of unknown date"
    return f"of {datetime.fromtimestamp(status.tileset_last_modified, UTC):%Y-%m-%d %H:%M:%S}"


def _outline(status: Status) -> BaseGeometry | None:
    """Of its tiles, to a quarter of a degree."""
    features = (status.bbox or {}).get("features") or ()
    return shapely.union_all([shape(one["geometry"]) for one in features]) if features else None


def _doubted(found: Isochrone, doubt: str) -> Isochrone:
    return found._replace(doubts=(*found.doubts, doubt))
