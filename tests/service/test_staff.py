"""The shop hears of who comes for an order, on its own devices: a whole service."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from geoengine.core.telling.staff import DEVICES_MAX
from tests.levers.push.google_double import Google, fcm, fcm_error, google
from tests.service.serving import CATALOGUE, Client, served, until, walk_in

TOKEN = "cXk:APA91b"
DEVICES = "/v1/stores/rivoli/devices"
COUNTER = {"push_token": TOKEN, "platform": "android", "locale": "fr-FR"}
ORDER = {"order_id": "A 17", "person_id": "ada", "store_id": "rivoli"}
DOWN = fcm_error(503, "UNAVAILABLE")
DEAD = fcm_error(404, "NOT_FOUND", fcm("UNREGISTERED"))


@asynccontextmanager
async def shop(tmp_path: Path, double: Google) -> AsyncIterator[Client]:
    """A service that can push, whose shop has a tablet at the counter."""
    environ = {"GEOENGINE_FCM_ACCOUNT": double.file, "GEOENGINE_FCM_URL": double.url}
    async with served(tmp_path, CATALOGUE + "  push: {fcm: {}}\n", environ=environ) as client:
        await client.ok("PUT", f"{DEVICES}/counter", COUNTER)
        yield client


async def comes(client: Client) -> None:
    """Ada walks in."""
    body = walk_in("phone-ada", person_id="ada")
    await client.using("app").ok("POST", "/v1/pings", body)


async def ended(client: Client, count: int = 1) -> list[tuple[str, str]]:
    """How so many rows for staff ended: status and reason."""

    async def look() -> list[tuple[str, str]] | None:
        rows = (await client.ok("GET", "/v1/outbox"))["sends"]
        over = [
            (row["status"], row["reason"])
            for row in rows
            if row["lever"] == "staff" and row["settled"]
        ]
        return sorted(over) if len(over) == count else None

    found: list[tuple[str, str]] = await until(look)
    return found


async def names(client: Client) -> list[str]:
    """The devices of the shop."""
    return [one["device_id"] for one in (await client.ok("GET", DEVICES))["devices"]]


async def test_the_tablet_at_the_counter_gets_one_push_with_the_order_and_the_arrival(
    tmp_path: Path,
):
    async with google(None) as double, shop(tmp_path, double) as client:
        await client.ok("POST", "/v1/orders", ORDER | {"name": "Mme L."})
        await comes(client)
        assert await ended(client) == [("delivered", "")]
        await comes(client)
        [message] = double.messages
        assert message["token"] == TOKEN
        assert message["notification"]["title"] == "Commande A 17 Mme L."
        assert message["data"].keys() == {"order_id", "store_id", "arrival"}
        assert message["data"]["order_id"] == "A 17" and message["data"]["arrival"].endswith("Z")
        assert "collapseKey" not in message["android"]
        assert "ada" not in json.dumps(message)
        (order,) = (await client.ok("GET", "/v1/orders"))["orders"]
        assert order["told_at"] is not None and order["name"] == "Mme L."


async def test_a_tablet_without_the_app_is_forgotten_and_the_others_are_told(tmp_path: Path):
    async with google(None) as double, shop(tmp_path, double) as client:
        other = {"push_token": "dYk:APA91c", "platform": "android"}
        await client.ok("PUT", f"{DEVICES}/office", other)
        double.errors[TOKEN] = DEAD
        await client.ok("POST", "/v1/orders", ORDER)
        await comes(client)
        expected = [("delivered", ""), ("refused", "token_dead (UNREGISTERED)")]
        assert await ended(client, 2) == expected

        async def is_forgotten() -> bool:
            return await names(client) == ["office"]

        await until(is_forgotten)


async def test_a_tablet_that_is_taken_away_between_two_tries_is_not_tried_again(tmp_path: Path):
    async with google(None) as double, shop(tmp_path, double) as client:
        double.errors[TOKEN] = DOWN
        await client.ok("POST", "/v1/orders", ORDER)
        await comes(client)

        async def is_tried() -> bool:
            return bool(double.messages)

        await until(is_tried)
        await client.ok("DELETE", f"{DEVICES}/counter")
        assert await ended(client) == [("refused", "no_device")]


async def test_of_who_took_back_being_located_the_shop_hears_nothing(tmp_path: Path):
    async with google(None) as double, shop(tmp_path, double) as client:
        await client.ok("POST", "/v1/orders", ORDER)
        await client.ok("PUT", "/v1/people/ada/consents/location", {"source": "app"})
        await client.ok("DELETE", "/v1/people/ada/consents/location")
        await comes(client)
        assert (await client.ok("GET", "/v1/outbox"))["sends"] == []
        assert double.messages == []


async def test_a_shop_registers_its_devices_with_its_own_key_and_nobody_elses(tmp_path: Path):
    async with google(None) as double, shop(tmp_path, double) as client:
        bound = client.using("bound")
        told = await bound.ok("PUT", f"{DEVICES}/office", COUNTER)
        assert (told["device_id"], told["platform"], told["locale"]) == (
            "office", "android", "fr-FR",
        )  # fmt: skip
        assert TOKEN not in json.dumps(await bound.ok("GET", DEVICES))
        elsewhere = "/v1/stores/bastille/devices"
        for key, path in (("bound", elsewhere), ("gateway", DEVICES), ("app", DEVICES)):
            other = client.using(key)
            assert (await other.call("GET", path))[0] == 403
            assert (await other.call("PUT", f"{path}/x", COUNTER))[0] == 403
            assert (await other.call("DELETE", f"{path}/x"))[0] == 403
        assert (await bound.ok("DELETE", f"{DEVICES}/office"))["was_there"]
        assert not (await bound.ok("DELETE", f"{DEVICES}/office"))["was_there"]
        assert await names(client) == ["counter"]


async def test_a_shop_has_so_many_devices_and_no_more(tmp_path: Path):
    async with google(None) as double, shop(tmp_path, double) as client:
        for number in range(1, DEVICES_MAX):
            await client.ok("PUT", f"{DEVICES}/{number}", COUNTER)
        status, told, _ = await client.call("PUT", f"{DEVICES}/more", COUNTER)
        assert (status, told["type"]) == (409, "urn:geoengine:problem:too_many_devices")
        assert "take one away" in told["detail"]
        await client.ok("PUT", f"{DEVICES}/counter", COUNTER | {"push_token": "new"})
        assert len(await names(client)) == DEVICES_MAX


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/v1/stores/nowhere/devices/a", COUNTER, 404),
        (f"{DEVICES}/a%00", COUNTER, 400),
        (f"{DEVICES}/a", COUNTER | {"push_token": ""}, 400),
        (f"{DEVICES}/a", COUNTER | {"platform": "windows"}, 400),
        (f"{DEVICES}/a", COUNTER | {"person_id": "ada"}, 400),
    ],
)
async def test_what_is_no_device_of_a_shop_is_refused(
    tmp_path: Path, path: str, body: dict[str, Any], status: int
):
    async with served(tmp_path) as client:
        assert (await client.call("PUT", path, body))[0] == status
