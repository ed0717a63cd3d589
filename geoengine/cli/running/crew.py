"""Several workers on one port: a parent that serves nothing starts, watches and stops them.

A worker is ``geoengine serve`` in a process of its own, told by one variable which of how many it
is. All are alike; the kernel gives each connection to one of them. The parent lives on the command
line and not in the service, since all it knows of the service is how to start one.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from asyncio.subprocess import DEVNULL, Process
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

import msgspec

from geoengine.service.clock import elapsed_s
from geoengine.service.logs import logger
from geoengine.service.settings import Settings
from geoengine.service.siblings import VARIABLE, Berth

CONFIGURATION_EXIT: Final = (
    2  # what is configured cannot be served; a part that failed exits with 1
)
FIRST_PAUSE_S: Final = 0.5  # before a worker that died is started again; doubles each time ...
LONGEST_PAUSE_S: Final = 30.0  # ... up to this: a state that is back is served within it
GOOD_LIFE_S: Final = 60.0  # who lived so long did not die of what killed the one before
GRACE_S: Final = 3.0  # beyond the time of requests and of messages: to close and to write
# A worker imports what its parent would, from where its parent would.
_RUN: Final = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); "
    "from geoengine.cli import main; main(['serve'])"
)
_LOG = logger("crew")


@dataclass
class Hand:
    """One worker, while it runs."""

    process: Process
    serves: bool = False
    is_stale: bool = False  # told to read the catalogue again before it could hear

    def send(self, number: signal.Signals) -> None:
        """Send it a signal, unless it is gone."""
        with suppress(ProcessLookupError):
            self.process.send_signal(number)


class Crew:
    """The workers of one port."""

    def __init__(
        self,
        settings: Settings,
        environ: Mapping[str, str],
        folder: str,
        on_complete: Callable[[], None],
    ) -> None:
        self._settings = settings
        self._environ = environ
        self._folder = folder
        self._on_complete = on_complete  # called once all serve
        self._was_complete = False
        self._hands: dict[int, Hand] = {}
        self._stop = asyncio.Event()
        self._code = 0

    async def run(self) -> int:
        """Serve until told to stop; the exit code."""
        loop = asyncio.get_running_loop()
        for name in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(name, self._stop.set)
        loop.add_signal_handler(signal.SIGHUP, self._reload)
        async with asyncio.TaskGroup() as lives:
            for number in range(1, self._settings.workers + 1):
                lives.create_task(self._keep(number))
        return self._code

    async def _keep(self, number: int) -> None:
        """The lives of one worker, one after the other, until told to stop."""
        pause_s = 0.0
        while not self._stop.is_set():
            began_s = elapsed_s()
            code = await self._life(number)
            if self._stop.is_set():
                return
            if code == CONFIGURATION_EXIT and not self._was_complete:
                self._code = code  # it has said why, and would say it again
                self._stop.set()
                return
            pause_s = pause_after(pause_s, elapsed_s() - began_s)
            _LOG.error("worker_died", worker=number, code=code, pause_s=pause_s)
            with suppress(TimeoutError):
                async with asyncio.timeout(pause_s):
                    await self._stop.wait()

    async def _life(self, number: int) -> int:
        """Start a worker and see it to its end; its exit code."""
        try:
            hand = await self._start(number)
        except OSError as error:
            _LOG.error("worker_not_started", worker=number, why=str(error))
            return 1
        self._hands[number] = hand
        ended = asyncio.create_task(hand.process.wait())
        told = asyncio.create_task(self._stop.wait())
        try:
            await asyncio.wait((ended, told), return_when=asyncio.FIRST_COMPLETED)
            if not ended.done():
                await self._end(number, hand)
            return await ended
        finally:
            told.cancel()
            del self._hands[number]
            if not ended.done():
                hand.send(signal.SIGKILL)

    async def _end(self, number: int, hand: Hand) -> None:
        """Let a worker stop in its own time; end it where that is over."""
        hand.send(signal.SIGTERM)
        try:
            async with asyncio.timeout(2 * self._settings.stop_s + GRACE_S):
                code = await hand.process.wait()
        except TimeoutError:
            hand.send(signal.SIGKILL)
            code = await hand.process.wait()
        is_unborn = code == -signal.SIGTERM and not hand.serves  # nothing was entrusted to it
        if code != 0 and not is_unborn:
            _LOG.error("worker_stopped_badly", worker=number, code=code)
            self._code = self._code or 1

    async def _start(self, number: int) -> Hand:
        """Start a worker; `_hear` is called when it serves."""
        ready_fd, told_fd = os.pipe()
        berth = Berth(
            number=number,
            count=self._settings.workers,
            folder=self._folder,
            parent_pid=os.getpid(),
            ready_fd=told_fd,
            settings=self._settings,
        )
        try:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-P", "-c", _RUN, msgspec.json.encode(sys.path).decode()),
                stdin=DEVNULL,
                env={**self._environ, VARIABLE: msgspec.json.encode(berth).decode()},
                pass_fds=(told_fd,),
                process_group=0,  # an interrupt at the terminal is the parent's to pass on
            )
        except BaseException:
            os.close(ready_fd)
            raise
        finally:
            os.close(told_fd)
        _LOG.info("worker_started", worker=number, worker_pid=process.pid)
        hand = Hand(process)
        asyncio.get_running_loop().add_reader(ready_fd, self._hear, number, hand, ready_fd)
        return hand

    def _hear(self, number: int, hand: Hand, ready_fd: int) -> None:
        """A worker serves, or died before it did."""
        asyncio.get_running_loop().remove_reader(ready_fd)
        hand.serves = bool(os.read(ready_fd, 1))
        os.close(ready_fd)
        if not hand.serves:
            return
        _LOG.info("worker_ready", worker=number)
        if hand.is_stale:
            hand.send(signal.SIGHUP)
        serving_count = sum(one.serves for one in self._hands.values())
        if serving_count == self._settings.workers and not self._was_complete:
            self._was_complete = True
            self._on_complete()

    def _reload(self) -> None:
        """Have everybody read the catalogue again."""
        for hand in self._hands.values():
            if hand.serves:
                hand.send(signal.SIGHUP)
            else:
                hand.is_stale = True


def pause_after(pause_s: float, lived_s: float) -> float:
    """How long to wait before starting a worker again that died, after the wait before.

    >>> pause_after(0.0, 0.1), pause_after(0.5, 0.1), pause_after(16.0, 0.1), pause_after(16.0, 90)
    (0.5, 1.0, 30.0, 0.5)
    """
    if lived_s >= GOOD_LIFE_S or pause_s == 0.0:
        return FIRST_PAUSE_S
    return min(2 * pause_s, LONGEST_PAUSE_S)
