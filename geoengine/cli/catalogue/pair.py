"""`geoengine pair CLIENT DEVICE`: what to give a phone so that it reports to this service.

The phone gets a password of its own, worked out of the secret that the service has (`devices`):
nothing is written anywhere, and the service need not be asked. Where the client takes a link, that
is printed with its QR code; of the others, the settings to type.
"""

from __future__ import annotations

import json
import os
from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, urlencode, urlsplit

import click
import segno

from geoengine.ingest.names import is_name
from geoengine.service.devices import (
    PASSPHRASE_VARIABLE,
    SECRET_MIN,
    SECRET_VARIABLE,
    device_password,
)
from geoengine.service.settings import is_loopback

HTTP_MODE: Final = 3  # of OwnTracks
SIGNIFICANT: Final = 1  # OwnTracks reports changes that the system notices by itself: the battery
REMOTE: Final = {"ios": "allowRemoteConfiguration", "android": "remoteConfiguration"}


@dataclass(frozen=True, slots=True)
class Phone:
    """A device, and where and how it is to report."""

    device_id: str
    password: str
    url: str  # of the service, without a slash at its end
    platform: str | None = None


@dataclass(frozen=True, slots=True)
class Pairing:
    """What a client takes: a link, or settings to type, or both."""

    settings: dict[str, str]
    link: str = ""
    file: bytes = b""  # of a client that opens one
    hints: tuple[str, ...] = field(default=())


def owntracks(phone: Phone) -> Pairing:
    """OwnTracks takes a link, or the same as a file."""
    remote = REMOTE.values() if phone.platform is None else [REMOTE[phone.platform]]
    url = f"{phone.url}/in/owntracks"
    configuration: dict[str, Any] = {
        "_type": "configuration",
        "mode": HTTP_MODE,
        "url": url,
        "auth": True,
        "username": phone.device_id,
        "password": phone.password,
        "deviceId": phone.device_id,
        "tid": phone.device_id[-2:],
        "monitoring": SIGNIFICANT,
        "cmd": True,
    } | dict.fromkeys(remote, True)
    file = _unpadded(json.dumps(configuration)).encode()
    inline = quote(b64encode(file).decode(), safe="")
    hints = (
        "Android: first allow remote configuration in the advanced settings, or open the file.",
        "iOS: both `cmd` and `allowRemoteConfiguration` must stay on, or no region is taken over.",
    )
    settings = {"Mode": "HTTP", "URL": url, "User": phone.device_id, "Password": phone.password}
    return Pairing(settings, f"owntracks:///config?inline={inline}", file, hints)


def _unpadded(text: str) -> str:
    """A text whose base64 needs no padding, so that a link of it has nothing to escape: not every
    phone takes the escape back.
    """
    return text + " " * (-len(text) % 3)


def overland(phone: Phone) -> Pairing:
    """Overland for iOS takes a link."""
    url, token = f"{phone.url}/in/overland", f"{phone.device_id}:{phone.password}"
    query = urlencode({"url": url, "token": token, "device_id": phone.device_id}, quote_via=quote)
    settings = {"Receiver endpoint": url, "Access token": token, "Device ID": phone.device_id}
    return Pairing(settings, f"overland://setup?{query}")


def traccar(phone: Phone) -> Pairing:
    """Traccar Client scans a plain URL with its own camera; its id is its only credential."""
    url, device = f"{phone.url}/in/osmand", f"{phone.device_id}.{phone.password}"
    query = urlencode({"id": device, "accuracy": "medium", "distance": 75}, quote_via=quote)
    settings = {"Device identifier": device, "Server URL": url, "Location accuracy": "medium"}
    hint = (
        "Scan it in the app: its settings have a QR button. A phone's own camera opens a browser."
    )
    return Pairing(settings, f"{url}?{query}", hints=(hint,))


def gpslogger(phone: Phone) -> Pairing:
    """GPSLogger takes no link."""
    settings = {
        "URL": f"{phone.url}/in/gpslogger",
        "HTTP method": "POST",
        "HTTP body": "%ALL",
        "Basic authentication, user": phone.device_id,
        "Basic authentication, password": phone.password,
    }
    return Pairing(settings)


