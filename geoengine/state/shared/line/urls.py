"""What a state's URL says: which servers, as whom, how safely, under which prefix.

Read by hand: the standard library takes neither several hosts nor IPv6 among them. A password must
never be seen again, so no fault repeats any part of the URL, and `Target.hide` cleans what others
say.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple
from urllib.parse import parse_qsl, unquote

from geoengine.core.errors import ConfigurationError, Fault

PORT: Final = 6379
REPLICAS_MAX: Final = 8
PARTITIONS: Final = 256
PARTITIONS_MAX: Final = 16_384  # as many as a Cluster has slots
_SCHEMES: Final = ("redis", "rediss", "redis+cluster", "rediss+cluster", "unix")
_FILES: Final = ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile")
_OPTIONS: Final = {"prefix", "replicas", "partitions", "db", "ssl_check_hostname", *_FILES}
_TRUTHS: Final = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
# Braces would move the hash tag; the rest would have to be escaped in patterns.
_PREFIX = re.compile(r"[A-Za-z0-9_.:-]{1,64}")


class Address(NamedTuple):
    """Where a server listens: a host and a port, or the path of a socket and no port."""

    host: str
    port: int

    def __str__(self) -> str:
        if not self.port:
            return self.host
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True)
class Target:
    """A URL, read."""

    seeds: tuple[Address, ...]
    is_cluster: bool = False
    user: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)
    db: int = 0
    tls: dict[str, str | bool] | None = None  # None is no TLS; else options by redis-py's names
    prefix: str = "geoengine"
    replicas: int | None = None  # how many must have acknowledged a write; None is auto
    partitions: int = PARTITIONS  # counts for whoever begins the state

    def hide(self, text: str) -> str:
        """A text that may be shown: some servers echo the command they refuse, AUTH included."""
        return text.replace(self.password, "***") if self.password else text


def parse_url(url: str) -> Target:
    """What the URL says. Raises `ConfigurationError`, whose text repeats nothing of it."""
    scheme, separator, rest = url.partition("://")
    if not separator or scheme not in _SCHEMES:
        raise _fault(f"expected {', '.join(_SCHEMES[:-1])} or {_SCHEMES[-1]}, then ://")
    where, _, query = rest.partition("?")
    options = _options(query)
    authority, slash, path = where.partition("/")
    user, password, hosts = _who(authority)
    is_cluster = scheme.endswith("+cluster")
    is_socket = scheme == "unix"
    seeds = (_socket(slash + path),) if is_socket else _seeds(hosts, is_cluster)
    db = _number(options.pop("db", "0" if is_socket else path or "0"), "the database", 10_000)
    if is_cluster and db:
        raise _fault("a Cluster has database 0 only")
    replicas = options.pop("replicas", "auto")
    return Target(
        seeds=seeds,
        is_cluster=is_cluster,
        user=user,
        password=password,
        db=db,
        prefix=_prefix(options.pop("prefix", "geoengine")),
        replicas=None if replicas == "auto" else _number(replicas, "replicas", REPLICAS_MAX),
        partitions=_number(
            options.pop("partitions", str(PARTITIONS)), "partitions", PARTITIONS_MAX, least=1
        ),
        tls=_tls(options, scheme.startswith("rediss")),
    )


def _fault(what: str) -> ConfigurationError:
    return ConfigurationError([Fault("state", 1, 1, f"the URL: {what}")])


def _options(query: str) -> dict[str, str]:
    options = dict(parse_qsl(query, keep_blank_values=True))
    if options.keys() - _OPTIONS:
        raise _fault(f"an unknown option; known are {', '.join(sorted(_OPTIONS))}")
    return options


def _who(authority: str) -> tuple[str | None, str | None, str]:
    """User, password and what is left: the hosts."""
    who, at, hosts = authority.rpartition("@")
    if not at:
        return None, None, hosts
    user, colon, password = who.partition(":")
    if not colon:
        raise _fault("a user needs a password, even if an empty one: user:@host")
    return unquote(user) or None, unquote(password), hosts


def _seeds(hosts: str, is_cluster: bool) -> tuple[Address, ...]:
    seeds = tuple(_address(host) for host in hosts.split(","))
    if len(seeds) > 1 and not is_cluster:
        raise _fault("several hosts are for redis+cluster:// and rediss+cluster://")
    return seeds


def _address(text: str) -> Address:
    found = re.fullmatch(r"(?:\[([0-9A-Fa-f:.%]+)\]|([^\[\]:@/?#\s]+))(?::([0-9]{1,5}))?", text)
    if found is None:
        raise _fault("expected host:port or [IPv6]:port; other signs must be percent-encoded")
    port = int(found[3] or PORT)
    if not 0 < port < 65_536:
        raise _fault("expected a port from 1 to 65535")
    return Address(unquote(found[1] or found[2]), port)


def _socket(path: str) -> Address:
    if len(path) < 2:
        raise _fault("expected the path of a socket: unix:///run/redis.sock")
    return Address(unquote(path), 0)


def _number(text: str, what: str, most: int, *, least: int = 0) -> int:
    if not re.fullmatch(r"[0-9]{1,5}", text) or not least <= int(text) <= most:
        raise _fault(f"expected for {what} a number from {least} to {most}")
    return int(text)


def _prefix(text: str) -> str:
    if not _PREFIX.fullmatch(text):
        raise _fault("expected for prefix letters, digits and _ . : -, at most 64 of them")
    return text


def _tls(options: dict[str, str], is_wanted: bool) -> dict[str, str | bool] | None:
    """What remains of the options is about TLS."""
    if not is_wanted:
        if options:
            raise _fault("options about TLS need rediss:// or rediss+cluster://")
        return None
    tls: dict[str, str | bool] = {}
    for name, text in options.items():
        if name in _FILES and not Path(text).is_file():
            raise _fault(f"no such file for {name}")
        if name not in _FILES and text.lower() not in _TRUTHS:
            raise _fault(f"expected for {name} true or false")
        tls[name] = text if name in _FILES else _TRUTHS[text.lower()]
    return tls
