"""GPX traces: the points of tracks, by a streaming parser that refuses entities."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final, NoReturn

# expat itself, with every door to entities closed below; a DTD is refused at its first byte.
from xml.parsers import expat

from geoengine.core.errors import TraceError
from geoengine.ingest.pings import Ping
from geoengine.ingest.times import times_ms
from geoengine.replay.blocks import (
    BLOCK_BYTES,
    BLOCK_ROWS,
    Block,
    TraceOptions,
    block_of,
    device_of,
)

# The depth of GPX is 5; extensions add a few. More is not a track.
_DEPTH_MAX: Final = 64
_READ: Final = frozenset({"time", "name", "accuracy", "hacc"})
_TEXT_MAX: Final = 1_000  # characters of a time, a name or a number


class _Points:
    """Points of tracks as they are met; one parser's handlers share it."""

    def __init__(self, file_device: str, has_fixed_device: bool) -> None:
        self._file_device = file_device
        self._has_fixed_device = has_fixed_device
        self._device = file_device
        self._path: list[str] = []
        self._text = ""
        self._point: dict[str, str] = {}
        self.parser = expat.ParserCreate()
        self.parser.buffer_text = True
        self.parser.StartElementHandler = self._begin
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self._read
        self.parser.StartDoctypeDeclHandler = self._refuse
        self.parser.EntityDeclHandler = self._refuse
        self.pings: list[Ping] = []
        self.times: list[str | None] = []
        self.lines: list[int] = []

    def _refuse(self, *_: object) -> NoReturn:
        raise TraceError("a document type is no part of GPX and is refused")

    def _begin(self, tag: str, attributes: dict[str, str]) -> None:
        name = tag.rpartition(":")[2]
        self._path.append(name)
        if len(self._path) > _DEPTH_MAX:
            raise TraceError("nested too deep to be GPX")
        self._text = ""
        if name == "trk":
            self._device = self._file_device
        elif name == "trkpt":
            self._point = dict(attributes)
            self.lines.append(self.parser.CurrentLineNumber)

    def _read(self, text: str) -> None:
        if self._path and self._path[-1] in _READ and len(self._text) < _TEXT_MAX:
            self._text += text

    def _end(self, tag: str) -> None:
        name = self._path.pop()
        parent = self._path[-1] if self._path else ""
        if name == "trkpt":
            self._keep()
        elif name in _READ and "trkpt" in self._path:
            self._point[name] = self._text.strip()
        elif name == "name" and parent == "trk" and self._text.strip():
            self._name_device(self._text.strip())

    def _name_device(self, name: str) -> None:
        if not self._has_fixed_device:
            self._device = f"{self._file_device}/{name}"

    def _keep(self) -> None:
        point = self._point
        accuracy_m = _number(point.get("accuracy") or point.get("hacc"))
        self.pings.append(
            Ping(
                self._device, _number(point.get("lat")), _number(point.get("lon")), None, accuracy_m
            )
        )
        self.times.append(point.get("time"))

    def block(self, path: Path, options: TraceOptions) -> Block:
        """What was met since the last time, laid out as columns."""
        whole = len(self.pings)  # a point may have begun whose end is in the next piece
        fix_ms = times_ms(self.times, zone=options.zone, start_ms=options.start_ms)
        found = block_of(self.pings, fix_ms, None, self.lines[:whole], path, options)
        self.pings, self.times, self.lines = [], [], self.lines[whole:]
        return found


def read_gpx(file: BinaryIO, path: Path, options: TraceOptions) -> Iterator[Block]:
    """Blocks of the track points of a GPX file; the device is FILE, or FILE/TRACK where tracks
    have names. Way points and routes are plans, not reports, and are passed over.
    """
    points = _Points(device_of(path, options), options.device is not None)
    try:
        while chunk := file.read(BLOCK_BYTES // 4):
            points.parser.Parse(chunk, False)
            if len(points.pings) >= BLOCK_ROWS:
                yield points.block(path, options)
        points.parser.Parse(b"", True)
    except expat.ExpatError as error:
        raise TraceError(f"{path}:{error.lineno}: {expat.ErrorString(error.code)}") from error
    except TraceError as error:
        raise TraceError(f"{path}: {error}") from error
    yield points.block(path, options)


def _number(text: str | None) -> float | None:
    try:
        number = float(text or "")
    except ValueError:
        return None
    return number if abs(number) < 1e9 else None  # also drops NaN and infinities
