"""`geoengine zones build DIR`: ask a road network how far the minutes go, and keep the answers."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import click
from msgspec.structs import replace
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from geoengine.catalog.reach.journal import Journal
from geoengine.catalog.reach.question import Question, question_of
from geoengine.cli.catalogue.check import read_or_exit
from geoengine.core.errors import GeoengineError, RouterDown
from geoengine.core.model import EngineSpec, RoadsSpec, Store
from geoengine.roads.base import Router
from geoengine.roads.build import Built, Tell, build
from geoengine.roads.opening import open_router

LISTED_MAX = 50  # stores without an answer that are shown one by one
TOLD_STEPS = 10  # lines of progress where nobody watches a terminal
UNFINISHED_EXIT = 1
_ROUTERS: dict[str, Callable[[str], RoadsSpec]] = {
    "valhalla": lambda where: (
        RoadsSpec(router="valhalla", url=where)
        if where.startswith(("http://", "https://"))
        else RoadsSpec(router="valhalla", tiles=where)
    ),
    "openrouteservice": lambda where: RoadsSpec(router="openrouteservice", url=where),
}


class NoRoads(GeoengineError):
    """Neither the catalogue nor the command names a road network."""


@dataclass(frozen=True, slots=True)
class Options:
    """How to build."""

    at_once: int = 0
    is_again: bool = False
    keeps_all: bool = False


@click.command(short_help="Ask a road network how far the minutes go.")
@click.argument("directory", type=click.Path(exists=True, path_type=Path))
@click.option(
    "--router",
    metavar="ROUTER:WHERE",
    help="Instead of engine.roads: valhalla:http://HOST:8002, valhalla:var/data/roads (a folder "
    "of tiles), openrouteservice:https://HOST/ors.",
)
@click.option("--at-once", type=click.IntRange(1, 1_000), help="Questions under way at a time.")
@click.option("--again", "is_again", is_flag=True, help="Ask also what was answered before.")
@click.option("--keep", "keeps_all", is_flag=True, help="Keep answers about stores that are gone.")
def command(
    directory: Path, router: str | None, at_once: int | None, is_again: bool, keeps_all: bool
) -> None:
    """Ask a road network from where each store in DIRECTORY is reached in time.

    What it answers is kept in the folder engine.data and used by every command from then on; a
    service that runs takes it over. Only what is not known of this network is asked. Exit 1 where
    a question is left without an answer: run it again to go on.
    """
    options = Options(at_once or 0, is_again, keeps_all)
    raise SystemExit(run(directory, options, router))


def run(directory: Path, options: Options, router: str | None = None) -> int:
    """Build, and print what became of it; the exit code."""
    book = read_or_exit(directory, by_roads=False).book
    try:
        roads = roads_of(book.engine.spec, router)
        with Journal(Path(book.engine.spec.data)) as journal:
            opened = open_router(roads, os.environ)
            return build_all(book.stores, opened, journal, options)
    except RouterDown as error:
        click.echo(
            f"geoengine: the router does not answer, {error}: run this again to go on", err=True
        )
        return UNFINISHED_EXIT
    except (GeoengineError, OSError) as error:
        click.echo(f"geoengine: {error}", err=True)
        return UNFINISHED_EXIT


def roads_of(engine: EngineSpec, router: str | None) -> RoadsSpec:
    """Which network to ask. Raises `NoRoads`.

    >>> roads_of(EngineSpec(), "valhalla:http://127.0.0.1:8002").url
    'http://127.0.0.1:8002'
    """
    if router is None:
        if engine.roads is None:
            raise NoRoads(
                "no road network to ask: expected `engine: {roads: {router: valhalla, url: "
                "http://127.0.0.1:8002}}` in the catalogue, or --router"
            )
        return engine.roads
    name, _, where = router.partition(":")
    if name not in _ROUTERS or not where:
        expected = " or ".join(f"{known}:WHERE" for known in _ROUTERS)
        raise NoRoads(f"--router is `{router}`: expected {expected}")
    spec = _ROUTERS[name](where)
    has_key = engine.roads is not None and engine.roads.router == name
    return replace(spec, key=engine.roads.key) if has_key and engine.roads else spec


def build_all(stores: Sequence[Store], router: Router, journal: Journal, options: Options) -> int:
    """Ask about all stores, publish what is known then, and print it; the exit code."""
    stores_of = _stores_of(stores)
    if journal.was_damaged:
        click.echo(f"{journal.kept_path} was damaged: what can be read of it is kept", err=True)
    began_s = time.perf_counter()
    try:
        with _progress() as tell:
            built = asyncio.run(_build(router, stores_of, journal, options, tell))
    except asyncio.CancelledError:
        click.echo("geoengine: stopped", err=True)
        built = None
    finally:
        kept_count = journal.publish(None if options.keeps_all else stores_of.keys())
        click.echo(f"{kept_count:,} of {len(stores_of):,} places answered, in {journal.kept_path}")
    if built is None:
        return UNFINISHED_EXIT
    for line in summary(built, stores_of, len(stores), time.perf_counter() - began_s):
        click.echo(line)
    return UNFINISHED_EXIT if built.failed else 0


def _stores_of(stores: Sequence[Store]) -> dict[Question, list[str]]:
    """The ids of the stores that each question is about."""
    found: dict[Question, list[str]] = defaultdict(list)
    for store in stores:
        question = question_of(store)
        if question is not None:
            found[question].append(store.id)
    return found


async def _build(
    router: Router,
    stores_of: dict[Question, list[str]],
    journal: Journal,
    options: Options,
    tell: Tell,
) -> Built:
    """Build; a signal to stop cancels it."""
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    assert task is not None
    for name in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(name, task.cancel)
    try:
        return await build(
            router,
            stores_of,
            journal,
            is_again=options.is_again,
            at_once=options.at_once,
            tell=tell,
        )
    finally:
        await router.close()


def summary(
    built: Built, stores_of: dict[Question, list[str]], store_count: int, seconds: float
) -> Iterator[str]:
    """What became of a build, in lines."""
    on_roads = sum(map(len, stores_of.values()))
    asked = built.settled_count + len(built.failed)
    yield f"{built.network}: asked about {asked:,} places in {seconds:,.1f} s" + (
        f", {asked / seconds:,.1f} a second" if asked else ""
    )
    yield (
        f"{built.answered_count:,} answered, {len(built.refused):,} without a way, "
        f"{len(built.failed):,} failed, {built.known_count:,} known before"
    )
    if on_roads < store_count:
        count = store_count - on_roads
        yield f"{count:,} stores have a reach of their own and were not asked about"
    yield from _listed(built.refused, stores_of, "no way on the roads, {}: its reach is a circle")
    yield from _listed(built.failed, stores_of, "no answer, {}: run this again")


def _listed(
    why: dict[Question, str], stores_of: dict[Question, list[str]], text: str
) -> Iterator[str]:
    lines = [(store, reason) for asked, reason in why.items() for store in stores_of[asked]]
    for store, reason in lines[:LISTED_MAX]:
        yield f"  {store}  {text.format(reason)}"
    if len(lines) > LISTED_MAX:
        yield f"  … and {len(lines) - LISTED_MAX:,} more"


def _progress() -> AbstractContextManager[Tell]:
    """A bar where somebody watches a terminal, else a line now and then."""
    return _bar() if sys.stderr.isatty() else _lines()


@contextmanager
def _bar() -> Iterator[Tell]:
    columns = (TextColumn("roads"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("roads", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


@contextmanager
def _lines() -> Iterator[Tell]:
    def tell(done: int, total: int) -> None:
        step = -(-total // TOLD_STEPS)
        if done % step == 0 or done == total:
            click.echo(f"{done:,} of {total:,}", err=True)

    yield tell
