"""``geoengine replay``: a recorded trace through the catalogue; events out, one a line."""

from __future__ import annotations

import asyncio
import sys
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import tzinfo
from functools import partial
from pathlib import Path
from typing import BinaryIO
from zoneinfo import ZoneInfoNotFoundError

import click
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from geoengine.catalog import load
from geoengine.cli.asking.report_page import print_report
from geoengine.core.book import Book
from geoengine.core.calendar import time_zone
from geoengine.core.engine import Outcome
from geoengine.core.errors import GeoengineError
from geoengine.core.model import LEVERS, PURPOSES
from geoengine.core.record import Event, Record
from geoengine.core.telling.events import encode_event
from geoengine.core.visiting.attendance import PURPOSE
from geoengine.ingest.times import MISSING_MS, time_ms
from geoengine.replay.blocks import TraceOptions
from geoengine.replay.explain import Row, explain
from geoengine.replay.gather import Trace, gather
from geoengine.replay.people import read_people, settle_in
from geoengine.replay.report import rejects_shown, summary
from geoengine.replay.run import BATCH_ROWS, replay
from geoengine.service.reports import campaigns
from geoengine.service.reports.asking import Span
from geoengine.service.reports.gather import Told
from geoengine.service.wire.reports import CampaignsQuery
from geoengine.state import LocalState
from geoengine.state.collector import rare_collection

_WIDE = 160  # columns of a table that goes to a file
_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


def _purposes(_: click.Context, __: click.Parameter, values: tuple[str, ...]) -> frozenset[str]:
    words = {word.strip() for value in values for word in value.split(",") if word.strip()}
    if strange := words - PURPOSES - set(LEVERS):
        raise click.BadParameter(f"{', '.join(sorted(strange))}: not one of {', '.join(LEVERS)}")
    return frozenset(words & PURPOSES)


def _columns(_: click.Context, __: click.Parameter, values: tuple[str, ...]) -> dict[str, str]:
    pairs = [pair.partition("=") for value in values for pair in value.split(",") if pair]
    if any(not theirs for _ours, _equals, theirs in pairs):
        raise click.BadParameter("write our name, =, the file's: device_id=vehicle_id,lat=y")
    return {ours.strip(): theirs.strip() for ours, _, theirs in pairs}


