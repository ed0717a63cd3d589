"""Orders that lie ready and baskets that were left, over HTTP."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from tests.service.serving import CATALOGUE, Client, now_s, served, types, walk_in

ORDERS = CATALOGUE.replace(
    "campaigns:\n",
    """campaigns:
  - id: ready
    on: enter
    about: order_ready
    legal_basis: transactional
    levers: [log]
    message: {en: "Order {order} is ready at {store}"}
  - id: basket
    on: enter
    audience: basket_value >= 50
    priority: 9
    levers: [log]
    message: {en: "Still yours: {basket}"}
""",
)


def order(**changes: Any) -> dict[str, Any]:
    return {"order_id": "A 17", "person_id": "ada", "store_id": "rivoli"} | changes


async def comes(client: Client, person_id: str = "ada", place: Any = None) -> dict[str, str]:
    """Somebody walks in with a device of their own; reason by campaign, with the staff's news."""
    body = walk_in(f"phone-{person_id}", *([place] if place else []), person_id=person_id)
    told = await client.using("app").ok("POST", "/v1/pings", body)
    found = {
        event["data"]["campaign_id"]: event["data"].get("message", {}).get("body", "")
        for event in told["events"]
        if event["type"] == "geoengine.trigger.fired"
    }
    if "order.approaching" in types(told):
        found["staff"] = "told"
    return found


async def test_an_order_is_told_of_to_its_owner_and_to_the_staff_and_then_collected(
    tmp_path: Path,
):
    async with served(tmp_path, ORDERS) as client:
        told = await client.ok("POST", "/v1/orders", order())
        assert (told["person_id"], told["store_id"], told["told_at"]) == ("ada", "rivoli", None)
        found = await comes(client)
        assert found["ready"] == "Order A 17 is ready at Maison Rivoli"
        assert found["staff"] == "told"
        (known,) = (await client.ok("GET", "/v1/orders?store_id=rivoli"))["orders"]
        assert known["order_id"] == "A 17" and known["told_at"] is not None
        assert (await client.ok("GET", "/v1/orders?store_id=bastille"))["orders"] == []
        assert (await client.ok("GET", "/v1/orders?person_id=ada"))["orders"] == [known]
        assert await client.ok("DELETE", "/v1/orders/A%2017") == {"closed": True}
        assert await client.ok("DELETE", "/v1/orders/A%2017") == {"closed": False}
        assert (await client.ok("GET", "/v1/orders"))["orders"] == []


async def test_an_order_told_twice_is_one_and_keeps_what_the_staff_knows(tmp_path: Path):
    async with served(tmp_path, ORDERS) as client:
        first = await client.ok("POST", "/v1/orders", order())
        await comes(client)
        again = await client.ok("POST", "/v1/orders", order(ready_at=first["ready_at"]))
        assert again["told_at"] is not None
        assert len((await client.ok("GET", "/v1/orders"))["orders"]) == 1


async def test_of_many_who_tell_of_an_order_at_once_one_is_believed(tmp_path: Path):
    async with served(tmp_path, ORDERS) as client:
        people, stores = ("ada", "bob", "eve"), ("rivoli", "bastille")
        for turn in range(10):
            told = [
                order(order_id=f"o{turn}", person_id=p, store_id=s) for p in people for s in stores
            ]
            away = client.call("DELETE", f"/v1/orders/o{turn}")
            await asyncio.gather(*(client.ok("POST", "/v1/orders", each) for each in told), away)
        filed = {o["order_id"]: o for o in (await client.ok("GET", "/v1/orders"))["orders"]}
        for person_id in people:
            theirs = (await client.ok("GET", f"/v1/orders?person_id={person_id}"))["orders"]
            right = [one for one in filed.values() if one["person_id"] == person_id]
            assert sorted(o["order_id"] for o in theirs) == sorted(o["order_id"] for o in right)
            assert all(filed[o["order_id"]]["store_id"] == o["store_id"] for o in theirs)
            for one in theirs:
                await client.ok("DELETE", f"/v1/orders/{one['order_id']}")
            assert (await client.ok("GET", f"/v1/orders?person_id={person_id}"))["orders"] == []


