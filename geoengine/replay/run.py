"""The same loop as live, over a recorded trace, on a clock that is the trace's own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Final

from geoengine.core.book import Book
from geoengine.core.columns import Fixes, Sightings
from geoengine.core.engine import Batch, Outcome
from geoengine.core.record import Event
from geoengine.core.telling.events import in_order
from geoengine.core.units import DAY_MS
from geoengine.replay.gather import Trace, cut
from geoengine.state.base import State
from geoengine.state.loop import advance

BATCH_ROWS: Final = 262_144
_ALL: Final = 1 << 30
# Told to wait, the clock runs on after the last row for longer than any policy waits.
_AFTERMATH_MS: Final = 3_650 * DAY_MS


async def replay(
    state: State,
    book: Book,
    trace: Trace,
    tell: Callable[[list[Event]], None],
    *,
    assumed: frozenset[str] = frozenset(),
    batch_rows: int = BATCH_ROWS,
    until_silent: bool = False,
    on_rows: Callable[[int], None] = lambda row_count: None,
    on_outcome: Callable[[Outcome], None] = lambda outcome: None,
) -> Counter[str]:
    """Run a trace through the engine and tell its events in order of time.

    The same trace tells the same events whatever ``batch_rows``. Location is assumed, as are the
    purposes in ``assumed``. The clock stands still with the last row; with ``until_silent`` it
    runs on until silence has closed the last visit. ``on_rows`` hears how many rows are done,
    ``on_outcome`` what each batch decided. Returns the step's counts, added up.
    """
    counts: Counter[str] = Counter()
    held: list[Event] = []
    # As posted, an old row may tell of a time long told: only the whole has an order.
    say = held.extend if trace.is_as_posted else tell
    purposes = assumed | {"location"}

    async def go(fixes: Fixes, sightings: Sightings, now_ms: int) -> None:
        due = tuple(await state.due(now_ms, _ALL))
        batch = Batch(fixes, sightings, due, now_ms, is_virtual=True, assumed=purposes)
        outcome = await advance(state, book, batch)
        counts.update(outcome.counts)
        on_outcome(outcome)
        say(outcome.events)

    end_ms = 0
    for fixes, sightings, end_ms in cut(trace, batch_rows):
        await go(fixes, sightings, end_ms)
        on_rows(len(fixes) + len(sightings))
    if until_silent:
        await go(Fixes.empty(), Sightings.empty(), end_ms + _AFTERMATH_MS)
    tell(in_order(held))
    return counts
