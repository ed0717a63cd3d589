"""Everything about coupons that one process holds, and the look after what is running out."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from geoengine.core.book import Book
from geoengine.core.engine import Outcome
from geoengine.core.errors import StateError
from geoengine.service.coupons.desk import EMPTY, USED_UP, Desk
from geoengine.service.coupons.pools import Pools
from geoengine.service.coupons.shared import is_used_up
from geoengine.service.coupons.till import Till
from geoengine.service.logs import logger
from geoengine.service.metrics import Metrics
from geoengine.service.worker import Worker
from geoengine.state.base import State

# How often campaigns are told that there is no code left for them. What fires in between is refused
# when it is to leave, and its place under the caps is given back.
LOOK_S: Final = 5.0
LOW_SHARE: Final = 0.1  # of a pool's codes; fewer are left, and the log says so, once
_LOG = logger("coupons")


class Office:
    """The pools, the desk and the till, over one state."""

    def __init__(self, state: State, book_of: Callable[[], Book], clock: Callable[[], int]) -> None:
        self.on_outcome: Callable[[Outcome], None] = lambda outcome: None
        self.pools = Pools(state, clock)
        self.desk = Desk(state, self.pools, book_of, clock)
        self.till = Till(state, book_of, clock, lambda outcome: self.on_outcome(outcome))
        self._state = state
        self._low: set[str] = set()  # pools of which the log has said that they run out

    async def missing(self, book: Book) -> dict[str, str]:
        """The campaigns that have no coupon left to give, and why."""
        found: dict[str, str] = {}
        for plan in book.campaigns:
            coupon = plan.spec.coupon
            if coupon is None:
                continue
            if coupon.kind == "pool":
                shelf = await self.pools.shelf(coupon.pool or "")
                if not shelf.free_count:
                    found[plan.id] = EMPTY
            elif await is_used_up(self._state, coupon):
                found[plan.id] = USED_UP
        return found

    async def look(self, worker: Worker, metrics: Metrics) -> None:
        """Tell campaigns and operators what there is."""
        book = worker.book
        missing = await self.missing(book)
        if worker.book is book and missing != book.no_coupons:
            worker.book = book.short_of(missing)
        for pool_id in sorted(_pools_of(book)):
            shelf = await self.pools.shelf(pool_id)
            metrics.coupons_left.labels(pool_id).set(shelf.free_count)
            is_low = shelf.free_count < LOW_SHARE * shelf.code_count or not shelf.code_count
            if is_low and pool_id not in self._low:
                _LOG.warning("pool_low", pool=pool_id, left=shelf.free_count)
            (self._low.add if is_low else self._low.discard)(pool_id)

    async def run(self, worker: Worker, metrics: Metrics) -> None:
        """Look every few seconds."""
        while True:
            try:
                await self.look(worker, metrics)
            except StateError as error:
                _LOG.warning("postponed", why=str(error))
            await asyncio.sleep(LOOK_S)


def _pools_of(book: Book) -> set[str]:
    coupons = [plan.spec.coupon for plan in book.campaigns]
    return {one.pool for one in coupons if one is not None and one.pool}
