"""The clients that already exist: who they are, what is taken in, and what they are told."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.service.natives import (
    APP,
    DONE,
    ENVIRON,
    FILES,
    PASSWORD,
    ROUTES,
    bare_words,
    basic,
    counted,
    feature,
    is_command,
    is_inside,
    location,
    sent,
    told_as_json,
)
from tests.service.serving import (
    KEYS,
    NO_KEYS,
    RIVOLI,
    now_s,
    served,
    slow_down,
    until,
)

# --- answers --------------------------------------------------------------------------------------


@pytest.mark.skipif(not FILES, reason="the shared messages of real clients are not here")
async def test_every_message_of_a_real_client_is_a_success_in_the_clients_own_words(
    tmp_path: Path,
) -> None:
    async with served(tmp_path, environ=ENVIRON) as client:
        for file in FILES:
            route, raw = ROUTES[file.parent.name], file.read_bytes()
            path, body, method = f"/in/{route}", raw, "POST"
            if raw.startswith((b"/", b"http")):
                path += "?" + raw.decode().strip().partition("?")[2]
                body, method = b"", "GET"
            status, told, _ = await sent(client, path, body, method=method)
            assert status == 200, file.name
            assert told == DONE[route] or is_command(told), file.name


async def test_whatever_somebody_we_know_sends_is_a_success(tmp_path: Path) -> None:
    odd = [b"", b"{", b"[]", b"null", b"\xff\xfe\x00", b'{"_type":7}', b"[" * 5_000, b"=&=&", b"0"]
    async with served(tmp_path, environ=ENVIRON) as client:
        for route, done in DONE.items():
            for body in odd:
                for method in ("POST", "PUT"):
                    status, told, _ = await sent(client, f"/in/{route}", body, method=method)
                    assert (status, told) == (200, done), (route, body)
        assert (await sent(client, "/v1/pings"))[0] == 400  # where it is our own contract


async def test_a_body_beyond_the_limit_is_dropped_and_never_asked_for_again(
    tmp_path: Path,
) -> None:
    async with served(tmp_path, max_body_bytes=1_000) as client:
        status, told, _ = await sent(client, "/in/overland", b" " * 300_000)
        assert (status, told) == (200, DONE["overland"])
        assert (await sent(client, "/in/overland", b"{}"))[0] == 200


async def test_overland_is_told_whom_it_talks_to_before_it_has_a_key(tmp_path: Path) -> None:
    async with served(tmp_path) as client:
        status, told, headers = await sent(client, "/in/overland", headers={}, method="GET")
        assert (status, headers["Content-Type"]) == (200, "application/json")
        assert json.loads(told)["name"] == "geoengine"
        bad = {"Authorization": "Bearer nobody"}
        assert (await sent(client, "/in/overland", headers=bad, method="GET"))[0] == 401


async def test_what_finds_no_room_is_to_come_again_and_is_not_refused(tmp_path: Path) -> None:
    async with served(tmp_path, queue_pings=1) as client:
        gate = await slow_down(client)
        first = asyncio.create_task(sent(client, "/in/owntracks", location(RIVOLI, tid="aa")))
        intake = client.service.context.intake

        async def waits() -> bool:
            return len(intake) > 0

        await until(waits)
        status, told, headers = await sent(client, "/in/owntracks", location(RIVOLI, tid="bb"))
        assert (status, headers["Retry-After"]) == (503, "1")
        assert json.loads(told)["type"] == "urn:geoengine:problem:again"
        gate.set()
        assert (await first)[0] == 200


async def test_a_body_that_drips_is_to_come_again(tmp_path: Path) -> None:
    async with served(tmp_path, body_timeout_s=0.2) as client:
        head = b"POST /in/overland/%s HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{"
        told = await bare_words(client.service.port, head % KEYS["app"].encode())
        assert told.startswith(b"HTTP/1.1 503")


# --- who it is ------------------------------------------------------------------------------------


@pytest.mark.parametrize("route", DONE)
async def test_who_shows_nothing_that_is_known_is_told_so(tmp_path: Path, route: str) -> None:
    shown: list[dict[str, str]] = [
        {},
        {"Authorization": "Bearer nobody"},
        {"Authorization": f"Bearer {KEYS['gateway']}"},
        {"Authorization": f"Bearer jane:{PASSWORD[:-1]}a"},
        {"Authorization": f"Bearer john:{PASSWORD}"},
        {"Authorization": "Basic !!!"},
        basic("jane", "wrong"),
    ]
    async with served(tmp_path, environ=ENVIRON) as client:
        for headers in shown:
            status, _, told = await sent(client, f"/in/{route}", b'{"id":1}', headers)
            assert (status, told["WWW-Authenticate"][:5]) == (401, "Basic"), headers
        assert (await sent(client, f"/in/{route}/jane:{PASSWORD[1:]}a", b"{}", {}))[0] == 401


TOKEN = f"jane:{PASSWORD}"
SHOWN_BY_JANE: dict[str, tuple[str, dict[str, str]]] = {
    "as Basic": ("", basic("jane", PASSWORD)),
    "as a bearer": ("", {"Authorization": f"Bearer {TOKEN}"}),
    "as Basic that is not base64": ("", {"Authorization": f"Basic {TOKEN}:"}),
    "in the path": (f"/{TOKEN}", {}),
    "in the path, as it is quoted": (f"/{quote(TOKEN, safe='')}", {}),
    "in the path, with a dot": (f"/jane.{PASSWORD}", {}),
    "in the query": (f"?api_key={quote(TOKEN)}", {}),
}


@pytest.mark.parametrize("how", SHOWN_BY_JANE)
async def test_with_a_devices_password_the_device_is_the_passwords_and_not_the_bodys(
    tmp_path: Path, how: str
) -> None:
    more, headers = SHOWN_BY_JANE[how]
    async with served(tmp_path, environ=ENVIRON) as client:
        for ago_s in (20, 10):
            body = location(RIVOLI, ago_s, topic="owntracks/eve/phone", tid="ev")
            assert (await sent(client, "/in/owntracks" + more, body, headers))[0] == 200
        batch = {"locations": [feature(RIVOLI, ago_s, "eve") for ago_s in (8, 6)]}
        assert (await sent(client, "/in/overland" + more, batch, headers))[0] == 200
        assert await is_inside(client, "jane")
        assert not await is_inside(client, "eve/phone")
        assert not await is_inside(client, "eve")


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        ("/in/overland", APP),
        ("/in/overland", basic("anybody", KEYS["app"])),
        (f"/in/overland/{KEYS['app']}", {}),
        (f"/api/v1/overland/batches?api_key={KEYS['app']}", {}),
        ("/in/overland", {"Authorization": f"Basic {KEYS['app']}:"}),
    ],
)
async def test_with_an_apps_key_the_device_is_whom_the_body_says(
    tmp_path: Path, path: str, headers: dict[str, str]
) -> None:
    async with served(tmp_path, environ=ENVIRON) as client:
        batch = {"locations": [feature(RIVOLI, ago_s, "ann") for ago_s in (20, 10)]}
        assert (await sent(client, path, batch, headers))[:2] == (200, DONE["overland"])
        assert await is_inside(client, "ann")


async def test_without_any_key_everybody_on_this_machine_is_believed(tmp_path: Path) -> None:
    async with served(tmp_path, keys=NO_KEYS) as client:
        batch = {"locations": [feature(RIVOLI, ago_s, "ann") for ago_s in (20, 10)]}
        assert (await sent(client, "/in/overland", batch, {}))[0] == 200
        assert await is_inside(client, "ann")


# --- Traccar Client -------------------------------------------------------------------------------


def query(device_id: str, ago_s: float) -> str:
    lat, lon = RIVOLI
    at = f"lat={lat}&lon={lon}&accuracy=8"
    return f"id={quote(device_id)}&timestamp={now_s() - ago_s:.0f}&{at}"


async def test_what_traccar_client_calls_itself_may_be_its_password(tmp_path: Path) -> None:
    token = f"jane.{PASSWORD}"
    async with served(tmp_path, environ=ENVIRON) as client:
        assert (await sent(client, f"/in/osmand?{query(token, 20)}", b"", {}))[:2] == (200, b"")
        assert (await sent(client, "/in/osmand", query(token, 15).encode(), {}))[0] == 200
        assert (await sent(client, "/in/osmand", told_as_json(token, 10), {}))[0] == 200
        assert (await sent(client, f"/in/osmand?{query('jane', 5)}", b"", {}))[0] == 401
        assert await is_inside(client, "jane")
        assert counted(client, "osmand", "position") == 3


async def test_traccar_client_has_a_door_of_its_own_where_every_path_is_right(
    tmp_path: Path,
) -> None:
    async with served(tmp_path, keys=NO_KEYS, osmand_port=0) as client:
        port = client.service.osmand_port
        for number, path in enumerate(("/", "/anything/below", "http://example.org/there")):
            head = f"POST {path}?{query('jane', 20 - number)} HTTP/1.1\r\n"
            rest = "Host: example.org\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
            told = await bare_words(port, (head + rest).encode())
            assert told.startswith(b"HTTP/1.1 200")
            assert b"Content-Length: 0" in told
        assert await is_inside(client, "jane")
        assert (await sent(client, "/", query("jane", 0).encode(), {}, port=port))[0] == 200
        assert counted(client, "osmand", "position") == 4


async def test_who_comes_in_by_traccar_clients_door_is_counted_and_streams_are_not(
    tmp_path: Path,
) -> None:
    async with served(tmp_path, keys=NO_KEYS, osmand_port=0) as client:
        count = client.service.context.connection_count
        before = count()
        url = f"http://127.0.0.1:{client.service.port}/v1/stream"
        reader, writer = await asyncio.open_connection("127.0.0.1", client.service.osmand_port)
        try:
            async with client.session.ws_connect(url):

                async def is_counted() -> bool:
                    return count() == before + 1

                await until(is_counted)
        finally:
            writer.close()
            assert await reader.read() == b""


async def test_without_a_port_for_traccar_client_the_bare_root_is_ours(tmp_path: Path) -> None:
    async with served(tmp_path) as client:
        assert client.service.osmand_port == 0
        assert (await sent(client, f"/?{query('jane', 1)}", b"", {}))[0] == 405


async def test_where_pushes_go_is_kept_with_the_platform_that_was_known(tmp_path: Path) -> None:
    async with served(tmp_path) as client:
        await client.ok("PUT", "/v1/devices/jane", {"push_token": "old", "platform": "android"})
        assert (await sent(client, "/in/osmand", b"id=jane&notificationToken=new"))[0] == 200
        records = await client.service.context.state.load(["jane"])
        assert records["jane"].push_tokens == {"jane": ["android", "new"]}
