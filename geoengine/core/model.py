"""The nouns that people configure, in the shape that YAML gives them.

These structs are the contract with the marketer: the loader reads them, the JSON Schema for
editors is exported from them, the documentation of the keys is their descriptions. What the
engine runs on is compiled from them once, into a `Book`.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, Struct, UnsetType, field

Id = Annotated[
    str,
    Meta(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$",
        description="Letters, digits and . _ : - ; at most 128 of them, starting with a letter "
        "or a digit.",
    ),
]
ZoneName = Annotated[
    str,
    Meta(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}(/[A-Za-z0-9][A-Za-z0-9._:-]{0,127})?$",
        description="The id of a zone or store, or STORE/PLACE of beacons or an outline.",
    ),
]
DurationText = Annotated[
    str, Meta(pattern=r"^[0-9]+(\.[0-9]+)?(s|m|h|d)$", description="For example 90s, 15m, 2h, 7d.")
]
PercentText = Annotated[str, Meta(pattern=r"^[0-9]+(\.[0-9]+)?%$", description="For example 10%.")]
DateText = Annotated[
    str,
    Meta(
        pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}(T[0-9:.]+(Z|[+-][0-9]{2}:[0-9]{2})?)?$",
        description="A day, 2026-11-21, or an instant, 2026-11-21T18:00:00+01:00.",
    ),
]
LeverName = Literal["push", "sms", "email", "wallet", "webhook", "log"]
Decided = Literal["city", "suburb", "countryside"]
Setting = Literal[Decided, "auto"]
Mode = Literal["walk", "drive", "bike", "transit"]
Change = Literal["enter", "dwell", "exit", "crossed"]
Share = Annotated[float, Meta(ge=0, le=1)]
Metres = Annotated[float, Meta(ge=0)]
Seconds = Annotated[float, Meta(ge=0)]

LEVERS: tuple[LeverName, ...] = ("push", "sms", "email", "wallet", "webhook", "log")
PERSON_LEVERS = frozenset({"push", "sms", "email", "wallet"})  # each needs a consent of its own
SYSTEM_LEVERS = frozenset({"webhook", "log"})  # these reach systems: `location` is enough
PURPOSES = frozenset({"location"}) | PERSON_LEVERS


class Spec(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What a marketer may write; anything else is a fault with a place."""


class Location(Spec, frozen=True, kw_only=True):
    """A point on the Earth, WGS 84 degrees."""

    lat: Annotated[float, Meta(ge=-90, le=90, description="Degrees north.")]
    lon: Annotated[float, Meta(ge=-180, le=180, description="Degrees east.")]


class Reach(Spec, frozen=True, kw_only=True):
    """How far the zone goes: minutes on the way, or a radius, or a drawn polygon."""

    minutes: Annotated[float, Meta(gt=0, le=60, description="Minutes to the shop.")] | None = None
    mode: Mode | None = None  # on foot in a city, by car elsewhere, unless said here
    at: (
        Annotated[
            str,
            Meta(
                pattern=r"^(Mo|Tu|We|Th|Fr|Sa|Su) ([01][0-9]|2[0-3]):[0-5][0-9]$",
                description="When people arrive, the store's local time, for routers that know "
                "traffic or timetables: Fr 17:30.",
            ),
        ]
        | None
    ) = None
    speed_mps: Annotated[float, Meta(gt=0, le=40)] | None = None
    detour: Annotated[float, Meta(ge=1, le=5)] | None = None
    radius_m: Annotated[float, Meta(ge=10, le=200_000)] | None = None
    polygon: str | dict[str, Any] | None = None  # a GeoJSON file beside the YAML, or GeoJSON itself


class PresenceSpec(Spec, frozen=True, kw_only=True):
    """When somebody counts as inside; every default is `book.Policy`'s, with its reason there."""

    enter_p: Share | UnsetType = UNSET
    confirm_enter_p: Share | UnsetType = UNSET
    leave_p: Share | UnsetType = UNSET
    confirm_leave_p: Share | UnsetType = UNSET
    buffer_m: Metres | UnsetType = UNSET
    buffer_per_accuracy: Annotated[float, Meta(ge=0, le=10)] | UnsetType = UNSET
    dwell_s: Seconds | UnsetType = UNSET
    fresh_s: Seconds | UnsetType = UNSET
    silence_s: Seconds | UnsetType = UNSET
    cross_m: Metres | UnsetType = UNSET
    cross_gap_s: Seconds | UnsetType = UNSET
    beacon_sightings: Annotated[int, Meta(ge=1, le=100)] | UnsetType = UNSET
    beacon_within_s: Seconds | UnsetType = UNSET
    beacon_smooth_s: Seconds | UnsetType = UNSET
    beacon_margin_db: Annotated[float, Meta(ge=0, le=40)] | UnsetType = UNSET
    beacon_near_dbm: Annotated[float, Meta(ge=-127, le=0)] | UnsetType = UNSET
    beacon_silence_s: Seconds | UnsetType = UNSET


TouchKind = Literal["nfc", "qr", "ultrasound"]
TOUCH_KINDS: tuple[TouchKind, ...] = ("nfc", "qr", "ultrasound")


