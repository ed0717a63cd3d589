"""How much one fix says of one zone: P(inside) against accuracy, and the five signs.

Formulas and thresholds: the page of `presence`.
"""

from __future__ import annotations

from enum import IntEnum
from math import sqrt

import numpy as np

from geoengine.core.columns import Bools, Floats, Ints
from geoengine.core.places.policy import Limits, Policy
from geoengine.core.units import ACCURACY_MIN_M, ACCURACY_PER_SIGMA, COARSE_SIGMAS, sigma_m


class Sign(IntEnum):
    """What one fix says of one zone, weighed."""

    SURE_OUT = 0
    LIKELY_OUT = 1
    EDGE = 2
    LIKELY_IN = 3
    SURE_IN = 4


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


_SURE_OUT, _LIKELY_OUT, _EDGE, _LIKELY_IN, _SURE_IN = Sign


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
        if radius_m < COARSE_SIGMAS * sigma:
            return _EDGE
        z = z_inside(edge_m, radius_m, sigma, is_circle)
        if z >= policy.enter_z:
            return _SURE_IN
        return _LIKELY_IN if z >= policy.confirm_enter_z else _EDGE
    moat_m = max(policy.buffer_m, policy.buffer_per_accuracy * accuracy_m)
    z = z_inside(edge_m - moat_m, radius_m + moat_m, sigma, is_circle)
    if z <= policy.leave_z:
        return _SURE_OUT
    return _LIKELY_OUT if z <= policy.confirm_leave_z else _EDGE


# --- the same, for pairs of a fix and a zone in columns; all arrays have shape (M,) ---------------


def sigmas_m(accuracy_m: Floats) -> Floats:
    """`units.sigma_m` of each."""
    return np.maximum(accuracy_m, ACCURACY_MIN_M) / ACCURACY_PER_SIGMA


def are_coarse(radius_m: Floats, accuracy_m: Floats) -> Bools:
    """`is_coarse` of each; not of those whose accuracy is NaN."""
    answer: Bools = radius_m < COARSE_SIGMAS * sigmas_m(accuracy_m)
    return answer


def hold(
    edge_m: Floats, radius_m: Floats, accuracy_m: Floats, is_circle: Bools, policy_ix: Ints,
    limits: Limits,
) -> Bools:  # fmt: skip
    """Which do not count towards throwing somebody inside out: `weigh` says EDGE."""
    moat_m = np.maximum(
        limits.buffer_m[policy_ix], limits.buffer_per_accuracy[policy_ix] * accuracy_m
    )
    z = z_of(edge_m - moat_m, radius_m + moat_m, sigmas_m(accuracy_m), is_circle)
    answer: Bools = z > limits.confirm_leave_z[policy_ix]
    return answer


def z_of(edge_m: Floats, radius_m: Floats, sigma: Floats, is_circle: Bools) -> Floats:
    """`z_inside` of each."""
    distance_m = radius_m + edge_m
    z = np.where(is_circle, radius_m - np.sqrt(distance_m * distance_m + sigma * sigma), -edge_m)
    z /= sigma
    return z
