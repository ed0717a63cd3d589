"""A Cluster of three masters with a replica each, and the accidents that happen to one."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.servers.places import Loopback, Place, free_port
from tests.servers.server import Refused, Server, wait_until

SHARDS = 3
SLOTS = 16_384
READY_S = 30.0
_GLANCE_S = 0.5  # a node that is paused or cut off does not answer; the others know enough


@dataclass(frozen=True)
class NodeView:
    """A node as one of them sees it, a line of CLUSTER NODES."""

    node_id: str
    flags: frozenset[str]
    epoch: int
    slots: frozenset[int]

    @classmethod
    def of(cls, line: str) -> NodeView:
        node_id, _, flags, _, _, _, epoch, _, *ranges = line.split()
        slots: set[int] = set()
        for span in ranges:
            if not span.startswith("["):  # on the move: still where it was
                first, _, last = span.partition("-")
                slots.update(range(int(first), int(last or first) + 1))
        return cls(node_id, frozenset(flags.split(",")), int(epoch), frozenset(slots))


class Cluster:
    """Six servers: shard i is node i, its master at first, and node i + 3.

    A master that was killed comes back as its successor's replica, so who is what is always asked
    of the nodes themselves. ``places`` says where each node listens; ``settings`` are a server's.
    """

    def __init__(
        self,
        directory: Path,
        binary: str,
        *,
        node_timeout_ms: int = 2_000,
        places: Sequence[Place] = (Loopback(),),
        **settings: Any,
    ) -> None:
        self._bus_ports = [free_port() for _ in range(2 * SHARDS)]
        options = settings.pop("options", {})
        self.nodes = [
            Server(
                directory=directory / f"node{ix}",
                binary=binary,
                place=place,
                options={
                    "cluster-enabled": "yes",
                    "cluster-node-timeout": str(node_timeout_ms),
                    "cluster-port": str(bus_port),
                    **options,
                },
                **settings,
            )
            for ix, (bus_port, place) in enumerate(
                zip(self._bus_ports, itertools.cycle(places), strict=False)
            )
        ]
        self._ids: list[str] = []

    def __enter__(self) -> Cluster:
        try:
            self.start()
        except BaseException:
            self.kill()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    @property
    def url(self) -> str:
        """How clients are told of it: its first masters as seeds."""
        first = self.nodes[0]
        scheme = "rediss+cluster" if first.certificates else "redis+cluster"
        seeds = ",".join(node.address for node in self.nodes[:SHARDS])
        return f"{scheme}://{first.credentials}{seeds}{first.trust}"

    @property
    def masters(self) -> list[Server]:
        """Who serves each shard now, by shard; there must be one for each."""
        return [self.master(shard) for shard in range(SHARDS)]

    def start(self) -> None:
        """Start the nodes and make a Cluster of them; returns when it serves and is in sync."""
        for node in self.nodes:
            node.launch()
        for node in self.nodes:
            node.wait_until_answering()
        self._ids = [node.call("CLUSTER", "MYID") for node in self.nodes]
        for ix, node in enumerate(self.nodes):
            node.call("CLUSTER", "SET-CONFIG-EPOCH", ix + 1)
        for shard in range(SHARDS):
            first, last = _first_slot(shard), _first_slot(shard + 1) - 1
            self.nodes[shard].call("CLUSTER", "ADDSLOTSRANGE", first, last)
        for (_, one), (ix, other) in itertools.combinations(enumerate(self.nodes), 2):
            one.call("CLUSTER", "MEET", other.place.host, other.port, self._bus_ports[ix])
        for shard in range(SHARDS):
            self._replicate(self.nodes[shard + SHARDS], self._ids[shard])
        self.wait_until_ready()

    def wait_until_ready(self, timeout_s: float = READY_S) -> None:
        """Until every node that runs says so, and each shard's replicas that run are in sync."""
        for node in self._running():
            wait_until(lambda node=node: self._is_ready(node), node.said, timeout_s)

    def master(self, shard: int) -> Server:
        """Who serves a shard, whichever slots that are now."""
        pair = (self.nodes[shard], self.nodes[shard + SHARDS])
        return self._latest(pair, f"shard {shard}", lambda view: bool(view.slots))

    def master_of(self, slot: int) -> Server:
        """Who serves a slot."""
        return self._latest(self.nodes, f"slot {slot}", lambda view: slot in view.slots)

    def replica_of(self, master: Server) -> Server:
        """The other node of its shard."""
        return self.nodes[(self.nodes.index(master) + SHARDS) % len(self.nodes)]

    def kill_master(self, shard: int) -> int:
        """SIGKILL whoever serves a shard; which node that was."""
        master = self.master(shard)
        master.kill()
        return self.nodes.index(master)

    def wait_for_successor(self, node_ix: int, timeout_s: float = READY_S) -> Server:
        """Until the other node of a dead or cut off master's shard serves instead of it."""
        successor = self.replica_of(self.nodes[node_ix])

        def has_taken_over() -> bool:
            view = self._own_view(successor)
            return view is not None and bool(view.slots) and _is_ok(successor)

        wait_until(has_taken_over, successor.said, timeout_s)
        return successor

    def restart(self, node_ix: int) -> None:
        """Start a node again, as whatever the others make of it, and wait until all is well."""
        self.nodes[node_ix].restart()
        self.wait_until_ready()

    def heal(self) -> None:
        """Everybody up again and in sync, whatever was done to them."""
        for node in self.nodes:
            if node.is_running:
                node.resume()
            else:
                node.start()
        self.wait_until_ready()

    def kill(self) -> None:
        """End all of them."""
        for node in self.nodes:
            node.kill()

    def moving(self, slot: int, to: Server) -> Move:
        """A slot on its way to another master, step by step; see `Move`."""
        return Move(self, slot, self.master_of(slot), to)

    def move_slot(self, slot: int, to: Server) -> None:
        """Move a slot and its keys, as a resharding does it."""
        move = self.moving(slot, to)
        move.begin()
        while move.some_keys():
            pass
        move.finish()

    def id_of(self, node: Server) -> str:
        """The name by which the nodes know it."""
        return self._ids[self.nodes.index(node)]

    def _running(self) -> list[Server]:
        return [node for node in self.nodes if node.is_running]

    def _replicate(self, replica: Server, master_id: str) -> None:
        """Refused until the nodes have heard of each other."""
        wait_until(lambda: replica.call("CLUSTER", "REPLICATE", master_id) == "OK", replica.said)

    def _is_ready(self, node: Server) -> bool:
        views = [NodeView.of(line) for line in node.call("CLUSTER", "NODES").splitlines()]
        fine = [view for view in views if not view.flags & {"handshake", "fail", "fail?", "noaddr"}]
        replicas = [view for view in fine if "slave" in view.flags]
        return (
            _is_ok(node)
            and len(fine) == len(self._running())
            and len(replicas) == len(fine) - SHARDS
            and _is_in_sync(node)
        )

    def _latest(
        self, nodes: Sequence[Server], what: str, serves: Callable[[NodeView], bool]
    ) -> Server:
        """The master by what each node says of itself; the latest election counts."""
        claims = [
            (view.epoch, ix)
            for ix, node in enumerate(nodes)
            if (view := self._own_view(node)) and "master" in view.flags and serves(view)
        ]
        assert claims, f"nobody serves {what}"
        return nodes[max(claims)[1]]

    def _own_view(self, node: Server) -> NodeView | None:
        """What a node says of itself; None if it says nothing."""
        try:
            lines = node.call("CLUSTER", "NODES", timeout_s=_GLANCE_S).splitlines()
        except (OSError, Refused):
            return None
        return next(view for view in map(NodeView.of, lines) if "myself" in view.flags)


