"""What stores' own devices may say, and what is told of texts that cannot be said."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from geoengine.core.model import OrdersSpec
from tests.catalog.writing import STORES, faults, reading

PUSH = "engine:\n  push: {fcm: {}}\n"
HEAD = "  orders:\n    staff:\n"


def catalogue(*lines: str, engine: str = PUSH) -> str:
    return STORES + engine + HEAD + "".join(f"      {line}\n" for line in lines)


@pytest.mark.parametrize(
    ("line", "where", "what"),
    [
        ('message: {fr: "{minuts}"}', "12:21", "placeholder {minuts} is unknown"),
        ('message: {fr: "{basket}"}', "12:21", "expected arrival, minutes, name, order, store"),
        ('title: {fr: "{order"}', "12:19", "does not parse"),
        # ten more are the title's
        (f"message: {{fr: {'x' * 4_097}}}", "12:21", "4,107 bytes: expected at most 4,096"),
        ("message: {}", "12:16", "expected a mapping, at least 1"),
    ],
)
def test_what_cannot_be_said_is_a_fault_with_its_place(
    tmp_path: Path, line: str, where: str, what: str
):
    told = faults(tmp_path, catalogue(line))
    assert any(what in fault and fault.startswith(where + ":") for fault in told), told


@pytest.mark.parametrize(
    ("text", "what"),
    [
        (catalogue("message: {de: Da}"), "no title in de"),
        (catalogue(f"message: {{fr: {'x' * 3_500}}}"), "it may be more than a push carries"),
        (catalogue("title: {fr: Da}", engine="engine:\n"), "without `engine.push`"),
    ],
)
def test_what_is_likely_not_meant_is_a_warning(tmp_path: Path, text: str, what: str):
    warnings = [str(warning) for warning in reading(tmp_path, text).warnings]
    assert any(what in warning for warning in warnings), warnings


def test_words_are_said_by_default_and_replaced_by_what_is_written(tmp_path: Path):
    spec = reading(tmp_path, STORES + PUSH).book.engine.spec.orders.staff
    assert spec.message.keys() == {"fr", "en"} == spec.title.keys()
    told = reading(tmp_path, catalogue("title: {}", 'message: {de: "{order} {{!}}"}'))
    assert told.book.engine.spec.orders.staff.message == {"de": "{order} {{!}}"}
    assert told.warnings == ()


def test_the_words_that_are_said_by_default_are_those_that_are_printed(tmp_path: Path):
    page = (Path(__file__).parents[2] / "docs" / "campaigns.md").read_text("utf-8")
    [printed] = [text for text in re.findall(r"```yaml\n(.*?)```", page, re.S) if "staff:" in text]
    said = reading(tmp_path, STORES + printed + "  push: {fcm: {}}\n").book.engine.spec.orders
    assert said == OrdersSpec()
