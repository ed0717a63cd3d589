"""Cassia's streams: the service connects, takes in what comes by the piece, and connects again."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web

from geoengine.service.native import listening
from tests.service.serving import CATALOGUE, Client, served
from tests.service.test_gateways import TAG, carried, places

Stream = Callable[[web.StreamResponse], Awaitable[None]]
ADVERT = f"0201061aff4c000215{TAG.replace('-', '')}00070001c5"


def said(rssi: int = -55) -> bytes:
    """One event, as a gateway writes it."""
    event = {
        "bdaddrs": [{"bdaddr": "AC:23:3F:00:00:01", "bdaddrType": "public"}],
        "adData": ADVERT,
        "name": "(unknown)",
        "rssi": rssi,
        "evtType": 0,
    }
    return b"data: " + json.dumps(event).encode() + b"\n\n"


class Box:
    """A gateway on loopback: what it was asked, and what it streams to each who connects."""

    def __init__(self, *streams: Stream) -> None:
        self.asked: list[web.Request] = []
        self._streams = list(streams)
        self.is_asked = asyncio.Event()

    async def stream(self, request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await answer.prepare(request)
        self.asked.append(request)
        self.is_asked.set()
        await self._streams[min(len(self.asked), len(self._streams)) - 1](answer)
        return answer

    async def token(self, request: web.Request) -> web.Response:
        self.asked.append(request)
        return web.json_response({"access_token": "a-token", "expires_in": 3600})

    @asynccontextmanager
    async def running(self) -> AsyncIterator[str]:
        app = web.Application()
        app.router.add_get("/gap/nodes", self.stream)
        app.router.add_post("/oauth2/token", self.token)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        try:
            yield f"http://127.0.0.1:{runner.addresses[0][1]}"
        finally:
            await runner.cleanup()


@asynccontextmanager
async def listened(
    tmp_path: Path, box: Box, monkeypatch: pytest.MonkeyPatch, more: str = ""
) -> AsyncIterator[Client]:
    """A service that listens to a box, with Ann's tag known."""
    monkeypatch.setattr(listening, "LOOK_S", 0.05)
    monkeypatch.setattr(listening, "WAIT_FIRST_S", 0.05)
    async with box.running() as url:
        gateway = f"  - {{id: hub, store: rivoli, kind: cassia, url: '{url}'{more}}}\n"
        catalogue = CATALOGUE.replace("engine:\n", gateway + "engine:\n")
        async with served(tmp_path, catalogue, environ={"AC": "dev:word"}) as client:
            await carried(client, "ann", 1)
            yield client


async def until_there(client: Client) -> None:
    async with asyncio.timeout(15):
        while await places(client, "ann") != {"rivoli", "rivoli/store"}:  # noqa: ASYNC110
            await asyncio.sleep(0.05)


async def test_what_a_gateway_streams_comes_in_though_it_is_cut_anywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def stream(answer: web.StreamResponse) -> None:
        await answer.write(b": keep-alive\n\n")
        for _ in range(40):
            event = said()
            for piece in (event[:31], event[31:90], event[90:]):
                await answer.write(piece)
                await asyncio.sleep(0.05)

    box = Box(stream)
    async with listened(tmp_path, box, monkeypatch) as client:
        await until_there(client)
    assert box.asked[0].query["event"] == "1" and "mac" not in box.asked[0].query


async def test_a_stream_that_ends_or_talks_nonsense_is_opened_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def ends(answer: web.StreamResponse) -> None:
        await answer.write(b"data: {nonsense\n\n\xff\xfe\n")

    async def no_line(answer: web.StreamResponse) -> None:
        await answer.write(b"x" * (listening.LINE_MAX + 10))
        await asyncio.sleep(30)

    async def talks(answer: web.StreamResponse) -> None:
        for _ in range(40):
            await answer.write(said())
            await asyncio.sleep(0.2)

    box = Box(ends, no_line, talks)
    async with listened(tmp_path, box, monkeypatch) as client:
        await until_there(client)
    assert len(box.asked) >= 3


async def test_a_controller_is_asked_for_a_token_and_for_the_hub(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def waits(answer: web.StreamResponse) -> None:
        await asyncio.sleep(30)

    box = Box(waits)
    async with listened(tmp_path, box, monkeypatch, ", secret: {env: AC}"):
        async with asyncio.timeout(10):
            await box.is_asked.wait()
    token, stream = box.asked[:2]
    assert token.headers["Authorization"] == "Basic ZGV2OndvcmQ="
    assert stream.headers["Authorization"] == "Bearer a-token"
    assert stream.query["mac"] == "hub"
