"""What an operator decides: where things are and how much is too much.

Each setting is a flag of ``geoengine serve`` or an environment variable ``GEOENGINE_`` plus its
name in capitals. Keys are not among them (see `auth`), so that settings can be shown and logged.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from ipaddress import ip_address
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from geoengine.core.errors import GeoengineError

PREFIX = "GEOENGINE_"

Count = Annotated[int, Meta(ge=1)]
Duration = Annotated[float, Meta(gt=0)]
SendBytes = Annotated[int, Meta(ge=128 << 10)]  # room for what is sent in one go
Port = Annotated[int, Meta(ge=0, le=65_535)]  # 0 takes a free one
Workers = Annotated[int, Meta(ge=1, le=256)]  # a slip of the finger is no fork bomb
ONE_A_CORE = "auto"  # a number of workers, written as a word


class SettingsError(GeoengineError):
    """A setting makes no sense; the text names the variable."""


class Settings(Struct, frozen=True, kw_only=True):
    """Where to listen, what to read, and the limits; beyond each limit there is an answer.

    The limits are those of one process: of several workers each has its own.
    """

    config: str = "config"
    state: str = ""  # empty: what the catalogue's `engine.state` says
    cache: str = ""  # compiled catalogues; empty: $XDG_CACHE_HOME/geoengine or ~/.cache/geoengine
    host: str = "127.0.0.1"
    port: Port = 8080
    ingest_port: Port | None = None  # of the lean ingest listener; None: there is none
    osmand_port: Port | None = None  # of Traccar Client's own door; None: there is none
    workers: Workers = 1  # processes on one port; more than one need a state that can be shared
    log_level: str = "info"
    mqtt: str = ""  # brokers to take messages from, spaces between; empty: none

    max_body_bytes: Count = 1 << 20  # 413; some ten thousand pings
    body_timeout_s: Duration = 10.0  # 408; a phone on a bad line needs seconds, an attacker more
    keepalive_s: Duration = 15.0  # idle connections and unfinished headers are closed after it
    max_connections: Count = 4_000  # 503; a connection costs about 20 kB and a descriptor
    queue_bytes: Count = 16 << 20  # 429; bodies waiting for the worker
    queue_pings: Count = 50_000  # 429; a fraction of a second of work
    mqtt_in_flight: Count = 1_000  # messages a broker may send before the first is committed
    batch_pings: Count = 16_384  # one batch is at most this long: what comes meanwhile waits for it

    max_streams: Count = 10_000  # 503; a WebSocket costs about as much as a connection
    stream_message_bytes: Count = 256 << 10  # 1009; some two thousand pings
    stream_unacked: Count = 16  # messages of one stream under way; it is not read beyond
    stream_messages_s: Duration = 500.0  # of one stream; what comes faster is read later
    stream_send_bytes: SendBytes = 256 << 10  # 1013; what one stream has not read
    stream_heartbeat_s: Duration = 30.0  # who does not answer until the next is gone
    stream_follows: Count = 1_000  # names of which one stream hears what time does to them
    stream_ring: Count = 10_000  # events kept for streams that come back; some 10 MB

    tick_s: Duration = 1.0  # how often deadlines are looked at when nothing arrives
    checkpoint_s: Duration = 3.0  # how old a change that needs no disk may get before it is on it
    trim_s: Duration = 3_600.0  # how often what is too old is dropped
    sweep_people: Count = 500  # records looked at per batch after the zones have changed
    quiesce_s: Duration = 20.0  # a withdrawal waits so long for a message already on its way
    stop_s: Duration = 3.0  # a stopping service gives requests, then messages, so long to finish


def from_environment(environ: Mapping[str, str], flags: Mapping[str, Any]) -> Settings:
    """Settings of the environment, overruled by the flags that were given (not None).

    Raises
    ------
    SettingsError
        Naming the variable, when a value has the wrong type or range.
    """
    raw: dict[str, Any] = {
        name: environ[PREFIX + name.upper()]
        for name in Settings.__struct_fields__
        if environ.get(PREFIX + name.upper(), "") != ""
    }
    raw |= {name: value for name, value in flags.items() if value is not None}
    if raw.get("workers") == ONE_A_CORE:
        raw["workers"] = len(os.sched_getaffinity(0))
    try:
        return msgspec.convert(raw, Settings, strict=False)
    except msgspec.ValidationError as error:
        text, _, path = str(error).partition(" - at `$.")
        raise SettingsError(f"{PREFIX}{path.rstrip('`').upper()}: {text}") from None


def is_loopback(host: str) -> bool:
    """Whether a host to listen on can be reached from this machine only."""
    if host == "localhost":
        return True
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
