"""What a bench of the dispatcher needs: receivers in a process of their own, and rows to send."""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import uvloop

ANSWER = b"HTTP/1.1 204 No Content\r\n\r\n"
_ID = b"\r\nwebhook-id: "
_LENGTH = b"\r\ncontent-length: "


class Receiver(asyncio.Protocol):
    """Answers every post at once and notes when it came; a deaf one takes it and says nothing."""

    def __init__(self, notes: list[tuple[int, str]], is_deaf: bool) -> None:
        self._notes, self._is_deaf, self._rest = notes, is_deaf, b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the line to answer on."""
        self._line = cast("asyncio.Transport", transport)  # uvloop's own is none by its class

    def data_received(self, data: bytes) -> None:
        """Read whole requests."""
        data = self._rest + data
        while (end := data.find(b"\r\n\r\n")) >= 0:
            head = data[: end + 2].lower()
            size = int(_after(head, _LENGTH))
            if len(data) < end + 4 + size:
                break
            data = data[end + 4 + size :]
            self._notes.append((time.monotonic_ns(), _after(head, _ID).decode()))
            if not self._is_deaf:
                self._line.write(ANSWER)
        self._rest = data


def _after(head: bytes, name: bytes) -> bytes:
    start = head.index(name) + len(name)
    return head[start : head.index(b"\r\n", start)]


async def _receive() -> None:
    """Serve a fast port and a deaf one; on a line of input tell and forget what came."""
    notes: list[tuple[int, str]] = []
    loop = asyncio.get_running_loop()
    ports = []
    for is_deaf in (False, True):
        server = await loop.create_server(
            lambda deaf=is_deaf: Receiver([] if deaf else notes, deaf), "127.0.0.1", 0, backlog=1024
        )
        ports.append(server.sockets[0].getsockname()[1])
    print(json.dumps(ports), flush=True)
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        if line.strip() == "count":
            print(len(notes), flush=True)
        else:
            Path(line.strip()).write_text(json.dumps(notes))  # noqa: ASYNC240 - nothing else runs
            notes.clear()
            print("told", flush=True)


@dataclass
class Receivers:
    """Two ports of a process that receives: one answers, one does not."""

    fast_port: int
    deaf_port: int
    refusing_port: int  # where nobody listens
    process: subprocess.Popen[str]

    def _ask(self, line: str) -> str:
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().strip()

    def count(self) -> int:
        """How many posts came since they were last told."""
        return int(self._ask("count"))

    def told(self, file: Path) -> list[tuple[int, str]]:
        """What came since: nanoseconds of the monotonic clock, and the id."""
        assert self._ask(str(file)) == "told"
        return [(at_ns, name) for at_ns, name in json.loads(file.read_text())]


@contextmanager
def receivers() -> Iterator[Receivers]:
    """Receivers in a process of their own."""
    process = subprocess.Popen(
        [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    fast_port, deaf_port = json.loads(process.stdout.readline())
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))  # bound, and nobody listens: connections are refused
        try:
            yield Receivers(fast_port, deaf_port, held.getsockname()[1], process)
        finally:
            process.terminate()
            process.wait()


if __name__ == "__main__":
    uvloop.run(_receive())
