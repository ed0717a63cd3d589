"""What was posted live, replayed: the same events, however it was cut into posts."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.service.serving import AWAY, RIVOLI, now_s, served

BASTILLE = (48.8533, 2.3692)
CATALOGUE = """
stores:
  - {id: rivoli, name: Rivoli, location: {lat: 48.8583, lon: 2.3470}, reach: {radius_m: 300}}
  - {id: bastille, name: Bastille, location: {lat: 48.8533, lon: 2.3692}, reach: {radius_m: 300}}
campaigns:
  - {id: hello, on: enter, levers: [log], caps: [{max: 1, per: day}], message: {en: "Hello"}}
  - {id: stay, on: dwell, levers: [log], message: {en: "Still here?"}}
  - {id: bye, on: exit, levers: [push], message: {en: "Bye"}}
engine:
  consent: {location: assumed}
"""


def walkers(count: int) -> list[dict[str, Any]]:
    """Devices that walk between two shops within the last minutes, a fix every few seconds."""
    rng, end_s = random.Random(11), now_s() - 2
    rows = []
    for device in range(count):
        spots = [AWAY, RIVOLI, RIVOLI, BASTILLE, BASTILLE]
        for ix, (lat, lon) in enumerate(spots):
            start = end_s - 270 + 50 * ix + (100 if ix else -200)
            rows += [
                {
                    "device_id": f"d{device}",
                    "lat": lat + rng.gauss(0, 0.0004),
                    "lon": lon + rng.gauss(0, 0.0004),
                    "accuracy_m": rng.choice([5, 12, 25]),
                    "fix_time": round(min(start + 12 * step + rng.random(), end_s), 3),
                }
                for step in range(4)
            ]
    return sorted(rows, key=lambda row: row["fix_time"])


async def posted(tmp_path: Path, posts: list[list[dict[str, Any]]]) -> tuple[list[Any], list[Any]]:
    """The events of a live service, and the rows with the time it heard of them."""
    events, heard = [], []
    async with served(tmp_path, CATALOGUE) as client:
        for post in posts:
            recv_time = now_s()
            events += (await client.ok("POST", "/v1/pings", post))["events"]
            heard += [row | {"recv_time": recv_time} for row in post]
    return events, heard


def replayed(tmp_path: Path, rows: list[dict[str, Any]], *options: str) -> list[Any]:
    """The events of ``geoengine replay``."""
    trace = tmp_path / "trace.ndjson"
    trace.write_text("".join(json.dumps(row) + "\n" for row in rows))
    done = subprocess.run(
        [
            sys.executable, "-c", "from geoengine.cli import main; main()", "replay",
            "--config", str(tmp_path / "config"), str(trace), *options,
        ],
        capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    return [json.loads(line) for line in done.stdout.splitlines()]


def about_zones(events: list[Any]) -> list[tuple[str, str]]:
    """Ids and types of what happened in zones, whoever was told."""
    found = [(e["id"], e["type"]) for e in events if ".trigger." not in e["type"]]
    return sorted(found)


@pytest.mark.parametrize("size", [1, 7, 1_000])
async def test_replaying_what_was_posted_live_gives_the_same_events(tmp_path: Path, size: int):
    rows = walkers(6)
    posts = [rows[i : i + size] for i in range(0, len(rows), size)]
    live, heard = await posted(tmp_path, posts)
    assert sum(event["type"] == "geoengine.zone.entered" for event in live) >= 6
    again = replayed(tmp_path, heard, "--as-posted")
    assert sorted(again, key=lambda e: e["id"]) == sorted(live, key=lambda e: e["id"])


async def test_zones_are_told_the_same_whatever_the_posts_and_the_clock(tmp_path: Path):
    rows = walkers(6)
    (tmp_path / "whole").mkdir()
    (tmp_path / "cut").mkdir()
    whole, _ = await posted(tmp_path / "whole", [rows])
    cut, _ = await posted(tmp_path / "cut", [rows[i : i + 9] for i in range(0, len(rows), 9)])
    assert about_zones(whole) == about_zones(cut)
    assert about_zones(replayed(tmp_path / "whole", rows)) == about_zones(whole)


async def test_posting_a_trace_twice_or_shuffled_tells_of_nothing_more(tmp_path: Path):
    rows = walkers(6)
    once, _ = await posted(tmp_path, [rows, rows])
    (tmp_path / "shuffled").mkdir()
    mixed = random.Random(5).sample(rows, len(rows))
    shuffled, _ = await posted(tmp_path / "shuffled", [mixed])
    assert about_zones(shuffled) == about_zones(once)
    (tmp_path / "drips").mkdir()
    drips, _ = await posted(tmp_path / "drips", [mixed[i : i + 5] for i in range(0, len(mixed), 5)])
    assert len(about_zones(drips)) <= len(about_zones(once))
