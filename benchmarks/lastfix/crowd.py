"""Devices, their rows, and a batch of them as each layout wants it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import accumulate, pairwise
from typing import Any
from zlib import crc32

import msgspec
import numpy as np
from bench_state import last_fixes
from numpy.typing import NDArray

from geoengine.core.columns import LastFixes

SEED = 20_261_122
PARTITIONS = 256
ROW = np.dtype(
    [("turn", "<u4"), ("count", "<u4"), ("fix_ms", "<i8"), ("place", "<f8", 3), ("stands", "V48")]
)
HEAD_BYTES = 40
ENTRY = np.dtype([("believed", "<u4"), ("head", f"V{HEAD_BYTES}")])
REFUSED = np.dtype([("ix", "<u4"), ("row", ROW)])
KEYS = {
    kind: [b"%s:{p%d}" % (kind, p) for p in range(PARTITIONS)] for kind in (b"h", b"b", b"i", b"o")
}

Rows = NDArray[Any]  # of `ROW`
pack = msgspec.msgpack.encode


@dataclass
class Crowd:
    """All devices, and where each way keeps them."""

    ids: list[str]
    partitions: NDArray[np.intp] = field(init=False)
    offsets: NDArray[np.intp] = field(init=False)  # of their rows in their partition's blob

    def __post_init__(self) -> None:
        self.partitions = partitions_of(self.ids)
        self.offsets = np.empty(len(self.ids), np.intp)
        for members in self.members():
            self.offsets[members] = np.arange(len(members)) * ROW.itemsize

    def members(self) -> list[NDArray[np.intp]]:
        """The devices of each partition."""
        order = np.argsort(self.partitions, kind="stable")
        counts = np.bincount(self.partitions, minlength=PARTITIONS)
        return np.split(order, np.cumsum(counts)[:-1])


def partitions_of(ids: list[str]) -> NDArray[np.intp]:
    """The partition of each device."""
    return np.array([crc32(name.encode()) % PARTITIONS for name in ids], np.intp)


@dataclass
class Batch:
    """Devices that report, by position in the crowd, and what they report."""

    at: NDArray[np.intp]
    ids: list[str]
    last: LastFixes


def batch_of(crowd: Crowd, size: int, rng: np.random.Generator) -> Batch:
    """So many distinct devices; their ids are new objects, as if they had just been decoded."""
    at = rng.choice(len(crowd.ids), size, replace=False)
    ids = [f"d{number:015x}" for number in at.tolist()]
    return Batch(at, ids, last_fixes(ids))


def entries_of(rows: Rows, last: LastFixes) -> NDArray[Any]:
    """What replaces these rows: their turns as believed, and new heads."""
    new = rows.copy()
    new["turn"] += 1
    new["count"] += 1
    new["fix_ms"], new["place"][:, 0] = last.fix_ms, last.lon_deg
    new["place"][:, 1], new["place"][:, 2] = last.lat_deg, last.accuracy_m
    entries = np.empty(len(rows), ENTRY)
    entries["believed"] = rows["turn"]
    raw = new.view(np.uint8).reshape(len(rows), -1)
    entries["head"] = np.ascontiguousarray(raw[:, :HEAD_BYTES]).view(f"V{HEAD_BYTES}")[:, 0]
    return entries


@dataclass
class Order:
    """A batch in the order of its partitions."""

    order: NDArray[np.intp]
    keys: list[bytes]
    counts: list[int]
    names: list[Any]  # ids or offsets

    def request(self) -> bytes:
        """All partitions in one."""
        return pack((self.counts, self.names))

    def spans(self) -> Iterator[tuple[bytes, slice]]:
        """Each key with where its devices stand."""
        ends = accumulate(self.counts, initial=0)
        for key, (start, stop) in zip(self.keys, pairwise(ends), strict=True):
            yield key, slice(start, stop)


def ordered(kind: bytes, names: list[Any], partitions: NDArray[np.intp]) -> Order:
    """These devices by partition."""
    order = np.argsort(partitions, kind="stable")
    counts = np.bincount(partitions, minlength=PARTITIONS)
    there = np.flatnonzero(counts)
    keys = [KEYS[kind][partition] for partition in there.tolist()]
    return Order(order, keys, counts[there].tolist(), [names[ix] for ix in order.tolist()])


def replied(reply: bytes, order: NDArray[np.intp]) -> Rows:
    """The rows of a reply, in the order of the batch."""
    rows = np.empty(len(order), ROW)
    rows[order] = np.frombuffer(reply, ROW)
    return rows


def keys_of(ids: list[str]) -> list[bytes]:
    """The key of each device."""
    return [b"k:{p%d}:%s" % (crc32(raw) % PARTITIONS, raw) for raw in map(str.encode, ids)]
