"""When somebody counts as inside: what is written, merged over the engine's and the defaults."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from msgspec import UNSET

from geoengine.catalog.reading.report import Items
from geoengine.core.model import PresenceSpec
from geoengine.core.places.policy import Policy

POLICY_KEYS = PresenceSpec.__struct_fields__


@dataclass(slots=True)
class Policies:
    """The presence policies in use, each kept once."""

    base: PresenceSpec
    values: list[Policy] = field(default_factory=list)
    _ix_of: dict[PresenceSpec, int] = field(default_factory=dict)

    def ix(self, spec: PresenceSpec) -> int:
        """Position of the policy of a zone: its own keys over the engine's over the defaults."""
        found = self._ix_of.get(spec)
        if found is None:
            policy = merged(self.base, spec)
            if policy not in self.values:
                self.values.append(policy)
            found = self._ix_of[spec] = self.values.index(policy)
        return found


def merged(*specs: PresenceSpec) -> Policy:
    """The policy that these make, the last one given winning.

    >>> merged(PresenceSpec(dwell_s=60), PresenceSpec(dwell_s=90, cross_m=80)).dwell_s
    90
    """
    given: dict[str, Any] = {}
    for spec in specs:
        given |= {key: value for key in POLICY_KEYS if (value := getattr(spec, key)) is not UNSET}
    return Policy(**given)


def contradiction(policy: Policy) -> str | None:
    """Why nobody could keep to such a policy; None where one can."""
    if policy.confirm_enter_p > policy.enter_p:
        return "confirm_enter_p is above enter_p: two fixes would need more than one"
    if policy.confirm_leave_p < policy.leave_p:
        return "confirm_leave_p is below leave_p: two fixes would need more than one"
    if policy.confirm_leave_p >= policy.confirm_enter_p:
        return "confirm_leave_p is not below confirm_enter_p: the same fix would let in and out"
    return None


def check_presence(items: Items[Any], base: PresenceSpec) -> None:
    """Report stores and zones whose presence settings contradict each other."""
    known: dict[PresenceSpec, str | None] = {}
    for ix, item in items:
        if item.presence not in known:
            known[item.presence] = contradiction(merged(base, item.presence))
        why = known[item.presence]
        if why is not None:
            items.wrong(ix, why, "presence")
