"""What a road network answered, kept in a file: one record an answer, found by its question.

::

    "geoengine reaches 1\\n"
    for each answer:  length of the record   4 bytes, little-endian
                      digest of the record   8 bytes
                      record, msgpack        see `Answer`

The file is written by `journal` and replaced as a whole, so who reads it finds all of a build or
nothing of it. It is read without any router: a service starts from it.
"""

from __future__ import annotations

import math
from collections.abc import Container, Iterator
from hashlib import blake2b
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec
import shapely
from msgspec import Struct
from pyproj import Geod
from shapely.geometry import LinearRing

from geoengine.catalog.polygons import Area
from geoengine.catalog.reach.question import Question
from geoengine.catalog.reading.sources import Sources
from geoengine.core.errors import DataError

FOLDER: Final = "reaches"
KEPT: Final = "reaches.kept"
MAGIC: Final = b"geoengine reaches 1\n"
_LENGTH_BYTES: Final = 4
_DIGEST_BYTES: Final = 8
_HEAD_BYTES: Final = _LENGTH_BYTES + _DIGEST_BYTES
_GEOD: Final = Geod(ellps="WGS84")


class Answer(Struct, frozen=True, array_like=True):
    """What came back: an area, or why there is none."""

    question: Question
    network: str  # which answered: the router and its version
    wkb: bytes  # the area in degrees; empty where there is no way
    square_m: float  # of the area, on the ellipsoid
    remarks: tuple[str, ...]  # what makes the area doubtful; without one, why there is none

    @property
    def radius_m(self) -> float:
        """Radius of the circle of the same area."""
        return math.sqrt(self.square_m / math.pi)


def answered(question: Question, network: str, area: Area, doubts: tuple[str, ...]) -> Answer:
    """An answer that is an area."""
    return Answer(question, network, shapely.to_wkb(area), _square_m(area), doubts)


def refused(question: Question, network: str, why: str) -> Answer:
    """An answer that there is no way, for good."""
    return Answer(question, network, b"", 0.0, (why,))


def path_in(data: Path) -> Path:
    """The file in a data folder."""
    return data / FOLDER / KEPT


def load(data: Path, sources: Sources, wanted: Container[Question]) -> dict[Question, Answer]:
    """What is known of the questions that are wanted. Raises `DataError` for a damaged file."""
    path = path_in(data)
    try:
        content = sources.read_bytes(path)
    except FileNotFoundError:
        sources.lack(path)
        return {}
    except OSError as error:
        sources.lack(path)
        raise DataError(f"{path} cannot be read: {error.strerror}") from error
    scan = Scan(content)
    answers = {answer.question: answer for _at, answer in scan if answer.question in wanted}
    if scan.end < scan.size:
        raise DataError(
            f"{path} is not as it was written: run `geoengine zones build`, which keeps what can "
            "be read of it and asks for the rest"
        )
    return answers


class Record(NamedTuple):
    """Where a record lies, with its head: bytes from ``start`` to ``end``."""

    start: int
    end: int


class Scan:
    """The answers in the bytes of a file, front to back, up to the first that is not whole.

    ``end`` is where reading stopped: at the end of the bytes, or where they make no sense.
    """

    def __init__(self, content: Any) -> None:
        self._content = memoryview(content)
        self.size = len(self._content)
        self.end = 0

    def __iter__(self) -> Iterator[tuple[Record, Answer]]:
        content = self._content
        if bytes(content[: len(MAGIC)]) != MAGIC:
            return
        self.end = len(MAGIC)
        while (record := _record_at(content, self.end)) is not None:
            try:
                answer = _DECODE(content[record.start + _HEAD_BYTES : record.end])
            except msgspec.DecodeError:  # whole, but another version's
                return
            self.end = record.end
            yield record, answer


def packed(answer: Answer) -> bytes:
    """An answer as a record, with its head."""
    body = msgspec.msgpack.encode(answer)
    return len(body).to_bytes(_LENGTH_BYTES, "little") + _digest(body) + body


def _record_at(content: memoryview, start: int) -> Record | None:
    """The record that begins here; none where it is not whole."""
    head = bytes(content[start : start + _HEAD_BYTES])
    body_at = start + _HEAD_BYTES
    end = body_at + int.from_bytes(head[:_LENGTH_BYTES], "little")
    if len(head) < _HEAD_BYTES or end > len(content):
        return None
    is_whole = _digest(content[body_at:end]) == head[_LENGTH_BYTES:]
    return Record(start, end) if is_whole else None


def _square_m(area: Area) -> float:
    """On the ellipsoid; outlines less their holes, whichever way round those go."""
    square_m = 0.0
    for part in shapely.get_parts(area):
        outline, *holes = [_ring_square_m(ring) for ring in shapely.get_rings(part)]
        square_m += outline - sum(holes)
    return square_m


def _ring_square_m(ring: LinearRing) -> float:
    """As pyproj does it for a geometry, but without a Python number for each coordinate."""
    lon_deg, lat_deg = shapely.get_coordinates(ring).T.copy()
    square_m, _length = _GEOD.polygon_area_perimeter(lon_deg, lat_deg)
    return abs(float(square_m))


def _digest(body: bytes | memoryview) -> bytes:
    return blake2b(body, digest_size=_DIGEST_BYTES).digest()


_DECODE: Final = msgspec.msgpack.Decoder(Answer).decode
