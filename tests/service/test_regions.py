"""What the service tells a phone to watch."""

from __future__ import annotations

import json
import re
from pathlib import Path
from urllib.parse import urlencode

import pytest

from geoengine.core.places.regions import REFRESH_MAX_M
from geoengine.service.routes.arriving.regions import ready
from tests.service.serving import AWAY, CATALOGUE, NO_KEYS, RIVOLI, Client, ping, served

MANY = "stores:\n" + "".join(
    f"  - {{id: s{n}, name: S{n}, location: {{lat: {48.0 + n / 50:.2f}, lon: 2.0}}, "
    "setting: city, reach: {radius_m: 300}}\n"
    for n in range(60)
)
GUIDE = (Path(__file__).parents[2] / "docs" / "clients.md").read_text()
NEAR_S0, NEAR_S50 = (48.0, 2.0), (49.0, 2.0)


def asking(lat: float, lon: float, **more: object) -> str:
    """The path of a question."""
    return "/v1/regions?" + urlencode({"lat": lat, "lon": lon} | more)


def ids(told: dict[str, list[dict[str, str]]]) -> list[str]:
    """The zones of an answer."""
    return [region["id"] for region in told["regions"]]


async def test_a_phone_hears_what_to_watch_and_where_to_ask_again(tmp_path: Path) -> None:
    async with served(tmp_path) as client:
        told = await client.using("app").ok("GET", asking(*RIVOLI))
        assert ids(told) == ["rivoli", "bastille"]
        assert told["regions"][0] == {
            "id": "rivoli",
            "name": "Maison Rivoli",
            "lat": RIVOLI[0],
            "lon": RIVOLI[1],
            "radius_m": 300.0,
            "distance_m": 0.0,
        }
        assert 1_300 < told["regions"][1]["distance_m"] < 1_500
        assert told["refresh"] == {"lat": RIVOLI[0], "lon": RIVOLI[1], "radius_m": REFRESH_MAX_M}


async def test_no_more_are_told_than_the_phone_may_watch(tmp_path: Path) -> None:
    async with served(tmp_path, MANY) as client:
        for limit in (1, 20, 100):
            told = await client.ok("GET", asking(*NEAR_S0, limit=limit))
            assert ids(told) == [f"s{n}" for n in range(min(limit, 60))]
        assert len(ids(await client.ok("GET", asking(*NEAR_S0)))) == 20


@pytest.mark.parametrize(
    "query",
    [
        "",
        "lat=48.8",
        "lat=48.8&lon=x",
        "lat=91&lon=2",
        "lat=nan&lon=2",
        "lat=48&lon=181",
        "lat=48&lon=2&limit=0",
        "lat=48&lon=2&limit=101",
        "lat=48&lon=2&accuracy_m=-1",
        "lat=48&lon=2&accuracy_m=inf",
        "lat=48&lon=2&last_lat=99&last_lon=2",
        "lat=48&lon=2&last_lat=48&last_lon=2",
        "lat=48&lon=2&last_age_s=0",
        "lat=48&lon=2&device_id=%00",
    ],
)
async def test_a_question_that_makes_no_sense_is_a_problem(tmp_path: Path, query: str) -> None:
    async with served(tmp_path) as client:
        status, told, _ = await client.call("GET", f"/v1/regions?{query}")
        assert (status, told["type"]) == (400, "urn:geoengine:problem:bad_parameter")


async def test_it_takes_a_key_of_an_app_or_a_server(tmp_path: Path) -> None:
    async with served(tmp_path) as client:
        for key, expected in ((None, 401), ("gateway", 403), ("app", 200), ("server", 200)):
            assert (await client.using(key).call("GET", asking(*RIVOLI)))[0] == expected


