"""One sheet of the picture: a piece of the Earth, true to scale, with all that lies on it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import shapely
from numpy.typing import NDArray

from geoengine.catalog.preview.scene import ALONE, SETTINGS, Scene, circles
from geoengine.catalog.setting.fallback import Places
from geoengine.core.columns import Bools, Floats
from geoengine.core.units import DEGREE_M

if TYPE_CHECKING:
    from matplotlib.axes import Axes

DOTTED_MIN = 300  # areas from which on a mark is a dot ...
OUTLINED_PX, OUTLINED_AMONG_MANY_PX = 1.0, 10.0  # ... and a smaller reach has no outline
NAMED_MAX = 40  # areas that get their name on the sheet
MARGIN = 1.12  # of what is shown, around it
SIDE_MIN_M = 200.0  # from the middle to an edge: the smallest shop still stands in a street or two

# As on the page; marks repeat what tints say.
PAPER, LAND, TOWN, INK, FAINT = "#fbf9f4", "#f4f0e6", "#e9e1cf", "#26231e", "#655f54"
TINTS = {"city": "#2f4f9a", "suburb": "#a85a0c", "countryside": "#23724f", ALONE: "#7a3e72"}
MARKS = {"city": "o", "suburb": "D", "countryside": "^", ALONE: "s"}


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


def draw_sheet(
    axes: Axes, scene: Scene, chosen: Bools, view: str, words: str, *, is_named: bool
) -> None:
    """Draw a piece of the Earth as large as the chosen areas need, and all that lies on it."""
    outlines = _outlines(scene)
    sheet = _sheet_of(axes, np.concatenate([outlines[chosen], scene.shapes[chosen]]))
    _furnish(axes, sheet)
    _shade(axes, sheet, scene.towns)
    areas = outlines if view == "circle" else scene.shapes
    is_many = len(scene) > DOTTED_MIN
    least_px = OUTLINED_AMONG_MANY_PX if is_many else OUTLINED_PX
    is_seen = scene.radius_m > least_px * sheet.m_of_px
    settings = np.array(scene.settings)
    for setting in SETTINGS:
        rows = settings == setting
        _fill(axes, sheet, areas[rows & is_seen], TINTS[setting])
        east, north = sheet.flat(np.stack([scene.lon_deg[rows], scene.lat_deg[rows]], axis=1)).T
        size, edge = (2, 0.0) if is_many else (20, 0.6)
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
    return plain(name if len(name) <= 28 else f"{name[:27]}…")


def plain(text: str) -> str:
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


def _mercator(lat_deg: Floats) -> Floats:
    """Mercator's northing, in degrees of the equator; ends before the poles do."""
    bounded = np.clip(lat_deg, -85, 85)
    northing: Floats = np.degrees(np.arctanh(np.sin(np.radians(bounded))))
    return northing


def _latitude(northing: float) -> float:
    return float(np.degrees(np.arcsin(np.tanh(np.radians(northing)))))
