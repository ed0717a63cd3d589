"""A real broker, somebody who publishes, and a service that hears them."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiomqtt

from tests.servers.broker import Broker
from tests.service.serving import (
    AWAY,
    CATALOGUE,
    RIVOLI,
    Client,
    now_s,
    served,
    until,
)

USERS = {"geoengine": "a server's secret", "jane": "jane's secret", "boxes": "a box's secret"}
GATEWAYS = """
  - {id: AC233FC03641, store: rivoli, place: entrance, kind: minew}
  - {id: esp-door, store: rivoli, place: entrance, kind: theengs}
  - {id: box, store: rivoli, place: entrance, kind: moko, topic: shops/paris/box}
"""
LISTED = CATALOGUE.replace("\ngateways:\n", f"\ngateways:{GATEWAYS}", 1)
TAG = "0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0"
HEALED_S = 20.0  # a connection that was lost is made again within a second or two


def location(place: tuple[float, float], ago_s: float = 0, **more: Any) -> bytes:
    """What OwnTracks publishes."""
    lat, lon = place
    body = {"_type": "location", "lat": lat, "lon": lon, "acc": 8, "tst": int(now_s() - ago_s)}
    return json.dumps(body | more).encode()


def tag_heard(ago_s: float) -> bytes:
    """What a Minew gateway publishes of a tag."""
    beacon = {"ibeaconUuid": TAG.replace("-", ""), "ibeaconMajor": 1, "ibeaconMinor": 7}
    heard = {"type": "iBeacon", "mac": "6087574C9BC2", "rssi": -60, "ibeaconTxPower": -59}
    at_ms = int((now_s() - ago_s) * 1_000)
    return json.dumps([{"timestamp": at_ms, "battery": 0} | heard | beacon]).encode()


@asynccontextmanager
async def somebody(broker: Broker, user: str | None = None) -> AsyncIterator[aiomqtt.Client]:
    """A phone or a gateway that is connected."""
    password = None if user is None else broker.users[user]
    async with aiomqtt.Client("127.0.0.1", broker.port, username=user, password=password) as one:
        yield one


@asynccontextmanager
async def listening(tmp_path: Path, url: str, **more: Any) -> AsyncIterator[Client]:
    """A service that hears the broker."""
    async with served(tmp_path, more.pop("catalogue", LISTED), mqtt=url, **more) as client:
        await until(lambda: is_heard(client))
        yield client


def folder(path: Path) -> Path:
    """A directory that is there."""
    path.mkdir()
    return path


async def brokers(client: Client) -> list[Any]:
    """What readiness tells of the brokers."""
    _, told, _ = await client.call("GET", "/readyz")
    found: list[Any] = told["brokers"]
    return found


async def is_heard(client: Client) -> bool:
    return all(broker["connected"] for broker in await brokers(client))


def counted(client: Client, kind: str, outcome: str) -> float:
    """How many messages of a kind have come to this."""
    labels = {"kind": kind, "outcome": outcome}
    registry = client.service.context.metrics.registry
    return registry.get_sample_value("geoengine_mqtt_messages_total", labels) or 0.0


async def counts(client: Client, kind: str, outcome: str, at_least: int) -> None:
    """Wait until so many have come to this."""

    async def are_there() -> bool:
        return counted(client, kind, outcome) >= at_least

    await until(are_there, HEALED_S)


async def places(client: Client, person_id: str) -> list[str]:
    """The zones where somebody is."""
    status, told, _ = await client.call("GET", f"/v1/people/{person_id.replace('/', '%2F')}")
    return [] if status == 404 else [presence["zone_id"] for presence in told["presences"]]


async def come_in(phone: aiomqtt.Client, topic: str) -> None:
    """Far away four minutes ago, then inside."""
    for place, ago_s in ((AWAY, 240), (RIVOLI, 20), (RIVOLI, 10)):
        await phone.publish(topic, location(place, ago_s), qos=1)


async def said(running: Any, word: str) -> bool:
    """Whether it has said this by now."""
    return word in running.said
