"""Who may call what."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from geoengine.cli.running.serve import refuse_open_door
from geoengine.service.auth import ANYONE, Caller, Keys, keys_from
from geoengine.service.http.problems import Problem
from geoengine.service.routes import ROUTES
from geoengine.service.routes.table import Route
from geoengine.service.settings import Settings, SettingsError, is_loopback
from tests.service.serving import KEYS, NO_KEYS, UUID, now_s, ping, served, walk_in

PATHS = {
    "{person_id}": "somebody",
    "{device_id}": "phone",
    "{purpose}": "push",
    "{store_id}": "rivoli",
}
# Here a key of the right kind is not enough: an app names a device of that person.
NOT_BY_KIND = {("/v1/people/{person_id}/coupons", "app")}
REST = re.compile(r"\{[a-z_]+\}")
HEARD = {"uuid": UUID, "major": 1, "minor": 1, "rssi_dbm": -60}
GRANTED = {"source": "test", "text_version": "1"}


def path_of(route: Route) -> str:
    path = route.path
    for name, value in PATHS.items():
        path = path.replace(name, value)
    return REST.sub("x", path)


async def test_every_route_opens_to_the_kinds_its_row_names_and_to_nobody_else(
    tmp_path: Path,
) -> None:
    async with served(tmp_path) as client:
        for route in ROUTES:
            for name in (None, "app", "gateway", "server"):
                if (route.path, name) in NOT_BY_KIND:
                    continue
                key = "bound" if name == "gateway" else name  # tills are of a store
                status, _, _ = await client.using(key).call(route.method, path_of(route), b"")
                expected = (
                    None if route.is_public or (name and name in route.who | {"server"})
                    else 401 if name is None
                    else 403
                )  # fmt: skip
                told = status if status in (401, 403) else None
                assert told == expected, (route.method, route.path, name, status)


async def test_an_app_may_withdraw_a_consent_but_not_give_one(tmp_path: Path) -> None:
    async with served(tmp_path) as client:
        app = client.using("app")
        path = "/v1/people/ann/consents/push"
        assert (await app.call("PUT", path, GRANTED))[0] == 403
        assert (await client.ok("PUT", path, GRANTED))["granted"]
        assert not (await app.ok("DELETE", path))["granted"]


@pytest.mark.parametrize(
    "header",
    ["", "Bearer", "Bearer ", "Bearer wrong", "Basic " + KEYS["server"], KEYS["server"]],
)
async def test_a_call_without_a_known_key_is_told_to_bring_one(tmp_path: Path, header: str) -> None:
    async with served(tmp_path) as client:
        status, told, headers = await client.using(None).call(
            "GET", "/v1/zones", headers={"Authorization": header}
        )
        assert status == 401
        assert headers["WWW-Authenticate"].startswith("Bearer")
        assert headers["Content-Type"].startswith("application/problem+json")
        assert told["type"] == "urn:geoengine:problem:unauthorized"
        assert KEYS["server"] not in str(told)


async def test_a_gateways_key_speaks_only_for_gateways_of_its_store(
    tmp_path: Path, door: str
) -> None:
    own = {**HEARD, "gateway_id": "gw-rivoli", "seen_time": now_s()}
    foreign = {**HEARD, "minor": 2, "gateway_id": "gw-bastille", "seen_time": now_s()}
    phones = {**HEARD, "device_id": "phone", "seen_time": now_s()}
    async with served(tmp_path, door=door) as client:
        bound = client.using("bound")
        assert (await bound.ok("POST", "/v1/sightings", own))["accepted"] == 1
        assert (await bound.call("POST", "/v1/sightings", foreign))[0] == 403
        assert (await bound.call("POST", "/v1/sightings", phones))[0] == 403
        told = await bound.ok("POST", "/v1/sightings", [own, foreign, phones])
        assert told["accepted"] == 1
        assert told["rejected"] == [
            {"index": 1, "reason": "gateway_forbidden"},
            {"index": 2, "reason": "gateway_forbidden"},
        ]
        told = await client.using("gateway").ok("POST", "/v1/sightings", [own, foreign])
        assert told["accepted"] == 2


async def test_an_apps_key_cannot_speak_for_a_gateway(tmp_path: Path, door: str) -> None:
    row = {**HEARD, "gateway_id": "gw-rivoli", "seen_time": now_s()}
    async with served(tmp_path, door=door) as client:
        assert (await client.using("app").call("POST", "/v1/sightings", row))[0] == 403


async def test_without_any_key_everybody_on_this_machine_is_let_in(
    tmp_path: Path, door: str
) -> None:
    async with served(tmp_path, keys=NO_KEYS, door=door) as client:
        told = await client.using(None).ok("POST", "/v1/pings", walk_in("phone"))
        assert told["accepted"] == 3
        assert (await client.using(None).call("GET", "/v1/zones"))[0] == 200


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.org", ""])
def test_without_any_key_nothing_but_loopback_is_listened_on(host: str) -> None:
    with pytest.raises(SettingsError, match="no key"):
        refuse_open_door(Settings(host=host), NO_KEYS)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost", "127.8.8.8"])
def test_loopback_needs_no_key(host: str) -> None:
    assert is_loopback(host)
    refuse_open_door(Settings(host=host), NO_KEYS)


def test_keys_come_from_the_environment_and_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "keys"
    file.write_text("# till\nserver s2\n\ngateway rivoli=g3\n", "utf-8")
    keys = keys_from(
        {
            "GEOENGINE_APP_KEYS": "a1, a2,",
            "GEOENGINE_GATEWAY_KEYS": "bastille=g1,g2==,gw=",
            "GEOENGINE_SERVER_KEYS": "s1",
            "GEOENGINE_KEYS_FILE": str(file),
        }
    )
    found = {key: keys.caller(f"Bearer {key}") for key in ("a2", "g1", "g2==", "gw=", "s1", "g3")}
    assert found == {
        "a2": Caller("app"),
        "g1": Caller("gateway", "bastille"),
        "g2==": Caller("gateway"),  # padding of base64, not the store g2
        "gw=": Caller("gateway"),
        "s1": Caller("server"),
        "g3": Caller("gateway", "rivoli"),
    }
    with pytest.raises(Problem):
        keys.caller("Bearer ")


def test_a_bad_line_of_the_keys_file_is_named_without_its_text(tmp_path: Path) -> None:
    file = tmp_path / "keys"
    file.write_text("server fine\nadmin topsecret\n", "utf-8")
    with pytest.raises(SettingsError, match=r"keys:2: expected") as raised:
        keys_from({"GEOENGINE_KEYS_FILE": str(file)})
    assert "topsecret" not in str(raised.value)
    with pytest.raises(SettingsError, match="cannot read"):
        keys_from({"GEOENGINE_KEYS_FILE": str(tmp_path / "none")})


def test_no_key_configured_means_nobody_is_asked_for_one() -> None:
    assert keys_from({}).is_empty
    assert Keys(()).caller(None) is ANYONE


async def test_a_key_is_compared_whatever_its_characters(tmp_path: Path, door: str) -> None:
    async with served(tmp_path, door=door) as client:
        headers = {"Authorization": "Bearer clé-€"}
        status, _, _ = await client.using(None).call(
            "POST", "/v1/pings", [ping("d", (1, 1))], headers
        )
        assert status == 401


def test_keys_that_can_be_guessed_are_counted() -> None:
    keys = keys_from(
        {"GEOENGINE_APP_KEYS": "short,0123456789abcdef", "GEOENGINE_GATEWAY_KEYS": "s=k"}
    )
    assert keys.short_count == 2
