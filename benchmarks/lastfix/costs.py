"""What each way costs: processor time of client and server, the wall's, bytes kept and logged."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from .caches import BROADCAST, TRACKING, Announced, AnnouncedHashes, Cached, Embedded
from .crowd import KEYS, ROW, SEED, Batch, Crowd, batch_of, keys_of
from .servers import FUNCTIONS, Server, Wire
from .ways import (
    Blobs,
    Hashes,
    IndexedBlobs,
    Keys,
    Leased,
    Pings,
    PipelinedBlobs,
    PipelinedHashes,
    Single,
    TrackedKeys,
)

Ways = dict[str, tuple[Any, Server]]


async def fill(wire: Wire, crowd: Crowd, kinds: str) -> None:
    """A row for each device, in these layouts: (k)eys, (h)ashes, (b)lobs, (i)ndexes of blobs."""
    row = bytes(ROW.itemsize)
    for partition, members in enumerate(crowd.members()):
        raws = [crowd.ids[ix].encode() for ix in members.tolist()]
        for start in range(0, len(raws), 1_000):
            part = raws[start : start + 1_000]
            offsets = range(start * len(row), (start + len(part)) * len(row), len(row))
            keys = [b"k:{p%d}:%s" % (partition, raw) for raw in part]
            commands = {
                "k": ("MSET", *(word for key in keys for word in (key, row))),
                "h": ("HSET", KEYS[b"h"][partition], *(w for raw in part for w in (raw, row))),
                "b": ("APPEND", KEYS[b"b"][partition], row * len(part)),
                "o": ("HSET", KEYS[b"o"][partition], "", "1"),
                "i": ("HSET", KEYS[b"i"][partition], *sum(zip(part, offsets, strict=True), ())),
            }
            await wire.exchange(*(commands[kind] for kind in kinds))


@dataclass
class Cost:
    """Nanoseconds a device, a value a round."""

    client: list[float] = field(default_factory=list)
    server: list[float] = field(default_factory=list)
    wall: list[float] = field(default_factory=list)

    def told(self, which: str, floor: Cost) -> str:
        """The least of the rounds in microseconds, and the median of the rounds' ratios."""
        values = getattr(self, which)
        ratios = [one / other for one, other in zip(values, floor.client, strict=False)]
        return f"{min(values) / 1e3:.3g} ({statistics.median(ratios):.1f})" if values else "–"


async def measure(way: Any, batches: list[Batch], server: Server, cost: Cost) -> None:
    """One round of one way."""
    client_ns = server_ns = wall_ns = 0
    for batch in batches:
        if hasattr(way, "before"):
            await way.before(batch)
        began = server.cpu_ns(), time.perf_counter_ns(), time.process_time_ns()
        await way.serve(batch)
        client_ns += time.process_time_ns() - began[2]
        wall_ns += time.perf_counter_ns() - began[1]
        server_ns += server.cpu_ns() - began[0]
        if hasattr(way, "after"):
            await way.after()
    devices = sum(len(batch.ids) for batch in batches)
    cost.client.append(client_ns / devices)
    cost.server.append(server_ns / devices)
    cost.wall.append(wall_ns / devices)


async def ways_of(crowd: Crowd, servers: dict[str, Server], embedded: Embedded) -> Ways:
    """All ways, by name, with the server that each is measured on."""
    off = servers["no log"]
    wire, bulk = await off.wire(), await off.wire(is_bulk=True)
    for server in servers.values():
        filler = await server.wire()
        await filler.exchange(("FUNCTION", "LOAD", "REPLACE", FUNCTIONS))
        await fill(filler, crowd, "khbio" if server is off else "h")
    ways: dict[str, Any] = {
        "embedded table": embedded,
        "two empty exchanges": Pings(wire),
        "a. a key a device": Keys(wire),
        "b. hashes, one call": Hashes(wire, crowd),
        "b. hashes, a call a partition": PipelinedHashes(wire, crowd),
        "b. the same, replies in bulk": PipelinedHashes(bulk, crowd),
        "c. blobs, one call": Blobs(wire, crowd),
        "c. blobs, a call a partition, replies in bulk": PipelinedBlobs(bulk, crowd),
        "c. blobs, index in a hash, one call": IndexedBlobs(wire, crowd),
    }
    for share in (1.0, 0.5, 0.0):
        ways[f"d. cache and hashes, one call, {share:.0%} right"] = Cached(
            crowd, Hashes(wire, crowd), share
        )
    for name, way in (
        ("hashes, a call a partition, replies in bulk", PipelinedHashes(bulk, crowd)),
        ("blobs, one call", Blobs(wire, crowd)),
        ("blobs, a call a partition, replies in bulk", PipelinedBlobs(bulk, crowd)),
    ):
        ways[f"d. cache and {name}, 100% right"] = Cached(crowd, way, 1.0)
    ways["d. cache and leased hashes of heads, one call, never wrong"] = Cached(
        crowd, Leased(wire, crowd), 1.0
    )
    for share in (1.0, 0.5, 0.0):
        for name, kind, greeting in (
            ("tracked", TrackedKeys, TRACKING),
            ("broadcast", Keys, BROADCAST),
        ):
            ear = await off.wire(protocol=3, is_bulk=True)
            announced = Announced(crowd, kind(ear), Keys(wire), greeting, share)
            ways[f"e. keys, {name}, {share:.0%} unchanged"] = announced
    ear = await off.wire(protocol=3, is_bulk=True)
    ways["e. hashes, broadcast, another writes as much"] = AnnouncedHashes(
        crowd, Hashes(ear, crowd), Hashes(wire, crowd)
    )
    ways["f. HGET, HSET a device"] = Single(wire, crowd)
    found: Ways = {name: (way, off) for name, way in ways.items()}
    for name, server in servers.items():
        if server is not off:
            for setter, what in (("hash_set", ""), ("hash_set_here", ", not logged")):
                way = Hashes(await server.wire(), crowd, setter)
                found[f"b. hashes, one call, {name}{what}"] = way, server
    return found


