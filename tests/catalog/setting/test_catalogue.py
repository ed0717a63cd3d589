"""Settings in a catalogue: warnings and faults by line, and what `check` prints of them."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from geoengine.catalog.building.settings import DOUBTS_MAX
from geoengine.cli import main
from tests.catalog.setting.grids import add_cells, add_insee, commune, square
from tests.catalog.setting.test_decide import BEAUCE, RIVOLI
from tests.catalog.writing import faults, reading, write

NEAR_READING = 51.424, -1.036  # motorway services: city by a little


def catalogue(data: Path, *rows: tuple[str, tuple[float, float], str]) -> str:
    """Stores, by id, place and further keys; the first stands in line 2."""
    lines = [
        f"  - {{id: {name}, name: {name}, location: {{lat: {lat}, lon: {lon}}}{more}}}"
        for name, (lat, lon), more in rows
    ]
    return "\n".join(["stores:", *lines, f"engine: {{data: {data}}}", ""])


def warned(folder: Path, *rows: tuple[str, tuple[float, float], str]) -> list[str]:
    """The warnings as `line:column: what`."""
    found = reading(folder, catalogue(folder / "data", *rows)).warnings
    return [f"{fault.line}:{fault.column}: {fault.what}" for fault in found]


def check(folder: Path, *words: str) -> Result:
    return CliRunner().invoke(main, ["check", str(folder), *words])


def test_a_doubt_is_a_warning_where_the_store_stands(tmp_path: Path):
    (what,) = warned(tmp_path, ("a", RIVOLI, ""), ("b", NEAR_READING, ""))
    assert what.startswith("3:5: `b`: city by a little")


def test_a_doubted_word_is_a_warning_where_it_is_written(tmp_path: Path):
    (what,) = warned(tmp_path, ("a", RIVOLI, ", setting: countryside"))
    assert what.startswith("2:69: `a`: setting is countryside, but about 40,800 people")


@pytest.mark.parametrize("reach", ["{radius_m: 200}", "{polygon: area.geojson}"])
def test_a_reach_that_asks_for_no_setting_has_none_to_doubt(reach: str, tmp_path: Path):
    ring = "[[-1.04, 51.42], [-1.03, 51.42], [-1.03, 51.43], [-1.04, 51.42]]"
    area = f'{{"type": "Polygon", "coordinates": [{ring}]}}'
    write(tmp_path, {"area.geojson": area})
    assert warned(tmp_path, ("a", NEAR_READING, f", reach: {reach}")) == []


def test_a_word_settles_a_doubt(tmp_path: Path):
    for word in ("city", "suburb", "countryside"):
        assert warned(tmp_path, ("a", NEAR_READING, f", setting: {word}")) == []


def test_what_was_added_decides_and_is_told(tmp_path: Path):
    add_insee(tmp_path, commune(*BEAUCE, 1))
    add_cells(tmp_path, *BEAUCE, square(4, 4_000))
    text = catalogue(tmp_path / "data", ("a", BEAUCE, ""), ("b", BEAUCE, ", setting: suburb"))
    write(tmp_path, {"a.yaml": text})
    (tmp_path / "communes.geojson").unlink()
    shown = check(tmp_path).output
    assert "city: 12,600 people within 1 km, INSEE level 1" in shown
    assert "suburb, as written" in shown
    assert (
        "settings: 1 city, 1 suburb; where none is written, by INSEE, then Eurostat 2021, "
        "then the packaged places of the world" in shown
    )


def test_check_says_when_nothing_was_added(tmp_path: Path):
    write(tmp_path, {"a.yaml": catalogue(tmp_path / "data", ("a", RIVOLI, ""))})
    shown = check(tmp_path).output
    assert "settings: 1 city; where none is written, by the packaged places of the world" in shown
    assert f"no density grid in {tmp_path / 'data'} (`geoengine data add`)" in shown


def test_many_stores_are_counted_by_setting(tmp_path: Path):
    rows = [(f"s{ix}", (RIVOLI if ix % 3 else BEAUCE), "") for ix in range(60)]
    write(tmp_path, {"a.yaml": catalogue(tmp_path / "data", *rows)})
    assert "settings: 40 city, 20 countryside; where none is written, by" in check(tmp_path).output


def test_a_catalogue_without_stores_has_no_settings(tmp_path: Path):
    zone = "zones:\n  - {id: z, center: {lat: 48.8, lon: 2.3}, radius_m: 100}\n"
    write(tmp_path, {"a.yaml": zone})
    assert "settings:" not in check(tmp_path).output


def test_a_damaged_grid_is_a_fault_beside_all_others(tmp_path: Path):
    data = add_insee(tmp_path, commune(*RIVOLI, 1))
    (grid,) = (data / "density").iterdir()
    grid.write_bytes(grid.read_bytes()[:-100])
    text = catalogue(data, ("a", RIVOLI, ""), ("a", BEAUCE, ""))
    damaged, taken = sorted(faults(tmp_path, text), key=len, reverse=True)
    assert damaged.startswith("data:1:1: ")
    assert grid.name in damaged
    assert "geoengine data add" in damaged
    assert taken.startswith("3:10: id `a` is taken")
    assert check(tmp_path).exit_code == 1


def test_a_row_of_a_file_is_doubted_by_its_line(tmp_path: Path):
    lat, lon = NEAR_READING
    rows = f"id,name,lat,lon,setting\na,A,{lat},{lon},auto\nb,B,{lat},{lon},countryside\n"
    found = reading(tmp_path, "stores:\n  - import: s.csv\n", s__csv=rows)
    assert [(Path(fault.file).name, fault.line) for fault in found.warnings] == [("s.csv", 2)]
    assert [store.setting for store in found.book.stores] == ["city", "countryside"]


def test_doubts_by_the_thousand_leave_room_for_other_warnings(tmp_path: Path):
    lat, lon = NEAR_READING
    rows = "".join(f"s{ix},S,{lat},{lon}\n" for ix in range(DOUBTS_MAX + 7))
    text = "stores:\n  - import: s.csv\n"
    warnings = reading(tmp_path, text, s__csv="id,name,lat,lon\n" + rows).warnings
    assert len(warnings) == DOUBTS_MAX + 1
    last = warnings[-1]
    assert last.line == DOUBTS_MAX + 2  # the header is line 1
    assert last.what == "of 7 stores from here on the setting is in doubt too"
