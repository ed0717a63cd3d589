"""The clients that already exist: who they are, what is taken in, and what they are told."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

import aiohttp
import pytest

from geoengine.ingest.clients.pushing import android_key
from geoengine.ingest.clients.sealing import sealed
from geoengine.service.devices import device_password
from tests.service.serving import (
    AWAY,
    CATALOGUE,
    KEYS,
    NO_KEYS,
    RIVOLI,
    Client,
    now_s,
    served,
    slow_down,
    until,
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


def told_as_json(device_id: str, ago_s: float) -> dict[str, Any]:
    lat, lon = RIVOLI
    coords = {"latitude": lat, "longitude": lon, "accuracy": 8, "speed": -1, "heading": -1}
    return {
        "location": {"timestamp": int(now_s() - ago_s), "coords": coords},
        "device_id": device_id,
    }


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


# --- regions --------------------------------------------------------------------------------------


async def test_owntracks_is_told_its_regions_once_and_again_when_they_change(
    tmp_path: Path,
) -> None:
    async with served(tmp_path, environ=ENVIRON) as client:
        headers = basic("jane", PASSWORD) | {"User-Agent": "Owntracks-Android/gms/420504000"}

        async def told(place: tuple[float, float], ago_s: float) -> Any:
            status, answer, _ = await sent(client, "/in/owntracks", location(place, ago_s), headers)
            assert status == 200
            return json.loads(answer)

        (command,) = await told(RIVOLI, 50)
        waypoints = command["waypoints"]["waypoints"]
        assert [command["action"], waypoints[0]["rid"]] == ["setWaypoints", "rivoli"]
        assert {waypoint["rid"] for waypoint in waypoints} == {"rivoli", "bastille"}
        assert await told(RIVOLI, 40) == []
        assert await told(AWAY, 30) == []  # a jump: where it is believed to be has not changed


async def test_an_answer_to_a_phone_that_encrypts_is_encrypted(tmp_path: Path) -> None:
    pytest.importorskip("nacl")
    async with served(tmp_path, environ=ENVIRON) as client:
        message = json.dumps(location(RIVOLI, 10)).encode()
        body = {"_type": "encrypted", "data": sealed(message, "hush")}
        _, answer, _ = await sent(client, "/in/owntracks", body, basic("jane", PASSWORD))
        assert [one["_type"] for one in json.loads(answer)] == ["encrypted"]


async def test_a_background_engine_is_told_which_regions_to_watch(tmp_path: Path) -> None:
    async with served(tmp_path) as client:
        body = told_as_json("jane", 10)
        _, first, _ = await sent(client, "/in/bgeo", body)
        (command,) = json.loads(first)["background_geolocation"]
        assert command[0] == "addGeofences"
        assert {region["identifier"] for region in command[1]} == {"rivoli", "bastille"}
        assert (await sent(client, "/in/bgeo", told_as_json("jane", 5)))[1] == b"{}"


async def test_who_has_not_agreed_to_be_located_is_told_no_regions(tmp_path: Path) -> None:
    strict = CATALOGUE.replace("location: assumed", "location: required")
    async with served(tmp_path, strict) as client:
        assert (await sent(client, "/in/bgeo", told_as_json("jane", 10)))[1] == b"{}"


async def test_overland_is_answered_as_overland_also_where_it_speaks_owntracks(
    tmp_path: Path,
) -> None:
    async with served(tmp_path) as client:
        headers = APP | {"User-Agent": "Overland/1 CFNetwork/1 Darwin/1"}
        _, told, _ = await sent(client, "/in/owntracks", location(RIVOLI), headers)
        assert told == b'{"result":"ok"}'


# --- what becomes of it ---------------------------------------------------------------------------


async def test_the_same_message_again_changes_nothing(tmp_path: Path) -> None:
    async with served(tmp_path) as client:
        batch = {"locations": [feature(RIVOLI, ago_s, "ann") for ago_s in (20, 10)]}
        found = []
        for _ in range(2):
            assert (await sent(client, "/in/overland", batch))[0] == 200
            (record,) = (await client.service.context.state.load(["ann"])).values()
            found.append((record.presences, record.fired, record.groups, record.devices))
        assert found[0] == found[1]


async def test_only_registered_beacons_get_further_than_the_door(tmp_path: Path) -> None:
    def heard(minor: int) -> dict[str, Any]:
        return {
            "_type": "beacon", "uuid": UUID.upper(), "major": 1, "minor": minor, "rssi": -60,
            "prox": 2, "acc": 1, "tid": "ja", "tst": int(now_s()),
        }  # fmt: skip

    async with served(tmp_path) as client:
        assert (await sent(client, "/in/owntracks", [heard(1), heard(9), heard(8)]))[0] == 200
        assert counted(client, "owntracks", "sighting") == 1
        assert counted(client, "owntracks", "stranger") == 2
        page = client.service.context.metrics.own_page().decode()
        assert "geoengine_pings_total 1.0" in page


def crossing(ago_s: float = 0, **more: Any) -> dict[str, Any]:
    """What OwnTracks says when the phone's system tells it of a region."""
    at = location(RIVOLI, ago_s, tid="ja")
    return {**at, "_type": "transition", "event": "enter", **more}