async def test_an_order_that_turns_out_to_be_somebody_elses_is_theirs_only(tmp_path: Path):
    async with served(tmp_path, ORDERS) as client:
        await client.ok("POST", "/v1/orders", order())
        await client.ok("POST", "/v1/orders", order(person_id="bob"))
        assert (await client.ok("GET", "/v1/orders?person_id=ada"))["orders"] == []
        assert "ready" not in await comes(client, "ada")
        assert "ready" in await comes(client, "bob")


async def test_an_order_of_a_device_is_its_persons_once_that_is_known(tmp_path: Path):
    async with served(tmp_path, ORDERS) as client:
        await client.ok("POST", "/v1/orders", order(person_id="phone-ada"))
        assert "ready" in await comes(client)
        (known,) = (await client.ok("GET", "/v1/orders"))["orders"]
        assert known["person_id"] == "ada"
        assert await client.ok("DELETE", "/v1/orders/A%2017") == {"closed": True}
        assert (await client.ok("GET", "/v1/orders?person_id=ada"))["orders"] == []


async def test_orders_are_erased_with_their_person(tmp_path: Path):
    async with served(tmp_path, ORDERS) as client:
        await client.ok("POST", "/v1/orders", order())
        await client.ok("DELETE", "/v1/people/ada")
        assert (await client.ok("GET", "/v1/orders"))["orders"] == []


@pytest.mark.parametrize(
    ("changes", "where"),
    [
        ({"store_id": "nowhere"}, "$.store_id"),
        ({"until": 1_000_000_000}, "$.until"),
        ({"until": now_s() + 400 * 86_400}, "$.until"),
        ({"ready_at": "soon"}, "$.ready_at"),
        ({"order_id": ""}, "$.order_id"),
        ({"order_id": "a\x00"}, "$.order_id"),
        ({"orders": 1}, "orders"),
    ],
)
async def test_what_is_no_order_is_refused_with_its_place(
    tmp_path: Path, changes: dict[str, Any], where: str
):
    async with served(tmp_path, ORDERS) as client:
        status, told, _ = await client.call("POST", "/v1/orders", order(**changes))
        assert (status, where in told["detail"]) == (400, True), told


async def test_apps_neither_see_nor_make_orders(tmp_path: Path):
    async with served(tmp_path, ORDERS) as client:
        for method, path, body in (
            ("POST", "/v1/orders", order()),
            ("GET", "/v1/orders", None),
            ("DELETE", "/v1/orders/A", None),
            ("POST", "/v1/baskets", {"person_id": "ada", "expires_in": "2d"}),
        ):
            status, _, _ = await client.using("app").call(method, path, body)
            assert status == 403


async def test_a_basket_is_an_audience_until_it_is_ordered(tmp_path: Path):
    left = {"person_id": "ada", "value": 80, "items": 2, "expires_in": "2d"}
    left |= {"url": "https://shop.example/b/1"}
    async with served(tmp_path, ORDERS) as client:
        await client.ok("POST", "/v1/baskets", left)
        assert (await comes(client))["basket"] == "Still yours: https://shop.example/b/1"
        for person, gone in (
            ("bob", lambda: client.ok("DELETE", "/v1/baskets/bob")),
            ("cleo", lambda: client.ok("POST", "/v1/orders", order(person_id="cleo"))),
        ):
            await client.ok("POST", "/v1/baskets", left | {"person_id": person})
            await gone()
            assert "basket" not in await comes(client, person)
        assert await client.ok("DELETE", "/v1/baskets/bob") == {"closed": False}


@pytest.mark.parametrize(
    "changes", [{"expires_in": "0s"}, {"expires_in": "91d"}, {"url": "javascript:alert(1)"}]
)
async def test_what_is_no_basket_is_refused(tmp_path: Path, changes: dict[str, str]):
    async with served(tmp_path) as client:
        body = {"person_id": "ada", "expires_in": "2d"} | changes
        status, _, _ = await client.call("POST", "/v1/baskets", body)
        assert status == 400
