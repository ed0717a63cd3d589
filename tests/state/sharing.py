"""Several processes on one shared state, and names that live where a test wants them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import count
from typing import Any
from zlib import crc32

from geoengine.core.record import Event
from geoengine.state.redis import RedisState
from tests.servers.shared import cluster, prefix, server

PARTITIONS = 16
# The servers that many tests of sharing run on: a row each, as `backends.WORLDS` has them.
SERVERS: dict[str, Callable[[], str]] = {
    "valkey": lambda: server("valkey").url,
    "redis": lambda: server("redis").url,
    "cluster": lambda: cluster("valkey").url,
}


def a_state_of(url: str) -> str:
    """The URL of a state that nobody else has."""
    return f"{url}{'&' if '?' in url else '?'}prefix={prefix()}"


@asynccontextmanager
async def processes(url: str, how_many: int = 2, **options: Any) -> AsyncIterator[list[RedisState]]:
    """So many processes, open."""
    async with AsyncExitStack() as stack:
        opened = []
        for _ in range(how_many):
            state = RedisState(url, **{"partition_count": PARTITIONS} | options)
            await state.open()
            stack.push_async_callback(state.close)
            opened.append(state)
        yield opened


def partition_of(name: str) -> int:
    """Where a name is at home."""
    return crc32(name.encode()) % PARTITIONS


def named(start: str, *, beside: str = "", apart_from: Iterable[str] = ()) -> str:
    """A name in the partition of another, or in none of those of others."""
    shunned = {partition_of(name) for name in apart_from}
    for number in count():
        name = f"{start}{number}"
        place = partition_of(name)
        if place == partition_of(beside) if beside else place not in shunned:
            return name
    raise AssertionError


def held_by(state: RedisState) -> set[int]:
    """The partitions that a process serves at this moment, as it believes."""
    return set(state._leases.held)


def serving(states: Iterable[RedisState], name: str) -> RedisState:
    """The process that serves the partition of a name."""
    return next(state for state in states if partition_of(name) in held_by(state))


async def shared_out(states: Iterable[RedisState]) -> bool:
    """Whether these serve all partitions among them, each its share and no other's."""
    shares = [held_by(state) for state in states]
    is_fair = max(map(len, shares)) <= -(-PARTITIONS // len(shares))
    return is_fair and sorted(p for share in shares for p in share) == list(range(PARTITIONS))


def died(state: RedisState) -> None:
    """End a process without a goodbye: it neither says that it lives nor leaves."""
    beating = state._leases._beating
    assert beating is not None
    beating.cancel()


async def until(holds: Callable[[], Any], timeout_s: float = 15.0) -> None:
    """Ask again until it holds."""
    async with asyncio.timeout(timeout_s):
        while not await holds():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


def kinds(events: Iterable[Event]) -> list[str]:
    """What was told, in order."""
    return [event.type for event in events]
