"""`geoengine data`: official data given once, checked, converted and kept compactly.

Each kind of data is one line of `KINDS`; whoever converts it says so there and nowhere else.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import NamedTuple

import click

from geoengine.catalog.buildings import kept as buildings
from geoengine.catalog.buildings.add import add as add_buildings
from geoengine.catalog.density import kept
from geoengine.catalog.density.reading import eurostat, ghsl, h3_cells, insee
from geoengine.catalog.reading.sources import Progress
from geoengine.cli.catalogue.check import progress
from geoengine.core.errors import DataError
from geoengine.core.model import EngineSpec
from geoengine.roads import tiles

DEFAULT = EngineSpec().data  # where the service looks, too

Add = Callable[[Sequence[Path], Path, Progress], list[str]]


def _size(path: Path) -> str:
    """An entry of which nothing more is known."""
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    return f"{sum(file.stat().st_size for file in files) / 1e6:,.1f} MB"


class Kind(NamedTuple):
    """A kind of data: what it is, what is read, who converts it, where it is kept."""

    what: str
    formats: str
    add: Add  # raises `DataError`; returns lines to print
    folder: str  # under the data folder; each entry of it is a name in `data list`
    described: Callable[[Path], str] = _size


KINDS: Mapping[str, Kind] = {
    "insee": Kind(
        "France: density level of each commune, 1 to 7",
        "outlines as GeoJSON (.geojson), with the level or with a CSV of levels beside",
        insee.add,
        kept.FOLDER,
        kept.described,
    ),
    "eurostat": Kind(
        "Europe: people, or degree of urbanisation, by cell of 1 km",
        ".csv, .gpkg, .geojson, .ndjson with GRD_ID and TOT_P, T or DGURBA",
        eurostat.add,
        kept.FOLDER,
        kept.described,
    ),
    "ghsl": Kind(
        "the world: degree of urbanisation (GHS-SMOD) or people (GHS-POP) by 1 km",
        ".tif in Mollweide or EPSG:4326 (needs rasterio: pip install 'geoengine[data]')",
        ghsl.add,
        kept.FOLDER,
        kept.described,
    ),
    "h3": Kind(
        "people by H3 cell, as Kontur publishes them",
        ".gpkg, .csv, .ndjson with h3 and population",
        h3_cells.add,
        kept.FOLDER,
        kept.described,
    ),
    "buildings": Kind(
        "outlines of buildings, for `footprint: {building: ...}`",
        ".osm.pbf, .osm (needs osmium: pip install 'geoengine[osm]'), .geojson",
        add_buildings,
        buildings.FOLDER,
        buildings.described,
    ),
    "roads": Kind(
        "streets for an embedded Valhalla (docs/roads.md)",
        ".osm.pbf extracts, their .poly outlines, timetables as GTFS in a .zip",
        tiles.add,
        tiles.FOLDER,
        tiles.described,
    ),
}


def _epilog() -> str:
    """The kinds, one below the other, for `--help`."""
    rows = [f"  {name:<10}{kind.what}\n{'':<12}{kind.formats}" for name, kind in KINDS.items()]
    return "\b\nKinds:\n" + "\n".join(rows) + "\n\nEach file may also be in a .gz or a .zip."


_into = click.option(
    "--data",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    default=DEFAULT,
    show_default=True,
    help="The data folder; `engine.data` in the catalogue.",
)


@click.group()
def command() -> None:
    """Official data: add it, see what is kept, remove it."""


@command.command(epilog=_epilog())
@click.argument("kind")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@_into
def add(kind: str, files: tuple[Path, ...], folder: Path) -> None:
    """Check FILES of a KIND, convert them, and keep what is needed of them.

    The files themselves are not needed any more afterwards. The same name again replaces.
    """
    chosen = KINDS.get(kind)
    if chosen is None:
        raise click.BadParameter(_unknown("kind", kind, KINDS), param_hint="KIND")
    try:
        with progress() as tell:
            lines = chosen.add(files, folder, tell or _tell_nobody)
    except DataError as error:
        raise click.ClickException(str(error)) from error
    except OSError as error:
        raise click.ClickException(f"{error.filename or folder}: {error.strerror}") from error
    for line in lines:
        click.echo(line)


@command.command("list")
@_into
def show(folder: Path) -> None:
    """What is kept: name, source, rows, size, where, and what it is used for."""
    count = 0
    for path, kind in _entries(folder):
        count += 1
        click.echo(f"{_name(path)}: {_told(path, kind)}")
    if not count:
        click.echo(f"nothing kept in {folder}; add something: geoengine data add --help")


@command.command()
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@_into
def remove(names: tuple[str, ...], folder: Path) -> None:
    """Remove what `data list` shows under NAME."""
    kept_ones = {_name(path): path for path, _ in _entries(folder)}
    for name in names:
        if name not in kept_ones:
            raise click.BadParameter(_unknown("name", name, kept_ones), param_hint="NAME")
    for name in names:
        path = kept_ones[name]
        shutil.rmtree(path) if path.is_dir() else path.unlink()
        click.echo(f"removed {name}")


def _entries(folder: Path) -> Iterator[tuple[Path, Kind]]:
    """Everything kept, folder by folder; hidden names are work in progress."""
    of_folder = {kind.folder: kind for kind in KINDS.values()}
    for name, kind in of_folder.items():
        inside = sorted((folder / name).iterdir()) if (folder / name).is_dir() else []
        yield from ((path, kind) for path in inside if not path.name.startswith("."))


def _name(path: Path) -> str:
    return path.stem if path.is_file() else path.name


def _told(path: Path, kind: Kind) -> str:
    """What an entry is; one that cannot be read is listed too, so that it can be removed."""
    try:
        return kind.described(path)
    except DataError as error:
        return f"damaged: {error}"


def _unknown(what: str, given: str, known: Iterable[str]) -> str:
    names = list(known)
    near = get_close_matches(given, names, 1)
    meant = f"; did you mean {near[0]}?" if near else ""
    return f"no {what} {given!r}{meant} There is: {', '.join(names) or 'nothing'}."


def _tell_nobody(_file: str, _read_bytes: int, _all_bytes: int) -> None:
    """Nobody watches."""
