"""Keeps webhooks off the inside of the network, whatever a name resolves to.

Two doors. The address of the endpoint is judged once, when it is configured. Every address that a
connection is about to be made to is judged again where the socket is made: the only place that
sees literals, resolver answers and rebound names alike. (A custom resolver is no protection:
literals never reach it.)

The ranges are denied by rule and not by ``is_global`` alone, which on Python 3.11 calls multicast,
NAT64 and 6to4 addresses global.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Callable
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Any

from yarl import URL

FORBIDDEN = "forbidden_address"

# Without the operator's word: TLS and its usual second port. Others belong to something else.
PORTS = frozenset({443, 8443})

# Names that mean this machine or this network wherever they are asked.
_INSIDE_NAMES = frozenset({"localhost", "metadata"})
_INSIDE_SUFFIXES = (".localhost", ".local", ".internal", ".localdomain", ".home.arpa")

_V4: tuple[IPv4Network, ...] = tuple(
    IPv4Network(text)
    for text in (
        "0.0.0.0/8",  # this network; Linux connects 0.0.0.0 to itself
        "10.0.0.0/8",
        "100.64.0.0/10",  # carrier-grade NAT; also a cloud's metadata
        "127.0.0.0/8",
        "168.63.129.16/32",  # a cloud's platform service, on a public number
        "169.254.0.0/16",  # link-local, and most clouds' metadata
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",  # documentation
        "192.88.99.0/24",  # 6to4 relays
        "192.168.0.0/16",
        "198.18.0.0/15",  # benchmarking
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, and broadcast
    )
)
_V6: tuple[IPv6Network, ...] = tuple(
    IPv6Network(text)
    for text in (
        "::/8",  # unspecified, loopback, v4-compatible, v4-mapped
        "64:ff9b::/96",  # NAT64: an IPv4 address in disguise
        "64:ff9b:1::/48",  # NAT64, local use
        "100::/64",  # discard
        "2001::/23",  # protocol assignments, Teredo among them
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4: an IPv4 address in disguise
        "3fff::/20",  # documentation
        "5f00::/16",  # segment routing
        "fc00::/7",  # unique local
        "fe80::/10",  # link-local
        "fec0::/10",  # site-local, long deprecated
        "ff00::/8",  # multicast
    )
)

# A host whose last part is a number is an IPv4 address to some resolvers, however it is spelt.
_NUMERIC = re.compile(r"(^|\.)([0-9]+|0x[0-9a-f]*)$")

AddressInfo = tuple[int, int, int, str, tuple[Any, ...]]


class EndpointError(ValueError):
    """An address that webhooks may not be sent to; the text says why."""


class ForbiddenAddress(OSError):
    """A connection that was about to be made to an address on the inside."""


def address_fault(address: str) -> str:
    """Why this literal IP address must not be connected to; empty when it may.

    >>> address_fault("169.254.169.254"), address_fault("::ffff:10.0.0.1")
    ('169.254.0.0/16', '::/8')
    >>> address_fault("9.9.9.9")
    ''
    """
    ip = ip_address(address.partition("%")[0])
    ranges = _V6 if isinstance(ip, IPv6Address) else _V4
    for network in ranges:
        if ip in network:
            return str(network)
    return "" if ip.is_global else "not global"


def endpoint(text: str, allow_private: bool) -> URL:
    """The endpoint's URL, fit to be posted to. Raises `EndpointError`.

    With `allow_private` the operator vouches for the place: any host and port, and plain HTTP.
    """
    try:
        url = URL(text)
        port, host = url.port, url.host
    except ValueError as error:
        raise EndpointError(f"not a URL: {error}") from error
    if url.scheme not in ("https", "http") or not host:
        raise EndpointError("expected https://HOST/PATH")
    if url.user is not None or url.password is not None:
        raise EndpointError("no user or password in the address: webhooks are signed")
    if not allow_private and (fault := _outside_fault(url.scheme, host, port)):
        raise EndpointError(f"{fault}; say allow_private: true if this is meant")
    return url


def _outside_fault(scheme: str, host: str, port: int | None) -> str:
    if scheme != "https":
        return "expected https"
    if port not in PORTS:
        return f"port {port} is none of {sorted(PORTS)}"
    name = host.rstrip(".").lower()
    if name in _INSIDE_NAMES or name.endswith(_INSIDE_SUFFIXES):
        return f"{name} is a name of the inside"
    if not _is_literal(host):
        return f"{host} is no plain address" if _NUMERIC.search(name) else ""
    fault = address_fault(host)
    return f"{host} is a private or reserved address ({fault})" if fault else ""


def _is_literal(host: str) -> bool:
    try:
        ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return True


def socket_factory(allow_private: bool) -> Callable[[AddressInfo], socket.socket]:
    """What the connector makes its sockets with: none towards the inside unless allowed.

    An address that is refused is passed over; the connector goes on to the name's other ones.
    """

    def make(address_info: AddressInfo) -> socket.socket:
        family, kind, protocol, _, address = address_info
        if not allow_private and address_fault(address[0]):
            # One text for all: when every address of a name is refused, the connector passes on
            # the first of equal errors and keeps its type.
            raise ForbiddenAddress(FORBIDDEN)
        return socket.socket(family, kind, protocol)

    return make
