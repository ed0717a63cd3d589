"""The link to a Cluster: slots that move, primaries that die, replicas that are missed."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from geoengine.core.errors import ConfigurationError, StateUnavailable
from geoengine.state.shared.line.link import Call
from geoengine.state.shared.line.topology import slot_of
from tests.servers.cluster import Cluster
from tests.servers.server import Server, needed, wait_until
from tests.state.test_link import LIBRARY, NAMES, add, echo, linked

TAGS = 256


@pytest.fixture(scope="module", params=["valkey", "redis"])
def running(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Cluster]:
    directory = tmp_path_factory.mktemp("cluster")
    with Cluster(directory, needed(request.param), node_timeout_ms=1_000) as cluster:
        yield cluster


@pytest.fixture
def cluster(running: Cluster) -> Iterator[Cluster]:
    """The Cluster, empty; whoever was killed in a test is up again after it."""
    for primary in running.masters:
        primary.calls(("FLUSHALL",), ("FUNCTION", "FLUSH"), ("CONFIG", "RESETSTAT"))
    yield running
    running.heal()


def errors_of(server: Server) -> str:
    """What a server has refused, and how many times."""
    return " ".join(f"{name}:{count}" for name, count in server.info("errorstats").items())


async def until_refused(server: Server, code: str) -> None:
    await asyncio.to_thread(wait_until, lambda: code in errors_of(server))


def other_than(cluster: Cluster, primary: Server) -> Server:
    return next(server for server in cluster.masters if server is not primary)


async def test_calls_find_their_servers_and_replies_their_order(cluster: Cluster):
    async with linked(cluster.url) as link:
        calls = [add(op, f"p{op % TAGS}") for op in range(600)]
        replies = await link.call(calls, is_write=True)
        assert replies == [op // TAGS + 1 for op in range(600)]
        assert await link.call([echo(1)], is_write=False) == [b"1"]
        assert await link.command("HLEN", "t:{p9}:ops", key="t:{p9}:ops") == 3
        sizes = await link.everywhere("DBSIZE")
        assert sizes.keys() == {primary.address for primary in cluster.masters}
        assert sum(sizes.values()) == 2 * TAGS


async def test_one_seed_that_lives_is_enough(cluster: Cluster):
    url = cluster.url.replace("://", "://127.0.0.1:1,[::1]:1,")
    async with linked(url) as link:
        assert await link.call([add(1, tag) for tag in range(9)], is_write=True) == [1] * 9
    with pytest.raises(ConfigurationError, match="expected redis\\+cluster"):
        async with linked(cluster.masters[0].url):
            pass


async def test_a_slot_that_has_moved_is_followed(cluster: Cluster):
    source = cluster.master_of(slot_of("p1"))
    target = other_than(cluster, source)
    async with linked(cluster.url) as link:
        assert await link.call([add(1)], is_write=True) == [1]
        await asyncio.to_thread(cluster.move_slot, slot_of("p1"), target)
        assert await link.call([add(2), add(1)], is_write=True) == [2, b"1"]
        assert "MOVED:count=2" in errors_of(source)
        assert "MOVED" not in errors_of(target)
        assert await link.call([add(3)], is_write=True) == [3]
        assert "MOVED:count=2" in errors_of(source)
    cluster.move_slot(slot_of("p1"), source)


async def test_a_slot_half_moved_is_asked_for_where_its_keys_are(cluster: Cluster):
    source = cluster.master_of(slot_of("p1"))
    move = cluster.moving(slot_of("p1"), other_than(cluster, source))
    async with linked(cluster.url) as link:
        assert await link.call([add(1)], is_write=True) == [1]
        move.begin()
        assert await link.call([add(2)], is_write=True) == [2]  # all its keys are still there
        move.keys("t:{p1}:ops")
        one = Call("get", ("t:{p1}:ops",), ("2",))
        move.target.call("FUNCTION", "FLUSH")  # who is asked may have to be given the library
        assert await link.call([one, one], is_write=False) == [b"2", b"2"]
        assert "ASK:count=2" in errors_of(source)
        torn = asyncio.create_task(link.call([add(3), one], is_write=True))
        await until_refused(source, "TRYAGAIN")
        assert not torn.done()
        move.keys("t:{p1}:total")
        assert await torn == [3, b"2"]  # both keys there, the slot not yet
        move.finish()
        assert await link.call([add(4)], is_write=True) == [4]
    cluster.move_slot(slot_of("p1"), source)


async def test_a_slot_that_stays_half_moved_ends_patience(cluster: Cluster):
    source = cluster.master_of(slot_of("p1"))
    move = cluster.moving(slot_of("p1"), other_than(cluster, source))
    async with linked(cluster.url, patience_s=0.2) as link:
        await link.call([add(1)], is_write=True)
        move.begin()
        move.keys("t:{p1}:ops")
        with pytest.raises(StateUnavailable, match=f"{source.address}: TRYAGAIN"):
            await link.call([add(2)], is_write=True)
    move.some_keys()
    move.finish()
    cluster.move_slot(slot_of("p1"), source)


async def test_resharding_under_load_does_every_operation_once(cluster: Cluster):
    tags = [f"p{i}" for i in range(8)]
    ops = iter(range(100_000))
    done: dict[str, int] = dict.fromkeys(tags, 0)
    is_over = asyncio.Event()

    def reshard() -> None:
        for tag in tags:
            source = cluster.master_of(slot_of(tag))
            move = cluster.moving(slot_of(tag), other_than(cluster, source))
            move.begin()
            while move.some_keys(1):
                pass
            move.finish()

    async def work() -> None:
        while not is_over.is_set():
            calls = [add(next(ops), tag) for tag in tags]
            await link.call(calls, is_write=True)
            for tag in tags:
                done[tag] += 1

    async with linked(cluster.url) as link:
        async with asyncio.TaskGroup() as group:
            for _ in range(10):
                group.create_task(work())
            await asyncio.to_thread(reshard)
            is_over.set()
        for tag, count in done.items():
            total = await link.command("GET", f"t:{{{tag}}}:total", key=tag)
            assert (int(total), count > 0) == (count, True)


async def test_a_primary_killed_is_followed_by_its_successor_and_nothing_is_lost(
    cluster: Cluster,
):
    tags = [f"p{i}" for i in range(30)]
    async with linked(cluster.url, patience_s=30) as link:
        for op in range(20):
            await link.call([add(op, tag) for tag in tags], is_write=True)
        killed = cluster.nodes[cluster.kill_master(1)]
        again = await link.call([add(19, tag) for tag in tags], is_write=True)
        assert again == [b"20"] * len(tags)
        assert await link.call([add(20, tag) for tag in tags], is_write=True) == [21] * len(tags)
        assert killed.address not in await link.everywhere("PING")


async def test_a_replica_that_only_its_primary_misses_is_waited_for(cluster: Cluster):
    primary = cluster.master_of(slot_of("p1"))
    replica = cluster.replica_of(primary)
    primary.calls(("SET", "{p1}", 1), ("WAIT", 1, 5_000))
    async with linked(cluster.url, wait_ms=50) as link, linked(cluster.url) as other:
        assert await link.call([add(1)], is_write=True) == [1]
        await other.call([echo(1)], is_write=False)
        replica.kill()
        with pytest.raises(StateUnavailable, match=f"{primary.address}: 0 of 1 replicas"):
            await link.call([add(2)], is_write=True)
        assert await link.call([echo(1)], is_write=False) == [b"1"]
        await asyncio.to_thread(wait_until, lambda: says_failed(primary))
        assert await link.call([add(2)], is_write=True) == [b"2"]  # the majority knows now
        assert await other.call([add(3)], is_write=True) == [3]


def says_failed(primary: Server) -> bool:
    """Whether a primary has it from the majority that a node is gone."""
    lines = primary.call("CLUSTER", "NODES").splitlines()
    return any("fail" in line.split()[2].split(",") for line in lines)


async def test_a_server_that_lost_its_functions_is_given_them_again(cluster: Cluster):
    async with linked(cluster.url) as link:
        calls = [add(1, tag) for tag in range(20)]
        assert await link.call(calls, is_write=True) == [1] * 20
        await link.everywhere("FUNCTION", "FLUSH")
        assert await link.call(calls, is_write=True) == [b"1"] * 20
        loaded = await link.everywhere("FUNCTION", "LIST")
        assert all(link.version in str(found) for found in loaded.values())
        assert LIBRARY.count("define(") - 1 == len(NAMES)
