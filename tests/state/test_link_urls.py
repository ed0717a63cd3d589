"""What a state's URL says, what a Cluster says of itself, and how a call is written."""

from __future__ import annotations

from pathlib import Path

import pytest

from geoengine.core.errors import ConfigurationError
from geoengine.state.shared.line.topology import has_replica, read_slots, redirected
from geoengine.state.shared.line.urls import Address, Target, parse_url
from geoengine.state.shared.line.wire import FEW, pack, pack_call

HOME = Address("127.0.0.1", 6379)
READ = {
    "redis://127.0.0.1": Target((HOME,)),
    "redis://127.0.0.1:6380/": Target((Address("127.0.0.1", 6380),)),
    "redis://[::1]:7/2": Target((Address("::1", 7),), db=2),
    "redis://:p%40ss@127.0.0.1": Target((HOME,), password="p@ss"),
    "redis://geo:a:b@127.0.0.1": Target((HOME,), user="geo", password="a:b"),
    "redis://geo:@127.0.0.1": Target((HOME,), user="geo", password=""),
    "redis://127.0.0.1?prefix=geo.test&replicas=2": Target((HOME,), prefix="geo.test", replicas=2),
    "redis://127.0.0.1?replicas=auto": Target((HOME,)),
    "redis://127.0.0.1?partitions=32": Target((HOME,), partitions=32),
    "unix:///run/my%20redis.sock?db=3": Target((Address("/run/my redis.sock", 0),), db=3),
    "unix://geo:p@/run/redis.sock": Target(
        (Address("/run/redis.sock", 0),), user="geo", password="p"
    ),
    "redis+cluster://u:p@a:7001,[fe80::1]:7002,c": Target(
        (Address("a", 7001), Address("fe80::1", 7002), Address("c", 6379)),
        is_cluster=True, user="u", password="p",
    ),
    "rediss://127.0.0.1?ssl_check_hostname=no": Target((HOME,), tls={"ssl_check_hostname": False}),
    "rediss+cluster://127.0.0.1/0": Target((HOME,), is_cluster=True, tls={}),
}  # fmt: skip


@pytest.mark.parametrize("url", READ)
def test_a_url_says(url: str):
    assert parse_url(url) == READ[url]


BAD = {
    "http://host": "expected redis, rediss, redis+cluster, rediss+cluster or unix",
    "redis:host": "then ://",
    "redis://": "expected host:port",
    "redis://host:": "expected host:port",
    "redis://host:66000": "a port from 1 to 65535",
    "redis://host:0": "a port from 1 to 65535",
    "redis://::1:6379": "expected host:port",
    "redis://a:1,b:2": "several hosts",
    "redis://user@host": "a user needs a password",
    "redis://user:secret77/@host": "expected host:port",
    "redis://:secret77#@host/x": "the database",
    "redis://host/-1": "the database",
    "redis+cluster://a:1,b:2/1": "database 0 only",
    "redis+cluster://a:1,,b:2": "expected host:port",
    "redis://host?prefix={a}": "expected for prefix",
    "redis://host?prefix=": "expected for prefix",
    "redis://host?replicas=many": "expected for replicas a number from 0 to 8",
    "redis://host?replicas=9": "expected for replicas a number from 0 to 8",
    "redis://host?partitions=0": "expected for partitions a number from 1 to 16384",
    "redis://host?partitions=16385": "expected for partitions a number from 1 to 16384",
    "redis://host?partitions=": "expected for partitions a number",
    "redis://host?password=secret77": "an unknown option; known are db, partitions, prefix, repl",
    "redis://host?ssl_check_hostname=no": "need rediss://",
    "rediss://host?ssl_check_hostname=secret77": "true or false",
    "rediss://host?ssl_ca_certs=/no/such/secret77": "no such file for ssl_ca_certs",
    "unix://": "the path of a socket",
}


