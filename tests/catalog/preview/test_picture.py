"""The picture for documents: what stands on it, and that it says what is missing."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest

matplotlib = pytest.importorskip("matplotlib", reason="no matplotlib: a picture needs it")

from matplotlib.collections import PathCollection
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.image import imread

from geoengine.catalog import read
from geoengine.catalog.preview.picture import PictureError, draw
from geoengine.catalog.preview.scene import Scene, scene_of
from geoengine.catalog.preview.sheet import TOWN, round_length
from geoengine.core.units import DEGREE_M
from tests.catalog.preview.scenes import SHOPS, streets
from tests.catalog.writing import write

SIZE_PX = (900, 700)


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return scene_of(read(streets(tmp_path)))


def rendered(figure: Figure) -> np.ndarray:
    """Its pixels, shape (height, width, 3)."""
    file = io.BytesIO()
    figure.savefig(file, format="png")
    file.seek(0)
    pixels: np.ndarray = imread(file)[..., :3]
    return pixels


def words(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.texts] + [
        text.get_text() for axes in figure.axes for text in axes.texts
    ]


def test_the_picture_has_the_size_asked_for(scene: Scene):
    assert rendered(draw(scene, "shops", SIZE_PX, dpi=100)).shape == (700, 900, 3)


def test_the_title_the_names_the_lengths_and_the_legend_stand_on_it(scene: Scene):
    figure = draw(scene, "shops", SIZE_PX)
    told = words(figure)
    assert told[:2] == [
        "Zones of shops",
        f"4 areas: 2 city, 1 countryside, 1 no store; catalogue {scene.version}",
    ]
    assert {"Maison Rivoli", "Les Halles", "Gordes", "The yard", "200 km", "100 m"} <= set(told)
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == [
        "city", "countryside", "no store", "the circle without roads", "towns (GeoNames)",
    ]  # fmt: skip


def test_few_areas_have_a_plate_each_and_many_have_none(scene: Scene, tmp_path: Path):
    assert len(draw(scene, "shops", SIZE_PX).axes) == 1 + len(scene)
    rows = "".join(f"s{ix},S,48.85,{2 + ix / 100}\n" for ix in range(30))
    text = "stores:\n  - import: s.csv\n    defaults: {setting: city}\n"
    many = scene_of(read(write(tmp_path, {"a.yaml": text, "s.csv": "id,name,lat,lon\n" + rows})))
    assert len(draw(many, "many", SIZE_PX).axes) == 1


def test_compared_circles_and_reaches_stand_side_by_side(scene: Scene):
    left, right, *plates = draw(scene, "shops", SIZE_PX, is_compared=True).axes
    assert [left.texts[0].get_text(), right.texts[0].get_text()] == ["Circle", "Reach in force"]
    assert len(plates) == 4


def test_a_plate_shows_the_reach_with_its_hole_and_the_circle_dashed(scene: Scene):
    figure = draw(scene, "shops", (1600, 1200), dpi=100)
    _all, plate, *_others = figure.axes
    assert plate.texts[0].get_text() == "Maison Rivoli"
    pixels = rendered(figure)

    def colour(east_m: float, north_m: float) -> str:
        x, y = plate.transData.transform((east_m, north_m - offset_m))
        return to_hex(pixels[1199 - round(y), round(x)])

    hole = scene.shapes[0].interiors[0].centroid
    east_m = (hole.x - scene.lon_deg[0]) * DEGREE_M * np.cos(np.radians(scene.lat_deg[0]))
    offset_m = (middle_north(scene) - scene.lat_deg[0]) * DEGREE_M
    assert colour(east_m, 0) == TOWN  # as all of Paris
    assert colour(-east_m, 0) != TOWN  # inside the reach
    assert colour(0, -220) == TOWN  # inside the circle, between two arms
    dashed = [one for one in plate.collections if one.get_linestyle()[0][1] is not None]
    assert [len(one.get_paths()) for one in dashed if isinstance(one, PathCollection)] == [2]


def middle_north(scene: Scene) -> float:
    """Latitude of the middle of the first plate, which holds reach and circle."""
    half = 300 / DEGREE_M
    south = min(scene.shapes[0].bounds[1], scene.lat_deg[0] - half)
    north = max(scene.shapes[0].bounds[3], scene.lat_deg[0] + half)
    return (south + north) / 2


def test_a_name_with_a_sign_of_formulas_is_a_name(tmp_path: Path):
    directory = streets(tmp_path, SHOPS.replace("Les Halles", "'Only 1$ or 2$ _{x'"))
    figure = draw(scene_of(read(directory)), "a$b$", SIZE_PX)
    assert rendered(figure).std() > 0
    assert r"Only 1\$ or 2\$ _{x" in words(figure)


def test_nothing_to_draw_is_said(tmp_path: Path):
    scene = scene_of(read(streets(tmp_path)), ["nobody"])
    with pytest.raises(PictureError, match="expected at least one store or zone"):
        draw(scene, "nobody", SIZE_PX)


def test_a_picture_too_small_for_its_letters_is_refused(scene: Scene):
    with pytest.raises(PictureError, match=r"leave no room beside the letters: .* 525 x 692"):
        draw(scene, "shops", (300, 300), dpi=300)


def test_the_length_of_the_bar_is_round():
    for most_m in np.geomspace(10, 4e7, 200):
        length_m = round_length(most_m)
        assert most_m / 2.51 <= length_m <= most_m
        assert f"{length_m:.0e}"[0] in "125"
