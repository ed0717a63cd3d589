"""What goes over the wire: the types of requests and answers, from which OpenAPI is made."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from geoengine.core.model import Cap

Text = Annotated[str, Meta(max_length=512)]
ShortText = Annotated[str, Meta(max_length=64)]
Long = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]  # what a record can hold
Scalar = str | Long | float | bool | None
Name = Annotated[str, Meta(min_length=1, max_length=128)]
Time = Annotated[
    str | int | float,
    Meta(description="RFC 3339 with offset, or seconds or milliseconds since the epoch."),
]
Purpose = Literal["location", "push", "sms", "email", "wallet", "measurement"]


Latitude = Annotated[float, Meta(ge=-90, le=90, description="Degrees north, WGS 84.")]
Longitude = Annotated[float, Meta(ge=-180, le=180, description="Degrees east, WGS 84.")]


class Ping(Struct, omit_defaults=True):
    """One location report of a phone."""

    device_id: Name
    lat: Latitude
    lon: Longitude
    fix_time: Time
    accuracy_m: Annotated[float, Meta(description="Radius of 68 %.")] | None = None
    speed_mps: float | None = None
    heading_deg: float | None = None
    altitude_m: float | None = None
    mocked: bool | None = None
    person_id: Name | None = None
    entered: (
        Annotated[Name, Meta(description="Zone the phone's own geofencing says it came into.")]
        | None
    ) = None
    left: (
        Annotated[Name, Meta(description="Zone the phone's own geofencing says it left.")] | None
    ) = None


class Sighting(Struct, omit_defaults=True):
    """One beacon heard once: by a phone (device_id) or by a box in a store (gateway_id). Of another
    kind than ibeacon it is a code that a phone has tapped, scanned or heard, and nothing of radio.
    """

    seen_time: Time
    uuid: Annotated[str, Meta(description="Dashes and case do not matter.")] | None = None
    major: Annotated[int, Meta(ge=0, le=65_535)] | None = None
    minor: Annotated[int, Meta(ge=0, le=65_535)] | None = None
    rssi_dbm: Annotated[float, Meta(ge=-127, lt=0)] | None = None
    kind: Literal["ibeacon", "nfc", "qr", "ultrasound"] = "ibeacon"
    code: Annotated[str, Meta(min_length=1, max_length=512)] | None = None
    tx_power_dbm: Annotated[float, Meta(description="At one metre.")] | None = None
    device_id: Name | None = None
    gateway_id: Name | None = None


class Rejected(Struct):
    """A row that was not taken, its position in the body, and why."""

    index: int
    reason: str


class Taken(Struct):
    """How a post fared; the events are those its own rows caused, durably."""

    accepted: int
    rejected: list[Rejected]
    events: list[dict[str, Any]]


class RegionsQuery(Struct, kw_only=True):
    """Where a phone is, how many regions it may watch, and where it was before."""

    lat: Latitude
    lon: Longitude
    limit: Annotated[int, Meta(ge=1, le=100, description="iOS has 20, Android 100.")] = 20
    accuracy_m: Annotated[float, Meta(ge=0, le=1e6, description="Radius of 68 %.")] | None = None
    last_lat: Latitude | None = None
    last_lon: Longitude | None = None
    last_age_s: Annotated[float, Meta(ge=0, le=1e9, description="Since then.")] | None = None
    device_id: (
        Annotated[Name, Meta(description="Whose last known place counts; server keys only.")] | None
    ) = None


class RegionOut(Struct):
    """A circle to watch: it holds the zone. The distance is that to its edge, 0 inside."""

    id: str
    name: str
    lat: float
    lon: float
    radius_m: float
    distance_m: float


class Refresh(Struct):
    """Ask again once outside this circle; with the next fix where it has no radius."""

    lat: float
    lon: float
    radius_m: float


class RegionsOut(Struct):
    """What to watch, nearest first."""

    regions: list[RegionOut]
    refresh: Refresh


class DeviceBody(Struct, forbid_unknown_fields=True):
    """What an app tells of its device."""

    push_token: Text | UnsetType | None = UNSET  # null forgets it
    platform: Literal["ios", "android", "web"] | None = None
    person_id: Name | None = None


class Device(Struct):
    """A device and the person it belongs to."""

    device_id: str
    person_id: str


Attributes = Annotated[dict[ShortText, Scalar | list[Scalar]], Meta(max_length=200)]
Locale = Annotated[str, Meta(pattern=r"^[A-Za-z]{2,3}([-_][A-Za-z0-9]{2,8})*$")]
TimeZone = Annotated[str, Meta(max_length=64, description="IANA name.")]
Phone = Annotated[str, Meta(pattern=r"^\+[1-9][0-9]{6,14}$", description="E.164.")]
Email = Annotated[str, Meta(max_length=254, pattern=r"^[^\s@]+@[^\s@]+\.[^\s@]+$")]
QuietHours = Annotated[str, Meta(max_length=200, description="OSM hours, in the person's time.")]
Tag = Annotated[
    str,
    Meta(
        pattern=r"^[0-9A-Fa-f]{8}-?([0-9A-Fa-f]{4}-?){3}[0-9A-Fa-f]{12}:[0-9]{1,5}:[0-9]{1,5}$",
        description="The beacon the person carries: uuid:major:minor.",
    ),
]


class PersonBody(Struct, forbid_unknown_fields=True):
    """What a CRM tells of a person; what is left out stays as it is, null forgets it."""

    attributes: Attributes | UnsetType | None = UNSET
    locale: Locale | UnsetType | None = UNSET
    time_zone: TimeZone | UnsetType | None = UNSET
    phone: Phone | UnsetType | None = UNSET
    email: Email | UnsetType | None = UNSET
    quiet_hours: QuietHours | UnsetType | None = UNSET
    caps: Annotated[list[Cap], Meta(max_length=20)] | UnsetType | None = UNSET
    cadence: (
        Annotated[
            Cap, Meta(description="How often at most, as they chose: the only one of `caps`.")
        ]
        | UnsetType
        | None
    ) = UNSET
    beacon: Tag | UnsetType | None = UNSET
    loyalty: Name | UnsetType | None = UNSET
    minor: (
        Annotated[bool, Meta(description="Too young to be advertised to.")] | UnsetType | None
    ) = UNSET
    birth_date: (
        Annotated[
            str,
            Meta(
                pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$",
                description="Not kept: only the day from which they are old enough, if they are "
                "not.",
            ),
        ]
        | UnsetType
        | None
    ) = UNSET
    paused_until: Annotated[Time, Meta(description="Left alone until then.")] | UnsetType | None = (
        UNSET
    )


class ConsentOut(Struct):
    """Where a consent stands; the epoch counts how often it has changed."""

    person_id: str
    purpose: str
    granted: bool
    epoch: int
    at: str


class DecisionOut(Struct):
    """Why a campaign did or did not fire."""

    at: str
    campaign_id: str
    store_id: str
    zone_id: str
    visit_id: str
    outcome: str
    reason: str
    lever: str


class DecisionsOut(Struct):
    """Newest first."""

    decisions: list[DecisionOut]


class SendOut(Struct):
    """A row of the outbox, without the address it goes to."""

    send_id: str
    kind: str
    person_id: str
    lever: str
    status: str  # pending, leased, delivered, expired, refused, dead
    reason: str
    campaign_id: str
    created: str
    due: str
    expires: str
    settled: str | None
    attempts: int
    last_error: str


class MessageOut(SendOut):
    """A message to a person, or to a system or a shop about them."""

    address: str  # "" where it is a shop's own device
    store_id: str
    trigger_id: str
    event: dict[str, Any]  # with the text: what it is made from


class PersonOut(Struct):
    """Everything known about a person."""

    person_id: str
    attributes: dict[str, Any]
    locale: str
    time_zone: str
    quiet_hours: str
    addresses: dict[str, str]
    push_tokens: dict[str, list[str]]
    caps: list[dict[str, Any]]
    consents: dict[str, dict[str, Any]]
    devices: dict[str, str]
    beacons: list[str]
    presences: list[dict[str, Any]]
    triggers: list[dict[str, Any]]
    decisions: list[DecisionOut]
    identifiers: dict[str, str] = {}
    minor: bool = False
    paused_until: str | None = None
    ledger: list[dict[str, Any]] = []  # each entry as in the proof of the consents
    merges: list[dict[str, Any]] = []
    visited: dict[str, dict[str, Any]] = {}
    timed: dict[str, dict[str, Any]] = {}
    orders: dict[str, dict[str, Any]] = {}
    coupons: list[dict[str, Any]] = []
    attended: dict[str, dict[str, Any]] = {}  # visits that may not be over, by store
    withheld: dict[str, dict[str, Any]] = {}  # what hold-outs kept from them, by campaign
    fired_total: dict[str, int] = {}
    facts: list[dict[str, Any]] = []
    push_since: dict[str, str] = {}  # when each device's token was told last
    cards: dict[str, list[dict[str, Any]]] = {}  # passes, codes, orders, links and so on, by kind
    messages: list[MessageOut] = []  # newest first: on their way, and while kept how they ended
    cut: list[str] = []  # the kinds of which only the newest 1,000 are told


class OutboxOut(Struct):
    """Newest first."""

    sends: list[SendOut]


class RetryBody(Struct, forbid_unknown_fields=True):
    """Dead messages to try again."""

    send_ids: Annotated[list[Name], Meta(min_length=1, max_length=1_000)]


class RetryOut(Struct):
    """Those that were dead and are pending again."""

    send_ids: list[str]


class CampaignsOut(Struct):
    """The campaigns in force, as the catalogue writes them."""

    campaigns: list[dict[str, Any]]


class BrokerOut(Struct, omit_defaults=True):
    """A broker that messages are taken from; ``why_not`` where it is not heard."""

    broker: str
    connected: bool
    why_not: str = ""


class Health(Struct, omit_defaults=True):
    """How the service is."""

    status: Literal["ok", "failing", "stopping"]
    book_version: str
    stores: int
    zones: int
    campaigns: int
    reload_error: str = ""
    trouble: str = ""
    worker: int = 0  # which of several answered, from 1
    workers: int = 0
    brokers: list[BrokerOut] = []
    pause: str = ""  # what the catalogue's engine.pause says, while it does


class Welcome(Struct):
    """Where to look."""

    service: str
    version: str
    links: dict[str, str]


class Limit(Struct):
    """How many rows."""

    limit: Annotated[int, Meta(ge=1, le=1_000)] = 100


class OutboxQuery(Struct):
    """Which rows, how many."""

    status: Literal["", "pending", "leased", "delivered", "expired", "refused", "dead"] = ""
    limit: Annotated[int, Meta(ge=1, le=1_000)] = 100


class Erased(Struct):
    """The receipt: whether there was anything to forget, and what is kept of the consents."""

    person_id: str
    erased: bool
    at: str
    proof: str = ""  # under which hash they are kept; "" where there were none
    proof_head: str = ""  # the hash over them
    proof_until: str = ""


class StreamQuery(Struct):
    """Where to go on, and what to hear of besides what the stream's own messages cause."""

    resume: Annotated[str, Meta(max_length=64, description="The last that a frame told.")] = ""
    events: Annotated[
        Literal["own", "all"],
        Meta(description="What time does to those it spoke for; or all, for a server's key."),
    ] = "own"
    types: Annotated[str, Meta(description="Of events, separated by commas; else any.")] = ""
