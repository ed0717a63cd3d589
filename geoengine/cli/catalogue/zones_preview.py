"""`geoengine zones preview DIR`: the zones to look at, as a page and as a picture."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import click

from geoengine.catalog import Reading
from geoengine.catalog.density import kept
from geoengine.catalog.density.kept import Grid
from geoengine.catalog.preview.page import page
from geoengine.catalog.preview.picture import PictureError, draw
from geoengine.catalog.preview.scene import Scene, scene_of
from geoengine.catalog.reading.report import suggestion
from geoengine.cli.catalogue.check import read_or_exit
from geoengine.core.errors import DataError

SIDE_MIN_PX, SIDE_MAX_PX = 200, 20_000  # a smaller picture shows nothing, a larger one fills memory
_SIZE: Final = re.compile(r"([0-9]{1,6})x([0-9]{1,6})")


def _size(_: click.Context, __: click.Parameter, text: str) -> tuple[int, int]:
    found = _SIZE.fullmatch(text)
    sides = (int(found[1]), int(found[2])) if found else (0, 0)
    if not all(SIDE_MIN_PX <= side <= SIDE_MAX_PX for side in sides):
        limits = f"{SIDE_MIN_PX} to {SIDE_MAX_PX:,}"
        raise click.BadParameter(f"{text}: expected two numbers of pixels, {limits}, as 1600x1200")
    return sides


@click.command(name="preview")
@click.argument("directory", type=click.Path(exists=True, path_type=Path))
@click.option(
    "--out", type=click.Path(dir_okay=False, path_type=Path), default="zones.html",
    show_default=True, metavar="FILE", help="The page.",
)  # fmt: skip
@click.option(
    "--png", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
    help="A picture as well, for documents (needs matplotlib: the extra `preview`).",
)  # fmt: skip
@click.option(
    "--store", "store_ids", multiple=True, metavar="ID",
    help="Only this store; as often as there are stores to show.",
)  # fmt: skip
@click.option(
    "--compare", "is_compared", is_flag=True, help="Open with circle and reach side by side."
)
@click.option(
    "--size", "size_px", callback=_size, default="1600x1200", show_default=True,
    metavar="WIDTHxHEIGHT", help="Of the picture, in pixels.",
)  # fmt: skip
@click.option(
    "--dpi", type=click.IntRange(50, 600), default=150, show_default=True,
    help="Of the picture: the more, the larger its letters and lines among so many pixels.",
)  # fmt: skip
def command(
    directory: Path,
    out: Path,
    png: Path | None,
    store_ids: tuple[str, ...],
    is_compared: bool,
    size_px: tuple[int, int],
    dpi: int,
) -> None:
    """Draw the zones of the catalogue in DIRECTORY on one page that needs no network.

    Each store's reach in force beside the circle that it would be without roads; its setting and
    the reason for both; whose reaches overlap; how many people live in them, where a density grid
    that counts people was added. Open the page in any browser, send it to anybody.
    """
    reading = read_or_exit(directory)
    _require_known(reading, store_ids)
    title = directory.resolve().name
    scene = scene_of(reading, store_ids, _grids(reading))
    _write(out, page(scene, title, is_compared))
    click.echo(f"{out}: {_told(scene)}, {out.stat().st_size / 1e6:,.1f} MB")
    if png is not None:
        _draw(png, scene, title, size_px, dpi, is_compared)
        click.echo(f"{png}: {size_px[0]} x {size_px[1]} pixels")


def _require_known(reading: Reading, store_ids: Sequence[str]) -> None:
    known = reading.book.store_ix_of
    for store_id in store_ids:
        if store_id not in known:
            guess = suggestion(store_id, known) or ": expected the id of a store"
            raise click.BadParameter(f"no store `{store_id}`{guess}", param_hint="--store")


def _grids(reading: Reading) -> list[Grid]:
    """The density grids in the catalogue's data folder."""
    try:
        return kept.load(Path(reading.book.engine.spec.data))
    except DataError as error:
        raise click.ClickException(str(error)) from error


def _told(scene: Scene) -> str:
    pairs = len(scene.overlaps.first_ix) + scene.overlaps.unlisted_count
    areas = f"{len(scene):,} area{'s' * (len(scene) != 1)}"
    return f"{areas}, {pairs:,} overlap{'s' * (pairs != 1)}"


def _write(path: Path, content: bytes) -> None:
    try:
        path.write_bytes(content)
    except OSError as error:
        raise click.ClickException(f"{path} cannot be written: {error.strerror}") from error


def _draw(
    path: Path, scene: Scene, title: str, size_px: tuple[int, int], dpi: int, is_compared: bool
) -> None:
    try:
        draw(scene, title, size_px, dpi, is_compared).savefig(path, format="png")
    except PictureError as error:
        raise click.ClickException(str(error)) from error
    except OSError as error:
        raise click.ClickException(f"{path} cannot be written: {error.strerror}") from error
