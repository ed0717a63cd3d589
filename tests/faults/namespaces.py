"""Two networks of their own, joined by a cable that can be pulled.

What a partition does cannot be shown on loopback: killing a master there loses nothing, because
no client goes on talking to it. Here a master and its clients stand on one side, the rest of the
Cluster on the other. Nothing outside is touched: the cable lies between namespaces that no other
process is in, and they are gone with the last process in them, at the latest with this interpreter.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
import socket
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import pytest

from tests.servers import keeper
from tests.servers.server import wait_until

# RFC 5737: addresses for documentation, which lead nowhere else.
_SIDES = (("192.0.2.1", "02:00:00:00:00:01"), ("192.0.2.2", "02:00:00:00:00:02"))
_PREFIX_LENGTH = 30
_NOBODY = "02:00:00:00:00:03"  # locally administered as those above, and nobody's
_CLONE_NEWNET = 0x40000000
_T = TypeVar("_T")


@dataclass(frozen=True)
class Namespace:
    """One side: a `tests.servers.places.Place`, with an address, loopback and an end of the cable.

    ``enter`` goes before a command that is to run inside; the process is the caller's to end.
    """

    host: str
    card: str  # the hardware address of its end
    pid: int  # of a process that does nothing but live there

    @property
    def enter(self) -> tuple[str, ...]:
        return ("nsenter", f"--net=/proc/{self.pid}/ns/net")

    def run(self, *command: str) -> str:
        """Run a command inside to its end; what it said."""
        done = subprocess.run([*self.enter, *command], capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{command}: {done.stderr}"
        return done.stdout

    def connect(self, port: int, timeout_s: float) -> socket.socket:
        """A connection from inside to a port of this side; a socket stays where it was made."""
        return self.inside(lambda: socket.create_connection((self.host, port), timeout_s))

    def inside(self, do: Callable[[], _T]) -> _T:
        """What a function gives in a thread that is inside, for clients in this process."""
        results: list[_T] = []
        faults: list[BaseException] = []

        def enter_and_do() -> None:
            try:
                _move_thread(self.pid)
                results.append(do())
            except BaseException as fault:
                faults.append(fault)

        thread = threading.Thread(target=enter_and_do)
        thread.start()
        thread.join()
        if faults:
            raise faults[0]
        return results[0]


class Cable:
    """What joins the two. TCP sends again what was lost when it is up again."""

    def __init__(self, one: Namespace, other: Namespace) -> None:
        self._ends = ((one, other), (other, one))

    def down(self) -> None:
        """Pull it: nothing arrives, and who sends something new is told that there is no way."""
        for end, _ in self._ends:
            end.run("ip", "link", "set", "outer", "down")

    def mute(self) -> None:
        """Let everything be sent and nothing arrive, as when a switch in between has died."""
        for end, other in self._ends:
            _address(end, other, _NOBODY)

    def up(self) -> None:
        """Put it back, and let arrive what is sent."""
        for end, other in self._ends:
            end.run("ip", "link", "set", "outer", "up")
            _address(end, other, other.card)


def _address(sender: Namespace, receiver: Namespace, card: str) -> None:
    """Which card a side takes for the other's: a frame for any but its own is not taken in."""
    sender.run(
        *("ip", "neighbour", "replace", receiver.host, "dev", "outer"),
        *("lladdr", card, "nud", "permanent"),
    )


def missing() -> str:
    """Why there are no namespaces here; empty where there are."""
    if os.geteuid() != 0:
        return "network namespaces are made by root only"
    if absent := [name for name in ("ip", "nsenter", "unshare") if not shutil.which(name)]:
        return f"no {', '.join(absent)} on this machine"
    tried = subprocess.run(["unshare", "--net", "true"], capture_output=True, check=False)
    return tried.stderr.decode().strip()


@contextlib.contextmanager
def joined() -> Iterator[tuple[Namespace, Namespace, Cable]]:
    """Two sides and the cable; a test is skipped where there can be none."""
    if reason := missing():
        pytest.skip(reason)
    with contextlib.ExitStack() as stack:
        one, other = (stack.enter_context(_namespace(*side)) for side in _SIDES)
        one.run(
            *("ip", "link", "add", "outer", "address", one.card, "type", "veth"),
            *("peer", "name", "outer", "address", other.card, "netns", str(other.pid)),
        )
        for end in (one, other):
            end.run("ip", "address", "add", f"{end.host}/{_PREFIX_LENGTH}", "dev", "outer")
            end.run("ip", "link", "set", "lo", "up")
        cable = Cable(one, other)
        cable.up()
        yield one, other, cable


@contextlib.contextmanager
def _namespace(host: str, card: str) -> Iterator[Namespace]:
    with tempfile.TemporaryDirectory() as directory:
        resident = keeper.start(["unshare", "--net", "sleep", "infinity"], Path(directory) / "log")
        try:
            ours = os.readlink("/proc/self/ns/net")
            wait_until(lambda: os.readlink(f"/proc/{resident.pid}/ns/net") != ours)
            yield Namespace(host, card, resident.pid)
        finally:
            resident.kill()
            resident.wait()


def _move_thread(pid: int) -> None:
    """Put the calling thread, and no other, into a process's network."""
    libc = ctypes.CDLL(None, use_errno=True)
    with open(f"/proc/{pid}/ns/net") as namespace:
        if libc.setns(namespace.fileno(), _CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), "setns")
