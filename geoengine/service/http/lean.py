"""The lean ingest listener: POST pings, sightings or what gateways hear, at a fraction of the cost.

It speaks HTTP/1.1 on a port of its own, in the same process and loop as everything else, with the
keys, limits, problem documents and counters of the other routes: one test suite runs against both
doors. A connection is a parser and a queue of replies; a request makes no task, future or timer,
unless it is a gateway's and somebody was heard.
Replies leave in the order in which the requests came. One sweep a few times a second finds the
connections whose time is up: a head without end, a body that drips, a peer that reads nothing.

Where a request ends is the parser's word (llhttp, strict): a length beside chunks, two lengths or
an encoding after the chunks are errors, and after an error nothing more is read.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Final, cast

import httptools

from geoengine.service.http.hall import Guest, Hall, Inside, check_form
from geoengine.service.http.problems import RETRY_AFTER_S, Problem

HEAD_MAX_BYTES: Final = 32_768  # of a head, beside the first piece in which it comes
FRAMING_MAX: Final = 8  # times the longest body: so much may come in chunks of a byte or two
PIPELINE_MAX: Final = 16  # replies owed beyond which a connection is not read
HEADS_MAX: Final = 16  # remembered by a connection: what a client sends differs in length
NO_HEAD: Final = (0, None)
LINGER_S: Final = 2.0  # a refused body is read this long, so that its sender hears why
FATAL: Final = frozenset({"bad_request", "body_too_large", "body_too_slow"})
HEAD, BODY, REFUSED = "head", "body", "refused"  # what is being read


class Reply:
    """The answer to one request, in its place among those of its connection."""

    __slots__ = ("_connection", "closes", "text")

    def __init__(self, connection: Connection, closes: bool) -> None:
        self._connection = connection
        self.closes = closes  # the connection, once it has left
        self.text: bytes | None = None  # as it goes over the wire, once it is known

    def tell(self, told: bytes | BaseException) -> None:
        """What became of the request; once."""
        self._connection.answer(self, told)


class Connection(Guest):
    """One client: what it sends is parsed, what it is owed waits in order."""

    def __init__(self, hall: Hall) -> None:
        self._hall = hall
        self._parser = httptools.HttpRequestParser(self)
        self._transport: asyncio.Transport | None = None
        self._replies: deque[Reply] = deque()
        self._reply: Reply | None = None  # to the request being read
        self._take: Inside | None = None
        self._heads: dict[bytes, tuple[int, Inside]] = {}  # raw -> length of the body, its taker
        self._plain: tuple[int, Inside] | None = None  # the same of the request being read
        self._is_between = False  # two requests: nothing of the next one has come
        self._held = b""  # a known head that came without its body: it waits for it unparsed
        self._url = b""
        self._fields: list[tuple[bytes, bytes]] = []
        self._parts: list[bytes] = []
        self._body_bytes = 0
        self._piece_bytes = 0  # of a head or a body, beside the first piece
        self._chunk_bytes = 0  # of the piece at hand
        self._is_paused = False
        self._rests_until_s = 0.0  # there was no room for its last post: it is not read until then
        self._is_deaf = False  # whatever else comes is not read
        self._reading = HEAD
        self._since_s = hall.now_s  # when it opened, was answered last, or its body began

    # --- what the loop says ----------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client has come."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none by inheritance
        self._hall.enter(self)

    def connection_lost(self, _error: Exception | None) -> None:
        """It has gone; what it waits for has nowhere to go."""
        self._transport = None
        self._hall.leave(self)

    def eof_received(self) -> bool:
        """It will send no more; what it waits for it still gets."""
        is_owed = bool(self._replies) and self._reading == HEAD
        if is_owed:
            self._is_deaf = self._replies[-1].closes = True
        return is_owed

    def pause_writing(self) -> None:
        """It reads too slowly: take nothing more from it until it has caught up."""
        if self._transport is not None and not self._is_paused:
            self._is_paused = True
            self._transport.pause_reading()

    def resume_writing(self) -> None:
        """It has caught up."""
        if self._transport is None or self._transport.is_closing():
            return
        if self._is_paused and not self._rests_until_s:
            self._is_paused = False
            self._transport.resume_reading()

    def _rest(self) -> None:
        """Read nothing for as long as it has been told to wait.

        To read a body only to refuse it costs as much as a tenth of serving it, and who does not
        wait would have us do little else.
        """
        self.pause_writing()
        self._rests_until_s = self._hall.now_s + RETRY_AFTER_S["queue_full"]

    def data_received(self, data: bytes) -> None:
        """Part of a request, or several."""
        if self._is_deaf:
            return
        was_between = self._is_between
        if was_between:
            data, self._held = self._held + data, b""
            if self._is_known(data):
                return
            if data in self._heads:
                self._held = data
                return
        self._read(data)
        if self._plain is not None and (self._is_between or was_between):
            self._learn(data, *self._plain, begins=was_between)

    def _read(self, data: bytes) -> None:
        """Let the parser have it."""
        self._chunk_bytes = len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as error:
            self._stay(data[error.args[0] :])
        except httptools.HttpParserError:
            self._give_up("bad_request")
        self._piece_bytes += self._chunk_bytes
        if self._reading == HEAD and self._piece_bytes > HEAD_MAX_BYTES:
            self._give_up("bad_request")
        elif self._piece_bytes > FRAMING_MAX * self._hall.max_body_bytes:
            self._give_up("body_too_large")
        if len(self._replies) > PIPELINE_MAX:
            self.pause_writing()

    def _is_known(self, data: bytes) -> bool:
        """Take a request whose head is, byte for byte, one that the parser has read here before.

        What a client sends differs in its bodies. Between two requests the parser's word depends
        on nothing but the bytes of a head, so it need not be asked again.
        """
        end = data.find(b"\r\n\r\n") + 4
        body_bytes, inside = self._heads.get(data[:end], NO_HEAD)
        if inside is None or len(data) - end != body_bytes:
            return False
        reply = Reply(self, False)
        self._replies.append(reply)
        self._hall.hand_over(inside, data[end:], reply.tell)
        if len(self._replies) > PIPELINE_MAX:
            self.pause_writing()
        return True

    def _learn(self, data: bytes, body_bytes: int, inside: Inside, *, begins: bool) -> None:
        """Remember the head of a request that came in one piece and alone in it, with its body or,
        where the piece ``begins`` it, before that.
        """
        end = data.find(b"\r\n\r\n") + 4
        rest_bytes = len(data) - end
        is_whole = end >= 4 and (rest_bytes == body_bytes or (begins and rest_bytes == 0))
        if is_whole and len(self._heads) < HEADS_MAX:
            self._heads[data[:end]] = body_bytes, inside
        self._plain = None

    # --- what the parser says --------------------------------------------------------------------

    def on_message_begin(self) -> None:
        """A request begins."""
        self._is_between, self._plain = False, None
        self._piece_bytes = -self._chunk_bytes

    def on_url(self, url: bytes) -> None:
        """The path and query, or a piece of them."""
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header; a trailer says nothing to us."""
        if self._reading == HEAD:
            self._fields.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        """All is known but the body: whether it may come in."""
        if self._is_deaf or self._parser.should_upgrade():
            return
        method, url, fields = self._parser.get_method(), self._url, dict(self._fields)
        closes = not self._parser.should_keep_alive() or method == b"HEAD"
        reply = self._reply = Reply(self, closes or self._parser.get_http_version() != "1.1")
        self._replies.append(reply)
        self._reading, self._since_s = BODY, self._hall.now_s
        self._body_bytes, self._piece_bytes = 0, -self._chunk_bytes
        try:
            check_form(url, self._fields)
            self._take = self._hall.let_in(method, url, fields)
            if b"expect" in fields:
                self._go_on(fields[b"expect"])
            elif b"content-length" in fields and not reply.closes:
                self._plain = int(fields[b"content-length"]), self._take
        except Problem as problem:
            reply.closes |= b"expect" in fields  # whether the body still comes, nobody can know
            self._refuse(problem)
        self._url, self._fields = b"", []

    def _go_on(self, expected: bytes) -> None:
        if expected.lower() != b"100-continue":
            raise Problem("bad_request", "Nothing but 100-continue can be expected.")
        if len(self._replies) == 1 and self._transport is not None:
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_body(self, part: bytes) -> None:
        """A piece of the body."""
        if self._reading == BODY:
            self._body_bytes += len(part)
            self._parts.append(part)
            if self._body_bytes > self._hall.max_body_bytes:
                self._refuse(Problem("body_too_large"))

    def on_message_complete(self) -> None:
        """The request is whole."""
        reply, take, parts = self._reply, self._take, self._parts
        if reply is None or self._is_deaf:
            return
        self._is_between = True
        self._is_deaf = reply.closes  # what a client pipelines behind its farewell is not for us
        self._reply = self._take = None
        self._reading, self._parts, self._piece_bytes = HEAD, [], -self._chunk_bytes
        if take is not None:
            body = parts[0] if len(parts) == 1 else b"".join(parts)
            self._hall.hand_over(take, body, reply.tell)

    def _stay(self, rest: bytes) -> None:
        """Nothing is upgraded here: read the request as one that does not ask for it."""
        method, url, fields = self._parser.get_method(), self._url, self._fields
        self._url, self._fields = b"", []
        if method == b"CONNECT":
            self._give_up("bad_request")
            return
        kept = [field for field in fields if field[0] not in (b"upgrade", b"connection")]
        lines = b"".join(b"%s: %s\r\n" % field for field in kept)
        self._parser = httptools.HttpRequestParser(self)
        self.data_received(b"%s %s HTTP/1.1\r\n%s\r\n%s" % (method, url, lines, rest))

    # --- answers ---------------------------------------------------------------------------------

    def answer(self, reply: Reply, told: bytes | BaseException) -> None:
        """Put an answer in its place, and send what is ready."""
        reply.closes |= self._hall.is_stopping
        reply.text = self._hall.written(told, reply.closes)
        if isinstance(told, Problem) and told.kind == "queue_full" and not reply.closes:
            self._rest()
        if self._replies and self._replies[0] is reply:
            self._send()

    def _send(self) -> None:
        """Everything up to the first reply that is not known yet."""
        ready, closes = [], False
        while self._replies and not closes and (text := self._replies[0].text) is not None:
            closes = self._replies.popleft().closes
            ready.append(text)
        self._since_s = self._hall.now_s
        if self._transport is None or self._transport.is_closing():
            return
        self._transport.write(ready[0] if len(ready) == 1 else b"".join(ready))
        if closes:
            self._hang_up(self._transport)
        elif len(self._replies) <= PIPELINE_MAX and self._is_paused:
            self.resume_writing()

    def _refuse(self, problem: Problem) -> None:
        """Answer the request being read; its body is let pass, or is the last that is read."""
        if self._reply is None or self._reading != BODY:
            self.close()
            return
        self._reading, self._take, self._parts = REFUSED, None, []
        if problem.kind in FATAL:
            self._is_deaf = self._reply.closes = True
        self.answer(self._reply, problem)

    def _give_up(self, kind: str) -> None:
        """Where the request ends is unknown: say so in turn, and read no further."""
        if self._is_deaf:
            return
        if self._reading == HEAD:
            self._reply, self._reading = Reply(self, True), BODY
            self._replies.append(self._reply)
        self._refuse(Problem(kind))
        self._is_deaf = True

    def _hang_up(self, transport: asyncio.Transport) -> None:
        """Close; where somebody still sends, first let him read why."""
        self._replies.clear()
        if self._reading == HEAD:
            transport.close()
        else:
            self._is_deaf = True
            transport.write_eof()
            self.resume_writing()

    def sweep(self) -> None:
        """End what has taken too long."""
        hall = self._hall
        if self._held:  # its body is late: from here on it is a request like any other
            held, self._held = self._held, b""
            self._read(held)
        if self._rests_until_s:
            if hall.now_s < self._rests_until_s:
                return
            self._rests_until_s, self._since_s = 0.0, hall.now_s
            self.resume_writing()
        age_s = hall.now_s - self._since_s
        if self._reading == BODY:
            if age_s > hall.body_timeout_s:
                self._refuse(Problem("body_too_slow"))
            return
        most_s = LINGER_S if self._reading == REFUSED else hall.keepalive_s
        if age_s <= most_s or self._replies or self._transport is None:
            return
        if self._reading == REFUSED or self._is_between:
            self.close()
        else:  # somewhere in a head: to close on what still comes would reset the connection
            self._reading, self._since_s = REFUSED, hall.now_s
            self._hang_up(self._transport)

    def close_if_idle(self) -> None:
        """For a stop: close unless something is owed."""
        if not self._replies and self._reading == HEAD and not self._held:
            self.close()

    def close(self) -> None:
        """Drop the connection; a peer that reads nothing is not waited for."""
        if self._transport is not None:
            is_slow = self._is_paused and not self._rests_until_s
            self._transport.abort() if is_slow else self._transport.close()
