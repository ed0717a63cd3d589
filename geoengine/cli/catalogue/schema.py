"""`geoengine schema`: the JSON Schema with which editors check the catalogue."""

from __future__ import annotations

from typing import BinaryIO

import click
import msgspec

from geoengine.catalog import json_schema


@click.command()
@click.option("--out", type=click.File("wb"), default="-", help="A file instead of the terminal.")
def command(out: BinaryIO) -> None:
    """Write the JSON Schema of the catalogue's files.

    Point an editor at it with `# yaml-language-server: $schema=FILE` at the top of a file.
    """
    out.write(msgspec.json.format(msgspec.json.encode(json_schema()), indent=2) + b"\n")
