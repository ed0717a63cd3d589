"""Pools over the wire: uploaded, given out with messages, empty; and codes that all share."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.service.serving import Client, served, types, walk_in
from tests.service.test_coupons import TILL, catalogue, facts, refusal, settled

POOL = "/v1/pools/summer"
LIMIT = 3


@asynccontextmanager
async def serving(tmp_path: Path, coupon: str, codes: list[str]) -> AsyncIterator[Client]:
    """A service with these codes in its pool, that campaigns know of."""
    async with served(tmp_path, catalogue(coupon)) as client:
        if codes:
            await client.ok("POST", POOL + "/codes", {"codes": codes})
        await look(client)
        yield client


async def look(client: Client) -> None:
    """As the service does every few seconds."""
    context = client.service.context
    await context.coupons.look(context.worker, context.metrics)


async def body_sent(client: Client, person: str) -> str:
    """What the person's message said when it left, as far as the state knows."""
    (held,) = (await client.ok("GET", f"/v1/people/{person}/coupons"))["coupons"]
    return str(held["code"])


async def held_count(client: Client, person: str) -> int:
    """How many coupons are in somebody's hands."""
    return len((await client.ok("GET", f"/v1/people/{person}/coupons"))["coupons"])


async def test_each_message_takes_a_code_of_the_pool(tmp_path: Path) -> None:
    async with serving(
        tmp_path, "{kind: pool, pool: summer}", ["SUN-1", "SUN-2", "SUN-3"]
    ) as client:
        for person in ("ann", "bob"):
            told = await client.ok("POST", "/v1/pings", walk_in(person))
            (fired,) = [e for e in told["events"] if e["type"].endswith("fired")]
            assert fired["data"]["coupon"]["code"] == "{code}"
        assert {row["status"] for row in await settled(client)} == {"delivered"}
        codes = {await body_sent(client, person) for person in ("ann", "bob")}
        assert len(codes) == 2 and codes < {"SUN-1", "SUN-2", "SUN-3"}
        assert await client.ok("GET", POOL) == {"pool_id": "summer", "left": 1, "total": 3}
        code = await body_sent(client, "ann")
        first = await client.ok("POST", TILL, {"code": code, "store_id": "rivoli"})
        assert first["first"] and first["campaign_id"] == "hello"
        unsold = ({"SUN-1", "SUN-2", "SUN-3"} - codes).pop()
        asked = {"code": unsold, "store_id": "rivoli"}
        assert await refusal(client, "POST", TILL, asked) == (404, "coupon_unknown")


async def test_a_campaign_on_an_empty_pool_is_silent_and_says_why(tmp_path: Path) -> None:
    async with serving(tmp_path, "{kind: pool, pool: summer}", []) as client:
        told = await client.ok("POST", "/v1/pings", walk_in("ann"))
        assert "trigger.suppressed" in types(told) and "trigger.fired" not in types(told)
        (decision,) = (await client.ok("GET", "/v1/people/ann/decisions"))["decisions"]
        assert decision["reason"] == "coupon_pool_empty"
        await client.ok("POST", POOL + "/codes", {"codes": ["SUN-1"]})
        await look(client)
        told = await client.ok("POST", "/v1/pings", walk_in("bob"))
        assert "trigger.fired" in types(told)


async def test_a_message_that_finds_the_pool_empty_is_refused_and_counts_under_no_cap(
    tmp_path: Path,
) -> None:
    async with serving(tmp_path, "{kind: pool, pool: summer}", ["SUN-1"]) as client:
        people = ["ann", "bob"]  # both fire before the campaign hears that one code is one too few
        await asyncio.gather(*(client.ok("POST", "/v1/pings", walk_in(one)) for one in people))
        rows = {row["person_id"]: row["reason"] for row in await settled(client)}
        assert sorted(rows.values()) == ["", "coupon_pool_empty"]
        (without,) = [person for person, reason in rows.items() if reason]
        while await held_count(client, without):  # noqa: ASYNC110 - nothing here tells when
            await asyncio.sleep(0.01)
        told = await client.ok("GET", f"/v1/people/{without}")
        assert told["triggers"] == []


async def test_codes_come_in_once(tmp_path: Path) -> None:
    async with serving(tmp_path, "{kind: pool, pool: summer}", ["SUN-1", "SUN-2"]) as client:
        body: dict[str, Any] = {"codes": ["sun1", " SUN-3 ", "", "no/path", "SUN-3"]}
        told = await client.ok("POST", POOL + "/codes", body)
        assert told == {
            "pool_id": "summer", "added": 1, "doubles": 2, "refused": [2, 3],
            "left": 3, "total": 3,
        }  # fmt: skip
        many = [f"MANY{number}" for number in range(1_000)]
        assert (await client.ok("POST", "/v1/pools/big/codes", {"codes": many}))["added"] == 1_000
        assert (await client.ok("GET", "/v1/pools"))["pools"] == [
            {"pool_id": "big", "left": 1_000, "total": 1_000},
            {"pool_id": "summer", "left": 3, "total": 3},
        ]
        assert await refusal(client, "GET", "/v1/pools/winter") == (404, "not_found")
        page = (await client.call("GET", "/metrics"))[1].decode()
        assert 'geoengine_coupons_left{pool="summer"} 2.0' in page


@pytest.mark.parametrize("limit", [LIMIT])
async def test_a_shared_code_counts_as_often_as_its_limit(tmp_path: Path, limit: int) -> None:
    shared = f"{{kind: shared, code: CABINE10, limit: {limit}}}"
    async with serving(tmp_path, shared, []) as client:
        sale = {"code": "cabine10", "store_id": "rivoli", "amount": "3.10"}
        assert await refusal(client, "POST", TILL, sale) == (400, "malformed")
        for number in range(limit):
            named = sale | {"redemption_id": f"r{number}"}
            assert (await client.ok("POST", TILL, named))["first"]
            assert (await client.ok("POST", TILL, named))["first"]
        more = sale | {"redemption_id": "more"}
        assert await refusal(client, "POST", TILL, more) == (409, "coupon_used_up")
        await look(client)
        told = await client.ok("POST", "/v1/pings", walk_in("ann"))
        assert "trigger.fired" not in types(told)
        path = "/v1/coupons/CABINE10/redemption?reason=refund&redemption_id=r0"
        await client.ok("DELETE", path)
        await client.ok("DELETE", path)
        assert (await client.ok("POST", TILL, more))["first"]
        last = sale | {"redemption_id": "last"}
        assert await refusal(client, "POST", TILL, last) == (409, "coupon_used_up")


async def test_a_shared_code_is_credited_to_who_brings_it(tmp_path: Path) -> None:
    async with serving(tmp_path, "{kind: shared, code: CABINE10}", []) as client:
        await client.ok("POST", "/v1/pings", walk_in("ann"))
        sale = {"code": "CABINE10", "store_id": "rivoli", "redemption_id": "r1"}
        told = await client.ok("POST", TILL, sale | {"person_id": "ann", "amount": "8"})
        assert told["first"]
        assert await facts(client) == [
            ("redeemed", {"coupon": "shared", "amount": 8.0, "currency": "EUR"})
        ]
        elsewhere = sale | {"store_id": "bastille", "redemption_id": "r2"}
        assert await refusal(client, "POST", TILL, elsewhere) == (409, "coupon_wrong_store")
