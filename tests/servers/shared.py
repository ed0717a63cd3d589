"""Servers that tests share: started when first asked for, ended with the interpreter.

For tests that do them no harm and keep to keys of their own (`prefix`). Who kills, moves or flushes
makes a server or a Cluster of their own.
"""

from __future__ import annotations

import atexit
import functools
import itertools
import tempfile
from contextlib import ExitStack
from pathlib import Path

from tests.servers.cluster import Cluster
from tests.servers.server import Server, needed

_running = ExitStack()
atexit.register(_running.close)
_numbers = itertools.count()


@functools.cache
def server(name: str) -> Server:
    """A single server of that name, in memory; the test is skipped where there is none."""
    return _running.enter_context(Server(directory=_directory(), binary=needed(name)))


@functools.cache
def cluster(name: str) -> Cluster:
    """Three masters and three replicas of that name; ready in about two seconds, once."""
    return _running.enter_context(Cluster(_directory(), needed(name)))


def prefix() -> str:
    """For the keys of one test, never the same twice."""
    return f"test{next(_numbers)}"


def _directory() -> Path:
    return Path(_running.enter_context(tempfile.TemporaryDirectory(prefix="geoengine-servers-")))
