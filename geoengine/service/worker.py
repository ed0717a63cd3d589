"""The loop around the engine: take what waits, step, commit, answer; one task, one batch at a time.

A post is answered only after the commit that holds its transitions is durable. Deadlines ride
along with every batch, and come by themselves every `tick_s` when nothing arrives. A new Book is
put in force between two batches.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence, Set
from typing import Final

from geoengine.core.book import Book
from geoengine.core.engine import Batch, Outcome
from geoengine.core.errors import StateConflict, StateError, StateUnavailable
from geoengine.core.record import Event
from geoengine.ingest.wire import Reject
from geoengine.service.clock import elapsed_s
from geoengine.service.intake import Intake, Joined, Post, joined
from geoengine.service.logs import logger
from geoengine.service.metrics import Metrics, without_numbers
from geoengine.service.settings import Settings
from geoengine.state.base import State
from geoengine.state.loop import advance

DUE_LIMIT: Final = 1_000  # people whose deadlines one batch takes along
TROUBLE_S: Final = 10.0  # for so long after a failed batch without a good one we are not ready
TRANSITIONS: Final = frozenset({"enter", "dwell", "exit", "crossed"})
# Each row of a batch has one of these.
FATES: Final = ("accepted", "late", "suspect", "no_consent", "sightings", "unknown_beacon")
_LOG = logger("worker")


class Worker:
    """Turns posts and deadlines into commits."""

    def __init__(
        self,
        state: State,
        intake: Intake,
        book: Book,
        settings: Settings,
        metrics: Metrics,
        clock: Callable[[], int],
    ) -> None:
        self.book = book
        self.intake = intake
        self.on_commit: Callable[[Outcome], None] = lambda outcome: None
        self._trouble = ""
        self._trouble_s = -TROUBLE_S
        self._state = state
        self._settings = settings
        self._metrics = metrics
        self._clock = clock
        self._sweep_after: str | None = None  # the next page of people since the zones changed
        self._has_more_due = False
        self._next_tick_s = 0.0

    def adopt(self, book: Book, *, is_sweep: bool) -> None:
        """Put a Book in force with the next batch; presences in zones that went are closed.

        ``is_sweep`` when zones went: whoever made the Book ready knows.
        """
        if is_sweep:
            self._sweep_after = ""
        self.book = book

    def begin(self, book: Book, *, is_sweep: bool) -> None:
        """The Book of a start; ``is_sweep`` when zones went since the last one."""
        self.book = book
        self._sweep_after = "" if is_sweep else None

    async def run(self) -> None:
        """Serve until the intake is closed and empty. Raises what cannot be recovered from."""
        while self.intake or not self.intake.is_closed:
            await self.intake.wait(self._patience_s())
            # One turn of the loop: who has sent by now comes along, and a batch of 40 costs each
            # of them less than one of 30.
            await asyncio.sleep(0)
            await self.turn()

    async def turn(self) -> None:
        """One batch: what waits, what is due, and a slice of a sweep; nothing if none of these."""
        posts = self.intake.take(self._settings.batch_pings)
        if not posts and elapsed_s() < self._next_tick_s and not self._is_behind:
            return
        self._next_tick_s = elapsed_s() + self._settings.tick_s
        try:
            due = await self._due()
        except StateUnavailable as error:
            self._refuse(posts, error)
            return
        if posts or due:
            await self._serve(posts, due)

    def _patience_s(self) -> float:
        return 0.0 if self._is_behind else self._next_tick_s - elapsed_s()

    @property
    def trouble(self) -> str:
        """Why the last batch failed, if that was moments ago; else empty."""
        return self._trouble if elapsed_s() < self._trouble_s + TROUBLE_S else ""

    def _note(self, trouble: str) -> None:
        self._trouble, self._trouble_s = trouble, elapsed_s()

    @property
    def _is_behind(self) -> bool:
        return self._has_more_due or self._sweep_after is not None

    async def _due(self) -> tuple[str, ...]:
        due = await self._state.due(self._clock(), DUE_LIMIT)
        self._has_more_due = len(due) >= DUE_LIMIT
        if self._sweep_after is not None:
            page = await self._state.people(self._sweep_after, self._settings.sweep_people)
            self._sweep_after = page.next or None
            due += page.names
        return tuple(dict.fromkeys(due))

    async def _serve(self, posts: list[Post], due: tuple[str, ...]) -> None:
        try:
            rows = joined(posts)
            if len(rows) or due:
                await self._advance(posts, rows, due)
            else:
                self._metrics.count_rejects(answer(posts, rows.rejects, ()))
        except (StateUnavailable, StateConflict) as error:
            self._refuse(posts, error)
        except StateError:
            self._refuse(posts, StateUnavailable("the state failed"))
            raise
        except Exception as error:
            await self._isolate([post for post in posts if not post.is_told], due, error)
        else:
            self._trouble = ""

    async def _advance(self, posts: list[Post], rows: Joined, due: tuple[str, ...]) -> None:
        began_s, metrics = elapsed_s(), self._metrics
        batch = Batch(fixes=rows.fixes, sightings=rows.sightings, due=due, now_ms=self._clock())
        events: list[Event] = []

        def on_part(part: Outcome, waiting: Set[int]) -> None:
            # Whoever has nothing more at stake need not wait for others; and what has happened
            # stays, whatever becomes of the rest.
            events.extend(part.events)
            metrics.pings.inc(sum(part.counts[fate] for fate in FATES))
            self._count(part)
            self.on_commit(part)
            metrics.count_rejects(answer(posts, rows.rejects, events, waiting))

        await advance(self._state, self.book, batch, on_part)
        metrics.batch_size.observe(len(rows))
        metrics.commit_seconds.observe(elapsed_s() - began_s)

    async def _isolate(self, posts: list[Post], due: tuple[str, ...], error: Exception) -> None:
        """Our own fault stopped a batch, and nothing of these posts was committed: serve them one
        by one, so that only the one that hits the fault is refused.
        """
        self._note(f"{type(error).__name__} in a batch")
        self._metrics.failures.add(("batch",))
        _LOG.error("batch_failed", posts=len(posts), due=len(due), exc_info=error)
        if len(posts) + bool(due) <= 1:
            for post in posts:
                post.refuse(error)
            self._has_more_due = False  # the tick tries again, not a busy loop
            return
        for post in posts:
            await self._serve([post], ())
        if due:
            await self._serve([], due)

    def _refuse(self, posts: list[Post], error: StateError) -> None:
        self._note(str(error))
        self._has_more_due = False
        self._metrics.failures.add(("state",))
        for post in posts:
            post.refuse(error)
        if self._state.failed is not None:
            raise error  # nothing can be committed any more: the process ends, non-zero

    def _count(self, outcome: Outcome) -> None:
        metrics = self._metrics
        for decision in outcome.decisions:
            metrics.decisions.add((decision.outcome, without_numbers(decision.reason)))
        for name, count in outcome.counts.items():
            if name in TRANSITIONS:
                metrics.transitions.add((name,), count)
            elif name != "fired" and not name.startswith("suppressed:"):  # the decisions above
                metrics.fixes.add((name,), count)


def answer(
    posts: list[Post],
    late: Mapping[int, list[Reject]],
    events: Sequence[Event],
    waiting: Set[int] = frozenset(),
) -> list[Reject]:
    """Tell each post the events that its own rows caused; those of deadlines go to nobody.

    ``late`` are the rejects that the batch found, by post; posts ``waiting`` are told later.
    Returns all rejects of these posts.
    """
    own: dict[int, list[Event]] = {}
    for event in events:
        own.setdefault(event.post_ix, []).append(event)
    rejects: list[Reject] = []
    for ix, post in enumerate(posts):
        if ix not in waiting and not post.is_told:
            rejects += post.resolve(late.get(ix, ()), own.get(ix, ()))
    return rejects
