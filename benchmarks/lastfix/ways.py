"""Ways without a cache: read the rows of a batch, then replace them."""

from __future__ import annotations

from typing import Any
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from .crowd import (
    ENTRY,
    HEAD_BYTES,
    KEYS,
    PARTITIONS,
    ROW,
    Batch,
    Crowd,
    Order,
    Rows,
    entries_of,
    keys_of,
    ordered,
    pack,
    partitions_of,
    replied,
)
from .servers import Wire


class Keys:
    """A key a device: MGET, then a function that compares and sets."""

    setter = "keys_set"

    def __init__(self, wire: Wire) -> None:
        self.wire = wire

    async def serve(self, batch: Batch) -> None:
        """Read the rows of a batch, and replace them."""
        keys = keys_of(batch.ids)
        (found,) = await self.wire.exchange(("MGET", *keys))
        rows = np.frombuffer(b"".join(found), ROW)
        assert not await self.set(keys, entries_of(rows, batch.last))

    async def set(self, keys: list[bytes], entries: NDArray[Any]) -> bytes:
        """Replace rows; those that have changed meanwhile."""
        command = ("FCALL", self.setter, len(keys), *keys, entries.tobytes())
        return (await self.wire.exchange(command))[0]


class Hashes:
    """A hash a partition; all partitions of a batch in one call."""

    kind, prefix, setter = b"h", "hash", "hash_set"

    def __init__(self, wire: Wire, crowd: Crowd, setter: str = "") -> None:
        self.wire, self.crowd, self.setter = wire, crowd, setter or self.setter

    def order(self, batch: Batch) -> Order:
        """A batch by partition."""
        return ordered(self.kind, batch.ids, partitions_of(batch.ids))

    async def serve(self, batch: Batch) -> None:
        """Read the rows of a batch, and replace them."""
        asked = self.order(batch)
        rows = await self.rows(asked)
        entries = entries_of(rows, batch.last)[asked.order]
        assert not await self.set(asked, entries)

    async def rows(self, asked: Order) -> Rows:
        """The rows."""
        keys, request = self.keys(asked), asked.request()
        command = ("FCALL", f"{self.prefix}_rows", len(keys), *keys, request)
        return replied((await self.wire.exchange(command))[0], asked.order)

    async def set(self, asked: Order, entries: NDArray[Any]) -> bytes:
        """Replace rows, entries in the order of the request; those that have changed meanwhile."""
        keys = self.keys(asked)
        call = ("FCALL", self.setter, len(keys), *keys, asked.request(), entries.tobytes())
        return (await self.wire.exchange(call))[0]

    def keys(self, asked: Order) -> list[bytes]:
        """The keys of a request."""
        return asked.keys


class PipelinedHashes(Hashes):
    """A hash a partition; a call a partition, all sent together, as a Cluster wants it."""

    async def rows(self, asked: Order) -> Rows:
        """The rows."""
        function = f"{self.prefix}_rows"
        calls = [
            ("FCALL", function, 1, key, pack(((span.stop - span.start,), asked.names[span])))
            for key, span in asked.spans()
        ]
        return replied(b"".join(await self.wire.exchange(*calls)), asked.order)

    async def set(self, asked: Order, entries: NDArray[Any]) -> bytes:
        """Replace rows, entries in the order of the request; those that have changed meanwhile."""
        raw, size = entries.tobytes(), ENTRY.itemsize
        calls = [
            (
                *("FCALL", self.setter, 1, key),
                pack(((span.stop - span.start,), asked.names[span])),
                raw[span.start * size : span.stop * size],
            )
            for key, span in asked.spans()
        ]
        return b"".join(await self.wire.exchange(*calls))


class Blobs(Hashes):
    """A blob a partition; the client knows where in it a device is."""

    kind, prefix, setter = b"b", "blob", "blob_set"

    def order(self, batch: Batch) -> Order:
        """A batch by partition."""
        offsets = self.crowd.offsets[batch.at].tolist()
        return ordered(self.kind, offsets, partitions_of(batch.ids))


class PipelinedBlobs(Blobs, PipelinedHashes):
    """The same, a call a partition."""


class IndexedBlobs(Hashes):
    """A blob a partition; a hash beside it knows where in it a device is."""

    kind, prefix, setter = b"b", "indexed", "indexed_set"

    def keys(self, asked: Order) -> list[bytes]:
        """The keys of a request: each blob with its index."""
        return [name for key in asked.keys for name in (key, b"i" + key[1:])]


class Leased(Hashes):
    """Heads alone in a hash a partition, which nobody else writes while the lease holds.

    One comparison a partition, of who holds the lease, and none a device; the standing parts are
    elsewhere. What a lease of the partition saves: it takes every fix of a device to one process.
    """

    kind, setter = b"o", "leased_set"

    async def set(self, asked: Order, entries: NDArray[Any]) -> bytes:
        """Replace heads."""
        raw = entries.tobytes()
        heads = [raw[at + 4 : at + ENTRY.itemsize] for at in range(0, len(raw), ENTRY.itemsize)]
        words = [word for pair in zip(asked.names, heads, strict=True) for word in pair]
        call = ("FCALL", self.setter, len(asked.keys), *asked.keys, pack(asked.counts), b"1")
        return (await self.wire.exchange((*call, *words)))[0]

    async def rows(self, asked: Order) -> Rows:
        """Nothing is read that the cache has not."""
        return np.zeros(len(asked.order), ROW)


class Single(Hashes):
    """A small command a device, pipelined, and nothing compared."""

    async def serve(self, batch: Batch) -> None:
        """Read the rows of a batch, and replace them."""
        raws = [name.encode() for name in batch.ids]
        keys = [KEYS[b"h"][crc32(raw) % PARTITIONS] for raw in raws]
        pairs = list(zip(keys, raws, strict=True))
        found = await self.wire.exchange(*[("HGET", key, raw) for key, raw in pairs])
        rows = np.frombuffer(b"".join(found), ROW).copy()
        heads = entries_of(rows, batch.last).view(np.uint8).reshape(len(rows), -1)[:, 4:]
        rows.view(np.uint8).reshape(len(rows), -1)[:, :HEAD_BYTES] = heads
        new = rows.tobytes()
        size = ROW.itemsize
        await self.wire.exchange(
            *[
                ("HSET", key, raw, new[ix * size : ix * size + size])
                for ix, (key, raw) in enumerate(pairs)
            ]
        )


class TrackedKeys(Keys):
    """Keys that the server tracks for this client. Writing ends that, so it looks again."""

    setter = "keys_set_tracked"


class Pings:
    """An empty exchange twice: what a batch costs before there is anything in it."""

    def __init__(self, wire: Wire) -> None:
        self.wire = wire

    async def serve(self, batch: Batch) -> None:
        """Ask nothing, twice."""
        await self.wire.exchange(("PING",))
        await self.wire.exchange(("PING",))
