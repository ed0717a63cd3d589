"""`geoengine state`: what a state holds and who serves it; and its copy into another one.

A shared state is looked at without taking part in it. An embedded one belongs to one process: while
the service runs the command says where to look instead.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Coroutine
from pathlib import Path
from typing import Final, TypeVar

import click
import msgspec
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from geoengine.catalog import read
from geoengine.cli.asking.state_page import Embedded, PartitionOut, Shared, Sizes, show
from geoengine.core.consent.retention import ages_of, told_ages
from geoengine.core.errors import ConfigurationError, GeoengineError, StateLocked
from geoengine.service.clock import now_ms
from geoengine.state import RedisState, State, is_shared, open_state
from geoengine.state.copying import Copied, Tally, copy, opened
from geoengine.state.shared.overview import Partition

INTERRUPTED_EXIT: Final = 130
_EVERYBODY: Final = 1 << 30  # last fixes that may be held: none is to leave while we look
T = TypeVar("T")


class LookError(GeoengineError):
    """There is nothing to look at; the text says where else."""


@click.group(invoke_without_command=True)
@click.option(
    "--config", type=click.Path(path_type=Path), default="config", envvar="GEOENGINE_CONFIG",
    show_default=True, metavar="DIR", help="The catalogue that says where the state is.",
)  # fmt: skip
@click.option("--state", default="", envvar="GEOENGINE_STATE", metavar="URL", help="The state.")
@click.option("--partitions", "is_each", is_flag=True, help="Each partition of a shared state.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@click.pass_context
def command(context: click.Context, config: Path, state: str, is_each: bool, as_json: bool) -> None:
    """Show what a state holds, who serves it, and what its servers cannot keep."""
    if context.invoked_subcommand is None:
        found = _run(_look(config, state, is_each=is_each))
        if as_json:
            click.echo(msgspec.json.encode(found))
        else:
            show(found)
            show_kept(config)


def show_kept(config: Path) -> None:
    """How long each kind is kept, as the catalogue says; nothing where there is none."""
    try:
        ages = ages_of(read(config).book.engine.spec)
    except (ConfigurationError, OSError):
        return
    kept = ", ".join(f"{kind} {text}" for kind, text in told_ages(ages).items())
    click.echo(f"kept: {kept}")


@command.command(name="copy")
@click.argument("origin", metavar="FROM")
@click.argument("target", metavar="TO")
def copy_command(origin: str, target: str) -> None:
    """Copy everything that one state keeps into an empty one, and compare both.

    FROM and TO are URLs: local:PATH, redis://..., redis+cluster://... Nobody may serve either
    meanwhile. A copy that was broken off is begun anew by the next.
    """
    try:
        copied = _run(_copy(origin, target))
    except KeyboardInterrupt:
        click.echo("Broken off. TO is no state to be served: run it again.", err=True)
        raise SystemExit(INTERRUPTED_EXIT) from None
    for kind, count in copied.told.counts.items():
        click.echo(f"{count:>14,}  {kind}")
    click.echo(f"checksum {copied.told.checksum()}  FROM")
    click.echo(f"checksum {copied.found.checksum()}  TO")
    if differing := copied.told.differing(copied.found):
        named = (_difference(kind, copied) for kind in differing)
        raise click.ClickException(f"the copy differs: {', '.join(named)}")


def _difference(kind: str, copied: Copied) -> str:
    told, found = copied.told.counts[kind], copied.found.counts[kind]
    return f"{kind} ({told:,} told, {found:,} found)"


def _run(work: Coroutine[None, None, T]) -> T:
    try:
        return asyncio.run(work)
    except GeoengineError as error:
        raise click.ClickException(str(error)) from error


async def _copy(origin_url: str, target_url: str) -> Copied:
    _require_there(origin_url)
    with _progress() as progress:
        task = progress.add_task("", total=1.0)

        def on_progress(tally: Tally, done: float) -> None:
            told = ", ".join(f"{count:,} {kind}" for kind, count in tally.counts.items() if count)
            progress.update(task, completed=done, description=told)

        async with opened(_beside(origin_url)) as origin:
            return await copy(origin, lambda: _beside(target_url), on_progress)


def _progress() -> Progress:
    """A bar on a terminal; nothing elsewhere."""
    console = Console(stderr=True)
    columns = (BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    text = TextColumn("{task.description}")
    disable = not console.is_terminal
    return Progress(*columns, text, console=console, disable=disable, transient=True)


# --- looking ------------------------------------------------------------------------------------


async def _look(config: Path, url: str, *, is_each: bool) -> Embedded | Shared:
    url = url or read(config).book.engine.spec.state
    _require_there(url)
    try:
        async with opened(_beside(url)) as state:
            if isinstance(state, RedisState):
                return await _shared(state, is_each=is_each)
            return await _embedded(state)
    except StateLocked as error:
        service = f"http://127.0.0.1:{os.environ.get('GEOENGINE_PORT') or 8080}"
        raise LookError(
            f"{url} is being served: {service}/metrics tells its sizes, {service}/readyz its "
            "trouble, `geoengine outbox` its messages"
        ) from error


def _beside(url: str) -> State:
    """The state, opened as one who does not serve it."""
    if is_shared(url):
        return open_state(url, is_onlooker=True)
    return open_state(url, last_fix_capacity=_EVERYBODY)


def _require_there(url: str) -> None:
    """Opening a file makes one where there is none; to look is not to make."""
    scheme, _, path = url.partition(":")
    if scheme == "memory":
        raise LookError("a state in memory is its process's own: ask the service")
    if scheme == "local" and not Path(path).exists():
        raise LookError(f"no state at {path}: say local:PATH, or redis://...")


async def _embedded(state: State) -> Embedded:
    stats = await state.stats()
    sizes = Sizes(
        people=stats.record_count,
        devices=stats.device_count,
        pending=stats.pending_count,
        leased=0,  # leases live in the process that took them
        dead=stats.dead_count,
        decisions=stats.decision_count,
        facts=stats.fact_count,
        cards=stats.card_count,
        oldest_pending_age_ms=_age_ms(stats.oldest_pending_ms, now_ms()),
        deadline_lag_ms=None,  # nobody serves it: no deadline is late
    )
    return Embedded(sizes, stats.disk_bytes)


async def _shared(state: RedisState, *, is_each: bool) -> Shared:
    overview, at_ms = await state.overview(), now_ms()
    each = [
        PartitionOut(one.partition, one.holder, _sizes([one], at_ms)) for one in overview.partitions
    ]
    return Shared(
        len(each),
        _sizes(overview.partitions, at_ms),
        overview.processes,
        each if is_each else [],
        overview.servers,
        state.concerns,
    )


def _sizes(some: list[Partition], at_ms: int) -> Sizes:
    pending = [one.oldest_pending_ms for one in some if one.oldest_pending_ms is not None]
    due = [one.first_deadline_ms for one in some if one.first_deadline_ms is not None]
    return Sizes(
        people=sum(one.people for one in some),
        devices=sum(one.devices for one in some),
        pending=sum(one.pending for one in some),
        leased=sum(one.leased for one in some),
        dead=sum(one.dead for one in some),
        decisions=sum(one.decisions for one in some),
        facts=sum(one.facts for one in some),
        cards=sum(one.cards for one in some),
        oldest_pending_age_ms=_age_ms(min(pending, default=None), at_ms),
        deadline_lag_ms=_age_ms(min(due, default=None), at_ms),
    )


def _age_ms(since_ms: int | None, at_ms: int) -> int | None:
    return None if since_ms is None else max(at_ms - since_ms, 0)
