"""Ports that are held for others to listen on."""

from __future__ import annotations

import errno
import socket

import pytest

from geoengine.cli.running.ports import held
from geoengine.service.settings import Settings


def listening(port: int, *, shares: bool) -> socket.socket:
    """A socket that listens, as the service's do."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, int(shares))
    try:
        sock.bind(("127.0.0.1", port))
    except OSError:
        sock.close()
        raise
    sock.listen()
    return sock


def test_a_free_port_is_the_same_for_all_who_share_it_and_no_call_is_lost() -> None:
    with held(Settings(port=0, ingest_port=0)) as found:
        assert 0 not in (found.port, found.ingest_port)
        assert found.port != found.ingest_port
        with listening(found.port, shares=True) as one, listening(found.port, shares=True) as two:
            callers = [socket.create_connection(("127.0.0.1", found.port)) for _ in range(20)]
            count = 0
            for sock in (one, two):
                sock.setblocking(False)
                while True:
                    try:
                        sock.accept()[0].close()
                    except BlockingIOError:
                        break
                    count += 1
            for caller in callers:
                caller.close()
    assert count == len(callers)  # the holder itself takes none


def test_a_port_is_held_against_those_who_do_not_share_and_against_other_holders() -> None:
    with held(Settings(port=0)) as found:
        assert found.ingest_port is None
        with pytest.raises(OSError, match="in use"):
            listening(found.port, shares=False)
        with pytest.raises(OSError, match=f"127.0.0.1 port {found.port}"), held(found):
            pass


@pytest.mark.parametrize("shares", [False, True])
def test_a_port_that_somebody_listens_on_is_not_held(shares: bool) -> None:
    with listening(0, shares=shares) as sock:
        port = sock.getsockname()[1]
        with pytest.raises(OSError, match="in use") as told, held(Settings(port=port)):
            pass
    assert told.value.errno == errno.EADDRINUSE


@pytest.mark.parametrize("shares", [False, True])
def test_what_the_last_owner_of_a_port_left_behind_does_not_matter(shares: bool) -> None:
    with listening(0, shares=shares) as sock:
        port = sock.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)) as caller:
            sock.accept()[0].close()  # who hangs up first keeps the port waiting a minute
            assert caller.recv(1) == b""
    with held(Settings(port=port)) as found:
        assert found.port == port
        listening(port, shares=True).close()


def test_a_host_of_two_addresses_has_one_port_on_both() -> None:
    with held(Settings(host="localhost", port=0)) as found, listening(found.port, shares=True):
        pass