async def costs(
    ways: Ways, crowd: Crowd, rounds: int, sizes: dict[int, int]
) -> dict[str, dict[int, Cost]]:
    """What each way costs at each size of batch, the ways taking turns in every round."""
    rng = np.random.default_rng(SEED)
    found: dict[str, dict[int, Cost]] = defaultdict(lambda: defaultdict(Cost))
    names = list(ways)
    for turn in range(-1, rounds):
        for size, count in sizes.items():
            batches = [batch_of(crowd, size, rng) for _ in range(count)]
            rng.shuffle(names)
            for name in names:
                if "50%" in name and size == 1:
                    continue
                way, server = ways[name]
                cost = found[name][size] if turn >= 0 else Cost()
                await measure(way, batches, server, cost)
    return {name: found[name] for name in ways}


async def weights(binary: str, crowd: Crowd, kinds: str) -> tuple[float, float]:
    """Bytes a device that these layouts take, and more where keys are tracked for a client."""
    with tempfile.TemporaryDirectory() as name, closing(Server(binary, Path(name) / "w")) as server:
        wire, ear = await server.wire(), await server.wire(TRACKING, protocol=3)
        before = int(await server.info("memory", "used_memory"))
        await fill(wire, crowd, kinds)
        filled = int(await server.info("memory", "used_memory"))
        for start in range(0, len(crowd.ids) if kinds == "k" else 0, 1_000):
            await ear.exchange(("MGET", *keys_of(crowd.ids[start : start + 1_000])))
        tracked = int(await server.info("memory", "used_memory"))
    return (filled - before) / len(crowd.ids), (tracked - filled) / len(crowd.ids)


async def logged_bytes(ways: Ways, crowd: Crowd) -> Iterator[str]:
    """What the log of the server grows by a device written."""
    batch = batch_of(crowd, 4_000, np.random.default_rng(SEED))
    rows = []
    for name, (way, server) in ways.items():
        if server.is_logged:
            before = int(await server.info("persistence", "aof_current_size"))
            await way.serve(batch)
            after = int(await server.info("persistence", "aof_current_size"))
            rows.append(f"| {name} | {(after - before) / 4_000:.0f} |\n")
    return iter(rows)


async def announcement_ns(server: Server, crowd: Crowd, rounds: int) -> dict[str, list[float]]:
    """What writing a key costs the server while another client tracks it, and what that hears."""
    wire = await server.wire()
    ears = {
        "nobody listens": None,
        "tracked": await server.wire(TRACKING, protocol=3, is_bulk=True),
        "broadcast": await server.wire(BROADCAST, protocol=3, is_bulk=True),
    }
    rng, writer = np.random.default_rng(SEED), Keys(wire)
    found: dict[str, list[float]] = {}
    spent: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for _ in range(rounds):
        for name, ear in ears.items():
            batch = batch_of(crowd, 1_000, rng)
            if name == "tracked":
                await ear.exchange(("MGET", *keys_of(batch.ids)))
            began = server.cpu_ns()
            await writer.serve(batch)
            server_ns, began = server.cpu_ns() - began, time.process_time_ns()
            if ear:
                await ear.hear(1_000)
                ear.heard.clear()
            spent[name].append((server_ns, time.process_time_ns() - began if ear else 0.0))
    for name, pairs in spent.items():
        found[name] = [statistics.median(column) / 1e6 for column in zip(*pairs, strict=True)]
    return found
