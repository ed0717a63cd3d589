"""The back ends that the contract suite runs on: a table, one row each.

A back end is given as a *world*: something that opens a state, and can restart it. To add one,
add a row to `WORLDS`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from geoengine.state.base import State
from geoengine.state.local import LocalState
from geoengine.state.redis import RedisState
from tests.servers.shared import cluster, prefix, server


class World:
    """Opens a state for a test, and restarts it where the back end can."""

    can_restart = True
    is_shared = False  # whether what it keeps is others', and outlives this process whole
    keeps_leases = False  # whether a lease outlives a restart

    def __init__(self, make: Callable[[], State]) -> None:
        self._make = make
        self.state: State

    async def __aenter__(self) -> World:
        self.state = self._make()
        await self.state.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.state.close()

    async def restart(self) -> None:
        """Stop gracefully and start again on what is left."""
        if self.can_restart:
            await self.state.close()
            self.state = self._make()
            await self.state.open()


class Forgetful(World):
    """Memory only: nothing outlives a restart, so there is none."""

    can_restart = False


class Restarting(World):
    """Restarts before every call: whatever a call relies on must have been written down.

    Leases are the one thing that a restart may undo, so calls about leases run on one opening.
    """

    async def __aenter__(self) -> Restarting:
        await super().__aenter__()
        self.inner = self.state
        self.state = _RestartBeforeEach(self)  # type: ignore[assignment]
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.inner.close()

    async def restart(self) -> None:
        await self.inner.close()
        self.inner = self._make()
        await self.inner.open()


class _RestartBeforeEach:
    def __init__(self, world: Restarting) -> None:
        self._world = world
        self._has_leases = False

    def __getattr__(self, name: str) -> Callable[..., Awaitable[Any]]:
        async def call(*values: Any, **options: Any) -> Any:
            if not self._has_leases:
                await self._world.restart()
            self._has_leases = self._has_leases or name == "lease"
            return await getattr(self._world.inner, name)(*values, **options)

        return call


def memory(_: Path) -> World:
    return Forgetful(lambda: LocalState(None))


def local(directory: Path) -> World:
    return World(lambda: LocalState(directory / "state.db"))


def local_restarting(directory: Path) -> World:
    return Restarting(lambda: LocalState(directory / "state.db"))


def shared_by(url_of: Callable[[], str]) -> Callable[[Path], World]:
    """A state that many may share, on a server of its own kind; tests are kept apart by prefix."""

    def world(_: Path) -> World:
        url = f"{url_of()}?prefix={prefix()}"
        opened = World(lambda: RedisState(url, partition_count=16))
        opened.is_shared = True
        return opened

    return world


WORLDS: dict[str, Callable[[Path], World]] = {
    "memory": memory,
    "local": local,
    "local, restarted before each call": local_restarting,
    "valkey": shared_by(lambda: server("valkey").url),
    "redis": shared_by(lambda: server("redis").url),
    "cluster": shared_by(lambda: cluster("valkey").url),
}
# Where many calls are under way at once, a restart in between has no meaning.
CONCURRENT_WORLDS = {name: WORLDS[name] for name in WORLDS if "restarted" not in name}
