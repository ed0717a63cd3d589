"""Processes that cannot outlive the tests that started them.

All of them are put into the process group of a keeper, a shell that waits for its standard input
to end. That happens when this interpreter is gone, however it went, and then the keeper kills its
group and itself. ``PR_SET_PDEATHSIG`` would not do: it is sent when the *thread* that started a
server ends, and servers are restarted from the threads of an event loop that a test closes. It also
keeps the terminal's Ctrl-C from the servers, so that a test that is interrupted can still end them.
"""

from __future__ import annotations

import functools
import os
import signal
import subprocess
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Self

END_S: Final = 60.0  # how long a server may take to write down what it has and end
_KEEPER = "trap '' HUP INT TERM; read -r _; kill -KILL 0"


@functools.cache
def _group(_interpreter: int) -> int:
    """The process group that ends with this interpreter."""
    hold, held = os.pipe()  # the end held here is closed by the kernel when we are gone
    os.set_inheritable(held, False)
    group = os.posix_spawn(
        "/bin/sh",
        ["sh", "-c", _KEEPER],
        os.environ,
        file_actions=[(os.POSIX_SPAWN_DUP2, hold, 0)],
        setpgroup=0,
    )
    os.close(hold)
    return group


def start(command: Sequence[str], log: Path) -> subprocess.Popen[bytes]:
    """A process that ends with this interpreter at the latest; what it says goes to a file."""
    with log.open("ab") as said:
        return subprocess.Popen(
            list(command),
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=subprocess.STDOUT,
            process_group=_group(os.getpid()),
        )


class Kept(ABC):
    """A server that a test starts, ends as it likes, and has gone at the end of its `with`."""

    _process: subprocess.Popen[bytes] | None = None

    @abstractmethod
    def start(self) -> None:
        """Run it; returns when it answers."""

    @property
    @abstractmethod
    def log(self) -> Path:
        """Where it writes what it has to say."""

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def said(self) -> str:
        """Its log, of all its starts."""
        return self.log.read_text(errors="replace")

    def stop(self) -> None:
        """End it as an operator would: what it was told is on disk where it has one."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """SIGKILL, also where it is paused or gone."""
        self._end(signal.SIGKILL)

    def restart(self) -> None:
        """Start it again on the same data and port, having stopped it if it still ran."""
        self.stop()
        self.start()

    def _end(self, how: signal.Signals) -> None:
        if self._process is None:
            return
        if self._process.poll() is None:
            self._process.send_signal(how)
            if how is not signal.SIGKILL:
                self._process.send_signal(signal.SIGCONT)  # what is paused hears nothing else
        self._process.wait(END_S)
