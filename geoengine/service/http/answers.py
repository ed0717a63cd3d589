"""What a post is told, written out beforehand for the many to whom nothing happened."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from email.utils import formatdate
from http import HTTPStatus

import msgspec

from geoengine.core.record import Event
from geoengine.core.telling.events import cloud_event
from geoengine.ingest.wire import Reject
from geoengine.service.http.problems import CONTENT_TYPE, Problem
from geoengine.service.http.wire import Rejected, Taken

_ENCODER = msgspec.json.Encoder()
_CLOSE = b"Connection: close\r\n"
_SHORT_BYTES = 64  # an answer no longer than this tells of no events, and nearly all are alike
_HOLE = _ENCODER.encode(Taken(0, [], [])).partition(b"0")
# What a post of one ping is told, of two, ...: nearly every answer is one of these.
_NOTHING = tuple(b"%s%d%s" % (_HOLE[0], count, _HOLE[2]) for count in range(1_001))


def taken(accepted: int, rejects: Sequence[Reject], events: Sequence[Event]) -> bytes:
    """The body of the answer: a `Taken`.

    >>> taken(500, [], [])
    b'{"accepted":500,"rejected":[],"events":[]}'
    """
    if not rejects and not events and accepted < len(_NOTHING):
        return _NOTHING[accepted]
    return _ENCODER.encode(
        Taken(
            accepted,
            [Rejected(reject.index, reject.reason) for reject in rejects],
            [cloud_event(event) for event in events],
        )
    )


class Stationery:
    """Heads of answers as they go over the wire: all but their lengths the same for a second."""

    def __init__(self, clock: Callable[[], int]) -> None:
        self._clock = clock
        self._second = -1
        self._own = self._ok = b""
        self._written: dict[bytes, bytes] = {}  # whole answers that nothing happened in

    def ok(self, body: bytes, closes: bool) -> bytes:
        """A 200 with this JSON; ``closes`` when it is the connection's last."""
        self._date()
        if closes:
            return self._with_length(self._ok + _CLOSE, body)
        written = self._written.get(body)
        if written is None:
            written = self._with_length(self._ok, body)
            if len(body) <= _SHORT_BYTES:
                self._written[body] = written
        return written

    @staticmethod
    def _with_length(head: bytes, body: bytes) -> bytes:
        return b"%sContent-Length: %d\r\n\r\n%s" % (head, len(body), body)

    def refusal(self, problem: Problem, closes: bool) -> bytes:
        """A problem document."""
        self._date()
        body, status = problem.body(), HTTPStatus(problem.status)
        own = {"Content-Type": CONTENT_TYPE, "Content-Length": str(len(body))}
        head = f"HTTP/1.1 {status} {status.phrase}\r\n" + "".join(
            f"{name}: {value}\r\n" for name, value in (own | problem.all_headers()).items()
        )
        return b"%s%s%s\r\n%s" % (head.encode(), self._own, _CLOSE if closes else b"", body)

    def _date(self) -> None:
        second = self._clock() // 1_000
        if second != self._second:
            self._second = second
            self._written = {}
            date = formatdate(second, usegmt=True)
            self._own = f"Server: geoengine\r\nDate: {date}\r\n".encode()
            self._ok = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n" + self._own
