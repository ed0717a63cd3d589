"""A router's answer made into a zone: mended, sifted, simplified, and checked against sense.

What routers answer is a raster's outline: a corner each 30 metres, rings that touch themselves,
specks where a road passes under another. A zone needs the area, whole and small, that a person can
be in.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.affinity import translate
from shapely.geometry import LineString, MultiPolygon, Point, Polygon, box
from shapely.geometry.base import BaseGeometry

from geoengine.core.errors import NoWay
from geoengine.core.model import Mode
from geoengine.core.space.geodesy import geodesic_m
from geoengine.roads.base import Isochrone, Question
from geoengine.roads.plane import Plane, plane_at

# Metres between a store and the nearest road it is reckoned from: openrouteservice's own limit.
# Larger, and a shop on an island gets the streets of the mainland.
SNAP_M = 350.0

# The share of the area below which a part or a hole is left out, as a number. In five minutes by
# car it is a hole of some 700 m: who stands in its middle is half a minute from a road that is in
# time. A larger share hides hills and rivers, a smaller one makes zones of a thousand corners.
SLIVER_SHARE = 0.05

# How far the edge may move, metres (Douglas and Peucker 1973). The raster under Valhalla's answers
# has cells of 0.001 degrees, 70 by 110 m (measured), and a phone's own error is 15 m. Larger, and
# streets at the edge get lost.
TOLERANCE_M: dict[Mode, float] = {"walk": 5.0, "transit": 5.0, "bike": 10.0, "drive": 20.0}
ROUNDED_SHARE = 0.5  # of that, by which a router may have moved it before us
CORNERS = 256  # more than these and the tolerance is widened, by this factor, once or more:
COARSER = 1.3
COARSEST_SHARE = 0.01  # of an area's side: 30 m of five minutes by car, half a kilometre of an hour

# Nobody is faster, metres per second: Valhalla takes roads for at most 140 km/h (39 m/s), downhill
# cyclists for 60 km/h; runners do 4 m/s, trains in town 30. Farther away than this in the minutes
# is no isochrone but an error, of units most likely.
FASTEST_MPS: dict[Mode, float] = {"walk": 4.0, "bike": 17.0, "transit": 40.0, "drive": 40.0}

# An area that comes this near to the edge of the road data may have been cut off there, metres: a
# side street on foot, a country road's loop by car. Smaller, and cut areas pass for whole ones.
EDGE_M: dict[Mode, float] = {"walk": 100.0, "bike": 250.0, "transit": 250.0, "drive": 500.0}
CUT_OFF = "cut off at the edge of the road data"

# A store nearer than this to the edge may be outside when coordinates are rounded, metres.
DOOR_M = 1.0

# What is smaller than a shop is no reach but a slip of the router's pen, square metres.
SPECK_M2 = 400.0

# Nearer to a pole than this a plane of degrees is none: 4 km off, its scale is off by a hundredth.
# The northernmost road is Alert's, at 82.5.
LAT_MAX_DEG = 85.0

_DECIMALS = 6  # 0.1 m: what is left of a coordinate, in degrees, when it is kept
Area: TypeAlias = Polygon | MultiPolygon
Mend: TypeAlias = Callable[[BaseGeometry, Plane], BaseGeometry]


# GEOS divides by zero inside on areas that fold back on themselves, and is right all the same.
@np.errstate(divide="ignore", invalid="ignore")
def judge(
    question: Question,
    answer: BaseGeometry,
    edge: BaseGeometry | None = None,
    mend: Mend = lambda area, plane: area,
) -> Isochrone:
    """The area of an answer, fit to be a zone. Raises `NoWay` with the reason when it is not.

    Parameters
    ----------
    answer : any geometry, degrees
        As the router drew it; what is not an area in it is ignored.
    edge : polygon, degrees
        The outline of the road data, where it is known.
    mend : function of an area in metres and its plane
        What a router needs that draws something wrong.

    Notes
    -----
    The area holds the store: where it ends before the store's door, a lane as wide as the tolerance
    joins them. Its parts are many only where they matter (`SLIVER_SHARE`).
    """
    if abs(question.lat_deg) > LAT_MAX_DEG:
        raise NoWay(f"it is beyond {LAT_MAX_DEG:.0f} degrees of latitude, where no area is drawn")
    plane = plane_at(question.lon_deg, question.lat_deg)
    try:
        tolerance_m = TOLERANCE_M[question.mode]
        drawn = _made_of(mend(sound(plane.flat(answer)), plane), tolerance_m)
        area, found = _kept(drawn, plane, question, tolerance_m)
    except shapely.errors.GEOSException as error:  # what folds back on itself within a hair
        raise NoWay(f"its area cannot be mended: {error}") from error
    check_place(question, area, found)
    doubts = (CUT_OFF,) if is_cut_off(area, plane, edge, question.mode) else ()
    return Isochrone(found, doubts)


def _made_of(drawn: BaseGeometry, tolerance_m: float) -> Area:
    """The area in what was drawn, flat: sifted, simplified, with the store in it."""
    parts = parts_of(drawn)
    if not parts:
        raise NoWay("the router's answer holds no area")
    return joined(simplified(sifted(parts), tolerance_m), tolerance_m)


def _kept(area: Area, plane: Plane, question: Question, tolerance_m: float) -> tuple[Area, Area]:
    """An area, flat, and as it is kept; where rounding has put the store out of it, with a disc."""
    store, found = Point(question.lon_deg, question.lat_deg), on_the_map(rounded(area, plane))
    if not found.contains(store):
        area = _area(parts_of(sound(area.union(_STORE.buffer(tolerance_m)))))
        found = on_the_map(rounded(area, plane))
        if not found.contains(store):
            raise NoWay("its area cannot be mended: rounded, it does not hold the store")
    return area, found


def sound(area: BaseGeometry) -> BaseGeometry:
    """The same without rings that cut themselves."""
    if area.is_valid:
        return area
    mended: BaseGeometry = shapely.make_valid(area, method="structure")
    return mended


def sifted(parts: list[Polygon]) -> Area:
    """The part at the store, in the origin, and what else is no sliver; their holes likewise."""
    total_m2 = sum(part.area for part in parts)
    if total_m2 < SPECK_M2:
        raise NoWay(f"its area is {total_m2:.0f} m2: expected at least {SPECK_M2:.0f} m2")
    away_m, _area_m2, mine = min(
        ((part.distance(_STORE), -part.area, part) for part in parts), key=lambda found: found[:2]
    )
    if away_m > SNAP_M:
        raise NoWay(f"it begins {away_m:,.0f} m from the store: expected at most {SNAP_M:.0f} m")
    least_m2 = SLIVER_SHARE * total_m2
    kept = [part for part in parts if part is mine or part.area >= least_m2]
    return _area([_without_slivers(part, least_m2) for part in kept])


def simplified(area: Area, tolerance_m: float) -> Area:
    """With fewer corners where they are too many: coarser in steps, holes and validity kept."""
    by_m, coarsest_m = 0.0, max(COARSER * tolerance_m, COARSEST_SHARE * math.sqrt(area.area))
    moved_m, count = ROUNDED_SHARE * tolerance_m, shapely.get_num_coordinates(area)
    while count > CORNERS and tolerance_m <= coarsest_m:
        by_m = tolerance_m - moved_m
        count = shapely.get_num_coordinates(_thin_rings(area, by_m)[0]).sum()
        tolerance_m *= COARSER
    return thinned(area, by_m) if by_m else area


def thinned(area: Area, by_m: float) -> Area:
    """Without the corners that lie so near to the line that there is without them.

    Ring by ring, which may cut one another then: those that do are thinned again, slowly (ten
    times as long), with an eye to one another.
    """
    rings, part_ix = _thin_rings(area, by_m)
    if (shapely.get_num_coordinates(rings) >= _RING_MIN).all():
        found = _area(list(shapely.polygons(rings, indices=part_ix)))
        if found.is_valid:
            return found
    return _area(parts_of(sound(shapely.simplify(area, by_m))))


def _thin_rings(area: Area, by_m: float) -> tuple[Any, NDArray[np.int64]]:
    """The rings of all parts, outlines first, each by itself; and which part each is of."""
    rings, part_ix = shapely.get_rings(shapely.get_parts(area), return_index=True)
    return shapely.simplify(rings, by_m, preserve_topology=False), part_ix


def joined(area: Area, tolerance_m: float) -> Area:
    """With a lane from its edge to the store in the origin, if the store is not well inside."""
    if area.contains(_STORE) and area.boundary.distance(_STORE) > DOOR_M:
        return area
    start = shapely.shortest_line(_STORE, area)
    lane = LineString(start).buffer(tolerance_m) if start.length else _STORE.buffer(tolerance_m)
    return _area(parts_of(area.union(lane)))


def is_cut_off(area: Area, plane: Plane, edge: BaseGeometry | None, mode: Mode) -> bool:
    """Whether an area, flat, comes so near to the edge of the data that there may be more of it."""
    if edge is None or edge.is_empty:
        return False
    west_m, south_m, east_m, north_m = area.bounds
    near_m = EDGE_M[mode]
    around_m = np.array([[west_m - near_m, south_m - near_m], [east_m + near_m, north_m + near_m]])
    shapely.prepare(edge)  # no more than once
    if edge.covers(shapely.box(*plane.degrees(around_m).ravel())):
        return False
    inside = plane.flat(edge)
    return not inside.covers(area) or bool(inside.boundary.distance(area) < near_m)


def check_place(question: Question, area: Area, found: Area) -> None:
    """Raise `NoWay` where somebody would have to be faster than anybody is.

    ``area`` is flat, ``found`` the same in degrees. In the plane, up to `LAT_MAX_DEG` and as far as
    one gets in an hour, no way is half as long as it is: only farther out need it be measured.
    """
    most_m = FASTEST_MPS[question.mode] * question.minutes * 60 + SNAP_M
    if math.hypot(*np.abs(area.bounds).reshape(2, 2).max(axis=0)) < most_m / 2:
        return
    corners = shapely.get_coordinates(found)
    lon_deg, lat_deg = (np.full(len(corners), at) for at in (question.lon_deg, question.lat_deg))
    far_m = geodesic_m(lon_deg, lat_deg, corners[:, 0], corners[:, 1]).max()
    if far_m > most_m:
        raise NoWay(
            f"it reaches {far_m / 1000:,.1f} km in {question.minutes:g} min: "
            f"expected at most {most_m / 1000:,.1f} km"
        )


def rounded(area: BaseGeometry, plane: Plane) -> BaseGeometry:
    """In degrees, to what is kept of a coordinate; where it would cut itself for it, mended."""
    found: BaseGeometry = shapely.transform(area, lambda xy: plane.degrees(xy).round(_DECIMALS))
    if found.is_valid:
        return found
    return sound(shapely.set_precision(plane.round(area), 10.0**-_DECIMALS))


def on_the_map(area: BaseGeometry) -> Area:
    """Between 180 degrees west and east: what goes on past them is cut there (RFC 7946, 3.1.9)."""
    west_deg, _south, east_deg, _north = area.bounds
    if west_deg >= -180.0 and east_deg <= 180.0:
        return _area(parts_of(area))
    turned = (translate(area, by_deg) for by_deg in (-360.0, 0.0, 360.0))
    return _area([part for one in turned for part in parts_of(one.intersection(_MAP))])


def parts_of(geometry: BaseGeometry) -> list[Polygon]:
    """All polygons in a geometry of any kind."""
    if isinstance(geometry, Polygon):
        return [] if geometry.is_empty else [geometry]
    return [part for inner in getattr(geometry, "geoms", ()) for part in parts_of(inner)]


_RING_MIN = 4  # corners, the last of which is the first: fewer, and the ring is a line
_STORE = Point(0.0, 0.0)  # the plane's origin
_MAP = box(-180.0, -90.0, 180.0, 90.0)


def _without_slivers(part: Polygon, least_m2: float) -> Polygon:
    if not part.interiors:
        return part
    holes = [hole for hole in part.interiors if Polygon(hole).area >= least_m2]
    return Polygon(part.exterior, holes)


def _area(parts: list[Polygon]) -> Area:
    return parts[0] if len(parts) == 1 else MultiPolygon(parts)
