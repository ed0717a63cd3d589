"""What phones' own clients say, and where: for the tests of their doors."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from geoengine.service.devices import device_password
from tests.service.serving import (
    KEYS,
    RIVOLI,
    Client,
    now_s,
)

PAYLOADS = Path(__file__).parents[3] / "shared" / "payloads"
SECRET = "a secret of sixteen and more"
PASSWORD = device_password(SECRET, "jane")
ENVIRON = {"GEOENGINE_DEVICE_SECRET": SECRET, "GEOENGINE_OWNTRACKS_KEY": "hush"}
ROUTES = {
    "owntracks": "owntracks",
    "overland": "overland",
    "traccar_client": "osmand",
    "transistorsoft": "bgeo",
    "gpslogger": "gpslogger",
}
DONE = {
    "owntracks": b"[]",
    "overland": b'{"result":"ok"}',
    "osmand": b"",
    "bgeo": b"{}",
    "gpslogger": b"OK",
}
APP = {"Authorization": f"Bearer {KEYS['app']}"}
FILES = sorted(path for name in ROUTES for path in (PAYLOADS / name).glob("*"))
UUID = "f7826da6-4fa2-4e98-8024-bc5b71e0893e"


def basic(user: str, password: str) -> dict[str, str]:
    pair = base64.b64encode(f"{user}:{password}".encode()).decode()
    return {"Authorization": f"Basic {pair}"}


def location(place: tuple[float, float], ago_s: float = 0, **more: Any) -> dict[str, Any]:
    """What OwnTracks says of where it is."""
    lat, lon = place
    return {
        "_type": "location",
        "lat": lat,
        "lon": lon,
        "acc": 8,
        "tst": int(now_s() - ago_s),
        **more,
    }


def feature(place: tuple[float, float], ago_s: float, device_id: str) -> dict[str, Any]:
    """What Overland says of where it is."""
    lat, lon = place
    return {
        "type": "Feature",
        "geometry": {"type": "Point", "coordinates": [lon, lat]},
        "properties": {
            "timestamp": now_s() - ago_s,
            "horizontal_accuracy": 8,
            "device_id": device_id,
        },
    }


async def sent(
    client: Client,
    path: str,
    body: Any = b"",
    headers: Mapping[str, str] = APP,
    method: str = "POST",
    port: int = 0,
) -> tuple[int, bytes, Mapping[str, str]]:
    """Status, body and headers of an answer; nothing is added to the request."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    url = f"http://127.0.0.1:{port or client.port}{path}"
    async with client.session.request(
        method, url, data=data, headers=headers, skip_auto_headers=("Content-Type", "User-Agent")
    ) as reply:
        return reply.status, await reply.read(), reply.headers


def is_command(told: bytes) -> bool:
    """Whether an answer has a phone watch our regions."""
    return b'"setWaypoints"' in told or b'"addGeofences"' in told


async def bare_words(port: int, request: bytes) -> bytes:
    """What a socket hears that sends these bytes and waits for the end."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request)
    async with asyncio.timeout(10):
        told = await reader.read()
    writer.close()
    return told


async def is_inside(client: Client, device_id: str) -> bool:
    """Whether somebody of that name stands in the zone of the shop."""
    records = await client.service.context.state.load([device_id])
    record = records.get(device_id)
    return record is not None and any(one.is_inside for one in record.presences.values())


def counted(client: Client, name: str, outcome: str) -> float:
    """How many reports of a client had this outcome."""
    page = client.service.context.metrics.own_page().decode()
    wanted = f'geoengine_native_total{{client="{name}",outcome="{outcome}"}} '
    return sum(float(line.split()[-1]) for line in page.split("\n") if line.startswith(wanted))


def told_as_json(device_id: str, ago_s: float) -> dict[str, Any]:
    lat, lon = RIVOLI
    coords = {"latitude": lat, "longitude": lon, "accuracy": 8, "speed": -1, "heading": -1}
    return {
        "location": {"timestamp": int(now_s() - ago_s), "coords": coords},
        "device_id": device_id,
    }
