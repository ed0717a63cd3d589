"""Posts waiting for the worker: bounded in bytes and in pings, taken in the order they came.

Natural micro-batching: nobody waits for a timer. The worker takes whatever has arrived while it
was committing the batch before, up to a size that keeps the next answer near.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass, field, replace
from typing import TypeVar

import numpy as np

from geoengine.core.columns import Fixes, Sightings
from geoengine.core.record import Event
from geoengine.service.http.problems import Problem

Rows = TypeVar("Rows", Fixes, Sightings)


@dataclass(slots=True)
class Post:
    """One request's pings and sightings, and the answer its sender waits for."""

    fixes: Fixes
    sightings: Sightings
    body_bytes: int
    answer: asyncio.Future[list[Event]] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )

    def __len__(self) -> int:
        return len(self.fixes) + len(self.sightings)

    def resolve(self, events: list[Event]) -> None:
        """Tell the sender what its pings caused, durably."""
        if not self.answer.done():
            self.answer.set_result(events)

    def refuse(self, error: BaseException) -> None:
        """Tell the sender that nothing was committed."""
        if not self.answer.done():
            self.answer.set_exception(error)


class Intake:
    """The queue between the routes and the worker."""

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

    def put(self, post: Post) -> None:
        """Queue a post; raises `Problem` when the queue is full or the service is stopping."""
        if self.is_closed:
            raise Problem("stopping")
        # An empty queue takes any single post, so that one within the body limit can get through.
        if self._posts and (
            self.ping_count + len(post) > self._max_pings
            or self.body_bytes + post.body_bytes > self._max_bytes
        ):
            raise Problem("queue_full", f"{self.ping_count} pings are waiting.")
        self._posts.append(post)
        self.ping_count += len(post)
        self.body_bytes += post.body_bytes
        self._has_posts.set()

    def take(self, most_pings: int) -> list[Post]:
        """The longest waiting posts, together at most so many pings, but at least one post."""
        taken: list[Post] = []
        ping_count = 0
        while self._posts and (not taken or ping_count + len(self._posts[0]) <= most_pings):
            post = self._posts.popleft()
            ping_count += len(post)
            self.body_bytes -= post.body_bytes
            taken.append(post)
        self.ping_count -= ping_count
        if not self._posts:
            self._has_posts.clear()
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


def joined(posts: list[Post]) -> tuple[Fixes, Sightings]:
    """The posts' rows end to end, ``post_ix`` telling which post each came with."""
    fixes = [_numbered(post.fixes, ix) for ix, post in enumerate(posts) if len(post.fixes)]
    heard = [_numbered(post.sightings, ix) for ix, post in enumerate(posts) if len(post.sightings)]
    return (
        Fixes.concat(fixes) if fixes else Fixes.empty(),
        Sightings.concat(heard) if heard else Sightings.empty(),
    )


def _numbered(rows: Rows, post_ix: int) -> Rows:
    return replace(rows, post_ix=np.full(len(rows), post_ix, np.int64))
