"""``geoengine serve --workers N`` as a process with its own, for tests that kill one or all."""

from __future__ import annotations

import asyncio
import json
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

from tests.service.process import START_S, Process, environment
from tests.service.serving import CATALOGUE, until, written

# Each worker gets an embedded state of its own: what they have in common otherwise is tested here.
RUN = (
    "import json, os, sys; from geoengine.cli.serve import serve; "
    "sys.exit(serve(json.loads(sys.argv[1]), os.environ, is_split_allowed=True))"
)


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


def command(tmp_path: Path, **flags: Any) -> list[str]:
    """How it is started, on the catalogue in a directory."""
    given = {"config": str(tmp_path / "config"), "state": "memory:", "port": 0, "workers": 2}
    return [sys.executable, "-c", RUN, json.dumps(given | flags)]


def refused(tmp_path: Path, **flags: Any) -> subprocess.CompletedProcess[str]:
    """How it ends where it cannot serve."""
    return subprocess.run(
        command(tmp_path, **flags),
        env=environment({}),
        capture_output=True,
        timeout=START_S,
        text=True,
    )


@asynccontextmanager
async def crew(
    tmp_path: Path, environ: dict[str, str] | None = None, **flags: Any
) -> AsyncIterator[CrewProcess]:
    """A crew that is complete; ended afterwards, to the last worker, if it still runs."""
    written(tmp_path / "config", CATALOGUE)
    with tempfile.TemporaryDirectory() as folder:  # for what a parent that is killed leaves there
        async with _running(tmp_path, (environ or {}) | {"TMPDIR": folder}, **flags) as running:
            yield running


@asynccontextmanager
async def _running(
    tmp_path: Path, environ: dict[str, str], **flags: Any
) -> AsyncIterator[CrewProcess]:
    child = await asyncio.create_subprocess_exec(
        *command(tmp_path, **flags), stderr=subprocess.PIPE, env=environment(environ)
    )
    running = CrewProcess(child, "")
    reading = asyncio.create_task(running.read())
    try:
        async with asyncio.timeout(START_S):
            await running.listening.wait()
        assert running.url, f"it did not start: {running.said}"
        yield running
    finally:
        if child.returncode is None:
            child.kill()
        await child.wait()
        async with asyncio.timeout(START_S):
            await reading  # ends when nobody is left to say anything
