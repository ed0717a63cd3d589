"""`geoengine zones`: the compiled zones as GeoJSON, their reaches built, and a look at them."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import BinaryIO

import click
import msgspec

from geoengine.catalog import zones_geojson
from geoengine.cli.catalogue.check import read_or_exit

DEFAULT = "write"  # `geoengine zones DIR` is short for `geoengine zones write DIR`
VIEWS = ("build", "preview")  # each in a file of its own, loaded when it is asked for


class Views(click.Group):
    """Commands by name; a directory in the place of a name is written as GeoJSON."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put in the name that was left out."""
        if args and args[0] not in (DEFAULT, *VIEWS, *ctx.help_option_names):
            args = [DEFAULT, *args]
        return super().parse_args(ctx, args)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """In the order in which one meets them."""
        return [DEFAULT, *VIEWS]

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        """The command in its file."""
        if name not in VIEWS:
            return super().get_command(ctx, name)
        found: click.Command = import_module(f"geoengine.cli.catalogue.zones_{name}").command
        return found


@click.group(
    cls=Views, options_metavar="", subcommand_metavar="[write | build | preview] DIRECTORY"
)
def command() -> None:
    """The zones of a catalogue: as GeoJSON, on real streets, on a page.

    `geoengine zones DIRECTORY [--out FILE]` is short for `write`. A directory with the name of a
    command is written as ./build.
    """


@command.command(DEFAULT, short_help="Write the zones as GeoJSON.")
@click.argument("directory", type=click.Path(exists=True, path_type=Path))
@click.option("--out", type=click.File("wb"), default="-", help="A file instead of the terminal.")
def write(directory: Path, out: BinaryIO) -> None:
    """Write the zones of the catalogue in DIRECTORY as GeoJSON; circles become polygons."""
    book = read_or_exit(directory).book
    out.write(msgspec.json.encode(zones_geojson(book)) + b"\n")
