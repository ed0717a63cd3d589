"""YAML: what the words mean, where they stand, and what is refused before it does harm."""

from __future__ import annotations

import time
import tracemalloc
from pathlib import Path

import pytest

from geoengine.catalog.reading.document import (
    DEPTH_MAX,
    FILE_MAX_BYTES,
    Refused,
    parse,
    read_document,
    scalar,
)

REFUSED_WITHIN_S = 1.0


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("no", "no"),
        ("on", "on"),
        ("yes", "yes"),
        ("off", "off"),
        ("12:30:00", "12:30:00"),
        ("012", "012"),
        ("0x1F", "0x1F"),
        ("2026-11-21", "2026-11-21"),
        (".nan", ".nan"),
        (".inf", ".inf"),
        ("9" * 5_000, "9" * 5_000),
        ("true", True),
        ("null", None),
        ("", None),
        ("0", 0),
        ("-17", -17),
        ("0.5", 0.5),
        (".5", 0.5),
        ("-2.0", -2.0),
        ("1e3", 1000.0),
    ],
)
def test_only_true_false_null_and_decimal_numbers_are_more_than_text(text, value):
    found = scalar(text)
    assert found == value
    assert type(found) is type(value)


def test_the_key_on_is_the_word_on():
    assert parse("on: enter", "f").plain() == {"on": "enter"}


def test_what_is_quoted_stays_text():
    assert parse("""a: "5"\nb: 'true'\nc: !!str 5""", "f").plain() == {
        "a": "5",
        "b": "true",
        "c": "5",
    }


def test_every_value_knows_its_line_and_column():
    node = parse("stores:\n  - id: rivoli\n    location: {lat: 1, lon: 2}\n", "f")
    lon = node.at("stores", 0, "location", "lon")
    assert (lon.line, lon.column, lon.value) == (3, 29, 2)


def test_a_path_that_is_not_there_leads_to_the_nearest_one_above():
    node = parse("a:\n  b: 1\n", "f")
    assert node.at("a", "x", "y") is node.at("a")


def test_an_empty_file_is_an_empty_mapping():
    assert parse("# nothing\n", "f").plain() == {}


def test_a_key_written_twice_is_a_fault_at_the_second():
    with pytest.raises(Refused) as refused:
        parse("a: 1\nb: 2\na: 3\n", "f")
    assert str(refused.value) == "f:3:1: `a` is written twice: it already stands in line 1"


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("[" * 200_000, f"f:1:{DEPTH_MAX + 1}: nested deeper than {DEPTH_MAX} levels"),
        ("{a: " * 200_000, "nested deeper"),
        ("- " * 100_000, "nested deeper"),
        ("{" * 300_000, "as a key"),
        ("? " * 200_000, "as a key"),
        ("a: &a [x, x]\nb: &b [*a, *a]\n", "f:2:8: alias *a"),
        ("a: &a 1\n*a : 2\n", "alias *a"),
        ("a: !!python/object/apply:os.system [ls]", "tags are not read"),
        ("a: !!python/name:os.system x", "tags are not read"),
        ("[" + "1," * 2_000_000 + "]", "more than 600,000 values"),
        ("- a\n" * 2_000_000, "more than 600,000 values"),
        ("a: 1\n---\nb: 2\n", "a second document"),
        ("a: b: c", "f:1:5: not YAML"),
        ("a: [1", "not YAML"),
        ("a: \x00", "not YAML"),
        ("a: \x1b", "not YAML"),
    ],
    ids=lambda value: value[:24].replace("\n", " ") if isinstance(value, str) else "",
)
def test_what_no_catalogue_needs_is_refused_at_once(text, what):
    began = time.process_time()
    with pytest.raises(Refused) as refused:
        parse(text, "f")
    assert what in str(refused.value)
    assert time.process_time() - began < REFUSED_WITHIN_S


def test_a_file_of_a_gigabyte_is_refused_without_being_read(tmp_path: Path):
    path = tmp_path / "large.yaml"
    with path.open("wb") as file:
        file.truncate(1 << 30)  # a hole: it takes no room on the disk
    tracemalloc.start()
    with pytest.raises(Refused, match=f"larger than {FILE_MAX_BYTES >> 20} MB"):
        read_document(path)
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak_bytes < 1 << 20


def test_a_file_that_is_not_utf_8_is_a_fault_with_its_line(tmp_path: Path):
    path = tmp_path / "latin.yaml"
    path.write_bytes("a: 1\nb: Café\n".encode("latin-1"))
    with pytest.raises(Refused, match=r"latin.yaml:2:1: not UTF-8"):
        read_document(path)
