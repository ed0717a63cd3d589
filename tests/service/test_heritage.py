"""What is known over a restart: since when zones have their shape, and the key of coupons."""

from __future__ import annotations

from pathlib import Path

from tests.service.serving import AWAY, CATALOGUE, ping, served, types

WIDER = CATALOGUE.replace("{radius_m: 300}", "{radius_m: 20000}", 1)
COUPONS = CATALOGUE.replace(
    'message: {en: "Five minutes to {store}."}',
    'message: {en: "Use {code}"}\n    coupon: {kind: unique}',
    1,
)


async def test_whoever_stands_in_a_zone_that_came_with_a_restart_did_not_walk_in(tmp_path: Path):
    async with served(tmp_path) as client:
        await client.ok("POST", "/v1/pings", ping("phone", AWAY, 60))
    async with served(tmp_path, WIDER) as client:
        told = await client.ok("POST", "/v1/pings", ping("phone", AWAY, 1))
        assert types(told) == ["zone.entered", "trigger.suppressed"]
        assert told["events"][0]["data"]["initial"] is True
        assert told["events"][1]["data"]["reason"] == "initial"


async def test_a_zone_that_was_there_before_the_restart_is_walked_into(tmp_path: Path):
    async with served(tmp_path) as client:
        await client.ok("POST", "/v1/pings", ping("phone", AWAY, 240))
    async with served(tmp_path) as client:
        told = await client.ok("POST", "/v1/pings", ping("phone", (48.8583, 2.3470), 1))
        assert types(told) == ["zone.entered", "trigger.fired"]


async def test_a_visit_ends_when_its_zone_is_gone_after_a_restart(tmp_path: Path):
    async with served(tmp_path, WIDER) as client:
        await client.ok("POST", "/v1/pings", ping("phone", AWAY, 1))
        assert (await client.ok("GET", "/v1/people/phone"))["presences"]
    async with served(tmp_path) as client:
        await client.ok("POST", "/v1/pings", ping("phone", AWAY, 0))
        person = await client.call("GET", "/v1/people/phone")
        assert person[0] == 404 or person[1]["presences"] == []


async def test_the_key_of_coupons_is_made_once(tmp_path: Path):
    keys = []
    for _ in range(2):
        async with served(tmp_path, COUPONS) as client:
            keys.append(client.service.context.book.coupon_key)
    assert keys[0] == keys[1]
    assert len(keys[0]) == 32
