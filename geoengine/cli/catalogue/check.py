"""`geoengine check DIR`: every fault by file, line and column, or what the catalogue says."""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar

from geoengine.catalog import Reading, read
from geoengine.catalog.density import kept
from geoengine.catalog.density.packed import read_about
from geoengine.catalog.reading.sources import Progress
from geoengine.core.book import Book
from geoengine.core.errors import ConfigurationError
from geoengine.core.judging.pausing import pauses
from geoengine.core.places.zones import CIRCLE, PLACE
from geoengine.service.sending.senders import shortcomings

LISTED_MAX = 50  # stores shown one by one unless asked for all
WARNINGS_SHOWN = 200


@click.command()
@click.argument("directory", type=click.Path(exists=True, path_type=Path))
@click.option("--all", "shows_all", is_flag=True, help="Every store and warning, however many.")
def command(directory: Path, shows_all: bool) -> None:
    """Check the catalogue in DIRECTORY.

    Exit 1 and every fault as FILE:LINE:COLUMN, or exit 0 and a summary.
    """
    reading = read_or_exit(directory)
    _show_warnings(reading, shows_all)
    for line in summary(reading, shows_all):
        click.echo(line)
    for what in shortcomings(reading.book, os.environ):  # the service's may be another
        click.echo(f"in this environment: {what}")


def read_or_exit(directory: Path, *, by_roads: bool = True) -> Reading:
    """The catalogue of a directory, as `read`; prints all its faults, and then exits with 1."""
    try:
        with progress() as tell:
            return read(directory, tell, by_roads=by_roads)
    except ConfigurationError as error:
        for fault in error.faults:
            click.echo(str(fault))
        count = len(error.faults)
        click.echo(f"{count} fault{'s' * (count != 1)} in {directory}", err=True)
        raise SystemExit(1) from error


@contextmanager
def progress() -> Iterator[Progress | None]:
    """A bar for the files that are read in bulk, where somebody watches a terminal."""
    if not sys.stderr.isatty():
        yield None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeElapsedColumn())
    with Bar(*columns, console=Console(stderr=True), transient=True) as bar:
        tasks = {}

        def tell(file: str, read_bytes: int, all_bytes: int) -> None:
            if file not in tasks:
                tasks[file] = bar.add_task(file, total=all_bytes)
            bar.update(tasks[file], completed=read_bytes)

        yield tell


def summary(reading: Reading, shows_all: bool) -> Iterator[str]:
    """What the catalogue says, in lines."""
    book = reading.book
    areas = int((book.zones.kind != PLACE).sum())
    yield (
        f"catalogue {book.version}: {len(book.stores):,} stores, {areas:,} zones, "
        f"{len(book.beacons):,} beacons, {len(book.gateways):,} gateways, "
        f"{len(book.campaigns):,} campaigns"
    )
    if reading.skipped_count:
        yield f"{reading.skipped_count:,} rows skipped"
    yield from _setting_lines(book)
    yield from pauses(book)
    yield ""
    if shows_all or len(book.zones) <= LISTED_MAX:
        yield from _zone_lines(book)
    else:
        yield from _table_lines(book)
    yield ""
    yield from _campaign_lines(reading)


def _setting_lines(book: Book) -> Iterator[str]:
    """How many stores have each setting, and what was asked where a store left it to us."""
    if not book.stores:
        return
    counts = Counter(store.setting for store in book.stores).most_common()
    labels = [read_about(path).label for path in kept.names(Path(book.engine.spec.data))]
    asked = ", then ".join([*dict.fromkeys(labels), "the packaged places of the world"])
    more = "" if labels else f"; no density grid in {book.engine.spec.data} (`geoengine data add`)"
    counted = ", ".join(f"{count:,} {setting}" for setting, count in counts)
    yield f"settings: {counted}; where none is written, by {asked}{more}"


def _zone_lines(book: Book) -> Iterator[str]:
    width = max((len(zone_id) for zone_id in book.zones.ids), default=0)
    for zone_id, why in zip(book.zones.ids, book.zones.why, strict=True):
        yield f"  {zone_id:<{width}}  {why}"


def _table_lines(book: Book) -> Iterator[str]:
    """Stores counted by country, setting and reach; the commonest first."""
    kinds, radii = book.zones.kind.tolist(), book.zones.radius_m.tolist()
    counts = Counter(
        (store.country or "-", store.setting, _about(kinds[ix], radii[ix]))
        for ix, store in enumerate(book.stores)  # their reaches are the first zones, in this order
    )
    yield f"  {'country':<8} {'setting':<12} {'radius':>10} {'stores':>10}"
    for (country, setting, radius), count in counts.most_common(LISTED_MAX):
        yield f"  {country:<8} {setting:<12} {radius:>10} {count:>10,}"
    yield "  (--all lists each)"


def _about(kind: int, radius_m: float) -> str:
    """A radius to count by; of what is no circle, that of its area, in steps.

    >>> from geoengine.core.places.zones import POLYGON
    >>> _about(CIRCLE, 306.0), _about(POLYGON, 306.0), _about(POLYGON, 2_133.0)
    ('306 m', '~300 m', '~2.1 km')
    """
    drawn, metres = ("", radius_m) if kind == CIRCLE else ("~", round(radius_m, -2))
    return f"{drawn}{metres:,.0f} m" if metres < 1_000 else f"{drawn}{metres / 1_000:,.1f} km"


def _campaign_lines(reading: Reading) -> Iterator[str]:
    book = reading.book
    width = max((len(plan.id) for plan in book.campaigns), default=0)
    for plan in book.campaigns:
        spec = plan.spec
        window = f", {plan.window}" if plan.window else ""
        yield (
            f"  {plan.id:<{width}}  on {spec.on}{window}, by {', '.join(spec.levers)}: "
            f"{reading.zone_counts[plan.id]:,} zones"
        )


def _show_warnings(reading: Reading, shows_all: bool) -> None:
    shown = reading.warnings if shows_all else reading.warnings[:WARNINGS_SHOWN]
    for fault in shown:
        click.echo(f"{fault.file}:{fault.line}:{fault.column}: warning: {fault.what}")
    if len(shown) < len(reading.warnings):
        click.echo(f"… and {len(reading.warnings) - len(shown):,} warnings more (--all)")
