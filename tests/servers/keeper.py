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
import subprocess
from collections.abc import Sequence
from pathlib import Path

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
