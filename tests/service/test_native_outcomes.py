"""What becomes of what existing clients say: regions they are told, people it is taken for."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from geoengine.ingest.clients.pushing import android_key
from geoengine.ingest.clients.sealing import sealed
from tests.service.natives import (
    APP,
    ENVIRON,
    PASSWORD,
    UUID,
    basic,
    counted,
    feature,
    is_inside,
    location,
    sent,
    told_as_json,
)
from tests.service.serving import (
    AWAY,
    CATALOGUE,
    NO_KEYS,
    RIVOLI,
    now_s,
    served,
)

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
