"""What `serve` says at a terminal."""

from __future__ import annotations

from pathlib import Path

from geoengine.catalog import read
from geoengine.cli.running.greeting import greeting
from geoengine.service.auth import Keys
from geoengine.service.settings import Settings
from tests.catalog.writing import CAMPAIGN, STORES, write


def said(tmp_path: Path, more: str) -> str:
    write(tmp_path, {"a.yaml": STORES + CAMPAIGN + more})
    return greeting(Settings(port=8080), read(tmp_path), Keys({}), {})


def test_who_starts_it_in_a_pause_is_told_so(tmp_path: Path):
    assert "PAUSED: engine.pause is everything" in said(tmp_path, "engine: {pause: everything}\n")
    assert "paused campaigns: hello" in said(tmp_path, "    paused: true\n")
    assert "paused" not in said(tmp_path, "").lower().replace(str(tmp_path), "")
