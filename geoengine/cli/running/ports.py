"""Ports that several processes are going to listen on, held by one that does not."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import msgspec

from geoengine.service.settings import Settings


@contextmanager
def held(settings: Settings) -> Iterator[Settings]:
    """The settings with numbers for ports that were to be free ones; nobody else gets these ports.

    Raises `OSError` where somebody has one already.
    """
    with ExitStack() as sockets:
        port = _hold(sockets, settings.host, settings.port)
        ingest_port = settings.ingest_port
        if ingest_port is not None:
            ingest_port = _hold(sockets, settings.host, ingest_port)
        osmand_port = settings.osmand_port
        if osmand_port is not None:
            osmand_port = _hold(sockets, settings.host, osmand_port)
        yield msgspec.structs.replace(
            settings, port=port, ingest_port=ingest_port, osmand_port=osmand_port
        )


def _hold(sockets: ExitStack, host: str, port: int) -> int:
    """Hold a port on each address of a host; which one it is."""
    found = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    for family, _, _, _, address in dict.fromkeys(found):
        holder = sockets.enter_context(socket.socket(family, socket.SOCK_STREAM))
        try:
            _bind(holder, (address[0], port, *address[2:]))
        except OSError as error:
            told = f"cannot listen on {address[0]} port {port}: {os.strerror(error.errno or 0)}"
            raise OSError(error.errno, told) from None
        port = holder.getsockname()[1]
    return port


def _bind(holder: socket.socket, address: tuple[object, ...]) -> None:
    """Bind without listening, so that who shares the port may listen and nobody else bind.

    The kernel lets everybody in who asks to share, our other crews too: a first socket that does
    not share finds out whether somebody is there. What the port's last owner left behind
    (TIME_WAIT) is in neither's way; once bound, the holder itself is in the way of such a first
    socket of others.
    """
    with socket.socket(holder.family, socket.SOCK_STREAM) as first:
        _set(first, socket.SO_REUSEADDR, True)
        first.bind(address)
        address = first.getsockname()
    _set(holder, socket.SO_REUSEADDR, True)
    _set(holder, socket.SO_REUSEPORT, True)
    holder.bind(address)
    _set(holder, socket.SO_REUSEADDR, False)


def _set(sock: socket.socket, option: int, is_on: bool) -> None:
    if sock.family == socket.AF_INET6:  # the other family has a socket of its own
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    sock.setsockopt(socket.SOL_SOCKET, option, int(is_on))