class Beacon(Spec, frozen=True, kw_only=True):
    """What tells that somebody is at a place in the store: an iBeacon that hangs there, or a code
    that a phone can only have from there, by a tap, a scan or a sound.
    """

    id: Id
    kind: Literal["ibeacon"] | TouchKind = "ibeacon"
    uuid: (
        Annotated[str, Meta(pattern=r"^[0-9A-Fa-f]{8}-?([0-9A-Fa-f]{4}-?){3}[0-9A-Fa-f]{12}$")]
        | None
    ) = None  # of an iBeacon, as major and minor
    major: Annotated[int, Meta(ge=0, le=65_535)] | None = None
    minor: Annotated[int, Meta(ge=0, le=65_535)] | None = None
    code: (
        Annotated[
            str, Meta(min_length=1, max_length=512, description="What a tap, scan or sound says.")
        ]
        | None
    ) = None
    place: Id  # beacons of one store with the same place make one zone, STORE/PLACE


class Footprint(Spec, frozen=True, kw_only=True):
    """The shop's own outline: a zone STORE/PLACE of its own, for who walked in."""

    polygon: str | dict[str, Any] | None = None  # a GeoJSON file beside the YAML, or GeoJSON itself
    building: (
        Annotated[
            str,
            Meta(
                pattern=r"^(auto|(way|relation)/[0-9]{1,19})$",
                description="An OpenStreetMap building, way/123 or relation/123, from what "
                "`geoengine data add buildings` was given; auto is the one the store lies in.",
            ),
        ]
        | None
    ) = None
    place: Id = "inside"


class Store(Spec, frozen=True, kw_only=True):
    """A shop: a place, opening hours, tags, beacons."""

    id: Id
    name: Annotated[str, Meta(min_length=1, max_length=200)]
    location: Location
    setting: Setting = "auto"
    reach: Reach = Reach()
    hours: Annotated[str, Meta(description="OSM opening_hours; none means always open.")] | None = (
        None
    )
    time_zone: (
        Annotated[str, Meta(description="IANA name; by default that of the place.")] | None
    ) = None
    country: (
        Annotated[
            str, Meta(pattern="^[A-Z]{2}$", description="ISO 3166-1; by default that of the place.")
        ]
        | None
    ) = None
    tags: list[Id] = []
    phone: str | None = None
    url: str | None = None
    app_link: str | None = None
    presence: PresenceSpec = PresenceSpec()
    footprint: Footprint | None = None
    beacons: list[Beacon] = []


class Zone(Spec, frozen=True, kw_only=True):
    """An area drawn by hand, alone or belonging to a store."""

    id: Id
    name: str | None = None
    store: Id | None = None
    center: Location | None = None
    radius_m: Annotated[float, Meta(ge=10, le=200_000)] | None = None
    polygon: str | dict[str, Any] | None = None
    time_zone: str | None = None
    tags: list[Id] = []
    presence: PresenceSpec = PresenceSpec()


class Import(Spec, frozen=True, kw_only=True):
    """Stores or zones by the thousand, from a file beside the YAML: CSV, NDJSON or GeoJSON."""

    # written `- import: stores.csv`; `import` is a Python word, hence the renamed field
    path: str
    columns: dict[str, str] = {}  # our key -> the file's column
    defaults: dict[str, Any] = {}  # keys that hold for every row unless the row says otherwise


GatewayKind = Literal[
    "minew",
    "ingics",
    "theengs",
    "espresense",
    "ruuvi",
    "moko",
    "meraki",
    "room_assistant",
    "april_brother",
    "blukii",
    "cassia",
]
WHOLE_STORE = "store"  # the place of a gateway that is told none; no beacon need hang there


class SecretFrom(Spec, frozen=True, kw_only=True):
    """A secret that stands elsewhere: in a variable of the service's environment."""

    env: Annotated[
        str,
        Meta(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,127}$", description="The variable's name."),
    ]


class Gateway(Spec, frozen=True, kw_only=True):
    """A box in a store that hears people's tags and phones."""

    id: Id
    store: Id
    place: Id = WHOLE_STORE
    kind: GatewayKind | None = None  # whose words it speaks; none: ours, `POST /v1/sightings`
    secret: (
        Annotated[str, Meta(min_length=1, max_length=256, description="The last part of its URL.")]
        | SecretFrom
        | None
    ) = None
    validator: (
        Annotated[
            str, Meta(max_length=256, description="What a Meraki dashboard wants to be answered.")
        ]
        | None
    ) = None
    topic: (
        Annotated[str, Meta(max_length=512, description="Where it publishes, over MQTT.")] | None
    ) = None
    url: (
        Annotated[
            str,
            Meta(
                max_length=512,
                pattern=r"^https?://[^\s?#]+$",
                description="A Cassia's own API, or that of its controller, which we connect to.",
            ),
        ]
        | None
    ) = None


class Target(Spec, frozen=True, kw_only=True):
    """Which zones a campaign is about; several keys must all hold, several values are either-or."""

    stores: list[Id] | None = None
    tags: list[Id] | None = None
    zones: list[ZoneName] | None = None
    place: Id | list[Id] | None = None


