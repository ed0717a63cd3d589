"""Valhalla in processes beside ours: one for each core, each answering one question after another.

While a worker answers, its next question waits in its pipe: it goes on at once, whatever we do.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from asyncio.subprocess import Process
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from geoengine.core.errors import NoWay, RoadsError, RouterDown
from geoengine.roads.valhalla_python import environment, interpreter

ANSWER_MAX_BYTES = 32 * 1024 * 1024  # a line longer than this is no isochrone
ANSWER_S = 60.0  # the longest that one is waited for: an hour's drive takes some seconds
OPENING_S = 60.0  # to read a continent's index of tiles from a slow disk

# Questions that a worker has: the one it answers, and those that wait in its pipe. With one only it
# stands idle until its answer was read, and mostly until another's was made into a zone. More, and
# the last ones wait behind one another; and a pipe takes some hundred.
DEPTH = 2
DEATHS_MAX = 20  # of workers in one build: a place or two may kill Valhalla, not every tenth

_WORKER = Path(__file__).with_name("valhalla_worker.py")


class Line(msgspec.Struct, frozen=True):
    """What a worker says: the answer, or why there is none."""

    answer: msgspec.Raw = msgspec.Raw()
    code: int = 0
    error: str = ""


class Death(Exception):
    """A worker is gone, or as good as gone; the text says how."""


class Ended(Death):
    """By us, for another question's sake: this one may be asked again."""


class Worker:
    """One process, started when it is first asked, and again when it has died.

    Questions are answered in the order in which they are asked. Who dies, dies of the first that is
    not answered: those behind it are asked again, of the next process.
    """

    def __init__(self, command: list[str], environ: Mapping[str, str], tiles: Path) -> None:
        self._command, self._environ, self._tiles = command, environ, tiles
        self._process: asyncio.subprocess.Process | None = None
        self._starting = asyncio.Lock()
        self._first = asyncio.Lock()  # fair: held by the first that is not answered, then the next

    async def ask(self, question: dict[str, Any]) -> Line:
        """Its answer. Raises `Death` when it gives none, and `RoadsError` when it cannot start."""
        message = msgspec.json.encode(question) + b"\n"
        try:
            while True:
                process = await self._started()
                _write(process, message)
                with contextlib.suppress(Ended):
                    async with self._first:
                        return await self._answer(process, ANSWER_S)
        except asyncio.CancelledError:
            await self.stop()  # its answer, when it comes, would be taken for the next one's
            raise

    async def stop(self) -> int | None:
        """End it and what it started; the status with which it ended, if it had before."""
        process, self._process = self._process, None
        if process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # with what it may have started itself
            return await process.wait()
        return None

    async def _started(self) -> Process:
        async with self._starting:
            if self._process is None:
                self._process = await self._start()
            return self._process

    async def _start(self) -> Process:
        process = self._process = await asyncio.create_subprocess_exec(
            *self._command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            env=self._environ,
            limit=ANSWER_MAX_BYTES,
            start_new_session=True,  # the terminal's Ctrl-C is for us to hear, who end them then
        )
        _write(process, msgspec.json.encode({"tiles": str(self._tiles)}) + b"\n")
        try:
            line = await self._answer(process, OPENING_S)
        except Death as death:
            raise RoadsError(f"Valhalla does not start: {self._command[0]}: {death}") from death
        if line.error:
            await self.stop()
            raise RoadsError(f"Valhalla cannot open {self._tiles}: {line.error}")
        return process

    async def _answer(self, process: Process, within_s: float) -> Line:
        """The next line of a process, unless it is another by now."""
        assert process.stdout is not None
        if process is not self._process:
            raise Ended("it died of the question before")
        try:
            async with asyncio.timeout(within_s):
                said = await process.stdout.readline()
            if said.endswith(b"\n"):
                return msgspec.json.decode(said, type=Line)
        except TimeoutError:
            await self.stop()
            raise Death(f"no answer within {within_s:.0f} s") from None
        except ValueError as error:
            await self.stop()
            raise Death(f"no JSON: {error}") from error
        except OSError:
            pass  # it is gone, as it is when its line has no end
        if process is not self._process:
            raise Ended("a question behind it was given up")
        raise Death(f"it ended with status {await self.stop()}")


def _write(process: Process, message: bytes) -> None:
    """Into the pipe, without waiting; whether it arrives, the answer tells."""
    assert process.stdin is not None
    process.stdin.write(message)


class EmbeddedLine:
    """Carries questions to whichever worker is free. Raises `RoadsError` where none can be had."""

    def __init__(self, tiles: Path, environ: Mapping[str, str], workers: int | None = None) -> None:
        if not tiles.is_file() and not any(tiles.rglob("*.gph*")):
            raise RoadsError(
                f"no tiles in {tiles}: make them with `geoengine data add roads EXTRACT.osm.pbf`"
            )
        python = interpreter(environ)
        count = workers or len(os.sched_getaffinity(0))
        self.at_once = count * DEPTH
        self._deaths = 0
        self._workers = [
            Worker([python, "-P", str(_WORKER)], environment(environ, python), tiles)
            for _ in range(count)
        ]
        self._free: asyncio.Queue[Worker] = asyncio.Queue()
        for worker in self._workers * DEPTH:  # each once, before each gets a second
            self._free.put_nowait(worker)

    async def call(self, action: str, body: dict[str, Any]) -> bytes:
        """The answer's JSON. Raises `NoWay` for a refusal, also that of a question that kills."""
        if self._deaths >= DEATHS_MAX:
            raise RouterDown(f"Valhalla died {self._deaths} times: something is wrong with it")
        worker = await self._free.get()
        try:
            line = await worker.ask({"action": action, "body": body})
        except Death as death:
            self._deaths += 1
            raise NoWay(f"Valhalla dies of it: {death}") from death
        finally:
            self._free.put_nowait(worker)
        if line.error:
            raise NoWay(line.error)
        return bytes(line.answer)

    async def close(self) -> None:
        for worker in self._workers:
            await worker.stop()
