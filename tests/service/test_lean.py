"""The lean listener's HTTP: framing, order, endings. What it takes is tested on both doors."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from geoengine.service.http.lean import PIPELINE_MAX, Connection
from tests.service.serving import AWAY, KEYS, Client, bare, ping, served, slow_down, until

KEY = b"Authorization: Bearer " + KEYS["app"].encode() + b"\r\n"


def request(
    body: bytes, *more: bytes, path: bytes = b"/v1/pings", method: bytes = b"POST"
) -> bytes:
    lines = b"".join(line + b"\r\n" for line in more)
    length = b"Content-Length: %d\r\n" % len(body)
    return b"%s %s HTTP/1.1\r\nHost: x\r\n%s%s%s\r\n%s" % (method, path, KEY, length, lines, body)


def one(device_id: str = "phone") -> bytes:
    return json.dumps(ping(device_id, AWAY)).encode()


async def answers(reader: asyncio.StreamReader, count: int) -> list[tuple[int, Any]]:
    """So many answers: status and document."""
    found = []
    for _ in range(count):
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        found.append((int(head[9:12]), json.loads(await reader.readexactly(length))))
    return found


@asynccontextmanager
async def talking(
    tmp_path: Path, **more: Any
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter, Client]]:
    async with served(tmp_path, door="lean", **more) as client, bare(client) as (reader, writer):
        yield reader, writer, client


def the_guest(client: Client) -> Connection:
    """The only connection, to be handed pieces as the socket might cut them."""
    assert client.service.hall is not None
    (guest,) = client.service.hall._guests
    assert isinstance(guest, Connection)
    return guest


async def test_pipelined_requests_are_answered_in_their_order(tmp_path: Path) -> None:
    async with talking(tmp_path) as (reader, writer, _):
        bodies = [
            one() if ix % 3 else b"[%s]" % b",".join([one()] * ix) for ix in range(3 * PIPELINE_MAX)
        ]
        writer.write(b"".join(map(request, bodies)))
        told = await answers(reader, len(bodies))
    assert {status for status, _ in told} == {200}
    assert [taken["accepted"] for _, taken in told] == [
        1 if ix % 3 else ix for ix in range(len(bodies))
    ]


async def test_refusals_wait_their_turn_among_answers(tmp_path: Path) -> None:
    async with talking(tmp_path) as (reader, writer, _):
        writer.write(request(one()) + request(b"x") + request(one(), path=b"/v2") + request(one()))
        told = await answers(reader, 4)
    assert [status for status, _ in told] == [200, 400, 404, 200]


@pytest.mark.parametrize("size", [1, 7, 60])
async def test_a_request_is_the_same_however_it_is_cut(tmp_path: Path, size: int) -> None:
    async with talking(tmp_path) as (reader, writer, _):
        text = request(one()) * 2
        for at in range(0, len(text), size):
            writer.write(text[at : at + size])
            await writer.drain()
            await asyncio.sleep(0)
        assert [status for status, _ in await answers(reader, 2)] == [200, 200]


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (request(one(), path=b"/healthz"), 404),
        (request(one(), path=b"/v1/pings/"), 404),
        (request(one(), path=b"/v1/%70ings?x=1"), 200),
        (request(one(), path=b"http://x/v1/pings"), 200),
        (request(b"", method=b"GET"), 405),
        (request(b"", method=b"DELETE"), 405),
        (request(one(), b"Content-Encoding: gzip"), 415),
        (request(one(), b"Expect: 100-continue"), 100),
        (request(one(), b"Expect: the-unexpected"), 400),
        (request(one(), b"Content-Length: 5"), 400),
        (request(one(), b"Transfer-Encoding: chunked"), 400),
        (request(one(), b"Transfer-Encoding: gzip"), 400),
        (request(one(), b"Host: y"), 400),
        (request(one(), b"Content-Length : 5"), 400),
        (request(one(), b"Bad Header: 5"), 400),
        (request(one(), b"X: a\x00b"), 400),
        (request(one(), b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c"), 200),
        (b"CONNECT x:1 HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"POST /v1/pings HTTP/1.1\nHost: x\n\n", 400),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
    ],
)
async def test_every_head_has_one_answer(tmp_path: Path, sent: bytes, status: int) -> None:
    async with talking(tmp_path) as (reader, writer, _):
        writer.write(sent)
        head = await asyncio.wait_for(reader.readline(), 5)
        assert head.startswith(b"HTTP/1.1 %d " % status), head


async def test_a_head_that_was_read_before_is_read_as_it_was(tmp_path: Path) -> None:
    async with talking(tmp_path) as (reader, writer, _):
        for turn in range(40):
            writer.write(request(one(f"d{turn % 12}")))
            assert (await answers(reader, 1))[0][1]["accepted"] == 1
        writer.write(request(b"x" * len(one())))
        assert (await answers(reader, 1))[0][0] == 400
        writer.write(request(one())[:-1])  # all but the end
        writer.write(request(one())[-1:] + request(one(), b"Connection: close"))
        assert [status for status, _ in await answers(reader, 2)] == [200, 200]
        assert await reader.read() == b""


async def test_a_known_head_waits_for_its_body(tmp_path: Path) -> None:
    async with talking(tmp_path) as (reader, writer, client):
        writer.write(request(one()))
        assert (await answers(reader, 1))[0][0] == 200
        guest, body = the_guest(client), one()
        head = request(body).removesuffix(body)
        for pieces in ([head, body], [head, body], [head, body[:9], body[9:]], [head + body] * 2):
            for piece in pieces:
                guest.data_received(piece)
        assert [status for status, _ in await answers(reader, 5)] == [200] * 5
        guest.data_received(head)
        assert guest._held == head


async def has_come(client: Client) -> bool:
    return client.service.hall is not None and client.service.hall.guest_count() > 0


@pytest.mark.parametrize("body", [b"[1]", b"[]\r\n\r\n"])
async def test_a_body_is_never_taken_for_a_head(tmp_path: Path, body: bytes) -> None:
    async with talking(tmp_path) as (reader, _, client):
        await until(partial(has_come, client))
        guest = the_guest(client)
        guest.data_received(request(body).removesuffix(body))
        guest.data_received(body)
        await answers(reader, 1)
        assert body not in guest._heads


async def test_a_known_head_has_no_more_time_for_its_body_than_another(tmp_path: Path) -> None:
    async with talking(tmp_path, body_timeout_s=0.2) as (reader, writer, client):
        body = one()
        head = request(body).removesuffix(body)
        for _ in range(2):
            writer.write(request(body))
            assert (await answers(reader, 1))[0][0] == 200
        the_guest(client).data_received(head)
        assert (await answers(reader, 1))[0][0] == 408


async def test_chunks_make_a_body(tmp_path: Path) -> None:
    async with talking(tmp_path) as (reader, writer, _):
        body = one()
        writer.write(
            b"POST /v1/pings HTTP/1.1\r\nHost: x\r\n" + KEY + b"Transfer-Encoding: chunked\r\n\r\n"
            b"%x\r\n%s\r\n%x;a=b\r\n%s\r\n0\r\nTrailer: x\r\n\r\n"
            % (10, body[:10], len(body) - 10, body[10:])
        )
        assert (await answers(reader, 1))[0][1]["accepted"] == 1


async def test_who_waits_to_be_asked_for_the_body_is_asked(tmp_path: Path) -> None:
    async with talking(tmp_path) as (reader, writer, _):
        head, _, body = request(one(), b"Expect: 100-continue").partition(b"\r\n\r\n")
        writer.write(head + b"\r\n\r\n")
        assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        writer.write(body)
        assert (await answers(reader, 1))[0][0] == 200


async def test_a_farewell_is_the_last_that_is_heard(tmp_path: Path) -> None:
    async with talking(tmp_path) as (reader, writer, _):
        writer.write(request(one(), b"Connection: close") + request(one()))
        told = await asyncio.wait_for(reader.read(), 5)
    assert told.count(b"HTTP/1.1") == 1
    assert b"Connection: close" in told


async def test_who_has_said_all_is_still_answered(tmp_path: Path) -> None:
    async with talking(tmp_path) as (reader, writer, _):
        writer.write(request(one()))
        writer.write_eof()
        told = await asyncio.wait_for(reader.read(), 5)
    assert told.startswith(b"HTTP/1.1 200")


async def test_a_wrong_key_is_refused_and_the_connection_lives_on(tmp_path: Path) -> None:
    async with talking(tmp_path) as (reader, writer, _):
        wrong = request(one()).replace(KEYS["app"].encode(), b"x" * len(KEYS["app"]))
        writer.write(wrong + request(one()))
        assert [status for status, _ in await answers(reader, 2)] == [401, 200]


async def test_a_length_beyond_the_limit_is_refused_unread(tmp_path: Path) -> None:
    async with talking(tmp_path, max_body_bytes=100) as (reader, writer, _):
        writer.write(request(b" " * 101)[:-101])
        told = await asyncio.wait_for(reader.read(), 5)
    assert told.startswith(b"HTTP/1.1 413")


async def queued(client: Client) -> bool:
    return len(client.service.context.intake) > 0


async def test_a_silent_connection_is_closed_and_a_waiting_one_is_not(tmp_path: Path) -> None:
    async with talking(tmp_path, keepalive_s=0.2) as (reader, writer, client):
        gate = await slow_down(client)
        writer.write(request(one()))
        async with bare(client) as (silent, _):
            assert await asyncio.wait_for(silent.read(), 5) == b""
        gate.set()
        assert (await answers(reader, 1))[0][0] == 200
        assert await asyncio.wait_for(reader.read(), 5) == b""


async def test_a_stop_answers_who_waits_and_closes(tmp_path: Path) -> None:
    async with talking(tmp_path) as (reader, writer, client), bare(client) as (idle, _):
        gate = await slow_down(client)
        writer.write(request(one()))
        await until(lambda: queued(client))
        assert client.service.hall is not None
        stopping = asyncio.create_task(client.service.hall.close(3.0))
        assert await asyncio.wait_for(idle.read(), 5) == b""
        gate.set()
        told = await asyncio.wait_for(reader.read(), 5)
        await stopping
    assert told.startswith(b"HTTP/1.1 200")
    assert b"Connection: close" in told


async def test_a_stream_is_not_to_be_had_here(tmp_path: Path) -> None:
    async with talking(tmp_path) as (reader, writer, _):
        ask = (b"Upgrade: websocket", b"Connection: Upgrade", b"Sec-WebSocket-Version: 13")
        writer.write(request(b"", *ask, path=b"/v1/stream", method=b"GET"))
        ((status, told),) = await answers(reader, 1)
        assert status == 404
        assert told["detail"] == "Here is only POST /v1/pings and /v1/sightings."
