"""The servers we know, and which of them serves what: the topology, read and read anew."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from typing import Any

from geoengine.core.errors import ConfigurationError, Fault, StateUnavailable
from geoengine.state.shared.line.refusals import LibraryFault, Verdict, judge
from geoengine.state.shared.line.topology import Topology, read_slots
from geoengine.state.shared.line.urls import Address, Target
from geoengine.state.shared.line.wire import (
    FIRST_WAIT_S,
    Broken,
    Refusal,
    Server,
    Unwelcome,
    Words,
    pack,
)


class Nodes:
    """One server, or those of a Cluster; of these only the seeds are known at first."""

    def __init__(
        self, target: Target, *, connections: int, timeout_s: float, rng: random.Random
    ) -> None:
        self.target = target
        first = target.seeds[0]
        self.topology = (
            Topology((None,), target.seeds) if target.is_cluster else Topology.single(first)
        )
        self._connections = connections
        self._timeout_s = timeout_s
        self._rng = rng
        self._servers: dict[Address, Server] = {}
        self._reading = asyncio.Lock()
        self._fresh_until_s = 0.0  # in the loop's time

    async def close(self) -> None:
        """Close every connection."""
        servers, self._servers = self._servers, {}
        for server in servers.values():
            await server.close()

    async def exchange(
        self, address: Address, commands: Sequence[bytes], until_s: float, *, pause_s: float = 0.0
    ) -> list[Any]:
        """`Server.exchange` with the server of that address; who lets nobody in is unavailable."""
        try:
            return await self._server(address).exchange(commands, until_s, pause_s=pause_s)
        except Unwelcome as unwelcome:
            raise self.unavailable(address, str(unwelcome)) from None

    async def ask(self, address: Address, words: Words, until_s: float) -> Any:
        """One command of the link's own. A refusal is raised, as `Broken` if it may pass."""
        (reply,) = await self.exchange(address, [pack(words)], until_s)
        if isinstance(reply, Refusal):
            self.judged(reply, address)
            raise Broken(reply.text)
        return reply

    def judged(self, refusal: Refusal, address: Address) -> Verdict:
        """What a refusal asks for, if anything helps; else it is raised."""
        verdict = judge(refusal.text)
        if verdict is Verdict.REFUSED:
            raise self.unavailable(address, refusal.text)
        if verdict is Verdict.FAULT:
            raise LibraryFault(self.target.hide(f"{address}: {refusal.text}"))
        return verdict

    def unavailable(self, address: Address, text: str) -> StateUnavailable:
        """The error that names the server and the reason, and no password."""
        return StateUnavailable(self.target.hide(f"{address}: {text}"))

    async def find(
        self, seen: Topology, doubted: Address, knowing: Address | None, until_s: float
    ) -> None:
        """Read the topology anew, unless somebody has since it was seen, or a moment ago.

        The server that is said to know better is asked first, the doubted one last. Raises
        `Broken` or `StateUnavailable` when nobody answers.
        """
        if not self.target.is_cluster:
            return
        async with self._reading:
            now_s = asyncio.get_running_loop().time()
            if self.topology is not seen or (knowing is None and now_s < self._fresh_until_s):
                return
            known = list(dict.fromkeys((*seen.servers, *self.target.seeds)))
            self._rng.shuffle(known)
            known.sort(key=lambda address: address == doubted)
            first = [] if knowing is None else [knowing]
            self.topology = await self._first_account([*first, *known], until_s)
            self._fresh_until_s = asyncio.get_running_loop().time() + FIRST_WAIT_S
            kept = {*self.topology.servers, *self.target.seeds}
            for address in self._servers.keys() - kept:
                await self._servers.pop(address).close()

    async def _first_account(self, addresses: list[Address], until_s: float) -> Topology:
        """The topology by the first server that answers."""
        failure: Exception = Broken("no server is known")
        for address in addresses:
            try:
                reply = await self.ask(address, (b"CLUSTER", b"SLOTS"), until_s)
            except (Broken, StateUnavailable) as error:
                failure = error
            except LibraryFault:
                raise misnamed("the server is no part of a Cluster; expected redis://") from None
            else:
                return read_slots(reply, address)
        raise failure

    def _server(self, address: Address) -> Server:
        server = self._servers.get(address)
        if server is None:
            server = self._servers[address] = Server(
                address,
                self.target,
                connections=self._connections,
                timeout_s=self._timeout_s,
                rng=self._rng,
            )
        return server


def misnamed(what: str) -> ConfigurationError:
    """The URL names servers of another kind than there are."""
    return ConfigurationError([Fault("state", 1, 1, f"the URL: {what}")])
