"""The catalogue changes while we run: a good one takes over between two batches, a bad one is kept
out and told of.

The directory is watched, not its files: editors replace files, which looks like deletion to a
watch on one. At the data folder, where densities and reaches are put now and then and which need
not exist, a look a second does. Files are read and compiled by another process, and what is left
to do here is done in a thread in short steps: the loop goes on serving.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

from watchfiles import DefaultFilter, awatch

from geoengine.catalog import (
    GENTLE,
    KEPT_PATTERNS,
    Obtained,
    Reading,
    Stamp,
    default_folder,
    obtain,
    stamp_of,
)
from geoengine.core.book import Book
from geoengine.core.errors import ConfigurationError, StateUnavailable
from geoengine.service.context import Context
from geoengine.service.heritage import bequeath, heir
from geoengine.service.logs import logger
from geoengine.service.settings import Settings
from geoengine.state.collector import keep

QUIET_MS: Final = 200  # changes closer together than this are one: an editor writes in steps
LOOK_S: Final = 1.0  # between two looks at the data folder, where a dozen files lie
FAULTS_TOLD: Final = 100
_LOG = logger("reload")


def build(settings: Settings) -> Reading:
    """The catalogue of a start. Raises `ConfigurationError` with all its faults."""
    obtained = asyncio.run(obtain(Path(settings.config), cache_of(settings)))
    _tell(obtained)
    return obtained.reading


def cache_of(settings: Settings) -> Path:
    """Where compiled catalogues are kept."""
    return Path(settings.cache) if settings.cache else default_folder(os.environ)


def _tell(obtained: Obtained) -> None:
    for remark in obtained.remarks:
        _LOG.warning("catalogue_cache", why=remark)


class Written(DefaultFilter):
    """What somebody wrote: not what we keep, should it be kept in the catalogue's own directory."""

    ignore_entity_patterns = (*DefaultFilter.ignore_entity_patterns, *KEPT_PATTERNS)


class Reloader:
    """Keeps the Book in force that of the directory."""

    def __init__(self, directory: Path, context: Context) -> None:
        self._directory = directory
        self._context = context
        self.on_book: Callable[[Book], None] = lambda book: None  # told of each that took over
        self._seen = self._data()  # what is put there from now on is news
        self._one_at_a_time = asyncio.Lock()
        self._stop = asyncio.Event()
        self._asked: asyncio.Task[bool] | None = None  # kept, or the loop would drop it

    async def run(self) -> None:
        """Watch until stopped."""
        async with asyncio.TaskGroup() as both:
            both.create_task(self._watch())
            both.create_task(self._look())

    async def _watch(self) -> None:
        async for _changes in awatch(
            self._directory,
            stop_event=self._stop,
            watch_filter=Written(),
            step=QUIET_MS // 4,
            debounce=QUIET_MS,
        ):
            await self.reload()

    async def _look(self) -> None:
        """See what is put into the data folder of the Book in force."""
        while not self._stop.is_set():
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stop.wait(), LOOK_S)
            found = await asyncio.to_thread(self._data)
            if found != self._seen and not self._stop.is_set():
                self._seen = found
                await self.reload()

    def _data(self) -> tuple[str, Stamp]:
        """The data folder of the Book in force, and what lies there."""
        data = self._context.book.engine.spec.data
        return data, stamp_of(Path(data))

    def ask(self) -> None:
        """Read the directory again, soon: what SIGHUP means."""
        self._asked = asyncio.create_task(self.reload())

    def stop(self) -> None:
        """Watch no longer, and wait for no compiler."""
        self._stop.set()
        if self._asked is not None:
            self._asked.cancel()

    async def reload(self) -> bool:
        """Read the directory again; whether what it says is in force now."""
        async with self._one_at_a_time:
            try:
                folder = cache_of(self._context.settings)
                obtained = await obtain(self._directory, folder, niceness=GENTLE)
            except ConfigurationError as error:
                self._refuse([str(fault) for fault in error.faults])
                return False
            except Exception as error:  # ours or the disk's: the Book in force stays in force
                _LOG.error("catalogue_unreadable", exc_info=error)
                self._refuse([f"{self._directory}: {type(error).__name__}"])
                return False
            _tell(obtained)
            await self._accept(obtained.reading)
            return True

    async def _accept(self, reading: Reading) -> None:
        context = self._context
        context.reload_error = ""
        context.metrics.reload_failed.set(0)
        context.metrics.reloads.add(("ok",))
        before = context.book
        if reading.book.version == before.version:
            return
        book, now_ms = reading.book.keyed(before.coupon_key), context.clock()
        found = await asyncio.to_thread(lambda: heir(book, before.births(), now_ms))
        context.worker.adopt(found.book, is_sweep=found.has_lost)
        keep()
        context.metrics.shows_book(book.version)
        self.on_book(found.book)
        with suppress(StateUnavailable):  # only a later start misses it, and then plays safe
            await bequeath(context.state, found.will)
        _LOG.info("catalogue_changed", version=book.version, warnings=len(reading.warnings))

    def _refuse(self, faults: list[str]) -> None:
        context = self._context
        told = faults[:FAULTS_TOLD]
        context.reload_error = "\n".join(told)
        context.metrics.reload_failed.set(1)
        context.metrics.reloads.add(("failed",))
        _LOG.error(
            "catalogue_refused",
            in_force=context.book.version,
            faults=told,
            fault_count=len(faults),
        )
