"""Posts waiting for the worker: bounded in bytes and in pings, taken in the order they came.

Natural micro-batching: nobody waits for a timer. The worker takes whatever has arrived while it
was committing the batch before, up to a size that keeps the next answer near.

A post waits as typed rows. They are checked and laid out as columns by the batch, so that a post of
a single ping costs no array of its own.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain

import numpy as np

from geoengine.core.columns import Fixes, Longs, Sightings
from geoengine.core.record import Event
from geoengine.ingest.pings import Ping, columns_of
from geoengine.ingest.wire import Reject, Rows
from geoengine.service.http.answers import taken
from geoengine.service.http.problems import Problem

# The answer's body once what it tells is durable; an error when nothing was committed.
OnAnswer = Callable[[bytes | BaseException], None]
NO_SIGHTINGS = Sightings.empty()
_ROW_MIN_BYTES = 3  # of a body that holds a row: `{},`
_ROW_BYTES = 128  # of a row, as apps write them, roughly: what is told before a body is there


def settle(future: asyncio.Future[bytes], told: bytes | BaseException) -> None:
    """An answer for somebody who waits for it."""
    if future.done():
        return  # the sender has hung up
    if isinstance(told, bytes):
        future.set_result(told)
    else:
        future.set_exception(told)


@dataclass(slots=True, eq=False)
class Post:
    """One request's pings or sightings, and how its sender is told what became of them.

    Pings have the right types and are not yet checked further; sightings are.
    """

    on_answer: OnAnswer
    body_bytes: int
    recv_ms: int
    row_count: int  # of the pings or sightings
    rows: Rows[Ping]
    sightings: Sightings = NO_SIGHTINGS
    is_told: bool = False

    def resolve(self, late: Sequence[Reject] = (), events: Sequence[Event] = ()) -> list[Reject]:
        """Tell the sender what its rows caused, durably; all its rejects."""
        self.is_told = True
        rejects = self.rows.rejects_with(late)
        self.on_answer(taken(self.row_count - len(late), rejects, events))
        return rejects

    def refuse(self, error: BaseException) -> None:
        """Tell the sender that nothing was committed, unless it has been told already."""
        if not self.is_told:
            self.is_told = True
            self.on_answer(error)


class Intake:
    """The queue between the doors and the worker."""

    def __init__(self, max_pings: int, max_bytes: int) -> None:
        self._max_pings = max_pings
        self._max_bytes = max_bytes
        self._posts: deque[Post] = deque()
        self._has_posts = asyncio.Event()
        self.ping_count = 0
        self.body_bytes = 0
        self.is_closed = False

    def __len__(self) -> int:
        return len(self._posts)

    def admit(self, body_bytes: int, body: bytes = b"") -> None:
        """Refuse a post that finds no room before anything is spent on reading it.

        A body that is not there yet is judged by its length. Raises `Problem`.
        """
        if self._posts or self.is_closed:
            self._admit(1 if body else 1 + body_bytes // _ROW_BYTES, body_bytes)
            # A body has no more rows than braces; counting them costs a twentieth of reading them.
            if self.ping_count + len(body) // _ROW_MIN_BYTES > self._max_pings:
                self._admit(body.count(b"{"), body_bytes)

    def put(self, post: Post) -> None:
        """Queue a post; raises `Problem` when the queue is full or the service is stopping."""
        if self._posts or self.is_closed:
            self._admit(post.row_count, post.body_bytes)
        self._posts.append(post)
        self.ping_count += post.row_count
        self.body_bytes += post.body_bytes
        if len(self._posts) == 1:
            self._has_posts.set()

    def _admit(self, row_count: int, body_bytes: int) -> None:
        if self.is_closed:
            raise Problem("stopping")
        # An empty queue takes any single post, so that one within the body limit can get through.
        if (
            self.ping_count + row_count > self._max_pings
            or self.body_bytes + body_bytes > self._max_bytes
        ):
            raise Problem("queue_full", f"{self.ping_count} pings are waiting.")

    def take(self, most_pings: int) -> list[Post]:
        """The longest waiting posts, together at most so many pings, but at least one post."""
        if self.ping_count <= most_pings:
            taken = list(self._posts)
            self._posts.clear()
            self.ping_count = self.body_bytes = 0
        else:
            taken = self._take_some(most_pings)
        if not self._posts:
            self._has_posts.clear()
        return taken

    def _take_some(self, most_pings: int) -> list[Post]:
        taken: list[Post] = []
        row_count = 0
        while self._posts and (not taken or row_count + self._posts[0].row_count <= most_pings):
            post = self._posts.popleft()
            row_count += post.row_count
            self.body_bytes -= post.body_bytes
            taken.append(post)
        self.ping_count -= row_count
        return taken

    async def wait(self, timeout_s: float) -> None:
        """Return when there is something to take, or after a while."""
        if self._posts or timeout_s <= 0:
            return
        try:
            async with asyncio.timeout(timeout_s):
                await self._has_posts.wait()
        except TimeoutError:
            pass

    def close(self) -> None:
        """Take no more posts; those that wait are still served. Wakes the worker."""
        self.is_closed = True
        self._has_posts.set()


@dataclass(frozen=True, slots=True)
class Joined:
    """The rows of some posts as columns; ``post_ix`` tells which post each came with."""

    fixes: Fixes
    sightings: Sightings
    rejects: dict[int, list[Reject]] = field(default_factory=dict)  # by post; its rows count from 0

    def __len__(self) -> int:
        return len(self.fixes) + len(self.sightings)


def joined(posts: Sequence[Post]) -> Joined:
    """The posts' rows end to end: one look at all of them."""
    heard = [
        _numbered(post.sightings, ix)
        for ix, post in enumerate(posts)
        if post.sightings is not NO_SIGHTINGS
    ]
    sightings = Sightings.concat(heard) if heard else NO_SIGHTINGS
    counts = [len(post.rows.items) for post in posts]
    if not any(counts):
        return Joined(Fixes.empty(), sightings)
    post_ix = np.repeat(np.arange(len(posts)), counts)
    recv_ms = np.array([post.recv_ms for post in posts], np.int64)[post_ix]
    items = list(chain.from_iterable([post.rows.items for post in posts]))
    found = columns_of(items, recv_ms=recv_ms, post_ix=post_ix)
    return Joined(found.fixes, sightings, _by_post(found.rejects, post_ix, counts))


def _by_post(rejects: list[Reject], post_ix: Longs, counts: list[int]) -> dict[int, list[Reject]]:
    found: dict[int, list[Reject]] = {}
    if rejects:
        starts = np.cumsum([0, *counts])
        for reject in rejects:
            ix = int(post_ix[reject.index])
            own = Reject(reject.index - int(starts[ix]), reject.reason)
            found.setdefault(ix, []).append(own)
    return found


def _numbered(rows: Sightings, post_ix: int) -> Sightings:
    return replace(rows, post_ix=np.full(len(rows), post_ix, np.int64))
