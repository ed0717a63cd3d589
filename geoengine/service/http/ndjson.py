"""Bodies of any length: read a piece at a time, told of a piece at a time, as lines of JSON.

A piece is the whole lines that have come by now. Each is a post of its own, and its line of the
answer leaves once it is durable; no more than a few are under way at a time, so that what is held
does not depend on how much is sent. Where there is no room it is the sender who waits.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Final

import msgspec
from aiohttp import web
from msgspec import Struct

from geoengine.service.auth import Caller
from geoengine.service.clock import elapsed_s
from geoengine.service.context import JSON, Context
from geoengine.service.http.problems import RETRY_AFTER_S, Problem
from geoengine.service.intake import OnAnswer, Post, settle

CONTENT_TYPE: Final = "application/x-ndjson"
_NAMES: Final = frozenset(
    {CONTENT_TYPE, "application/ndjson", "application/jsonl", "application/x-jsonlines"}
)
AHEAD: Final = 4  # pieces read and not yet durable
LINE_MAX_BYTES: Final = 64 << 10
BOM: Final = b"\xef\xbb\xbf"  # with which some editors begin a file
POLL_S: Final = 0.25  # how soon a stop, or room in the queue, is noticed

# From whole lines to a post that is not queued yet; its rows count from a number.
ReadLines = Callable[[Context, Caller, bytes, OnAnswer, int], Post]
Piece = tuple[int, asyncio.Future[bytes]]  # how many rows have come with it, what it is told


class Told(Struct):
    """As much of what a piece is told as is added up."""

    accepted: int
    rejected: list[msgspec.Raw]


class Last(Struct, omit_defaults=True):
    """The last line: whether all was taken; if not, how many rows are durable, and why no more."""

    done: bool
    accepted: int
    rejected: int
    durable: int | None = None
    problem: msgspec.Raw | None = None
    retry_after_s: int | None = None


_TOLD = msgspec.json.Decoder(Told)
_ENCODER = msgspec.json.Encoder()


def wants_lines(request: web.BaseRequest) -> bool:
    """Whether a client wants to be told line by line how its body fares.

    It says so, or it sends lines without knowing how many, and does not ask for one answer.
    """
    accepts = request.headers.get("Accept", "")
    if (CONTENT_TYPE in accepts) != (JSON in accepts):
        return CONTENT_TYPE in accepts
    is_open = request.content_length is None and request.can_read_body
    return is_open and request.content_type in _NAMES


def _heed(told: asyncio.Future[bytes]) -> None:
    """Take note of a refusal that is told of no more, since one before it was the last."""
    if not told.cancelled():
        told.exception()


class Upload:
    """One body on its way in."""

    def __init__(
        self, context: Context, caller: Caller, request: web.Request, read: ReadLines
    ) -> None:
        self._context = context
        self._caller = caller
        self._request = request
        self._read = read
        self._response = web.StreamResponse(headers={"Content-Type": CONTENT_TYPE})
        self._pieces: asyncio.Queue[Piece | None] = asyncio.Queue(AHEAD)
        self._row_count = 0  # read so far
        self._accepted = self._rejected = 0
        self._durable = 0  # rows, from the first on, that are settled for good

    async def run(self) -> web.StreamResponse:
        """Take it in; the answer, written."""
        await self._response.prepare(self._request)
        taking = asyncio.create_task(self._take())
        try:
            error = await self._tell() or await taking
        finally:
            taking.cancel()
        await self._end(error)
        return self._response

    # --- in --------------------------------------------------------------------------------------

    async def _take(self) -> Exception | None:
        """Read to the end, and queue what was read; why it went no further."""
        error = None
        try:
            await self._take_pieces()
        except Exception as found:
            error = found
        await self._pieces.put(None)
        return error

    async def _take_pieces(self) -> None:
        rest = b""
        while text := await self._more():
            lines, newline, rest = (rest + text).rpartition(b"\n")
            await self._queue(lines + newline)
            if len(rest) > LINE_MAX_BYTES:
                raise Problem("malformed", f"A line is longer than {LINE_MAX_BYTES} bytes.")
        await self._queue(rest)

    async def _more(self) -> bytes:
        """What has come by now; nothing at the end."""
        settings, content = self._context.settings, self._request.content
        until_s = elapsed_s() + settings.body_timeout_s
        while True:
            self._go_on()
            try:
                async with asyncio.timeout(min(POLL_S, settings.body_timeout_s)):
                    return await content.readany()
            except TimeoutError:
                if elapsed_s() > until_s:
                    raise Problem("body_too_slow") from None
            except web.RequestPayloadError as error:
                raise Problem("bad_request", str(error)) from None

    async def _queue(self, lines: bytes) -> None:
        """Have a piece served, as soon as there is room for it."""
        if not self._row_count:
            lines = lines.removeprefix(BOM)
        if not lines.strip():
            return
        told: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        told.add_done_callback(_heed)
        on_answer = partial(settle, told)
        until_s = elapsed_s() + self._context.settings.body_timeout_s
        while True:
            self._go_on()
            try:
                post = self._read(self._context, self._caller, lines, on_answer, self._row_count)
                self._context.queue(post)
                break
            except Problem as problem:
                if problem.kind != "queue_full" or elapsed_s() > until_s:
                    raise
            await asyncio.sleep(POLL_S)
        self._row_count += post.rows.count
        await self._pieces.put((self._row_count, told))

    def _go_on(self) -> None:
        if self._context.is_stopping:
            raise Problem("stopping")

    # --- out -------------------------------------------------------------------------------------

    async def _tell(self) -> Exception | None:
        """Say of each piece in turn what became of it; why of one nothing did."""
        while (piece := await self._pieces.get()) is not None:
            row_count, told = piece
            try:
                line = await told
            except Exception as error:
                return error
            counts = _TOLD.decode(line)
            self._accepted += counts.accepted
            self._rejected += len(counts.rejected)
            self._durable = row_count
            await self._say(line)
        return None

    async def _end(self, error: Exception | None) -> None:
        last = Last(error is None, self._accepted, self._rejected)
        if error is not None:
            if isinstance(error, ConnectionError):
                raise error  # it hung up: nobody is left to be told
            problem = self._context.problem_of(error, f"POST {self._request.path}")
            last.durable = self._durable
            last.problem = msgspec.Raw(problem.body())
            last.retry_after_s = RETRY_AFTER_S.get(problem.kind)
            self._response.force_close()  # the rest of the body may still be on its way
        await self._say(_ENCODER.encode(last))
        await self._response.write_eof()

    async def _say(self, line: bytes) -> None:
        """Write a line; a client that does not read what it is told is not waited for long."""
        try:
            async with asyncio.timeout(self._context.settings.body_timeout_s):
                await self._response.write(line + b"\n")
        except TimeoutError:
            if self._request.transport is not None:
                self._request.transport.abort()
            raise ConnectionResetError("it does not read the answer") from None
