"""Behind the lean door: who may come in, how answers are written, who is there and for how long."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Final
from urllib.parse import unquote_to_bytes

import httptools

from geoengine.service.auth import demand
from geoengine.service.clock import elapsed_s
from geoengine.service.context import Context
from geoengine.service.http.answers import Stationery
from geoengine.service.http.listener import BACKLOG, Refusal
from geoengine.service.http.problems import Problem
from geoengine.service.intake import OnAnswer
from geoengine.service.native.hearing import GATEWAYS, Ajar, softened
from geoengine.service.routes.arriving.ingest import Doors

SWEEP_S: Final = 0.25  # how often times are looked at: what is set may be so much longer
_GATEWAYS: Final = GATEWAYS.encode()
FIELD_MAX_BYTES: Final = 8_190  # of a header, and of the path, as aiohttp has it
FIELDS_MAX: Final = 128
# Two of these would be two opinions on where a request ends or what it holds.
ONCE: Final = (b"host", b"content-length", b"transfer-encoding", b"content-type",
               b"content-encoding", b"authorization")  # fmt: skip
Inside = Callable[[bytes, OnAnswer], None]  # a take that knows who is calling


class Guest(asyncio.Protocol):
    """A connection, as the hall sees it."""

    def sweep(self) -> None:
        """End what has taken too long."""
        raise NotImplementedError

    def close_if_idle(self) -> None:
        """Close unless something is owed."""
        raise NotImplementedError

    def close(self) -> None:
        """Close."""
        raise NotImplementedError


class Hall:
    """What all connections of the lean listener share."""

    def __init__(self, context: Context, doors: Doors) -> None:
        self._context = context
        self._paths = sorted(doors)
        self._doors = {path.encode(): door for path, door in doors.items()}
        self._gateways = Ajar(context)
        self._guests: set[Guest] = set()
        self._is_empty = asyncio.Event()
        self._server: asyncio.Server | None = None
        self._sweeping: asyncio.Task[None] | None = None
        self.max_body_bytes = context.settings.max_body_bytes
        self.body_timeout_s = context.settings.body_timeout_s
        self.keepalive_s = context.settings.keepalive_s
        self.is_stopping = False
        self.now_s = elapsed_s()
        self._stationery = Stationery(context.clock)

    # --- its life --------------------------------------------------------------------------------

    async def open(
        self, guest: Callable[[Hall], Guest], host: str, port: int, *, reuse_port: bool = False
    ) -> int:
        """Listen; the port. With ``reuse_port`` other processes may listen on it too."""

        def welcome() -> asyncio.Protocol:
            is_full = self._context.connection_count() >= self._context.settings.max_connections
            return Refusal() if is_full else guest(self)

        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            welcome, host, port, backlog=BACKLOG, reuse_port=reuse_port
        )
        self._sweeping = loop.create_task(self._sweep(), name="sweep")
        return int(self._server.sockets[0].getsockname()[1])

    async def close(self, timeout_s: float) -> None:
        """Let nobody in any more, answer who waits, and close."""
        if self._server is None or self._sweeping is None:
            return
        self.is_stopping = True
        self._server.close()
        for guest in tuple(self._guests):
            guest.close_if_idle()
        self._is_empty.clear()
        if self._guests:
            await asyncio.wait([asyncio.ensure_future(self._is_empty.wait())], timeout=timeout_s)
        for guest in tuple(self._guests):
            guest.close()
        self._sweeping.cancel()

    def enter(self, guest: Guest) -> None:
        """Somebody has come."""
        self._guests.add(guest)

    def leave(self, guest: Guest) -> None:
        """Somebody has gone."""
        self._guests.discard(guest)
        if not self._guests:
            self._is_empty.set()

    def guest_count(self) -> int:
        """How many are there."""
        return len(self._guests)

    async def _sweep(self) -> None:
        pause_s = min(SWEEP_S, self.body_timeout_s / 4, self.keepalive_s / 4)
        while True:
            await asyncio.sleep(pause_s)
            self.now_s = elapsed_s()
            for guest in tuple(self._guests):
                guest.sweep()

    # --- who may come in -------------------------------------------------------------------------

    def let_in(self, method: bytes, url: bytes, fields: Mapping[bytes, bytes]) -> Inside:
        """What takes the body of a request with this head; raises `Problem` when nothing does."""
        # The router of the other door reads a path with its %-signs undone; so does this one.
        raw_path = url if url in self._doors else _raw_path(url)
        if raw_path.startswith(_GATEWAYS):
            return self._let_gateway_in(method, url, raw_path, fields)
        door = self._doors.get(unquote_to_bytes(raw_path))
        if door is None:
            raise Problem("not_found", f"Here is only POST {' and '.join(self._paths)}.")
        if method != b"POST":
            raise Problem("method_not_allowed", headers={"Allow": "POST"})
        key = fields.get(b"authorization", b"").decode("utf-8", "surrogateescape")
        caller = self._context.keys.caller(key)
        demand(caller, door[1])
        self._admit(fields)
        return partial(door[0], self._context, caller)

    def _let_gateway_in(
        self, method: bytes, url: bytes, raw_path: bytes, fields: Mapping[bytes, bytes]
    ) -> Inside:
        inside = self._gateways.let_in(method, raw_path, url.partition(b"?")[2], fields)
        try:
            self._admit(fields)
        except Problem as problem:
            raise softened(problem) from None
        return inside

    def _admit(self, fields: Mapping[bytes, bytes]) -> None:
        """Whether there is room for the body that a head announces; raises `Problem`."""
        if fields.get(b"content-encoding", b"identity").lower() != b"identity":
            raise Problem("encoding_not_supported")
        body_bytes = int(fields.get(b"content-length", b"0"))
        if body_bytes > self.max_body_bytes:
            raise Problem("body_too_large")
        self._context.intake.admit(body_bytes)

    def hand_over(self, inside: Inside, body: bytes, on_answer: OnAnswer) -> None:
        """Give a body to whom it is for."""
        try:
            inside(body, on_answer)
        except Exception as error:
            on_answer(error)

    def written(self, told: bytes | BaseException, closes: bool) -> bytes:
        """An answer as it goes over the wire; ``closes`` when it is the connection's last."""
        if isinstance(told, bytes):
            return self._stationery.ok(told, closes)
        return self._stationery.refusal(self._context.problem_of(told, "lean"), closes)


def check_form(url: bytes, fields: Sequence[tuple[bytes, bytes]]) -> None:
    """Whether a head is one that everybody on its way reads alike; raises `Problem`."""
    names = [name for name, _ in fields]
    if len(set(names)) < len(names) and any(names.count(name) > 1 for name in ONCE):
        raise Problem("bad_request", "A header came twice.")
    longest = max((len(value) for _, value in fields), default=0)
    if max(longest, len(url)) > FIELD_MAX_BYTES or len(fields) > FIELDS_MAX:
        raise Problem("bad_request", "The head is too long.")


def _raw_path(url: bytes) -> bytes:
    """The path of a URL, as it was sent."""
    try:
        return httptools.parse_url(url).path or b""
    except httptools.HttpParserInvalidURLError:
        return b""
