"""When somebody counts as inside a zone: the policy of a zone, and the same for many in columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import NormalDist

import numpy as np

from geoengine.core.columns import Floats
from geoengine.core.units import SECOND_MS

_TIMES = ("silence", "beacon_silence", "fresh", "dwell", "cross_gap")
_CHANCES = ("enter", "confirm_enter", "leave", "confirm_leave")


@dataclass(frozen=True, slots=True)
class Policy:
    """When somebody counts as inside a zone. Values and reasons: DESIGN, "Presence"."""

    enter_p: float = 0.95  # one fix this sure lets in
    confirm_enter_p: float = 0.75  # two running this sure let in
    leave_p: float = 0.01  # one fix this unsure, of the zone grown by its buffer, throws out
    confirm_leave_p: float = 0.10  # two running do
    buffer_m: float = 30.0  # the moat: how much larger the zone is for those inside ...
    buffer_per_accuracy: float = 1.2  # ... or this much per metre of accuracy, whichever is more
    dwell_s: float = 120.0  # a stay this long is a dwell; Radar's stop is 140 s
    fresh_s: float = 300.0  # a dwell falls due only on somebody heard of this recently
    silence_s: float = 1_800.0  # nothing heard for so long closes the visit
    cross_m: float = 50.0  # a segment that cuts this deep through a zone crosses it
    cross_gap_s: float = 300.0  # between fixes at most this far apart
    beacon_sightings: int = 3  # so many ...
    beacon_within_s: float = 10.0  # ... within so long let in
    beacon_smooth_s: float = 5.0  # signal strength is the mean over this
    beacon_margin_db: float = 3.0  # a place must be this much louder to take over; leaving near
    beacon_near_dbm: float = -127.0  # the weakest mean that counts as there; by default any
    beacon_silence_s: float = 30.0  # out, so long after the last sighting

    silence_ms: int = field(init=False)
    beacon_silence_ms: int = field(init=False)
    fresh_ms: int = field(init=False)
    dwell_ms: int = field(init=False)
    cross_gap_ms: int = field(init=False)
    # The chances as standard normal quantiles, which is what fixes are weighed as.
    enter_z: float = field(init=False)
    confirm_enter_z: float = field(init=False)
    leave_z: float = field(init=False)
    confirm_leave_z: float = field(init=False)

    def __post_init__(self) -> None:
        for name in _TIMES:
            object.__setattr__(self, f"{name}_ms", round(getattr(self, f"{name}_s") * SECOND_MS))
        for name in _CHANCES:
            object.__setattr__(self, f"{name}_z", _quantile(getattr(self, f"{name}_p")))


def _quantile(probability: float) -> float:
    """The standard normal quantile; thresholds on P become thresholds on z."""
    return NormalDist().inv_cdf(min(max(probability, 1e-12), 1 - 1e-12))


@dataclass(frozen=True, slots=True)
class Limits:
    """What fixes of a batch are held against: Q policies in columns, and the widest of them all."""

    confirm_enter_z: Floats
    confirm_leave_z: Floats
    buffer_m: Floats
    buffer_per_accuracy: Floats
    cross_m: Floats
    silence_min_ms: int
    fresh_min_ms: int
    fresh_max_ms: int
    cross_min_m: float
    cross_gap_max_ms: int

    @classmethod
    def of(cls, policies: Sequence[Policy]) -> Limits:
        """The policies in their order; at least one."""
        return cls(
            confirm_enter_z=np.array([policy.confirm_enter_z for policy in policies]),
            confirm_leave_z=np.array([policy.confirm_leave_z for policy in policies]),
            buffer_m=np.array([policy.buffer_m for policy in policies]),
            buffer_per_accuracy=np.array([policy.buffer_per_accuracy for policy in policies]),
            cross_m=np.array([policy.cross_m for policy in policies]),
            silence_min_ms=min(policy.silence_ms for policy in policies),
            fresh_min_ms=min(policy.fresh_ms for policy in policies),
            fresh_max_ms=max(policy.fresh_ms for policy in policies),
            cross_min_m=min(policy.cross_m for policy in policies),
            cross_gap_max_ms=max(policy.cross_gap_ms for policy in policies),
        )
