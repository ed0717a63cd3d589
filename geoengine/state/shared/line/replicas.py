"""How many replicas must have a write before anybody is told that it happened.

Theory of operation
-------------------
WAIT follows the calls on their connection. How many it waits for is said by the URL, or found out.
Outside a Cluster: one, if the primary had one when we connected, and that stays: a replica lost is
an operator's business. In a Cluster: one for every primary that has a replica which the majority
has not declared failed. One who only its own primary misses (``fail?``) counts as alive: a primary
cut off from the majority would otherwise acknowledge what is lost when that replica is promoted.
That a primary has a replica is believed until WAIT falls short; that it has none is asked each
time: the moment one is back it may be promoted, and what was acknowledged without it would be lost.

WAIT waits for the last *write of its own connection*: in Valkey 9 it waits for nothing where there
was none (Redis 7.0 waits for all that the server had written by then). So a function that is called
as a write must write something also when it only repeats its first answer, or the answer may rest
on a write that no replica has.
"""

from __future__ import annotations

from typing import Any

from geoengine.state.shared.line.nodes import Nodes
from geoengine.state.shared.line.topology import has_replica
from geoengine.state.shared.line.urls import Address
from geoengine.state.shared.line.wire import Broken, Refusal, pack


class Replicas:
    """Knows which primaries have replicas, and what is enough."""

    def __init__(self, nodes: Nodes, wait_ms: int) -> None:
        self.fixed = nodes.target.replicas  # None: as each primary of the Cluster says
        self.pause_s = wait_ms / 1_000
        self._nodes = nodes
        self._wait_ms = wait_ms
        self._having: set[Address] = set()  # primaries that said they have one

    async def wanted(self, address: Address, until_s: float) -> int:
        """How many must hold what this server is about to write."""
        if self.fixed is not None:
            return self.fixed
        if address in self._having:
            return 1
        return int(await self._ask(address, until_s))

    def wait(self, wanted: int) -> bytes:
        """The command that waits for them."""
        return pack((b"WAIT", wanted, self._wait_ms))

    async def require(self, address: Address, wanted: int, held: Any, until_s: float) -> None:
        """Raise `StateUnavailable` unless enough hold it, by the reply of WAIT, or none is there.

        Raises `Broken` where the server refused to wait: it is no primary any more.
        """
        if isinstance(held, Refusal):
            self._nodes.judged(held, address)
            raise Broken(held.text)
        if held < wanted and (self.fixed is not None or await self._ask(address, until_s)):
            text = f"{held} of {wanted} replicas acknowledged within {self._wait_ms} ms"
            raise self._nodes.unavailable(address, text)

    async def _ask(self, address: Address, until_s: float) -> bool:
        """Whether the primary has a replica, by its own account."""
        nodes = await self._nodes.ask(address, (b"CLUSTER", b"NODES"), until_s)
        has_one = has_replica(nodes.decode())
        if has_one:
            self._having.add(address)
        else:
            self._having.discard(address)
        return has_one