async def test_crossings_of_our_regions_are_told_from_those_of_others(tmp_path: Path) -> None:
    async with served(tmp_path) as client:
        for region in ({"rid": "rivoli"}, {"wtst": android_key("rivoli")}, {"rid": "home"}):
            assert (await sent(client, "/in/owntracks", crossing(**region)))[0] == 200
        assert counted(client, "owntracks", "transition") == 2
        assert counted(client, "owntracks", "strange_region") == 1


async def test_what_a_phones_own_geofencing_says_is_decisive(tmp_path: Path) -> None:
    lat, lon = RIVOLI
    vague = {"lat": lat + 0.0025, "lon": lon, "acc": 150}  # 22 m inside the edge
    async with served(tmp_path, environ=ENVIRON) as client:
        headers = basic("jane", PASSWORD)
        for body in (location(AWAY, 600), crossing(5, rid="rivoli", **vague)):
            assert (await sent(client, "/in/owntracks", body, headers))[0] == 200
        assert await is_inside(client, "jane")
        left = crossing(1, event="leave", rid="rivoli", **vague)
        assert (await sent(client, "/in/owntracks", left, headers))[0] == 200
        assert not await is_inside(client, "jane")


async def test_a_phone_that_says_only_which_region_it_is_in_is_taken_to_be_there(
    tmp_path: Path,
) -> None:
    stale = {"tst": int(now_s() - 900), "created_at": int(now_s() - 2)}  # the fix of an iPhone
    async with served(tmp_path, environ=ENVIRON) as client:
        headers = basic("jane", PASSWORD)
        body = crossing(rid="bastille", **stale)
        assert (await sent(client, "/in/owntracks", body, headers))[0] == 200
        assert await is_inside(client, "jane")
        body = crossing(rid="bastille", event="leave", **stale)
        assert (await sent(client, "/in/owntracks", body, headers))[0] == 200
        assert counted(client, "owntracks", "nowhere") == 1


async def test_an_apps_key_does_not_tell_where_the_device_it_names_was(tmp_path: Path) -> None:
    async with served(tmp_path, environ=ENVIRON) as client:
        await sent(client, "/in/bgeo", told_as_json("jane", 10))
        elsewhere = told_as_json("jane", 3_600)  # late: it is not where she is
        elsewhere["location"]["coords"] |= {"latitude": -41.3, "longitude": 174.8}
        _, told, _ = await sent(client, "/in/bgeo", elsewhere)
        assert b"rivoli" not in told


async def test_a_client_that_hangs_up_is_no_fault(tmp_path: Path) -> None:
    async with served(tmp_path, keys=NO_KEYS) as client:
        reader, writer = await asyncio.open_connection("127.0.0.1", client.service.port)
        writer.write(b"POST /in/overland HTTP/1.1\r\nHost: x\r\nContent-Length: 99\r\n\r\n{")
        writer.close()
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await reader.readexactly(1)
        assert (await sent(client, "/in/overland", b"{}", {}))[0] == 200


async def test_nobody_listens_under_another_name(tmp_path: Path) -> None:
    async with served(tmp_path) as client:
        assert (await sent(client, "/in/nobody"))[0] == 404
        assert (await sent(client, "/in/gw/nobody/x"))[0] == 404
        async with aiohttp.ClientSession() as session:
            url = f"http://127.0.0.1:{client.service.port}/in/overland"
            async with session.delete(url) as reply:
                assert reply.status == 405
