"""The workload as requests: who posts what over which connection, and what must come of it.

Fixes are moved in time so that the last of them is of now: they are fresh. A device always posts
over the same lane, so its fixes arrive in their order, and devices do not matter to each other:
what a replay of the accepted fixes tells is what the answers together must have told.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from http_load import Found
from workload import trace, trace_lines, write_catalogue, zones

from geoengine.catalog import read
from geoengine.core.columns import Fixes, Floats, Sightings
from geoengine.core.engine import Batch
from geoengine.state import open_state
from geoengine.state.loop import advance

BATCH = 8_192
AT_SEA_DEG = 45.0  # west of the workload's Europe is the Atlantic, for up to 10,000 zones
SHARES = 100  # devices are put ashore by hundredths
TOLD = frozenset({"zone.entered", "zone.exited", "zone.crossed"})  # not what only time brings


@dataclass
class Workload:
    """A catalogue on disk, fixes, and their JSON."""

    config: Path
    fixes: Fixes
    lines: list[bytes]
    device: np.ndarray  # number of the device of each fix

    @classmethod
    def make(
        cls, folder: Path, *, zone_count: int, devices: int, count: int, ashore: float = 1.0
    ) -> Workload:
        """A seeded workload of so many zones, devices and fixes.

        Of the devices a share is ``ashore``, the others are where there is no zone.
        """
        made = zones(zone_count)
        write_catalogue(made, folder / "config")
        fixes = trace(made, devices, count)
        if ashore < 1.0:
            fixes = replace(fixes, lon_deg=fixes.lon_deg - AT_SEA_DEG * _at_sea(fixes, ashore))
        shift_ms = time.time_ns() // 1_000_000 - int(fixes.fix_ms[-1])
        fixes = replace(fixes, fix_ms=fixes.fix_ms + shift_ms)
        lines = [line.rstrip().encode() for line in trace_lines(fixes)]
        device = np.array([int(name[1:]) for name in fixes.device_ids])
        return cls(folder / "config", fixes, lines, device)


def _at_sea(fixes: Fixes, ashore: float) -> Floats:
    """1 for the fixes of devices that are at sea, else 0."""
    numbers = np.array([int(name[1:]) for name in fixes.device_ids])
    return (numbers % SHARES >= round(SHARES * ashore)).astype(float)


@dataclass
class Phase:
    """Some of the fixes as requests: for each lane its own, in order."""

    rows: list[list[list[int]]]  # lane -> request -> fixes
    requests: list[list[bytes]]

    @classmethod
    def of(cls, workload: Workload, begin: int, end: int, *, lanes: int, size: int) -> Phase:
        """Fixes from ``begin`` to ``end`` in posts of ``size``."""
        own: list[list[int]] = [[] for _ in range(lanes)]
        for row, device in enumerate(workload.device[begin:end].tolist(), begin):
            own[device % lanes].append(row)
        rows = [[some[at : at + size] for at in range(0, len(some), size)] for some in own]
        lines = workload.lines
        return cls(rows, [[_request([lines[ix] for ix in post]) for post in lane] for lane in rows])

    def accepted(self, found: Found) -> list[int]:
        """The fixes of the requests that were answered with 200."""
        width = len(self.rows)
        return [row for number in found.taken for row in self.rows[number % width][number // width]]


def _request(lines: list[bytes]) -> bytes:
    body = lines[0] if len(lines) == 1 else b"[" + b",".join(lines) + b"]"
    return (
        b"POST /v1/pings HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        b"Content-Length: %d\r\n\r\n%s" % (len(body), body)
    )


def told(bodies: Iterable[bytes]) -> set[str]:
    """Ids of the events that answers told."""
    return {
        event["id"]
        for body in bodies
        for event in json.loads(body)["events"]
        if event["type"].removeprefix("geoengine.") in TOLD
    }


def expected(workload: Workload, accepted: Iterable[int]) -> set[str]:
    """Ids of the events that a replay of these fixes tells, in order of time, in long batches."""
    rows = np.sort(np.fromiter(accepted, np.int64))
    return asyncio.run(_replayed(workload, rows))


async def _replayed(workload: Workload, rows: np.ndarray) -> set[str]:
    book, state = read(workload.config).book, open_state("memory:")
    now_ms = time.time_ns() // 1_000_000
    ids: set[str] = set()
    await state.open()
    for at in range(0, len(rows), BATCH):
        some = workload.fixes.take(rows[at : at + BATCH])
        some = replace(some, recv_ms=np.full(len(some), now_ms))
        outcome = await advance(state, book, Batch(some, Sightings.empty(), (), now_ms))
        ids |= {event.id for event in outcome.events if event.type in TOLD}
    await state.close()
    return ids
