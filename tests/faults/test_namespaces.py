"""Two networks and the cable between them."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from tests.faults.namespaces import Cable, joined
from tests.servers.cluster import Cluster
from tests.servers.server import Server, needed


@pytest.mark.parametrize(
    ("cut", "told"), [(Cable.down, "unreachable"), (Cable.mute, "timed out")], ids=["down", "mute"]
)
def test_what_was_sent_while_the_cable_was_out_arrives_when_it_is_back(tmp_path: Path, cut, told):
    with (
        joined() as (near, far, cable),
        Server(directory=tmp_path, binary=needed("valkey"), place=near) as server,
        far.inside(lambda: socket.create_connection((near.host, server.port), 5)) as client,
    ):
        client.sendall(b"PING\r\n")
        assert client.recv(100) == b"+PONG\r\n"
        cut(cable)
        client.sendall(b"PING\r\n")
        client.settimeout(0.1)
        with pytest.raises(TimeoutError):
            client.recv(100)
        with pytest.raises(OSError, match=told):
            far.inside(lambda: socket.create_connection((near.host, server.port), 0.1))
        assert server.call("PING") == "PONG"
        cable.up()
        client.settimeout(10)
        assert client.recv(100) == b"+PONG\r\n"


def test_a_server_in_a_namespace_is_not_heard_outside(tmp_path: Path):
    with (
        joined() as (near, far, _),
        Server(directory=tmp_path, binary=needed("valkey"), place=near) as server,
    ):
        assert near.run("ip", "-brief", "address").count(near.host) == 1
        assert far.run("ip", "-brief", "address").count(near.host) == 0
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", server.port), 0.1)


def test_a_master_cut_off_goes_on_for_a_while_and_is_succeeded(tmp_path: Path):
    with joined() as (near, far, cable):
        places = (near, far, far, far, far, far)
        with Cluster(tmp_path, needed("valkey"), places=places) as cluster:
            alone = cluster.nodes[0]
            cable.mute()
            assert alone.call("SET", "{06S}", "lost") == "OK"
            successor = cluster.wait_for_successor(0)
            assert successor is cluster.nodes[3]
            successor.call("SET", "{06S}", "kept")
            cable.up()
            cluster.wait_until_ready()
            assert cluster.master_of(0) is successor
            assert successor.call("GET", "{06S}") == "kept"
