"""The scene as a picture for documents: one sheet for all; where areas are few, a plate for each.

matplotlib draws it, which is no part of the engine: whoever wants pictures installs it.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import numpy as np

from geoengine.catalog.preview.scene import ALONE, SETTINGS, Scene
from geoengine.catalog.preview.sheet import (
    FAINT,
    INK,
    MARKS,
    PAPER,
    TINTS,
    TOWN,
    draw_sheet,
    plain,
)
from geoengine.core.errors import GeoengineError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PLATES_MAX = 12  # areas that get a plate of their own; more would be stamps

# Of a picture, in points of 1/72 inch: around it, over its sheets, under them, between them.
SIDE_PT, HEAD_PT, FOOT_PT, GAP_PT = 18.0, 52.0, 24.0, 4.0
SHEET_MIN_PT = 90.0  # a smaller sheet has no room for its name and its scale
PLATES_SHARE = 0.5  # of the height, where there are plates

WORDS = {ALONE: "no store"}

Place: TypeAlias = tuple[float, float, float, float]  # left, bottom, width, height; 1 is all


class PictureError(GeoengineError):
    """The picture cannot be drawn here; the text says what is missing."""


class Layout(NamedTuple):
    """Where things stand on the picture, as shares of its width and height."""

    side: float  # empty, left and right
    top: float  # where the title ends
    bottom: float  # where the legend ends
    gap_x: float  # between sheets
    gap_y: float

    @property
    def parting(self) -> float:
        """Where plates end, if there are any."""
        return self.bottom + PLATES_SHARE * (self.top - self.bottom)


def draw(
    scene: Scene,
    title: str,
    size_px: tuple[int, int],
    dpi: int = 150,
    is_compared: bool = False,
) -> Figure:
    """The picture, to be saved with ``savefig``.

    Raises `PictureError` where matplotlib is not installed, or there is nothing to draw.
    """
    if not len(scene):
        raise PictureError("no area to draw: expected at least one store or zone")
    layout = _layout(size_px, dpi)
    figure = _figure(size_px, dpi)
    with _in_serif():
        _title(figure, layout, scene, title)
        has_plates = 1 < len(scene) <= PLATES_MAX
        for place, view, words in _main_sheets(layout, has_plates, is_compared):
            whole = np.ones(len(scene), bool)
            draw_sheet(figure.add_axes(place), scene, whole, view, words, is_named=True)
        if has_plates:
            _plates(figure, layout, scene)
        _legend(figure, layout, scene)
    return figure


def _layout(size_px: tuple[int, int], dpi: int) -> Layout:
    """Letters have a size of their own, so what stands around the sheets has one, too."""
    wide, high = (72 * side / dpi for side in size_px)
    if min(wide - 2 * SIDE_PT, high - HEAD_PT - FOOT_PT) < SHEET_MIN_PT:
        needed = [round(x * dpi / 72) for x in (2 * SIDE_PT, HEAD_PT + FOOT_PT)]
        sheet_px = round(SHEET_MIN_PT * dpi / 72)
        raise PictureError(
            f"{size_px[0]} x {size_px[1]} pixels at {dpi} dpi leave no room beside the letters: "
            f"expected at least {needed[0] + sheet_px} x {needed[1] + sheet_px}, or fewer dpi"
        )
    return Layout(SIDE_PT / wide, 1 - HEAD_PT / high, FOOT_PT / high, GAP_PT / wide, GAP_PT / high)


def _title(figure: Figure, layout: Layout, scene: Scene, title: str) -> None:
    line = layout.gap_y / GAP_PT  # a point
    figure.text(
        layout.side, layout.top + 38 * line, f"Zones of {plain(title)}", fontsize=15, va="top",
        color=INK,
    )  # fmt: skip
    figure.text(
        layout.side, layout.top + 16 * line, _subtitle(scene), fontsize=8.5, va="top", color=FAINT
    )


def _figure(size_px: tuple[int, int], dpi: int) -> Figure:
    """An empty sheet of paper, of no window and no state that others share."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise PictureError(
            "a picture needs matplotlib: pip install 'geoengine[preview]'"
        ) from error
    figure = Figure(figsize=(size_px[0] / dpi, size_px[1] / dpi), dpi=dpi, facecolor=PAPER)
    FigureCanvasAgg(figure)
    return figure


def _in_serif() -> AbstractContextManager[None]:
    """Letters as on a printed map."""
    from matplotlib import rc_context

    return rc_context({"font.family": "serif"})


def _subtitle(scene: Scene) -> str:
    counts = {name: scene.settings.count(name) for name in SETTINGS}
    told = ", ".join(
        f"{count:,} {WORDS.get(name, name)}" for name, count in counts.items() if count
    )
    return f"{len(scene):,} area{'s' * (len(scene) != 1)}: {told}; catalogue {scene.version}"


def _main_sheets(
    layout: Layout, has_plates: bool, is_compared: bool
) -> list[tuple[Place, str, str]]:
    """Where the sheets with all areas stand, what they show, and what stands over them."""
    bottom = layout.parting + layout.gap_y if has_plates else layout.bottom
    width, height = 1 - 2 * layout.side, layout.top - bottom
    if not is_compared:
        return [((layout.side, bottom, width, height), "both", "")]
    half = (width - layout.gap_x) / 2
    right = layout.side + half + layout.gap_x
    return [
        ((layout.side, bottom, half, height), "circle", "Circle"),
        ((right, bottom, half, height), "reach", "Reach in force"),
    ]


def _plates(figure: Figure, layout: Layout, scene: Scene) -> None:
    """One small sheet an area, at its own scale, in one row or two."""
    count = len(scene)
    rows = 1 if count <= 5 else 2
    columns = -(-count // rows)
    width = (1 - 2 * layout.side + layout.gap_x) / columns
    height = (layout.parting - layout.bottom + layout.gap_y) / rows
    for ix in range(count):
        left = layout.side + ix % columns * width
        bottom = layout.bottom + (rows - 1 - ix // columns) * height
        place = (left, bottom, width - layout.gap_x, height - layout.gap_y)
        only = np.arange(count) == ix
        draw_sheet(figure.add_axes(place), scene, only, "both", scene.names[ix], is_named=False)


def _legend(figure: Figure, layout: Layout, scene: Scene) -> None:
    from matplotlib.lines import Line2D

    handles = [
        Line2D(
            [], [], marker=MARKS[name], color=TINTS[name], lw=1, ms=5, label=WORDS.get(name, name)
        )
        for name in SETTINGS
        if name in scene.settings
    ]
    if not np.isnan(scene.agreement).all():
        handles.append(Line2D([], [], color=INK, lw=0.7, ls="--", label="the circle without roads"))
    if len(scene.towns.people):
        handles.append(Line2D([], [], marker="o", color=TOWN, lw=0, ms=7, label="towns (GeoNames)"))
    figure.legend(
        handles=handles, loc="lower left", bbox_to_anchor=(layout.side, 0.0),
        borderaxespad=0.4, borderpad=0.2, ncols=6, frameon=False,
        fontsize=7.5, labelcolor=INK, handlelength=1.6, columnspacing=1.6,
    )  # fmt: skip