@pytest.mark.parametrize("url", BAD)
def test_a_bad_url_is_a_fault_that_repeats_nothing_of_it(url: str):
    with pytest.raises(ConfigurationError) as caught:
        parse_url(url)
    assert BAD[url] in str(caught.value)
    assert "secret77" not in str(caught.value)
    assert caught.value.__cause__ is caught.value.__context__ is None


def test_files_of_tls_are_looked_for(tmp_path: Path):
    path = tmp_path / "ca.pem"
    path.touch()
    target = parse_url(f"rediss://host?ssl_ca_certs={path}&ssl_check_hostname=yes")
    assert target.tls == {"ssl_ca_certs": str(path), "ssl_check_hostname": True}


def test_a_password_is_neither_shown_nor_echoed():
    target = parse_url("redis://geo:secret77@host")
    assert "secret77" not in repr(target)
    assert target.hide("args: 'geo' 'secret77'") == "args: 'geo' '***'"
    assert parse_url("redis://geo:@host").hide("as it is") == "as it is"


def test_an_address_is_written_as_a_url_has_it():
    assert str(Address("::1", 7)) == "[::1]:7"
    assert str(Address("host", 7)) == "host:7"
    assert str(Address("/run/redis.sock", 0)) == "/run/redis.sock"


def test_a_redirection_without_a_host_stays_with_the_host_that_was_asked():
    assert redirected("MOVED 1 :7001", HOME) == Address("127.0.0.1", 7001)
    assert redirected("ASK 1 fe80::1:7001", HOME) == Address("fe80::1", 7001)
    assert redirected("MOVED 1 node.example:7001", HOME) == Address("node.example", 7001)


def test_slots_that_nobody_serves_stay_empty_and_unnamed_hosts_are_the_one_that_was_asked():
    reply = [
        [0, 9, [b"", 7001, b"id"], [b"10.0.0.2", 7002, b"id"]],
        [20, 20, [None, 7003, b"id", [b"hostname", b"x"]]],
        [21, 16_383, [b"::1", 7004, b"id"]],
    ]
    topology = read_slots(reply, HOME)
    assert topology.slots[9] == Address("127.0.0.1", 7001)
    assert (topology.slots[10], topology.slots[19]) == (None, None)
    assert topology.slots[20] == Address("127.0.0.1", 7003)
    assert [str(primary) for primary in topology.primaries()] == [
        "127.0.0.1:7001", "127.0.0.1:7003", "[::1]:7004",
    ]  # fmt: skip
    assert Address("10.0.0.2", 7002) in topology.servers


@pytest.mark.parametrize(
    ("mine", "others", "is_waited_for"),
    [
        ("myself,master", "slave a", True),
        ("myself,master", "slave,fail? a", True),
        ("myself,master", "slave,fail a", False),
        ("myself,master", "slave,fail a|slave a", True),
        ("myself,master", "slave b", False),
        ("myself,master", "master -", False),
        ("myself,slave", "master -", True),
    ],
)
def test_a_replica_counts_until_the_majority_gives_it_up(
    mine: str, others: str, is_waited_for: bool
):
    rows = [f"a 127.0.0.1:7001@17001 {mine} - 0 0 1 connected 0-5460"]
    for row in others.split("|"):
        flags, primary = row.split()
        rows.append(f"c 127.0.0.1:7002@17002,host {flags} {primary} 0 0 1 connected")
    assert has_replica("\n".join(rows) + "\n") is is_waited_for


@pytest.mark.parametrize("key_count", [0, 1, FEW, FEW + 1, 64 * FEW])
@pytest.mark.parametrize("args", [(), (b"\x00\r\n", "é", 0, -17), (b"x" * 100_000,)])
def test_a_call_is_packed_as_hiredis_packs_it(key_count: int, args: tuple[bytes | str | int, ...]):
    keys = tuple(f"t:{{p{i}}}:é" for i in range(key_count))
    for _ in range(2):
        assert pack_call(b"look_1", keys, args) == pack(
            (b"FCALL", b"look_1", key_count, *keys, *args)
        )
