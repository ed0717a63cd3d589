"""Where reports are made: one at a time, away from whoever waits for a ping to be answered."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from geoengine.core.book import Book
from geoengine.core.calendar import duration_ms
from geoengine.core.errors import GeoengineError
from geoengine.core.units import DAY_MS
from geoengine.service.reports import campaigns, stores
from geoengine.service.reports.asking import span_of
from geoengine.service.reports.gather import gather
from geoengine.service.wire.reports import CampaignsQuery, CampaignsReport, Period, StoresReport
from geoengine.state.base import Past

# A report takes up to some hundred megabytes and some seconds. More than a few that wait, and who
# asked has gone by the time it is their turn.
WAITING_MAX: Final = 4
WINDOW_MAX_MS: Final = 92 * DAY_MS  # as long as decisions are kept; more would find nothing more


class Busy(GeoengineError):
    """Enough reports wait to be made."""


class Desk:
    """Makes reports."""

    def __init__(self) -> None:
        self._turn = asyncio.Lock()
        self._waiting_count = 0

    async def campaigns(
        self, past: Past, book: Book, query: CampaignsQuery, now_ms: int
    ) -> CampaignsReport:
        """What campaigns did. Raises `ValueError`, `TooMuch`, `Busy`."""
        span = span_of(query, book, now_ms)
        window = query.window or book.engine.spec.measure.window
        if duration_ms(window) > WINDOW_MAX_MS:
            raise ValueError(f"window {window}: expected at most 92d")
        async with self._seat():
            told = await gather(past, *campaigns.around(span, query, book))
            return await asyncio.to_thread(campaigns.report, told, query, span, book)

    async def stores(self, past: Past, book: Book, query: Period, now_ms: int) -> StoresReport:
        """Who came to the stores. Raises `ValueError`, `TooMuch`, `Busy`."""
        span = span_of(query, book, now_ms)
        async with self._seat():
            told = await gather(past, *span, with_steps=True)
            return await asyncio.to_thread(stores.report, told, query, span, book)

    @asynccontextmanager
    async def _seat(self) -> AsyncIterator[None]:
        if self._waiting_count >= WAITING_MAX:
            raise Busy(f"{WAITING_MAX} reports are being made or wait")
        self._waiting_count += 1
        try:
            async with self._turn:
                yield
        finally:
            self._waiting_count -= 1
