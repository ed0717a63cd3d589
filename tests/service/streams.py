"""A client of the stream, for tests."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Any

import aiohttp

from tests.service.serving import (
    CATALOGUE,
    KEYS,
    UUID,
    Client,
    now_s,
)

Socket = aiohttp.ClientWebSocketResponse
QUICK = CATALOGUE.replace("engine:\n", "engine:\n  presence: {dwell_s: 11, fresh_s: 300}\n")
UPGRADE = (
    b"GET /v1/stream%s HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n"
    b"Authorization: Bearer " + KEYS["server"].encode() + b"\r\n\r\n"
)


@contextlib.asynccontextmanager
async def stream(
    client: Client, query: str = "", key: str = "app", **options: Any
) -> AsyncIterator[Socket]:
    """A stream of a client with a key."""
    headers = {"Authorization": f"Bearer {KEYS[key]}"}
    url = f"{client.url}/v1/stream{query}"
    async with client.session.ws_connect(url, headers=headers, **options) as open_:
        yield open_


async def heard(open_: Socket) -> Any:
    """The next that a stream says."""
    return await open_.receive_json(timeout=5)


async def asked(open_: Socket, message: Any) -> Any:
    """What a stream says to a message."""
    await open_.send_json(message)
    return await heard(open_)


async def closed(open_: Socket) -> int | None:
    """The code that a stream is closed with."""
    while (await open_.receive(timeout=5)).type not in (
        aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR,
    ):  # fmt: skip
        pass
    return open_.close_code


def sighting(**more: Any) -> Any:
    """The door's beacon, heard just now."""
    beacon = {"uuid": UUID, "major": 1, "minor": 1, "rssi_dbm": -60, "seen_time": now_s()}
    return beacon | more


async def page(client: Client) -> str:
    told: str = (await client.call("GET", "/metrics"))[1].decode()
    return told
