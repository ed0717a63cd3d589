"""Tile38: one channel a zone, one SET a ping, a subscriber that hears of entries and exits.

Its protocol is RESP; over HTTP a command is a body whose words are parted by spaces, answered with
``Connection: close``. A NEARBY fence of a point and a radius is a circle on a sphere of 6,371 km
(tidwall/geojson, geo/geo.go), and an event is a difference of sets: inside now and not before, or
the other way round.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import socket
import subprocess
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from geoengine.core.columns import Fixes
from geoengine.core.places.zones import Zones

from .lanes import Request, http_post
from .told import Told, gathered

NAME = "tile38-server"
FLEET = "fleet"
PIPELINED = 100  # commands under way on a connection
SCRIPTED = 1_000  # pings in a POST that runs a script
START_S, QUIET_S, HEARD_S = 30.0, 0.25, 30.0
# No space: an HTTP body is cut into words at each of them.
SCRIPT = (
    "for\ti=1,#ARGV,3\tdo\n"
    f"tile38.call('SET','{FLEET}',ARGV[i],'POINT',ARGV[i+1],ARGV[i+2])\nend\nreturn\t#ARGV/3"
)


T = TypeVar("T")


class Tile38Failed(Exception):
    """It did not start, or refused a command; the text says which."""


def found() -> str | None:
    """Where the server is on the PATH, if it is."""
    return shutil.which(NAME)


@contextmanager
def running(program: str, directory: Path) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """A fresh server on a free loopback port, killed afterwards. Raises `Tile38Failed`."""
    port = _free_port()
    directory.mkdir()
    child = subprocess.Popen(
        [program, "-h", "127.0.0.1", "-p", str(port), "-d", str(directory), "-q"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        _await_listening(child, port)
        yield child, port
    finally:
        child.kill()
        child.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _await_listening(child: subprocess.Popen[bytes], port: int) -> None:
    until_s = time.monotonic() + START_S
    while time.monotonic() < until_s and child.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), 1.0).close()
            return
        except OSError:
            time.sleep(0.02)
    raise Tile38Failed(f"{NAME} does not listen (exit status {child.poll()})")


# --- what is sent -------------------------------------------------------------------------------


def command(*words: str) -> bytes:
    """A command in RESP.

    >>> command("PING")
    b'*1\\r\\n$4\\r\\nPING\\r\\n'
    """
    parts = [f"*{len(words)}\r\n".encode()]
    for word in words:
        raw = word.encode()
        parts.append(b"$%d\r\n%s\r\n" % (len(raw), raw))
    return b"".join(parts)


def fences(zones: Zones) -> list[Request]:
    """A channel for each circle, telling entries and exits."""
    columns = (zones.ids, zones.lat_deg.tolist(), zones.lon_deg.tolist(), zones.radius_m.tolist())
    made = [
        command(
            "SETCHAN", zone_id, "NEARBY", FLEET, "FENCE", "DETECT", "enter,exit",
            "POINT", repr(lat), repr(lon), f"{radius_m:g}",
        )
        for zone_id, lat, lon, radius_m in zip(*columns, strict=True)
    ]  # fmt: skip
    return [Request(b"".join(part), len(part)) for part in _parts(made, PIPELINED)]


def rows(fixes: Fixes) -> list[tuple[str, str, str]]:
    """Device, latitude, longitude of each fix, as words."""
    lat, lon = fixes.lat_deg.tolist(), fixes.lon_deg.tolist()
    return list(zip(fixes.device_ids, map(repr, lat), map(repr, lon), strict=True))


def one_by_one(pings: list[tuple[str, str, str]]) -> list[Request]:
    """A SET at a time over RESP."""
    return [Request(_set(ping)) for ping in pings]


def pipelined(pings: list[tuple[str, str, str]]) -> list[Request]:
    """Many SETs under way over RESP."""
    return [Request(b"".join(map(_set, part)), len(part)) for part in _parts(pings, PIPELINED)]


def by_http(pings: list[tuple[str, str, str]]) -> list[Request]:
    """A SET a POST."""
    return [
        Request(http_post("/", f"SET {FLEET} {device} POINT {lat} {lon}".encode()))
        for device, lat, lon in pings
    ]


def by_script(pings: list[tuple[str, str, str]]) -> list[Request]:
    """A thousand pings a POST, set by a script."""
    return [
        Request(http_post("/", " ".join(["EVAL", SCRIPT, "0", *sum(part, ())]).encode()))
        for part in _parts(pings, SCRIPTED)
    ]


def _set(ping: tuple[str, str, str]) -> bytes:
    device, lat, lon = ping
    return command("SET", FLEET, device, "POINT", lat, lon)


def _parts(items: list[T], size: int) -> Iterator[list[T]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]


# --- what is answered ---------------------------------------------------------------------------


def is_acknowledged(buffer: bytes, command_count: int) -> bool:
    """Whether as many simple answers have come as commands were sent."""
    return buffer.count(b"\r\n") >= command_count


def refused(answers: Iterable[bytes]) -> bytes:
    """The first answer that is an error, in RESP or in JSON; empty if none is."""
    return next((text for text in answers if b"-ERR" in text or b'"ok":false' in text), b"")


class Subscriber(asyncio.Protocol):
    """Hears every channel; what it heard is read after the run."""

    def __init__(self) -> None:
        self._heard = bytearray()
        self._transport: asyncio.BaseTransport | None = None

    @classmethod
    async def open(cls, port: int) -> Subscriber:
        """Subscribed to all channels, and confirmed."""
        subscriber = cls()
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_connection(lambda: subscriber, "127.0.0.1", port)
        transport.write(command("PSUBSCRIBE", "*"))
        subscriber._transport = transport
        until_s = loop.time() + HEARD_S
        while not subscriber._heard.endswith(b":1\r\n"):
            if loop.time() > until_s:
                raise Tile38Failed("PSUBSCRIBE was not confirmed")
            await asyncio.sleep(0.01)
        subscriber._heard.clear()
        return subscriber

    def data_received(self, data: bytes) -> None:
        """Something happened."""
        self._heard += data

    async def told(self) -> Told:
        """Everything, once nothing more has come for a while."""
        length = -1
        while length != len(self._heard):
            length = len(self._heard)
            await asyncio.sleep(QUIET_S)
        assert self._transport is not None
        self._transport.close()
        return gathered(events(bytes(self._heard)))


def events(heard: bytes) -> Iterator[tuple[str, str, str]]:
    """Device, zone and verb of each message that a subscriber got."""
    for words in _arrays(heard):
        if words[0] == b"pmessage":
            message = json.loads(words[3])
            yield message["id"], message["hook"], message["detect"]


def _arrays(heard: bytes) -> Iterator[list[bytes]]:
    """The arrays of bulk strings in a stream that holds nothing else."""
    at = 0
    while at < len(heard):
        size, at = _number(heard, at)
        words = []
        for _ in range(size):
            length, at = _number(heard, at)
            words.append(heard[at : at + length])
            at += length + 2
        yield words


def _number(heard: bytes, at: int) -> tuple[int, int]:
    """The number after a type byte, and where the next thing begins."""
    end = heard.index(b"\r\n", at)
    return int(heard[at + 1 : end]), end + 2
