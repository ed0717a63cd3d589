"""The link to one server: what it sends, what it sends again, and what it never says."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from geoengine.core.errors import ConfigurationError, StateUnavailable
from geoengine.state.shared.line.link import Call, LibraryFault, Link
from tests.servers.certificates import certificates
from tests.servers.proxy import proxying
from tests.servers.server import Server, needed, wait_until

LIBRARY = """#!lua name=tests_VERSION
local function define(name, run) redis.register_function(name .. '_VERSION', run) end
define('echo', function(keys, args) return args[1] end)
define('get', function(keys, args) return redis.call('HGET', keys[1], args[1]) end)
define('count', function(keys, args) return redis.call('INCR', keys[1]) end)
define('fail', function(keys, args) redis.call('INCR', keys[1]) error('oh') end)
-- An operation that is done once; repeated, it answers as the first time, and writes.
define('add', function(keys, args)
  local first = redis.call('HGET', keys[1], args[1])
  local total = first or redis.call('INCR', keys[2])
  redis.call('HSET', keys[1], args[1], total)
  return total
end)
"""
NAMES = ("echo", "get", "count", "fail", "add")


@asynccontextmanager
async def linked(url: str, library: str = LIBRARY, **options: Any) -> AsyncIterator[Link]:
    """An open link."""
    link = Link(url, library, names=NAMES, **options)
    await link.open()
    try:
        yield link
    finally:
        await link.close()


@pytest.fixture(params=["valkey", "redis"])
def binary(request: pytest.FixtureRequest) -> str:
    return needed(request.param)


@pytest.fixture
def server(tmp_path: Path, binary: str):
    with Server(directory=tmp_path / "server", binary=binary) as server:
        yield server


def echo(what: object) -> Call:
    return Call("echo", (), (str(what),))


def add(op: object, tag: object = "p1") -> Call:
    return Call("add", (f"t:{{{tag}}}:ops", f"t:{{{tag}}}:total"), (str(op),))


def clients_of(server: Server) -> int:
    """How many connections a server has, not counting the one that asks."""
    return int(server.info("clients")["connected_clients"]) - 1


async def test_replies_come_in_the_order_of_the_calls_and_undecoded(server: Server):
    async with linked(server.url) as link:
        texts = [f"{i} à" for i in range(300)]
        replies = await link.call([echo(text) for text in texts], is_write=False)
        assert replies == [text.encode() for text in texts]
        assert await link.call([add(op) for op in (7, 8, 7)], is_write=True) == [1, 2, b"1"]
        assert await link.call([], is_write=True) == []


async def test_commands_go_to_the_server_and_everywhere_is_that_server(server: Server):
    async with linked(server.url + "/3") as link:
        assert await link.command("SET", "a", 1) == b"OK"
        assert await link.command("GET", "a", key="a") == b"1"
        assert await link.everywhere("DBSIZE") == {server.address: 1}
    assert server.call("DBSIZE") == 0  # of the database that was not named


async def test_a_library_that_is_not_there_is_loaded_and_again_when_it_was_flushed(server: Server):
    async with linked(server.url) as link:
        for _ in range(2):
            server.call("FUNCTION", "FLUSH")
            many = [link.call([echo(i)], is_write=False) for i in range(20)]
            assert await asyncio.gather(*many) == [[b"%d" % i] for i in range(20)]


async def test_two_releases_of_the_library_run_side_by_side(server: Server):
    newer = LIBRARY.replace("return args[1]", "return args[1] .. '!'")
    async with linked(server.url) as old, linked(server.url, newer) as new:
        for _ in range(2):
            assert await old.call([echo("a")], is_write=False) == [b"a"]
            assert await new.call([echo("a")], is_write=False) == [b"a!"]


async def test_a_function_that_fails_is_our_fault_and_is_not_tried_again(server: Server):
    async with linked(server.url) as link:
        with pytest.raises(LibraryFault, match="oh"):
            await link.call([echo(1), Call("fail", ("count",), ()), echo(2)], is_write=True)
        with pytest.raises(LibraryFault, match="unknown command"):
            await link.command("NONSENSE")
        assert await link.call([echo(3)], is_write=False) == [b"3"]
    assert server.call("GET", "count") == "1"


async def test_a_library_that_does_not_compile_is_our_fault(server: Server):
    async with linked(server.url, LIBRARY + "nonsense") as link:
        with pytest.raises(LibraryFault, match=r"nonsense|compiling"):
            await link.call([echo(1)], is_write=False)


async def test_it_speaks_over_a_socket_as_a_user_with_a_password(tmp_path: Path, binary: str):
    with Server(directory=tmp_path, binary=binary, user="geo", password="p@ss/w:rd") as server:
        for url in (server.url, server.unix_url):
            async with linked(url) as link:
                assert await link.call([echo(1)], is_write=False) == [b"1"]
                assert await link.command("ACL", "WHOAMI") == b"geo"


async def test_it_speaks_tls_to_who_is_certified(tmp_path: Path):
    made = certificates(tmp_path / "certificates")
    with Server(directory=tmp_path, binary=needed("redis"), certificates=made) as server:
        async with linked(server.url) as link:
            assert await link.call([echo(1)], is_write=False) == [b"1"]
            await cancel_at_random(link, 50)
        with pytest.raises(StateUnavailable, match="CERTIFICATE_VERIFY_FAILED"):
            async with linked(server.url.partition("?")[0], patience_s=0.05):
                pass


@pytest.mark.parametrize("kind", ["url", "unix_url"])
async def test_who_is_not_let_in_hears_so_at_once(tmp_path: Path, binary: str, kind: str):
    with Server(directory=tmp_path, binary=binary, user="geo", password="secret77") as server:
        url = getattr(server, kind)
        async with asyncio.timeout(2), linked(url) as link:
            server.call("ACL", "SETUSER", "geo", "-function")
            with pytest.raises(StateUnavailable, match="NOPERM"):
                await link.call([echo(1)], is_write=False)
        with pytest.raises(StateUnavailable, match="WRONGPASS"):
            async with asyncio.timeout(2), linked(url.replace("secret77", "secret78")):
                pass
        with pytest.raises(StateUnavailable, match="NOAUTH"):
            async with asyncio.timeout(2), linked(url.replace(server.credentials, "")):
                pass


async def test_a_password_is_in_no_text(
    tmp_path: Path, binary: str, caplog: pytest.LogCaptureFixture
):
    caplog.set_level(logging.DEBUG)
    options = {"rename-command": 'AUTH ""'}  # then it echoes what it does not know
    with Server(directory=tmp_path, binary=binary, options=options) as server:
        url = server.url.replace("://", "://geo:secret77@")
        link = Link(url, LIBRARY, names=NAMES, patience_s=0.05)
        with pytest.raises(StateUnavailable, match=r"AUTH.*\*\*\*") as caught:
            await link.open()
        server.kill()
        with pytest.raises(StateUnavailable) as killed:
            await link.open()
    for error in (caught.value, killed.value):
        while error is not None:
            assert "secret77" not in f"{error!r} {error}"
            error = None if error.__suppress_context__ else error.__cause__ or error.__context__
    assert "secret77" not in f"{link!r} {vars(link)} {caplog.text}"


async def test_what_is_full_says_so_at_once(tmp_path: Path, binary: str):
    with Server(directory=tmp_path, binary=binary) as server:
        async with asyncio.timeout(2), linked(server.url) as link:
            await link.call([add(1)], is_write=True)
            server.call("CONFIG", "SET", "maxmemory", "1")
            with pytest.raises(StateUnavailable, match=rf"{server.address}: OOM"):
                await link.call([add(2)], is_write=True)


async def test_patience_ends_with_the_address_and_the_reason(server: Server):
    async with linked(server.url, patience_s=0.3) as link:
        server.kill()
        with pytest.raises(StateUnavailable, match=rf"{server.address}: .*tried for 0.3 s"):
            await link.call([echo(1)], is_write=False)
        with pytest.raises(StateUnavailable, match="Error 111"):
            await link.call([echo(1)], is_write=False)


async def test_a_silent_server_is_given_up_and_heard_again(server: Server):
    async with linked(server.url, patience_s=0.3, timeout_s=0.1) as link:
        assert await link.call([add(1)], is_write=True) == [1]
        server.pause()
        many = [link.call([add(2)], is_write=True) for _ in range(30)]
        for error in await asyncio.gather(*many, return_exceptions=True):
            assert isinstance(error, StateUnavailable)
        server.resume()
        assert await link.call([add(3)], is_write=True) in ([2], [3])  # 2 may have been done


async def test_a_server_killed_and_started_again_does_every_operation_once(
    tmp_path: Path, binary: str
):
    ops = iter(range(10_000))
    done: list[int] = []
    is_over = asyncio.Event()

    async def work(link: Link) -> None:
        while not is_over.is_set():
            op = next(ops)
            await link.call([add(op)], is_write=True)
            done.append(op)

    with Server(directory=tmp_path, binary=binary, appendonly="always") as server:
        async with linked(server.url, patience_s=20) as link, asyncio.TaskGroup() as group:
            for _ in range(20):
                group.create_task(work(link))
            for _ in range(3):
                enough = len(done) + 200
                await asyncio.to_thread(wait_until, lambda enough=enough: len(done) > enough)
                server.kill()
                await asyncio.to_thread(server.start)
            is_over.set()
        assert int(server.call("GET", "t:{p1}:total")) == len(done) == len(set(done))


async def cancel_at_random(link: Link, rounds: int) -> None:
    """Calls that are cancelled anywhere on their way, among others that are not."""
    rng = random.Random(4)

    async def one(i: int) -> None:
        text = f"{i}:" + "x" * rng.choice((1, 1, 100_000))
        assert await link.call([echo(text), echo(i)], is_write=False) == [
            text.encode(),
            b"%d" % i,
        ]

    for i in range(0, rounds, 10):
        tasks = [asyncio.create_task(one(i + k)) for k in range(10)]
        for task in tasks:
            for _ in range(rng.randrange(8)):
                await asyncio.sleep(0)
            if rng.random() < 0.7:
                task.cancel()
        for task, outcome in zip(
            tasks, await asyncio.gather(*tasks, return_exceptions=True), strict=True
        ):
            assert outcome is None or task.cancelled()


@pytest.mark.parametrize("lost", ["drop_reply", "drop_request"])
async def test_a_call_that_is_lost_is_sent_again_by_the_link_and_by_nothing_below_it(
    server: Server, lost: str
):
    count = Call("count", ("counted",), ())
    many = [add(op, "p2") for op in range(50)]
    async with proxying("127.0.0.1", server.port) as proxy:
        async with linked(proxy.url) as link:
            await link.call([count], is_write=True)
            happened = getattr(proxy, lost)(b"count_")
            assert await link.call([count], is_write=True) == [3 if lost == "drop_reply" else 2]
            assert happened.is_set()
            getattr(proxy, lost)(b"$2\r\n17\r\n")  # in the middle of many
            replies = await link.call(many, is_write=True)
            assert [int(reply) for reply in replies] == list(range(1, 51))
        counted = server.call("GET", "counted")
        async with linked(proxy.url, patience_s=0) as link:  # one attempt
            happened = getattr(proxy, lost)(b"count_")
            with pytest.raises(StateUnavailable):
                await link.call([count], is_write=True)
            assert happened.is_set()
        assert int(server.call("GET", "counted")) - int(counted) == (lost == "drop_reply")


async def test_replies_that_come_too_late_are_nobodys(server: Server):
    async with (
        proxying("127.0.0.1", server.port) as proxy,
        linked(proxy.url, patience_s=0.1, timeout_s=0.05) as link,
    ):
        await link.call([echo(1)], is_write=False)
        proxy.black_hole()
        many = [link.call([echo(f"late{i}")], is_write=False) for i in range(20)]
        for error in await asyncio.gather(*many, return_exceptions=True):
            assert isinstance(error, StateUnavailable)
        proxy.restore()
        for i in range(20):
            assert await link.call([echo(i)], is_write=False) == [b"%d" % i]


async def test_calls_cancelled_anywhere_leave_no_reply_to_others(server: Server):
    async with linked(server.url) as link:
        await cancel_at_random(link, 1_000)
        await asyncio.to_thread(wait_until, lambda: clients_of(server) <= 8)
    await asyncio.to_thread(wait_until, lambda: clients_of(server) == 0)


async def test_callers_wait_for_one_of_a_few_connections(server: Server):
    async with linked(server.url, connections=3) as link:
        many = [link.call([echo(i)], is_write=False) for i in range(200)]
        assert await asyncio.gather(*many) == [[b"%d" % i] for i in range(200)]
        assert 1 < clients_of(server) <= 3


async def test_a_restart_breaks_all_connections_and_costs_one_attempt(server: Server):
    async with linked(server.url) as link:
        many = [link.call([echo(i)], is_write=False) for i in range(100)]
        await asyncio.gather(*many)
        assert clients_of(server) > 1
        await asyncio.to_thread(server.restart)
        async with asyncio.timeout(0.5):
            assert await link.call([echo(1)], is_write=False) == [b"1"]


async def test_many_callers_do_not_storm_a_server_that_is_down(server: Server):
    listener: list[int] = []

    async def hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        listener.append(1)
        writer.close()

    async with linked(server.url, patience_s=0.5) as link:
        server.kill()
        async with await asyncio.start_server(hang_up, "127.0.0.1", server.port):
            many = [link.call([echo(i)], is_write=False) for i in range(500)]
            outcomes = await asyncio.gather(*many, return_exceptions=True)
    assert all(isinstance(outcome, StateUnavailable) for outcome in outcomes)
    assert len(listener) < 30  # 20 ms, doubled each time


async def test_a_closed_link_says_so(server: Server):
    async with linked(server.url) as link:
        await link.call([echo(1)], is_write=False)
    await link.close()
    with pytest.raises(StateUnavailable, match="closed"):
        await link.call([echo(1)], is_write=False)


async def test_a_write_is_held_by_the_replica_there_was(server: Server, tmp_path: Path):
    replica = Server(directory=tmp_path / "replica", binary=server.binary, replica_of=server)
    async with linked(server.url, wait_ms=50) as alone:
        with replica:
            replica.wait_until_in_sync()
            server.calls(("SET", "a", 1), ("WAIT", 1, 5_000))
            async with linked(server.url, wait_ms=50) as link:
                assert await link.call([add(1)], is_write=True) == [1]
                replica.pause()
                with pytest.raises(StateUnavailable, match="0 of 1 replicas"):
                    await link.call([add(2)], is_write=True)
                assert await link.call([echo(1)], is_write=False) == [b"1"]
                replica.kill()
                with pytest.raises(StateUnavailable, match="0 of 1 replicas"):
                    await link.call([add(3)], is_write=True)
        assert await alone.call([add(4)], is_write=True) == [4]


async def test_a_repeated_write_waits_for_the_replica_as_the_first_did(
    server: Server, tmp_path: Path
):
    replica = Server(directory=tmp_path / "replica", binary=server.binary, replica_of=server)
    with replica:
        replica.wait_until_in_sync()
        server.calls(("SET", "a", 1), ("WAIT", 1, 5_000))
        replica.pause()
        for _ in range(2):  # another connection each time, on which nothing was written yet
            async with linked(server.url, wait_ms=50) as link:
                with pytest.raises(StateUnavailable, match="0 of 1 replicas"):
                    await link.call([add(1)], is_write=True)
        async with linked(server.url + "?replicas=0") as link:
            assert await link.call([add(1)], is_write=True) == [b"1"]
        async with linked(server.url + "?replicas=2", wait_ms=50) as link:
            replica.resume()
            with pytest.raises(StateUnavailable, match="of 2 replicas"):
                await link.call([add(1)], is_write=True)


async def test_a_primary_that_is_demoted_for_a_while_is_waited_for(server: Server):
    async with linked(server.url) as link:
        assert await link.call([add(1)], is_write=True) == [1]
        server.call("REPLICAOF", "127.0.0.1", 1)
        with pytest.raises(StateUnavailable, match="it is a replica"):
            async with linked(server.url):
                pass
        waiting = asyncio.create_task(link.call([add(2)], is_write=True))
        await asyncio.to_thread(
            wait_until, lambda: "errorstat_READONLY" in server.info("errorstats")
        )
        server.call("REPLICAOF", "NO", "ONE")
        assert await waiting == [2]


async def test_a_server_of_another_kind_than_the_url_says_is_a_bad_url(
    server: Server, tmp_path: Path
):
    with pytest.raises(ConfigurationError, match="no part of a Cluster"):
        async with linked(server.url.replace("redis:", "redis+cluster:")):
            pass
    options = {"cluster-enabled": "yes", "cluster-port": str(server.port + 1)}
    with (
        Server(directory=tmp_path / "node", binary=server.binary, options=options) as node,
        pytest.raises(ConfigurationError, match="expected redis\\+cluster"),
    ):
        async with linked(node.url):
            pass
