"""Sockets of this process on either side of a cable, or simply on loopback."""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import aiohttp

from tests.faults.namespaces import Namespace
from tests.servers.places import Place, free_port

T = TypeVar("T")


def inside(place: Place, do: Callable[[], T]) -> T:
    """What a function gives that makes its sockets where a place is."""
    return place.inside(do) if isinstance(place, Namespace) else do()


def listening(places: Sequence[Place]) -> list[socket.socket]:
    """The same port of loopback in each of the networks: one address for all."""
    port = free_port()
    networks = {place.host: place for place in places}.values()
    return [inside(place, lambda: socket.create_server(("127.0.0.1", port))) for place in networks]


def connector(place: Place) -> aiohttp.TCPConnector:
    """Connections from where a place is: a socket stays in the network it was made in."""

    def make(address: tuple[Any, ...]) -> socket.socket:
        return inside(place, lambda: socket.socket(*address[:3]))

    return aiohttp.TCPConnector(socket_factory=make)
