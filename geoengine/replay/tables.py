"""CSV traces: a header, and one fix a line; the usual names of columns are known."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Mapping, Sequence
from io import TextIOWrapper
from itertools import islice
from math import isfinite
from pathlib import Path
from typing import BinaryIO, Final, TextIO

from geoengine.core.columns import Longs
from geoengine.core.errors import TraceError
from geoengine.ingest.pings import Ping
from geoengine.ingest.times import times_ms
from geoengine.replay.blocks import BLOCK_ROWS, Block, Rejected, TraceOptions, block_of, device_of

# Our name -> what others call it, the likeliest first. A bare "id" is as often the row's as the
# device's, so it has to be named by hand.
USUAL: Final[Mapping[str, tuple[str, ...]]] = {
    "device_id": ("device_id", "deviceid", "device", "vehicle_id", "user_id", "vehicle", "user"),
    "lat": ("lat", "latitude", "lat_deg"),
    "lon": ("lon", "lng", "long", "longitude", "lon_deg"),
    "fix_time": (
        "fix_time",
        "timestamp",
        "time",
        "datetime",
        "date_time",
        "tracked_at",
        "recorded_at",
        "utc_time",
    ),
    "accuracy_m": ("accuracy_m", "accuracy", "horizontal_accuracy", "acc", "hacc"),
    "mocked": ("mocked", "is_mocked", "mock"),
    "person_id": ("person_id",),
    "recv_time": ("recv_time", "received_at"),
}
_NEEDED: Final = ("lat", "lon", "fix_time")
_DELIMITERS: Final = (",", ";", "\t", "|")
_TRUE: Final = frozenset({"1", "true", "yes", "t"})
_UNIT = re.compile(r"\s*[(\[].*?[)\]]")  # "Latitude (°)"

Cells = list[str]


def read_table(file: BinaryIO, path: Path, options: TraceOptions) -> Iterator[Block]:
    """Blocks of a CSV file; raises `TraceError` where no column says where or when."""
    text = TextIOWrapper(file, "utf-8-sig", errors="replace", newline="")
    try:
        yield from _blocks(text, path, options)
    finally:
        text.detach()  # the file belongs to whoever opened it


def _blocks(text: TextIO, path: Path, options: TraceOptions) -> Iterator[Block]:
    header, first_line = _header(text)
    delimiter = max(_DELIMITERS, key=header.count)
    names = [name.strip() for name in next(csv.reader([header], delimiter=delimiter), [])]
    where = _mapping(names, path, options)
    rows = csv.reader(text, delimiter=delimiter)
    try:
        while numbered := [(rows.line_num, row) for row in islice(rows, BLOCK_ROWS)]:
            lines = [first_line + line for line, row in numbered if row]
            yield _block([row for _, row in numbered if row], lines, where, path, options)
    except csv.Error as error:
        raise TraceError(f"{path}:{first_line + rows.line_num}: {error}") from error


def _header(text: TextIO) -> tuple[str, int]:
    """The line that names the columns, and its number.

    GPSLogger writes the count of rows above it, spreadsheets a blank or ``sep=``.
    """
    number = 0
    for line in iter(text.readline, ""):
        number += 1
        bare = line.strip()
        if bare and not bare.isdigit() and not bare.lower().startswith("sep="):
            return bare, number
    return "", number


def _mapping(names: Sequence[str], path: Path, options: TraceOptions) -> dict[str, int]:
    """Position of each of our columns that the file has."""
    plain = [_UNIT.sub("", name).strip().lower().replace(" ", "_") for name in names]
    where = {
        ours: plain.index(usual)
        for ours, candidates in USUAL.items()
        for usual in reversed(candidates)
        if usual in plain
    }
    for ours, theirs in options.columns.items():
        if ours not in USUAL:
            raise TraceError(f"no column of ours is called {ours}; there are {', '.join(USUAL)}")
        if theirs not in names:
            raise TraceError(f"{path}: no column {theirs!r} among {', '.join(names)}")
        where[ours] = names.index(theirs)
    missing = [ours for ours in _NEEDED if ours not in where]
    if missing:
        raise TraceError(
            f"{path}: no column for {', '.join(missing)} among {', '.join(names)[:300]}; "
            f"name it with --columns {missing[0]}=NAME"
        )
    return where


def _block(
    rows: list[Cells],
    lines: list[int],
    where: Mapping[str, int],
    path: Path,
    options: TraceOptions,
) -> Block:
    rejects: list[Rejected] = []
    width = max(where.values()) + 1
    rows, lines = _kept([len(row) >= width for row in rows], rows, lines, "row_too_short", rejects)
    for ours in ("lat", "lon", "accuracy_m"):
        if ours in where:
            good = [_is_number(row[where[ours]]) for row in rows]
            rows, lines = _kept(good, rows, lines, f"wrong_type:{ours}", rejects)
    columns = {ours: [row[ix] for row in rows] for ours, ix in where.items()}
    fix_ms = times_ms(columns["fix_time"], zone=options.zone, start_ms=options.start_ms)
    recv_ms = _recv_ms(columns, options)
    pings = _pings(columns, len(rows), device_of(path, options))
    block = block_of(pings, fix_ms, recv_ms, lines, path, options)
    rejects = [Rejected(path.name, reject.line, reject.reason) for reject in rejects]
    block.rejects = sorted(block.rejects + rejects, key=lambda reject: reject.line)
    return block


def _kept(
    good: list[bool], rows: list[Cells], lines: list[int], why: str, rejects: list[Rejected]
) -> tuple[list[Cells], list[int]]:
    """The good rows; the others are noted."""
    if all(good):
        return rows, lines
    rejects += [
        Rejected("", line, why) for line, is_good in zip(lines, good, strict=True) if not is_good
    ]
    kept = [ix for ix, is_good in enumerate(good) if is_good]
    return [rows[ix] for ix in kept], [lines[ix] for ix in kept]


def _is_number(text: str) -> bool:
    """Whether a cell holds a finite number, or nothing."""
    try:
        return isfinite(float(text))
    except ValueError:
        return not text or text.isspace()


def _recv_ms(columns: Mapping[str, Cells], options: TraceOptions) -> Longs | None:
    if "recv_time" not in columns:
        return None
    return times_ms(columns["recv_time"], zone=options.zone)


def _pings(columns: Mapping[str, Cells], count: int, device: str) -> list[Ping]:
    """Rows of texts as typed pings; the time is read apart."""
    device_ids = [cell.strip() for cell in columns.get("device_id", ())] or [device] * count
    mocked = [cell.strip().lower() in _TRUE for cell in columns.get("mocked", ())]
    lat, lon, accuracy_m = (
        [float(cell) if cell and not cell.isspace() else None for cell in columns.get(name, ())]
        for name in ("lat", "lon", "accuracy_m")
    )
    nothing: list[None] = [None] * count
    return [
        Ping(device_id, lat, lon, None, accuracy_m, None, None, None, is_mocked, person_id)
        for device_id, lat, lon, accuracy_m, is_mocked, person_id in zip(
            device_ids,
            lat,
            lon,
            accuracy_m or nothing,
            mocked or nothing,
            columns.get("person_id") or nothing,
            strict=True,
        )
    ]
