"""Where somebody with a phone is: a round between home, a shop and another place, by the clock.

A round is a function of time, so that a phone can say where it was while it was offline, and a
crowd is at any moment what it would be after days: most of it elsewhere, a tenth in a shop.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from random import Random

DEGREE_M = 111_195.0  # of latitude, mean
WALK_MPS, DRIVE_MPS = 1.3, 13.3  # the speeds behind a reach of five minutes
HOME_M = {"city": (600.0, 1_500.0), "countryside": (5_000.0, 15_000.0)}
SHOP_STAY_S, HOME_STAY_S, OTHER_STAY_S = (180.0, 1_200.0), (1_800.0, 7_200.0), (900.0, 5_400.0)
IN_SHOP_M = 30.0  # a shop's floor around the point that its address stands for


@dataclass(frozen=True, slots=True)
class Place:
    """A point on the ground; degrees, WGS 84."""

    lat_deg: float
    lon_deg: float

    def moved(self, north_m: float, east_m: float) -> Place:
        """The place so far away."""
        east_deg = east_m / DEGREE_M / math.cos(math.radians(self.lat_deg))
        return Place(self.lat_deg + north_m / DEGREE_M, self.lon_deg + east_deg)

    def towards(self, bearing_rad: float, by_m: float) -> Place:
        """The place so far away in this direction."""
        return self.moved(by_m * math.cos(bearing_rad), by_m * math.sin(bearing_rad))

    def offset_m(self, other: Place) -> tuple[float, float]:
        """How far the other lies north and east of here."""
        east_m = (other.lon_deg - self.lon_deg) * DEGREE_M * math.cos(math.radians(self.lat_deg))
        return (other.lat_deg - self.lat_deg) * DEGREE_M, east_m


@dataclass(frozen=True, slots=True)
class Moment:
    """Where somebody is, how fast and whereto; ``stop_ix`` is the stop they stay at, else -1."""

    place: Place
    speed_mps: float
    heading_deg: float
    stop_ix: int


class Walk:
    """Stops with a stay at each, and the straight ways between them, again and again."""

    def __init__(
        self, stops: Sequence[tuple[Place, float]], speed_mps: float, phase_s: float
    ) -> None:
        self._places = [place for place, _ in stops]
        self._speed_mps = speed_mps
        self._phase_s = phase_s
        spans: list[float] = []
        for ix, (place, stay_s) in enumerate(stops):
            following = self._places[(ix + 1) % len(stops)]
            spans += [stay_s, math.hypot(*place.offset_m(following)) / speed_mps]
        self._begins_s = [0.0, *accumulate(spans)]

    @property
    def round_s(self) -> float:
        """How long a round takes."""
        return self._begins_s[-1]

    def at(self, now_s: float) -> Moment:
        """Where they are at a time, seconds of any clock."""
        in_round_s = (now_s + self._phase_s) % self.round_s
        span = min(bisect_right(self._begins_s, in_round_s), len(self._begins_s) - 1) - 1
        here = self._places[span // 2]
        if span % 2 == 0:
            return Moment(here, 0.0, 0.0, span // 2)
        north_m, east_m = here.offset_m(self._places[(span // 2 + 1) % len(self._places)])
        share = (in_round_s - self._begins_s[span]) / (
            self._begins_s[span + 1] - self._begins_s[span]
        )
        heading_deg = math.degrees(math.atan2(east_m, north_m)) % 360
        place = here.moved(north_m * share, east_m * share)
        return Moment(place, self._speed_mps, heading_deg, -1)


SHOP_STOP = 1  # the second stop of every round


def round_of(shop: Place, setting: str, rng: Random) -> Walk:
    """The round of somebody who lives outside the reach of a shop and goes there."""
    near_m, far_m = HOME_M[setting]
    home = shop.towards(rng.uniform(0, 2 * math.pi), rng.uniform(near_m, far_m))
    other = home.towards(rng.uniform(0, 2 * math.pi), rng.uniform(near_m, far_m))
    inside = shop.towards(rng.uniform(0, 2 * math.pi), rng.uniform(0, IN_SHOP_M))
    stops = (
        (home, rng.uniform(*HOME_STAY_S)),
        (inside, rng.uniform(*SHOP_STAY_S)),
        (other, rng.uniform(*OTHER_STAY_S)),
    )
    speed_mps = WALK_MPS if setting == "city" else DRIVE_MPS
    return Walk(stops, speed_mps, rng.uniform(0, 1e6))
