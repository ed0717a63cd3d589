"""Two passes of one person: one goes on with what was said last, the other ends and says so."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from geoengine.service.consent.keeping import look_through
from geoengine.service.wallet.ending import NEWS
from geoengine.service.wallet.telling import Wallets
from geoengine.state.amending import amend
from tests.levers.wallet.authority import Authority, authority
from tests.service.serving import Client, walk_in
from tests.service.test_wallet import (
    PASS_TYPE,
    PHONE,
    TOKEN,
    consents,
    face_of,
    handed_out,
    phone,
    registration,
    shop,
    until,
)

OTHER_PHONE, OTHER_TOKEN = "c" * 32, "d" * 64


@pytest.fixture(scope="module")
def trusted(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return authority(Path(tmp_path_factory.mktemp("passes")))


async def look(client: Client) -> int:
    """As the service does every few seconds; how many passes are still to be told of."""
    context = client.service.context
    await Wallets(context).look()
    return len((await context.state.cards_from(NEWS)).cards)


async def registered(client: Client, person_id: str, device: str, token: str) -> dict[str, Any]:
    """The face of a pass that a phone of this person has taken."""
    face = await handed_out(client, person_id)
    answer = await phone(client, face, "POST", registration(face, device), {"pushToken": token})
    assert answer[0] == 201
    return face


async def fetched(client: Client, face: dict[str, Any]) -> dict[str, Any]:
    """The pass as its phone gets it by now."""
    path = f"/passes/{PASS_TYPE}/{face['serialNumber']}"
    status, pkpass, _ = await phone(client, face, "GET", path)
    assert status == 200
    return face_of(pkpass)


async def address(client: Client, person_id: str = "ada") -> str:
    """The wallets in the record."""
    return str((await client.ok("GET", f"/v1/people/{person_id}"))["addresses"].get("wallet", ""))


async def test_who_signs_in_with_a_pass_keeps_theirs_and_what_the_other_said(
    tmp_path: Path, trusted: Authority
) -> None:
    async with shop(tmp_path, trusted) as (client, apns, _):
        nameless = await registered(client, "unknown", PHONE, TOKEN)
        await client.ok("PUT", "/v1/people/unknown/consents/wallet")
        await client.ok("POST", "/v1/pings", walk_in("unknown"))
        await until(lambda: apns.pushes)
        code = (await fetched(client, nameless))["barcodes"][0]["message"]
        own = await registered(client, "ada", OTHER_PHONE, OTHER_TOKEN)
        await client.ok("PUT", "/v1/people/ada/consents/wallet")
        await client.ok("PUT", "/v1/people/ada", {"locale": "fr-FR"})

        await client.ok("PUT", "/v1/devices/unknown", {"person_id": "ada"})
        assert await look(client) == 0
        told = [headers[":path"].rpartition("/")[2] for headers, _ in apns.pushes[1:]]
        assert sorted(set(told)) == sorted([TOKEN, OTHER_TOKEN])
        ended, kept = await fetched(client, nameless), await fetched(client, own)
        assert ended["voided"] is True and "barcodes" not in ended
        assert ended["storeCard"]["backFields"][0]["value"].startswith("Cette carte a pris fin")
        assert kept["barcodes"][0]["message"] == code and "voided" not in kept

        assert await address(client) == f"apple:{own['serialNumber']}"
        assert (await handed_out(client, "unknown"))["serialNumber"] == own["serialNumber"]
        asked = f"/devices/{PHONE}/registrations/{PASS_TYPE}"
        assert (await phone(client, nameless, "GET", asked))[1]["serialNumbers"]
        await phone(client, nameless, "DELETE", registration(nameless))
        assert (await consents(client))["wallet"]  # the one that goes on is still there
        await phone(client, own, "DELETE", registration(own, OTHER_PHONE))
        assert not (await consents(client))["wallet"]


async def test_an_old_link_leads_to_the_pass_that_goes_on_and_an_old_pass_taken_again_is_void(
    tmp_path: Path, trusted: Authority
) -> None:
    async with shop(tmp_path, trusted) as (client, apns, _):
        link = (await client.ok("PUT", "/v1/people/unknown/pass"))["link"]
        old = await handed_out(client, "unknown")
        own = await registered(client, "ada", OTHER_PHONE, OTHER_TOKEN)
        await client.ok("POST", "/v1/people/ada/identify", {"devices": ["unknown"]})
        path = link.removeprefix("https://geo.example.com")
        _, pkpass, _ = await client.using(None).call(
            "GET", path, None, {"User-Agent": "Mozilla/5.0 (iPhone)"}
        )
        assert face_of(pkpass)["serialNumber"] == own["serialNumber"]
        assert "voided" not in await fetched(client, old)  # nobody has it, nothing has ended
        await phone(client, old, "POST", registration(old), {"pushToken": TOKEN})
        assert await look(client) == 0 and apns.pushes[-1][0][":path"].endswith(TOKEN)
        assert (await fetched(client, old))["voided"] is True
        assert await address(client) == f"apple:{own['serialNumber']}"


async def test_at_google_the_other_pass_expires_however_often_it_must_be_said(
    tmp_path: Path, trusted: Authority
) -> None:
    async with shop(tmp_path, trusted) as (client, _, google):
        link = (await client.ok("PUT", "/v1/people/unknown/pass"))["link"]
        url = client.url + link.removeprefix("https://geo.example.com")
        async with client.session.get(url, allow_redirects=False) as answer:
            assert answer.status == 302
        (_, serial) = (await address(client, "unknown")).split(":")
        saved = google.objects[f"3388000000022.{serial}"] = {"state": "ACTIVE"}
        await registered(client, "ada", PHONE, TOKEN)
        google.fault = 503
        await client.ok("PUT", "/v1/devices/unknown", {"person_id": "ada"})
        assert await look(client) == 1 and saved["state"] == "ACTIVE"
        google.fault = 0
        assert await look(client) == 0 and saved["state"] == "EXPIRED"
        assert saved["messages"][0]["header"] == "No longer valid"


async def test_two_passes_from_before_there_was_one_a_person_are_seen_to_by_the_hour(
    tmp_path: Path, trusted: Authority
) -> None:
    async with shop(tmp_path, trusted) as (client, _, _):
        first = await registered(client, "ada", PHONE, TOKEN)
        other = await registered(client, "bob", OTHER_PHONE, OTHER_TOKEN)
        context = client.service.context

        def both(record: Any) -> None:
            known = record.addresses["wallet"]
            record.addresses["wallet"] = f"apple:{other['serialNumber']} {known}"

        await amend(context.state, context.book, "ada", both, context.clock())
        await look_through(context)
        assert await address(client) == f"apple:{first['serialNumber']}"
        assert (await fetched(client, other))["voided"] is True


async def test_a_pass_that_ended_is_good_again_when_its_person_asks_for_one(
    tmp_path: Path, trusted: Authority
) -> None:
    async with shop(tmp_path, trusted) as (client, _, _):
        own = await handed_out(client, "ada")
        nameless = await registered(client, "unknown", OTHER_PHONE, OTHER_TOKEN)
        await client.ok("PUT", "/v1/devices/unknown", {"person_id": "ada"})
        await phone(client, own, "POST", registration(own), {"pushToken": TOKEN})
        assert (await fetched(client, own))["voided"] is True
        assert (await handed_out(client))["serialNumber"] == nameless["serialNumber"]
        await phone(client, nameless, "DELETE", registration(nameless, OTHER_PHONE))
        again = await handed_out(client)
        assert again["serialNumber"] == own["serialNumber"] and "voided" not in again
