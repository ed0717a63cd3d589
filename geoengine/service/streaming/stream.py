"""One WebSocket: messages into the intake, what became of them out, in the client's own time.

aiohttp reads; what is written goes straight to the transport, whose buffer is the only queue. A
connection that is silent is a task that waits, and has no timer: heartbeats come from the hub.

A place to resume from is told with every frame: up to there the client has read everything. While a
message is under way it is the place where that message came in, since its events have numbers
before anybody is told of them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from functools import partial
from typing import Final, NamedTuple

from aiohttp import WSCloseCode, WSMsgType, web

from geoengine.ingest.names import is_name
from geoengine.service.auth import demand
from geoengine.service.clock import elapsed_s
from geoengine.service.context import Context, Read
from geoengine.service.http.problems import RETRY_AFTER_S, Problem
from geoengine.service.intake import Post
from geoengine.service.streaming import words
from geoengine.service.streaming.hub import Session

BURST_S: Final = 1.0  # of messages may come at once
STRIKES: Final = 10  # messages running that make no sense: whoever sends them speaks otherwise
# A peer that is told to go gets so long to say goodbye; then what it has not read is dropped.
CLOSE_S: Final = 2.0
_ENDS: Final = frozenset({WSMsgType.CLOSE, WSMsgType.CLOSING, WSMsgType.CLOSED, WSMsgType.ERROR})
_SLOW: Final = (int(WSCloseCode.TRY_AGAIN_LATER), "reads too slowly")
_RESTS: Final = frozenset({"queue_full", "state_unavailable"})


Reads = Mapping[str, tuple[Read, frozenset[str]]]  # by path: what reads such rows, from whom


class Line(NamedTuple):
    """A connection, from its three sides."""

    socket: web.WebSocketResponse[bool]
    transport: asyncio.Transport
    drain: Callable[[], Awaitable[None]]  # waits for a client that reads slowly


class Stream:
    """One connection of a session."""

    def __init__(
        self,
        context: Context,
        session: Session,
        line: Line,
        reads: Reads,
    ) -> None:
        self._context = context
        self._session = session
        self._socket, self._transport, self._drain = line
        self._reads = reads
        self._number = 0  # of the last message
        self._owed: dict[int, int] = {}  # messages under way -> the last event when they came
        self._room: asyncio.Future[None] | None = None  # waited for by who is owed too much
        self._next_s = 0.0  # when the next message is due, at the rate that is allowed
        self._rests_until_s = 0.0
        self._strikes = 0
        self._is_reading = False
        self._is_silent = False  # since the last heartbeat
        self._last_words: tuple[int, str] | None = None  # it is to go once it is owed nothing
        self._leaving: asyncio.Task[None] | None = None

    # --- reading ---------------------------------------------------------------------------------

    async def run(self, resumed: bool, since: int | None) -> None:
        """Serve until one of the two has gone; who has ``resumed`` first hears what it missed."""
        self._context.hub.attend(self._session, self)
        if self._context.hub.is_closed:  # since it was let in
            self.leave(WSCloseCode.GOING_AWAY, "stopping")
        try:
            if resumed:
                await self._catch_up(since)
            self._session.is_live |= self._session.listener is self
            self._is_reading = True
            while (said := await self._socket.receive()).type not in _ENDS:
                self._is_silent = False
                if said.type is WSMsgType.PING:
                    self._write(words.pong_frame(said.data))
                elif said.type is not WSMsgType.PONG:
                    self._take(said.data)
                await self._pace()
        except ConnectionError:
            pass  # it has gone, in the middle of something
        finally:
            self._context.hub.part(self._session, self)
            self._context.metrics.streams_closed.add((str(self._code),))
            if self._leaving is not None:
                await self._leaving

    @property
    def _code(self) -> int:
        """With what it ended."""
        if self._last_words is not None:
            return self._last_words[0]
        return int(self._socket.close_code or WSCloseCode.ABNORMAL_CLOSURE)

    async def _catch_up(self, since: int | None) -> None:
        """Tell what was missed since a place, as fast as it is read."""
        hub = self._context.hub
        if since is None or not hub.oldest <= since <= hub.seq:
            self._write(words.GAP)
            since = hub.seq if since is None else hub.oldest
        while since < hub.seq:
            since, events = hub.missed(self._session, since)
            for seq, event in events:
                self._write(words.text_frame(words.told(event) + self._place_at(seq) + b"}"))
            try:
                async with asyncio.timeout(self._context.settings.body_timeout_s):
                    await self._drain()
            except TimeoutError:
                self.leave(*_SLOW)
                return

    def _take(self, text: bytes) -> None:
        self._number += 1
        number, name = self._number, b"%d" % self._number
        self._owed[number] = self._context.hub.seq
        try:
            if self._last_words is not None:
                raise Problem("stopping")
            message = words.read(text)
            name = message.id or name
            caller, on_answer = self._session.caller, partial(self._answer, number, name)
            read_rows, who = self._reads[message.path]
            demand(caller, who)
            post = read_rows(self._context, caller, message.rows, on_answer)
            self._context.queue(post)
        except Exception as error:
            self._answer(number, name, error)
        else:
            self._follow(post)

    def _follow(self, post: Post) -> None:
        was_full = self._session.is_full
        self._context.hub.follow(self._session, _spoken_for(post))
        if self._session.is_full and not was_full:
            self._write(words.FULL)

    async def _pace(self) -> None:
        """Read on only when there is room for more: until then it is TCP that holds the rest."""
        settings, now_s = self._context.settings, elapsed_s()
        self._next_s = max(self._next_s, now_s - BURST_S) + 1 / settings.stream_messages_s
        pause_s = max(self._next_s, self._rests_until_s) - now_s
        if pause_s <= 0 and len(self._owed) < settings.stream_unacked:
            return
        self._is_reading = False
        if pause_s > 0:
            await asyncio.sleep(pause_s)
        while len(self._owed) >= settings.stream_unacked:
            self._room = asyncio.get_running_loop().create_future()
            await self._room
        self._is_reading, self._is_silent = True, False

    # --- writing ---------------------------------------------------------------------------------

    def _answer(self, number: int, name: bytes, told: bytes | BaseException) -> None:
        """Say what became of a message; whoever waited for it is read again."""
        self._owed.pop(number, None)
        if isinstance(told, bytes):
            self._strikes = 0
            self._write(words.ack(name, told, self._place()))
        else:
            self._refuse(name, self._context.problem_of(told, "GET /v1/stream"))
        self._context.metrics.stream_messages.add(("ack" if isinstance(told, bytes) else "nack",))
        if self._room is not None and not self._room.done():
            self._room.set_result(None)
        if self._last_words is not None and not self._owed:
            self._go()

    def _refuse(self, name: bytes, problem: Problem) -> None:
        self._write(words.nack(name, problem))
        if problem.kind in _RESTS:
            self._rests_until_s = elapsed_s() + RETRY_AFTER_S[problem.kind]
        self._strikes = self._strikes + 1 if problem.kind == "malformed" else 0
        if self._strikes >= STRIKES:
            self.leave(WSCloseCode.POLICY_VIOLATION, "too many messages that make no sense")

    def _place(self) -> bytes:
        return self._place_at(next(iter(self._owed.values()), self._context.hub.seq))

    def _place_at(self, seq: int) -> bytes:
        return b'"seq":%d,"resume":"%s.%d"' % (seq, self._session.id.encode(), seq)

    def tell(self, text: bytes) -> None:
        """Send the start of a text; the place to resume from is added."""
        self._write(words.text_frame(b"%s%s}" % (text, self._place())))

    def beat(self) -> None:
        """Ask whether it is still there; who said nothing to the last time is gone.

        Who is not read, since it sends faster than is served, cannot be heard.
        """
        if not self._is_reading:
            return
        if self._is_silent:
            self._transport.abort()
        else:
            self._is_silent = True
            self._write(words.PING)

    def _write(self, frame: bytes) -> None:
        if self._leaving is not None or self._transport.is_closing():
            return
        self._transport.write(frame)
        if self._transport.get_write_buffer_size() > self._context.settings.stream_send_bytes:
            self._last_words = _SLOW
            self._go()

    # --- leaving ---------------------------------------------------------------------------------

    def leave(self, code: int, why: str) -> None:
        """Close, once nothing is owed any more."""
        self._last_words = self._last_words or (int(code), why)
        if not self._owed:
            self._go()

    def _go(self) -> None:
        if self._leaving is None and self._last_words is not None:
            self._leaving = asyncio.create_task(self._say_goodbye(*self._last_words))

    async def _say_goodbye(self, code: int, why: str) -> None:
        await self._socket.close(code=code, message=why.encode(), drain=False)
        # A client that reads nothing would be waited for without end.
        asyncio.get_running_loop().call_later(CLOSE_S, self._transport.abort)

    def abort(self) -> None:
        """Close at once: the client is gone, or has come back over another connection."""
        self._transport.abort()


def _spoken_for(post: Post) -> Iterable[str]:
    """The devices and people that a post tells of."""
    for ping in post.rows.items:
        for name in (ping.device_id, ping.person_id):
            if name is not None and is_name(name):
                yield name
    for name in post.sightings.device_ids:
        if name is not None:
            yield name