@dataclass
class Move:
    """A slot that moves from one master to another; a test may stop between any two steps."""

    cluster: Cluster
    slot: int
    source: Server
    target: Server
    is_begun: bool = field(default=False, init=False)

    def begin(self) -> None:
        """From here on the source answers ASK for the keys that it no longer has."""
        source_id, target_id = self.cluster.id_of(self.source), self.cluster.id_of(self.target)
        self.target.call("CLUSTER", "SETSLOT", self.slot, "IMPORTING", source_id)
        self.source.call("CLUSTER", "SETSLOT", self.slot, "MIGRATING", target_id)
        self.is_begun = True

    def some_keys(self, count: int = 100) -> int:
        """Move so many keys; how many there were. Calls that want keys of both: TRYAGAIN."""
        keys = self.source.call("CLUSTER", "GETKEYSINSLOT", self.slot, count)
        return self.keys(*keys)

    def keys(self, *keys: str) -> int:
        """Move these keys, a function's whole data or a part of it."""
        if keys:
            self.source.call(
                "MIGRATE", self.target.place.host, self.target.port, "", 0, 5_000,
                *self._secret(), "KEYS", *keys,
            )  # fmt: skip
        return len(keys)

    def finish(self) -> None:
        """The slot is the target's: the target hears it first, then the source, then the others."""
        target_id = self.cluster.id_of(self.target)
        others = [node for node in self.cluster.masters if node not in (self.source, self.target)]
        for node in (self.target, self.source, *others):
            node.call("CLUSTER", "SETSLOT", self.slot, "NODE", target_id)

    def _secret(self) -> tuple[str, ...]:
        if not self.source.password:
            return ()
        return ("AUTH2", self.source.user or "default", self.source.password)


def _first_slot(shard: int) -> int:
    return -(-SLOTS * shard // SHARDS)


def _is_ok(node: Server) -> bool:
    return "cluster_state:ok" in node.call("CLUSTER", "INFO").splitlines()


def _is_in_sync(node: Server) -> bool:
    info = node.info("replication")
    if info["role"] == "slave":
        return info["master_link_status"] == "up"
    return all("state=online" in line for name, line in info.items() if name[:-1] == "slave")