def _zone(_: click.Context, __: click.Parameter, name: str) -> tzinfo:
    try:
        return time_zone(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise click.BadParameter(f"{name}: no such time zone") from error


def _start(_: click.Context, __: click.Parameter, text: str | None) -> int | None:
    if text is None:
        return None
    start_ms = time_ms(text)
    if start_ms <= MISSING_MS:
        raise click.BadParameter(f"{text}: not an instant such as 2026-01-01T00:00:00Z")
    return start_ms


@click.command(short_help="Run a recorded trace through the catalogue.")
@click.argument("traces", nargs=-1, required=True, type=_FILE, metavar="TRACE...")
@click.option(
    "--config",
    "directory",
    required=True,
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="The catalogue: a directory of YAML.",
)
@click.option(
    "--out", type=click.Path(dir_okay=False, path_type=Path), help="Events go here, not to stdout."
)
@click.option(
    "--assume",
    "assumed",
    multiple=True,
    callback=_purposes,
    metavar="LEVER,...",
    help="Everybody agreed to these levers and can be reached by them.",
)
@click.option("--consents", type=_FILE, help="CSV or NDJSON: person_id, purpose, address.")
@click.option("--attributes", type=_FILE, help="NDJSON: person_id and what audiences ask about.")
@click.option("--explain", "device_id", metavar="DEVICE", help="Show why, fix by fix.")
@click.option(
    "--until-silent",
    is_flag=True,
    help="Let time run on after the last row until silence has closed every visit.",
)
@click.option(
    "--report",
    "is_reported",
    is_flag=True,
    help="Show what campaigns did, as `geoengine report` does; everybody agreed to `measurement`.",
)
@click.option("--as-posted", is_flag=True, help="Keep the file's order; recv_time is the clock.")
@click.option(
    "--columns",
    multiple=True,
    callback=_columns,
    metavar="OURS=THEIRS,...",
    help="Columns of a CSV by name, where they have no usual one.",
)
@click.option("--device", help="The device of files that do not name one.")
@click.option(
    "--time-zone", "zone", default="UTC", callback=_zone, help="Of times without an offset."
)
@click.option("--start", "start_ms", callback=_start, help="When times that count from 0 began.")
@click.option(
    "--batch-rows",
    default=BATCH_ROWS,
    show_default=True,
    type=click.IntRange(min=1),
    help="Rows a step; changes no event.",
)
def command(
    traces: tuple[Path, ...],
    directory: Path,
    out: Path | None,
    assumed: frozenset[str],
    consents: Path | None,
    attributes: Path | None,
    device_id: str | None,
    until_silent: bool,
    is_reported: bool,
    as_posted: bool,
    columns: dict[str, str],
    device: str | None,
    zone: tzinfo,
    start_ms: int | None,
    batch_rows: int,
) -> None:
    """Run recorded traces (NDJSON, CSV or GPX, also .gz) through the catalogue in DIR.

    Events are written as CloudEvents, one JSON object a line, in order of time; the same input
    gives the same bytes. Location is taken as agreed to; levers as --assume or --consents say.
    What was found is added up on stderr.
    """
    options = TraceOptions(columns, device, zone, start_ms, as_posted)
    kept: list[Event] | None = None if device_id is None else []
    done = Told()
    try:
        book = load(directory)
        people = read_people(consents, attributes)
        with _progress() as progress, _sink(out) as sink, rare_collection():
            trace = _read(traces, options, progress)
            play = partial(
                replay,
                book=book,
                trace=trace,
                tell=_writer(sink, kept),
                assumed=assumed | ({PURPOSE} if is_reported else set()),
                batch_rows=batch_rows,
                until_silent=until_silent,
            )
            if is_reported:
                play.keywords["on_outcome"] = partial(_note, done)
            counts = asyncio.run(_run(play, trace, people, progress))
    except (GeoengineError, OSError) as error:
        raise click.ClickException(str(error)) from error
    for line in [*rejects_shown(trace), *summary(trace, counts)]:
        click.echo(line, err=True)
    if is_reported:
        _report(done, book)
    if device_id is not None:
        _show(explain(device_id, trace.fixes, kept or [], book), device_id)


def _progress() -> Progress:
    """A bar on a terminal; nothing elsewhere."""
    console = Console(stderr=True)
    return Progress(console=console, disable=not console.is_terminal, transient=True)


@contextmanager
def _sink(out: Path | None) -> Iterator[BinaryIO]:
    """Where the events go."""
    if out is None:
        sink = sys.stdout.buffer
        yield sink
        sink.flush()
        return
    with out.open("wb") as file:
        yield file


def _read(traces: Sequence[Path], options: TraceOptions, progress: Progress) -> Trace:
    total_bytes = sum(path.stat().st_size for path in traces)
    task = progress.add_task("reading", total=total_bytes)
    done_bytes: dict[Path, int] = {}

    def on_read(path: Path, read_bytes: int) -> None:
        done_bytes[path] = read_bytes
        progress.update(task, completed=sum(done_bytes.values()))

    return gather(traces, options, on_read)


def _writer(sink: BinaryIO, kept: list[Event] | None) -> Callable[[list[Event]], None]:
    def write(events: list[Event]) -> None:
        sink.write(b"".join([encode_event(event) + b"\n" for event in events]))
        if kept is not None:
            kept.extend(events)

    return write


async def _run(
    play: Callable[..., Awaitable[Counter[str]]],
    trace: Trace,
    people: dict[str, Record],
    progress: Progress,
) -> Counter[str]:
    """The replay, on a state of its own in memory."""
    task = progress.add_task("replaying", total=trace.row_count)
    # Every device is remembered: forgetting one would make the answer depend on the others.
    state = LocalState(None, last_fix_capacity=len(set(trace.fixes.device_ids)) + 1)
    await state.open()
    try:
        await settle_in(state, people)
        return await play(state, on_rows=lambda row_count: progress.advance(task, row_count))
    finally:
        await state.close()


def _note(done: Told, outcome: Outcome) -> None:
    """Keep what a batch decided, in columns."""
    done.add([*outcome.decisions, *outcome.facts])


def _report(done: Told, book: Book) -> None:
    """What campaigns did over the whole trace; nothing is sent in a replay."""
    at_ms = done.decided().at_ms
    if not len(at_ms):
        click.echo("no campaign was asked about anything", err=True)
        return
    span = Span(int(at_ms.min()), int(at_ms.max()) + 1)
    print_report(campaigns.report(done, CampaignsQuery(), span, book), Console(stderr=True))


def _show(rows: list[Row], device_id: str) -> None:
    """The explanation as a table; as wide as it is where nobody is looking."""
    terminal = Console(stderr=True)
    console = terminal if terminal.is_terminal else Console(stderr=True, width=_WIDE)
    table = Table("time", "zone", "to its edge", "accuracy", "P(inside)", "what", title=device_id)
    for row in rows:
        table.add_row(
            row.time,
            row.zone_id,
            "" if row.edge_m is None else f"{row.edge_m:,.0f} m",
            "" if row.accuracy_m is None else f"{row.accuracy_m:,.0f} m",
            "" if row.p_inside is None else f"{row.p_inside:.3f}",
            row.what,
        )
    console.print(table)
