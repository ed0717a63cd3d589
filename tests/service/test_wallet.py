"""Passes: handed out, registered by phones, changed by triggers, thrown away."""

from __future__ import annotations

import asyncio
import io
import json
import zipfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jwt
import pytest

from tests.levers.push.apple_double import AppleDouble, apple
from tests.levers.wallet.authority import PASS_TYPE, Authority, authority
from tests.levers.wallet.google_double import WalletDouble, google_wallet
from tests.servers.certificates import certificates
from tests.service.serving import CATALOGUE, Client, served, walk_in

PASSES = (
    CATALOGUE.replace("levers: [log]", "levers: [wallet]\n    coupon: {kind: unique, valid: 2h}")
    + """
  public_url: https://geo.example.com
  lawful_hours: {}
  wallet:
    organization: Maison Rivoli
    description: The club's card
    apple: {pass_type: pass.com.example.club, team: TEAM123456}
    google: {issuer: "3388000000022"}
"""
)
PHONE, TOKEN = "a" * 32, "b" * 64
DOOR = "/in/wallet/v1"
IPHONE = {"User-Agent": "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X)"}


@pytest.fixture(scope="module")
def trusted(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return authority(Path(tmp_path_factory.mktemp("passes")))


@asynccontextmanager
async def shop(
    tmp_path: Path, trusted: Authority
) -> AsyncIterator[tuple[Client, AppleDouble, WalletDouble]]:
    """A service with passes, and both companies behind it."""
    files = certificates(tmp_path / "tls")
    async with apple(files, passes=str(trusted.root)) as apns, google_wallet() as google:
        apns.pass_type = PASS_TYPE
        environ = trusted.environ | {
            "GEOENGINE_PASS_PUSH_URL": apns.url,
            "GEOENGINE_PASS_PUSH_CA": str(files.authority),
            "GEOENGINE_GOOGLE_WALLET_URL": google.url,
            "GEOENGINE_GOOGLE_WALLET_ACCOUNT": google.file,
        }
        async with served(tmp_path, PASSES, environ=environ) as client:
            yield client, apns, google


def face_of(pkpass: bytes) -> dict[str, Any]:
    with zipfile.ZipFile(io.BytesIO(pkpass)) as archive:
        return json.loads(archive.read("pass.json"))


async def handed_out(client: Client, person_id: str = "ada") -> dict[str, Any]:
    """The face of somebody's pass, fetched by the link, on an iPhone."""
    link = (await client.ok("PUT", f"/v1/people/{person_id}/pass"))["link"]
    path = link.removeprefix("https://geo.example.com")
    status, pkpass, headers = await client.using(None).call("GET", path, None, IPHONE)
    assert (status, headers["Content-Type"]) == (200, "application/vnd.apple.pkpass")
    return face_of(pkpass)


async def phone(
    client: Client, face: dict[str, Any], method: str, path: str, body: Any = None, **headers: str
) -> tuple[int, Any, Any]:
    """As the holder's phone asks."""
    shown = {"Authorization": f"ApplePass {face['authenticationToken']}"} | headers
    return await client.using(None).call(method, DOOR + path, body, shown)


def registration(face: dict[str, Any], device: str = PHONE) -> str:
    return f"/devices/{device}/registrations/{PASS_TYPE}/{face['serialNumber']}"


def message_day() -> str:
    """Today, as times begin."""
    return datetime.now(UTC).strftime("%Y-%m-%d")


async def until(is_so: Any) -> None:
    """Wait for what the service does by itself."""
    async with asyncio.timeout(20):
        while not is_so():  # noqa: ASYNC110 - nothing tells when it is
            await asyncio.sleep(0.02)


async def consents(client: Client) -> dict[str, bool]:
    told = (await client.ok("GET", "/v1/people/ada/consents"))["consents"]
    return {purpose: one["granted"] for purpose, one in told.items()}


async def test_a_phone_registers_a_pass_and_is_known_the_second_time(
    tmp_path: Path, trusted: Authority
) -> None:
    async with shop(tmp_path, trusted) as (client, _, _):
        face = await handed_out(client)
        body = {"pushToken": TOKEN}
        assert face["webServiceURL"] == "https://geo.example.com/in/wallet"
        assert (await phone(client, face, "POST", registration(face), body))[0] == 201
        assert (await phone(client, face, "POST", registration(face), body))[0] == 200
        told = await client.ok("PUT", "/v1/people/ada/pass")
        assert (told["wallets"], told["phones"]) == (["apple"], 1)


async def test_nobody_without_the_passes_token_is_told_anything(
    tmp_path: Path, trusted: Authority
) -> None:
    async with shop(tmp_path, trusted) as (client, _, _):
        face, other = await handed_out(client), await handed_out(client, "bob")
        serial = face["serialNumber"]
        for shown in (other, {"authenticationToken": "", "serialNumber": serial}):
            for method, path, body in (
                ("POST", registration(face), {"pushToken": TOKEN}),
                ("DELETE", registration(face), None),
                ("GET", f"/passes/{PASS_TYPE}/{serial}", None),
            ):
                assert (await phone(client, shown, method, path, body))[0] == 401
        for path in (f"/p/{serial}{'0' * 24}", f"/p/{serial}", "/p/é"):
            assert (await client.using(None).call("GET", path, None, IPHONE))[0] == 404
        strange = f"/passes/pass.com.example.other/{serial}"
        assert (await phone(client, face, "GET", strange))[0] == 404


async def test_what_a_phone_posts_amiss_is_refused(tmp_path: Path, trusted: Authority) -> None:
    async with shop(tmp_path, trusted) as (client, _, _):
        face = await handed_out(client)
        for body in (b"", b"[", {"pushToken": ""}, {"pushToken": "../x"}, {"pushToken": 3}):
            assert (await phone(client, face, "POST", registration(face), body))[0] == 400
        for body, status in (({"logs": ["bad\nline"] * 9}, 200), ({"logs": 1}, 400), (b"x", 400)):
            assert (await phone(client, face, "POST", "/log", body))[0] == status
        assert (await phone(client, face, "POST", "/log", b"x" * 70_000))[0] == 413


async def test_a_trigger_changes_the_pass_and_its_phones_come_for_it(
    tmp_path: Path, trusted: Authority
) -> None:
    async with shop(tmp_path, trusted) as (client, apns, _):
        face = await handed_out(client)
        await phone(client, face, "POST", registration(face), {"pushToken": TOKEN})
        assert "locations" not in face
        await client.ok("PUT", "/v1/people/ada/consents/wallet")
        asked = f"/devices/{PHONE}/registrations/{PASS_TYPE}"
        status, before, _ = await phone(client, face, "GET", asked)
        assert (status, before["serialNumbers"]) == (200, [face["serialNumber"]])

        await client.ok("POST", "/v1/pings", walk_in("ada"))
        await until(lambda: apns.pushes)
        headers, said = apns.pushes[0]
        assert (headers[":path"], said) == (f"/3/device/{TOKEN}", {})

        since = f"{asked}?passesUpdatedSince={before['lastUpdated']}"
        status, after, _ = await phone(client, face, "GET", since)
        assert status == 200 and int(after["lastUpdated"]) > int(before["lastUpdated"])
        again = f"{asked}?passesUpdatedSince={after['lastUpdated']}"
        assert (await phone(client, face, "GET", again))[0] == 204
        path = f"/passes/{PASS_TYPE}/{face['serialNumber']}"
        status, pkpass, told = await phone(client, face, "GET", path)
        changed = face_of(pkpass)
        assert changed["storeCard"]["backFields"][0]["value"] == "Five minutes to Maison Rivoli."
        assert len(changed["barcodes"][0]["message"]) == 12
        assert [place["relevantText"] for place in changed["locations"]] == [
            "Five minutes to Maison Rivoli.",
            "Maison Bastille",
        ]
        assert [beacon["minor"] for beacon in changed["beacons"]] == [1, 2]
        stamp = {"If-Modified-Since": told["Last-Modified"]}
        assert (await phone(client, face, "GET", path, None, **stamp))[0] == 304


async def test_a_pass_thrown_away_is_a_consent_withdrawn_before_the_answer(
    tmp_path: Path, trusted: Authority
) -> None:
    async with shop(tmp_path, trusted) as (client, apns, _):
        face = await handed_out(client)
        for device in (PHONE, "c" * 32):
            body = {"pushToken": device * 2}
            await phone(client, face, "POST", registration(face, device), body)
        await client.ok("PUT", "/v1/people/ada/consents/wallet")
        assert (await phone(client, face, "DELETE", registration(face)))[0] == 200
        assert (await consents(client))["wallet"]  # the watch has it still
        assert (await phone(client, face, "DELETE", registration(face, "c" * 32)))[0] == 200
        assert not (await consents(client))["wallet"]
        entries = (await client.ok("GET", "/v1/people/ada/consents"))["entries"]
        assert entries[-1]["source"] == "wallet:removed"
        await client.ok("POST", "/v1/pings", walk_in("ada"))
        decided = (await client.ok("GET", "/v1/people/ada/decisions"))["decisions"]
        assert [one["reason"] for one in decided] == ["no_consent:wallet"] and not apns.pushes


async def test_where_apple_says_that_every_phone_is_gone_so_is_the_consent(
    tmp_path: Path, trusted: Authority
) -> None:
    async with shop(tmp_path, trusted) as (client, apns, _):
        face = await handed_out(client)
        await phone(client, face, "POST", registration(face), {"pushToken": TOKEN})
        await client.ok("PUT", "/v1/people/ada/consents/wallet")
        apns.answers[TOKEN] = 410, {"reason": "Unregistered", "timestamp": 1_700_000_000_000}
        await client.ok("POST", "/v1/pings", walk_in("ada"))
        await until(lambda: apns.pushes)
        async with asyncio.timeout(20):
            while (await consents(client))["wallet"]:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        assert (await client.ok("PUT", "/v1/people/ada/pass"))["phones"] == 0


async def test_of_several_phones_the_one_that_is_gone_is_told_no_more(
    tmp_path: Path, trusted: Authority
) -> None:
    async with shop(tmp_path, trusted) as (client, apns, _):
        face = await handed_out(client)
        for device, token in ((PHONE, TOKEN), ("c" * 32, "d" * 64)):
            body = {"pushToken": token}
            await phone(client, face, "POST", registration(face, device), body)
        await client.ok("PUT", "/v1/people/ada/consents/wallet")
        apns.answers[TOKEN] = 410, {"reason": "Unregistered", "timestamp": 1_700_000_000_000}
        await client.ok("POST", "/v1/pings", walk_in("ada"))
        async with asyncio.timeout(20):
            while (await client.ok("PUT", "/v1/people/ada/pass"))["phones"] != 1:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        assert (await consents(client))["wallet"]
        (held,) = (await client.ok("GET", "/v1/people/ada"))["cards"]["passes"]
        assert held["phones"] == {"c" * 32: "d" * 64}
        (sent,) = (await client.ok("GET", "/v1/outbox"))["sends"]
        assert sent["status"] == "delivered"


async def test_elsewhere_the_link_leads_to_googles_wallet_and_messages_go_there(
    tmp_path: Path, trusted: Authority
) -> None:
    async with shop(tmp_path, trusted) as (client, apns, google):
        link = (await client.ok("PUT", "/v1/people/ada/pass"))["link"]
        path = link.removeprefix("https://geo.example.com")
        url = client.using(None).url + path
        async with client.session.get(url, allow_redirects=False) as answer:
            saved = answer.headers["Location"]
        assert answer.status == 302 and len(saved) <= 1_800
        claims = jwt.decode(saved.rpartition("/")[2], options={"verify_signature": False})
        assert (claims["aud"], claims["typ"]) == ("google", "savetowallet")
        (made,) = claims["payload"]["loyaltyObjects"]
        google.objects[made["id"]] = made  # the holder has saved it

        await client.ok("PUT", "/v1/people/ada/consents/wallet")
        await client.ok("POST", "/v1/pings", walk_in("ada"))
        await until(lambda: google.messages)
        (message,) = google.messages[made["id"]].values()
        assert message["body"] == "Five minutes to Maison Rivoli."
        assert message["displayInterval"]["end"]["date"] > message_day()
        assert len(google.objects[made["id"]]["merchantLocations"]) == 2
        assert google.objects[made["id"]]["barcode"]["type"] == "QR_CODE"
        assert not apns.pushes


async def test_a_pass_that_nobody_saved_is_told_nothing_and_frees_its_place(
    tmp_path: Path, trusted: Authority
) -> None:
    async with shop(tmp_path, trusted) as (client, _, google):
        await client.ok("PUT", "/v1/people/ada/pass")
        await client.ok("PUT", "/v1/people/ada/consents/wallet")
        await client.ok("POST", "/v1/pings", walk_in("ada"))
        decided = (await client.ok("GET", "/v1/people/ada/decisions"))["decisions"]
        assert [one["reason"] for one in decided] == ["no_address:wallet"]
        assert not google.messages


async def test_who_is_erased_has_no_pass_any_more(tmp_path: Path, trusted: Authority) -> None:
    async with shop(tmp_path, trusted) as (client, _, _):
        face = await handed_out(client)
        await phone(client, face, "POST", registration(face), {"pushToken": TOKEN})
        await client.ok("DELETE", "/v1/people/ada")
        path = f"/passes/{PASS_TYPE}/{face['serialNumber']}"
        assert (await phone(client, face, "GET", path))[0] == 401
        asked = f"/devices/{PHONE}/registrations/{PASS_TYPE}"
        assert (await phone(client, face, "GET", asked))[0] == 204
