"""Real messages of clients and gateways, as `geoengine decode` prints them."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from geoengine.cli import main
from geoengine.ingest.kinds import KINDS
from geoengine.ingest.reports import Decoded, Origin
from geoengine.ingest.times import time_ms

PAYLOADS = Path(__file__).parents[3] / "shared" / "payloads"
NOW_MS = 1_795_287_600_000
PRINTED = ("position", "transition", "visit", "region", "sighting")
SILENT = {"advert", "reject", "ignore", "heartbeat", "response-out"}

# Their word: ours. What is in brackets, or says when it arrived, is a remark and not a value.
WORDS = {
    "device": "device_id",
    "gateway": "gateway_id",
    "lat": "lat",
    "lon": "lon",
    "acc_m": "accuracy_m",
    "alt_m": "altitude_m",
    "speed_mps": "speed_mps",
    "course": "heading_deg",
    "battery_pct": "battery_pct",
    "trigger": "event",
    "event": "event",
    "mock": "mocked",
    "id": "message_id",
    "rid": "region_id",
    "desc": "region_name",
    "radius_m": "radius_m",
    "uuid": "uuid",
    "major": "major",
    "minor": "minor",
    "namespace": "namespace",
    "instance": "instance",
    "scheme": "scheme",
    "rssi": "rssi_dbm",
    "tx_power": "tx_power_dbm",
}
TIMES = {"sent_at": "sent_time", "arrived": "arrived_time", "departed": "departed_time"} | {
    "created": "created_time"
}
# A 0 that stands for "not known", and a power that no radio has.
UNKNOWN = {
    "acc_m": lambda value: value == 0,
    "tx_power": lambda value: value >= 0,
    "rssi": lambda value: value >= 0,
}
# Messages in which a battery of 0 % is one that was not asked.
NO_BATTERY = {"traccar_client/android_legacy_alarm.txt"}


def entries() -> list[dict[str, Any]]:
    """What each message of a kind of ours must decode to; none where the messages are not here."""
    path = PAYLOADS / "expected.json"
    told = json.loads(path.read_text()) if path.exists() else []
    return [entry for entry in told if entry["file"].split("/")[0] in KINDS]


def options(entry: dict[str, Any]) -> list[str]:
    """The topic and the query that a message came with, as the entry says them."""
    transport = entry["transport"]
    topic = re.search(r"MQTT ([^\s<…]+/[^\s<…]+)$", transport)
    query = re.search(r"\?(u=\S+)", transport)
    return (["--topic", topic[1]] if topic else []) + (["--query", query[1]] if query else [])


def decoded(entry: dict[str, Any]) -> tuple[list[dict[str, Any]], str]:
    """What is printed of a message, and what is said on stderr."""
    kind, file = entry["file"].split("/")[0], str(PAYLOADS / entry["file"])
    words = ["decode", kind, file, "--at", str(NOW_MS), *options(entry)]
    result = CliRunner().invoke(main, words)
    assert result.exit_code == 0, result.output
    return [json.loads(line) for line in result.stdout.splitlines()], result.stderr


def is_value(value: Any) -> bool:
    return not (isinstance(value, str) and ("(" in value or value == "arrival time"))


def values(told: dict[str, Any]) -> dict[str, Any]:
    """What an entry tells of a report, under our names; None is what must not be printed."""
    found = {word: value for word, value in told.items() if word in WORDS and value is not None}
    if told["type"] == "transition":
        found.pop("trigger", None)  # says how the phone came to know
    return {
        WORDS[word]: None if word in UNKNOWN and UNKNOWN[word](value) else value
        for word, value in found.items()
        if is_value(value)
    }


def agree(printed: dict[str, Any], told: dict[str, Any]) -> None:
    """Every value that an entry tells is what is printed, and what is unknown is not."""
    assert printed["type"] == told["type"]
    for name, value in values(told).items():
        # Theirs in km/h or knots are told to the millimetre a second.
        expected = pytest.approx(value, abs=1e-3) if name == "speed_mps" else value
        assert printed.get(name) == expected, name
    _agree_in_time(printed, told)
    if "region" in told:
        assert told["region"] in (printed.get("region_name"), printed.get("region_id"))


def _agree_in_time(printed: dict[str, Any], told: dict[str, Any]) -> None:
    own = "seen_time" if told["type"] == "sighting" else "fix_time"
    for word, name in (TIMES | {"ts": own}).items():
        if told.get(word) is not None and is_value(told[word]):
            assert time_ms(printed[name]) == time_ms(told[word]), word


def an_id(entry: dict[str, Any]) -> str:
    return entry["file"]


ENTRIES = entries()
here = pytest.mark.skipif(not ENTRIES, reason="the shared real messages are not here")


@here
@pytest.mark.parametrize("entry", ENTRIES, ids=an_id)
def test_a_real_message_decodes_to_what_it_says(entry: dict[str, Any]):
    printed, errors = decoded(entry)
    told = [item for item in entry["expect"] if item["type"] in PRINTED]
    if counts := [item["lines"] for item in entry["expect"] if item["type"] == "mixed"]:
        assert [len(printed)] == counts
        return
    assert len(printed) == len(told)
    for found, item in zip(printed, told, strict=True):
        unknown = {"battery_pct": None} if entry["file"] in NO_BATTERY else {}
        agree(found, item | unknown)
    assert errors or not {item["type"] for item in entry["expect"]} & SILENT


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("body", [b"", b"{}", b"[]", b"null", b"\x00\xff", b"?", b"[" * 5_000])
def test_a_message_of_nothing_says_nothing(kind: str, body: bytes):
    found = KINDS[kind](body, Origin(recv_ms=NOW_MS))
    assert isinstance(found, Decoded)
    assert not found.reports


@here
def test_every_folder_of_real_messages_of_a_client_or_gateway_is_a_kind():
    others = {"apns", "apple_wallet", "cloudevents", "fcm", "homeassistant", "radar"} | {
        "standard_webhooks",
        "twilio",
    }
    folders = {path.name for path in PAYLOADS.iterdir() if path.is_dir()}
    assert folders - others <= KINDS.keys()
