"""The service as a process: how it starts, what it says, how it stops."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import subprocess
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from geoengine.catalog import read
from geoengine.core.errors import StateUnavailable
from geoengine.service.service import assemble
from geoengine.service.settings import Settings
from geoengine.state import open_state
from tests.service.process import command, environment, process
from tests.service.serving import KEYS, NO_KEYS, types, until, walk_in, written
from tests.state.samples import everybody


async def test_a_graceful_stop_under_load_loses_nothing_that_was_acknowledged(
    tmp_path: Path,
) -> None:
    acknowledged: set[str] = set()
    async with (
        process(tmp_path) as running,
        aiohttp.ClientSession(headers={"Authorization": f"Bearer {KEYS['app']}"}) as session,
    ):

        async def post(worker: int) -> None:
            for ix in range(10_000):
                name = f"phone-{worker}-{ix}"
                try:
                    async with session.post(running.url + "/v1/pings", json=walk_in(name)) as reply:
                        told = await reply.json()
                        if reply.status != 200:
                            return
                except (aiohttp.ClientError, json.JSONDecodeError):
                    return
                assert types(told)[:1] == ["zone.entered"]
                acknowledged.add(name)

        load = [asyncio.create_task(post(worker)) for worker in range(20)]

        async def is_busy() -> bool:
            return len(acknowledged) >= 200

        await until(is_busy, 30)
        running.child.send_signal(signal.SIGTERM)
        async with asyncio.timeout(10):
            code = await running.child.wait()
        await asyncio.gather(*load)
    assert code == 0, running.said
    state = open_state(f"local:{tmp_path / 'state.db'}")
    await state.open()
    kept = set(await everybody(state))
    fired = [await state.decisions(name) for name in sorted(acknowledged)]
    await state.close()
    assert acknowledged <= kept
    assert all(decisions for decisions in fired)


async def test_logs_hold_neither_coordinates_nor_keys_nor_bodies(tmp_path: Path) -> None:
    async with process(tmp_path) as running:
        async with aiohttp.ClientSession() as session:
            for headers, body in (
                ({"Authorization": f"Bearer {KEYS['app']}"}, json.dumps(walk_in("phone"))),
                ({"Authorization": "Bearer wrong-canary-key"}, json.dumps(walk_in("phone"))),
                ({"Authorization": f"Bearer {KEYS['app']}"}, '{"lat": 48.858312345'),
            ):
                async with session.post(
                    running.url + "/v1/pings?at=48.858312345", data=body, headers=headers
                ) as reply:
                    await reply.read()
        running.child.send_signal(signal.SIGTERM)
        assert await running.child.wait() == 0
    said = running.said
    for hidden in ("48.85", "2.347", "wrong-canary-key", *KEYS.values()):
        assert hidden not in "".join(line for line in running.lines if line.startswith("{")), hidden
        assert hidden == "48.85" or hidden == "2.347" or hidden not in said
    for line in running.lines:
        if line.startswith("{"):
            assert json.loads(line)["event"]


async def test_the_command_it_prints_shows_a_trigger(tmp_path: Path) -> None:
    async with process(tmp_path, {}) as running:

        async def is_greeted() -> bool:
            return "]'" in running.said

        await until(is_greeted, 10)
        assert "NO KEY IS CONFIGURED" in running.said
        assert "No sender for sms" in running.said
        shell = running.said[running.said.index("T=$(date +%s)") :]
        shell = shell[: shell.index("]'") + 2]
        told = await asyncio.to_thread(
            subprocess.run, ["sh", "-c", shell], capture_output=True, check=True
        )
        assert types(json.loads(told.stdout)) == ["zone.entered", "trigger.fired"], told


async def test_a_state_that_failed_for_good_ends_the_service(tmp_path: Path) -> None:
    config = written(tmp_path / "config")
    state = open_state("memory:")

    async def fail(_commit: object) -> None:
        state._writer.broken = StateUnavailable("fsync failed")  # type: ignore[attr-defined]
        raise state._writer.broken  # type: ignore[attr-defined]

    state.commit = fail  # type: ignore[method-assign]
    settings = Settings(config=str(config), port=0)
    service = assemble(settings, NO_KEYS, read(config).book, state, {})
    await service.start()
    running = asyncio.create_task(service.run(asyncio.Event()))
    async with aiohttp.ClientSession() as session:
        url = f"http://127.0.0.1:{service.port}/v1/pings"
        async with session.post(url, json=walk_in("phone")) as reply:
            assert reply.status == 503
    async with asyncio.timeout(10):
        assert await running is False


def refusal(tmp_path: Path, *more: str, keys: dict[str, str] | None = None) -> Any:
    return subprocess.run(
        command(tmp_path, *more), env=environment(keys or {}), capture_output=True, timeout=30
    )


def test_what_cannot_be_served_is_said_and_the_exit_is_not_zero(tmp_path: Path) -> None:
    written(tmp_path / "config", "stores:\n  - id: rivoli\n    nam: Maison\n")
    told = refusal(tmp_path)
    assert told.returncode == 2
    assert re.search(rb"catalogue\.yaml:\d+:\d+: ", told.stderr)
    written(tmp_path / "config")
    told = refusal(tmp_path, "--host", "0.0.0.0")
    assert (told.returncode, b"no key" in told.stderr) == (2, True)
    told = refusal(tmp_path, keys={"GEOENGINE_QUEUE_PINGS": "many"})
    assert (told.returncode, b"GEOENGINE_QUEUE_PINGS" in told.stderr) == (2, True)


async def test_a_second_service_on_the_same_state_is_refused(tmp_path: Path) -> None:
    async with process(tmp_path, {}):
        told = await asyncio.to_thread(refusal, tmp_path)
        assert told.returncode == 2, told.stderr


async def test_a_port_in_use_is_said(tmp_path: Path) -> None:
    async with process(tmp_path, {}) as running:
        port = running.url.rpartition(":")[2]
        other = tmp_path / "other"
        other.mkdir()
        written(other / "config")
        told = await asyncio.to_thread(refusal, other, "--port", port)
        assert told.returncode == 2, told.stderr.decode()
        assert b"Traceback" not in told.stderr


@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGINT])
async def test_an_idle_service_stops_at_once(tmp_path: Path, sent: signal.Signals) -> None:
    async with process(tmp_path) as running:
        running.child.send_signal(sent)
        async with asyncio.timeout(5):
            assert await running.child.wait() == 0
