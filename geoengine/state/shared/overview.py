"""The shared state as operators see it: who serves what, how much there is, on which servers."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from geoengine.state.base import Stats
from geoengine.state.shared.line.durability import settings_of
from geoengine.state.shared.line.link import Link
from geoengine.state.shared.partitions import Partitions
from geoengine.state.shared.served.leases import SILENT_MS, Leases


class Process(Struct, frozen=True):
    """A process that has said that it lives, and how long ago."""

    process: str
    beat_age_ms: int
    is_alive: bool
    partition_count: int


class Partition(Struct, frozen=True):
    """What one partition holds, and who serves it; times on the services' clock."""

    partition: int
    people: int
    devices: int
    pending: int
    leased: int
    dead: int
    decisions: int
    facts: int
    cards: int
    oldest_pending_ms: int | None
    first_deadline_ms: int | None
    holder: str


class Server(Struct, frozen=True):
    """A primary: its memory, its replicas, and the settings that promises depend on."""

    address: str
    version: str
    memory_bytes: int
    memory_max_bytes: int
    replica_count: int
    settings: dict[str, str]


class Overview(Struct, frozen=True):
    """All of it, at one moment more or less."""

    processes: list[Process]
    partitions: list[Partition]
    servers: list[Server]


async def count_up(link: Link, partitions: Partitions) -> Stats:
    """Sizes of all partitions together."""
    sizes = list((await partitions.of_all("sizes", ())).values())
    # As `_partition` reads them.
    people, devices, pending, dead, said, oldest, _, _, facts, cards = zip(*sizes, strict=True)
    return Stats(
        record_count=sum(people),
        device_count=sum(devices),
        pending_count=sum(pending),
        oldest_pending_ms=min((int(float(at)) for at in oldest if at), default=None),
        dead_count=sum(dead),
        decision_count=sum(said),
        disk_bytes=await _log_bytes(link),
        fact_count=sum(facts),
        card_count=sum(cards),
    )


async def _log_bytes(link: Link) -> int:
    told = (await link.everywhere("INFO", "persistence")).values()
    lines = (line for text in told for line in text.decode().splitlines())
    return sum(int(line.partition(":")[2]) for line in lines if line.startswith("aof_current"))


async def look_over(link: Link, partitions: Partitions, leases: Leases) -> Overview:
    """Ask everybody. Nothing is changed."""
    holders = await leases.holders()
    beats = await leases.beat_ages_ms()
    held = list(holders.values())
    processes = [
        Process(name, age_ms, age_ms < SILENT_MS, held.count(name))
        for name, age_ms in sorted(beats.items())
    ]
    sizes = await partitions.of_all("sizes", ())
    rows = [_partition(number, told, holders.get(number, "")) for number, told in sizes.items()]
    return Overview(processes, rows, await _servers(link))


def _partition(number: int, told: list[Any], holder: str) -> Partition:
    people, devices, pending, dead, decisions, oldest, due, leased, facts, cards = told
    oldest_ms, due_ms = (int(float(at)) if at else None for at in (oldest, due))
    held = (people, devices, pending, leased, dead, decisions, facts, cards)
    return Partition(number, *held, oldest_ms, due_ms, holder)


async def _servers(link: Link) -> list[Server]:
    told = await link.everywhere("INFO")
    settings = await settings_of(link) or {}
    return [
        _server(address, text, settings.get(address, {})) for address, text in sorted(told.items())
    ]


def _server(address: str, text: bytes, settings: dict[str, str]) -> Server:
    info = dict(line.split(":", 1) for line in text.decode().splitlines() if ":" in line)
    return Server(
        address=address,
        version=f"{info.get('server_name', 'redis')} {_version(info)}",
        memory_bytes=int(info.get("used_memory", 0)),
        memory_max_bytes=int(info.get("maxmemory", 0)),
        replica_count=int(info.get("connected_slaves", 0)),
        settings=settings,
    )


def _version(info: dict[str, str]) -> str:
    return info.get("valkey_version") or info.get("redis_version", "?")
