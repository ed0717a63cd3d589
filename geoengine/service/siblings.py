"""The workers beside this one, where several serve one port.

A connection to the port is any worker's. What is asked of the service and not of a process, its
metrics, is gathered by whichever was asked: each worker tells its own to whoever connects to a
socket of its own, in a directory that is nobody else's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from geoengine.service.settings import Settings

VARIABLE: Final = "GEOENGINE_WORKER"  # a parent's word to its workers, not a setting
ANSWER_S: Final = 0.5  # who takes longer is left out: a scraper does not wait for ever either
_END: Final = b"# END\n"  # without it a page is half of one: its teller died over it


class Berth(Struct, frozen=True, kw_only=True):
    """Which of several workers a process is, and all that its parent has settled for it."""

    number: int  # from 1
    count: int
    folder: str  # of the sockets
    parent_pid: int
    ready_fd: int  # hears a byte once the worker serves
    settings: Settings


def berth_of(environ: Mapping[str, str]) -> Berth | None:
    """The berth that a parent gave this process; None for a process on its own."""
    packed = environ.get(VARIABLE, "")
    return msgspec.json.decode(packed, type=Berth) if packed else None


class Siblings:
    """The metrics of a crew of workers, as one of them has them."""

    def __init__(self, berth: Berth, page: Callable[[], bytes]) -> None:
        self.berth = berth
        self._page = page
        self._server: asyncio.Server | None = None

    async def open(self) -> None:
        """Tell one's own to whoever asks, from now on."""
        path = self._path(self.berth.number)
        path.unlink(missing_ok=True)  # of one who was killed at this berth
        self._server = await asyncio.start_unix_server(self._tell, path)

    def close(self) -> None:
        """Tell nobody any more."""
        if self._server is not None:
            self._server.close()
            self._path(self.berth.number).unlink(missing_ok=True)

    async def pages(self) -> dict[int, bytes]:
        """The page of each sibling that tells it in time, by its number."""
        numbers = [n for n in range(1, self.berth.count + 1) if n != self.berth.number]
        pages = await asyncio.gather(*map(self._ask, numbers))
        return {
            number: page.removesuffix(_END)
            for number, page in zip(numbers, pages, strict=True)
            if page.endswith(_END)
        }

    async def _ask(self, number: int) -> bytes:
        """All that a sibling says; nothing where there is none, or none in time."""
        with suppress(OSError, TimeoutError):
            async with asyncio.timeout(ANSWER_S):
                reader, writer = await asyncio.open_unix_connection(self._path(number))
                try:
                    return await reader.read()
                finally:
                    writer.close()
        return b""

    async def _tell(self, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):  # whoever asked waits no longer
            writer.write(self._page() + _END)
            await writer.drain()
        writer.close()

    def _path(self, number: int) -> Path:
        return Path(self.berth.folder) / f"{number}.sock"
