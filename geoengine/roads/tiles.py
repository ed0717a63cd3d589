"""The roads of OpenStreetMap extracts, as tiles for an embedded Valhalla.

``<data>/roads/NAME/`` holds ``tiles/``, as Valhalla's own programs make them, and ``network.json``:
what they were made of, the outline of that, and from when the timetable holds. The name is that of
the first extract.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from datetime import date
from hashlib import blake2b, file_digest
from pathlib import Path

import msgspec
import shapely
from shapely.geometry.base import BaseGeometry

from geoengine.catalog.reading.sources import Progress
from geoengine.core.errors import DataError, RoadsError
from geoengine.roads import timetable
from geoengine.roads.extract import edge_of, polygon_of
from geoengine.roads.valhalla_python import VARIABLE, environment, interpreter
from geoengine.roads.valhalla_router import Network

PROGRAMS = "GEOENGINE_VALHALLA_BIN"  # a folder of Valhalla's programs, compiled or unpacked
FOLDER = "roads"  # in the data folder
NOTE = "network.json"
_SAYS_LINES = 3  # of a program that fails


class Made(msgspec.Struct, frozen=True, kw_only=True):
    """What is kept beside tiles."""

    version: str
    made_of: list[str]
    edge: str  # WKT, degrees
    since: date | None = None


def add(files: Sequence[Path], data: Path, tell: Progress) -> list[str]:
    """Make tiles of extracts, with their outlines and timetables if given. Raises `DataError`.

    What was there stays until the new is whole, and then gives way to it.
    """
    extracts, outlines, feeds = _sorted(files)
    edge, since = _edge(extracts, outlines), timetable.begins(feeds)
    programs, place = _programs(), data / FOLDER / extracts[0].name.split(".")[0]
    place.parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=".new-", dir=place.parent))
    try:
        _build(programs, folder, extracts, feeds, tell)
        of = [*extracts, *outlines, *feeds]
        version = _print_of(of, _run([programs / "valhalla_build_tiles", "-v"]))
        names = [path.name for path in of]
        made = Made(version=version, made_of=names, edge=edge.wkt, since=since)
        (folder / NOTE).write_bytes(msgspec.json.encode(made))
        folder.chmod(0o755)  # a temporary folder is its maker's alone
        _swap(folder, place)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return [
        f"{place.name}: {described(place)}",
        f"engine: {{roads: {{router: valhalla, tiles: {place}}}}}",
    ]


def described(path: Path) -> str:
    """An entry in one line, for `geoengine data list`. Raises `DataError` where it is damaged."""
    made = _read(path)
    tiles = list((path / "tiles").rglob("*.gph"))
    size_mb = sum(file.stat().st_size for file in tiles) / 1e6
    west, south, east, north = shapely.from_wkt(made.edge).bounds
    since = f", timetable from {made.since}" if made.since else ""
    names = ", ".join(made.made_of)
    return (
        f"roads {made.version} of {names}: {len(tiles)} tiles, {size_mb:,.1f} MB, "
        f"{west:.2f} to {east:.2f} E, {south:.2f} to {north:.2f} N{since}"
    )


def opened(path: Path) -> tuple[Path, Network]:
    """The tiles that `engine.roads.tiles` means, and what was noted when they were made.

    A network of ours, or the folder of networks where only one is; else tiles of somebody else, a
    folder or a tar, of which nothing is noted. Raises `RoadsError`.
    """
    ours = [path] if (path / NOTE).is_file() else [file.parent for file in path.glob(f"*/{NOTE}")]
    if len(ours) > 1:
        names = ", ".join(sorted(str(one) for one in ours))
        raise RoadsError(f"engine.roads.tiles: several networks in {path}: name one of {names}")
    if not ours:
        return path, Network()
    try:
        made = _read(ours[0])
    except DataError as error:
        raise RoadsError(str(error)) from error
    network = Network(version=made.version, edge=shapely.from_wkt(made.edge), since=made.since)
    return ours[0] / "tiles", network


def _read(path: Path) -> Made:
    try:
        made = msgspec.json.decode((path / NOTE).read_bytes(), type=Made)
        shapely.from_wkt(made.edge)
    except (OSError, msgspec.DecodeError, shapely.errors.GEOSException) as error:
        raise DataError(f"{path / NOTE}: {error}: make it anew, `data add roads`") from error
    return made


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
    programs: Path, folder: Path, extracts: list[Path], feeds: list[Path], tell: Progress
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
    old = new.with_name(f"{new.name}.old")
    if place.exists():
        place.rename(old)
    new.rename(place)
    shutil.rmtree(old, ignore_errors=True)
