"""What clients and gateways that already exist say, in our own words.

A decoder of theirs takes a body and what came beside it, and returns reports, with a reason for
each thing that it dropped. It never raises: who is told "no" by a 4xx for one bad record sends it
again for ever, or throws all others away.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from msgspec import Struct

from geoengine.ingest.sightings import Sighting


@dataclass(frozen=True, slots=True)
class Origin:
    """What is known of a message beside its body.

    ``device_id`` and ``gateway_id`` are those that the credential stands for, or None where it
    stands for no one in particular; they win over whatever the body says.
    """

    recv_ms: int
    device_id: str | None = None
    gateway_id: str | None = None
    topic: str = ""  # of MQTT
    query: str = ""  # of the URL, as it was sent
    headers: Mapping[str, str] = field(default_factory=dict)  # names in lower case
    passphrase: str = ""  # of clients that encrypt


class Position(Struct, omit_defaults=True, tag="position", tag_field="type", kw_only=True):
    """A place where a phone was. None is unknown: what stands for it in a format never gets here.

    ``message_id`` is the same when the same report is sent again.
    """

    device_id: str | None = None
    lat: float
    lon: float
    fix_ms: int
    accuracy_m: float | None = None
    altitude_m: float | None = None
    speed_mps: float | None = None
    heading_deg: float | None = None
    battery_pct: float | None = None
    mocked: bool | None = None
    event: str | None = None  # why it was sent, in the client's word
    sent_ms: int | None = None
    message_id: str | None = None


class Telling(Struct, omit_defaults=True, tag="transition", tag_field="type", kw_only=True):
    """A phone's own geofencing says that it came into a region, left it, or has stayed there."""

    device_id: str | None = None
    event: Literal["enter", "exit", "dwell"]
    region_id: str | None = None
    region_name: str | None = None
    lat: float | None = None
    lon: float | None = None
    accuracy_m: float | None = None
    fix_ms: int  # of the crossing
    sent_ms: int | None = None
    message_id: str | None = None


class Stay(Struct, omit_defaults=True, tag="visit", tag_field="type", kw_only=True):
    """A stay at a place that the phone's system noticed by itself; either end may be unknown."""

    device_id: str | None = None
    lat: float
    lon: float
    accuracy_m: float | None = None
    arrived_ms: int | None = None
    departed_ms: int | None = None
    fix_ms: int


class Mark(Struct, omit_defaults=True, tag="region", tag_field="type", kw_only=True):
    """A region that somebody drew on the phone; ours to show, and not a zone."""

    device_id: str | None = None
    region_id: str | None = None
    region_name: str
    lat: float
    lon: float
    radius_m: float | None = None
    created_ms: int | None = None


class PushToken(Struct, omit_defaults=True, tag="push_token", tag_field="type", kw_only=True):
    """Where pushes to this phone go."""

    device_id: str | None = None
    push_token: str


class Sighted(Sighting, omit_defaults=True, tag="sighting", tag_field="type", kw_only=True):
    """A beacon heard: a `Sighting` that also says what kind of beacon it is.

    ``seen_time`` is in milliseconds. An AltBeacon's 20 bytes are a uuid, a major and a minor like
    an iBeacon's; of an Eddystone-UID the namespace and the instance together are the ``uuid``, and
    major and minor are 0.
    """

    scheme: Literal["ibeacon", "altbeacon", "eddystone_uid"] = "ibeacon"
    battery_pct: float | None = None


Report = Position | Telling | Stay | Mark | PushToken | Sighted


@dataclass(slots=True)
class Decoded:
    """What a body said, in its order, and why the rest of it was dropped."""

    reports: list[Report] = field(default_factory=list)
    drops: list[str] = field(default_factory=list)


Decoder = Callable[[bytes, Origin], Decoded]
Json = dict[str, Any]
