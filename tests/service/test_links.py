"""Short links: they lead where the store is, count who follows them, and name nobody."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from geoengine.core.record import Fact
from tests.service.serving import CATALOGUE, Client, served, until, walk_in

TRACKED = CATALOGUE.replace(
    "campaigns:\n",
    """campaigns:
  - id: tracked
    on: enter
    zones: {stores: [rivoli]}
    priority: 5
    track_clicks: true
    levers: [log]
    messages: [{id: calm, message: {en: "This way: {directions}"}}]
""",
).replace("engine:\n", "engine:\n  public_url: https://geo.example.com\n")
PHONE = {"User-Agent": "Mozilla/5.0 (iPhone; CPU iPhone OS 19_1 like Mac OS X) Safari/604.1"}
ROBOT = {"User-Agent": "facebookexternalhit/1.1 Facebot Twitterbot/1.0"}


@asynccontextmanager
async def sent(tmp_path: Path, *, agrees: bool = True) -> AsyncIterator[tuple[Client, Any]]:
    """A service that has sent somebody a message with a link, and what was fired."""
    async with served(tmp_path, TRACKED) as client:
        if agrees:
            await client.ok("PUT", "/v1/people/ada/consents/measurement", {})
        body = walk_in("phone", person_id="ada")
        told = await client.using("app").ok("POST", "/v1/pings", body)
        (fired,) = [one["data"] for one in told["events"] if "fired" in one["type"]]

        async def is_sent() -> bool:
            return any(fact.kind == "sent" for fact in await facts(client))

        await until(is_sent)
        yield client, fired


async def facts(client: Client) -> list[Fact]:
    return await client.service.context.state.facts("ada")


async def follow(
    client: Client, fired: Any, method: str = "GET", headers: Any = PHONE
) -> tuple[int, str]:
    """Follow the button's link; where it leads."""
    path = fired["call_to_action"]["url"].removeprefix("https://geo.example.com")
    answer = await client.session.request(
        method, client.url + path, headers=headers, allow_redirects=False
    )
    return answer.status, answer.headers.get("Location", "")


async def clicks(client: Client) -> list[Fact]:
    return [fact for fact in await facts(client) if fact.kind == "clicked"]


async def test_a_link_leads_the_way_and_is_counted_once_a_minute(tmp_path: Path):
    async with sent(tmp_path) as (client, fired):
        assert fired["message"]["body"] == f"This way: {fired['call_to_action']['url']}"
        for _ in range(3):
            status, where = await follow(client, fired)
            assert (status, where[:29]) == (302, "https://maps.apple.com/?daddr")
        found = await clicks(client)
        assert 1 <= len({fact.id for fact in found}) <= 2  # a minute may have passed
        fact = found[0]
        assert (fact.campaign_id, fact.store_id, fact.trigger_id) == (
            "tracked", "rivoli", fired["trigger_id"],
        )  # fmt: skip
        assert fact.data == {"lever": "log", "variant": "calm", "call_to_action": "directions"}


async def test_looking_is_no_click_and_neither_is_a_machine(tmp_path: Path):
    async with sent(tmp_path) as (client, fired):
        assert (await follow(client, fired, "HEAD"))[0] == 302
        for headers in (ROBOT, {"User-Agent": ""}, PHONE | {"Sec-Purpose": "prefetch"}):
            assert (await follow(client, fired, headers=headers))[0] == 302
        assert await clicks(client) == []


async def test_of_who_did_not_agree_to_be_measured_nothing_is_counted(tmp_path: Path):
    async with sent(tmp_path, agrees=False) as (client, fired):
        assert (await follow(client, fired))[0] == 302
        assert await clicks(client) == []


async def test_a_link_leads_on_when_its_person_is_erased_and_counts_nobody(tmp_path: Path):
    async with sent(tmp_path) as (client, fired):
        await client.ok("DELETE", "/v1/people/ada")
        assert (await follow(client, fired))[0] == 302
        assert await facts(client) == []
        page = await client.service.context.state.cards_from("link/")
        assert page.cards == []


async def test_a_link_that_was_touched_leads_nowhere(tmp_path: Path):
    async with sent(tmp_path) as (client, fired):
        url = fired["call_to_action"]["url"]
        fired["call_to_action"]["url"] = url[:-1] + ("A" if url[-1] != "A" else "B")
        assert (await follow(client, fired))[0] == 404


async def test_an_app_tells_that_a_message_was_opened(tmp_path: Path):
    async with sent(tmp_path) as (client, fired):
        path, app = f"/v1/triggers/{fired['trigger_id']}/opened", client.using("app")
        told = await asyncio.gather(*(app.ok("POST", path, {"device_id": "phone"}) for _ in "ab"))
        assert [one["counted"] for one in told] == [True, True]
        opened = [fact for fact in await facts(client) if fact.kind == "opened"]
        assert {fact.data["variant"] for fact in opened} == {"calm"}
        assert len({fact.id for fact in opened}) <= 2
        status, _, _ = await app.call("POST", path, {"device_id": "another"})
        assert status == 404
