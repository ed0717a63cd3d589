"""Where a server listens: on loopback, or in a network of its own."""

from __future__ import annotations

import random
import socket
from typing import Protocol

# Below the range from which Linux gives ports to whoever connects: a server that is down for a
# while finds its port free when it comes back.
_PORTS = range(12_000, 32_000)
_random = random.SystemRandom()  # tests that seed the common one must not choose the same ports


class Place(Protocol):
    """A host to listen on, and how to get there."""

    host: str
    enter: tuple[str, ...]  # before a command that is to run there

    def connect(self, port: int, timeout_s: float) -> socket.socket: ...


class Loopback:
    """This machine, heard by nobody else."""

    host = "127.0.0.1"
    enter = ()

    def connect(self, port: int, timeout_s: float) -> socket.socket:
        """A connection to a port of ours."""
        return socket.create_connection((self.host, port), timeout_s)


def free_port() -> int:
    """A port on which nobody listens here now."""
    while True:
        port = _random.choice(_PORTS)
        with socket.socket() as trying:
            trying.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                trying.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
