"""What `geoengine pair` prints opens the service's doors: as that device, and only as that."""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, parse_qsl, quote, urlencode, urlsplit

import pytest
from click.testing import CliRunner

from geoengine.cli import main
from tests.service.serving import AWAY, RIVOLI, Client, now_s, ping, served

pytest.importorskip("geoengine.service.native", reason="the native routes are not here")

SECRET = {"GEOENGINE_DEVICE_SECRET": "a secret of the service's own"}
JANE = "jane-phone"
LAT, LON = RIVOLI


def paired(client: Client, name: str) -> str:
    """What the verb prints for a phone of Jane's."""
    arguments = ["pair", name, JANE, "--url", client.url, "--no-qr"]
    told = CliRunner().invoke(main, arguments, env=SECRET)
    assert told.exit_code == 0, told.output
    return told.stdout


def link(text: str) -> str:
    """The link in it."""
    (found,) = re.findall(r"^(?:owntracks|overland|http)://?/?\S+$", text, re.M)
    return str(found)


def typed(text: str) -> dict[str, str]:
    """The settings in it."""
    pairs = (line.split("  ", 1) for line in text.splitlines() if "  " in line)
    return {name: value.strip() for name, value in pairs}


async def sent(url: str, client: Client, body: bytes, authorization: str | None) -> tuple[int, str]:
    """Status and body of what a phone posts."""
    headers = {} if authorization is None else {"Authorization": authorization}
    async with client.session.post(url, data=body, headers=headers) as reply:
        return reply.status, await reply.text()


def basic(user: str, password: str) -> str:
    """HTTP Basic, as a phone makes it."""
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def as_owntracks(text: str) -> tuple[str, bytes, str]:
    """URL, body and credential of a phone that opened the link."""
    (inline,) = parse_qs(urlsplit(link(text)).query)["inline"]
    found = json.loads(base64.b64decode(inline))
    says = {"_type": "location", "lat": LAT, "lon": LON, "tst": int(now_s()), "acc": 8, "tid": "xx"}
    return found["url"], json.dumps(says).encode(), basic(found["username"], found["password"])


def as_overland(text: str) -> tuple[str, bytes, str]:
    """The same of Overland."""
    found = dict(parse_qsl(urlsplit(link(text)).query))
    place = {"type": "Point", "coordinates": [LON, LAT]}
    facts = {"timestamp": now_s(), "horizontal_accuracy": 8, "device_id": "somebody else"}
    row = {"type": "Feature", "geometry": place, "properties": facts}
    return found["url"], json.dumps({"locations": [row]}).encode(), f"Bearer {found['token']}"


def as_traccar(text: str) -> tuple[str, bytes, None]:
    """The same of Traccar Client, which makes its URL of what it scanned: all but the query."""
    parts = urlsplit(link(text))
    says = {"id": dict(parse_qsl(parts.query))["id"], "lat": LAT, "lon": LON}
    says |= {"timestamp": int(now_s()), "accuracy": 8}
    return f"{parts.scheme}://{parts.netloc}{parts.path}", urlencode(says).encode(), None


def as_gpslogger(text: str) -> tuple[str, bytes, str]:
    """The same of GPSLogger."""
    found = typed(text)
    says = f"lat={LAT}&lon={LON}&acc=8&time={quote(str(int(now_s())))}&aid=somebody+else&"
    user, password = (found[f"Basic authentication, {what}"] for what in ("user", "password"))
    return found["URL"], says.encode(), basic(user, password)


def as_bgeo(text: str) -> tuple[str, bytes, str]:
    """The same of an app with transistorsoft's engine."""
    found = typed(text)
    says = {"timestamp": int(now_s() * 1_000), "coords": {"latitude": LAT, "longitude": LON}}
    says["coords"] |= {"accuracy": 8}  # type: ignore[operator]
    headers = json.loads(found["headers"])
    return found["url"], json.dumps({"location": says}).encode(), headers["Authorization"]


PHONES: dict[str, Any] = {
    "owntracks": as_owntracks,
    "overland": as_overland,
    "traccar": as_traccar,
    "gpslogger": as_gpslogger,
    "bgeo": as_bgeo,
}


@pytest.mark.parametrize("name", PHONES)
async def test_a_paired_phone_is_heard_as_itself(tmp_path: Path, name: str) -> None:
    async with served(tmp_path, environ=SECRET) as client:
        await client.ok("POST", "/v1/pings", [ping(JANE, AWAY, 240)])
        url, body, authorization = PHONES[name](paired(client, name))
        assert (await sent(url, client, body, authorization))[0] == 200
        # Inside twice running, once as the client says it: so both are of one device.
        await client.ok("POST", "/v1/pings", [ping(JANE, RIVOLI, -1)])
        assert (await client.service.context.state.stats()).device_count == 1
        person = await client.ok("GET", f"/v1/people/{JANE}")
        assert any(presence["zone_id"] == "rivoli" for presence in person["presences"])


@pytest.mark.parametrize("name", PHONES)
async def test_another_secret_takes_every_password_back(tmp_path: Path, name: str) -> None:
    changed = {"GEOENGINE_DEVICE_SECRET": "another secret since this morning"}
    async with served(tmp_path, environ=changed) as client:
        url, body, authorization = PHONES[name](paired(client, name))
        assert (await sent(url, client, body, authorization))[0] == 401
