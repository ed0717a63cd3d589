"""What campaigns may say, and what is told of those that cannot."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.catalog.writing import STORES, faults, reading

PUBLIC = "engine: {public_url: https://geo.example.com}\n"
HEAD = "campaigns:\n  - id: hello\n    on: enter\n    levers: [log]\n"
TWO = "    messages:\n      - {id: a, message: {fr: A}}\n      - {id: b, message: {fr: B}}\n"
SOLE = "    message: {fr: Bonjour}\n"
READY = "    about: order_ready\n    legal_basis: transactional\n"


def catalogue(*lines: str, engine: str = "") -> str:
    return STORES + HEAD + "".join(lines) + engine


@pytest.mark.parametrize(
    ("text", "where", "what"),
    [
        (catalogue(), "9:5", "expected `message` by language, or `messages`"),
        (catalogue(SOLE, TWO), "12:14", "both `message` and `messages`"),
        (catalogue(TWO.replace("id: b", "id: a")), "14:14", "message `a` comes twice"),
        (catalogue(TWO.replace("{fr: B}", '{fr: "{stor}"}')), "14:31", "{stor} is unknown"),
        (
            catalogue(TWO.replace("id: a", "id: a, weight: 0").replace("id: b", "id: b, weight: 0"),
                      "    choose: test\n"),
            "13:7", "all weights are 0",
        ),
        (catalogue(SOLE, "    track_clicks: true\n"), "13:19", "`engine.public_url`"),
        (catalogue(SOLE, "    call_to_action: pass\n"), "13:21", "needs `engine.wallet`"),
        (catalogue(SOLE.replace("Bonjour", '" "')), "12:19", "an empty text"),
        (catalogue(TWO.replace("{fr: B}", '{fr: ""}')), "14:31", "an empty text"),
        (catalogue(SOLE, "    legal_basis: transactional\n"), "13:18", "`about: order_ready`"),
        (
            catalogue(SOLE, READY, "    coupon: {kind: shared, code: A}\n"),
            "15:13", "a coupon advertises",
        ),
        (catalogue(SOLE, READY, "    hold_out: 5%\n"), "15:15", "nobody is held out"),
        (catalogue(SOLE.replace("Bonjour", '"{order}"')), "12:14", "expected `about: order_ready`"),
    ],
)  # fmt: skip
def test_what_cannot_be_said_is_a_fault_with_its_place(
    tmp_path: Path, text: str, where: str, what: str
):
    told = faults(tmp_path, text)
    assert any(what in fault for fault in told), told
    assert any(what in fault and fault.startswith(where + ":") for fault in told), told


def test_what_is_said_in_several_ways_is_read(tmp_path: Path):
    several = TWO + "    choose: test\n    track_clicks: true\n"
    (plan,) = reading(tmp_path, catalogue(several, engine=PUBLIC)).book.campaigns
    assert [one.id for one in plan.spec.messages] == ["a", "b"]
    (plan,) = reading(tmp_path, catalogue(SOLE, READY)).book.campaigns
    assert plan.is_transactional


def test_a_language_that_some_messages_lack_is_told(tmp_path: Path):
    several = TWO.replace("{fr: B}", "{fr: B, en: B}")
    told = [str(one) for one in reading(tmp_path, catalogue(several)).warnings]
    assert any("some messages lack en" in one for one in told), told


@pytest.mark.parametrize(
    ("lines", "where", "what"),
    [
        (SOLE + "    title: {de: Titel}\n", "13:12", "title lacks fr: expected each language"),
        ("    message: {fr: A, klingonisch: B}\n", "12:35", "`klingonisch` is no language"),
        (SOLE + "    choose: test\n", "13:13", "one message is no test: expected `messages`"),
    ],
)
def test_what_would_be_said_otherwise_than_meant_is_told(
    tmp_path: Path, lines: str, where: str, what: str
):
    told = [str(one) for one in reading(tmp_path, catalogue(lines)).warnings]
    assert any(what in one and f":{where}:" in one for one in told), told
