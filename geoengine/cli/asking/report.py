"""`geoengine report`: what campaigns did, who came to the stores; to read, or as a table."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import aiohttp
import click
import msgspec
from rich.console import Console

from geoengine.catalog import load
from geoengine.cli.asking.report_page import print_report
from geoengine.core.book import Book
from geoengine.core.errors import GeoengineError, StateLocked
from geoengine.service.clock import now_ms
from geoengine.service.reports.desk import Desk
from geoengine.service.reports.exporting import ENDINGS, ExportError, write
from geoengine.service.wire.reports import (
    CampaignsQuery,
    CampaignsReport,
    Period,
    StoresReport,
)
from geoengine.state import open_state
from geoengine.state.base import Past

REQUEST_TIMEOUT_S = 300.0  # a report of months may take a minute, and others wait before it
R = TypeVar("R", CampaignsReport, StoresReport)


class ReportError(GeoengineError):
    """There is nothing to report of; the text says what to do."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where to look."""

    config: Path
    state: str
    url: str
    key: str

    async def report(
        self,
        kind: type[R],
        path: str,
        query: Period,
        make: Callable[[Past, Book], Awaitable[R]],
    ) -> R:
        """From the state if it is free, else from the service that holds it."""
        if self.url:
            return await self._asked(self.url, kind, path, query)
        book = load(self.config)
        state_url = self.state or book.engine.spec.state
        _require_file(state_url)
        state = open_state(state_url)
        try:
            await state.open()
        except StateLocked:
            return await self._asked(_default_url(), kind, path, query)
        try:
            return await make(state, book)
        finally:
            await state.close()

    async def _asked(self, url: str, kind: type[R], path: str, query: Period) -> R:
        headers = {"Authorization": f"Bearer {self.key}"} if self.key else {}
        told = msgspec.to_builtins(query)
        params = {name: str(value) for name, value in told.items() if value not in ("", None)}
        timeout = aiohttp.ClientTimeout(total=REQUEST_TIMEOUT_S)
        try:
            async with (
                aiohttp.ClientSession(headers=headers, timeout=timeout) as session,
                session.get(url.rstrip("/") + path, params=params) as answer,
            ):
                body = await answer.read()
        except (aiohttp.ClientError, TimeoutError) as error:
            raise ReportError(f"{url} does not answer: {error}; say --url") from error
        if answer.status != 200:
            raise ReportError(f"{url} answers {answer.status}: {_detail(body)}")
        return msgspec.json.decode(body, type=kind)


def _require_file(state_url: str) -> None:
    """Opening a state makes one where there is none; to look is not to make."""
    scheme, _, path = state_url.partition(":")
    if scheme == "local" and not Path(path).exists():
        raise ReportError(f"no state at {path}: say --state local:PATH, or --url of a service")


def _detail(body: bytes) -> str:
    """What a problem document says."""
    try:
        problem = msgspec.json.decode(body, type=dict[str, Any])
    except ValueError:
        return "not a geoengine service"
    return str(problem.get("detail") or problem.get("title") or "no reason given")


def _default_url() -> str:
    return f"http://127.0.0.1:{os.environ.get('GEOENGINE_PORT') or 8080}"


def _first_key(_context: object, _option: object, keys: str) -> str:
    """The first of several keys, as the environment lists them."""
    return keys.split(",")[0].strip()


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
            click.option("--key", default="", envvar="GEOENGINE_SERVER_KEYS", callback=_first_key,
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
    try:
        return asyncio.run(place.report(kind, path, query, make))
    except (GeoengineError, ValueError, OverflowError) as error:
        raise click.ClickException(str(error)) from error


def _tell(report: CampaignsReport | StoresReport, out: Path | None) -> None:
    if out is None:
        print_report(report, Console())
        return
    try:
        write(report, out)
    except (ExportError, OSError) as error:
        raise click.ClickException(str(error)) from error
