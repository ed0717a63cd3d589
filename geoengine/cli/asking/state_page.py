"""What `geoengine state` found, as data and to read."""

from __future__ import annotations

from typing import Final

import click
from msgspec import Struct
from rich.console import Console
from rich.table import Table

from geoengine.state.shared.overview import Process, Server

_WIDE: Final = 160  # columns of a table that goes to a file
_SHORT: Final = (
    "", "people", "devices", "pending", "leased", "dead", "decisions", "facts", "cards", "oldest",
    "late",
)  # fmt: skip


class Sizes(Struct, frozen=True):
    """How much there is, and how late it is; of one partition, or of all."""

    people: int
    devices: int
    pending: int
    leased: int
    dead: int
    decisions: int
    facts: int
    cards: int
    oldest_pending_age_ms: int | None
    deadline_lag_ms: int | None


class PartitionOut(Struct, frozen=True):
    """One partition, and who serves it; "" for nobody."""

    partition: int
    holder: str
    sizes: Sizes


class Embedded(Struct, frozen=True, tag="embedded", tag_field="kind"):
    """A state in a file."""

    sizes: Sizes
    disk_bytes: int


class Shared(Struct, frozen=True, tag="shared", tag_field="kind"):
    """A state on servers."""

    partition_count: int
    sizes: Sizes
    processes: list[Process]
    partitions: list[PartitionOut]  # where each was asked for
    servers: list[Server]
    concerns: list[str]


def show(found: Embedded | Shared) -> None:
    """On standard output."""
    if isinstance(found, Embedded):
        _show_sizes(found.sizes, f"{found.disk_bytes:,} bytes on disk")
    else:
        _show_shared(found)


def _show_shared(found: Shared) -> None:
    _show_sizes(found.sizes, f"{found.partition_count} partitions")
    processes = Table("process", "last beat", "serves", title="processes", title_justify="left")
    for one in found.processes:
        beat = f"{_shown(one.beat_age_ms)} ago" + ("" if one.is_alive else ", dead")
        processes.add_row(one.process, beat, f"{one.partition_count} partitions")
    servers = Table("server", "version", "memory", "replicas", "settings", title="servers")
    for server in found.servers:
        limit = f"{server.memory_max_bytes:,}" if server.memory_max_bytes else "no limit"
        settings = ", ".join(f"{name} {value or '-'}" for name, value in server.settings.items())
        memory = f"{server.memory_bytes:,} of {limit}"
        servers.add_row(server.address, server.version, memory, str(server.replica_count), settings)
    partitions = Table(*_SHORT, "holder", title="partitions")
    for each in found.partitions:
        partitions.add_row(str(each.partition), *_cells(each.sizes), each.holder or "nobody")
    for table in (processes, servers, partitions):
        if table.row_count:
            _console().print(table)
    if not found.processes:
        click.echo("Nobody serves it.")
    for concern in found.concerns:
        click.echo(f"concern: {concern}")


def _cells(sizes: Sizes) -> list[str]:
    counts = (getattr(sizes, name) for name in _SHORT[1:9])
    ages = (sizes.oldest_pending_age_ms, sizes.deadline_lag_ms)
    return [*(f"{count:,}" for count in counts), *map(_shown, ages)]


def _show_sizes(sizes: Sizes, what: str) -> None:
    click.echo(what)
    click.echo(f"{sizes.people:,} people, {sizes.devices:,} devices, {sizes.decisions:,} decisions")
    click.echo(f"{sizes.facts:,} facts, {sizes.cards:,} cards")
    click.echo(
        f"{sizes.pending:,} messages pending, {sizes.leased:,} of them leased, {sizes.dead:,} dead"
    )
    click.echo(f"oldest pending: {_shown(sizes.oldest_pending_age_ms)}")
    click.echo(f"deadlines behind: {_shown(sizes.deadline_lag_ms)}")


def _shown(age_ms: int | None) -> str:
    """A span to read, in the unit that suits it.

    >>> [_shown(age_ms) for age_ms in (None, 0, 4_200, 180_000, 7_200_000)]
    ['-', '0.0 s', '4.2 s', '3 min', '2 h']
    """
    if age_ms is None:
        return "-"
    if age_ms < 60_000:
        return f"{age_ms / 1_000:.1f} s"
    return f"{age_ms // 60_000} min" if age_ms < 3_600_000 else f"{age_ms // 3_600_000} h"


def _console() -> Console:
    """As wide as a table is where nobody is looking."""
    console = Console(markup=False, highlight=False)
    if console.is_terminal:
        return console
    return Console(markup=False, highlight=False, width=_WIDE)
