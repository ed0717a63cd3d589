"""The boxes in stores: whose ears they are, and how little of what they hear gets in."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from geoengine.ingest.reports import Decoded, Origin, Sighted
from geoengine.service.native.credentials import plain
from geoengine.service.native.entering import enter
from tests.service.natives import bare_words, basic, counted, sent
from tests.service.serving import CATALOGUE, KEYS, NO_KEYS, Client, now_s, served

TAG = "0c1f5c32-6d3a-4a3b-9c43-0d5f7f7f0a01"
MINEW_SECRET = "the secret of the minew"
SECRETS = {"MINEW_SECRET": MINEW_SECRET}
GATEWAYS = """
  - {id: AC233FC03641, store: rivoli, place: entrance, kind: minew, secret: {env: MINEW_SECRET}}
  - {id: "ac:23:3f:c0:36:42", store: rivoli, kind: minew, secret: {env: UNSET_SECRET}}
  - {id: ac233fc03643, store: bastille, place: entrance, kind: minew, secret: bastilles-own-secret}
  - id: roof
    store: bastille
    place: entrance
    kind: meraki
    secret: merakis-own-secret
    validator: 0123456789abcdef
"""
LISTED = CATALOGUE.replace("engine:\n", GATEWAYS.strip("\n") + "\nengine:\n")


def minew(*minors: int, mac: str | None = None, uuid: str = TAG, ago_s: float = 0) -> bytes:
    """What a Minew gateway posts: itself, then what it has heard."""
    at = f"{int((now_s() - ago_s) * 1_000)}"
    rows: list[dict[str, Any]] = [{"type": "Gateway", "mac": mac, "timestamp": at}] if mac else []
    for minor in minors:
        rows.append(
            {
                "type": "iBeacon",
                "mac": f"AC233F{minor:06X}",
                "ibeaconUuid": uuid.replace("-", "").upper(),
                "ibeaconMajor": 7,
                "ibeaconMinor": minor,
                "rssi": -55,
                "ibeaconTxPower": -59,
                "timestamp": at,
            }
        )
    return json.dumps(rows).encode()


async def carried(client: Client, person_id: str, minor: int) -> None:
    """Bind a tag to somebody."""
    await client.ok("PUT", f"/v1/people/{person_id}", {"beacon": f"{TAG}:7:{minor}"})


async def places(client: Client, person_id: str) -> set[str]:
    """The zones in which somebody is taken to be."""
    record = (await client.service.context.state.load([person_id])).get(person_id)
    return set() if record is None else {z for z, p in record.presences.items() if p.is_inside}


async def hear(
    client: Client, path: str, headers: Mapping[str, str] | None = None, **how: Any
) -> list[int]:
    """Hear a tag three times over three seconds: enough to be there."""
    return [
        (await sent(client, path, minew(1, ago_s=ago_s, **how), headers or {}))[0]
        for ago_s in (4, 2, 0)
    ]


async def test_the_token_picks_the_gateway_whatever_the_body_says(
    tmp_path: Path, door: str
) -> None:
    async with served(tmp_path, LISTED, door=door, environ=SECRETS) as client:
        await carried(client, "ann", 1)
        path = f"/in/gw/minew/{MINEW_SECRET.replace(' ', '%20')}"
        assert await hear(client, path, mac="AC233FC03643") == [200] * 3  # bastille's
        assert await places(client, "ann") == {"rivoli", "rivoli/entrance"}


async def test_a_body_may_name_another_gateway_of_the_same_kind_and_store(
    tmp_path: Path, door: str
) -> None:
    async with served(tmp_path, LISTED, door=door, environ=SECRETS) as client:
        await carried(client, "ann", 1)
        path = f"/in/gw/minew_g1/{MINEW_SECRET.replace(' ', '%20')}"
        assert await hear(client, path, mac="AC233FC03642") == [200] * 3
        assert await places(client, "ann") == {"rivoli", "rivoli/store"}


async def test_a_secret_opens_its_own_kind_only(tmp_path: Path, door: str) -> None:
    async with served(tmp_path, LISTED, door=door, environ=SECRETS) as client:
        for path in (
            "/in/gw/ingics/bastilles-own-secret",
            "/in/gw/minew/merakis-own-secret",
            "/in/gw/minew/nobodys",
            "/in/gw/minew/",
            "/in/gw/minew",
            "/in/gw/minew/ac233fc03643",  # its name is no secret
        ):
            status, _, headers = await sent(client, path, minew(1), {})
            assert (status, headers["WWW-Authenticate"][:5]) == (401, "Basic"), path
        assert (await sent(client, "/in/gw/minew/bastilles-own-secret", minew(1), {}))[0] == 200


async def test_a_gateways_key_speaks_for_listed_gateways_of_its_store(
    tmp_path: Path, door: str
) -> None:
    async with served(tmp_path, LISTED, door=door, environ=SECRETS) as client:
        await carried(client, "ann", 1)
        bound = basic("anybody", KEYS["bound"])  # to rivoli
        await hear(client, "/in/gw/minew", bound, mac="AC233FC03643")
        assert await places(client, "ann") == set()
        assert counted(client, "minew", "strange_gateway") == 3
        await hear(client, "/in/gw/minew/ac233fc03643", bound)
        assert await places(client, "ann") == set()
        await hear(client, "/in/gw/minew", bound, mac="AC233FC03641")
        assert await places(client, "ann") == {"rivoli", "rivoli/entrance"}


async def test_the_path_may_name_the_gateway_where_a_key_lets_it_in(
    tmp_path: Path, door: str
) -> None:
    async with served(tmp_path, LISTED, door=door, environ=SECRETS) as client:
        await carried(client, "ann", 1)
        bearer = {"Authorization": f"Bearer {KEYS['gateway']}"}
        assert await hear(client, "/in/gw/minew/AC:23:3F:C0:36:43", bearer) == [200] * 3
        assert await places(client, "ann") == {"bastille", "bastille/entrance"}
        app = {"Authorization": f"Bearer {KEYS['app']}"}
        assert (await sent(client, "/in/gw/minew/ac233fc03643", minew(1), app))[0] == 401


async def test_a_request_may_name_all_of_the_address(tmp_path: Path, door: str) -> None:
    async with served(tmp_path, LISTED, door=door) as client:
        port, body = client.port, minew(1)
        for path in ("http://geo.example.com/in/gw/minew/", "/in/gw/minew/"):
            head = f"POST {path}bastilles-own-secret HTTP/1.1\r\nHost: geo.example.com\r\n"
            rest = f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
            told = await bare_words(port, (head + rest).encode() + body)
            assert told.startswith(b"HTTP/1.1 200"), path
            assert told.endswith(b"\r\n\r\n{}"), path


async def test_without_any_key_a_gateways_name_is_enough(tmp_path: Path, door: str) -> None:
    async with served(tmp_path, LISTED, door=door, environ=SECRETS, keys=NO_KEYS) as client:
        await carried(client.using(None), "ann", 1)
        assert await hear(client, "/in/gw/minew/ac233fc03643") == [200] * 3
        assert await places(client, "ann") == {"bastille", "bastille/entrance"}


async def test_strangers_get_no_further_than_the_door(tmp_path: Path, door: str) -> None:
    async with served(tmp_path, LISTED, door=door, environ=SECRETS) as client:
        await carried(client, "ann", 1)
        path = "/in/gw/minew/bastilles-own-secret"
        body = minew(*range(1, 101))
        assert (await sent(client, path, body, {}))[:2] == (200, b"{}")
        assert counted(client, "minew", "sighting") == 1
        assert counted(client, "minew", "stranger") == 99
        page = client.service.context.metrics.own_page().decode()
        assert "geoengine_pings_total 1.0" in page
        assert (await sent(client, path, minew(*range(2, 101)), {}))[0] == 200
        assert "geoengine_pings_total 1.0" in client.service.context.metrics.own_page().decode()


async def test_the_stores_own_beacons_are_no_news_to_its_gateway(tmp_path: Path, door: str) -> None:
    async with served(tmp_path, LISTED, door=door) as client:
        row = Sighted(
            uuid="f7826da6-4fa2-4e98-8024-bc5b71e0893e", major=1, minor=1, rssi_dbm=-50,
            seen_time=int(now_s() * 1_000), gateway_id="roof",
        )  # fmt: skip
        context = client.service.context
        ears = context.credentials.ears("meraki", ["merakis-own-secret"], "", context.book)
        assert ears is not None
        origin = Origin(recv_ms=context.clock())
        await enter(context, "meraki", Decoded([row]), origin, body_bytes=9, ears=ears)
        assert counted(client, "meraki", "stranger") == 1


async def test_a_gateway_cannot_speak_for_a_phone(tmp_path: Path, door: str) -> None:
    async with served(tmp_path, LISTED, door=door) as client:
        row = Sighted(
            uuid="f7826da6-4fa2-4e98-8024-bc5b71e0893e", major=1, minor=1, rssi_dbm=-50,
            seen_time=int(now_s() * 1_000), device_id="jane",
        )  # fmt: skip
        context = client.service.context
        ears = context.credentials.ears("meraki", ["merakis-own-secret"], "", context.book)
        origin = Origin(recv_ms=context.clock())
        await enter(context, "meraki", Decoded([row]), origin, body_bytes=9, ears=ears)
        assert await places(client, "jane") == set()
        assert counted(client, "meraki", "sighting") == 0


# --- Meraki ---------------------------------------------------------------------------------------


async def test_merakis_cloud_is_told_its_validator_and_nothing_else(tmp_path: Path) -> None:
    async with served(tmp_path, LISTED) as client:
        for named in ("merakis-own-secret", "roof"):
            status, told, headers = await sent(client, f"/in/gw/meraki/{named}", b"", {}, "GET")
            assert (status, told) == (200, b"0123456789abcdef")
            assert headers["Content-Type"] == "text/plain"
        assert (await sent(client, "/in/gw/meraki/nobody", b"", {}, "GET"))[0] == 401


async def test_merakis_secret_may_stand_in_the_body(tmp_path: Path, door: str) -> None:
    async with served(tmp_path, LISTED, door=door) as client:
        for secret, expected in (("merakis-own-secret", 200), ("another", 401), (7, 401)):
            body = {"version": "3.0", "secret": secret, "type": "Bluetooth", "data": {}}
            assert (await sent(client, "/in/gw/meraki/roof", body, {}))[0] == expected
        assert (await sent(client, "/in/gw/meraki/roof", b"[", {}))[0] == 401


# --- bodies ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["minew", "ingics", "ruuvi", "moko", "april_brother", "cassia"])
async def test_whatever_a_gateway_we_know_sends_is_a_success(
    tmp_path: Path, kind: str, door: str
) -> None:
    text = (
        f"  - {{id: box, store: rivoli, place: entrance, kind: {kind}, secret: boxs-own-secret}}\n"
    )
    catalogue = CATALOGUE.replace("engine:\n", text + "engine:\n")
    async with served(tmp_path, catalogue, door=door) as client:
        for body in (b"", b"{", b"[]", b"null", b"\xbb\x01", b"\xff\xfe\x00", b"[" * 5_000):
            told = await sent(client, f"/in/gw/{kind}/boxs-own-secret", body, {})
            assert told[:2] == (200, b"{}"), body
        hyphened = kind.replace("_", "-")
        assert (await sent(client, f"/in/gw/{hyphened}/boxs-own-secret", b"", {}))[0] == 200


def test_a_gateways_name_is_the_same_however_it_is_set() -> None:
    assert plain("AC:23:3f:c0:36:41") == plain("AC233FC03641") == plain("ac-23-3f-c0-36-41")


# --- the catalogue --------------------------------------------------------------------------------


async def test_another_catalogue_brings_other_secrets(tmp_path: Path, door: str) -> None:
    async with served(tmp_path, LISTED, door=door) as client:
        path = "/in/gw/minew/bastilles-own-secret"
        assert (await sent(client, path, minew(1), {}))[0] == 200
        changed = LISTED.replace("bastilles-own-secret", "bastilles-new-secret")
        (tmp_path / "config" / "catalogue.yaml").write_text(changed)
        assert await client.service.reloader.reload()
        await client.service.context.worker.turn()
        assert (await sent(client, path, minew(1), {}))[0] == 401
        assert (await sent(client, path.replace("own", "new"), minew(1), {}))[0] == 200


async def test_the_guides_five_lines_are_enough(tmp_path: Path, door: str) -> None:
    guide = (Path(__file__).parents[2] / "docs" / "gateways.md").read_text("utf-8")
    text = guide.partition("```yaml\n")[2].partition("```")[0]
    tag = guide.partition('"beacon": "')[2].partition('"')[0]
    assumed = text + "engine: {consent: {location: assumed}}\n"
    async with served(tmp_path, assumed, environ={"GW_RIVOLI": "0f" * 16}) as client:
        await client.ok("PUT", "/v1/people/ann", {"beacon": tag})
        assert tag == f"{TAG}:7:1"
        assert await hear(client, f"/in/gw/minew/{'0f' * 16}", mac="AC233FC03641") == [200] * 3
        assert await places(client, "ann") == {"rivoli", "rivoli/store"}
