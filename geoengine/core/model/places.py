"""Stores, zones, beacons and gateways, as YAML gives them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, UnsetType

from geoengine.core.model.words import (
    Id,
    Metres,
    Mode,
    Seconds,
    SecretFrom,
    Setting,
    Share,
    Spec,
)


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
