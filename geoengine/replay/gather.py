"""All rows of all traces, put in the order in which they count."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from geoengine.core.columns import Bools, Columns, Fixes, Longs, Sightings
from geoengine.replay.blocks import Rejected
from geoengine.replay.traces import Block, TraceOptions, read_trace

C = TypeVar("C", bound=Columns)


@dataclass(frozen=True, slots=True)
class Trace:
    """Everything recorded, P fixes and S sightings, each in order of ``recv_ms``.

    By default a row was heard of when it happened, so this is also the order of their own times,
    and the rows of one instant are ordered by device. As posted, ``post_ix`` numbers the posts.
    """

    fixes: Fixes
    sightings: Sightings
    rejects: list[Rejected] = field(default_factory=list)
    is_as_posted: bool = False

    @property
    def row_count(self) -> int:
        """Fixes and sightings together."""
        return len(self.fixes) + len(self.sightings)


def gather(
    paths: Iterable[Path],
    options: TraceOptions,
    on_read: Callable[[Path, int], None] = lambda path, read_bytes: None,
) -> Trace:
    """Read traces whole and put them in order; raises `TraceError`.

    ``on_read`` is told how many bytes of a file have been read.
    """
    rejects: list[Rejected] = []
    files: list[_File] = []
    for path in paths:
        blocks = []
        for block in read_trace(path, options):
            blocks.append(block)
            rejects += block.rejects
            on_read(path, block.read_bytes)
        files.append(_File.of(blocks))
    if options.is_as_posted:
        return _as_posted(files, rejects)
    found = Fixes.concat([Fixes.empty(), *(file.fixes for file in files)])
    heard = Sightings.concat([Sightings.empty(), *(file.sightings for file in files)])
    heard_order = np.argsort(heard.seen_ms, kind="stable")
    return Trace(found.take(_by_time(found)), heard.take(heard_order), rejects)


@dataclass(frozen=True, slots=True)
class _File:
    fixes: Fixes
    sightings: Sightings
    has_recv: Bools

    @classmethod
    def of(cls, blocks: list[Block]) -> _File:
        return cls(
            Fixes.concat([Fixes.empty(), *(block.fixes for block in blocks)]),
            Sightings.concat([Sightings.empty(), *(block.sightings for block in blocks)]),
            np.concatenate([np.empty(0, bool), *(block.has_recv for block in blocks)]),
        )


def _by_time(fixes: Fixes) -> NDArray[np.intp]:
    """Positions by time, then device, then as they came."""
    rank_of = {name: rank for rank, name in enumerate(sorted(set(fixes.device_ids)))}
    ranks = np.fromiter(map(rank_of.__getitem__, fixes.device_ids), np.int64, len(fixes))
    return np.lexsort((ranks, fixes.fix_ms))


def _as_posted(files: list[_File], rejects: list[Rejected]) -> Trace:
    """The order of each file kept, the files side by side on one clock.

    Our clock does not run back within a file: a row that does not say when it was heard of came
    right after the row before it, or when it happened if that is later. Rows of one file heard of
    at the same instant are one post, except those that do not say: each is a post of its own.
    """
    for file in files:
        np.maximum.accumulate(file.fixes.recv_ms, out=file.fixes.recv_ms)
    found = Fixes.concat([Fixes.empty(), *(file.fixes for file in files)])
    heard = Sightings.concat([Sightings.empty(), *(file.sightings for file in files)])
    recv_ms = np.concatenate([found.recv_ms, heard.recv_ms])
    file_ix = np.concatenate(
        [np.full(len(file.fixes), ix) for ix, file in enumerate(files)]
        + [np.full(len(file.sightings), ix) for ix, file in enumerate(files)]
        + [np.empty(0, np.int64)]
    )
    is_alone = np.ones(len(recv_ms), bool)
    is_alone[: len(found)] = ~np.concatenate([np.empty(0, bool), *(f.has_recv for f in files)])
    is_alone[len(found) :] = False
    post_ix = _posts(recv_ms, file_ix, is_alone)
    found = replace(found, post_ix=post_ix[: len(found)])
    heard = replace(heard, post_ix=post_ix[len(found) :])
    return Trace(
        found.take(np.argsort(found.post_ix, kind="stable")),
        heard.take(np.argsort(heard.post_ix, kind="stable")),
        rejects,
        is_as_posted=True,
    )


def _posts(recv_ms: Longs, file_ix: Longs, is_alone: Bools) -> Longs:
    """The number of each row's post, counted by the time it was heard of, then by file."""
    order = np.lexsort((file_ix, recv_ms))
    recv, file, alone = recv_ms[order], file_ix[order], is_alone[order]
    is_new = np.ones(len(order), bool)
    is_new[1:] = (recv[1:] != recv[:-1]) | (file[1:] != file[:-1]) | alone[1:] | alone[:-1]
    post_ix = np.empty(len(order), np.int64)
    post_ix[order] = np.cumsum(is_new)
    return post_ix


def cut(trace: Trace, batch_rows: int) -> Iterator[tuple[Fixes, Sightings, int]]:
    """Pieces of about ``batch_rows`` rows and the time each ends at.

    Rows of one instant stay together: a deadline that falls due at that instant must see all of
    them or none, or the cut would show.
    """
    clock = np.sort(np.concatenate([trace.fixes.recv_ms, trace.sightings.recv_ms]), kind="stable")
    start = 0
    fix_start = heard_start = 0
    while start < len(clock):
        end_ms = int(clock[min(start + batch_rows, len(clock)) - 1])
        start = int(np.searchsorted(clock, end_ms, "right"))
        fix_end = int(np.searchsorted(trace.fixes.recv_ms, end_ms, "right"))
        heard_end = int(np.searchsorted(trace.sightings.recv_ms, end_ms, "right"))
        yield (
            _piece(trace.fixes, fix_start, fix_end),
            _piece(trace.sightings, heard_start, heard_end),
            end_ms,
        )
        fix_start, heard_start = fix_end, heard_end


def _piece(columns: C, start: int, end: int) -> C:
    """The rows from ``start`` up to ``end``; arrays are views."""
    found = {column.name: getattr(columns, column.name) for column in fields(columns)}
    rows = {name: column for name, column in found.items() if not isinstance(column, dict)}
    return replace(columns, **{name: column[start:end] for name, column in rows.items()})
