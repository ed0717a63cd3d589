"""Where a broker is and how to be there: what a URL after ``--mqtt`` says."""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Final
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

import msgspec
from msgspec import Meta, Struct

from geoengine.service.settings import SettingsError

PORTS: Final = {"mqtt": 1_883, "mqtts": 8_883}
_LEVELS = r"^[^/+#$][^+#]*$"  # plain topic levels; a wildcard among them would catch anybody's


class Options(Struct, frozen=True, forbid_unknown_fields=True):
    """What may stand after the question mark; files are named as in the URL of a state."""

    share: Annotated[str, Meta(pattern=r"^[^/+#]*$")] = "geoengine"  # "": a subscription of its own
    prefix: Annotated[str, Meta(pattern=_LEVELS)] | None = None  # levels before all topics
    kinds: str = ""  # with commas between; empty: all there are
    client_id: str = ""
    session_s: Annotated[int, Meta(ge=0, le=7 * 86_400)] = 600  # the broker keeps ours so long
    version: Annotated[str, Meta(pattern=r"^(auto|5|3\.1\.1)$")] = "auto"
    ssl_ca_certs: str = ""
    ssl_certfile: str = ""
    ssl_keyfile: str = ""


class _Socket(ssl.SSLSocket):
    """Closes itself when its handshake fails: paho, which made it, leaves it to the collector."""

    def do_handshake(self, block: bool = False) -> None:
        """Agree on keys, or be closed."""
        try:
            super().do_handshake(block)
        except BaseException:
            self.close()
            raise


@dataclass(frozen=True, slots=True)
class Address:
    """One broker. Its password is shown by nothing: `text` is what logs and pages say."""

    host: str
    port: int
    is_secure: bool
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    options: Options = field(default_factory=Options)

    @property
    def text(self) -> str:
        """The URL without what is secret in it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'mqtts' if self.is_secure else 'mqtt'}://{host}:{self.port}"

    @property
    def kinds(self) -> frozenset[str]:
        """The kinds that are wanted; empty for all."""
        return frozenset(filter(None, self.options.kinds.split(",")))

    def trust(self) -> ssl.SSLContext | None:
        """Whom to believe, and what to show; read anew for each connection, as files are renewed.

        Raises `OSError` where a file cannot be used.
        """
        if not self.is_secure:
            return None
        options = self.options
        context = ssl.create_default_context(cafile=options.ssl_ca_certs or None)
        if options.ssl_certfile:
            context.load_cert_chain(options.ssl_certfile, options.ssl_keyfile or None)
        context.sslsocket_class = _Socket
        return context


def addresses_of(text: str) -> list[Address]:
    """The brokers of a setting: URLs with spaces between.

    Raises
    ------
    SettingsError
        Saying what is wrong with one of them, without its user or password.
    """
    return [_address_of(url) for url in text.split()]


def _address_of(url: str) -> Address:
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise SettingsError("GEOENGINE_MQTT: this is no URL: mqtt://HOST:PORT") from None
    if parts.scheme not in PORTS or not host or parts.path.strip("/"):
        raise SettingsError(
            "GEOENGINE_MQTT: expected mqtt://USER:PASSWORD@HOST:PORT or mqtts://…, and no path"
        )
    address = Address(
        host=host,
        port=port or PORTS[parts.scheme],
        is_secure=parts.scheme == "mqtts",
        user=None if parts.username is None else unquote(parts.username),
        password=None if parts.password is None else unquote(parts.password),
        options=_options(parts),
    )
    _refuse_missing(address)
    return address


def _options(parts: SplitResult) -> Options:
    found = dict(parse_qsl(parts.query, keep_blank_values=True))
    if not found.get("prefix", "-"):
        del found["prefix"]
    try:
        return msgspec.convert(found, Options, strict=False)
    except msgspec.ValidationError as error:
        raise SettingsError(f"GEOENGINE_MQTT: {error}") from None


def _refuse_missing(address: Address) -> None:
    """Say now which file is not there, and not with each attempt to connect."""
    options = address.options
    for name in ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile"):
        path = getattr(options, name)
        if path and not address.is_secure:
            raise SettingsError(f"GEOENGINE_MQTT: {name} is for mqtts://")
        if path and not Path(path).is_file():
            raise SettingsError(f"GEOENGINE_MQTT: {name}: there is no file {path}")
