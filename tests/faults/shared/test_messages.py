"""A message on its way, and what a server does to it: one fault, one moment."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from geoengine.core.errors import StateUnavailable
from geoengine.service.sending.ending.settling import is_unsent
from geoengine.state.redis import RedisState
from geoengine.state.shared.library import library
from tests.servers import shared
from tests.servers.proxy import proxying
from tests.servers.server import Server, needed
from tests.state.samples import commit_of, located, send, write

VERSION = hashlib.sha256(library().encode()).hexdigest()[:10]
LEASE_MS = 60_000


async def test_rows_whose_taking_was_not_answered_are_taken_all_the_same() -> None:
    needed("valkey")
    server = shared.server("valkey")
    async with proxying(server.place.host, server.port) as way:
        state = RedisState(f"{way.url}?prefix={shared.prefix()}", partition_count=4)
        await state.open()
        try:
            await state.commit(commit_of(sends=(send("s1", due_ms=0), send("s2", due_ms=0))))
            lost = way.drop_reply(f"take_{VERSION}".encode())
            taken = await state.lease(100, 10, "w1", LEASE_MS)
            assert lost.is_set()
            assert sorted(row.send.send_id for row in taken) == ["s1", "s2"]
            assert await state.lease(101, 10, "w1", LEASE_MS) == []
        finally:
            await state.close()


async def test_no_message_begins_that_the_replica_does_not_hold(tmp_path: Path) -> None:
    binary = needed("valkey")
    with Server(directory=tmp_path / "master", binary=binary) as master:
        replica = Server(directory=tmp_path / "replica", binary=binary, replica_of=master)
        with replica:
            replica.wait_until_in_sync()
            state = RedisState(f"{master.url}?replicas=1", partition_count=4)
            await state.open()
            try:
                await write(state, located("ann"), sends=(send("s1", due_ms=0),))
                rows = await state.lease(100, 10, "w1", LEASE_MS)
                assert set(await state.begin(rows)) == {"ann"}
                replica.pause()
                with pytest.raises(StateUnavailable, match="0 of 1 replicas"):
                    await state.begin(rows)
            finally:
                await state.close()


async def test_what_a_dead_process_had_begun_counts_as_an_attempt() -> None:
    needed("valkey")
    url = f"{shared.server('valkey').url}?prefix={shared.prefix()}"
    state = RedisState(url, partition_count=1)
    await state.open()
    try:
        await write(state, located("ann"), sends=(send("s1", due_ms=0), send("s2", due_ms=0)))
        rows = {row.send.send_id: row for row in await state.lease(100, 10, "w1", LEASE_MS)}
        await state.begin([rows["s1"]])
        # As whoever serves the partition does once this process has been silent for long enough.
        orphans = [[send_id, state.process] for send_id in rows]
        await state._partitions.call("free", {0: orphans})
        again = await state.lease(200, 10, "w2", LEASE_MS)
        unsent = {row.send.send_id: is_unsent(row, LEASE_MS, 0) for row in again}
        assert unsent == {"s1": False, "s2": True}
    finally:
        await state.close()


async def test_no_message_begins_of_a_process_that_may_be_taken_for_dead() -> None:
    needed("valkey")
    url = f"{shared.server('valkey').url}?prefix={shared.prefix()}"
    state = RedisState(url, partition_count=1)
    await state.open()
    try:
        await write(state, located("ann"), sends=(send("s1", due_ms=0),))
        rows = await state.lease(100, 10, "w1", LEASE_MS)
        state._leases._until_s = 0.0  # as after seconds in which no beat was acknowledged
        with pytest.raises(StateUnavailable, match="taken for dead"):
            await state.begin(rows)
    finally:
        await state.close()
