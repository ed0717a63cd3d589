"""Ways with a cache in the client, which is the embedded table; and that table alone."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from bench_state import filled_table, last_fixes
from numpy.typing import NDArray

from geoengine.core.columns import LastFixes
from geoengine.state.embedded.held.device_index import FIRST_ROW
from geoengine.state.embedded.held.people import People

from .crowd import (
    PARTITIONS,
    REFUSED,
    ROW,
    SEED,
    Batch,
    Crowd,
    Order,
    batch_of,
    entries_of,
    keys_of,
    ordered,
    partitions_of,
)
from .servers import Command
from .ways import Blobs, Hashes

TRACKING = ("CLIENT", "TRACKING", "ON", "NOLOOP")
BROADCAST_HASHES = ("CLIENT", "TRACKING", "ON", "BCAST", "PREFIX", "h:", "NOLOOP")
BROADCAST = ("CLIENT", "TRACKING", "ON", "BCAST", "PREFIX", "k:", "NOLOOP")


class Embedded:
    """The embedded table: ``known``, then ``update``. It compares nothing; it is alone."""

    def __init__(self, count: int) -> None:
        self.table, self._people = filled_table(count), People()

    async def serve(self, batch: Batch) -> None:
        """Read the rows of a batch, and replace them."""
        self.note(batch, self.look(batch))

    def look(self, batch: Batch) -> NDArray[np.intp]:
        """What the table knows; here only where in it the devices are is of use."""
        known = self.table.known(batch.ids, self._people)
        self._keys = known.device_keys
        return known.slot_ix

    def note(self, batch: Batch, slot_ix: NDArray[np.intp]) -> None:
        """Remember what they report."""
        last = replace(batch.last, device_keys=self._keys, slot_ix=slot_ix)
        self.table.update(last, lambda _: 0)


class Cached:
    """A cache in the client, the embedded table; a write says which turns it believes.

    What it believes wrongly comes back with the answer, and is written by a second call.
    """

    def __init__(self, crowd: Crowd, way: Hashes, hit_share: float) -> None:
        self.crowd, self.way, self.hit_share = crowd, way, hit_share
        self.cache = Embedded(len(crowd.ids))
        rows = len(crowd.ids) + FIRST_ROW
        self.rows, self.partitions = np.zeros(rows, ROW), np.zeros(rows, np.intp)
        self.offsets = np.zeros(rows, np.intp)
        for start in range(0, len(crowd.ids), 4_096):
            at = np.arange(start, min(start + 4_096, len(crowd.ids)))
            slot_ix = self.cache.look(Batch(at, [crowd.ids[ix] for ix in at], last_fixes([])))
            self.partitions[slot_ix] = crowd.partitions[at]
            self.offsets[slot_ix] = crowd.offsets[at]

    async def before(self, batch: Batch) -> None:
        """What another process would have done: turns are other than the cache believes."""
        asked = self.way.order(batch)
        slot_ix = self.cache.look(batch)
        self.rows[slot_ix] = await self.way.rows(asked)
        wrong = slot_ix[: round(len(slot_ix) * (1 - self.hit_share))]
        self.rows["turn"][wrong] -= 1

    async def serve(self, batch: Batch) -> None:
        """Read the rows of a batch, and replace them."""
        slot_ix = self.cache.look(batch)
        todo = np.arange(len(slot_ix))
        while len(todo):
            asked = self._asked(batch, slot_ix[todo], todo)
            last = _part(batch.last, todo)
            entries = entries_of(self.rows[slot_ix[todo]], last)
            reply = await self.way.set(asked, entries[asked.order])
            self.rows["turn"][slot_ix[todo]] += 1
            refused = np.frombuffer(reply, REFUSED)
            todo = todo[asked.order[refused["ix"]]]
            self.rows[slot_ix[todo]] = refused["row"]
        self.cache.note(batch, slot_ix)

    def _asked(self, batch: Batch, slot_ix: NDArray[np.intp], todo: NDArray[np.intp]) -> Order:
        if isinstance(self.way, Blobs):
            names: list[Any] = self.offsets[slot_ix].tolist()
        else:
            names = [batch.ids[ix] for ix in todo.tolist()]
        return ordered(self.way.kind, names, self.partitions[slot_ix])


def _part(last: LastFixes, rows: NDArray[np.intp]) -> LastFixes:
    """Some of these fixes, as far as `entries_of` reads them."""
    columns = {name: getattr(last, name)[rows] for name in ("fix_ms", "lon_deg", "lat_deg")}
    return replace(last, accuracy_m=last.accuracy_m[rows], **columns)


class Announced:
    """A cache in the client, which the server tells of keys that others changed.

    Rows that were announced are read before they are replaced; the write compares all the same, as
    an announcement may still be on its way.
    """

    def __init__(
        self, crowd: Crowd, way: Any, other: Any, greeting: Command, hit_share: float = 1.0
    ) -> None:
        self.crowd, self.way, self.other, self.hit_share = crowd, way, other, hit_share
        self._greeting = greeting
        self.cache = Embedded(len(crowd.ids))
        self.rows = np.zeros(len(crowd.ids) + FIRST_ROW, ROW)
        self.is_good = np.zeros(len(crowd.ids) + FIRST_ROW, bool)
        self.changed_count = 0

    async def before(self, batch: Batch) -> None:
        """Read the batch, so that the server tracks it; then another process changes some of it."""
        await self.listen()
        slot_ix = self.cache.look(batch)
        names = keys_of(batch.ids)
        (found,) = await self.way.wire.exchange(("MGET", *names))
        self.rows[slot_ix], self.is_good[slot_ix] = np.frombuffer(b"".join(found), ROW), True
        self.changed_count = round(len(names) * (1 - self.hit_share))
        if self.changed_count:
            changed = slot_ix[: self.changed_count]
            entries = entries_of(self.rows[changed], _part(batch.last, np.arange(len(changed))))
            assert not await self.other.set(names[: self.changed_count], entries)

    async def serve(self, batch: Batch) -> None:
        """Read the rows of a batch, and replace them."""
        await self.way.wire.hear(self.changed_count)
        self._forget()
        slot_ix = self.cache.look(batch)
        names = keys_of(batch.ids)
        missing = np.flatnonzero(~self.is_good[slot_ix])
        if len(missing):
            asked = [names[ix] for ix in missing.tolist()]
            (found,) = await self.way.wire.exchange(("MGET", *asked))
            self.rows[slot_ix[missing]] = np.frombuffer(b"".join(found), ROW)
            self.is_good[slot_ix[missing]] = True
        entries = entries_of(self.rows[slot_ix], batch.last)
        assert not await self.way.set(names, entries)
        self.rows["turn"][slot_ix] += 1
        self.cache.note(batch, slot_ix)

    async def listen(self) -> None:
        """From here on; the other ways must not pay for it."""
        await self.way.wire.exchange(self._greeting)
        self.way.wire.heard.clear()

    async def after(self) -> None:
        """No further."""
        await self.way.wire.exchange(("CLIENT", "TRACKING", "OFF"))

    def _forget(self) -> None:
        heard = self.way.wire.heard
        if heard:
            ids = [key.rpartition(b":")[2].decode() for key in heard]
            self.is_good[self.cache.look(Batch(np.empty(0, np.intp), ids, last_fixes([])))] = False
            heard.clear()


class AnnouncedHashes(Announced):
    """The same by partition, while another process writes as many devices, whichever they are."""

    def __init__(self, crowd: Crowd, way: Hashes, other: Hashes) -> None:
        super().__init__(crowd, way, other, BROADCAST_HASHES)
        self._rng = np.random.default_rng(SEED)

    async def before(self, batch: Batch) -> None:
        """Read the batch; then another process writes one of its own."""
        await self.listen()
        asked = self.other.order(batch)
        self.rows[self.cache.look(batch)] = await self.other.rows(asked)
        others = batch_of(self.crowd, len(batch.ids), self._rng)
        await self.other.serve(others)
        self.changed_count = len(set(partitions_of(others.ids).tolist()))

    async def serve(self, batch: Batch) -> None:
        """Read the rows of a batch, and replace them."""
        await self.way.wire.hear(self.changed_count)
        is_old = np.zeros(PARTITIONS, bool)
        is_old[[int(key[4:-1]) for key in self.way.wire.heard]] = True
        slot_ix = self.cache.look(batch)
        asked = self.way.order(batch)
        missing = np.flatnonzero(is_old[self.crowd.partitions[batch.at]])
        if len(missing):
            ids = [batch.ids[ix] for ix in missing.tolist()]
            part = ordered(b"h", ids, self.crowd.partitions[batch.at[missing]])
            self.rows[slot_ix[missing]] = await self.way.rows(part)
        entries = entries_of(self.rows[slot_ix], batch.last)
        assert not await self.way.set(asked, entries[asked.order])
        self.cache.note(batch, slot_ix)
