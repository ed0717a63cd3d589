"""One long body of lines over a bare socket, read as it is told of."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterable
from dataclasses import dataclass, field

CHUNK_LINES = 500
HEAD = (
    b"POST /v1/pings HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/x-ndjson\r\n"
    b"Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
)


@dataclass
class Uploaded:
    """What the answer said."""

    body_bytes: int = 0
    line_count: int = 0
    accepted: int = 0
    done: bool = False
    told: list[bytes] = field(default_factory=list)  # lines that hold events


def upload(port: int, lines: list[bytes]) -> Uploaded:
    """Send lines as they are read; what was told of them."""
    found = Uploaded()
    with socket.create_connection(("127.0.0.1", port)) as line:
        sending = threading.Thread(target=_send, args=(line, lines, found))
        sending.start()
        for text in _lines(line):
            found.line_count += 1
            if text.startswith(b'{"done"'):
                last = json.loads(text)
                found.done, found.accepted = last["done"], last["accepted"]
            elif b'"events":[]' not in text:
                found.told.append(text)
        sending.join()
    return found


def _send(line: socket.socket, lines: list[bytes], found: Uploaded) -> None:
    line.sendall(HEAD)
    for at in range(0, len(lines), CHUNK_LINES):
        body = b"\n".join(lines[at : at + CHUNK_LINES]) + b"\n"
        found.body_bytes += len(body)
        line.sendall(b"%x\r\n%s\r\n" % (len(body), body))
    line.sendall(b"0\r\n\r\n")


def _lines(line: socket.socket) -> Iterable[bytes]:
    """The lines of a chunked answer, up to its end."""
    with line.makefile("rb") as stream:
        while stream.readline().strip():
            pass  # its head
        rest = b""
        while size := int(stream.readline(), 16):
            *whole, rest = (rest + stream.read(size)).split(b"\n")
            stream.readline()
            yield from whole
