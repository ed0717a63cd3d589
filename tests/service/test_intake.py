"""The queue between the routes and the worker."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest

from geoengine.core.columns import Fixes, Sightings
from geoengine.core.record import Event
from geoengine.service.http.problems import Problem
from geoengine.service.intake import Intake, Post, joined
from geoengine.service.worker import answer


def post(count: int, body_bytes: int = 100) -> Post:
    where = np.full(count, 48.0)
    fixes = Fixes.of([f"d{ix}" for ix in range(count)], where, where, np.arange(count))
    return Post(fixes, Sightings.empty(), body_bytes)


async def test_posts_leave_in_the_order_they_came_and_together_up_to_a_size() -> None:
    intake = Intake(1_000, 1_000_000)
    posts = [post(3), post(4), post(5)]
    for one in posts:
        intake.put(one)
    assert intake.take(7) == posts[:2]
    assert intake.take(1) == posts[2:], "one post is taken whole, however long"
    assert (intake.ping_count, intake.body_bytes, len(intake)) == (0, 0, 0)


async def test_a_full_queue_refuses_with_a_time_to_come_back() -> None:
    intake = Intake(10, 1_000)
    intake.put(post(8))
    with pytest.raises(Problem) as raised:
        intake.put(post(3))
    assert raised.value.status == 429
    assert int(raised.value.all_headers()["Retry-After"]) > 0
    intake.put(post(2))
    assert intake.ping_count == 10


async def test_a_queue_is_full_by_bytes_too() -> None:
    intake = Intake(1_000, 1_000)
    intake.put(post(1, 900))
    with pytest.raises(Problem):
        intake.put(post(1, 101))


async def test_an_empty_queue_takes_a_single_post_of_any_size() -> None:
    intake = Intake(10, 100)
    intake.put(post(50, 5_000))
    assert len(intake.take(10)) == 1


async def test_a_closed_queue_serves_what_waits_and_takes_nothing_more() -> None:
    intake = Intake(10, 1_000)
    intake.put(post(1))
    intake.close()
    with pytest.raises(Problem) as raised:
        intake.put(post(1))
    assert raised.value.kind == "stopping"
    assert len(intake.take(10)) == 1


async def test_waiting_ends_when_something_comes() -> None:
    intake = Intake(10, 1_000)
    waiting = asyncio.create_task(intake.wait(60))
    await asyncio.sleep(0)
    intake.put(post(1))
    await asyncio.wait_for(waiting, 1)


async def test_joined_rows_know_the_post_they_came_with() -> None:
    fixes, sightings = joined([post(2), post(0), post(1)])
    assert fixes.post_ix.tolist() == [0, 0, 2]
    assert fixes.device_ids == ["d0", "d1", "d0"]
    assert len(sightings) == 0


async def test_each_post_is_told_its_own_events_and_those_of_deadlines_go_to_nobody() -> None:
    posts = [post(1), post(1)]
    events = [Event(f"e{ix}", "zone.entered", 0, "p", {}, post_ix=ix) for ix in (1, -1, 0, 1)]
    answer(posts, events)
    assert [event.id for event in await posts[0].answer] == ["e0"]
    assert [event.id for event in await posts[1].answer] == ["e1", "e1"]


async def test_nobody_is_told_who_has_hung_up() -> None:
    gone = post(1)
    gone.answer.cancel()
    gone.resolve([])
    gone.refuse(Problem("stopping"))
    assert gone.answer.cancelled()
