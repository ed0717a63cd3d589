"""The Book: stores, zones, beacons and campaigns, compiled once; immutable, versioned.

The catalogue makes it, the core reads it, a reload replaces it between two batches.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from geoengine.core.calendar import duration_ms
from geoengine.core.columns import Longs
from geoengine.core.consent.lapsing import Terms, terms_of
from geoengine.core.groups import Groups
from geoengine.core.index import ZoneIndex
from geoengine.core.judging import caps
from geoengine.core.judging.audience import Audience
from geoengine.core.model import (
    Campaign,
    Cap,
    Change,
    EngineSpec,
    Gateway,
    Mode,
    Reminder,
    Store,
)
from geoengine.core.places.births import Births, marks
from geoengine.core.places.policy import Limits, Policy
from geoengine.core.places.zones import CIRCLE, PLACE, Zones
from geoengine.core.quiet import ground_of
from geoengine.core.telling.endpoints import Endpoints
from geoengine.core.units import ACCURACY_MIN_M, ACCURACY_PER_SIGMA, COARSE_SIGMAS

if TYPE_CHECKING:
    from geoengine.core.quiet._quiet import Ground

MODES: tuple[Mode | None, ...] = (None, "walk", "drive", "bike", "transit")


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

    @property
    def is_transactional(self) -> bool:
        """Whether it tells people of what is theirs, and advertises nothing."""
        return self.spec.legal_basis == "transactional"


@dataclass(frozen=True, slots=True)
class EnginePlan:
    """The engine's own settings, with durations in milliseconds."""

    spec: EngineSpec
    max_age_ms: int
    visit_group_ms: int


