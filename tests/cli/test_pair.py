"""What a phone is given so that it reports to us."""

from __future__ import annotations

import json
from base64 import b64decode
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from click.testing import CliRunner, Result

from geoengine.cli import main
from geoengine.cli.catalogue.pair import CLIENTS
from geoengine.service.devices import Devices, device_password

SECRET = "a secret of the service's own"
URL = "https://geo.example.com"
PASSWORD = device_password(SECRET, "jane-phone")


def pair(*arguments: str, secret: str | None = SECRET, **environ: str) -> Result:
    """The verb, with a secret in the environment."""
    known = {"GEOENGINE_DEVICE_SECRET": secret, "GEOENGINE_OWNTRACKS_KEY": None, **environ}
    return CliRunner().invoke(main, ["pair", *arguments], env=known)


def link(told: Result) -> str:
    """The link among the lines."""
    return next(line for line in told.stdout.splitlines() if "://" in line and "  " not in line)


def configured(told: Result) -> dict[str, Any]:
    """What OwnTracks reads out of its link."""
    (inline,) = parse_qs(urlsplit(link(told)).query)["inline"]
    found: dict[str, Any] = json.loads(b64decode(inline))
    return found


def test_owntracks_gets_a_link_with_its_own_password_and_a_qr_code():
    told = pair("owntracks", "jane-phone", "--url", URL + "/")
    assert told.exit_code == 0
    assert link(told).startswith("owntracks:///config?inline=")
    assert configured(told) == {
        "_type": "configuration",
        "mode": 3,
        "url": f"{URL}/in/owntracks",
        "auth": True,
        "username": "jane-phone",
        "password": PASSWORD,
        "deviceId": "jane-phone",
        "tid": "ne",
        "monitoring": 1,
        "cmd": True,
        "allowRemoteConfiguration": True,
        "remoteConfiguration": True,
    }
    assert "▀" in told.stdout
    assert told.stderr == ""


@pytest.mark.parametrize("device", ["jane-phone", "a", "Zoë's phone", "x" * 128])
def test_the_link_has_nothing_to_escape_whatever_the_device_is_called(device: str):
    told = pair("owntracks", device, "--url", URL)
    assert not set("%+=") & set(link(told).partition("inline=")[2])
    assert configured(told)["deviceId"] == device


@pytest.mark.parametrize(
    ("platform", "has", "has_not"),
    [
        ("ios", "allowRemoteConfiguration", "remoteConfiguration"),
        ("android", "remoteConfiguration", "allowRemoteConfiguration"),
    ],
)
def test_a_platform_gets_only_its_own_word_for_taking_commands(
    platform: str, has: str, has_not: str
):
    told = configured(pair("owntracks", "jane-phone", "--url", URL, "--platform", platform))
    assert told[has] is True
    assert has_not not in told


def test_the_configuration_is_written_as_a_file_that_only_its_owner_reads(tmp_path: Path):
    out = tmp_path / "jane.otrc"
    told = pair("owntracks", "jane-phone", "--url", URL, "--out", str(out))
    assert json.loads(out.read_bytes()) == configured(told)
    assert out.stat().st_mode & 0o777 == 0o600
    assert pair("overland", "jane-phone", "--out", str(out)).exit_code == 2


def test_overland_gets_a_setup_link():
    told = link(pair("overland", "jane-phone", "--url", URL))
    assert told.startswith("overland://setup?")
    assert parse_qs(urlsplit(told).query) == {
        "url": [f"{URL}/in/overland"],
        "token": [f"jane-phone:{PASSWORD}"],
        "device_id": ["jane-phone"],
    }


def test_traccar_client_gets_a_plain_url_to_scan_with_its_secret_as_the_id():
    told = link(pair("traccar", "jane-phone", "--url", URL))
    assert told.partition("?")[0] == f"{URL}/in/osmand"
    (device,) = parse_qs(urlsplit(told).query)["id"]
    assert Devices(SECRET).holder(device) == "jane-phone"


@pytest.mark.parametrize("client", ["gpslogger", "bgeo"])
def test_clients_without_a_link_get_settings_to_type(client: str):
    told = pair(client, "jane-phone", "--url", URL)
    assert f"{URL}/in/{client}" in told.stdout
    assert PASSWORD in told.stdout
    assert "▀" not in told.stdout


@pytest.mark.parametrize("client", list(CLIENTS))
def test_every_client_is_given_what_the_service_knows_the_device_by(client: str):
    told = pair(client, "jane-phone", "--url", URL, "--no-qr").stdout
    tokens = [f"jane-phone{between}{PASSWORD}" for between in ":."]
    pairs = any(token in told for token in tokens)
    assert pairs or ("jane-phone" in told and PASSWORD in told)
    assert all(Devices(SECRET).holder(token) == "jane-phone" for token in tokens)


@pytest.mark.parametrize(
    ("url", "warned"),
    [
        ("http://127.0.0.1:8080", "no phone reaches this machine"),
        ("http://geo.example.com", "anybody on the way"),
        ("https://geo.example.com", ""),
    ],
)
def test_a_url_that_will_not_do_on_a_real_phone_is_warned_of(url: str, warned: str):
    told = pair("overland", "jane-phone", "--url", url)
    assert told.exit_code == 0
    assert warned in told.stderr
    assert bool(told.stderr) is bool(warned)


def test_the_key_of_encrypted_messages_is_to_be_typed_and_not_told():
    told = pair("owntracks", "jane-phone", "--url", URL, GEOENGINE_OWNTRACKS_KEY="hush hush")
    assert "by hand" in told.stderr
    assert "hush hush" not in told.output


@pytest.mark.parametrize(
    "arguments",
    [
        ("owntracks", ""),
        ("owntracks", "a\nb"),
        ("owntracks", "jane", "--url", "geo.example.com"),
        ("owntracks", "jane", "--url", "ftp://geo.example.com"),
        ("nobody", "jane"),
    ],
)
def test_what_makes_no_sense_is_refused(arguments: tuple[str, ...]):
    assert pair(*arguments).exit_code == 2


@pytest.mark.parametrize("secret", [None, "", "short"])
def test_without_the_secret_of_the_service_there_is_no_password(secret: str | None):
    told = pair("owntracks", "jane-phone", secret=secret)
    assert told.exit_code == 2
    assert "GEOENGINE_DEVICE_SECRET" in told.stderr