class Window(Spec, frozen=True, kw_only=True):
    """When a campaign may speak, in the store's local time."""

    days: Annotated[str, Meta(description="OSM weekdays: Mo-Fr, or Sa,Su,PH.")] | None = None
    hours: (
        Annotated[
            str, Meta(description="One or more spans: 17:30-18:00 or 08:00-10:00,22:00-02:00.")
        ]
        | None
    ) = None
    except_dates: list[DateText] = []
    holidays: Annotated[bool, Meta(description="Whether public holidays count as usual days.")] = (
        True
    )


class Cap(Spec, frozen=True, kw_only=True):
    """At most `max` triggers per window; `hour`, `day`, `week` are calendar, `24h` slides."""

    max: Annotated[int, Meta(ge=1, le=10_000)]
    per: Annotated[
        str,
        Meta(
            pattern=r"^(hour|day|week|total|[0-9]+(\.[0-9]+)?(s|m|h|d))$",
            description="hour, day, week, total, or a span that slides, such as 24h.",
        ),
    ]


class Coupon(Spec, frozen=True, kw_only=True):
    """What the message carries to the till."""

    kind: Literal["unique", "shared"]
    code: str | None = None
    valid: DurationText = "24h"


class Campaign(Spec, frozen=True, kw_only=True):
    """What to say to whom, where and when."""

    id: Id
    name: str | None = None
    on: Change
    zones: Target = Target()
    live_from: DateText | None = None
    live_until: DateText | None = None
    audience: Annotated[str, Meta(description='For example status == "premium".')] | None = None
    window: Window | None = None
    when_closed: Annotated[bool, Meta(description="Also fire when the store is closed.")] = False
    initial: Annotated[bool, Meta(description="Also for those already inside.")] = False
    mocked: Annotated[bool, Meta(description="Also for locations the phone says are faked.")] = (
        False
    )
    hold_out: PercentText = "0%"
    cooldown: DurationText | None = None
    caps: list[Cap] = []
    levers: Annotated[list[LeverName], Meta(min_length=1)]
    message: Annotated[dict[str, str], Meta(min_length=1)]
    title: dict[str, str] = {}
    call_to_action: Literal["directions", "call", "web", "app"] = "directions"
    coupon: Coupon | None = None
    priority: Annotated[int, Meta(ge=-1000, le=1000)] = 0
    max_age: DurationText | None = None  # older news than this is stale; engine.max_age by default
    expires: DurationText = "15m"  # a send not started by then never starts
    late_send: Literal["drop", "hold"] = "drop"  # what to do when the moment passed before sending


class ConsentSpec(Spec, frozen=True, kw_only=True):
    """Whether being located needs a recorded consent."""

    location: Literal["required", "assumed"] = "required"


class WebhookSpec(Spec, frozen=True, kw_only=True):
    """Where the webhook lever posts; the signing secret comes from the environment."""

    url: str
    events: list[str] = field(default_factory=lambda: ["geoengine.trigger.fired"])
    allow_private: Annotated[bool, Meta(description="Also to private and loopback addresses.")] = (
        False
    )


class RoadsSpec(Spec, frozen=True, kw_only=True):
    """The road network that `geoengine zones build` asks how far the minutes go."""

    router: Literal["valhalla", "openrouteservice"]
    url: Annotated[str, Meta(description="Of its HTTP service: http://127.0.0.1:8002.")] | None = (
        None
    )
    tiles: (
        Annotated[str, Meta(description="Of an embedded Valhalla: its folder of tiles.")] | None
    ) = None
    key: SecretFrom | None = None  # of a hosted openrouteservice


class EngineSpec(Spec, frozen=True, kw_only=True):
    """How the engine itself behaves."""

    state: str = "local:var/geoengine.db"
    data: Annotated[
        str, Meta(description="The folder of what `data add` and `zones build` keep.")
    ] = "var/data"
    roads: RoadsSpec | None = None
    consent: ConsentSpec = ConsentSpec()
    presence: PresenceSpec = PresenceSpec()
    caps: list[Cap] = []  # all campaigns together, per person
    quiet_hours: (
        Annotated[
            str, Meta(description="OSM hours in the person's time when people are left alone.")
        ]
        | None
    ) = None
    lawful_hours: Annotated[
        dict[LeverName, str], Meta(description="OSM hours, person's time, by lever.")
    ] = field(default_factory=lambda: {"sms": "Mo-Sa 08:00-20:00; PH off"})
    max_age: DurationText = "5m"
    visit_group: DurationText = "30m"  # visits opened within it of one another share one message
    last_fixes: Annotated[int, Meta(ge=1_000, le=50_000_000)] = 1_000_000  # devices remembered
    decisions_kept: DurationText = "90d"
    webhook: WebhookSpec | None = None


class Catalogue(Spec, frozen=True, kw_only=True):
    """Everything a directory of YAML files says, merged."""

    stores: list[Store] = []
    zones: list[Zone] = []
    campaigns: list[Campaign] = []
    gateways: list[Gateway] = []
    engine: EngineSpec = EngineSpec()