@dataclass(frozen=True)
class Book:
    """Everything configured. Look-ups by position are columns, by name are dictionaries.

    What is worked out of a Book is kept with it: its tables when they are first asked for, or all
    at once, away from whoever waits, by `prepare`.
    """

    version: str
    stores: Sequence[Store]  # with setting, time zone and country filled in
    zones: Zones
    policies: tuple[Policy, ...]
    campaigns: tuple[CampaignPlan, ...]
    engine: EnginePlan
    beacons: Mapping[tuple[str, int, int], int] = field(default_factory=dict)  # -> zone_ix
    gateways: Mapping[str, Gateway] = field(default_factory=dict)
    coupon_key: bytes = b""  # the secret behind unique codes; the service brings its own
    no_coupons: Mapping[str, str] = field(default_factory=dict)  # campaign -> why it has none left

    @cached_property
    def consent_terms(self) -> Terms:
        """How long consents stand."""
        return terms_of(self.engine.spec.consent)

    def prepare(self) -> None:
        """Work out now what the first batch, or the next reload, would otherwise wait for."""
        for name in _TABLES:
            getattr(self, name)

    @cached_property
    def index(self) -> ZoneIndex:
        """The zones, ready to be matched."""
        return ZoneIndex(self.zones)

    @cached_property
    def ground(self) -> Ground | None:
        """The zones, as the compiled pass reads them; None without it."""
        return ground_of(self.index, self.zones, self.limits)

    @cached_property
    def zone_ix_of(self) -> dict[str, int]:
        """Position of each zone, by id."""
        return {zone_id: ix for ix, zone_id in enumerate(self.zones.ids)}

    @cached_property
    def store_ix_of(self) -> dict[str, int]:
        """Position of each store, by id."""
        return {store.id: ix for ix, store in enumerate(self.stores)}

    @cached_property
    def plan_of(self) -> dict[str, CampaignPlan]:
        """Each campaign, by id."""
        return {plan.id: plan for plan in self.campaigns}

    @cached_property
    def marks(self) -> Longs:
        """One number for each zone's name and shape, shape (Z,): see `births`."""
        return marks(self.zones.ids, self.zones.prints)

    @cached_property
    def _zones_of_store(self) -> Groups:
        return Groups.of(self.zones.store_ix, len(self.stores))

    @cached_property
    def _plans_on(self) -> dict[str, tuple[CampaignPlan, ...]]:
        kinds = {plan.spec.on for plan in self.campaigns}
        return {on: tuple(p for p in self.campaigns if p.spec.on == on) for on in kinds}

    @cached_property
    def _plans_by_zone(self) -> dict[str, dict[int, tuple[CampaignPlan, ...]]]:
        return {on: {} for on in self._plans_on}

    @cached_property
    def _places_by_store(self) -> dict[int, frozenset[int]]:
        """The beacon places of each store that has any."""
        found: dict[int, list[int]] = {}
        for zone_ix in np.flatnonzero(self.zones.kind == PLACE).tolist():
            found.setdefault(self._stores[zone_ix], []).append(zone_ix)
        return {store_ix: frozenset(ixs) for store_ix, ixs in found.items() if store_ix >= 0}

    @cached_property
    def outlines(self) -> Longs:
        """The shops' own outlines, ascending: polygons that are a place in their store."""
        kinds = self._kinds
        found = sorted(zone_ix for zone_ix in self.zones.places if kinds[zone_ix] != PLACE)
        return np.array(found, np.int64)

    @cached_property
    def reminders(self) -> tuple[tuple[CampaignPlan, int], ...]:
        """The campaigns that speak of coupons about to end, and how long before, milliseconds."""
        plans = [plan for plan in self.campaigns if plan.spec.on == "coupon_expiring"]
        specs = [plan.spec.reminder or Reminder() for plan in plans]
        return tuple(zip(plans, [duration_ms(spec.before) for spec in specs], strict=True))

    @cached_property
    def transactional(self) -> frozenset[str]:
        """The campaigns that advertise nothing."""
        return frozenset(plan.id for plan in self.campaigns if plan.is_transactional)

    @cached_property
    def endpoints(self) -> Endpoints:
        """Which of the retailer's systems hear of which event."""
        return Endpoints(self.engine.spec)

    @cached_property
    def memory_ms(self) -> int:
        """How long a fired trigger is remembered: as long as any cap or cool-down looks back."""
        every_cap = [*self.engine.spec.caps, *(cap for plan in self.campaigns for cap in plan.caps)]
        return caps.memory_ms(every_cap, (plan.cooldown_ms for plan in self.campaigns))

    @cached_property
    def fine_m(self) -> float:
        """A fix as accurate as this, in metres, is too coarse for no zone; 0 where none is."""
        radius_m = self.zones.radius_m[self.zones.kind != PLACE]
        finest_m = float(radius_m.min()) if len(radius_m) else 0.0
        fine_m = finest_m / COARSE_SIGMAS * ACCURACY_PER_SIGMA
        return fine_m if fine_m > ACCURACY_MIN_M else 0.0

    @cached_property
    def hold_out(self) -> float:
        """The share of people, 0 to 1, who hear of no campaign."""
        return float(self.engine.spec.measure.hold_out[:-1]) / 100

    # The columns asked one row at a time: a memoryview gives a number in a third of numpy's time.

    @cached_property
    def limits(self) -> Limits:
        """The policies' thresholds, by ``zones.policy_ix``."""
        return Limits.of(self.policies)

    @cached_property
    def _kinds(self) -> memoryview:
        return self.zones.kind.data

    @cached_property
    def _policy_ixs(self) -> memoryview:
        return self.zones.policy_ix.data

    @cached_property
    def _radii(self) -> memoryview:
        return self.zones.radius_m.data

    @cached_property
    def _stores(self) -> memoryview:
        return self.zones.store_ix.data

    def policy(self, zone_ix: int) -> Policy:
        """The presence policy of a zone."""
        return self.policies[self._policy_ixs[zone_ix]]

    def radius_m(self, zone_ix: int) -> float:
        """The radius of a zone; of a polygon that of the circle of its area."""
        return self._radii[zone_ix]

    def places_beside(self, zone_ix: int) -> frozenset[int]:
        """The beacon places of the store that a zone belongs to."""
        return self._places_by_store.get(self._stores[zone_ix], _NOWHERE)

    def is_place(self, zone_ix: int) -> bool:
        """Whether the zone is a beacon place."""
        return self._kinds[zone_ix] == PLACE

    def is_circle(self, zone_ix: int) -> bool:
        """Whether the zone is a circle."""
        return self._kinds[zone_ix] == CIRCLE

    def store_of(self, zone_ix: int) -> Store | None:
        """The store a zone belongs to."""
        store_ix = self._stores[zone_ix]
        return None if store_ix < 0 else self.stores[store_ix]

    def place_of_gateway(self, gateway_id: str) -> int:
        """The beacon place that a gateway hears; -1 for a gateway nobody listed."""
        gateway = self.gateways.get(gateway_id)
        if gateway is None:
            return -1
        return self.zone_ix_of.get(f"{gateway.store}/{gateway.place}", -1)

    def areas_of_store(self, store_ix: int) -> list[int]:
        """The zones of a store that GPS decides: its reach, its outline, those drawn for it."""
        return [ix for ix in self._zones_of_store.members(store_ix) if not self.is_place(ix)]

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

    def has_campaign_at(self, campaign_id: str, store_id: str) -> bool:
        """Whether a campaign is about a store."""
        store_ix = self.store_ix_of.get(store_id)
        if store_ix is None:
            return False
        zone_ixs = self._zones_of_store.members(store_ix)
        return any(plan.id == campaign_id for ix in zone_ixs for plan in self.plans(ix))

    def _is_about(self, plan: CampaignPlan, zone_ix: int) -> bool:
        target = plan.spec.zones
        store = self.store_of(zone_ix)
        place = self.zones.places.get(zone_ix)
        tags = (*(store.tags if store else ()), *self.zones.tags.get(zone_ix, ()))
        places = [target.place] if isinstance(target.place, str) else target.place
        return (
            # A place in a store, of beacons or its outline, speaks only for campaigns that name
            # it: the store's reach already speaks for the store.
            (place is None or places is not None or target.zones is not None)
            and (places is None or place in places)
            and (target.zones is None or self.zones.ids[zone_ix] in target.zones)
            and (target.stores is None or (store is not None and store.id in target.stores))
            and (target.tags is None or any(tag in target.tags for tag in tags))
        )

    def births(self) -> Births:
        """Every zone's name and shape, and since when they are in force."""
        return Births.of(self.marks, self.zones.born_ms)

    def succeeding(self, births: Births, now_ms: int) -> Book:
        """This book, taking over from one with these births; zones new to it are born now."""
        born_ms = births.born_ms_of(self.marks, now_ms)
        return self._with(zones=replace(self.zones, born_ms=born_ms))

    def marked(self, marks: Longs) -> Book:
        """This book, with its marks, worked out before."""
        copy = self._with()
        copy.__dict__["marks"] = marks
        return copy

    def indexed(self, index: ZoneIndex) -> Book:
        """This book, with its index, worked out before."""
        copy = self._with()
        copy.__dict__["index"] = index
        return copy

    def keyed(self, coupon_key: bytes) -> Book:
        """This book, with the secret behind unique codes."""
        return self._with(coupon_key=coupon_key)

    def short_of(self, no_coupons: Mapping[str, str]) -> Book:
        """This book, with the campaigns that have no coupon left to give, and why."""
        return self._with(no_coupons=no_coupons)

    def loses(self, births: Births) -> bool:
        """Whether a zone of those births is gone here, or has another shape."""
        return not self.births().has_all(births.marks)

    def _with(self, **changes: Any) -> Book:
        """A copy with changes from which no table is made, so that those made already serve it."""
        copy = replace(self, **changes)
        made = self.__dict__
        copy.__dict__.update((name, made[name]) for name in _TABLES if name in made)
        return copy


_NOWHERE: frozenset[int] = frozenset()
_TABLES = (
    "index",
    "ground",
    "zone_ix_of",
    "marks",
    "memory_ms",
    "_zones_of_store",
    "_places_by_store",
    "outlines",
    "_kinds",
    "_policy_ixs",
    "_radii",
    "_stores",
)
