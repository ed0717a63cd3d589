"""`geoengine report`: what campaigns did, who came to the stores; to read, or as a table."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import click
import msgspec
from rich.console import Console

from geoengine.cli.asking.place import Place, Service, first_key
from geoengine.cli.asking.report_page import print_report
from geoengine.core.book import Book
from geoengine.service.clock import now_ms
from geoengine.service.reports.desk import Desk
from geoengine.service.reports.exporting import ENDINGS, ExportError, write
from geoengine.service.wire.reports import (
    CampaignsQuery,
    CampaignsReport,
    Period,
    StoresReport,
)
from geoengine.state import State
from geoengine.state.base import Past

REQUEST_TIMEOUT_S = 300.0  # a report of months may take a minute, and others wait before it
R = TypeVar("R", CampaignsReport, StoresReport)


def _ending(_context: object, _option: object, path: Path | None) -> Path | None:
    if path is not None and path.suffix not in ENDINGS:
        raise click.BadParameter(f"expected a name that ends in {', '.join(ENDINGS)}")
    return path


def _asked_where(command: Callable[..., None]) -> Callable[..., None]:
    """The options that both reports have."""
    for option in reversed(
        (
            click.argument("directory", type=click.Path(path_type=Path), metavar="[DIR]",
                           default="config", envvar="GEOENGINE_CONFIG"),
            click.option("--state", default="", envvar="GEOENGINE_STATE", metavar="URL",
                         help="The state.  [default: the catalogue's]"),
            click.option("--url", default="", metavar="URL", help="Ask this service."),
            click.option("--key", default="", envvar="GEOENGINE_SERVER_KEYS", callback=first_key,
                         metavar="KEY", help="The service's server key."),
            click.option("--from", "from_", default="", metavar="DAY",
                         help="A day or an instant.  [default: 28 days before]"),
            click.option("--to", default="", metavar="DAY", help="The last day.  [default: now]"),
            click.option("--confidence", type=click.FloatRange(0, 1), default=0.5,
                         show_default=True, help="How sure a visit must be."),
            click.option("--out", type=click.Path(dir_okay=False, path_type=Path),
                         callback=_ending, help="A file: .csv, .parquet or .json."),
        )
    ):  # fmt: skip
        command = option(command)
    return command


@click.group(short_help="What campaigns did, and who came.")
def command() -> None:
    """What campaigns did and whether people would have come anyway; who came to the stores."""


@command.command()
@_asked_where
@click.option("--by", type=click.Choice(["store", "hour", "weekday", "variant"]), default=None,
              help="Split the figures by this.")  # fmt: skip
@click.option("--credit", type=click.Choice(["last", "first", "even"]), default="last",
              show_default=True, help="Which message a visit is credited to.")  # fmt: skip
@click.option("--window", help="How long after a message.  [default: engine.measure.window]")
@click.option("--outcome", type=click.Choice(["visits", "redemptions", "revenue"]),
              default="visits", show_default=True, help="What the lift is about.")  # fmt: skip
def campaigns(
    directory: Path, state: str, url: str, key: str, out: Path | None, **asked: Any
) -> None:
    """What campaigns did, from the catalogue's state or from the service that holds it."""
    query = _query(CampaignsQuery, asked)
    report = _made(
        Place(directory, state, url, key),
        CampaignsReport,
        "/v1/reports/campaigns",
        query,
        lambda past, book: Desk().campaigns(past, book, query, now_ms()),
    )
    _tell(report, out)


@command.command()
@_asked_where
def stores(directory: Path, state: str, url: str, key: str, out: Path | None, **asked: Any) -> None:
    """Who came to the stores, for how long, and by which ways."""
    query = _query(Period, asked)
    report = _made(
        Place(directory, state, url, key),
        StoresReport,
        "/v1/reports/stores",
        query,
        lambda past, book: Desk().stores(past, book, query, now_ms()),
    )
    _tell(report, out)


Q = TypeVar("Q", CampaignsQuery, Period)


def _query(shape: type[Q], asked: dict[str, Any]) -> Q:
    said = {"from": asked.pop("from_")} | {k: v for k, v in asked.items() if v is not None}
    try:
        return msgspec.convert(said, shape)
    except ValueError as error:
        raise click.ClickException(str(error)) from error


def _made(
    place: Place,
    kind: type[R],
    path: str,
    query: Period,
    make: Callable[[Past, Book], Awaitable[R]],
) -> R:
    async def report(holder: State | Service) -> R:
        if isinstance(holder, Service):
            body = await holder.ask("GET", path, params=_params(query))
            return msgspec.json.decode(body, type=kind)
        return await make(holder, place.book)

    try:
        return place.ask(report, REQUEST_TIMEOUT_S)
    except (ValueError, OverflowError) as error:
        raise click.ClickException(str(error)) from error


def _params(query: Period) -> dict[str, str]:
    """A query as it stands in a URL."""
    told = msgspec.to_builtins(query)
    return {name: str(value) for name, value in told.items() if value not in ("", None)}


def _tell(report: CampaignsReport | StoresReport, out: Path | None) -> None:
    if out is None:
        print_report(report, Console())
        return
    try:
        write(report, out)
    except (ExportError, OSError) as error:
        raise click.ClickException(str(error)) from error
