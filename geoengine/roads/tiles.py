"""The roads of OpenStreetMap extracts, as tiles for an embedded Valhalla.

``<data>/roads/`` holds ``tiles/``, as Valhalla's own programs make them, and ``network.json``: what
they were made of, the outline of that, and from when the timetable holds.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from datetime import date
from hashlib import blake2b, file_digest
from pathlib import Path

import msgspec
import shapely
from shapely.geometry.base import BaseGeometry

from geoengine.core.errors import DataError, RoadsError
from geoengine.roads import timetable
from geoengine.roads.extract import edge_of, polygon_of
from geoengine.roads.valhalla_python import VARIABLE, environment, interpreter
from geoengine.roads.valhalla_router import Network

PROGRAMS = "GEOENGINE_VALHALLA_BIN"  # a folder of Valhalla's programs, compiled or unpacked
_SAYS_LINES = 3  # of a program that fails

Tell = Callable[[str, int, int], None]


class Made(msgspec.Struct, frozen=True, kw_only=True):
    """What is kept beside tiles."""

    version: str
    made_of: list[str]
    edge: str  # WKT, degrees
    since: date | None = None


def add(files: Sequence[Path], data: Path, tell: Tell) -> list[str]:
    """Make tiles of extracts, with their outlines and timetables if given. Raises `DataError`.

    What was there stays until the new is whole, and then gives way to it.
    """
    extracts, outlines, feeds = _sorted(files)
    edge, since = _edge(extracts, outlines), timetable.begins(feeds)
    programs = _programs()
    data.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="roads-", dir=data))
    try:
        _build(programs, folder, extracts, feeds, tell)
        version = _print_of([*extracts, *feeds], _run([programs / "valhalla_build_tiles", "-v"]))
        names = [path.name for path in (*extracts, *outlines, *feeds)]
        made = Made(version=version, made_of=names, edge=edge.wkt, since=since)
        (folder / "network.json").write_bytes(msgspec.json.encode(made))
        folder.chmod(0o755)  # a temporary folder is its maker's alone
        _swap(folder, data / "roads")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return _summary(data / "roads", made)


def tiles_in(path: Path) -> Path:
    """The tiles that `engine.roads.tiles` means: ours, or a folder or tar of somebody else's."""
    return path / "tiles" if (path / "network.json").is_file() else path


def network_of(path: Path) -> Network:
    """What was noted when the tiles were made; nothing for somebody else's. Raises `RoadsError`."""
    file = path / "network.json"
    if not file.is_file():
        return Network()
    try:
        made = msgspec.json.decode(file.read_bytes(), type=Made)
        return Network(version=made.version, edge=shapely.from_wkt(made.edge), since=made.since)
    except (msgspec.DecodeError, shapely.errors.GEOSException) as error:
        raise RoadsError(f"{file}: {error}: make the roads anew with `data add roads`") from error


def _sorted(files: Sequence[Path]) -> tuple[list[Path], list[Path], list[Path]]:
    """Extracts, outlines, timetables, by the ends of their names."""
    by_end: dict[str, list[Path]] = {".pbf": [], ".poly": [], ".zip": []}
    for path in files:
        if path.suffix not in by_end:
            raise DataError(f"{path}: expected a .osm.pbf, its .poly, or a .zip of GTFS")
        if not path.is_file():
            raise DataError(f"{path}: there is no such file")
        by_end[path.suffix].append(path)
    if not by_end[".pbf"]:
        raise DataError("no roads without an extract: expected at least one .osm.pbf")
    return by_end[".pbf"], by_end[".poly"], by_end[".zip"]


def _edge(extracts: list[Path], outlines: list[Path]) -> BaseGeometry:
    """The outline of all extracts: as given, else the boxes they tell of."""
    boxes = [edge_of(path) for path in extracts]
    return shapely.union_all([polygon_of(path) for path in outlines] or boxes)


