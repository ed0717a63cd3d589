"""The Book: stores, zones, beacons and campaigns, compiled once; immutable, versioned.

The catalogue makes it, the core reads it, a reload replaces it between two batches.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from geoengine.core import caps
from geoengine.core.audience import Audience
from geoengine.core.index import ZoneIndex
from geoengine.core.model import Campaign, Cap, Change, EngineSpec, Gateway, Mode, Store
from geoengine.core.units import SECOND_MS
from geoengine.core.zones import CIRCLE, PLACE, Zones

MODES: tuple[Mode | None, ...] = (None, "walk", "drive")


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

    def __post_init__(self) -> None:
        for name in ("silence", "beacon_silence", "fresh"):
            object.__setattr__(self, f"{name}_ms", round(getattr(self, f"{name}_s") * SECOND_MS))


@dataclass(frozen=True, slots=True)
class CampaignPlan:
    """A campaign with its texts parsed: durations in milliseconds, expressions compiled."""

    spec: Campaign
    rank: int  # position in the catalogue; breaks ties of priority
    live_from_ms: int
    live_until_ms: int
    audience: Audience | None
    window: str | None  # OSM opening_hours, in the store's time
    hold_out: float  # share of people, 0 to 1
    cooldown_ms: int
    caps: tuple[Cap, ...]
    max_age_ms: int
    expires_ms: int
    coupon_valid_ms: int = 0

    @property
    def id(self) -> str:
        """The campaign's id."""
        return self.spec.id


@dataclass(frozen=True, slots=True)
class EnginePlan:
    """The engine's own settings, with durations in milliseconds."""

    spec: EngineSpec
    max_age_ms: int
    visit_group_ms: int


