"""A real service on a free loopback port, for tests: real state, real sockets, real client."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import aiohttp

from geoengine.catalog import read
from geoengine.service.auth import Caller, Keys
from geoengine.service.service import Service, assemble
from geoengine.service.settings import Settings
from geoengine.state import open_state

KEYS = {
    "app": "app-key-0123456789",
    "gateway": "gateway-key-0123456789",
    "bound": "bound-key-0123456789",
    "server": "server-key-0123456789",
}
CALLERS = {
    "app": Caller("app"),
    "gateway": Caller("gateway"),
    "bound": Caller("gateway", "rivoli"),
    "server": Caller("server"),
}
ALL_KEYS = Keys((KEYS[name], CALLERS[name]) for name in KEYS)
NO_KEYS = Keys(())
DOORS = ("aiohttp", "lean")
INGEST_PATHS = ("/v1/pings", "/v1/sightings")

UUID = "f7826da6-4fa2-4e98-8024-bc5b71e0893e"
RIVOLI = (48.8583, 2.3470)
AWAY = (48.9583, 2.3470)  # eleven kilometres north of it
CATALOGUE = """
stores:
  - id: rivoli
    name: Maison Rivoli
    location: {lat: 48.8583, lon: 2.3470}
    setting: city
    reach: {radius_m: 300}
    beacons:
      - {id: door, uuid: f7826da6-4fa2-4e98-8024-bc5b71e0893e, major: 1, minor: 1, place: entrance}
  - id: bastille
    name: Maison Bastille
    location: {lat: 48.8533, lon: 2.3692}
    setting: city
    reach: {radius_m: 300}
    beacons:
      - {id: porte, uuid: f7826da6-4fa2-4e98-8024-bc5b71e0893e, major: 1, minor: 2, place: entrance}
campaigns:
  - id: hello
    on: enter
    zones: {stores: [rivoli]}
    levers: [log]
    message: {en: "Five minutes to {store}."}
  - id: text
    on: enter
    zones: {stores: [bastille]}
    audience: status == "premium"
    levers: [sms]
    message: {en: "Five minutes to {store}."}
gateways:
  - {id: gw-rivoli, store: rivoli, place: entrance}
  - {id: gw-bastille, store: bastille, place: entrance}
engine:
  consent: {location: assumed}
"""


@dataclass
class Client:
    """Somebody with a key."""

    session: aiohttp.ClientSession
    url: str
    service: Service
    key: str | None = KEYS["server"]
    door: str = "aiohttp"  # where pings and sightings go

    @property
    def port(self) -> int:
        """Of the door for pings and sightings."""
        return self.service.port if self.door == "aiohttp" else self.service.ingest_port

    def using(self, name: str | None) -> Client:
        """The same with another key."""
        return replace(self, key=None if name is None else KEYS[name])

    async def call(
        self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None
    ) -> tuple[int, Any, Mapping[str, str]]:
        """Status, decoded body, headers. A body that is not bytes is sent as JSON."""
        data = body if isinstance(body, bytes | type(None)) else json.dumps(body).encode()
        sent = dict(headers or {})
        if self.key is not None:
            sent["Authorization"] = f"Bearer {self.key}"
        is_ingest = self.door == "lean" and path.startswith(INGEST_PATHS)
        url = f"http://127.0.0.1:{self.port}" if is_ingest else self.url
        async with self.session.request(method, url + path, data=data, headers=sent) as reply:
            raw = await reply.read()
            is_json = "json" in reply.headers.get("Content-Type", "")
            return reply.status, json.loads(raw) if is_json and raw else raw, reply.headers

    async def ok(self, method: str, path: str, body: Any = None) -> Any:
        """The body of an answer that must be 200."""
        status, told, _ = await self.call(method, path, body)
        assert status == 200, (status, told)
        return told


def written(directory: Path, text: str = CATALOGUE) -> Path:
    """A catalogue directory with this YAML in it."""
    directory.mkdir(exist_ok=True)
    (directory / "catalogue.yaml").write_text(text, "utf-8")
    return directory


def now_s() -> float:
    """The service reads the real clock, so what is posted to it has to keep up."""
    return time.time()


def ping(device_id: str, place: tuple[float, float], ago_s: float = 0, **more: Any) -> Any:
    """A location report of a moment ago."""
    lat, lon = place
    return {
        "device_id": device_id,
        "lat": lat,
        "lon": lon,
        "accuracy_m": 8,
        "fix_time": round(now_s() - ago_s, 3),
        **more,
    }


def walk_in(device_id: str, place: tuple[float, float] = RIVOLI, **more: Any) -> list[Any]:
    """Far away four minutes ago, then inside."""
    return [
        ping(device_id, AWAY, 240, **more),
        ping(device_id, place, 20, **more),
        ping(device_id, place, 10, **more),
    ]


def types(told: Any) -> list[str]:
    """The types of the events of an answer, in order."""
    return [event["type"].removeprefix("geoengine.") for event in told["events"]]


@asynccontextmanager
async def served(
    tmp_path: Path,
    catalogue: str = CATALOGUE,
    *,
    keys: Keys = ALL_KEYS,
    state: str | None = None,
    environ: Mapping[str, str] | None = None,
    door: str = "aiohttp",
    **settings: Any,
) -> AsyncIterator[Client]:
    """A service and a client of it, both gone afterwards."""
    config = written(tmp_path / "config", catalogue)
    chosen = Settings(config=str(config), port=0, ingest_port=0, **settings)
    where = open_state(state or f"local:{tmp_path / 'state.db'}")
    service = assemble(chosen, keys, read(config).book, where, environ or {})
    stop = asyncio.Event()
    await service.start()
    running = asyncio.create_task(service.run(stop))
    try:
        async with aiohttp.ClientSession() as session:
            yield Client(session, f"http://127.0.0.1:{service.port}", service, door=door)
    finally:
        stop.set()
        assert await running


@asynccontextmanager
async def bare(client: Client) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A bare connection to the door for pings, closed afterwards."""
    reader, writer = await asyncio.open_connection("127.0.0.1", client.port)
    try:
        yield reader, writer
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


async def slow_down(client: Client) -> asyncio.Event:
    """Hold the worker before its next batch until the event is set."""
    gate, worker = asyncio.Event(), client.service.context.worker
    turn = worker.turn

    async def waiting() -> None:
        await gate.wait()
        await turn()

    worker.turn = waiting  # type: ignore[method-assign]
    return gate


async def until(condition: Any, timeout_s: float = 5.0) -> Any:
    """Wait for something another task brings about; what it then is."""
    async with asyncio.timeout(timeout_s):
        while not (found := await condition()):  # noqa: ASYNC110 - of a process or a socket
            await asyncio.sleep(0.01)
    return found
