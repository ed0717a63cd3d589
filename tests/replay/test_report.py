"""``geoengine replay --report``: what campaigns would have done, over a recorded trace."""

from __future__ import annotations

import json
from pathlib import Path

from click.testing import CliRunner

from geoengine.cli import main

YAML = """
stores:
  - {id: rivoli, name: Rivoli, location: {lat: 48.8583, lon: 2.3470}, reach: {radius_m: 300}}
zones:
  - {id: door, store: rivoli, center: {lat: 48.8583, lon: 2.3470}, radius_m: 40}
campaigns:
  - id: welcome
    on: enter
    zones: {zones: [rivoli]}
    levers: [log]
    message: {en: "Welcome to {store}"}
engine: {lawful_hours: {}, measure: {people_min: 2}}
"""
# Far away, 200 m off, at the door for ten minutes, far away; degrees east, minutes.
ROWS = [(0, 2.32), (5, 2.3443), (7, 2.347), (12, 2.347), (17, 2.347), (25, 2.32)]


def replayed(tmp_path: Path, *words: str, devices: int = 3) -> str:
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "shop.yaml").write_text(YAML)
    rows = [
        {"device_id": f"d{ix}", "lat": 48.8583, "lon": lon, "accuracy_m": 8,
         "fix_time": f"2026-04-14T10:{minute:02}:00Z"}
        for ix in range(devices) for minute, lon in ROWS
    ]  # fmt: skip
    trace = tmp_path / "walk.ndjson"
    trace.write_text("".join(json.dumps(row) + "\n" for row in rows))
    asked = ["replay", "--config", str(tmp_path / "config"), str(trace), *words]
    result = CliRunner().invoke(main, asked)
    assert result.exit_code == 0, result.output
    return result.stderr


def cells(told: str, campaign: str) -> dict[str, str]:
    """A campaign's line of the table, by the heads of its columns."""
    lines = told.splitlines()
    (head,) = [line for line in lines if "campaign" in line and "┃" in line]
    (row,) = [line for line in lines if campaign in line]
    pairs = zip(head.strip("┃").split("┃"), row.strip("│").split("│"), strict=True)
    return {name.strip(): cell.strip() for name, cell in pairs}


def test_a_replay_says_what_its_campaigns_would_have_brought(tmp_path: Path):
    told = replayed(tmp_path, "--report", "--until-silent")
    row = cells(told, "welcome")
    assert (row["part"], row["people"], row["entries"], row["eligible"]) == ("all", "3", "3", "3")
    assert row["visits"] == "3"
    assert "2026-04-14T10:05:00.000Z to" in told


def test_few_people_are_hidden_in_a_replay_too(tmp_path: Path):
    told = replayed(tmp_path, "--report", devices=1)
    assert cells(told, "welcome")["people"] == "-"
    assert "- is fewer than 2 people" in told


def test_nothing_is_reported_unless_asked_for(tmp_path: Path):
    assert "fewer than" not in replayed(tmp_path)
