"""The workers beside one: what they tell each other."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest

from geoengine.service import siblings
from geoengine.service.metrics import Metrics, gathered
from geoengine.service.settings import Settings
from geoengine.service.siblings import VARIABLE, Berth, Siblings, berth_of


def berth(folder: Path, number: int, count: int = 3) -> Berth:
    return Berth(
        number=number,
        count=count,
        folder=str(folder),
        parent_pid=1,
        ready_fd=0,
        settings=Settings(workers=count),
    )


@asynccontextmanager
async def crew(folder: Path, *numbers: int) -> AsyncIterator[list[Siblings]]:
    """Workers of three that are there."""
    found = [Siblings(berth(folder, n), lambda n=n: b"a %d.0\n" % n) for n in numbers]
    for one in found:
        await one.open()
    yield found
    for one in found:
        one.close()


async def test_each_worker_has_the_pages_of_the_others(tmp_path: Path) -> None:
    async with crew(tmp_path, 1, 2, 3) as (one, two, _):
        assert await one.pages() == {2: b"a 2.0\n", 3: b"a 3.0\n"}
        assert await two.pages() == {1: b"a 1.0\n", 3: b"a 3.0\n"}
    assert os.listdir(tmp_path) == []


async def test_a_page_longer_than_a_socket_holds_is_told_whole(tmp_path: Path) -> None:
    page = b"a 1.0\n" * 500_000
    async with crew(tmp_path, 1) as (one,):
        two = Siblings(berth(tmp_path, 2), lambda: page)
        await two.open()
        assert await one.pages() == {2: page}
        two.close()


async def test_who_was_killed_leaves_its_place_to_the_next(tmp_path: Path) -> None:
    async with crew(tmp_path, 1, 2) as (one, two):
        assert two._server is not None
        two._server.close()  # and its socket's name stays behind
        (tmp_path / "2.sock").touch()
        assert await one.pages() == {}
        async with crew(tmp_path, 2):
            assert await one.pages() == {2: b"a 2.0\n"}


@pytest.mark.parametrize("said", [b"", b"a 2.0\n"])
async def test_who_does_not_tell_all_in_time_is_left_out(tmp_path: Path, said: bytes) -> None:
    hung_up = asyncio.Event()

    async def mutter(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(said)
        await reader.read()
        hung_up.set()
        writer.close()

    async with crew(tmp_path, 1, 3) as (one, _):
        mute = await asyncio.start_unix_server(mutter, tmp_path / "2.sock")
        async with asyncio.timeout(4 * siblings.ANSWER_S):
            assert await one.pages() == {3: b"a 3.0\n"}
            await hung_up.wait()
        mute.close()


async def test_half_a_page_is_none(tmp_path: Path) -> None:
    async def die(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"a 2.0\n")
        writer.close()

    async with crew(tmp_path, 1) as (one,):
        dying = await asyncio.start_unix_server(die, tmp_path / "2.sock")
        assert await one.pages() == {}
        dying.close()


def test_a_berth_is_what_the_parent_gave_and_nothing_where_it_gave_none(tmp_path: Path) -> None:
    given = berth(tmp_path, 2)
    assert berth_of({VARIABLE: msgspec.json.encode(given).decode()}) == given
    assert berth_of({}) is None


def test_gathered_pages_name_each_series_once_and_say_whose_each_figure_is() -> None:
    first, second = Metrics(), Metrics()
    first.problems.add(("queue {full} }",), 3)
    second.problems.add(('a "quoted" one',))
    second.failures.add(("request",))
    page = gathered({2: second.own_page(), 1: first.own_page()}).decode()
    lines = page.splitlines()
    heads = [line for line in lines if line.startswith("#")]
    assert len(heads) == len(set(heads))
    assert 'geoengine_problems_total{worker="1",kind="queue {full} }"} 3.0' in lines
    assert 'geoengine_problems_total{worker="2",kind="a \\"quoted\\" one"} 1.0' in lines
    assert 'geoengine_failures_total{worker="2",where="request"} 1.0' in lines
    figures = [line for line in lines if not line.startswith("#")]
    plain = first.own_page().decode() + second.own_page().decode()
    assert len(figures) == sum(not line.startswith("#") for line in plain.splitlines())
    assert all('{worker="' in line for line in figures)
    assert page.endswith("\n")


def test_a_gathered_page_is_read_by_prometheus_own_parser() -> None:
    from prometheus_client.parser import text_string_to_metric_families

    page = gathered({1: Metrics().own_page(), 2: Metrics().own_page()}).decode()
    found = {family.name: family for family in text_string_to_metric_families(page)}
    assert {sample.labels["worker"] for sample in found["geoengine_pings"].samples} == {"1", "2"}
    assert found["geoengine_batch_pings"].type == "histogram"
