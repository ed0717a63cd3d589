"""``geoengine serve`` in a process of its own, for tests that start, stop and kill it."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from tests.service.serving import CATALOGUE, KEYS, written

# A start takes three and a half seconds of processor time. With nine processes on two cores that
# was up to 33 seconds, and none of 38 hung: what is shorter fails where nothing is wrong.
START_S = 120.0
SECRETS = {
    "GEOENGINE_APP_KEYS": KEYS["app"],
    "GEOENGINE_SERVER_KEYS": KEYS["server"],
}


@dataclass
class Process:
    """``geoengine serve`` in a process of its own."""

    child: asyncio.subprocess.Process
    url: str
    lines: list[str] = field(default_factory=list)
    listening: asyncio.Event = field(default_factory=asyncio.Event)  # or it has ended

    async def read(self) -> None:
        """Collect what it says until it ends."""
        assert self.child.stderr is not None
        async for line in self.child.stderr:
            self.lines.append(line.decode())
            if b'"serving"' in line:
                self.url = f"http://127.0.0.1:{json.loads(line)['port']}"
                self.listening.set()
        self.listening.set()

    @property
    def said(self) -> str:
        """Everything it said so far."""
        return "".join(self.lines)


P = TypeVar("P", bound=Process)


@asynccontextmanager
async def heard(running: P) -> AsyncIterator[P]:
    """A process that has just been started, once it serves; killed afterwards if it still runs."""
    reading = asyncio.create_task(running.read())
    try:
        async with asyncio.timeout(START_S):
            await running.listening.wait()
        assert running.url, f"it did not start: {running.said}"
        yield running
    finally:
        if running.child.returncode is None:
            running.child.kill()
        await running.child.wait()
        async with asyncio.timeout(START_S):
            await reading  # ends when nobody is left to say anything


def command(tmp_path: Path, *more: str) -> list[str]:
    """How it is started, on the state and the catalogue in a directory."""
    return [
        sys.executable, "-c", "from geoengine.cli import main; main()", "serve",
        "--config", str(tmp_path / "config"),
        "--state", f"local:{tmp_path / 'state.db'}",
        "--port", "0", *more,
    ]  # fmt: skip


def environment(keys: dict[str, str]) -> dict[str, str]:
    """Ours, with these settings and no others."""
    plain = {name: value for name, value in os.environ.items() if "GEOENGINE" not in name}
    return plain | keys


@asynccontextmanager
async def process(
    tmp_path: Path,
    keys: dict[str, str] = SECRETS,
    catalogue: str = CATALOGUE,
    *,
    more: Sequence[str] = (),
    enter: Sequence[str] = (),
) -> AsyncIterator[Process]:
    """A service that listens, killed afterwards if it still runs.

    ``more`` flags overrule ours; ``enter`` goes before the command, as `places.Place` has it.
    """
    written(tmp_path / "config", catalogue)
    child = await asyncio.create_subprocess_exec(
        *enter, *command(tmp_path, *more), stderr=subprocess.PIPE, env=environment(keys)
    )
    async with heard(Process(child, "")) as running:
        yield running
