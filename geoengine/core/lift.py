"""Would they have come anyway? What people who were spoken to did, against people held out.

Both arms are people, each once, counted from the moment at which they were spoken to or would have
been: who the hold-out falls on is decided by a hash of their id, so all else is equal on average
(an intention to treat; docs/measurement.md says why to compare those who got the message would be
wrong). Visits of one person hang together, which is why people are counted and not visits.

An estimate and its limits are worked out for each arm, and put together as Zou and Donner do (the
method of variance estimates recovery): of two shares with Wilson's limits that is Newcombe's tenth
method, which keeps its promise also for small arms and shares near 0, where the textbook's normal
interval does not. A ratio's limits are those at which the difference of the one and so many times
the other has 0 for a limit: so difference and ratio never contradict each other.

Sources: E. B. Wilson, J. Am. Stat. Assoc. 22 (1927) 209; R. G. Newcombe, Stat. Med. 17 (1998) 873;
A. Donner and G. Y. Zou, Stat. Methods Med. Res. 21 (2012) 347.
"""

from __future__ import annotations

from math import inf, nan, sqrt
from statistics import NormalDist
from typing import Literal, NamedTuple

SURE = 0.95  # of the interval: what is promised, and what benchmarks/bench_lift.py counts
Z = NormalDist().inv_cdf((1 + SURE) / 2)
Verdict = Literal["more", "fewer", "not_shown"]


class Estimate(NamedTuple):
    """What one arm did, per person, and between which limits it lies."""

    people: int
    value: float
    low: float
    high: float


class Lift(NamedTuple):
    """What speaking to people has changed, per person; NaN and infinity where nothing is known."""

    treated: Estimate
    held_out: Estimate
    difference: float
    low: float
    high: float
    ratio: float
    ratio_low: float
    ratio_high: float

    @property
    def verdict(self) -> Verdict:
        """What may be claimed: nothing, as long as the interval contains zero."""
        if self.low > 0:
            return "more"
        return "fewer" if self.high < 0 else "not_shown"


def share(came: int, people: int) -> Estimate:
    """How many of so many came, with Wilson's limits.

    >>> [round(number, 4) for number in share(81, 263)]
    [263, 0.308, 0.2553, 0.3662]
    """
    if people == 0:
        return Estimate(0, nan, nan, nan)
    p, z2 = came / people, Z * Z
    middle, width = 2 * came + z2, Z * sqrt(z2 + 4 * came * (1 - p))
    low, high = ((middle + sign * width) / (2 * (people + z2)) for sign in (-1, 1))
    return Estimate(people, p, low if came else 0.0, high if came < people else 1.0)


def mean(total: float, total_of_squares: float, people: int) -> Estimate:
    """An amount per person, with Student's limits; few people say nothing.

    >>> mean(30.0, 140.0, 10).value
    3.0
    """
    if people < 2:
        return Estimate(people, total / people if people else nan, -inf, inf)
    value = total / people
    variance = max(total_of_squares - people * value * value, 0.0) / (people - 1)
    half = _student(people - 1) * sqrt(variance / people)
    return Estimate(people, value, value - half, value + half)


def compare(treated: Estimate, held_out: Estimate) -> Lift:
    """The difference and the ratio of two arms, with their limits."""
    t, h = treated, held_out
    if not t.people or not h.people:
        return Lift(t, h, nan, -inf, inf, nan, 0.0, inf)
    difference = t.value - h.value
    low = difference - sqrt((t.value - t.low) ** 2 + (h.high - h.value) ** 2)
    high = difference + sqrt((t.high - t.value) ** 2 + (h.value - h.low) ** 2)
    ratio = t.value / h.value if h.value > 0 else nan
    return Lift(t, h, difference, low, high, ratio, _ratio_low(t, h), _ratio_high(t, h))


def _ratio_low(t: Estimate, h: Estimate) -> float:
    """How many times as much at the least: the r below t / h at which
    (t - r h)^2 = (t - t.low)^2 + r^2 (h.high - h)^2.
    """
    if not t.low > 0 or h.high == inf:
        return 0.0
    if h.high == 0:
        return inf  # any number of times nothing
    product, square, free = _quadratic(t.value, t.low, h.value, h.high)
    return free / (product + sqrt(max(product * product - square * free, 0.0)))


def _ratio_high(t: Estimate, h: Estimate) -> float:
    """How many times as much at the most; infinity where the held out may do nothing at all."""
    if not h.low > 0 or t.high == inf:
        return inf
    product, square, free = _quadratic(t.value, t.high, h.value, h.low)
    return (product + sqrt(max(product * product - square * free, 0.0))) / square


def _quadratic(t: float, t_limit: float, h: float, h_limit: float) -> tuple[float, float, float]:
    """Of square r^2 - 2 product r + free = 0, which the limits of a ratio solve."""
    return t * h, h_limit * (2 * h - h_limit), t_limit * (2 * t - t_limit)


def _student(freedom: int) -> float:
    """Student's quantile for the interval, by the first terms of Cornish and Fisher's expansion:
    within 0.5 % from five degrees of freedom on, and arms of fewer than twenty are not shown.
    """
    n = freedom
    return (
        Z
        + (Z**3 + Z) / (4 * n)
        + (5 * Z**5 + 16 * Z**3 + 3 * Z) / (96 * n**2)
        + (3 * Z**7 + 19 * Z**5 + 17 * Z**3 - 15 * Z) / (384 * n**3)
    )
