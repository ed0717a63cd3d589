"""The stream: messages in, acknowledgements after the commit, and limits."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import socket
from pathlib import Path
from urllib.parse import quote

import aiohttp
import pytest

from geoengine.core.errors import StateUnavailable
from geoengine.service.auth import Caller, Keys
from geoengine.state.base import Commit
from tests.service.serving import (
    AWAY,
    KEYS,
    NO_KEYS,
    RIVOLI,
    now_s,
    ping,
    served,
    slow_down,
    types,
    until,
    walk_in,
)
from tests.service.streams import UPGRADE, asked, closed, heard, page, sighting, stream

# --- messages and their acknowledgements ---------------------------------------------------------


async def test_a_message_is_acknowledged_with_the_events_it_caused(tmp_path: Path) -> None:
    async with served(tmp_path) as client, stream(client) as open_:
        told = await asked(open_, walk_in("phone"))
        assert (told["ack"], told["accepted"], told["rejected"]) == (1, 3, [])
        assert types(told) == ["zone.entered", "trigger.fired"]
        assert told["seq"] == 2
        assert told["resume"].endswith(".2")


async def test_one_row_an_array_and_an_envelope_are_the_same(tmp_path: Path) -> None:
    async with served(tmp_path) as client, stream(client) as open_:
        one_by_one = []
        for row in walk_in("single"):
            one_by_one += types(await asked(open_, row))
        told = await asked(open_, {"id": "walk-7", "pings": walk_in("named")})
        assert told["ack"] == "walk-7"
        assert types(told) == one_by_one == ["zone.entered", "trigger.fired"]
        told = await asked(open_, {"id": 2**40, "pings": ping("alone", AWAY)})
        assert (told["ack"], told["accepted"]) == (2**40, 1)
        told = await asked(open_, {"id": None, "pings": ping("alone", AWAY, -1)})
        assert told["ack"] == 6


async def test_sightings_are_told_by_their_uuid(tmp_path: Path) -> None:
    rows = [sighting(device_id="phone", seen_time=now_s() - 5 + ix) for ix in range(4)]
    async with served(tmp_path) as client, stream(client) as open_:
        assert "beacon.entered" in types(await asked(open_, rows))
        told = await asked(open_, {"id": "s", "sightings": rows})
        assert (told["ack"], told["accepted"]) == ("s", 4)
        assert (await asked(open_, rows[3]))["accepted"] == 1
        told = await asked(open_, [ping("phone", AWAY) | {"comment": "uuid"}])
        assert told["accepted"] == 1


async def test_rows_that_make_no_sense_are_rejected_and_the_others_taken(tmp_path: Path) -> None:
    async with served(tmp_path) as client, stream(client) as open_:
        told = await asked(open_, [ping("a", AWAY), {"device_id": "b"}, 7, ping("c", AWAY)])
        assert told["accepted"] == 2
        reasons = [(row["index"], row["reason"]) for row in told["rejected"]]
        assert reasons == [(1, "lat_missing"), (2, "not_an_object")]


async def test_nothing_is_acknowledged_before_it_is_durable(tmp_path: Path) -> None:
    async with served(tmp_path) as client, stream(client) as open_:
        state, disk = client.service.context.state, asyncio.Event()
        commit, began = state.commit, asyncio.Event()

        async def slow(what: Commit) -> None:
            began.set()
            await disk.wait()
            await commit(what)

        state.commit = slow  # type: ignore[method-assign]
        await open_.send_json(walk_in("phone"))
        await asyncio.wait_for(began.wait(), 5)
        with pytest.raises(TimeoutError):
            await open_.receive(timeout=0.1)
        disk.set()
        assert types(await heard(open_)) == ["zone.entered", "trigger.fired"]
        assert "phone" in await state.load(["phone"])


@pytest.mark.parametrize(
    "said",
    [
        "", "nonsense", "7", '"text"', "{", "[", "[" * 100_000, '{"pings": []', "é",
        '{"id": [1], "pings": []}', '{"id": "' + "x" * 200 + '", "pings": []}', '{"pings": 3}',
        '{"sightings": null}', '{"id": 1e400, "pings": []}',
    ],
)  # fmt: skip
async def test_a_message_that_makes_no_sense_is_refused_and_the_stream_goes_on(
    tmp_path: Path, said: str
) -> None:
    async with served(tmp_path) as client, stream(client) as open_:
        await open_.send_str(said)
        told = await heard(open_)
        assert told["nack"] == 1
        assert told["problem"]["type"] == "urn:geoengine:problem:malformed"
        assert (await asked(open_, ping("phone", AWAY)))["ack"] == 2


async def test_who_speaks_something_else_altogether_is_told_to_go(tmp_path: Path) -> None:
    async with served(tmp_path) as client, stream(client) as open_:
        for _ in range(10):
            await open_.send_str("MQTT?")
        assert await closed(open_) == aiohttp.WSCloseCode.POLICY_VIOLATION
        assert 'geoengine_streams_closed_total{code="1008"} 1.0' in await page(client)


async def test_a_full_queue_refuses_a_message_and_serves_it_when_it_comes_again(
    tmp_path: Path,
) -> None:
    async with served(tmp_path, queue_pings=2) as client, stream(client) as open_:
        gate = await slow_down(client)
        await open_.send_json({"id": "first", "pings": [ping("a", AWAY), ping("b", AWAY)]})
        refused = await asked(open_, {"id": "second", "pings": [ping("c", AWAY)]})
        assert refused["nack"] == "second"
        assert refused["problem"]["status"] == 429
        assert refused["retry_after_s"] >= 1
        gate.set()
        assert (await heard(open_))["ack"] == "first"
        told = await asked(open_, {"id": "second", "pings": [ping("c", AWAY)]})
        assert (told["ack"], told["accepted"]) == ("second", 1)


async def test_a_state_that_cannot_write_refuses_messages_until_it_can(tmp_path: Path) -> None:
    async with served(tmp_path) as client, stream(client) as open_:
        state = client.service.context.state
        commit = state.commit

        async def full(_commit: object) -> None:
            raise StateUnavailable("disk full")

        state.commit = full  # type: ignore[method-assign]
        refused = await asked(open_, {"id": "x", "pings": walk_in("phone")})
        assert (refused["nack"], refused["problem"]["status"]) == ("x", 503)
        state.commit = commit  # type: ignore[method-assign]
        told = await asked(open_, {"id": "x", "pings": walk_in("phone")})
        assert types(told) == ["zone.entered", "trigger.fired"]


# --- who may -------------------------------------------------------------------------------------


async def test_a_browser_brings_its_key_among_the_protocols(tmp_path: Path) -> None:
    async with served(tmp_path) as client:
        offers = ("geoengine.v1", f"bearer.{KEYS['app']}")
        url = f"{client.url}/v1/stream"
        async with client.session.ws_connect(url, protocols=offers) as open_:
            assert open_.protocol == "geoengine.v1"
            assert (await asked(open_, ping("phone", AWAY)))["accepted"] == 1


async def test_a_key_of_other_characters_is_written_in_percents(tmp_path: Path) -> None:
    key = "key/with=signs, 100% of them"
    async with served(tmp_path, keys=Keys([(key, Caller("app"))])) as client:
        offers = ("geoengine.v1", f"bearer.{quote(key, safe='')}")
        url = f"{client.url}/v1/stream"
        async with client.session.ws_connect(url, protocols=offers) as open_:
            assert (await asked(open_, ping("phone", AWAY)))["accepted"] == 1


@pytest.mark.parametrize(
    ("query", "headers", "status"),
    [
        ("", {}, 401),
        (f"?key={KEYS['app']}", {}, 401),
        (f"?access_token={KEYS['app']}", {}, 401),
        ("", {"Authorization": "Bearer wrong"}, 401),
        ("", {"Sec-WebSocket-Protocol": "geoengine.v1, bearer.wrong"}, 401),
        ("", {"Sec-WebSocket-Protocol": "geoengine.v1"}, 401),
        ("", {"Sec-WebSocket-Protocol": f"bearer.{KEYS['app']}"}, 400),
        ("?events=some", {"Authorization": f"Bearer {KEYS['app']}"}, 400),
        ("?events=all", {"Authorization": f"Bearer {KEYS['app']}"}, 403),
    ],
)
async def test_who_may_not_listen_is_told_why_and_no_key_is_logged(
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
    query: str,
    headers: dict[str, str],
    status: int,
) -> None:
    caplog.set_level(logging.DEBUG)
    async with served(tmp_path) as client:
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await client.session.ws_connect(f"{client.url}/v1/stream{query}", headers=headers)
        assert refused.value.status == status
    said = "".join(record.getMessage() for record in caplog.records if record.name != "asyncio")
    assert KEYS["app"] not in said + "".join(capfd.readouterr())


async def test_a_gateways_key_sends_sightings_of_its_store_and_nothing_else(
    tmp_path: Path,
) -> None:
    async with served(tmp_path) as client, stream(client, key="bound") as open_:
        told = await asked(open_, sighting(gateway_id="gw-rivoli"))
        assert told["accepted"] == 1
        for foreign in (
            sighting(gateway_id="gw-bastille", minor=2),
            sighting(device_id="phone"),
            ping("phone", RIVOLI),
        ):
            told = await asked(open_, foreign)
            assert told["problem"]["status"] == 403


async def test_a_request_that_does_not_ask_for_a_websocket_is_told_to(tmp_path: Path) -> None:
    async with served(tmp_path) as client:
        status, told, headers = await client.call("GET", "/v1/stream")
        assert (status, told["type"]) == (426, "urn:geoengine:problem:upgrade_required")
        assert headers["Upgrade"] == "websocket"


async def test_without_keys_a_page_from_elsewhere_is_not_let_in(tmp_path: Path) -> None:
    async with served(tmp_path, keys=NO_KEYS) as client:
        url = f"{client.url}/v1/stream"
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await client.session.ws_connect(url, origin="https://elsewhere.example")
        assert refused.value.status == 403
        async with client.session.ws_connect(url, origin=client.url) as open_:
            assert (await asked(open_, ping("phone", AWAY)))["accepted"] == 1


# --- limits --------------------------------------------------------------------------------------


async def test_a_message_that_is_too_large_ends_the_stream(tmp_path: Path) -> None:
    async with served(tmp_path, stream_message_bytes=1_000) as client, stream(client) as open_:
        exact = json.dumps(ping("phone", AWAY)).ljust(1_000)
        await open_.send_str(exact)
        assert (await heard(open_))["accepted"] == 1
        await open_.send_str(exact + " ")
        assert await closed(open_) == aiohttp.WSCloseCode.MESSAGE_TOO_BIG


async def test_who_is_owed_too_much_is_not_read_until_it_has_been_answered(tmp_path: Path) -> None:
    async with served(tmp_path, stream_unacked=3) as client, stream(client) as open_:
        gate, intake = await slow_down(client), client.service.context.intake
        for ix in range(10):
            await open_.send_json({"id": ix, "pings": ping(f"d{ix}", AWAY)})

        async def is_full() -> bool:
            return len(intake) == 3

        await until(is_full)
        # Another's messages come through meanwhile: nothing else of the first one has been read.
        async with stream(client) as other:
            await other.send_json(ping("other", AWAY))

            async def has_come() -> bool:
                return len(intake) >= 4

            await until(has_come)
            assert len(intake) == 4
            gate.set()
            assert (await heard(other))["ack"] == 1
        assert [(await heard(open_))["ack"] for _ in range(10)] == list(range(10))


async def test_what_comes_faster_than_allowed_is_read_later(tmp_path: Path) -> None:
    async with served(tmp_path, stream_messages_s=20.0) as client, stream(client) as open_:
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        for ix in range(30):
            await open_.send_json(ping(f"d{ix}", AWAY))
        for _ in range(30):
            await heard(open_)
        assert loop.time() - began_s > 0.4  # a second's worth at once, the others one by one


async def test_who_reads_nothing_is_told_to_come_back_later(tmp_path: Path) -> None:
    async with served(tmp_path, stream_send_bytes=128 << 10, stop_s=1) as client:
        line = socket.socket()
        line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        line.setblocking(False)
        await asyncio.get_running_loop().sock_connect(line, ("127.0.0.1", client.service.port))
        reader, writer = await asyncio.open_connection(sock=line, limit=4_096)
        writer.write(UPGRADE % b"?events=all")
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101")
        hub = client.service.context.hub
        for at in range(0, 5_000, 200):
            rows = [row for ix in range(at, at + 200) for row in walk_in(f"p{ix}")]
            await client.ok("POST", "/v1/pings", rows)
            if not len(hub):
                break

        async def is_gone() -> bool:
            return not len(hub)

        await until(is_gone)
        writer.transport.abort()
        assert 'geoengine_streams_closed_total{code="1013"} 1.0' in await page(client)


async def test_one_stream_too_many_is_told_to_come_back_and_requests_are_served(
    tmp_path: Path,
) -> None:
    async with served(tmp_path, max_streams=2, max_connections=2) as client:
        async with stream(client), stream(client):
            with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
                async with stream(client):
                    pass
            assert refused.value.status == 503
            assert "geoengine_streams 2.0" in await page(client)
        async with stream(client) as open_:
            assert (await asked(open_, ping("phone", AWAY)))["ack"] == 1


async def test_who_does_not_answer_a_heartbeat_is_dropped_and_who_does_stays(
    tmp_path: Path,
) -> None:
    async with (
        served(tmp_path, stream_heartbeat_s=0.3) as client,
        stream(client) as alive,
        stream(client, autoping=False) as dead,
    ):
        listening = asyncio.create_task(alive.receive())
        assert (await dead.receive(timeout=5)).type is aiohttp.WSMsgType.PING
        assert await closed(dead) in (None, aiohttp.WSCloseCode.ABNORMAL_CLOSURE)
        assert not listening.done()
        await alive.send_json(ping("phone", AWAY))
        assert (await listening).json()["ack"] == 1


async def test_a_clients_own_ping_is_answered(tmp_path: Path) -> None:
    async with served(tmp_path) as client, stream(client, autoping=False) as open_:
        await open_.ping(b"hello")
        told = await open_.receive(timeout=5)
        assert (told.type, told.data) == (aiohttp.WSMsgType.PONG, b"hello")


async def test_a_stop_answers_what_is_owed_and_then_says_goodbye(tmp_path: Path) -> None:
    async with contextlib.AsyncExitStack() as stack:
        client = await stack.enter_async_context(served(tmp_path))
        session = await stack.enter_async_context(aiohttp.ClientSession())
        headers = {"Authorization": f"Bearer {KEYS['app']}"}
        url = f"{client.url}/v1/stream"
        busy = await session.ws_connect(url, headers=headers)
        idle = await session.ws_connect(url, headers=headers)
        gate = await slow_down(client)
        await busy.send_json({"id": "last", "pings": walk_in("phone")})

        async def has_come() -> bool:
            return client.service.context.intake.ping_count == 3

        await until(has_come)
        goodbye = asyncio.create_task(closed(idle))
        stopping = asyncio.create_task(client.service._close_doors())
        assert await goodbye == aiohttp.WSCloseCode.GOING_AWAY
        gate.set()
        told = await heard(busy)
        assert (told["ack"], types(told)) == ("last", ["zone.entered", "trigger.fired"])
        assert await closed(busy) == aiohttp.WSCloseCode.GOING_AWAY
        await stopping
