"""What docs/levers.md says holds."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from geoengine.core.units import SECOND_MS
from geoengine.levers.backoff import LONG_MS, SHORT_MS
from geoengine.levers.signing import Signer
from tests.levers.sending import NOW_MS, SECRET, SECRET_2

TEXT = (Path(__file__).parents[2] / "docs" / "levers.md").read_text("utf-8")
NOW_S = NOW_MS // SECOND_MS
UNITS_MS = {"s": 1_000, "min": 60_000, "h": 3_600_000}


def receiver() -> Any:
    """The receiver's function, as printed."""
    [code] = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
    names: dict[str, Any] = {}
    exec(code, names)
    return names["verified"]


def test_the_printed_receiver_verifies_what_we_sign():
    headers = Signer(f"{SECRET_2} {SECRET}").headers("m1", NOW_S, b"{}")
    assert receiver()(headers, b"{}", SECRET, NOW_S)


def test_the_printed_receiver_refuses_another_body_id_time_and_secret():
    verified, headers = receiver(), Signer(SECRET).headers("m1", NOW_S, b"{}")
    assert not verified(headers, b"{ }", SECRET, NOW_S)
    assert not verified(headers | {"webhook-id": "m2"}, b"{}", SECRET, NOW_S)
    assert not verified(headers, b"{}", SECRET, NOW_S + 301)
    assert not verified(headers, b"{}", SECRET_2, NOW_S)


def test_the_printed_schedules_are_those_in_force():
    rows = re.findall(r"^\| (?:up to an hour|longer).*\| (.*) \|$", TEXT, re.MULTILINE)
    printed = [
        tuple(
            int(number) * UNITS_MS[unit]
            for number, unit in re.findall(r"(\d+) (s|min|h)\b", row.split(":")[0])
        )
        for row in rows
    ]
    assert printed == [SHORT_MS, LONG_MS]
