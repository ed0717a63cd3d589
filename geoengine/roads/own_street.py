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


class Street(NamedTuple):
    """One direction of it: its line, degrees, the store's place on it, and how fast one drives."""

    line: LineString
    along: float  # the share of the line before the store
    speed_mps: float


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
    try:
        located = msgspec.json.decode(answer, type=list[_Located])
        return [_street(found, mode) for one in located for found in one.edges or ()]
    except (ValueError, ShapelyError) as error:
        raise msgspec.DecodeError(f"no streets: {error}") from error


def mended(area: BaseGeometry, streets: list[Street], plane: Plane, seconds: float) -> Any:
    """An area, in metres, with the streets of its store as far as they are in time."""
    flat = [street._replace(line=plane.flat(street.line)) for street in streets]
    whole = shapely.union_all([street.line for street in flat])
    in_time = shapely.union_all([_arrival(street, seconds) for street in flat])
    late = whole.difference(in_time.buffer(0.5))  # ends that meet but for rounding
    if late.length < LEFT_M:
        return area
    road = in_time.buffer(ROAD_M)
    return area.difference(late.buffer(WRONG_M, cap_style="flat").difference(road)).union(road)


def _arrival(street: Street, seconds: float) -> BaseGeometry:
    """Of one direction, the stretch before the store that takes no longer."""
    end_m = street.along * street.line.length
    found: BaseGeometry = substring(
        street.line, max(0.0, end_m - street.speed_mps * seconds), end_m
    )
    return found


def _street(found: _Found, mode: Mode) -> Street:
    places = decoded(found.edge_info.shape)
    if len(places) < 2:
        raise ValueError("a street without two ends")
    line = LineString(places if found.edge.forward else places[::-1])
    speed_mps = BICYCLE_MPS if mode == "bike" else found.edge.speeds.default / 3.6
    return Street(line, found.percent_along, speed_mps)


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
