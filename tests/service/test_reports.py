"""Reports of a running service: from pings over HTTP to figures over HTTP."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from geoengine.core.ids import share_of
from tests.service.serving import CATALOGUE, RIVOLI, Client, ping, served
from tests.service.test_coupons import catalogue, given

MEASURED = CATALOGUE.replace("hello\n", 'hello\n    hold_out: "50%"\n', 1) + (
    "  measure: {consent: location, people_min: 2, door: {radius_m: 300, stay: 2m}}\n"
)
FAR, SHOP = {"lat": 48.9583, "lon": 2.3470}, {"lat": 48.8583, "lon": 2.3470}


def day_of(device: str, start_ms: int) -> list[dict[str, Any]]:
    """Comes by, leaves, comes back an hour later to stay, and leaves."""
    seconds = [
        (0, FAR),
        (60, SHOP),
        (120, SHOP),
        (400, FAR),
        (4000, SHOP),
        (4300, SHOP),
        (4500, FAR),
    ]
    return [
        {"device_id": device, "fix_time": start_ms + s * 1000, "accuracy_m": 10, **place}
        for s, place in seconds
    ]


async def lived(client: Client, devices: list[str]) -> None:
    start_ms = client.service.context.clock() - 5_000_000
    for step in range(7):
        rows = [day_of(device, start_ms)[step] for device in devices]
        await client.ok("POST", "/v1/pings", rows)


async def test_pings_become_visits_and_a_report(tmp_path: Path):
    devices = [f"d{ix}" for ix in range(12)]
    held = [one for one in devices if share_of("holdout", "hello", one) < 0.5]
    async with served(tmp_path, MEASURED) as client:
        await lived(client, devices)
        stores = await client.ok("GET", "/v1/reports/stores")
        (shop,) = stores["stores"]
        assert (shop["store_id"], shop["figures"]["people"]) == ("rivoli", 12)
        assert shop["figures"]["by"] == {"door": 24}
        told = await client.ok("GET", "/v1/reports/campaigns?by=store&window=1d")
        (hello,) = told["campaigns"]
        assert hello["campaign_id"] == "hello"
        assert hello["figures"]["entries"] == 24
        assert hello["figures"]["suppressed"]["stale"] == 24
        assert [cell["cell"] for cell in hello["cells"]] == ["rivoli"]
        assert held and told["people_min"] == 2


@pytest.mark.parametrize(
    "query", ["from=yesterday", "by=colour", "window=1y", "confidence=2", "from=2026-02-30",
              "from=0001-01-01", "to=9999-12-31", "from=2026-11-10&to=2026-11-01", "window=900d"],
)  # fmt: skip
async def test_what_makes_no_sense_is_said(tmp_path: Path, query: str):
    async with served(tmp_path) as client:
        status, told, _ = await client.call("GET", f"/v1/reports/campaigns?{query}")
        assert (status, told["type"]) == (400, "urn:geoengine:problem:bad_parameter")


async def test_only_a_servers_key_reads_reports(tmp_path: Path):
    async with served(tmp_path) as client:
        for path in ("/v1/reports/campaigns", "/v1/reports/stores"):
            assert (await client.using("app").call("GET", path))[0] == 403
            assert (await client.using(None).call("GET", path))[0] == 401


async def test_who_is_held_out_and_who_is_spoken_to_are_compared_live(tmp_path: Path):
    devices = [f"d{ix}" for ix in range(40)]
    async with served(tmp_path, MEASURED) as client:
        start_ms = client.service.context.clock() - 900_000
        for after_s, place in ((0, FAR), (830, SHOP)):  # come by now, five minutes from the shop
            rows = [
                {"device_id": one, "fix_time": start_ms + after_s * 1000, "accuracy_m": 10, **place}
                for one in devices
            ]
            await client.ok("POST", "/v1/pings", rows)
        told = await client.ok("GET", "/v1/reports/campaigns")
        (hello,) = told["campaigns"]
        held_count = sum(share_of("holdout", "hello", one) < 0.5 for one in devices)
        assert hello["figures"]["suppressed"] == {"holdout": held_count}
        lift = hello["figures"]["lift"]
        assert (lift["held_out"]["people"], lift["held_out"]["value"]) == (held_count, 0.0)
        assert (lift["treated"]["people"], lift["treated"]["value"]) == (40 - held_count, 0.0)
        assert lift["verdict"] == "not_shown"


async def figures(client: Client, query: str = "") -> dict[str, Any]:
    told = await client.ok("GET", f"/v1/reports/campaigns{query}")
    (hello,) = [one for one in told["campaigns"] if one["campaign_id"] == "hello"]
    found: dict[str, Any] = hello["figures"]
    return found


@pytest.mark.parametrize("reason", ["mistake", "refund"])
async def test_what_a_till_takes_back_was_never_redeemed(tmp_path: Path, reason: str):
    text = catalogue("{kind: unique, valid: 2h}").replace(
        "consent: location}", "consent: location, people_min: 2}"
    )
    async with served(tmp_path, text) as client:
        for person in ("ann", "bob", "cleo"):
            code = await given(client, person)
            await client.ok("POST", "/v1/pings", [ping(person, RIVOLI, 1)])
            sale = {"code": code, "store_id": "rivoli", "amount": "12.50"}
            await client.ok("POST", "/v1/redemptions", sale)
        found = await figures(client)
        assert (found["entries"], found["sent"], found["delivered"]) == (3, 3, 3)
        assert (found["redemptions"], found["revenue"]) == (3, {"EUR": 37.5})
        await client.ok("DELETE", f"/v1/coupons/{code}/redemption?reason={reason}")
        for query in ("", "?by=store", "?by=hour", "?by=weekday"):
            found = await figures(client, query)
            assert (found["redemptions"], found["revenue"]) == (2, {"EUR": 25.0})
