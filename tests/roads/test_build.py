"""All stores are asked about, a few at a time, and what was answered stays."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from geoengine.catalog.reach import kept
from geoengine.catalog.reach.journal import Journal
from geoengine.catalog.reach.kept import Answer
from geoengine.catalog.reach.question import Question
from geoengine.catalog.reading.sources import Sources
from geoengine.core.errors import RouterDown
from geoengine.roads.build import PAUSES_S, TURNS, Built, build
from tests.roads.discs import Discs

PLACES = [Question(2.0 + ix / 100, 48.0, "walk", 5.0) for ix in range(40)]


class Pauses:
    """Waits that take no time and are remembered."""

    def __init__(self) -> None:
        self.taken_s: list[float] = []

    async def __call__(self, seconds: float) -> None:
        self.taken_s.append(seconds)
        await asyncio.sleep(0)


async def built(data: Path, router: Discs, places: list[Question] = PLACES, **how: object) -> Built:
    """A build that is published, as the command line does."""
    with Journal(data) as journal:
        try:
            return await build(router, places, journal, **{"pause": Pauses(), **how})  # type: ignore[arg-type]
        finally:
            journal.publish(set(places))


def known(data: Path, places: list[Question] = PLACES) -> dict[Question, Answer]:
    return kept.load(data, Sources(), set(places))


async def test_every_place_is_asked_once_and_its_answer_kept(tmp_path: Path):
    router, told = Discs(), []
    done = await built(tmp_path, router, tell=lambda *counts: told.append(counts))
    assert sorted(router.asked) == PLACES
    assert (done.answered_count, done.known_count, done.refused, done.failed) == (40, 0, {}, {})
    assert {answer.network for answer in known(tmp_path).values()} == {"discs 1"}
    assert known(tmp_path).keys() == set(PLACES)
    assert told == [(count, 40) for count in range(1, 41)]


@pytest.mark.parametrize(("asked_for", "expected"), [(0, 4), (1, 1), (7, 7), (100, 40)])
async def test_so_many_questions_are_under_way_at_a_time(
    tmp_path: Path, asked_for: int, expected: int
):
    router = Discs(at_once=4)
    await built(tmp_path, router, at_once=asked_for)
    assert router.busiest == expected


async def test_a_second_build_asks_only_what_is_new(tmp_path: Path):
    await built(tmp_path, Discs(), PLACES[:39])
    router = Discs()
    done = await built(tmp_path, router)
    assert router.asked == PLACES[39:]
    assert (done.known_count, done.answered_count) == (39, 1)
    assert (await built(tmp_path, Discs())).known_count == 40


async def test_another_network_is_asked_everything_anew(tmp_path: Path):
    await built(tmp_path, Discs())
    router = Discs(network="2")
    assert (await built(tmp_path, router)).known_count == 0
    assert len(router.asked) == 40
    assert {answer.network for answer in known(tmp_path).values()} == {"discs 2"}


async def test_everything_is_asked_again_when_somebody_says_so(tmp_path: Path):
    await built(tmp_path, Discs())
    router = Discs()
    await built(tmp_path, router, is_again=True)
    assert len(router.asked) == 40


async def test_a_place_without_a_way_is_told_of_and_not_asked_again(tmp_path: Path):
    router = Discs()
    router.no_way[PLACES[3]] = "no road within 35 m"
    done = await built(tmp_path, router)
    assert done.refused == {PLACES[3]: "no road within 35 m"}
    assert known(tmp_path)[PLACES[3]].remarks == ("no road within 35 m",)
    router = Discs()
    assert (await built(tmp_path, router)).known_count == 40
    assert router.asked == []


async def test_what_is_doubtful_travels_with_the_answer(tmp_path: Path):
    timed = PLACES[0]._replace(at="Fr 17:30")
    await built(tmp_path, Discs(), [timed])
    assert known(tmp_path, [timed])[timed].remarks == ("near the edge",)


@pytest.mark.parametrize("at_once", [1, 4])
async def test_a_router_that_stumbles_is_asked_again_later(tmp_path: Path, at_once: int):
    router, pauses = Discs(at_once=at_once), Pauses()
    router.fails.update({PLACES[5]: 2, PLACES[6]: 1, PLACES[39]: 1})
    done = await built(tmp_path, router, pause=pauses)
    assert (done.answered_count, done.failed) == (40, {})
    assert len(pauses.taken_s) == 4
    assert set(pauses.taken_s) <= set(PAUSES_S)


@pytest.mark.parametrize("at_once", [1, 4])
async def test_a_place_that_always_fails_does_not_hold_up_the_others(tmp_path: Path, at_once: int):
    router = Discs(at_once=at_once)
    router.fails[PLACES[2]] = 1_000
    done = await built(tmp_path, router)
    assert (done.answered_count, done.failed) == (39, {PLACES[2]: "answered 503"})
    assert known(tmp_path).keys() == set(PLACES) - {PLACES[2]}
    assert router.asked.count(PLACES[2]) == TURNS


async def test_a_router_that_is_gone_ends_the_build_and_what_was_answered_stays(tmp_path: Path):
    router, pauses = Discs(at_once=4), Pauses()
    router.down_after = 20
    with pytest.raises(RouterDown, match="connection refused"):
        await built(tmp_path, router, pause=pauses)
    assert len(known(tmp_path)) == 20
    assert len(router.asked) <= 20 + router.at_once * (len(PAUSES_S) + 1), "a bounded number"
    assert sorted(pauses.taken_s) == pauses.taken_s, "longer and longer"
    again = Discs()
    assert (await built(tmp_path, again)).known_count == 20
    assert len(again.asked) == 20


async def test_a_build_that_is_stopped_keeps_what_was_answered(tmp_path: Path):
    router = Discs(at_once=2)
    reached = asyncio.Event()
    told = []

    def tell(done: int, _total: int) -> None:
        told.append(done)
        if done == 10:
            reached.set()

    building = asyncio.create_task(built(tmp_path, router, tell=tell))
    await reached.wait()
    building.cancel()
    with pytest.raises(asyncio.CancelledError):
        await building
    assert len(known(tmp_path)) == max(told) < 40


async def test_with_nothing_to_ask_nothing_is_asked(tmp_path: Path):
    router = Discs()
    done = await built(tmp_path, router, [])
    assert (done.answered_count, done.known_count, router.asked) == (0, 0, [])