@dataclass(frozen=True)
class Book:
    """Everything configured. Look-ups by position are lists, by name are dictionaries."""

    version: str
    stores: tuple[Store, ...]  # with setting, time zone and country filled in
    zones: Zones
    policies: tuple[Policy, ...]
    campaigns: tuple[CampaignPlan, ...]
    engine: EnginePlan
    beacons: Mapping[tuple[str, int, int], int] = field(default_factory=dict)  # -> zone_ix
    gateways: Mapping[str, Gateway] = field(default_factory=dict)
    coupon_key: bytes = b""  # the secret behind unique codes; the service brings its own

    @cached_property
    def index(self) -> ZoneIndex:
        """The zones, ready to be matched."""
        return ZoneIndex(self.zones)

    @cached_property
    def zone_ix_of(self) -> dict[str, int]:
        """Position of each zone, by id."""
        return {zone_id: ix for ix, zone_id in enumerate(self.zones.ids)}

    @cached_property
    def store_ix_of(self) -> dict[str, int]:
        """Position of each store, by id."""
        return {store.id: ix for ix, store in enumerate(self.stores)}

    @cached_property
    def _zones_of_store(self) -> dict[int, list[int]]:
        members: dict[int, list[int]] = {}
        for zone_ix, store_ix in enumerate(self.zones.store_ix.tolist()):
            members.setdefault(store_ix, []).append(zone_ix)
        return members

    @cached_property
    def _plans_on(self) -> dict[str, tuple[CampaignPlan, ...]]:
        kinds = {plan.spec.on for plan in self.campaigns}
        return {on: tuple(p for p in self.campaigns if p.spec.on == on) for on in kinds}

    @cached_property
    def _plans_by_zone(self) -> dict[str, dict[int, tuple[CampaignPlan, ...]]]:
        return {on: {} for on in self._plans_on}

    @cached_property
    def memory_ms(self) -> int:
        """How long a fired trigger is remembered: as long as any cap or cool-down looks back."""
        every_cap = [*self.engine.spec.caps, *(cap for plan in self.campaigns for cap in plan.caps)]
        return caps.memory_ms(every_cap, (plan.cooldown_ms for plan in self.campaigns))

    @cached_property
    def _policy_of(self) -> list[Policy]:
        return [self.policies[ix] for ix in self.zones.policy_ix.tolist()]

    @cached_property
    def _kinds(self) -> bytes:
        return self.zones.kind.tobytes()

    def policy(self, zone_ix: int) -> Policy:
        """The presence policy of a zone."""
        return self._policy_of[zone_ix]

    @cached_property
    def _radii(self) -> list[float]:
        radii: list[float] = self.zones.radius_m.tolist()
        return radii

    @cached_property
    def _places_by_zone(self) -> dict[int, frozenset[int]]:
        return {
            zone_ix: frozenset(ix for ix in members if self.is_place(ix))
            for store_ix, members in self._zones_of_store.items()
            if store_ix >= 0 and any(self.is_place(ix) for ix in members)
            for zone_ix in members
        }

    def radius_m(self, zone_ix: int) -> float:
        """The radius of a zone; of a polygon that of the circle of its area."""
        return self._radii[zone_ix]

    def places_beside(self, zone_ix: int) -> frozenset[int]:
        """The beacon places of the store that a zone belongs to."""
        return self._places_by_zone.get(zone_ix, frozenset())

    def is_place(self, zone_ix: int) -> bool:
        """Whether the zone is a beacon place."""
        return self._kinds[zone_ix] == PLACE

    def is_circle(self, zone_ix: int) -> bool:
        """Whether the zone is a circle."""
        return self._kinds[zone_ix] == CIRCLE

    def store_of(self, zone_ix: int) -> Store | None:
        """The store a zone belongs to."""
        store_ix = self.zones.store_ix.item(zone_ix)
        return None if store_ix < 0 else self.stores[store_ix]

    def place_of_gateway(self, gateway_id: str) -> int:
        """The beacon place that a gateway hears; -1 for a gateway nobody listed."""
        gateway = self.gateways.get(gateway_id)
        if gateway is None:
            return -1
        return self.zone_ix_of.get(f"{gateway.store}/{gateway.place}", -1)

    def areas_of_store(self, store_ix: int) -> list[int]:
        """The zones of a store that GPS decides: its reach and those drawn for it."""
        members = self._zones_of_store.get(store_ix, ())
        return [ix for ix in members if not self.is_place(ix)]

    def plans(self, zone_ix: int) -> tuple[CampaignPlan, ...]:
        """The campaigns about a zone, in the order of the catalogue."""
        return tuple(plan for plan in self.campaigns if self._is_about(plan, zone_ix))

    def plans_on(self, on: Change, zone_ix: int) -> tuple[CampaignPlan, ...]:
        """Those of them that wait for a kind of transition."""
        by_zone = self._plans_by_zone.get(on)
        if by_zone is None:
            return ()
        known = by_zone.get(zone_ix)
        if known is None:
            every = self._plans_on[on]
            known = tuple(plan for plan in every if self._is_about(plan, zone_ix))
            # Zones that all campaigns are about share one tuple: there may be a million.
            by_zone[zone_ix] = known = every if len(known) == len(every) else known
        return known

    def _is_about(self, plan: CampaignPlan, zone_ix: int) -> bool:
        target = plan.spec.zones
        store = self.store_of(zone_ix)
        place = self.zones.places.get(zone_ix)
        tags = (*(store.tags if store else ()), *self.zones.tags.get(zone_ix, ()))
        places = [target.place] if isinstance(target.place, str) else target.place
        return (
            # A beacon place speaks only for campaigns that name it: its store's reach already
            # speaks for the store.
            (place is None or places is not None or target.zones is not None)
            and (places is None or place in places)
            and (target.zones is None or self.zones.ids[zone_ix] in target.zones)
            and (target.stores is None or (store is not None and store.id in target.stores))
            and (target.tags is None or any(tag in target.tags for tag in tags))
        )

    def births(self) -> dict[str, tuple[int, int]]:
        """By zone: the fingerprint of its shape, and since when that is in force."""
        zones = self.zones
        facts = zip(zones.prints.tolist(), zones.born_ms.tolist(), strict=True)
        return dict(zip(zones.ids, facts, strict=True))

    def succeeding(self, births: Mapping[str, tuple[int, int]], now_ms: int) -> Book:
        """This book, taking over from one with these births; zones new to it are born now."""
        born_ms = np.full(len(self.zones), now_ms, np.int64)
        shapes = zip(self.zones.ids, self.zones.prints.tolist(), strict=True)
        for zone_ix, (zone_id, zone_print) in enumerate(shapes):
            before = births.get(zone_id)
            if before is not None and before[0] == zone_print:
                born_ms[zone_ix] = before[1]
        return replace(self, zones=replace(self.zones, born_ms=born_ms))

    def loses(self, births: Mapping[str, tuple[int, int]]) -> bool:
        """Whether a zone of those births is gone here, or has another shape."""
        prints = dict(zip(self.zones.ids, self.zones.prints.tolist(), strict=True))
        return any(prints.get(zone_id) != shape for zone_id, (shape, _) in births.items())
