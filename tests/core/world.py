"""Small worlds for the core's tests: a Book of a few zones, and people who walk through it.

Places are metres east and north of a point in Paris, times are seconds since a Tuesday noon in
UTC, so that a trace reads as a transcript.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import msgspec
import numpy as np
from pyproj import Geod

from geoengine.core import calendar
from geoengine.core.book import Book, CampaignPlan, EnginePlan
from geoengine.core.columns import Fixes, Sightings, Told
from geoengine.core.engine import Batch, Outcome
from geoengine.core.judging.audience import Audience
from geoengine.core.model import Campaign, EngineSpec, Gateway, Location, Store
from geoengine.core.places.policy import Policy
from geoengine.core.places.zones import CIRCLE, PLACE, Zones
from geoengine.core.record import Consent, Event, Record
from geoengine.state.base import Change, Commit, State
from geoengine.state.local import LocalState
from geoengine.state.loop import advance

NOON_MS = 1_776_168_000_000  # 2026-04-14T12:00:00Z, a Tuesday; 14:00 in Paris
LON, LAT = 2.3470, 48.8583
UUID = "f7826da64fa24e988024bc5b71e0893e"
GEOD = Geod(ellps="WGS84")
ADULT = frozenset({"location"})


def spot(east_m: float, north_m: float = 0.0) -> tuple[float, float]:
    """Longitude and latitude of a place so many metres east and north of the point."""
    lon, lat, _ = GEOD.fwd(LON, LAT, 90 if east_m >= 0 else 270, abs(east_m))
    lon, lat, _ = GEOD.fwd(lon, lat, 0 if north_m >= 0 else 180, abs(north_m))
    return float(lon), float(lat)


def a_store(store_id: str = "shop", east_m: float = 0.0, **more: object) -> Store:
    """A store on the east-west line, in Paris time."""
    lon, lat = spot(east_m)
    facts = {"name": store_id.title(), "time_zone": "Europe/Paris", "country": "FR"} | more
    return Store(id=store_id, location=Location(lat=lat, lon=lon), **facts)  # type: ignore[arg-type]


@dataclass
class World:
    """Stores with circles of 100 m around them, and beacon places, as a Book."""

    stores: list[Store] = field(default_factory=lambda: [a_store()])
    radius_m: float = 100.0
    policy: Policy = field(default_factory=Policy)
    campaigns: list[Campaign] = field(default_factory=list)
    engine: EngineSpec = field(default_factory=EngineSpec)
    places: list[tuple[str, str]] = field(default_factory=list)  # store, place; minors 1, 2, ...
    gateways: list[Gateway] = field(default_factory=list)
    minutes: float = float("nan")

    def book(self) -> Book:
        """Everything compiled."""
        ids = [store.id for store in self.stores] + [f"{s}/{p}" for s, p in self.places]
        owners = [*self.stores, *(self._store(s) for s, _ in self.places)]
        n, circles = len(ids), len(self.stores)
        zones = Zones(
            ids=ids,
            kind=np.array([CIRCLE] * circles + [PLACE] * (n - circles), np.int8),
            lon_deg=np.array([store.location.lon for store in owners]),
            lat_deg=np.array([store.location.lat for store in owners]),
            radius_m=np.array([self.radius_m] * circles + [0.0] * (n - circles)),
            store_ix=np.array([self.stores.index(store) for store in owners], np.int32),
            policy_ix=np.zeros(n, np.int32),
            mode=np.ones(n, np.int8),
            minutes=np.full(n, self.minutes),
            prints=np.arange(n, dtype=np.int64) + round(self.radius_m) * 1_000,
            born_ms=np.zeros(n, np.int64),
            why=[""] * n,
            places={circles + i: place for i, (_, place) in enumerate(self.places)},
        )
        beacons = {(UUID, 1, i + 1): circles + i for i in range(len(self.places))}
        return Book(
            version="test",
            stores=tuple(self.stores),
            zones=zones,
            policies=(self.policy,),
            campaigns=tuple(plan(c, rank, self.engine) for rank, c in enumerate(self.campaigns)),
            engine=EnginePlan(
                self.engine,
                calendar.duration_ms(self.engine.max_age),
                calendar.duration_ms(self.engine.visit_group),
            ),
            beacons=beacons,
            gateways={gateway.id: gateway for gateway in self.gateways},
        )

    def _store(self, store_id: str) -> Store:
        return next(store for store in self.stores if store.id == store_id)


def plan(campaign: Campaign, rank: int = 0, engine: EngineSpec | None = None) -> CampaignPlan:
    """A campaign with its texts parsed; its window is given as an OSM expression already."""
    window = campaign.window
    engine = engine or EngineSpec()
    return CampaignPlan(
        spec=campaign,
        rank=rank,
        live_from_ms=0,
        live_until_ms=calendar.FOREVER_MS,
        audience=Audience(campaign.audience) if campaign.audience else None,
        window=f"{window.days} {window.hours}" if window else None,
        hold_out=float(campaign.hold_out[:-1]) / 100,
        cooldown_ms=calendar.duration_ms(campaign.cooldown) if campaign.cooldown else 0,
        caps=tuple(campaign.caps),
        max_age_ms=calendar.duration_ms(campaign.max_age or engine.max_age),
        expires_ms=calendar.duration_ms(campaign.expires),
        coupon_valid_ms=calendar.duration_ms(campaign.coupon.valid) if campaign.coupon else 0,
    )


def a_campaign(campaign_id: str = "hello", **more: object) -> Campaign:
    """A campaign that greets whoever enters, through the log."""
    facts = {"on": "enter", "levers": ["log"], "message": {"en": "Hello from {store}"}} | more
    return Campaign(id=campaign_id, **facts)  # type: ignore[arg-type]


@dataclass
class Walk:
    """A service without a network: posts of fixes in, events out."""

    book: Book
    state: State = field(default_factory=lambda: LocalState(None))
    assumed: frozenset[str] = ADULT
    is_virtual: bool = True
    events: list[Event] = field(default_factory=list)
    outcomes: list[Outcome] = field(default_factory=list)
    post_ix: int = 0
    is_open: bool = False

    async def open(self) -> State:
        """The state, ready for use."""
        if not self.is_open:
            await self.state.open()
            self.is_open = True
        return self.state

    async def post(
        self, *rows: tuple, device: str = "ann", lag_s: float = 0, entered: str = "", left: str = ""
    ) -> list[Event]:
        """Rows of (seconds, east_m[, accuracy_m[, north_m]]), a device's id before or not; with all
        of them the phone itself says that it ``entered`` a zone, or ``left`` it.
        """
        rows = tuple(row if isinstance(row[0], str) else (device, *row) for row in rows)
        full = [(d, s, e, *rest, *(10.0, 0.0)[len(rest) :]) for d, s, e, *rest in rows]
        places = [spot(east, north) for _, _, east, _, north in full]
        fix_ms = np.array([NOON_MS + round(s * 1000) for _, s, *_ in full], np.int64)
        self.post_ix += 1
        fixes = Fixes.of(
            [d for d, *_ in full],
            np.array([lon for lon, _ in places]),
            np.array([lat for _, lat in places]),
            fix_ms,
            accuracy_m=np.array([float(a) for *_, a, _ in full]),
            recv_ms=fix_ms + round(lag_s * 1000),
            post_ix=self.post_ix,
        )
        if entered or left:
            told = (Told(entered or left, bool(entered)),)
            keys = zip(fixes.device_ids, fix_ms.tolist(), strict=True)
            fixes = replace(fixes, told=dict.fromkeys(keys, told))
        return await self.run(fixes=fixes, now_ms=int(fixes.recv_ms.max()))

    async def hear(self, *rows: tuple, device: str | None = "ann", **more: object) -> list[Event]:
        """Rows of (seconds, minor, rssi_dbm), one post."""
        self.post_ix += 1
        n = len(rows)
        seen_ms = np.array([NOON_MS + round(s * 1000) for s, *_ in rows], np.int64)
        sightings = Sightings(
            device_ids=[device] * n,
            gateway_ids=[more.get("gateway")] * n,  # type: ignore[list-item]
            beacon_keys=[(UUID, int(more.get("major", 1)), minor) for _, minor, _ in rows],  # type: ignore[call-overload]
            rssi_dbm=np.array([float(dbm) for *_, dbm in rows]),
            tx_power_dbm=np.full(n, np.nan),
            seen_ms=seen_ms,
            recv_ms=seen_ms,
            post_ix=np.full(n, self.post_ix),
        )
        return await self.run(sightings=sightings, now_ms=int(seen_ms.max()))

    async def tick(self, seconds: float) -> list[Event]:
        """Let time pass until so many seconds after noon."""
        return await self.run(now_ms=NOON_MS + round(seconds * 1000))

    async def run(
        self, *, now_ms: int, fixes: Fixes | None = None, sightings: Sightings | None = None
    ) -> list[Event]:
        """One batch through the loop."""
        await self.open()
        batch = Batch(
            fixes=fixes if fixes is not None else Fixes.empty(),
            sightings=sightings if sightings is not None else Sightings.empty(),
            due=tuple(await self.state.due(now_ms)),
            now_ms=now_ms,
            is_virtual=self.is_virtual,
            assumed=self.assumed,
        )
        outcome = await advance(self.state, self.book, batch)
        self.outcomes.append(outcome)
        self.events += outcome.events
        return outcome.events

    def told(self, *kinds: str) -> list[tuple[str, float]]:
        """Events so far as (type, seconds); those of visits are told by the zone's own."""
        return [
            (event.type, (event.at_ms - NOON_MS) / 1000)
            for event in self.events
            if (event.type in kinds if kinds else event.type.split(".")[0] in ("zone", "beacon"))
        ]

    def reasons(self) -> list[str]:
        """The reasons of all decisions so far, in order."""
        return [d.reason for outcome in self.outcomes for d in outcome.decisions]

    async def agree(self, person_id: str, *purposes: str, **facts: object) -> None:
        """Consents, and facts of the record, from before the story."""
        await self.open()
        record = (await self.state.load([person_id])).get(person_id) or Record(person_id)
        for purpose in purposes:
            record.consents[purpose] = Consent(True, record.epoch(purpose) + 1, 0)
        record = msgspec.structs.replace(record, **facts)
        await self.state.commit(Commit(f"agree{len(self.events)}{facts}", (Change(record, None),)))


def bare(book: Book, **engine: object) -> Book:
    """The same Book under other engine settings."""
    spec = msgspec.structs.replace(book.engine.spec, **engine)
    return replace(book, engine=replace(book.engine, spec=spec))