def bgeo(phone: Phone) -> Pairing:
    """An app built on transistorsoft's background-geolocation has it in its code."""
    settings = {
        "url": f"{phone.url}/in/bgeo",
        "headers": f'{{"Authorization": "Bearer {phone.device_id}:{phone.password}"}}',
        "autoSync, batchSync": "true",
    }
    return Pairing(settings)


CLIENTS: Final[dict[str, Callable[[Phone], Pairing]]] = {
    one.__name__: one for one in (owntracks, overland, traccar, gpslogger, bgeo)
}


@click.command(name="pair")
@click.argument("client", type=click.Choice(list(CLIENTS)))
@click.argument("device")
@click.option(
    "--url",
    metavar="URL",
    default="http://127.0.0.1:8080",
    show_default=True,
    help="Where phones reach the service.",
)
@click.option(
    "--platform", type=click.Choice(sorted(REMOTE)), help="OwnTracks: of this phone only."
)
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE.otrc",
    help="OwnTracks: the configuration as a file, too.",
)
@click.option("--no-qr", is_flag=True, help="Leave the QR code out.")
def command(
    client: str, device: str, url: str, platform: str | None, out: Path | None, no_qr: bool
) -> None:
    """Print what a phone needs to report as DEVICE: a link and its QR code, or settings to type.

    The password in it is the device's own. It comes of GEOENGINE_DEVICE_SECRET, which must be the
    one that the service has.
    """  # fmt: skip
    phone = Phone(_named(device), device_password(_secret(), device), _checked(url), platform)
    pairing = CLIENTS[client](phone)
    if out is not None:
        _write(out, pairing.file)
    click.echo(_told(pairing, with_qr=not no_qr))
    for warning in _warnings(client, phone.url):
        click.echo(f"warning: {warning}", err=True)


def _named(device: str) -> str:
    if not is_name(device):
        raise click.BadParameter("1 to 128 printable characters", param_hint="DEVICE")
    return device


def _secret() -> str:
    secret = os.environ.get(SECRET_VARIABLE, "")
    if len(secret) < SECRET_MIN:
        raise click.UsageError(
            f"{SECRET_VARIABLE} must hold the service's secret, at least {SECRET_MIN} characters."
        )
    return secret


def _checked(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query:
        raise click.BadParameter("expected http(s)://HOST[:PORT][/PATH]", param_hint="--url")
    return url.rstrip("/")


def _write(out: Path, file: bytes) -> None:
    """A file that only its owner reads: the password is in it."""
    if not file:
        raise click.UsageError("Only owntracks takes a file.")
    descriptor = os.open(out, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as handle:
        handle.write(file)


def _told(pairing: Pairing, *, with_qr: bool) -> str:
    width = max(map(len, pairing.settings))
    lines = [f"{name:<{width}}  {value}" for name, value in pairing.settings.items()]
    if pairing.link:
        lines += ["", pairing.link]
        if with_qr:
            lines += ["", _drawn(pairing.link)]
    if pairing.hints:
        lines += ["", *pairing.hints]
    return "\n".join(lines)


def _drawn(link: str) -> str:
    drawing = StringIO()
    segno.make_qr(link, error="l").terminal(drawing, border=2, compact=True)
    return drawing.getvalue()


def _warnings(client: str, url: str) -> list[str]:
    """What would keep this from working, or safe, on a real phone."""
    parts, found = urlsplit(url), []
    if is_loopback(parts.hostname or ""):
        found.append("no phone reaches this machine under that name; give --url")
    elif parts.scheme == "http":
        found.append("over http anybody on the way reads the password; use https")
    if client == "owntracks" and os.environ.get(PASSPHRASE_VARIABLE):
        found.append(
            f"the service reads encrypted messages: type {PASSPHRASE_VARIABLE} into the app's "
            "encryption key by hand, which no link carries"
        )
    return found
