"""The scene as a picture for documents: one sheet for all; where areas are few, a plate for each.

matplotlib draws it, which is no part of the engine: whoever wants pictures installs it.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import numpy as np
import shapely
from numpy.typing import NDArray

from geoengine.catalog.preview.scene import ALONE, SETTINGS, Scene, circles
from geoengine.catalog.setting.fallback import Places
from geoengine.core.columns import Bools, Floats
from geoengine.core.errors import GeoengineError
from geoengine.core.units import DEGREE_M

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PLATES_MAX = 12  # areas that get a plate of their own; more would be stamps
DOTTED_MIN = 300  # areas from which on a mark is a dot
NAMED_MAX = 40  # areas that get their name on the sheet
MARGIN = 1.12  # of what is shown, around it
SIDE_MIN_M = (
    200.0  # from the middle to an edge; a single small shop still stands in a street or two
)

# Of a picture, in points of 1/72 inch: around it, over its sheets, under them, between them.
SIDE_PT, HEAD_PT, FOOT_PT, GAP_PT = 18.0, 52.0, 24.0, 4.0
SHEET_MIN_PT = 90.0  # a smaller sheet has no room for its name and its scale
PLATES_SHARE = 0.5  # of the height, where there are plates

PAPER, LAND, TOWN, INK, FAINT = "#fbf9f4", "#f4f0e6", "#e9e1cf", "#26231e", "#655f54"
TINTS = {"city": "#2f4f9a", "suburb": "#a85a0c", "countryside": "#23724f", ALONE: "#7a3e72"}
MARKS = {"city": "o", "suburb": "D", "countryside": "^", ALONE: "s"}
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


class Sheet(NamedTuple):
    """A piece of the Earth flat enough to be drawn: metres from its middle."""

    lon_deg: float
    lat_deg: float
    east_m: float  # from the middle to the eastern edge
    north_m: float
    m_of_px: float

    def flat(self, degrees: Floats) -> Floats:
        """Longitudes and latitudes, (N, 2), as metres east and north, true to scale in the middle.

        Mercator: forms stay true however far the sheet goes.
        """
        stretch = np.cos(np.radians(self.lat_deg))
        east = (degrees[:, 0] - self.lon_deg) * DEGREE_M * stretch
        north = (_mercator(degrees[:, 1]) - _mercator(np.array(self.lat_deg))) * DEGREE_M * stretch
        return np.stack([east, north], axis=1)


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
            _sheet(figure.add_axes(place), scene, whole, view, words, is_named=True)
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
        layout.side, layout.top + 38 * line, f"Zones of {_plain(title)}", fontsize=15, va="top",
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
        _sheet(figure.add_axes(place), scene, only, "both", scene.names[ix], is_named=False)


def _sheet(
    axes: Axes, scene: Scene, chosen: Bools, view: str, words: str, *, is_named: bool
) -> None:
    """Draw a piece of the Earth as large as the chosen areas need, and all that lies on it."""
    outlines = _outlines(scene)
    sheet = _sheet_of(axes, np.concatenate([outlines[chosen], scene.shapes[chosen]]))
    _furnish(axes, sheet)
    _shade(axes, sheet, scene.towns)
    areas = outlines if view == "circle" else scene.shapes
    is_seen = scene.radius_m > sheet.m_of_px
    settings = np.array(scene.settings)
    for setting in SETTINGS:
        rows = settings == setting
        _fill(axes, sheet, areas[rows & is_seen], TINTS[setting])
        east, north = sheet.flat(np.stack([scene.lon_deg[rows], scene.lat_deg[rows]], axis=1)).T
        size, edge = (20, 0.6) if len(scene) <= DOTTED_MIN else (2, 0.0)
        axes.scatter(
            east, north, size, TINTS[setting], marker=MARKS[setting], linewidths=edge,
            edgecolors=LAND, zorder=4,
        )  # fmt: skip
    if view == "both":
        _dash(axes, sheet, outlines[~scene.is_circle & is_seen])
    if words:
        _name_sheet(axes, words)
    if is_named and len(scene) <= NAMED_MAX:
        _name_areas(axes, sheet, scene)
    _scale_bar(axes, sheet)


def _outlines(scene: Scene) -> NDArray[np.object_]:
    """The circle of each area; none of a drawn polygon."""
    outlines = np.full(len(scene), shapely.Polygon(), object)
    rows = np.flatnonzero(~np.isnan(scene.circle_m))
    outlines[rows] = circles(scene.lon_deg[rows], scene.lat_deg[rows], scene.circle_m[rows])
    return outlines


def _sheet_of(axes: Axes, areas: NDArray[np.object_]) -> Sheet:
    """The piece of the Earth that holds the areas, in the form that the axes have."""
    corners = shapely.get_coordinates(areas)
    west, south = corners.min(axis=0)
    east, north = corners.max(axis=0)
    lat_deg = _latitude(_mercator(np.array([south, north])).mean())
    middle = Sheet((west + east) / 2, lat_deg, 0.0, 0.0, 0.0)
    east_m, north_m = np.abs(middle.flat(corners)).max(axis=0).tolist()
    box = axes.get_window_extent()
    half_px = np.array([box.width, box.height]) / 2
    m_of_px = float(max(MARGIN * np.max([east_m, north_m] / half_px), SIDE_MIN_M / half_px.min()))
    east_m, north_m = (m_of_px * half_px).tolist()
    return middle._replace(east_m=east_m, north_m=north_m, m_of_px=m_of_px)


def _furnish(axes: Axes, sheet: Sheet) -> None:
    axes.set_facecolor(LAND)
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_color(INK)
        spine.set_linewidth(0.8)
    axes.set_xlim(-sheet.east_m, sheet.east_m)
    axes.set_ylim(-sheet.north_m, sheet.north_m)


def _shade(axes: Axes, sheet: Sheet, towns: Places) -> None:
    from matplotlib.collections import EllipseCollection

    across = 2 * towns.radius_m
    middles = sheet.flat(np.stack([towns.lon_deg, towns.lat_deg], axis=1))
    axes.add_collection(
        EllipseCollection(
            across, across, np.zeros(len(across)), units="xy", offsets=middles,
            offset_transform=axes.transData, facecolors=TOWN, linewidths=0, zorder=1,
        )
    )  # fmt: skip


def _fill(axes: Axes, sheet: Sheet, areas: NDArray[np.object_], tint: str) -> None:
    from matplotlib.collections import PathCollection

    paths = [_path(sheet, area) for area in areas if not area.is_empty]
    axes.add_collection(PathCollection(paths, facecolor=tint, alpha=0.16, lw=0, zorder=2))
    axes.add_collection(PathCollection(paths, facecolor="none", edgecolor=tint, lw=0.8, zorder=3))


def _dash(axes: Axes, sheet: Sheet, outlines: NDArray[np.object_]) -> None:
    from matplotlib.collections import PathCollection

    paths = [_path(sheet, outline) for outline in outlines if not outline.is_empty]
    dashed: Any = (0, (4, 3))
    axes.add_collection(
        PathCollection(paths, facecolor="none", edgecolor=INK, lw=0.6, ls=dashed, zorder=3)
    )


def _path(sheet: Sheet, area: shapely.Geometry) -> Any:
    """The rings of an area as one path; holes run the other way round and stay empty."""
    from matplotlib.path import Path as Drawn

    rings = shapely.get_rings(shapely.get_parts(shapely.normalize(area)))
    drawn = [Drawn(sheet.flat(shapely.get_coordinates(ring)), closed=True) for ring in rings]
    return Drawn.make_compound_path(*drawn)


def _name_sheet(axes: Axes, words: str) -> None:
    axes.text(
        0.03, 0.96, _short(words), transform=axes.transAxes, va="top", fontsize=7.5, color=INK,
        style="italic", bbox={"fc": LAND, "ec": "none", "alpha": 0.8, "pad": 1.5}, zorder=6,
        clip_on=True,
    )  # fmt: skip


def _name_areas(axes: Axes, sheet: Sheet, scene: Scene) -> None:
    """Names beside their marks, in order; one that would lie on another is left out."""
    at = sheet.flat(np.stack([scene.lon_deg, scene.lat_deg], axis=1))
    apart = min(sheet.east_m, sheet.north_m) * 0.06
    written: list[tuple[float, float]] = []
    for ix, (east, north) in enumerate(at.tolist()):
        if any(abs(north - n) < apart and abs(east - e) < 10 * apart for e, n in written):
            continue
        written.append((east, north))
        to_right = 1 if east < 0.5 * sheet.east_m else -1
        axes.annotate(
            _short(scene.names[ix]), (east, north), (5 * to_right, 0), fontsize=7, color=INK,
            textcoords="offset points", ha="left" if to_right > 0 else "right", va="center",
            style="italic", zorder=5, clip_on=True,
            bbox={"fc": LAND, "ec": "none", "alpha": 0.7, "pad": 0.6},
        )  # fmt: skip


def _short(name: str) -> str:
    """A name as it fits."""
    return _plain(name if len(name) <= 28 else f"{name[:27]}…")


def _plain(text: str) -> str:
    """Text in which the sign that begins a formula is a sign like any other."""
    return text.replace("$", r"\$")


def _scale_bar(axes: Axes, sheet: Sheet) -> None:
    length_m = round_length(0.5 * min(sheet.east_m, 1.5 * sheet.north_m))
    point_m = sheet.m_of_px * axes.figure.dpi / 72  # a printer's point
    left, low = 8 * point_m - sheet.east_m, 8 * point_m - sheet.north_m
    thick = 3 * point_m
    for quarter in range(4):
        axes.add_patch(_bar(left + quarter * length_m / 4, low, length_m / 4, thick, quarter))
    words = f"{length_m:,.0f} m" if length_m < 1_000 else f"{length_m / 1_000:,.0f} km"
    axes.text(left, low + 2 * thick, words, fontsize=6.5, color=INK, zorder=6, clip_on=True)


def _bar(left: float, low: float, width: float, height: float, quarter: int) -> Any:
    from matplotlib.patches import Rectangle

    return Rectangle(
        (left, low), width, height, fc=INK if quarter % 2 == 0 else PAPER, ec=INK, lw=0.5, zorder=6
    )


def round_length(most_m: float) -> float:
    """The longest round length that is no longer than this, metres.

    >>> [round_length(most_m) for most_m in (99.0, 100.0, 4_999.0)]
    [50.0, 100.0, 2000.0]
    """
    power = 10.0 ** np.floor(np.log10(most_m))
    return float(next(digit * power for digit in (5, 2, 1) if digit * power <= most_m))


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


def _mercator(lat_deg: Floats) -> Floats:
    """Mercator's northing, in degrees of the equator; ends before the poles do."""
    bounded = np.clip(lat_deg, -85, 85)
    northing: Floats = np.degrees(np.arctanh(np.sin(np.radians(bounded))))
    return northing


def _latitude(northing: float) -> float:
    return float(np.degrees(np.arcsin(np.tanh(np.radians(northing)))))
