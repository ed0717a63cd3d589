"""``geoengine serve --workers N`` as a process with its own, for tests that kill one or all."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

from tests.servers.server import Server, free_port, needed
from tests.service.process import START_S, Process, environment, heard
from tests.service.serving import CATALOGUE, types, until, written


class CrewProcess(Process):
    """The parent, and what it and its workers say on one stream."""

    def told(self, event: str) -> list[dict[str, Any]]:
        """The log's lines of one kind, in order."""
        lines = [json.loads(line) for line in self.lines if line.startswith("{")]
        return [line for line in lines if line["event"] == event]

    async def hears(self, event: str, count: int = 1) -> dict[str, Any]:
        """Wait for the so-manieth line of a kind."""

        async def is_said() -> bool:
            return len(self.told(event)) >= count

        await until(is_said, START_S)
        return self.told(event)[count - 1]

    def pid(self, worker: int) -> int:
        """The process that was last started as this worker."""
        pids = {line["worker"]: line["worker_pid"] for line in self.told("worker_started")}
        return int(pids[worker])

    async def page(self) -> dict[str, float]:
        """The metrics by their series, from whichever worker answers."""
        async with aiohttp.ClientSession() as session, session.get(self.url + "/metrics") as reply:
            text = await reply.text()
        rows = (line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
        return {series: float(value) for series, value in rows}

    async def pings(self) -> dict[int, float]:
        """How many each worker has taken in."""
        series = re.compile(r'geoengine_pings_total{worker="(\d+)"}')
        found = ((series.match(name), value) for name, value in (await self.page()).items())
        return {int(match[1]): value for match, value in found if match}

    async def post(self, pings: Any, url: str = "") -> list[str]:
        """Post pings over a connection of their own; the types of the events that came of them."""
        async with (
            aiohttp.ClientSession() as session,
            session.post((url or self.url) + "/v1/pings", json=pings) as reply,
        ):
            assert reply.status == 200
            return types(await reply.json())

    async def answers(self, path: str = "/healthz", count: int = 40) -> Counter[int]:
        """How often each worker answered, over connections of their own."""
        found: Counter[int] = Counter()
        for _ in range(count):
            async with aiohttp.ClientSession() as session, session.get(self.url + path) as reply:
                found[(await reply.json())["worker"]] += 1
        return found

    async def stopped(self, sent: signal.Signals = signal.SIGTERM) -> int:
        """Its exit code, once told to stop."""
        self.child.send_signal(sent)
        async with asyncio.timeout(15):
            return await self.child.wait()


def command(tmp_path: Path, state: str, *flags: str) -> list[str]:
    """How it is started, on the catalogue in a directory."""
    return [
        sys.executable, "-c", "from geoengine.cli import main; main()", "serve",
        "--config", str(tmp_path / "config"),
        "--state", state,
        "--workers", "2", "--port", "0", *flags,
    ]  # fmt: skip


def refused(
    tmp_path: Path, *flags: str, state: str = f"redis://127.0.0.1:{free_port()}"
) -> subprocess.CompletedProcess[str]:
    """How it ends where it cannot serve; nobody is at the address of its state."""
    return subprocess.run(
        command(tmp_path, state, *flags),
        env=environment({}),
        capture_output=True,
        timeout=START_S,
        text=True,
    )


@asynccontextmanager
async def crew(
    tmp_path: Path, *flags: str, environ: dict[str, str] | None = None
) -> AsyncIterator[CrewProcess]:
    """A crew that is complete, over a server of its own; ended afterwards, to the last worker."""
    written(tmp_path / "config", CATALOGUE)
    with (
        tempfile.TemporaryDirectory() as folder,  # for what a parent that is killed leaves there
        Server(directory=tmp_path / "server", binary=needed("valkey")) as server,
    ):
        child = await asyncio.create_subprocess_exec(
            *command(tmp_path, server.url, *flags),
            stderr=subprocess.PIPE,
            env=environment((environ or {}) | {"TMPDIR": folder}),
        )
        async with heard(CrewProcess(child, "")) as running:
            yield running
