"""NDJSON traces: one ping a line, as an app posts it, or one sighting.

Besides the fields of a post a line may carry ``recv_time``, when the service heard of it. A file
that is one JSON array is read whole.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

from geoengine.core.columns import Longs
from geoengine.core.errors import TraceError
from geoengine.ingest.pings import Ping
from geoengine.ingest.sightings import Sighting, heard_of
from geoengine.ingest.times import times_ms
from geoengine.ingest.wire import Malformed, Rows, Wire
from geoengine.replay.blocks import (
    BLOCK_BYTES,
    Block,
    Rejected,
    TraceOptions,
    block_of,
    device_of,
)


class TracePing(Ping, gc=False):
    """A recorded ping."""

    recv_time: int | float | str | None = None


class TraceSighting(Sighting, gc=False):
    """A recorded sighting."""

    recv_time: int | float | str | None = None


_PINGS = Wire(TracePing)
_SIGHTINGS = Wire(TraceSighting)
# What only a sighting has. A ping that merely mentions it in some other key is a sighting without
# a beacon, and is rejected as one.
_MARKS = (b'"uuid"', b'"code"')


def read_lines(file: BinaryIO, path: Path, options: TraceOptions) -> Iterator[Block]:
    """Blocks of an NDJSON file."""
    line = 1
    device = options.device
    for body in _whole_lines(file):
        if line == 1:
            body = body.removeprefix(b"\xef\xbb\xbf")
            device = device or _only_device(body, path, options)
        block, line_count = _block(body, line, path, options, device)
        yield block
        line += line_count


def read_array(file: BinaryIO, path: Path, options: TraceOptions) -> Iterator[Block]:
    """The one block of a JSON array; the place of a reject is its position, from 1."""
    rows = _PINGS.rows(file.read())
    if isinstance(rows, Malformed):
        raise TraceError(f"{path}: {rows.reason}")
    device = options.device or _lacking(rows.items, path, options)
    yield _pings_block(rows, range(1, rows.count + 1), path, options, device)


def _whole_lines(file: BinaryIO) -> Iterator[bytes]:
    rest = b""
    while chunk := file.read(BLOCK_BYTES):
        head, newline, tail = chunk.rpartition(b"\n")
        if newline:
            yield rest + head + newline
            rest = tail
        else:
            rest += tail
    if rest:
        yield rest


def _only_device(body: bytes, path: Path, options: TraceOptions) -> str | None:
    return _lacking(_PINGS.lines(body).items, path, options)


def _lacking(pings: Sequence[Ping], path: Path, options: TraceOptions) -> str | None:
    """The name of the file, where no ping names a device: a recording of one phone."""
    is_lacking = bool(pings) and all(ping.device_id is None for ping in pings)
    return device_of(path, options) if is_lacking else None


def _block(
    body: bytes, line: int, path: Path, options: TraceOptions, device: str | None
) -> tuple[Block, int]:
    """The rows of a body that begins at a line, and how many lines it has."""
    if not _has_sightings(body):
        rows = _PINGS.lines(body)
        block = _pings_block(rows, _numbers(body, line, rows), path, options, device)
        # Where no row was left out there was no blank line either: no need to count again.
        return block, rows.count if rows.row_ix is None else body.count(b"\n")
    lines = body.split(b"\n")
    pings = [b"" if _has_sightings(text) else text for text in lines]
    sightings = [text if _has_sightings(text) else b"" for text in lines]
    block, _ = _block(b"\n".join(pings), line, path, options, device)
    _hear(block, b"\n".join(sightings), line, path, options)
    return block, len(lines) - 1


def _has_sightings(text: bytes) -> bool:
    return any(mark in text for mark in _MARKS)


def _numbers(body: bytes, first: int, rows: Rows[TracePing] | Rows[TraceSighting]) -> Sequence[int]:
    """The line number of each row of a body; blank lines are no rows."""
    if rows.row_ix is None:
        return range(first, first + rows.count)
    return [ix for ix, text in enumerate(body.split(b"\n"), first) if text.strip()]


def _pings_block(
    rows: Rows[TracePing],
    numbers: Sequence[int],
    path: Path,
    options: TraceOptions,
    device: str | None,
) -> Block:
    pings = rows.items
    if device is not None:
        for ping in pings:
            ping.device_id = ping.device_id or device
    fix_ms = times_ms([p.fix_time for p in pings], zone=options.zone, start_ms=options.start_ms)
    lines = numbers if rows.row_ix is None else [numbers[ix] for ix in rows.row_ix]
    block = block_of(pings, fix_ms, _recv_ms(pings, options), lines, path, options)
    block.rejects += [
        Rejected(path.name, numbers[reject.index], reject.reason) for reject in rows.rejects
    ]
    block.rejects.sort(key=lambda reject: reject.line)
    return block


def _recv_ms(
    rows: Sequence[TracePing] | Sequence[TraceSighting], options: TraceOptions
) -> Longs | None:
    if not options.is_as_posted:
        return None
    return times_ms([row.recv_time for row in rows], zone=options.zone)


def _hear(block: Block, body: bytes, first: int, path: Path, options: TraceOptions) -> None:
    """Add the sightings of a body to a block."""
    rows = _SIGHTINGS.lines(body)
    numbers = _numbers(body, first, rows)
    heard = heard_of(
        rows, recv_ms=_recv_ms(rows.items, options), zone=options.zone, start_ms=options.start_ms
    )
    block.sightings = heard.sightings
    block.rejects += [
        Rejected(path.name, numbers[reject.index], reject.reason) for reject in heard.rejects
    ]
    block.rejects.sort(key=lambda reject: reject.line)
