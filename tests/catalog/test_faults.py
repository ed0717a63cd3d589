"""Everything that can be wrong in a catalogue: said with its place and what was expected."""

from __future__ import annotations

from pathlib import Path

import pytest

from geoengine.catalog import load
from geoengine.core.errors import ConfigurationError
from tests.catalog.writing import CAMPAIGN, STORES, faults, reading, store, write
from tests.catalog.wrong import FAULTS


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [pytest.param(text, place, words, id=name) for name, (text, place, *words) in FAULTS.items()],
)
def test_a_fault_is_told_with_its_place(tmp_path: Path, text: str, place: str, words: list[str]):
    found = faults(tmp_path, text)
    here = [fault for fault in found if fault.startswith(f"{place}: ")]
    assert here, found
    assert any(all(word in fault for word in words) for fault in here), here


def test_the_catalogue_around_the_faults_has_none_itself(tmp_path: Path):
    assert faults(tmp_path, store() + CAMPAIGN) == []


def test_a_store_far_from_where_the_retailer_trades_may_be_swapped(tmp_path: Path):
    """The middle of Toulouse, the other way round, lies on land in Somalia."""
    shops = "".join(
        f"  - {{id: s{i}, name: S, location: {{lat: 48.8{i}, lon: 2.3}}}}\n" for i in range(6)
    )
    toulouse = "  - {id: t, name: T, location: {lat: 1.44, lon: 43.60}}\n"
    (fault,) = faults(tmp_path, f"stores:\n{shops}{toulouse}")
    assert fault.startswith("8:32: lat 1.44, lon 43.6 lies in Africa/Mogadishu")
    assert "in Europe/Paris the other way round" in fault


def test_a_place_that_looks_swapped_is_taken_where_its_time_zone_is_written(tmp_path: Path):
    text = store("time_zone: Indian/Mauritius", location="{lat: 2.33, lon: 48.87}")
    assert faults(tmp_path, text) == []


def test_all_faults_of_all_files_are_told_at_once(tmp_path: Path):
    write(
        tmp_path,
        {
            "a.yaml": store("setting: town", "hourz: x", "reach: {minutes: 0}"),
            "b.yaml": "campaigns:\n  - id: c\n    on: entered\n    levers: []\n    message: {}\n",
            "c.yaml": "a: [",
            "d.yaml": "zones:\n  - {id: z}\n",
        },
    )
    with pytest.raises(ConfigurationError) as raised:
        reading(tmp_path, (tmp_path / "a.yaml").read_text())
    lines = {(Path(fault.file).name, fault.line) for fault in raised.value.faults}
    assert {
        ("a.yaml", 11),
        ("a.yaml", 12),
        ("a.yaml", 13),
        ("b.yaml", 3),
        ("b.yaml", 4),
        ("b.yaml", 5),
        ("d.yaml", 2),
    } <= lines
    assert "c.yaml" in {file for file, _line in lines}
    assert raised.value.faults == sorted(raised.value.faults)


def test_what_stands_beside_a_fault_is_checked_as_well(tmp_path: Path):
    told = faults(
        tmp_path,
        "stores:\n"
        "  - id: one\n"
        "    nam: One\n"
        '    hours: "Mo-Fr 8-20"\n'
        "  - {id: one, name: Two, location: {lat: 48.8, lon: 2.3}}\n"
        "campaigns:\n"
        "  - id: c\n"
        "    on: entr\n"
        "    zones: {tags: [nope], stores: [one]}\n"
        "    levers: [psh]\n"
        "    audience: 'status = 3'\n"
        '    message: {fr: "{stor}"}\n',
    )
    assert [(int(f.split(":")[0]), f.split(": ", 1)[1].split(" ")[0]) for f in told] == [
        (2, "store"),
        (2, "store"),
        (3, "`nam`"),
        (4, "hours"),
        (5, "id"),
        (8, "on"),
        (9, "tag"),
        (10, "levers"),
        (11, "audience"),
        (12, "placeholder"),
    ]


def test_a_fault_of_a_store_is_not_told_again_of_those_who_name_it(tmp_path: Path):
    text = store("hours: 8-20") + CAMPAIGN + "    zones: {stores: [opera]}\n"
    assert len(faults(tmp_path, text)) == 1


def test_an_engine_key_in_two_files_names_both(tmp_path: Path):
    write(tmp_path, {"b.yaml": "engine: {max_age: 10m}\n"})
    (fault,) = faults(tmp_path, "engine: {max_age: 5m, state: 'local:x.db'}\n")
    assert fault.startswith("b.yaml:1:10: engine.max_age stands in ")
    assert "a.yaml:1 too" in fault


def test_engine_keys_of_several_files_make_one_engine(tmp_path: Path):
    write(tmp_path, {"b.yaml": "engine: {visit_group: 1h}\n"})
    engine = reading(tmp_path, f"{STORES}engine: {{max_age: 10m}}\n").book.engine
    assert (engine.max_age_ms, engine.visit_group_ms) == (600_000, 3_600_000)


@pytest.mark.parametrize("text", ["", "stores: []\n", "engine: {max_age: 10m}\n"])
def test_a_catalogue_without_a_store_or_zone_is_a_fault(tmp_path: Path, text: str):
    write(tmp_path, {"half-written.yaml": text})
    with pytest.raises(ConfigurationError, match=r"half-written.yaml:1:1: nothing to be near"):
        load(tmp_path)


def test_a_directory_without_yaml_is_a_fault(tmp_path: Path):
    write(tmp_path, {"README.md": "nothing"})
    with pytest.raises(ConfigurationError, match="no catalogue here"):
        load(tmp_path)
