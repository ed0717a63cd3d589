"""Which regions a phone should watch, said in the answer to what it reports; only when it is news.

A phone that asks with every fix would be told kilobytes with every fix. So what each was told last
is remembered, with the circle in which nothing changes about that: a bounded number of phones, in
this process. Whoever is forgotten, or is served by another process, is told once more than needed.
An answer that was lost on its way is made good by telling again after a while.

A key of an app is on every phone, so whoever shows no more than that hears only what follows of the
place that it sends itself: not where the device that it names was before.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from geoengine.core.book import Book
from geoengine.core.columns import Fixes
from geoengine.core.places.regions import Advice, advise
from geoengine.core.space.geodesy import geodesic_one_m
from geoengine.core.units import MINUTE_MS
from geoengine.ingest.reports import Position
from geoengine.state.base import State

Place = tuple[float, float, float | None]  # latitude, longitude, accuracy in metres

REMEMBERED_MAX: Final = 20_000  # phones; each costs about half a kilobyte
TOLD_FOR_MS: Final = 360 * MINUTE_MS  # then it is told again, though nothing has changed


@dataclass(frozen=True, slots=True)
class News:
    """What to tell a phone: what to watch, and what it need not watch any more."""

    advice: Advice
    gone: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Told:
    """What a phone was told last, and where that holds."""

    version: str  # of the Book
    zone_ids: tuple[str, ...]
    lat: float
    lon: float
    radius_m: float
    at_ms: int

    def holds(self, book: Book, position: Position, now_ms: int) -> bool:
        """Whether the same would be told again."""
        return (
            self.version == book.version
            and now_ms < self.at_ms + TOLD_FOR_MS
            and geodesic_one_m(self.lon, self.lat, position.lon, position.lat) < self.radius_m
        )


class Advisor:
    """Knows what phones were told."""

    def __init__(self) -> None:
        self._told: OrderedDict[str, _Told] = OrderedDict()

    async def news(
        self,
        state: State,
        book: Book,
        positions: Iterable[Position],
        limit: int,
        now_ms: int,
        *,
        is_own: bool,
    ) -> News | None:
        """What the phone that sent these positions should hear; None if it knows.

        ``is_own`` when the credential was the device's own.
        """
        newest = max(positions, key=lambda position: position.fix_ms, default=None)
        if newest is None or newest.device_id is None:
            return None
        told = self._told.get(newest.device_id)
        if told is not None and told.holds(book, newest, now_ms):
            self._told.move_to_end(newest.device_id)
            return None
        spot = await _last_accepted(state, newest)
        if spot is None:
            return None
        if not is_own:
            spot = (newest.lat, newest.lon, newest.accuracy_m)
        advice = advise(book, spot[0], spot[1], accuracy_m=spot[2], limit=limit)
        news = self._noted(newest.device_id, advice, book, now_ms)
        return news if is_own or news is None else replace(news, gone=())

    def _noted(self, device_id: str, advice: Advice, book: Book, now_ms: int) -> News | None:
        """Remember what is told; None if it is what the phone was told last, not long ago."""
        zone_ids = tuple(region.zone_id for region in advice.regions)
        before = self._told.pop(device_id, None)
        is_known = (
            before is not None
            and before.version == book.version
            and set(before.zone_ids) == set(zone_ids)
            and now_ms < before.at_ms + TOLD_FOR_MS
        )
        at_ms = before.at_ms if before is not None and is_known else now_ms
        self._told[device_id] = _Told(
            book.version, zone_ids, advice.lat, advice.lon, advice.refresh_radius_m, at_ms
        )
        while len(self._told) > REMEMBERED_MAX:
            self._told.popitem(last=False)
        gone = () if before is None else tuple(sorted({*before.zone_ids} - {*zone_ids}))
        return None if is_known or not (zone_ids or gone) else News(advice, gone)


async def _last_accepted(state: State, position: Position) -> Place | None:
    """Where the device was by the last fix that was accepted: no jump, and not without consent."""
    row = Fixes.of(
        [position.device_id or ""],
        np.array([position.lon]),
        np.array([position.lat]),
        np.array([position.fix_ms]),
    )
    known = await state.known(row)
    lon, lat, accuracy_m = known.lon_deg[0], known.lat_deg[0], known.accuracy_m[0]
    return None if np.isnan(lon) else (float(lat), float(lon), float(accuracy_m))
