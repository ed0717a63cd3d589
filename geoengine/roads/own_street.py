"""The street that a store stands in, put right in Valhalla's answers.

Asked for the area *towards* a place, Valhalla 3.9.1 draws the street of the place itself from its
wrong end: a shop 100 m into a road of 12 km gets all of it, one in its middle gets the far end and
not its own door (measured; ``tests/roads/town.py`` has that road). All other streets are right. So
the street is looked up, and the stretch on which one arrives in time is drawn here instead.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec
import shapely
from shapely.errors import ShapelyError
from shapely.geometry import LineString
from shapely.geometry.base import BaseGeometry
from shapely.ops import substring

from geoengine.core.model import Mode
from geoengine.roads.plane import Plane

# How wide Valhalla draws a single road, metres to each side: 0.0008 degrees, 60 m east and 90 m
# north (measured), of the cells of its raster. Narrower, and crumbs of the wrong stretch stay.
ROAD_M = 60.0
WRONG_M = 100.0

# A stretch shorter than this that is not reached in time is left as drawn, metres: it is less than
# a cell. Streets of towns are shorter than that between their crossings.
LEFT_M = 50.0

BICYCLE_MPS = 16 / 3.6  # of Valhalla's city bicycle, for which it looks up no speed

_PRECISION = 1e6  # of its encoded lines, parts of a degree


class Way(NamedTuple):
    """One direction in which one may come along a street."""

    is_forward: bool  # as the street is drawn
    along: float  # the share of the street before the store
    speed_mps: float


class Street(NamedTuple):
    """One of the store's: its line, degrees, and the ways along it."""

    line: LineString
    ways: list[Way]


class _Speeds(msgspec.Struct, frozen=True):
    default: float = 0.0


class _Edge(msgspec.Struct, frozen=True):
    forward: bool
    speeds: _Speeds


class _EdgeInfo(msgspec.Struct, frozen=True):
    shape: str


class _Found(msgspec.Struct, frozen=True):
    edge: _Edge
    edge_info: _EdgeInfo
    percent_along: float


class _Located(msgspec.Struct, frozen=True):
    edges: list[_Found] | None = None


def read(answer: bytes, mode: Mode) -> list[Street]:
    """The streets in an answer to ``locate``. Raises `msgspec.DecodeError`."""
    ways: dict[str, list[Way]] = {}
    try:
        for located in msgspec.json.decode(answer, type=list[_Located]):
            for found in located.edges or ():
                ways.setdefault(found.edge_info.shape, []).append(_way(found, mode))
        return [Street(_line(shape), of_it) for shape, of_it in ways.items()]
    except (ValueError, ShapelyError) as error:
        raise msgspec.DecodeError(f"no streets: {error}") from error


def mended(area: BaseGeometry, streets: list[Street], plane: Plane, seconds: float) -> Any:
    """An area, in metres, with the streets of its store as far as they are in time."""
    flat = [street._replace(line=plane.flat(street.line)) for street in streets]
    if sum(_late_m(street, seconds) for street in flat) < LEFT_M:  # also where they share a stretch
        return area
    whole = shapely.union_all([street.line for street in flat])
    in_time = shapely.union_all(
        [_arrival(street.line, way, seconds) for street in flat for way in street.ways]
    )
    late = whole.difference(in_time.buffer(0.5))  # ends that meet but for rounding
    if late.length < LEFT_M:
        return area
    road = in_time.buffer(ROAD_M)
    return area.difference(late.buffer(WRONG_M, cap_style="flat").difference(road)).union(road)


def _late_m(street: Street, seconds: float) -> float:
    """How much of a street is reached in time from neither end."""
    length_m = street.line.length
    in_time_m = {True: 0.0, False: 0.0}
    for way in street.ways:
        before_m = min(way.along * length_m, way.speed_mps * seconds)
        in_time_m[way.is_forward] = max(in_time_m[way.is_forward], before_m)
    late_m: float = length_m - sum(in_time_m.values())
    return max(0.0, late_m)


def _arrival(line: LineString, way: Way, seconds: float) -> BaseGeometry:
    """Of one direction, the stretch before the store that takes no longer."""
    end_m = way.along * line.length
    start_m = max(0.0, end_m - way.speed_mps * seconds)
    found: BaseGeometry = substring(line if way.is_forward else line.reverse(), start_m, end_m)
    return found


def _way(found: _Found, mode: Mode) -> Way:
    speed_mps = BICYCLE_MPS if mode == "bike" else found.edge.speeds.default / 3.6
    return Way(found.edge.forward, found.percent_along, speed_mps)


def _line(shape: str) -> LineString:
    places = decoded(shape)
    if len(places) < 2:
        raise ValueError("a street without two ends")
    return LineString(places)


def decoded(line: str) -> list[tuple[float, float]]:
    """Longitudes and latitudes of an encoded line: differences, zigzag, five bits a letter.

    >>> decoded("{rqkaBpw{uDtTkP")
    [(-2.996617, 51.586366), (-2.996339, 51.586019)]
    """
    numbers, value, shift = [], 0, 0
    for letter in line:
        five = ord(letter) - 63
        value |= (five & 31) << shift
        shift += 5
        if five < 32:
            numbers.append((value >> 1) ^ -(value & 1))
            value, shift = 0, 0
    lat, lon, places = 0, 0, []
    for north, east in zip(numbers[::2], numbers[1::2], strict=True):
        lat, lon = lat + north, lon + east
        places.append((lon / _PRECISION, lat / _PRECISION))
    return places
