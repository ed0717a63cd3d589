"""`geoengine zones DIR`: the compiled zones as GeoJSON."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

import click
import msgspec

from geoengine.catalog import zones_geojson
from geoengine.cli.check import read_or_exit


@click.command()
@click.argument("directory", type=click.Path(exists=True, path_type=Path))
@click.option("--out", type=click.File("wb"), default="-", help="A file instead of the terminal.")
def command(directory: Path, out: BinaryIO) -> None:
    """Write the zones of the catalogue in DIRECTORY as GeoJSON; circles become polygons."""
    book = read_or_exit(directory).book
    out.write(msgspec.json.encode(zones_geojson(book)) + b"\n")