def _programs() -> Path:
    """The folder of Valhalla's programs. Raises `DataError` that says how to get them."""
    named = os.environ.get(PROGRAMS)
    try:
        python = "" if named else interpreter(os.environ)
    except RoadsError as error:
        raise DataError(str(error)) from error
    folder = Path(named or _run([python, "-P", "-m", "valhalla", "print_bin_path"]))
    if not (folder / "valhalla_build_tiles").is_file():
        raise DataError(f"{folder}: no valhalla_build_tiles in it: see {PROGRAMS}, {VARIABLE}")
    return folder


def _build(
    programs: Path, folder: Path, extracts: list[Path], feeds: list[Path], tell: Tell
) -> None:
    """Run Valhalla's programs, into ``folder/tiles``."""
    work = folder / "work"
    for inner in ("feeds", "transit"):
        (work / inner).mkdir(parents=True)
    (folder / "tiles").mkdir()
    config = {
        "mjolnir": {
            "tile_dir": str((folder / "tiles").resolve()),
            "transit_dir": str((work / "transit").resolve()) if feeds else "",
            "transit_feeds_dir": str((work / "feeds").resolve()),
            "transit_pbf_limit": 20_000,  # Valhalla's own default, which it does not assume
        }
    }
    (work / "valhalla.json").write_bytes(msgspec.json.encode(config))
    for number, feed in enumerate(feeds):
        timetable.unpack(feed, work / "feeds" / str(number))
    steps = ["valhalla_ingest_transit", "valhalla_convert_transit"] if feeds else []
    for number, step in enumerate((*steps, "valhalla_build_tiles")):
        tell(step.removeprefix("valhalla_").replace("_", " "), number, len(steps) + 1)
        given = extracts if step == "valhalla_build_tiles" else []
        _run([programs / step, "-c", work / "valhalla.json", *given])
    tell("roads", len(steps) + 1, len(steps) + 1)
    shutil.rmtree(work)
    if not any((folder / "tiles").rglob("*.gph")):
        raise DataError(f"{extracts[0]}: no roads in it: expected an extract with streets")


def _run(command: Sequence[str | Path]) -> str:
    """What a program says. Raises `DataError` with its last words where it fails."""
    python = str(command[0])
    done = subprocess.run(  # noqa: S603
        [*map(str, command)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=environment(os.environ, python),
        check=False,
    )
    said = done.stdout.decode(errors="replace").strip()
    if done.returncode != 0:
        last = " / ".join(said.splitlines()[-_SAYS_LINES:])
        raise DataError(f"{Path(python).name} ended with status {done.returncode}: {last}")
    return said


def _print_of(files: list[Path], program: str) -> str:
    """Twelve letters that are others when the files or the program are; not when it is done again.

    Valhalla makes the same bytes of the same extracts, so nothing is asked anew for them.
    """
    whole = blake2b(program.encode(), digest_size=6)
    for path in files:
        with path.open("rb") as file:
            whole.update(file_digest(file, "blake2b").digest())
    return whole.hexdigest()


def _swap(new: Path, place: Path) -> None:
    """Put a folder in the place of another, which is gone then."""
    old = Path(f"{new}.old")
    if place.exists():
        place.rename(old)
    new.rename(place)
    shutil.rmtree(old, ignore_errors=True)


def _summary(folder: Path, made: Made) -> list[str]:
    tiles = list((folder / "tiles").rglob("*.gph"))
    size_mb = sum(path.stat().st_size for path in tiles) / 1e6
    west, south, east, north = shapely.from_wkt(made.edge).bounds
    lines = [
        f"roads {made.version}: {len(tiles)} tiles, {size_mb:,.1f} MB, of "
        f"{', '.join(made.made_of)}; {west:.2f} to {east:.2f} E, {south:.2f} to {north:.2f} N",
        f"engine: {{roads: {{router: valhalla, tiles: {folder}}}}}",
    ]
    if made.since is not None:
        lines.append(f"timetable from {made.since}, for `reach: {{mode: transit}}`")
    return lines
