"""What operators look at."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from geoengine.service.http.openapi import document
from geoengine.service.routes import ROUTES
from tests.service.serving import CATALOGUE, Client, served, until, walk_in

PUSHED = CATALOGUE.replace("levers: [log]", "levers: [push]")


async def page(client: Client) -> str:
    told: str = (await client.call("GET", "/metrics"))[1].decode()
    return told


async def test_health_tells_what_is_served(tmp_path: Path) -> None:
    async with served(tmp_path) as client:
        told = await client.using(None).ok("GET", "/healthz")
        assert (told["status"], told["stores"], told["zones"]) == ("ok", 2, 4)
        assert told["book_version"]
        assert not {"worker", "workers"} & told.keys()  # it is by itself
        assert (await client.using(None).ok("GET", "/readyz"))["status"] == "ok"
        client.service.context.is_stopping = True
        status, told, _ = await client.call("GET", "/readyz")
        assert (status, told["status"]) == (503, "stopping")


async def test_metrics_count_what_happened(tmp_path: Path) -> None:
    async with served(tmp_path) as client:
        await client.ok("POST", "/v1/pings", walk_in("phone"))
        await client.ok("POST", "/v1/pings", [{"device_id": "d"}])
        sends = client.service.context.state.sends

        async def sent() -> bool:
            return bool(await sends("delivered"))

        await until(sent)
        told = await page(client)
        for line in (
            "geoengine_pings_total 3.0",
            'geoengine_rejects_total{reason="lat_missing"} 1.0',
            'geoengine_transitions_total{kind="enter"} 1.0',
            'geoengine_decisions_total{outcome="fired",reason="ok"} 1.0',
            'geoengine_sends_total{lever="log",status="delivered"} 1.0',
            "geoengine_batch_pings_count 1.0",
            "geoengine_commit_seconds_count 1.0",
            "geoengine_queue_pings 0.0",
            "geoengine_outbox_pending 0.0",
            "geoengine_outbox_oldest_age_seconds 0.0",
            "geoengine_people 1.0",
            "geoengine_workers_missing 0.0",
        ):
            assert line in told, line


async def test_metrics_name_nobody_and_no_place(tmp_path: Path) -> None:
    async with served(tmp_path) as client:
        await client.ok("POST", "/v1/pings", walk_in("canary"))
        told = await page(client)
        assert "canary" not in told
        assert "48.8" not in told


async def test_the_catalogue_in_force_can_be_drawn(tmp_path: Path) -> None:
    async with served(tmp_path) as client:
        for path in ("/v1/zones", "/v1/stores"):
            status, told, headers = await client.call("GET", path)
            assert status == 200
            assert headers["Content-Type"].startswith("application/geo+json")
            assert told["type"] == "FeatureCollection"
            ids = [feature["properties"]["id"] for feature in told["features"]]
            assert {"rivoli", "bastille"} <= set(ids)
        campaigns = (await client.ok("GET", "/v1/campaigns"))["campaigns"]
        assert [one["id"] for one in campaigns] == ["hello", "text"]
        assert campaigns[0]["on"] == "enter"


async def test_the_outbox_shows_how_messages_ended_and_not_where_they_went(tmp_path: Path) -> None:
    async with served(tmp_path, PUSHED) as client:
        await client.ok("PUT", "/v1/devices/phone", {"push_token": "secret-token"})
        await client.ok("PUT", "/v1/people/phone/consents/push", {"source": "test"})
        await client.ok("POST", "/v1/pings", walk_in("phone"))

        async def refused() -> list[object]:
            found: list[object] = (await client.ok("GET", "/v1/outbox?status=refused"))["sends"]
            return found

        (row,) = await until(refused)
        assert (row["lever"], row["reason"]) == ("push", "no_sender:push")
        assert "secret-token" not in json.dumps(row)
        assert (await client.ok("GET", "/v1/outbox?status=pending"))["sends"] == []


async def test_a_place_under_the_caps_is_given_back_when_nothing_could_be_sent(
    tmp_path: Path,
) -> None:
    async with served(tmp_path, PUSHED) as client:
        await client.ok("PUT", "/v1/devices/phone", {"push_token": "tok"})
        await client.ok("PUT", "/v1/people/phone/consents/push", {"source": "test"})
        await client.ok("POST", "/v1/pings", walk_in("phone"))

        async def released() -> bool:
            loaded = await client.service.context.state.load(["phone"])
            return not loaded["phone"].fired

        assert await until(released)


async def test_only_dead_messages_can_be_tried_again(tmp_path: Path) -> None:
    async with served(tmp_path) as client:
        told = await client.ok("POST", "/v1/outbox/retry", {"send_ids": ["nobody"]})
        assert told == {"send_ids": []}
        assert (await client.call("POST", "/v1/outbox/retry", {"send_ids": []}))[0] == 400


async def test_the_root_says_where_to_look(tmp_path: Path) -> None:
    async with served(tmp_path) as client:
        told = await client.using(None).ok("GET", "/")
        for path in told["links"].values():
            assert (await client.call("GET", path))[0] == 200


async def test_the_contract_names_every_route_with_its_keys(tmp_path: Path) -> None:
    async with served(tmp_path) as client:
        told = await client.using(None).ok("GET", "/openapi.json")
        assert told == json.loads(json.dumps(document(ROUTES)))
        assert told["openapi"].startswith("3.1")
        for route in ROUTES:
            operation = told["paths"][route.path][route.method.lower()]
            assert operation["summary"]
            assert bool(operation["security"]) is not route.is_public
            done = "101" if route.is_upgrade else "302" if route.is_redirect else "200"
            assert done in operation["responses"]


def test_every_parameter_of_the_contract_says_what_it_is() -> None:
    mute = [
        f"{method} {path}: {parameter['name']}"
        for path, operations in document(ROUTES)["paths"].items()
        for method, operation in operations.items()
        for parameter in operation["parameters"]
        if not parameter["description"]
    ]
    assert mute == [], "say it in the query's type, or in http/openapi.py"


def test_every_schema_and_reference_of_the_contract_holds() -> None:
    told = document(ROUTES)
    for schema in told["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema)
    text = json.dumps(told)
    for part in ("schemas", "responses"):
        for chunk in text.split(f'"#/components/{part}/')[1:]:
            assert chunk.split('"')[0] in told["components"][part]


@pytest.mark.parametrize("path", ["/v1/pings", "/v1/sightings"])
def test_the_contract_takes_one_row_many_or_lines(path: str) -> None:
    body = document(ROUTES)["paths"][path]["post"]["requestBody"]
    assert set(body["content"]) == {"application/json", "application/x-ndjson"}
    assert len(body["content"]["application/json"]["schema"]["oneOf"]) == 2
