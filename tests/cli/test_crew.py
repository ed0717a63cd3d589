"""Several workers on one port: how they start, live and stop together."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
from pathlib import Path
from uuid import uuid4

import aiohttp
import pytest

from geoengine.cli.running.serve import refuse_unshared
from geoengine.service.settings import SettingsError
from tests.cli.crews import crew, refused
from tests.service.process import command, environment
from tests.service.serving import CATALOGUE, until, walk_in, written

BROKEN = "stores:\n  - id: rivoli\n    nam: Maison\n"


async def test_every_worker_answers_on_both_ports_and_one_page_tells_of_all(
    tmp_path: Path,
) -> None:
    async with crew(tmp_path, "--workers", "3", "--ingest-port", "0") as running:
        for path in ("/healthz", "/readyz"):
            assert (await running.answers(path)).keys() == {1, 2, 3}
        ingest = f"http://127.0.0.1:{running.told('serving')[0]['ingest_port']}"

        async def all_have_pings() -> bool:
            await running.post(walk_in("phone"), ingest)
            return all((await running.pings()).values())

        await until(all_have_pings, 20)
        page = await running.page()
        assert page["geoengine_workers_missing"] == 0
        assert page["geoengine_people"] == 1
        assert "geoengine_outbox_pending" in page
        assert not any(series.startswith("geoengine_people{") for series in page)
        assert running.said.count("geoengine serves") == 1
        assert ", 3 workers\n" in running.said
        assert await running.stopped(signal.SIGINT) == 0
    assert sorted(line["worker"] for line in running.told("stopped")) == [1, 2, 3]


async def test_somebody_is_known_to_all_workers_whichever_they_talk_to(tmp_path: Path) -> None:
    async with crew(tmp_path) as running:
        met: set[int] = set()
        while met != {1, 2}:  # a walk, step by step over new connections, that both took part in
            name = f"phone-{uuid4()}"
            before = await running.pings()
            told = [event for row in walk_in(name) for event in await running.post(row)]
            assert told == ["zone.entered", "trigger.fired"]
            after = await running.pings()
            met = {worker for worker in (1, 2) if after[worker] > before[worker]}


async def test_a_crew_told_to_stop_answers_whom_it_let_in(tmp_path: Path) -> None:
    async with crew(tmp_path) as running:
        cut_off: list[Exception] = []
        answered = asyncio.Event()

        async def post(name: str) -> None:
            async with aiohttp.ClientSession() as session:
                for ix in range(100_000):
                    body = json.dumps(walk_in(f"{name}-{ix}"))
                    try:
                        async with session.post(running.url + "/v1/pings", data=body) as reply:
                            assert reply.status in (200, 503)
                            await reply.read()
                            answered.set()
                    except aiohttp.ClientPayloadError as error:
                        cut_off.append(error)
                    except aiohttp.ClientError:
                        return  # it was not let in any more

        load = [asyncio.create_task(post(f"phone-{ix}")) for ix in range(10)]
        await answered.wait()
        assert await running.stopped() == 0, running.said
        await asyncio.gather(*load)
        assert cut_off == []


async def test_a_worker_that_is_killed_is_started_again_while_the_others_serve(
    tmp_path: Path,
) -> None:
    async with crew(tmp_path) as running:
        os.kill(running.pid(1), signal.SIGKILL)
        died = await running.hears("worker_died")
        assert (died["worker"], died["code"], died["pause_s"]) == (1, -signal.SIGKILL, 0.5)
        assert (await running.answers(count=10)).keys() == {2}
        assert (await running.page())["geoengine_workers_missing"] == 1

        await running.hears("worker_started", 3)
        running.child.send_signal(signal.SIGHUP)  # for all, one of whom cannot hear it yet
        assert (await running.hears("worker_ready", 3))["worker"] == 1

        async def all_have_read_again() -> bool:
            page = await running.page()
            series = 'geoengine_reload_total{worker="%d",result="ok"}'
            return all(page.get(series % worker) for worker in (1, 2))

        await until(all_have_read_again, 20)
        assert (await running.answers()).keys() == {1, 2}
        assert len(running.told("worker_died")) == 1
        assert len(running.told("serving")) == running.said.count("geoengine serves") == 1


async def test_a_bad_catalogue_keeps_a_new_worker_out_and_lets_the_others_be(
    tmp_path: Path,
) -> None:
    async with crew(tmp_path) as running:
        written(tmp_path / "config", BROKEN)
        running.child.send_signal(signal.SIGHUP)
        await running.hears("catalogue_refused")
        os.kill(running.pid(2), signal.SIGKILL)
        assert (await running.hears("worker_died", 2))["code"] == 2
        assert (await running.answers(count=5)).keys() == {1}
        written(tmp_path / "config", CATALOGUE)
        await running.hears("worker_ready", 3)
        assert (await running.answers()).keys() == {1, 2}


async def test_a_worker_that_does_not_stop_in_time_is_ended_and_told_of(tmp_path: Path) -> None:
    async with crew(tmp_path, environ={"GEOENGINE_STOP_S": "0.1"}) as running:
        os.kill(running.pid(2), signal.SIGSTOP)
        assert await running.stopped() == 1
        (told,) = running.told("worker_stopped_badly")
        assert (told["worker"], told["code"]) == (2, -signal.SIGKILL)


async def test_a_crew_has_its_port_to_itself_and_a_parent_that_is_killed_takes_it_along(
    tmp_path: Path,
) -> None:
    async with crew(tmp_path) as running:
        port = int(running.url.rpartition(":")[2])
        told = await asyncio.to_thread(refused, tmp_path, "--port", str(port))
        assert told.returncode == 2
        assert f"cannot listen on 127.0.0.1 port {port}" in told.stderr
        alone = await asyncio.to_thread(
            subprocess.run,
            command(tmp_path, "--port", str(port)),
            env=environment({}),
            capture_output=True,
        )
        assert alone.returncode == 2
        ends = [os.pidfd_open(running.pid(worker)) for worker in (1, 2)]
        running.child.kill()
        for end in ends:
            ended = asyncio.Event()
            asyncio.get_running_loop().add_reader(end, ended.set)
            async with asyncio.timeout(5):
                await ended.wait()
            asyncio.get_running_loop().remove_reader(end)
            os.close(end)


def test_what_cannot_be_served_is_told_once(tmp_path: Path) -> None:
    written(tmp_path / "config", BROKEN)
    told = refused(tmp_path)
    assert (told.returncode, told.stderr.count("catalogue.yaml:3:5")) == (2, 1), told.stderr
    written(tmp_path / "config")
    told = refused(tmp_path, "--workers", "many")
    assert (told.returncode, "GEOENGINE_WORKERS" in told.stderr) == (2, True)
    told = refused(tmp_path, state="nowhere://")
    assert (told.returncode, told.stderr.count("not a state")) == (2, 1)
    told = refused(tmp_path, state=f"local:{tmp_path / 'state.db'}")
    assert (told.returncode, told.stderr.count("local: state lives in one process")) == (2, 1)
    assert not (tmp_path / "state.db").exists()


def test_a_crew_gives_up_where_a_worker_finds_that_it_cannot_be_served(tmp_path: Path) -> None:
    written(tmp_path / "config")
    told = refused(tmp_path)
    assert told.returncode == 2, told.stderr
    assert "geoengine serves" not in told.stderr


@pytest.mark.parametrize("scheme", ["local", "memory"])
def test_workers_are_refused_a_state_that_lives_in_one_process(scheme: str) -> None:
    with pytest.raises(SettingsError, match=r"redis://HOST, or serve with --workers 1"):
        refuse_unshared(f"{scheme}:", 2)
    refuse_unshared("redis://127.0.0.1", 2)
