"""Recorded traces, whatever wrote them, as blocks of columns.

One reader a family (`lines`, `tables`, `gpx`); which one reads a file is told by its first bytes,
not by its name. A row that makes no sense is kept with its place, ``file:line: reason``; a file
that cannot be read at all is a `TraceError`.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from contextlib import ExitStack
from gzip import GzipFile
from io import BufferedReader, RawIOBase
from pathlib import Path
from typing import cast

from geoengine.core.errors import TraceError
from geoengine.replay.blocks import Block, TraceOptions
from geoengine.replay.gpx import read_gpx
from geoengine.replay.lines import read_array, read_lines
from geoengine.replay.tables import read_table

__all__ = ["Block", "TraceOptions", "read_trace"]

_READERS = {b"{": read_lines, b"[": read_array, b"<": read_gpx}


def read_trace(path: Path, options: TraceOptions) -> Iterator[Block]:
    """The rows of a trace, in the order of the file; raises `TraceError`.

    NDJSON, a JSON array, CSV (with ``,`` ``;`` tab or ``|``) or GPX; compressed if it ends in
    ``.gz``.
    """
    try:
        with path.open("rb") as raw, ExitStack() as stack:
            file = raw
            if path.suffix == ".gz":
                unpacked = cast(RawIOBase, GzipFile(fileobj=raw))
                file = stack.enter_context(BufferedReader(unpacked))
            first = file.peek(4_096).removeprefix(b"\xef\xbb\xbf").lstrip()[:1]
            if not first:
                return  # nothing was recorded
            reader = _READERS.get(first, read_table)
            for block in reader(file, path, options):
                block.read_bytes = raw.tell()
                yield block
    except (OSError, EOFError, zlib.error) as error:
        raise TraceError(f"{path}: {error}") from error
