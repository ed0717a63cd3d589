"""What an operator may set."""

from __future__ import annotations

import os

import pytest

from geoengine.service.settings import Settings, SettingsError, from_environment


def test_flags_overrule_the_environment_and_the_environment_the_defaults() -> None:
    environ = {"GEOENGINE_PORT": "9000", "GEOENGINE_HOST": "127.0.0.2", "GEOENGINE_TICK_S": "0.5"}
    settings = from_environment(environ, {"port": 0, "host": None, "state": None})
    assert (settings.port, settings.host, settings.tick_s) == (0, "127.0.0.2", 0.5)
    assert settings.max_body_bytes == Settings().max_body_bytes


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORT", "http"),
        ("PORT", "70000"),
        ("MAX_BODY_BYTES", "0"),
        ("BODY_TIMEOUT_S", "-1"),
        ("WORKERS", "0"),
        ("WORKERS", "all"),
        ("WORKERS", "1000"),
    ],
)
def test_a_setting_that_makes_no_sense_is_named(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=f"GEOENGINE_{name}: "):
        from_environment({f"GEOENGINE_{name}": value}, {})


def test_workers_are_one_unless_told_otherwise_and_auto_is_one_a_core() -> None:
    assert from_environment({}, {}).workers == 1
    assert from_environment({"GEOENGINE_WORKERS": "3"}, {}).workers == 3
    assert from_environment({"GEOENGINE_WORKERS": "3"}, {"workers": "2"}).workers == 2
    assert from_environment({}, {"workers": "auto"}).workers == len(os.sched_getaffinity(0))


def test_an_empty_variable_is_no_setting() -> None:
    assert from_environment({"GEOENGINE_STATE": ""}, {}).state == ""
