"""``geoengine replay``: YAML and traces in, the same bytes out."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from geoengine.cli import main

YAML = """
stores:
  - id: rivoli
    name: Maison Rivoli
    location: {lat: 48.8583, lon: 2.3470}
    setting: city
campaigns:
  - id: welcome
    on: enter
    levers: [sms]
    audience: status == "premium"
    message: {en: "Welcome to {store}"}
engine: {lawful_hours: {}}
"""
# About 2 km west of the store, 1 km, at the door, at the door; a fix every five minutes.
ROWS = [("10:00", 2.32), ("10:05", 2.333), ("10:10", 2.347), ("10:15", 2.347)]


@pytest.fixture
def here(tmp_path: Path) -> Path:
    """A catalogue, one walk in three spellings, and people who agreed."""
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "shop.yaml").write_text(YAML)
    lines = [
        {"device_id": "ann", "lat": 48.8583, "lon": lon, "fix_time": f"2026-04-14T{at}:00Z"}
        for at, lon in ROWS
    ]
    (tmp_path / "walk.ndjson").write_text("".join(json.dumps(row) + "\n" for row in lines))
    rows = [f"ann;48.8583;{lon};2026-04-14 {at}:00" for at, lon in ROWS]
    (tmp_path / "walk.csv").write_text("\n".join(["user_id;lat;lng;time", *rows]))
    points = [
        f'<trkpt lat="48.8583" lon="{lon}"><time>2026-04-14T{at}:00Z</time></trkpt>'
        for at, lon in ROWS
    ]
    (tmp_path / "ann.gpx").write_text(f"<gpx><trk><trkseg>{''.join(points)}</trkseg></trk></gpx>")
    (tmp_path / "consents.csv").write_text("person_id,purpose,address\nann,sms,+33600000000\n")
    (tmp_path / "people.ndjson").write_text('{"person_id":"ann","status":"premium"}\n')
    return tmp_path


def run(here: Path, *words: str) -> Result:
    paths = [str(here / word) if (here / word).exists() else word for word in words]
    return CliRunner().invoke(main, ["replay", "--config", str(here / "config"), *paths])


def types(result: Result) -> list[str]:
    assert result.exit_code == 0, result.output
    return [json.loads(line)["type"] for line in result.stdout.splitlines()]


VISIT = [
    "geoengine.zone.entered",
    "geoengine.trigger.suppressed",
    "geoengine.zone.dwelled",
    "geoengine.zone.exited",
    "geoengine.visit.closed",
]


@pytest.mark.parametrize("trace", ["walk.ndjson", "walk.csv", "ann.gpx"])
def test_every_kind_of_trace_gives_the_same_bytes(here: Path, trace: str) -> None:
    result = run(here, trace, "--until-silent")
    assert types(result) == VISIT
    assert result.stdout == run(here, "walk.ndjson", "--until-silent").stdout
    assert types(run(here, trace)) == VISIT[:3]


def test_events_are_cloud_events_one_a_line_without_positions(here: Path) -> None:
    entered = json.loads(run(here, "walk.ndjson").stdout.splitlines()[0])
    assert entered["specversion"] == "1.0"
    assert entered["time"] == "2026-04-14T10:10:00.000Z"
    assert entered["data"]["device_id"] == "ann"
    assert entered["data"]["store_id"] == "rivoli"
    assert "48.85" not in json.dumps(entered)


def test_out_takes_the_events_and_stdout_stays_empty(here: Path) -> None:
    result = run(here, "walk.csv", "--out", str(here / "events.ndjson"))
    assert (result.exit_code, result.stdout) == (0, "")
    assert (here / "events.ndjson").read_text() == run(here, "walk.csv").stdout


@pytest.mark.parametrize("rows", ["1", "2", "3"])
def test_the_size_of_batches_changes_no_byte(here: Path, rows: str) -> None:
    assert run(here, "walk.csv", "--batch-rows", rows).stdout == run(here, "walk.csv").stdout


def test_consents_and_attributes_decide_what_fires(here: Path) -> None:
    fired = run(here, "walk.csv", "--consents", "consents.csv", "--attributes", "people.ndjson")
    assert types(fired)[1] == "geoengine.trigger.fired"
    for words, reason in [
        ((), "audience"),
        (("--attributes", "people.ndjson"), "no_consent:sms"),
        (("--consents", "consents.csv"), "audience"),
    ]:
        told = run(here, "walk.csv", *words).stdout.splitlines()
        assert json.loads(told[1])["data"]["reason"] == reason


def test_levers_may_be_assumed_several_in_one_word(here: Path) -> None:
    words = ("--assume", "push,sms", "--assume", "email", "--attributes", "people.ndjson")
    assert types(run(here, "walk.csv", *words))[1] == "geoengine.trigger.fired"


def test_the_summary_on_stderr_says_what_was_found(here: Path) -> None:
    (here / "walk.csv").write_text((here / "walk.csv").read_text() + "\nann;99;2;2026-04-14 11:00")
    told = run(here, "walk.csv").stderr.splitlines()
    assert told[0] == "walk.csv:6: lat_out_of_range"
    assert "rejected           1  (lat_out_of_range 1)" in told
    assert "suppressed         1  (audience 1)" in told


def test_an_explanation_is_a_table_on_stderr(here: Path) -> None:
    told = run(here, "walk.csv", "--explain", "ann").stderr
    assert "2026-04-14T10:10:00.000Z" in told
    assert "zone entered; welcome suppressed: audience" in told
    assert "48.85" not in told


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("walk.csv", "--assume", "pigeon"), "pigeon: not one of push"),
        (("walk.csv", "--columns", "lat"), "write our name, =, the file's"),
        (("walk.csv", "--columns", "lat=y"), "no column 'y'"),
        (("walk.csv", "--time-zone", "Mars/Base"), "no such time zone"),
        (("walk.csv", "--start", "noon"), "not an instant"),
        (("people.ndjson", "--consents", "walk.csv"), "person_id is missing"),
        (("nowhere.csv",), "does not exist"),
        ((), "Missing argument"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_sentence(
    here: Path, words: tuple[str, ...], why: str
) -> None:
    result = run(here, *words)
    assert result.exit_code != 0
    assert why in result.stderr
    assert "Traceback" not in result.output


def test_faults_of_the_catalogue_are_told_with_their_places(here: Path) -> None:
    (here / "config" / "bad.yaml").write_text("stores:\n  - id: x\n    nam: y\n")
    result = run(here, "walk.csv")
    assert result.exit_code == 1
    assert "bad.yaml:3:5" in result.stderr
