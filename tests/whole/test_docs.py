"""The documentation names what there is: every setting, series, reason and route."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from geoengine.core import rules
from geoengine.core.judging import questions
from geoengine.service.metrics import Metrics
from geoengine.service.routes import ROUTES
from geoengine.service.settings import PREFIX, Settings

ROOT = Path(__file__).parents[2]
OPERATIONS = (ROOT / "docs" / "operations.md").read_text()
DECISIONS = (ROOT / "docs" / "decisions.md").read_text()
README = (ROOT / "README.md").read_text()


@pytest.mark.parametrize("setting", Settings.__struct_fields__)
def test_every_setting_is_documented(setting: str):
    assert f"`{PREFIX}{setting.upper()}`" in OPERATIONS


def test_every_series_is_documented():
    metrics = Metrics()
    page = (metrics.own_page() + metrics.shared_page()).decode()
    series = {
        name.removesuffix("_total") for name in re.findall(r"^# TYPE (geoengine_\w+)", page, re.M)
    }
    assert len(series) > 15
    documented = {name.removesuffix("_total") for name in re.findall(r"geoengine_\w+", OPERATIONS)}
    assert series <= documented


def test_every_reason_is_documented():
    source = Path(questions.__file__).read_text() + Path(rules.__file__).read_text()
    reasons = set(re.findall(r'return f?"([a-z_]+)[":]', source))
    reasons |= set(re.findall(r'f?"([a-z_]+):\{', source))
    reasons |= set(re.findall(r'return "([a-z_]+)" if', source))
    reasons |= set(re.findall(r'else "([a-z_]+)"', source)) - {""}
    assert {"stale", "window", "holdout", "no_consent", "arbitration", "lawful_hours"} <= reasons
    assert {reason for reason in reasons if f"`{reason}" not in DECISIONS} == set()


def test_every_route_is_in_the_readme():
    for route in ROUTES:
        path = route.path.replace("{person_id}", "{id}").replace("{device_id}", "{id}")
        if path != "/":
            assert path in README, route.path
