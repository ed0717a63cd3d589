"""A fresh service in a process of its own, for as long as a benchmark needs it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.request import urlopen

SERVE = "from geoengine.cli import main; main()"
STOP_S = 30.0  # a stop takes up to ten seconds by itself; a busy machine may take longer
SAID_MAX = 50  # last lines kept of what it says


class ServiceFailed(Exception):
    """The service did not start, or did not stop as it should; with the last that it said."""


@dataclass
class Served:
    """A service that listens on loopback."""

    child: subprocess.Popen[bytes]
    port: int
    ingest_port: int  # of the leaner door for pings and sightings

    def page(self, path: str) -> str:
        """What it answers there."""
        with urlopen(self.url + path, timeout=STOP_S) as answer:
            return str(answer.read(), "utf-8")

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def ingest_url(self) -> str:
        """Where it takes pings and sightings as well, for less."""
        return f"http://127.0.0.1:{self.ingest_port}"

    def cpu_s(self) -> float:
        """Processor seconds used so far, of all threads."""
        return cpu_s(self.child.pid)

    def memory_bytes(self) -> int:
        """Resident memory now."""
        pages = int(Path(f"/proc/{self.child.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")


def cpu_s(pid: int) -> float:
    """Processor seconds that a process has used so far, with all its threads and its children."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    own_s = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return own_s + sum(cpu_s(child) for child in children(pid))


def children(pid: int) -> list[int]:
    """The processes that a process has started and that run."""
    tasks = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(child) for task in tasks for child in task.read_text().split()]


@contextmanager
def served(
    config: Path,
    state: Path | str,
    environ: Mapping[str, str] | None = None,
    *,
    options: Sequence[str] = (),
) -> Iterator[Served]:
    """Serve a catalogue on a free loopback port; stopped afterwards, and it must stop cleanly.

    The state is the file of an embedded one, or a URL. None of our own ``GEOENGINE_`` variables
    reach it, only those of ``environ``. Raises `ServiceFailed`.
    """
    is_embedded = isinstance(state, Path)
    url = f"local:{state}" if is_embedded else state
    cache = (state if is_embedded else config).with_suffix(".cache")
    plain = {name: value for name, value in os.environ.items() if not name.startswith("GEOENGINE")}
    child = subprocess.Popen(
        [
            sys.executable, "-c", SERVE, "serve",
            "--config", str(config), "--state", url, "--cache", str(cache),
            "--port", "0", "--ingest-port", "0", *options,
        ],
        stderr=subprocess.PIPE,
        env=plain | dict(environ or {}),
    )  # fmt: skip
    said: deque[bytes] = deque(maxlen=SAID_MAX)
    try:
        serving = _serving(child, said)
        threading.Thread(target=_drain, args=(child, said), daemon=True).start()
        yield Served(child, serving["port"], serving["ingest_port"])
        _stop(child, said)
    finally:
        if child.poll() is None:
            child.kill()
        child.wait()


def _serving(child: subprocess.Popen[bytes], said: deque[bytes]) -> dict[str, Any]:
    """What it says when it listens."""
    assert child.stderr is not None
    for line in child.stderr:
        said.append(line)
        if b'"serving"' in line:
            told: dict[str, Any] = json.loads(line)
            return told
    raise ServiceFailed(f"the service did not start:\n{_text(said)}")


def _drain(child: subprocess.Popen[bytes], said: deque[bytes]) -> None:
    assert child.stderr is not None
    said.extend(child.stderr)


def _stop(child: subprocess.Popen[bytes], said: deque[bytes]) -> None:
    child.send_signal(signal.SIGTERM)
    try:
        code = child.wait(STOP_S)
    except subprocess.TimeoutExpired:
        raise ServiceFailed(f"the service did not stop in {STOP_S:g} s") from None
    if code:
        raise ServiceFailed(f"the service stopped with {code}:\n{_text(said)}")


def _text(said: deque[bytes]) -> str:
    return b"".join(said).decode(errors="replace")
