"""Timetables as GTFS has them: checked, dated, unpacked for Valhalla."""

from __future__ import annotations

import csv
import io
import shutil
from collections.abc import Iterator
from datetime import date, datetime
from pathlib import Path
from zipfile import BadZipFile, ZipFile

from geoengine.core.errors import DataError

FILES = ("agency.txt", "stops.txt", "routes.txt", "trips.txt", "stop_times.txt")
DATES = {"calendar.txt": "start_date", "calendar_dates.txt": "date"}
UNPACKED_MAX_BYTES = 32 * 1024**3  # the stop times of a large country are some gigabytes


def begins(feeds: list[Path]) -> date | None:
    """The first day on which all of them hold; none without feeds. Raises `DataError`."""
    return max((_begins(path) for path in feeds), default=None)


def unpack(path: Path, folder: Path) -> None:
    """The tables of a feed, without the folders that some put around them."""
    folder.mkdir()
    with ZipFile(path) as feed:
        if sum(item.file_size for item in feed.infolist()) > UNPACKED_MAX_BYTES:
            raise DataError(f"{path}: more than {UNPACKED_MAX_BYTES // 1024**3} GB unpacked")
        for name, item in _tables(feed).items():
            with feed.open(item) as table, (folder / name).open("wb") as file:
                shutil.copyfileobj(table, file)


def _begins(path: Path) -> date:
    try:
        with ZipFile(path) as feed:
            tables = _tables(feed)
            missing = [name for name in FILES if name not in tables]
            if missing:
                raise DataError(f"{path}: not GTFS: expected {', '.join(missing)} in it")
            days = sorted(_days(feed, tables))
    except BadZipFile as error:
        raise DataError(f"{path}: not a zip: expected a GTFS feed") from error
    if not days:
        raise DataError(f"{path}: no day of service: expected calendar.txt or calendar_dates.txt")
    return days[0]


def _tables(feed: ZipFile) -> dict[str, str]:
    """Where each table is in the zip, by its name."""
    return {Path(name).name: name for name in feed.namelist() if name.endswith(".txt")}


def _days(feed: ZipFile, tables: dict[str, str]) -> Iterator[date]:
    for name, column in DATES.items():
        if name in tables:
            with feed.open(tables[name]) as table:
                rows = csv.DictReader(io.TextIOWrapper(table, "utf-8-sig", errors="replace"))
                for row in rows:
                    written = (row.get(column) or "").strip()
                    if len(written) == 8 and written.isdigit():
                        yield datetime.strptime(written, "%Y%m%d").date()
