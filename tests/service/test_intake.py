"""The queue between the routes and the worker."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import msgspec
import pytest

from geoengine.core.record import Event
from geoengine.ingest.pings import Ping
from geoengine.ingest.wire import Reject, Rows
from geoengine.service.http.answers import taken
from geoengine.service.http.problems import Problem
from geoengine.service.http.wire import Taken
from geoengine.service.intake import Intake, Post, joined
from geoengine.service.worker import answer

NOW_MS = 1_790_000_000_000


def post(count: int, body_bytes: int = 100, told: list[Any] | None = None, **odd: Any) -> Post:
    """So many pings of d0, d1, ...; ``odd`` changes the last one."""
    pings = [
        Ping(device_id=f"d{ix}", lat=48.0, lon=2.0, fix_time=NOW_MS + ix) for ix in range(count)
    ]
    for name, value in odd.items():
        setattr(pings[-1], name, value)
    on_answer = [].append if told is None else told.append
    return Post(on_answer, body_bytes, NOW_MS, count, Rows(pings, count))


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


async def test_a_post_without_room_is_refused_before_it_is_read() -> None:
    intake = Intake(10, 1_000)
    intake.admit(5_000, b"{}" * 2_500)  # nobody waits: anything may come in
    intake.put(post(8))
    intake.admit(100, b'[{"a":1},{"b":2}]')
    for body_bytes, body in ((901, b""), (100, b"[{},{},{}]")):
        with pytest.raises(Problem) as raised:
            intake.admit(body_bytes, body)
        assert raised.value.kind == "queue_full"
    intake.put(post(2))
    with pytest.raises(Problem):
        intake.admit(0)


async def test_joined_rows_know_the_post_they_came_with() -> None:
    rows = joined([post(2), post(0), post(1)])
    assert rows.fixes.post_ix.tolist() == [0, 0, 2]
    assert rows.fixes.device_ids == ["d0", "d1", "d0"]
    assert (len(rows.sightings), rows.rejects) == (0, {})


@pytest.mark.parametrize("others", [1, 20])
async def test_a_row_refused_is_told_to_its_own_post_by_its_own_place(others: int) -> None:
    told: list[Any] = []
    bad = post(3, told=told, lat=91.0)
    posts = [post(2) for _ in range(others)] + [bad]
    rows = joined(posts)
    assert len(rows) == 2 * others + 2
    rejects = answer(posts, rows.rejects, [])
    assert rejects == [Reject(2, "lat_out_of_range")]
    assert json.loads(told[0]) == {
        "accepted": 2,
        "rejected": [{"index": 2, "reason": "lat_out_of_range"}],
        "events": [],
    }


async def test_each_post_is_told_its_own_events_and_those_of_deadlines_go_to_nobody() -> None:
    told: list[list[Any]] = [[], []]
    posts = [post(1, told=told[0]), post(1, told=told[1])]
    events = [Event(f"e{ix}", "zone.entered", 0, "p", {}, post_ix=ix) for ix in (1, -1, 0, 1)]
    answer(posts, {}, events)
    ids = [[event["id"] for event in json.loads(body)["events"]] for [body] in told]
    assert ids == [["e0"], ["e1", "e1"]]


@pytest.mark.parametrize("accepted", [0, 1, 1_000, 1_001])
def test_the_answer_to_those_to_whom_nothing_happened_is_the_same_as_any(accepted: int) -> None:
    assert taken(accepted, [], []) == msgspec.json.encode(Taken(accepted, [], []))
