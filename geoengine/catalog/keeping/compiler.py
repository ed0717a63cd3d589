"""A directory's Book without compiling it here: from the cache, or by a process of its own.

Compiling a large one keeps Python busy for seconds and leaves a heap of what was read. Where a
service runs neither is welcome: the rows are read and checked elsewhere, and what arrives here is
columns. A small one is compiled here, in less time than a process takes to start.
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from subprocess import DEVNULL, PIPE, Popen
from typing import Final

import msgspec
from msgspec import Struct

from geoengine.catalog.building.compile import Reading, read
from geoengine.catalog.keeping.added import size_of
from geoengine.catalog.keeping.cache import Cache, load
from geoengine.catalog.keeping.container import Damaged
from geoengine.catalog.reading.gather import files_of
from geoengine.core.errors import ConfigurationError, Fault, GeoengineError
from geoengine.core.model import EngineSpec

GENTLE: Final = 5  # niceness beside a service: on a core of its own no matter, shared a quarter
SMALL_BYTES: Final = 128 * 1024  # of YAML and data: some thousand stores, a fifth of a second
# Words without which YAML names no other file, and no other folder of data than the usual.
_OTHER_FILES: Final = (b"import", b"polygon", b"data:")
_USUAL_DATA: Final = Path(EngineSpec().data)
_COMPLAINT_MAX: Final = 2_000  # characters of what a compiler that broke said last
# The other process imports what this one would, from where this one would.
_RUN: Final = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); "
    "from geoengine.catalog.keeping.compiler import main; main(*sys.argv[2:])"
)


class CompilerFailed(GeoengineError):
    """The compiling process ended without an answer: out of memory, or our own fault."""


@dataclass(frozen=True, slots=True)
class Obtained:
    """A compiled catalogue, and how it was come by."""

    # Not told: `asyncio.run` tells its result twice, and ten thousand polygons take a second.
    reading: Reading = field(repr=False)
    is_cached: bool
    remarks: tuple[str, ...] = ()  # what is wrong with the cache, for who operates this


class Outcome(Struct, omit_defaults=True):
    """What the compiling process answers."""

    path: str = ""  # where the compiled catalogue lies
    unkept: str = ""  # why it lies in a temporary place and not in the cache
    faults: list[Fault] = []


async def obtain(directory: Path, folder: Path, *, niceness: int = 0) -> Obtained:
    """The catalogue of a directory, from the cache in ``folder`` or compiled into it.

    Raises `ConfigurationError` with all faults of the directory, and `CompilerFailed`.
    """
    if await asyncio.to_thread(is_small, directory):
        return Obtained(await asyncio.to_thread(read, directory), is_cached=False)
    remarks = []
    try:
        found = await asyncio.to_thread(Cache(folder).find, directory)
        if found is not None:
            return Obtained(found, is_cached=True)
    except Damaged as damage:
        remarks.append(f"{damage}; compiled again")
    outcome = await _ask(directory, folder, niceness)
    if outcome.faults:
        raise ConfigurationError(outcome.faults)
    reading = await asyncio.to_thread(_take, outcome)
    if outcome.unkept:
        remarks.append(f"{outcome.unkept}; every start and every change compiles anew")
    return Obtained(reading, is_cached=False, remarks=tuple(remarks))


def is_small(directory: Path) -> bool:
    """Whether a catalogue is a little YAML and little else."""
    try:
        documents = files_of(directory)
        size = sum(path.stat().st_size for path in documents) + size_of(_USUAL_DATA)
        return size <= SMALL_BYTES and not any(
            word in text for text in map(Path.read_bytes, documents) for word in _OTHER_FILES
        )
    except OSError:  # gone meanwhile: whoever reads it tells
        return True


async def _ask(directory: Path, folder: Path, niceness: int) -> Outcome:
    """Let another process compile; it is ended if nobody waits for it any more."""
    process = _started(directory, folder, niceness)
    talk = asyncio.create_task(asyncio.to_thread(process.communicate))
    try:
        told, complaint = await asyncio.shield(talk)
    except asyncio.CancelledError:
        process.kill()
        await talk
        raise
    if process.returncode != 0:
        said = complaint.decode(errors="replace").strip()[-_COMPLAINT_MAX:]
        raise CompilerFailed(f"compiling {directory} ended with {process.returncode}: {said}")
    return msgspec.json.decode(told, type=Outcome)


def _started(directory: Path, folder: Path, niceness: int) -> Popen[bytes]:
    """The compiling process.

    Half a millisecond, however large this process is; uvloop's own way took twenty (800 MB).
    """
    path = msgspec.json.encode(sys.path).decode()
    return Popen(  # noqa: S603 (our own interpreter, no shell)
        (sys.executable, "-P", "-c", _RUN, path, directory, folder, str(niceness)),
        stdin=DEVNULL,
        stdout=PIPE,
        stderr=PIPE,
    )


def _take(outcome: Outcome) -> Reading:
    """What was compiled; of what is not kept nothing stays on the disk."""
    path = Path(outcome.path)
    try:
        return load(path)
    finally:
        if outcome.unkept:
            path.unlink()
            path.parent.rmdir()


def main(directory: str, folder: str, niceness: str) -> None:
    """The compiling process: compile, put down, say where on standard output."""
    os.nice(int(niceness))
    outcome = compile_into(Path(directory), Path(folder))
    sys.stdout.buffer.write(msgspec.json.encode(outcome))


def compile_into(directory: Path, folder: Path) -> Outcome:
    """Compile into the cache, or where that cannot be written into a temporary folder."""
    try:
        reading = read(directory)
    except ConfigurationError as error:
        return Outcome(faults=error.faults)
    try:
        return Outcome(str(Cache(folder).keep(directory, reading)))
    except OSError as error:
        spare = Path(tempfile.mkdtemp(prefix="geoengine-"))
        unkept = f"{folder} cannot be written: {error.strerror or error}"
        # Read once and deleted: a small room for temporary files has no place for an index.
        return Outcome(str(Cache(spare).keep(directory, reading, is_indexed=False)), unkept)
