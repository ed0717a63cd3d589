"""What servers' settings cannot keep is told at the start, with the promise at risk."""

from __future__ import annotations

from pathlib import Path

import pytest

from geoengine.core.errors import ConfigurationError
from geoengine.state.redis import RedisState
from tests.servers.server import Server, needed

SAFE = {"maxmemory": "100mb"}


async def concerns(server: Server) -> list[str]:
    state = RedisState(server.url, partition_count=2)
    await state.open()
    await state.close()
    return state.concerns


@pytest.mark.parametrize("name", ["valkey", "redis"])
async def test_a_server_that_keeps_everything_is_of_no_concern(tmp_path: Path, name: str):
    with Server(
        directory=tmp_path,
        binary=needed(name),
        appendonly="always",
        password="pass",
        options=SAFE,
    ) as server:
        assert await concerns(server) == []


async def test_a_server_that_may_evict_is_refused(tmp_path: Path):
    with Server(
        directory=tmp_path,
        binary=needed("valkey"),
        options={**SAFE, "maxmemory-policy": "allkeys-lru"},
    ) as server:
        with pytest.raises(ConfigurationError, match="expected noeviction") as refused:
            await concerns(server)
        assert "allkeys-lru" in str(refused.value)


async def test_each_setting_that_loses_something_is_told_with_the_promise(tmp_path: Path):
    with Server(directory=tmp_path / "1", binary=needed("valkey"), appendonly="everysec") as one:
        told = "\n".join(await concerns(one))
        assert "up to a second" in told and "(I4)" in told
        assert "no maxmemory" in told and "(I6)" in told
        assert "no password" in told and "(I9)" in told
    with Server(directory=tmp_path / "2", binary=needed("valkey"), options=SAFE) as two:
        told = "\n".join(await concerns(two))
        assert "(I1, I2, I4); set appendonly yes" in told


async def test_a_replica_that_is_waited_for_is_told_of(tmp_path: Path):
    with (
        Server(directory=tmp_path / "1", binary=needed("valkey"), appendonly="everysec") as primary,
        Server(directory=tmp_path / "2", binary=needed("valkey"), replica_of=primary) as replica,
    ):
        replica.wait_until_in_sync()
        assert any("1 replica(s) hold it too (WAIT)" in why for why in await concerns(primary))


async def test_settings_that_are_not_told_are_told_of(tmp_path: Path):
    with Server(
        directory=tmp_path,
        binary=needed("valkey"),
        password="pass",
        options={"rename-command": "CONFIG ''"},
    ) as server:
        (why,) = await concerns(server)
        assert "CONFIG GET" in why
