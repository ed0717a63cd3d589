"""What is said over a stream: the messages that come, and the frames that go.

Frames are written as bytes go over the wire, header included: an answer is one write, and what many
are told is encoded once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Final

import msgspec
from msgspec import UNSET, Meta, Raw, Struct, UnsetType

from geoengine.core.record import Event
from geoengine.core.telling.events import encode_event
from geoengine.service.http.problems import RETRY_AFTER_S, Problem

PROTOCOL: Final = "geoengine.v1"
PINGS, SIGHTINGS = "/v1/pings", "/v1/sightings"  # the routes that take the same rows
_TEXT, _PING, _PONG = 0x81, 0x89, 0x8A  # whole frames; RFC 6455, section 5.2
_SHORT, _LONG = 126, 65_536  # bytes from which on a length is written in two, and in eight

Id = Annotated[str, Meta(max_length=128)] | int | None


class _Envelope(Struct):
    """A message that is an object: rows with a name, or a row by itself."""

    id: Raw | UnsetType = UNSET
    pings: Raw | UnsetType = UNSET
    sightings: Raw | UnsetType = UNSET
    uuid: Raw | UnsetType = UNSET


class _Row(Struct):
    """As much of a row as tells a sighting from a ping."""

    uuid: Raw | UnsetType = UNSET


_ENVELOPE = msgspec.json.Decoder(_Envelope)
_ROWS = msgspec.json.Decoder(list[_Row])
_ID = msgspec.json.Decoder(Id)


@dataclass(frozen=True, slots=True)
class Message:
    """Rows on their way in: which route takes such rows, and the name that the client gave them."""

    path: str
    rows: bytes
    id: bytes = b""  # as JSON; empty: it has none


def read(text: bytes) -> Message:
    """What a client said; raises `Problem` where it makes no sense.

    >>> read(b'{"id": 7, "pings": [{"device_id": "d"}]}')
    Message(path='/v1/pings', rows=b'[{"device_id": "d"}]', id=b'7')
    >>> read(b'[{"uuid": "f7826da6"}]').path
    '/v1/sightings'
    """
    start = text.lstrip()[:1]
    try:
        if start == b"{":
            return _object(text)
        if start != b"[":
            raise Problem("malformed", "Expected a JSON object or an array.")
        # Nearly nobody's pings have a word like it anywhere: most are told apart by one look.
        if b'"uuid"' in text and (rows := _ROWS.decode(text)) and rows[0].uuid is not UNSET:
            return Message(SIGHTINGS, text)
    except msgspec.ValidationError:
        return Message(PINGS, text)  # whatever is wrong, reading it as pings will tell
    except RecursionError:
        raise Problem("malformed", "Nested too deep.") from None
    except ValueError as error:
        raise Problem("malformed", str(error)) from None
    return Message(PINGS, text)


def _object(text: bytes) -> Message:
    said = _ENVELOPE.decode(text)
    if isinstance(said.pings, Raw):
        return Message(PINGS, bytes(said.pings), _name(said.id))
    if isinstance(said.sightings, Raw):
        return Message(SIGHTINGS, bytes(said.sightings), _name(said.id))
    return Message(PINGS if said.uuid is UNSET else SIGHTINGS, text)


def _name(raw: Raw | UnsetType) -> bytes:
    """The name of a message as JSON; of a bad one its sender is told by the message's number."""
    if isinstance(raw, UnsetType):
        return b""
    try:
        name = _ID.decode(raw)
    except msgspec.ValidationError:
        raise Problem("malformed", "id is a short text or a whole number.") from None
    return b"" if name is None else msgspec.json.encode(name)


def ack(name: bytes, told: bytes, place: bytes) -> bytes:
    """The frame that says what became of a message; ``told`` is a `Taken` as JSON.

    >>> ack(b"7", b'{"accepted":1}', b'"seq":3')[2:]
    b'{"ack":7,"accepted":1,"seq":3}'
    """
    return text_frame(b'{"ack":%s,%s,%s}' % (name, told[1:-1], place))


def nack(name: bytes, problem: Problem) -> bytes:
    """The frame that says that nothing of a message was taken, why, and when to try again."""
    wait_s = RETRY_AFTER_S.get(problem.kind)
    again = b"" if wait_s is None else b',"retry_after_s":%d' % wait_s
    return text_frame(b'{"nack":%s,"problem":%s%s}' % (name, problem.body(), again))


def told(event: Event) -> bytes:
    """The start of the text that tells of an event; a place follows it."""
    return b'{"event":%s,' % encode_event(event)


def text_frame(text: bytes) -> bytes:
    """A text as one frame of a server: not masked, not compressed."""
    return _frame(_TEXT, text)


def pong_frame(said: bytes) -> bytes:
    """The answer to a client's ping."""
    return _frame(_PONG, said)


def _frame(kind: int, text: bytes) -> bytes:
    size = len(text)
    if size < _SHORT:
        return bytes((kind, size)) + text
    if size < _LONG:
        return bytes((kind, 126)) + size.to_bytes(2, "big") + text
    return bytes((kind, 127)) + size.to_bytes(8, "big") + text


PING: Final = _frame(_PING, b"")
GAP: Final = text_frame(b'{"gap":true}')  # not all that happened meanwhile is known any more
FULL: Final = text_frame(b'{"notice":"follow_limit"}')  # it spoke for more than are followed
