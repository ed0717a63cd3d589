"""What the readers of traces have in common: how to read, what comes out, and the way between."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, tzinfo
from pathlib import Path
from typing import Final

import numpy as np

from geoengine.core.columns import Fixes, Longs, Sightings
from geoengine.ingest.pings import Ping, columns_of
from geoengine.ingest.times import MISSING_MS

BLOCK_ROWS: Final = 8_192
BLOCK_BYTES: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class TraceOptions:
    """What a file does not say of itself."""

    columns: Mapping[str, str] = field(default_factory=dict)  # our name -> the file's
    device: str | None = None  # where no column names one; by default the name of the file
    zone: tzinfo = UTC  # of times without an offset
    start_ms: int | None = None  # when a recording began whose times are seconds since then
    is_as_posted: bool = False  # keep the order of the file, and when each row was heard of


@dataclass(frozen=True, slots=True)
class Rejected:
    """A row that makes no sense, and where it stands."""

    file: str
    line: int
    reason: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.reason}"


@dataclass(slots=True)
class Block:
    """Some rows of a trace.

    ``has_recv``, shape (P,), tells which fixes say when they were heard of; the others are taken
    to have been heard of when they happened.
    """

    fixes: Fixes
    rejects: list[Rejected]
    has_recv: np.ndarray[tuple[int], np.dtype[np.bool_]]
    sightings: Sightings = field(default_factory=Sightings.empty)
    read_bytes: int = 0  # how far in the file, for the progress bar


def device_of(path: Path, options: TraceOptions) -> str:
    """The device of a file that does not name any.

    >>> device_of(Path("a/walk.csv.gz"), TraceOptions())
    'walk'
    """
    return options.device or path.name.removesuffix(".gz").rpartition(".")[0] or path.name


def block_of(
    pings: Sequence[Ping],
    fix_ms: Longs,
    recv_ms: Longs | None,
    lines: Sequence[int],
    path: Path,
    options: TraceOptions,
) -> Block:
    """Typed rows with their times and line numbers, checked and laid out as columns.

    Parameters
    ----------
    pings : P rows
    fix_ms : int64, shape (P,)
    recv_ms : int64, shape (P,), optional
        `MISSING_MS` where a row does not say when it was heard of.
    lines : P line numbers
    """
    if recv_ms is None or not options.is_as_posted:
        recv_ms = np.full(len(fix_ms), MISSING_MS)
    has_recv = recv_ms > MISSING_MS
    heard_ms = np.where(has_recv, recv_ms, fix_ms)
    found = columns_of(pings, recv_ms=heard_ms, fix_ms=fix_ms)
    rejects = [Rejected(path.name, lines[reject.index], reject.reason) for reject in found.rejects]
    return Block(found.fixes, rejects, has_recv[found.row_ix])
