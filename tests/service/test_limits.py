"""Everything has a limit, and each limit has an answer."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from geoengine.service.clock import elapsed_s
from tests.service.serving import (
    KEYS,
    RIVOLI,
    Client,
    bare,
    ping,
    served,
    slow_down,
    until,
    walk_in,
)

Serve = Callable[[], Awaitable[None]]
HEAD = (
    b"POST /v1/pings HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + KEYS["app"].encode() + b"\r\n"
)


async def test_a_body_beyond_the_limit_is_refused(tmp_path: Path, door: str) -> None:
    async with served(tmp_path, max_body_bytes=10_000, door=door) as client:
        rows = [ping(f"d{ix}", RIVOLI) for ix in range(200)]
        status, told, _ = await client.call("POST", "/v1/pings", rows)
        assert (status, told["type"]) == (413, "urn:geoengine:problem:body_too_large")
        assert (await client.ok("POST", "/v1/pings", rows[:50]))["accepted"] == 50


async def test_a_body_without_end_is_cut_off_at_the_limit(tmp_path: Path, door: str) -> None:
    async with served(tmp_path, max_body_bytes=10_000, door=door) as client:
        async with bare(client) as (reader, writer):
            writer.write(HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
            chunk = b"1000\r\n" + b" " * 0x1000 + b"\r\n"
            with contextlib.suppress(ConnectionError):
                for _ in range(100):
                    writer.write(chunk)
                    await writer.drain()
            told = await asyncio.wait_for(reader.read(), 10)
        assert told.startswith(b"HTTP/1.1 413")


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "zstd", "identity, gzip"])
async def test_an_encoded_body_is_refused_unread(tmp_path: Path, door: str, encoding: str) -> None:
    async with served(tmp_path, door=door) as client:
        bomb = gzip.compress(b" " * 50_000_000)
        status, told, _ = await client.call(
            "POST", "/v1/pings", bomb, {"Content-Encoding": encoding}
        )
        assert (status, told["status"]) == (415, 415)


async def test_a_body_that_drips_is_given_up(tmp_path: Path, door: str) -> None:
    async with served(tmp_path, body_timeout_s=0.2, door=door) as client:
        async with bare(client) as (reader, writer):
            writer.write(HEAD + b"Content-Length: 100\r\n\r\n[")
            told = await asyncio.wait_for(reader.read(), 5)
        assert told.startswith(b"HTTP/1.1 408")
        assert b"body_too_slow" in told


@pytest.mark.parametrize("start", [b"", b"GET /heal", HEAD])
async def test_a_header_that_never_ends_is_given_up(
    tmp_path: Path, door: str, start: bytes
) -> None:
    async def drip(writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            writer.write(start)
            while start and not writer.is_closing():
                writer.write(b"a")
                await asyncio.sleep(0.05)

    async with (
        served(tmp_path, keepalive_s=0.3, door=door) as client,
        bare(client) as (reader, writer),
    ):
        dripping = asyncio.create_task(drip(writer))
        assert await asyncio.wait_for(reader.read(), 5) == b""
        dripping.cancel()


async def test_one_connection_too_many_is_told_to_come_back(tmp_path: Path, door: str) -> None:
    async with served(tmp_path, max_connections=5, door=door) as client:
        async with contextlib.AsyncExitStack() as held:
            for _ in range(5):
                await held.enter_async_context(bare(client))
            async with bare(client) as (reader, _):
                told = await asyncio.wait_for(reader.read(), 5)
            assert told.startswith(b"HTTP/1.1 503")
            assert b"Retry-After: " in told

        async def is_served() -> bool:
            return (await client.call("POST", "/v1/pings", walk_in("phone")))[0] == 200

        assert await until(is_served)


async def test_a_full_queue_answers_429_and_what_was_queued_is_served(
    tmp_path: Path, door: str
) -> None:
    async with served(tmp_path, queue_pings=100, door=door) as client:
        gate = await slow_down(client)
        bodies = [[ping(f"d{post}-{ix}", RIVOLI) for ix in range(20)] for post in range(12)]
        posting = [asyncio.create_task(client.call("POST", "/v1/pings", body)) for body in bodies]
        refused = 0
        while refused < 5:
            done, _ = await asyncio.wait(posting, return_when=asyncio.FIRST_COMPLETED)
            refused = len(done)
            await asyncio.sleep(0)
        gate.set()
        answers = await asyncio.gather(*posting)
        statuses = [status for status, _, _ in answers]
        assert statuses.count(429) >= 5
        assert statuses.count(200) + statuses.count(429) == len(bodies)
        for status, told, headers in answers:
            if status == 429:
                assert int(headers["Retry-After"]) >= 1
                assert told["type"] == "urn:geoengine:problem:queue_full"
            else:
                assert told["accepted"] == 20


async def test_hundreds_of_silent_connections_do_not_disturb_the_others(
    tmp_path: Path, door: str
) -> None:
    async with served(tmp_path, door=door) as client, contextlib.AsyncExitStack() as held:
        for ix in range(400):
            _, writer = await held.enter_async_context(bare(client))
            writer.write(HEAD + b"Content-Length: 1000\r\n\r\n[" if ix % 2 else b"")
        told = await client.ok("POST", "/v1/pings", walk_in("phone"))
        assert told["accepted"] == 3


@contextlib.asynccontextmanager
async def without_room(client: Client) -> AsyncIterator[tuple[list[dict[str, Any]], Serve]]:
    """A queue of ten pings that is full: what it holds, and what empties it."""
    gate = await slow_down(client)
    rows = [ping(f"d{ix}", RIVOLI) for ix in range(10)]
    posting = asyncio.create_task(client.ok("POST", "/v1/pings", rows))

    async def is_full() -> bool:
        return client.service.context.intake.ping_count == 10

    async def serve() -> None:
        gate.set()
        assert (await posting)["accepted"] == 10

    await until(is_full)
    yield rows, serve


async def test_where_nothing_more_fits_a_post_is_refused_at_its_head(
    tmp_path: Path, door: str
) -> None:
    async with (
        served(tmp_path, queue_pings=10, door=door) as client,
        without_room(client) as (_, serve),
    ):
        async with bare(client) as (reader, writer):
            writer.write(HEAD + b"Content-Length: 2000\r\n\r\n")
            told = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)
        assert told.startswith(b"HTTP/1.1 429")
        assert b"Retry-After: 1" in told
        await serve()


async def test_who_found_no_room_is_served_again_after_the_wait_it_was_told(
    tmp_path: Path, door: str
) -> None:
    async with (
        served(tmp_path, queue_pings=10, door=door) as client,
        without_room(client) as (rows, serve),
        bare(client) as (reader, writer),
    ):
        body = json.dumps(rows).encode()
        request = HEAD + b"Content-Length: %d\r\n\r\n%s" % (len(body), body)
        writer.write(request)
        told = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)
        assert told.startswith(b"HTTP/1.1 429")
        length = int(told.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        await reader.readexactly(length)
        await serve()
        # The same connection, at once: it is not read before the second is over.
        asked_s = elapsed_s()
        writer.write(request)
        assert (await client.ok("POST", "/v1/pings", rows[:1]))["accepted"] == 1
        told = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)
        assert told.startswith(b"HTTP/1.1 200")
        assert elapsed_s() - asked_s > 0.5
