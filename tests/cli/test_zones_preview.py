"""`geoengine zones preview`: a page, a picture, and what is said of both."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from geoengine.cli import main
from geoengine.core.space.cells import cell_areas_km2, cells_at
from tests.catalog.preview.scenes import streets
from tests.catalog.preview.test_page import Reader, told
from tests.catalog.writing import write


def run(*words: object) -> Result:
    return CliRunner().invoke(main, ["zones", "preview", *map(str, words)])


@pytest.fixture
def shops(tmp_path: Path) -> Path:
    return streets(tmp_path)


def test_the_page_is_written_and_counted(tmp_path: Path, shops: Path):
    out = tmp_path / "zones.html"
    result = run(shops, "--out", out)
    assert result.exit_code == 0
    assert result.output == f"{out}: 4 areas, 1 overlap, 0.1 MB\n"
    scene = told(Reader(out.read_text(encoding="utf-8")))
    assert scene["ids"] == ["rivoli", "halles", "gordes", "yard"]
    assert (scene["title"], scene["isCompared"]) == ("shops", False)


def test_the_stores_asked_for_are_drawn_and_compared(tmp_path: Path, shops: Path):
    out = tmp_path / "zones.html"
    assert (
        run(shops, "--out", out, "--store", "gordes", "--store", "halles", "--compare").exit_code
        == 0
    )
    scene = told(Reader(out.read_text(encoding="utf-8")))
    assert (scene["ids"], scene["isCompared"]) == (["halles", "gordes"], True)


def test_an_unknown_store_is_answered_with_a_guess(shops: Path, tmp_path: Path):
    result = run(shops, "--out", tmp_path / "z.html", "--store", "gorde")
    assert result.exit_code == 2
    assert "no store `gorde`; did you mean `gordes`?" in result.output
    assert not (tmp_path / "z.html").exists()


def test_a_bad_catalogue_is_not_drawn(tmp_path: Path):
    result = run(write(tmp_path, {"a.yaml": "store: []"}), "--out", tmp_path / "z.html")
    assert result.exit_code == 1
    assert "a.yaml:1:1: `store` is not a key" in result.output
    assert not (tmp_path / "z.html").exists()


@pytest.mark.parametrize("option", ["--out", "--png"])
def test_a_file_that_cannot_be_written_is_said(tmp_path: Path, shops: Path, option: str):
    pytest.importorskip("matplotlib", reason="no matplotlib: a picture needs it")
    words = {"--out": tmp_path / "z.html"} | {option: tmp_path / "nowhere" / "z"}
    result = run(shops, *(word for pair in words.items() for word in pair))
    assert result.exit_code == 1
    assert f"{tmp_path}/nowhere/z cannot be written: No such file or directory" in result.output


def test_a_picture_is_as_large_as_asked(tmp_path: Path, shops: Path):
    pytest.importorskip("matplotlib", reason="no matplotlib: a picture needs it")
    png = tmp_path / "zones.png"
    result = run(
        shops, "--out", tmp_path / "z.html", "--png", png, "--size", "640x480", "--dpi", 90
    )
    assert result.exit_code == 0
    assert f"{png}: 640 x 480 pixels" in result.output
    head = png.read_bytes()[:24]
    assert head[1:4] == b"PNG"
    assert [int.from_bytes(head[at : at + 4], "big") for at in (16, 20)] == [640, 480]


@pytest.mark.parametrize("size", ["640", "640x", "10x480", "640x99999", "axb"])
def test_a_size_that_is_none_is_refused(tmp_path: Path, shops: Path, size: str):
    result = run(shops, "--out", tmp_path / "z.html", "--size", size)
    assert result.exit_code == 2
    assert "expected two numbers of pixels, 200 to 20,000, as 1600x1200" in result.output


def test_without_matplotlib_there_is_a_page_and_word_of_what_to_install(
    tmp_path: Path, shops: Path
):
    script = (
        "import sys; sys.modules['matplotlib'] = None\n"
        "from geoengine.cli import main\n"
        f"main(['zones', 'preview', {str(shops)!r}, '--out', {str(tmp_path / 'z.html')!r}, "
        f"'--png', {str(tmp_path / 'z.png')!r}])\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 1
    assert "a picture needs matplotlib: pip install 'geoengine[preview]'" in done.stderr
    assert (tmp_path / "z.html").exists()


def test_people_are_told_where_a_grid_that_counts_them_was_added(tmp_path: Path, shops: Path):
    lon_deg, lat_deg = np.meshgrid(np.arange(2.25, 2.45, 0.002), np.arange(48.8, 48.92, 0.002))
    keys = np.unique(cells_at(lon_deg.ravel(), lat_deg.ravel(), 8))
    people = (20_000 * cell_areas_km2(keys)).round()
    rows = [f"{key:x},{count:.0f}" for key, count in zip(keys.tolist(), people, strict=True)]
    csv = tmp_path / "paris.csv"
    csv.write_text("\n".join(["h3,population", *rows, ""]))
    added = CliRunner().invoke(
        main, ["data", "add", "h3", str(csv), "--data", str(tmp_path / "data")]
    )
    assert added.exit_code == 0, added.output
    out = tmp_path / "z.html"
    assert run(shops, "--out", out).exit_code == 0
    people = dict(
        zip(*(told(Reader(out.read_text()))[key] for key in ("ids", "people")), strict=True)
    )
    assert people["halles"] == pytest.approx(20_000 * np.pi * 0.09, rel=0.02)
    assert people["gordes"] is None  # the grid is of Paris


def test_a_damaged_grid_is_said(tmp_path: Path, shops: Path):
    (tmp_path / "data" / "density").mkdir()
    (tmp_path / "data" / "density" / "h3-x.npz").write_bytes(b"not a grid")
    result = run(shops, "--out", tmp_path / "z.html")
    assert result.exit_code == 1
    assert "h3-x.npz" in result.output
