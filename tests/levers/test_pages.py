"""What the pages of push, SMS and e-mail say holds."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest
import yaml

from geoengine.catalog.hours import opens_ever
from geoengine.core.judging.lawful import SMS_BOUNDS, SMS_HOURS, STRICTEST
from geoengine.core.model import EngineSpec
from geoengine.core.saying.segments import GSM_EACH, GSM_ONE, UCS2_EACH, UCS2_ONE, segments
from geoengine.levers.apns import RENEW_MIN_MS, RENEW_MS
from geoengine.levers.push.lever import PAYLOAD_MAX_BYTES
from geoengine.service.sending.ending.statuses import PATH
from geoengine.service.sending.makers import SMS_KEYS

ROOT = Path(__file__).parents[2]
PAGES = {
    name: (ROOT / "docs" / f"levers-{name}.md").read_text() for name in ("push", "sms", "email")
}
CODE = "".join(path.read_text() for path in (ROOT / "geoengine").rglob("*.py"))


def blocks() -> list[tuple[str, dict]]:
    """Every piece of YAML that is printed."""
    return [
        (name, yaml.safe_load(text))
        for name, page in PAGES.items()
        for text in re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    ]


@pytest.mark.parametrize(("name", "told"), blocks())
def test_the_printed_settings_are_ones_that_the_engine_takes(name, told):
    spec = msgspec.convert(told["engine"], EngineSpec)
    assert spec != EngineSpec()


@pytest.mark.parametrize("name", PAGES)
def test_every_variable_that_is_printed_is_one_that_is_read(name):
    printed = set(re.findall(r"GEOENGINE_[A-Z_]+", PAGES[name]))
    assert printed
    for variable in printed:
        assert f'"{variable}"' in CODE


@pytest.mark.parametrize("name", PAGES)
def test_every_reason_that_is_printed_is_one_that_is_given(name):
    printed = re.findall(
        r"`(no_\w+|\w+_dead|opted_out|bad_credentials|too_long|spend_cap)`", PAGES[name]
    )
    assert printed
    for reason in printed:
        assert reason in CODE or reason in ("no_fcm", "no_apns")  # made of the service's name


def test_the_printed_places_are_those_of_the_alphabets():
    page = PAGES["sms"]
    for number in (GSM_ONE, GSM_EACH, UCS2_ONE, UCS2_EACH):
        assert f" {number}" in page
    [twice] = re.findall(r"; `(\S+)` take", page)
    assert segments(twice).place_count == 2 * len(twice)
    assert segments("ê’").foreign == "ê’"


def test_the_printed_hours_are_those_in_force():
    page = PAGES["sms"]
    assert STRICTEST == SMS_HOURS["FR"] == "Mo-Sa 08:00-20:00; PH off"
    assert "| FR | Mo-Sa 08:00-20:00, not on public holidays |" in page
    assert f"| US | {SMS_HOURS['US']} |" in page
    assert f"`{SMS_BOUNDS['FR']}`" in page
    assert all(opens_ever(text, "UTC", "") for text in SMS_HOURS.values())


def test_the_printed_path_and_limits_are_those_in_force():
    assert f"POST {PATH}/PROVIDER/TOKEN" in PAGES["sms"]
    assert set(SMS_KEYS.values()) <= set(re.findall(r"GEOENGINE_[A-Z_]+", PAGES["sms"]))
    assert f"{PAYLOAD_MAX_BYTES:,} bytes" in PAGES["push"]
    assert (RENEW_MS, RENEW_MIN_MS) == (40 * 60_000, 20 * 60_000)
    assert "every 40 minutes, and never twice in 20" in PAGES["push"]
