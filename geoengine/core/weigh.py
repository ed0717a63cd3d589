"""How much one fix says of one zone: P(inside) against accuracy, and the five signs.

Formulas and thresholds: the page of `presence`.
"""

from __future__ import annotations

from enum import IntEnum
from functools import lru_cache
from math import sqrt
from statistics import NormalDist

from geoengine.core.book import Policy
from geoengine.core.units import sigma_m

COARSE_SIGMAS = 2.0  # below R = 2 sigma even the centre is inside with only 87 %


class Sign(IntEnum):
    """What one fix says of one zone, weighed."""

    SURE_OUT = 0
    LIKELY_OUT = 1
    EDGE = 2
    LIKELY_IN = 3
    SURE_IN = 4


@lru_cache(maxsize=4_096)
def quantile(probability: float) -> float:
    """The standard normal quantile; thresholds on P become thresholds on z."""
    return NormalDist().inv_cdf(min(max(probability, 1e-12), 1 - 1e-12))


def z_inside(edge_m: float, radius_m: float, sigma: float, is_circle: bool) -> float:
    """How sure a fix is to be inside, as a standard normal quantile: P(inside) = Phi(z).

    Metres throughout; ``radius_m`` matters for circles only. See the page above for the source.
    """
    if not is_circle:
        return -edge_m / sigma
    distance_m = radius_m + edge_m
    return (radius_m - sqrt(distance_m * distance_m + sigma * sigma)) / sigma


def is_coarse(radius_m: float, accuracy_m: float) -> bool:
    """Whether a fix is too coarse to let anybody into a zone of this radius."""
    return radius_m < COARSE_SIGMAS * sigma_m(accuracy_m)


def weigh(
    edge_m: float,
    radius_m: float,
    accuracy_m: float,
    policy: Policy,
    *,
    is_circle: bool,
    is_inside: bool,
) -> Sign:
    """The sign of a fix for a zone, towards somebody inside or outside of it."""
    sigma = sigma_m(accuracy_m)
    if not is_inside:
        if is_coarse(radius_m, accuracy_m):
            return Sign.EDGE
        z = z_inside(edge_m, radius_m, sigma, is_circle)
        if z >= quantile(policy.enter_p):
            return Sign.SURE_IN
        return Sign.LIKELY_IN if z >= quantile(policy.confirm_enter_p) else Sign.EDGE
    moat_m = max(policy.buffer_m, policy.buffer_per_accuracy * accuracy_m)
    z = z_inside(edge_m - moat_m, radius_m + moat_m, sigma, is_circle)
    if z <= quantile(policy.leave_p):
        return Sign.SURE_OUT
    return Sign.LIKELY_OUT if z <= quantile(policy.confirm_leave_p) else Sign.EDGE