async def test_one_bad_fix_does_not_lose_the_zones_where_the_phone_was(tmp_path: Path) -> None:
    async with served(tmp_path, MANY) as client:
        app = client.using("app")
        before = ids(await app.ok("GET", asking(*NEAR_S0, limit=6)))
        was = {"last_lat": NEAR_S0[0], "last_lon": NEAR_S0[1], "last_age_s": 60}
        jumped = await app.ok("GET", asking(*NEAR_S50, limit=6, **was))
        assert set(ids(jumped)) & set(before) == {"s0", "s1", "s2"}
        assert set(ids(jumped)) - set(before) == {"s50", "s49", "s51"}
        assert jumped["refresh"]["radius_m"] == 0
        coarse = await app.ok("GET", asking(*NEAR_S50, limit=6, accuracy_m=5_000, **was))
        assert {"s0", "s50"} <= set(ids(coarse))


async def test_who_has_had_time_to_get_there_is_believed(tmp_path: Path) -> None:
    async with served(tmp_path, MANY) as client:
        was = {"last_lat": NEAR_S0[0], "last_lon": NEAR_S0[1], "last_age_s": 3_600}
        told = await client.ok("GET", asking(*NEAR_S50, limit=4, **was))
        assert "s0" not in ids(told)
        assert told["refresh"]["radius_m"] > 0


async def test_a_server_may_name_a_device_of_which_the_service_knows_the_place(
    tmp_path: Path,
) -> None:
    async with served(tmp_path, MANY + "engine: {consent: {location: assumed}}\n") as client:
        await client.ok("POST", "/v1/pings", [ping("phone", NEAR_S0, 60)])
        told = await client.ok("GET", asking(*NEAR_S50, limit=6, device_id="phone"))
        assert set(ids(told)) == {"s0", "s1", "s2", "s50", "s49", "s51"}
        stranger = await client.ok("GET", asking(*NEAR_S50, limit=6, device_id="stranger"))
        assert "s0" not in ids(stranger)


async def test_who_has_a_key_that_is_on_every_phone_learns_nothing_of_another_phone(
    tmp_path: Path,
) -> None:
    async with served(tmp_path) as client:
        await client.ok("POST", "/v1/pings", [ping("phone", RIVOLI, 60)])
        status, _, _ = await client.using("app").call("GET", asking(*AWAY, device_id="phone"))
        assert status == 403


async def test_without_keys_everybody_on_this_machine_may_ask(tmp_path: Path) -> None:
    async with served(tmp_path, keys=NO_KEYS) as client:
        told = await client.using(None).ok("GET", asking(*RIVOLI, device_id="phone"))
        assert len(ids(told)) == 2


async def test_after_a_reload_the_zones_of_the_new_catalogue_are_told(tmp_path: Path) -> None:
    async with served(tmp_path) as client:
        await client.ok("GET", asking(*RIVOLI))
        await reloaded(client, tmp_path, CATALOGUE.replace("radius_m: 300", "radius_m: 500"))
        told = await client.ok("GET", asking(*RIVOLI))
        assert {region["radius_m"] for region in told["regions"]} == {500.0}


async def reloaded(client: Client, tmp_path: Path, catalogue: str) -> None:
    """Put another catalogue in force."""
    (tmp_path / "config" / "catalogue.yaml").write_text(catalogue, "utf-8")
    await client.service.reloader.reload()
    await ready(client.service.context.book)


async def test_the_question_and_the_answer_of_the_guide_are_ours(tmp_path: Path) -> None:
    (asked,) = re.findall(r"https://geo\.example\.com(/v1/regions\?[^']+)", GUIDE)
    (shown,) = (json.loads(text) for text in re.findall(r"```json\n(.*?)```", GUIDE, re.S))
    async with served(tmp_path) as client:
        told = await client.using("app").ok("GET", asked)
        assert told.keys() == shown.keys()
        assert told["refresh"].keys() == shown["refresh"].keys()
        assert told["regions"][0] == shown["regions"][0]


async def test_the_ping_of_the_guide_is_one_that_is_taken(tmp_path: Path) -> None:
    (text,) = re.findall(r"/v1/pings -d '(\{.*?\})'", GUIDE, re.S)
    async with served(tmp_path) as client:
        told = await client.using("app").ok("POST", "/v1/pings", [ping("d", RIVOLI) | _aged(text)])
        assert (told["accepted"], told["rejected"]) == (1, [])


def _aged(text: str) -> dict[str, object]:
    """The guide's ping, but for its time."""
    found: dict[str, object] = json.loads(text)
    del found["fix_time"]
    return found
